"""What several measured values come to, for pages: sentences, tables, factors. ``numbers_of_pages.py`` includes them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import ideas
import numpy as np

from qiskit_torch_module.reproduce import digits, learning
from qiskit_torch_module.reproduce.paper import (
    TABLE_I,
    TABLE_II,
    TABLE_II_ACCURACY,
)
from qiskit_torch_module.reproduce.report import by_system, shown
from qiskit_torch_module.reproduce.store import described, factor, plain
from qiskit_torch_module.reproduce.systems import (
    GRADIENTS,
    PENNYLANE,
    PROJECT,
    QML_REVERSE,
    SYSTEMS,
    TENSORCIRCUIT,
    VERSION_1,
    System,
    median,
)
from qiskit_torch_module.reproduce.table1 import COUNTS

RESULTS = Path(__file__).parent.parent / "benchmarks" / "results"


@lru_cache
def results(name: str) -> Any:
    """The results of a file."""
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def _figure(name: str) -> Mapping[str, Mapping[int, Any]]:
    return by_system(results(name))


def _system(part: str) -> System:
    """The system whose label has this in it: "tensorcircuit", "1.0"."""
    return next(
        one
        for one in SYSTEMS
        if part.lower() in one.label.lower().replace(" ", "-")
    )


def _step(
    qubits: str, system: str = PROJECT.label, figure: str = "fig1"
) -> str:
    """Of a training step."""
    point = _figure(figure)[_system(system).label][int(qubits)]
    return f"{plain(median(point, 'step'))} ms"


def _ratios(figure: str) -> dict[int, tuple[float, str]]:
    """How many times as long the fastest other simulator with gradients takes for a step, and which one it is."""
    points, found = _figure(figure), {}
    for qubits, ours in sorted(points.get(PROJECT.label, {}).items()):
        there = {
            one.label: points[one.label][qubits]
            for one in GRADIENTS
            if qubits in points.get(one.label, {})
        }
        if there:
            fastest = min(there, key=lambda label: median(there[label], "step"))
            found[qubits] = (
                median(there[fastest], "step") / median(ours, "step"),
                fastest,
            )
    return found


def _rounded(value: float) -> str:
    """Two digits, as speech has them."""
    return plain(float(f"{value:.2g}"))


def _range(lowest: float, highest: float) -> str:
    low, high = _rounded(lowest), _rounded(highest)
    return low if low == high else f"{low} to {high}"


def _at_batch(batch: int) -> dict[int, tuple[float, str]]:
    ours = _figure("fig1")[PROJECT.label]
    return {
        qubits: found
        for qubits, found in _ratios("fig1").items()
        if ours[qubits]["batch"] == batch
    }


def _least() -> str:
    """The smallest factor over the fastest other simulator at batch 48."""
    return _rounded(min(ratio for ratio, _ in _at_batch(48).values()))


def _claim() -> str:
    """Of whom, at which qubits and batch, and where it is least."""
    batched = _at_batch(48)
    low, high = min(batched.values()), max(batched.values())
    sizes = {ratio: qubits for qubits, (ratio, _) in batched.items()}
    said = (
        f"{_rounded(low[0])} times ({sizes[low[0]]} qubits) to {_rounded(high[0])} times ({sizes[high[0]]} qubits) as "
        "fast as the fastest of the other simulators with gradients that were measured, for a training step with a "
        "batch of 48"
    )
    one = _ratios("one") if (RESULTS / "one.json").exists() else {}
    if 4 in one:
        said += (
            f", and {_rounded(one[4][0])} times for a single sample on 4 qubits"
        )
    return said


def _one_least() -> str:
    """The least lead for single samples, and where it is."""
    ratio, qubits = min(
        (ratio, qubits) for qubits, (ratio, _) in _ratios("one").items()
    )
    return f"{_rounded(ratio)} times at {qubits} qubits"


def _fastest() -> str:
    """Who is the fastest of the others, by qubits."""
    by_name: dict[str, list[int]] = {}
    for qubits, (_, name) in _ratios("fig1").items():
        by_name.setdefault(name, []).append(qubits)
    parts = [
        f"{name} at {', '.join(map(str, sizes))} qubits"
        for name, sizes in by_name.items()
    ]
    return "the fastest of the others is " + "; ".join(parts)


def _reverse() -> str:
    """Over the reverse gradient of qiskit-machine-learning."""
    points = _figure("fig1")
    ratios = [
        median(point, "step") / median(points[PROJECT.label][qubits], "step")
        for qubits, point in points[QML_REVERSE.label].items()
    ]
    sizes = sorted(points[QML_REVERSE.label])
    return f"{_range(min(ratios), max(ratios))} times at {sizes[0]} to {sizes[-1]} qubits"


def _step_table() -> str:
    """Milliseconds of a training step, and the factor of the fastest other simulator with gradients."""
    found = _figure("fig1")
    systems = [
        one
        for one in (*GRADIENTS, VERSION_1, QML_REVERSE)
        if one.label in found
    ]
    lines = [
        "| qubits, batch | "
        + " | ".join(one.short for one in (PROJECT, *systems))
        + " | factor |",
        "| --- |" + " ---: |" * (len(systems) + 2),
    ]
    ratios = _ratios("fig1")
    for qubits, ours in sorted(found[PROJECT.label].items()):
        times = [found[one.label].get(qubits) for one in systems]
        cells = [
            "–" if point is None else shown(point, median(point, "step"))
            for point in times
        ]
        ratio = _rounded(ratios[qubits][0]) if qubits in ratios else "–"
        lines.append(
            f"| {qubits}, {ours['batch']} | {shown(ours, median(ours, 'step'))} | {' | '.join(cells)} | {ratio} |"
        )
    return "\n".join(lines)


def _compilation() -> str:
    """How long JAX compiles before the first step."""
    firsts = [
        1e-3 * (point["forward"]["first"] + point["step"]["first"])
        for label, points in _figure("fig1").items()
        if "JAX" in label
        for point in points.values()
        if not point.get("from_cache")
    ]
    return (
        f"{_range(min(firsts), max(firsts))} s"
        if firsts
        else "seconds to minutes"
    )


def _rivals() -> str:
    """Who is measured, and why."""
    lines = [
        "| system | why it is there | samples that are measured |",
        "| --- | --- | --- |",
    ]
    for one in SYSTEMS:
        if one.why:
            lines.append(
                f"| {one.label} | {one.why} | {'all' if one.batch is None else f'{one.batch}, scaled up'} |"
            )
    return "\n".join(lines)


def _table_i(measure: str) -> str:
    """The least and the largest factor over the reverse gradient, ours and the paper's."""
    points, ratios = _figure("tab1"), []
    for count in COUNTS:
        slow, ours = (
            points.get(QML_REVERSE.label, {}).get(count),
            points.get(PROJECT.label, {}).get(count),
        )
        if slow is not None and ours is not None:
            ratios.append(_time(slow, measure) / _time(ours, measure))
    paper = TABLE_I[measure]["parallel"]
    here = (
        f"{_range(min(ratios), max(ratios))} times"
        if ratios
        else "not measured yet"
    )
    return f"{here} (the paper: {_range(min(paper), max(paper))})"


def _time(point: Mapping[str, Any], measure: str) -> float:
    return (
        median(point, "forward")
        if measure == "forward"
        else median(point, "step") - median(point, "forward")
    )


def _schemes() -> str:
    """After how many steps each choice of learning rates solves CartPole."""
    needed = learning.needed(results("fig3")["points"])
    return "solved after " + ", ".join(
        f"{learning.thousands(float(np.quantile(steps, 0.5, method='nearest')))} steps with {scheme} (median of {len(steps)} seeds)"
        for scheme, steps in needed.items()
    )


def _paper() -> str:
    """The list of what came out, for the README."""
    two, three = results("tab2")["points"], results("tab3")["points"]
    totals, steps = digits.totals(two), learning.steps(three)
    whole = next(iter(totals.values()))
    others = [
        f"{label} {plain(total)} s"
        for label, total in totals.items()
        if label.split(",")[0] != PROJECT.label
    ]
    means = {
        name: sum(found) / len(found)
        for name in ("0.001, as in the paper", "0.02", "longer")
        if (found := digits.accuracies(two, name))
    }
    ours = sum(steps[PROJECT.label])
    per_step = [
        f"{factor(sum(parts) / ours)} with {label}"
        for label, parts in steps.items()
        if label != PROJECT.label
    ]
    lines = [
        f"- **Table I**, 1 to 32 observables at 12 qubits, batch 48, against the reverse gradient of "
        f"qiskit-machine-learning: forward {_table_i('forward')}, backward {_table_i('backward')} "
        "([table](benchmarks/results/tab1.md)).",
        f"- **Table II**, digits with 10 qubits and 220 weights, 250 updates of 48 images "
        f"([table](benchmarks/results/tab2.md)): {plain(whole)} s with everything around the model. Values and "
        f"gradients alone take {plain(totals.get(PROJECT.label, whole))} s; {'; '.join(others)}. The paper reports "
        f"{' and '.join(f'{plain(total)} s for {name}' for name, total in TABLE_II.items())} on its machine. Test "
        f"accuracy on MNIST: {means.get('0.001, as in the paper', 0):.0f} % with the paper's learning rate of 0.001 (it "
        f"reports about {TABLE_II_ACCURACY:.0f} %; [why](benchmarks/results/tab2.md#accuracy)), "
        f"{means.get('0.02', 0):.0f} % with 0.02, {means.get('longer', 0):.0f} % after 10,000 updates.",
        f"- **Fig. 3**, CartPole with quantum policy gradients: {_schemes()} "
        "([table and plot](benchmarks/results/fig3.md)).",
        f"- **Table III**, a step of CartPole: {plain(1e3 * ours)} µs here; times that: {', '.join(per_step)} "
        "([table](benchmarks/results/tab3.md)).",
    ]
    return "\n".join(lines)


def _busy_ratio() -> str:
    """Beside busy processes, the time by default over that on one thread."""
    ratios = [
        case["busy"]["default"] / case["busy"]["one"]
        for case in results("busy")["cases"]
    ]
    return f"{min(ratios):.2f} to {max(ratios):.2f}"


def _machine(name: str) -> str:
    """Date and machine of a file of results."""
    return described(results(name))


def _small() -> str:
    """One sample and a batch on 4 qubits, in milliseconds."""
    shown = (PROJECT, TENSORCIRCUIT, PENNYLANE)
    lines = [
        "| batch | | " + " | ".join(one.short for one in shown) + " |",
        "| ---: | --- |" + " ---: |" * len(shown),
    ]
    for batch, figure in ((1, "one"), (48, "fig1")):
        for measure in ("forward", "step"):
            points = [
                _figure(figure).get(one.label, {}).get(4) for one in shown
            ]
            cells = [
                "–" if point is None else plain(median(point, measure))
                for point in points
            ]
            lines.append(f"| {batch} | {measure} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _small_engine() -> str:
    """The engine's share of a step with a batch on 4 qubits, on one thread."""
    first = next(iter(results("kernel")["sets"].values()))[0]
    return f"{plain(first['gradient_ms'])} ms"


def _limits(what: str, precision: str) -> str:
    """From 8 to 16 qubits, by the fastest kernels: operations a byte ("intensity"), or the share of a product's rate."""
    measured = results("kernel")
    rows = [
        row
        for row in next(iter(measured["sets"].values()))
        if row["precision"] == precision and 8 <= row["qubits"] <= 16
    ]
    if what == "intensity":
        return _range(*_ends(row["intensity"] for row in rows))
    low, high = _ends(
        row["gflops"] / measured["limits"][precision] for row in rows
    )
    return f"{100 * low:.0f} to {100 * high:.0f} %"


def _ends(values: Iterable[float]) -> tuple[float, float]:
    found = sorted(values)
    return found[0], found[-1]


def _jacobians() -> str:
    """Times of 1 to 32 observables in a batch, in units of one."""
    rows: dict[str, list[Mapping[str, Any]]] = {}
    for point in results("jacobians")["points"]:
        if point["batch"] == 48:
            rows.setdefault(point["observables"], []).append(point)
    counts = [point["count"] for point in next(iter(rows.values()))]
    lines = [
        f"| observables | {' | '.join(map(str, counts))} | {counts[-1]} one by one |",
        "| --- |" + " ---: |" * (len(counts) + 1),
    ]
    for name, points in rows.items():
        times = [
            *(point["jacobian"] for point in points),
            points[-1]["one_by_one"],
        ]
        lines.append(
            f"| {name} | "
            + " | ".join(_rounded(time / times[0]) for time in times)
            + " |"
        )
    return "\n".join(lines)


def _derivatives() -> str:
    """What derivatives take in units of a training step."""
    rows = results("derivatives")["rows"]
    first, last = rows[0], rows[-1]
    lines = [
        f"| | native engine, {first['qubits']} to {rows[-2]['qubits']} qubits | {last['qubits']} qubits "
        f"| plain PyTorch, {first['qubits']} qubits |",
        "| --- | ---: | ---: | ---: |",
    ]
    for name, plain_one in first["plain"].items():
        if name == "a training step":
            continue
        small = [
            row["native"][name]["steps"]
            for row in rows[:-1]
            if name in row["native"]
        ]
        large = (
            _rounded(last["native"][name]["steps"])
            if name in last["native"]
            else "–"
        )
        lines.append(
            f"| {name} | {_range(min(small), max(small))} | {large} | {_rounded(plain_one['steps'])} |"
        )
    return "\n".join(lines)


def _swaps(kind: str) -> str:
    """What swapping objects gains, and replacing the layer, by lines of Qiskit."""
    import migration

    return "\n".join(migration.swaps_table(results("migration"), kind))


def _programs() -> str:
    """What replacing the layer gains in the programs of the paper."""
    import migration

    return "\n".join(migration.programs_table(results("migration")))


DERIVED: dict[str, Callable[..., str]] = {
    "step": _step,
    "claim": _claim,
    "least": _least,
    "one-least": _one_least,
    "fastest": _fastest,
    "reverse": _reverse,
    "step-table": _step_table,
    "compilation": _compilation,
    "rivals": _rivals,
    "table-i": _table_i,
    "paper": _paper,
    "busy-ratio": _busy_ratio,
    "ideas": ideas.table,
    "machine": _machine,
    "small": _small,
    "small-engine": _small_engine,
    "limits": _limits,
    "jacobians-table": _jacobians,
    "derivatives-table": _derivatives,
    "swaps-table": _swaps,
    "programs-table": _programs,
}
