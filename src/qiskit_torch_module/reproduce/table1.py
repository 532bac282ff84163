"""Table I: forward and backward passes of 1 to 32 observables, on all threads and on one, beside the paper's rows."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._core.pictures import MUTED, decimal, picture
from .looks import look_of
from .paper import TABLE_I
from .report import Points, by_system, notes, rows_of
from .runners.workload import Spec
from .store import Settings, Task, described, factor, plain
from .systems import PROJECT, PROJECT_SEQUENTIAL, QML_REVERSE, VERSION_1, backward, median, taking_part
from .timing import Point, timed

QUBITS, COUNTS, QUICK_COUNTS = 12, (1, 2, 4, 8, 12, 16, 24, 32), (1, 4)
SYSTEMS = (PROJECT, PROJECT_SEQUENTIAL, VERSION_1, QML_REVERSE)
_TITLES = {"forward": "Forward", "backward": "Backward"}


def spec_of_count(count: int) -> Spec:
    """With as many observables as qubits it is the point of Fig. 1."""
    return Spec(QUBITS, observables=count if count != QUBITS else 0)


def tasks(settings: Settings) -> list[Task]:
    """Every system with every number of observables."""
    counts = QUICK_COUNTS if settings.quick else COUNTS
    return [
        timed(
            # As many as qubits: Z of every one, the point of Fig. 1.
            Point(system, spec_of_count(count), count, f"{system.label} @ {count}"),
            None,  # the yardstick is measured however long it takes
            f"{PROJECT.label} @ {count}",
            settings,
        )
        for count in counts
        for system in taking_part(SYSTEMS, settings)
    ]


def _of(points: Points, measure: str, label: str, count: int) -> float | None:
    """Milliseconds of a batch."""
    point = points.get(label, {}).get(count)
    if point is None:
        return None
    return median(point, "forward") if measure == "forward" else backward(point)


def text(results: Mapping[str, Any], stem: Path) -> str:
    """Factors over the reverse gradient, ours and the paper's, and milliseconds."""
    points = by_system(results)
    lines = [
        "# Table I: several observables",
        "",
        f"{described(results)}." if results["points"] else "Not measured yet: what stands here is the paper's.",
        f"{QUBITS} qubits, depth 3, batch 48. By how much each is faster than the reverse gradient of "
        "qiskit-machine-learning, whose time grows with every observable; medians. Backward: a training step less a "
        "forward pass. The observables are different products of Z, of one qubit each, then of pairs; the paper takes "
        "the same product many times. The paper's columns are from a processor with 12 cores; its sequential ones do "
        "not depend on that.",
        "",
        f"![Factors over the reverse gradient, by observables]({stem.name}.svg)",
    ]
    for measure, title in _TITLES.items():
        lines += ["", f"## {title}, factors", "", *_factors(points, measure)]
    for measure, title in _TITLES.items():
        systems = [system for system in SYSTEMS if system.label in points]
        if systems:
            lines += ["", f"## {title}, milliseconds", ""]
            lines += rows_of("observables", COUNTS, systems, functools.partial(_of, points, measure), points)
    lines += notes(results["points"], SYSTEMS)
    return "\n".join(lines) + "\n"


def _factors(points: Points, measure: str) -> list[str]:
    lines = [
        "| observables | this package | one thread | version 1.0 | the paper, 1.0 | the paper, 1.0, sequential |",
        "| ---: |" + " ---: |" * 5,
    ]
    for count, parallel, sequential in zip(
        COUNTS, TABLE_I[measure]["parallel"], TABLE_I[measure]["sequential"], strict=True
    ):
        slow = _of(points, measure, QML_REVERSE.label, count)
        cells = [
            "–" if slow is None or own is None else factor(slow / own)
            for own in (_of(points, measure, system.label, count) for system in SYSTEMS[:3])
        ]
        lines.append(f"| {count} | " + " | ".join(cells) + f" | {plain(parallel)}× | {plain(sequential)}× |")
    return lines


def draw(results: Mapping[str, Any], path: Path) -> None:
    """The factors by the number of observables."""
    points = by_system(results)
    with picture(path, 1, 2, height=4.2, sharey=True) as (drawing, axes):
        for axis, (measure, title) in zip(axes, _TITLES.items(), strict=True):
            for system in SYSTEMS[:3]:
                pairs = [
                    (n, _of(points, measure, QML_REVERSE.label, n), _of(points, measure, system.label, n))
                    for n in COUNTS
                ]
                found = [(n, slow / own) for n, slow, own in pairs if slow is not None and own is not None]
                if found:
                    axis.plot(*zip(*found, strict=True), **look_of(system.label))
            for kind, line in (("parallel", "--"), ("sequential", ":")):
                axis.plot(COUNTS, TABLE_I[measure][kind], color=MUTED, linestyle=line, label=f"the paper, {kind}")
            axis.set(title=title.lower(), xscale="log", yscale="log", xlabel="observables")
            decimal(axis.xaxis, COUNTS)
            decimal(axis.yaxis)
        axes[0].set_ylabel("times as fast as the reverse gradient")
        drawing.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
