"""Fig. 3 and Table III: CartPole with one learning rate and with two, a grid of both, and time per step."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .._core.pictures import COLORS, MUTED, decimal, picture
from .cartpole import DISCOUNT, EPISODES_A_BATCH, POLICY, SOLVED, steps_to_solve, train
from .looks import color_of
from .paper import TABLE_III
from .report import notes
from .store import Result, Settings, Task, described, factor, plain
from .systems import (
    LIGHTNING,
    PENNYLANE,
    PROJECT,
    QML_REVERSE,
    QULACS,
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

SYSTEMS = (PROJECT, TENSORCIRCUIT, TENSORFLOW_QUANTUM, PENNYLANE, LIGHTNING, QULACS, VERSION_1, QML_REVERSE)
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


def needed(points: Mapping[str, Result]) -> dict[str, np.ndarray[Any, Any]]:
    """Steps of the environment until each seed has solved it, or infinity, by scheme of learning rates."""
    found = {}
    for scheme in SCHEMES:
        returns = _joined(points, scheme, "returns")
        if returns.size > 0:
            found[scheme] = steps_to_solve(returns, _joined(points, scheme, "steps"))
    return found


def learning_text(results: Mapping[str, Any], stem: Path) -> str:
    """A table of schemes, and the grid."""
    points = results["points"]
    lines = [
        "# CartPole with quantum policy gradients",
        "",
        f"{described(results)}. Four qubits, data re-uploading with trainable scaling, CZ between all pairs, "
        f"⟨ZZZZ⟩; REINFORCE with batches of {EPISODES_A_BATCH} episodes, gamma {DISCOUNT}, Adam (AMSGrad). Solved: the "
        f"mean return of 100 episodes in a row reached {SOLVED:g} at some time; it may fall again. The paper "
        "(Fig. 3): learning rates apart beat a common one.",
        "",
        f"![Return by episodes]({stem.name}.svg)",
        "",
        "| learning rates | seeds | solved | steps to solve, median (10 % to 90 %) | last 100 episodes, mean ± std |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for scheme in SCHEMES:
        lines += _scheme_row(points, scheme)
    lines += _grid_table(points)
    return "\n".join(lines) + "\n"


def _last(returns: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Mean return of each seed in the last 100 episodes."""
    last: np.ndarray[Any, Any] = returns[-100 // EPISODES_A_BATCH :].mean(axis=0)
    return last


def _scheme_row(points: Mapping[str, Result], scheme: str) -> list[str]:
    returns, steps = _joined(points, scheme, "returns"), _joined(points, scheme, "steps")
    if returns.size == 0:
        return []
    needed, last = steps_to_solve(returns, steps), _last(returns)
    low, middle, high = (thousands(float(np.quantile(needed, q, method="nearest"))) for q in (0.1, 0.5, 0.9))
    return [
        f"| {scheme} | {returns.shape[1]} | {np.isfinite(needed).mean():.0%} | {middle} ({low} to {high}) "
        f"| {last.mean():.0f} ± {last.std():.0f} |"
    ]


def thousands(steps: float) -> str:
    """Steps of the environment, to the thousand."""
    return f"{1000 * round(steps / 1000):,}" if np.isfinite(steps) else "never"


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


def draw_learning(results: Mapping[str, Any], path: Path) -> None:
    """The learning curves."""
    points = results["points"]
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
    """Every system acts for ten environments and makes one update; this package trains, one seed at a time."""
    tasks = [
        Task(f"{system.label} @ {kind}", _time(system, kind, batch, settings))
        for system in taking_part(SYSTEMS, settings)
        for kind, batch in (("act", EPISODES_A_BATCH), ("update", _UPDATE))
    ]
    seeds, updates = (2, 3) if settings.quick else (10, 40)
    if importlib.util.find_spec("gymnasium") is not None:
        tasks += [Task(f"training @ {seed}", _train_one(seed, updates)) for seed in range(seeds)]
    return tasks


def _train_one(seed: int, updates: int) -> Callable[[Mapping[str, Result]], Result]:
    def run(done: Mapping[str, Result]) -> Result:
        history = train(range(seed, seed + 1), SCHEMES[next(iter(SCHEMES))], updates)
        return {"updates": updates, "steps": int(np.sum(history["steps"])), "seconds": history["seconds"]}

    return run


def _time(system: System, kind: str, batch: int, settings: Settings) -> Callable[[Mapping[str, Result]], Result]:
    def run(done: Mapping[str, Result]) -> Result:
        repetitions = 5 if settings.quick else 50
        spec = replace(POLICY, batch=batch, repetitions=repetitions)
        about = {"system": system.label, "kind": kind, "value": kind, "batch": batch}
        return {**about, **checked(system, spec, settings, done.get(f"{PROJECT.label} @ {kind}", {}))}

    return run


def steps(points: Mapping[str, Result]) -> dict[str, tuple[float, float]]:
    """Milliseconds of acting and of updating for a step of the environment, by system."""
    found = {}
    for system in SYSTEMS:
        act, update = (points.get(f"{system.label} @ {kind}", {"error": ""}) for kind in ("act", "update"))
        if "error" not in act and "error" not in update:
            found[system.label] = median(act, "forward") / EPISODES_A_BATCH, median(update, "step") / _UPDATE
    return found


def whole_training(points: Mapping[str, Result]) -> tuple[float, float] | None:
    """Seconds of a run and its steps, the environment included: means over seeds."""
    runs = [point for key, point in points.items() if key.startswith("training @")]
    if not runs:
        return None
    return float(np.mean([run["seconds"] for run in runs])), float(np.mean([run["steps"] for run in runs]))


def time_text(results: Mapping[str, Any], stem: Path) -> str:
    """Time per step of the environment: acting in ten environments, and its share of an update."""
    points = results["points"]
    found = steps(points)
    ours = sum(found[PROJECT.label]) if PROJECT.label in found else None
    has_whole = whole_training(points) is not None
    lines = [
        "# Table III: CartPole, time per step of the environment",
        "",
        f"{described(results)}. Milliseconds, medians; one seed, {EPISODES_A_BATCH} environments side by side, and an "
        f"update with {_UPDATE} samples. The environment itself is left out, but for whole runs. ~: scaled up from a "
        f"few samples. The factor is over this package{'; that of a whole run, over its whole run' * has_whole}. The "
        "paper's lines are averages of 10 runs on its machine.",
        "",
        f"![Time per step]({stem.name}.svg)",
        "",
        "| system | acting | updating | together | factor |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for label, (act, update) in found.items():
        faster = "–" if ours is None or label == PROJECT.label else factor((act + update) / ours)
        mark = "~" if "scaled_by" in points[f"{label} @ update"] else ""
        parts = " | ".join(f"{mark}{_decimals(milliseconds)}" for milliseconds in (act, update, act + update))
        lines.append(f"| {label} | {parts} | {faster} |")
    lines += _whole_runs(points)
    lines += notes({key: point for key, point in points.items() if "system" in point}, SYSTEMS)
    return "\n".join(lines) + "\n"


def _decimals(milliseconds: float) -> str:
    """Three digits, without an exponent: 0.00351."""
    return plain(milliseconds) if milliseconds >= 0.001 else f"{milliseconds:.6f}"


def _whole_runs(points: Mapping[str, Result]) -> list[str]:
    """Runs from beginning to end: seconds, steps, and milliseconds of a step."""
    rows = [(f"the paper, {name}", *run) for name, run in TABLE_III.items()]
    whole = whole_training(points)
    if whole is None:
        lines = ["", "| whole run | s | steps | ms a step |", "| --- | ---: | ---: | ---: |"]
        return lines + [f"{_whole_run(row)} |" for row in rows]
    seconds, count = whole
    here = 1e3 * seconds / count
    lines = ["", "| whole run | s | steps | ms a step | factor |", "| --- | ---: | ---: | ---: | ---: |"]
    lines.append(f"{_whole_run(('this package', seconds, count, here))} | – |")
    return lines + [f"{_whole_run(row)} | {factor(row[-1] / here)} |" for row in rows]


def _whole_run(row: tuple[str, float, float, float]) -> str:
    name, seconds, count, milliseconds = row
    return f"| {name} | {plain(seconds)} | {count:,.0f} | {_decimals(milliseconds)}"


def draw_times(results: Mapping[str, Any], path: Path) -> None:
    """The time of a step of the environment, by system."""
    rows = steps(results["points"])
    labels, totals = list(rows), [sum(parts) for parts in rows.values()]
    with picture(path, height=0.8 + 0.4 * max(1, len(rows))) as (_, axis):
        bars = axis.barh(labels, totals, color=[color_of(label) for label in labels])
        axis.bar_label(bars, [_decimals(total) for total in totals], padding=3)
        axis.set(xscale="log" if rows else "linear", xlabel="milliseconds for a step of the environment")
        axis.margins(x=0.25)
        axis.grid(axis="y", visible=False)
        decimal(axis.xaxis)
        axis.invert_yaxis()
