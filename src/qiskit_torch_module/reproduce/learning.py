"""Fig. 3 and Table III: CartPole with one learning rate and with two, a grid of both, and time per step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .._core.pictures import COLORS, MUTED, decimal, picture
from .cartpole import DISCOUNT, EPISODES_A_BATCH, POLICY, SOLVED, steps_to_solve, train
from .looks import color_of
from .store import Result, Settings, Task, described, factor, not_measured, plain
from .systems import (
    PENNYLANE,
    PROJECT,
    QML_REVERSE,
    TENSORCIRCUIT,
    TENSORFLOW_QUANTUM,
    VERSION_1,
    System,
    checked,
    median,
    taking_part,
)

# Learning rates of the weights and of the scaling of the input.
SCHEMES = {"0.01 for weights, 0.1 for scaling": (0.01, 0.1), "0.05 for both": (0.05, 0.05)}
GRID = (0.003, 0.01, 0.03, 0.1)

SYSTEMS = (PROJECT, TENSORCIRCUIT, TENSORFLOW_QUANTUM, PENNYLANE, VERSION_1, QML_REVERSE)
# Samples of one update: ten episodes of a policy that is half trained.
_UPDATE = 2000


def learning_tasks(settings: Settings) -> list[Task]:
    """Groups of seeds for each scheme, then the grid."""
    seeds, group, updates, grid = (10, 10, 30, GRID[1::2]) if settings.quick else (100, 50, 100, GRID)
    tasks = [
        Task(f"{scheme} @ {first}", _learn(scheme, rates, range(first, first + group), updates))
        for scheme, rates in SCHEMES.items()
        for first in range(0, seeds, group)
    ]
    some = range(10 if settings.quick else 20)
    tasks += [
        Task(f"grid {first:g} {second:g}", _learn("grid", (first, second), some, updates))
        for first in grid
        for second in grid
    ]
    return tasks


def _learn(
    scheme: str, rates: tuple[float, float], seeds: range, updates: int
) -> Callable[[Mapping[str, Result]], Result]:
    def run(done: Mapping[str, Result]) -> Result:
        history = train(seeds, rates, updates)
        return {"scheme": scheme, "rates": rates, "seeds": [seeds.start, seeds.stop], **history}

    return run


def _joined(points: Mapping[str, Result], scheme: str, what: str) -> np.ndarray[Any, Any]:
    """(updates, seeds) of all groups."""
    groups = [np.array(point[what]) for point in points.values() if point["scheme"] == scheme]
    return np.concatenate(groups, axis=1) if groups else np.empty((0, 0))


def learning_report(results: Mapping[str, Any], stem: Path) -> list[Path]:
    """A table of schemes and grid, and the learning curves."""
    points = results["points"]
    lines = [
        "# CartPole with quantum policy gradients",
        "",
        f"{described(results)}. Four qubits, data re-uploading with trainable scaling, CZ between all pairs, "
        f"⟨ZZZZ⟩; REINFORCE with batches of {EPISODES_A_BATCH} episodes, gamma {DISCOUNT}, Adam (AMSGrad). Solved: the "
        f"mean return of the last 100 episodes reaches {SOLVED:g}. The paper (Fig. 3): learning rates apart beat a "
        "common one.",
        "",
        f"![Return by episodes]({stem.name}.svg)",
        "",
        "| learning rates | seeds | solved | steps to solve, median (10 %, 90 %) | last 100 episodes, mean ± std "
        "| s, all seeds | µs a step |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for scheme in SCHEMES:
        lines += _scheme_row(points, scheme)
    lines += _grid_table(points)
    table, picture = stem.with_suffix(".md"), stem.with_suffix(".svg")
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    _plot(points, picture)
    return [table, picture]


def _last(returns: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Mean return of each seed in the last 100 episodes."""
    last: np.ndarray[Any, Any] = returns[-100 // EPISODES_A_BATCH :].mean(axis=0)
    return last


def _scheme_row(points: Mapping[str, Result], scheme: str) -> list[str]:
    returns, steps = _joined(points, scheme, "returns"), _joined(points, scheme, "steps")
    if returns.size == 0:
        return []
    needed, last = steps_to_solve(returns, steps), _last(returns)
    seconds = sum(point["seconds"] for point in points.values() if point["scheme"] == scheme)
    low, middle, high = (_thousands(float(np.quantile(needed, q, method="nearest"))) for q in (0.1, 0.5, 0.9))
    return [
        f"| {scheme} | {returns.shape[1]} | {np.isfinite(needed).mean():.0%} | {middle} ({low}, {high}) "
        f"| {last.mean():.0f} ± {last.std():.0f} | {seconds:.0f} | {1e6 * seconds / steps.sum():.1f} |"
    ]


def _thousands(steps: float) -> str:
    return f"{steps / 1000:.0f}k" if np.isfinite(steps) else "never"


def _grid_table(points: Mapping[str, Result]) -> list[str]:
    cells = {tuple(point["rates"]): point for point in points.values() if point["scheme"] == "grid"}
    if not cells:
        return []
    first_seed, end = next(iter(cells.values()))["seeds"]
    rows, columns = sorted({first for first, _ in cells}), sorted({second for _, second in cells})
    lines = [
        "",
        f"Grid search: mean return of the last 100 episodes over {end - first_seed} seeds (rows: learning rate of the "
        "weights; columns: of the scaling).",
        "",
        "| | " + " | ".join(f"{rate:g}" for rate in columns) + " |",
        "| --- |" + " ---: |" * len(columns),
    ]
    for row in rows:
        points_of_row = [cells.get((row, column)) for column in columns]
        means = ["" if point is None else f"{_last(np.array(point['returns'])).mean():.0f}" for point in points_of_row]
        lines.append(f"| {row:g} | " + " | ".join(means) + " |")
    return lines


def _plot(points: Mapping[str, Result], path: Path) -> None:
    with picture(path) as (_, axis):
        for color, scheme in zip(COLORS, SCHEMES, strict=False):
            returns = _joined(points, scheme, "returns")
            if returns.size == 0:
                continue
            episodes = EPISODES_A_BATCH * np.arange(1, len(returns) + 1)
            low, high = np.quantile(returns, [0.1, 0.9], axis=1)
            axis.plot(episodes, returns.mean(axis=1), color=color, label=f"{scheme} ({returns.shape[1]} seeds)")
            axis.fill_between(episodes, low, high, color=color, alpha=0.2, linewidth=0)
        axis.axhline(SOLVED, color=MUTED, linestyle=":", label="solved")
        axis.set(xlabel="episodes", ylabel="return", ylim=(0, 510))
        axis.legend(loc="lower right", title="mean over seeds; band: 10 % to 90 % of them")


def time_tasks(settings: Settings) -> list[Task]:
    """Every system acts for ten environments and makes one update."""
    return [
        Task(f"{system.label} @ {kind}", _time(system, kind, batch, settings))
        for system in taking_part(SYSTEMS, settings)
        for kind, batch in (("act", EPISODES_A_BATCH), ("update", _UPDATE))
    ]


def _time(system: System, kind: str, batch: int, settings: Settings) -> Callable[[Mapping[str, Result]], Result]:
    def run(done: Mapping[str, Result]) -> Result:
        repetitions = 5 if settings.quick else 50
        spec = replace(POLICY, batch=batch, repetitions=repetitions)
        about = {"system": system.label, "kind": kind, "batch": batch}
        return {**about, **checked(system, spec, settings, done.get(f"{PROJECT.label} @ {kind}", {}))}

    return run


def time_report(results: Mapping[str, Any], stem: Path) -> list[Path]:
    """Time per step of the environment: acting in ten environments, and its share of an update."""
    points, rows = results["points"], []
    for system in SYSTEMS:
        act, update = (points.get(f"{system.label} @ {kind}", {"error": ""}) for kind in ("act", "update"))
        if "error" in act or "error" in update:
            continue
        times = median(act, "forward") / EPISODES_A_BATCH, median(update, "step") / _UPDATE
        rows.append((system.label, *times, sum(times), "~" if "scaled_by" in update else ""))
    ours = next((total for label, _, _, total, _ in rows if label == PROJECT.label), None)
    lines = [
        "# CartPole: time per step of the environment",
        "",
        f"{described(results)}. Microseconds, medians; one seed, {EPISODES_A_BATCH} environments side by side, and an "
        f"update with {_UPDATE} samples. The environment itself is left out. ~: scaled up from one sample.",
        "",
        f"![Time per step]({stem.name}.svg)",
        "",
        "| system | acting | updating | together | factor | 200,000 steps take |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for label, act, update, total, mark in rows:
        faster = "" if ours is None or label == PROJECT.label else factor(total / ours)
        parts = " | ".join(f"{mark}{plain(1e3 * milliseconds)}" for milliseconds in (act, update, total))
        lines.append(f"| {label} | {parts} | {faster} | {_duration(200 * total)} |")
    lines += not_measured(points)
    table, picture = stem.with_suffix(".md"), stem.with_suffix(".svg")
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    _plot_times([(label, total) for label, _, _, total, _ in rows], picture)
    return [table, picture]


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def _plot_times(rows: Sequence[tuple[str, float]], path: Path) -> None:
    labels, totals = [label for label, _ in rows], [1e3 * total for _, total in rows]
    with picture(path, height=0.8 + 0.4 * max(1, len(rows))) as (_, axis):
        bars = axis.barh(labels, totals, color=[color_of(label) for label in labels])
        axis.bar_label(bars, [f"{total:,.3g}" if total < 1000 else f"{total:,.0f}" for total in totals], padding=3)
        axis.set(xscale="log", xlabel="microseconds for a step of the environment")
        axis.margins(x=0.25)
        axis.grid(axis="y", visible=False)
        decimal(axis.xaxis)
        axis.invert_yaxis()
