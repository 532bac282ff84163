"""Run time against qubits, depth and observables: Fig. 1, Fig. 2 and Table I of Meyer et al., arXiv:2404.06314."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from .runners.workload import Spec
from .store import Result, Settings, Task
from .systems import PROJECT, QML_REVERSE, SYSTEMS, System, checked, median, taking_part


@dataclass(frozen=True)
class Figure:
    """A sweep over one size of the work.

    Attributes:
        title: What it shows.
        axis: The attribute of `Spec` that is swept.
        points, quick_points: Its values.
        spec: Everything else, for a value.
        systems: Those that take part.
        measures: What is reported: "forward" and "step", or "jacobian".
        paper: What the paper shows.
    """

    title: str
    axis: str
    points: tuple[int, ...]
    quick_points: tuple[int, ...]
    spec: Callable[[int], Spec]
    systems: tuple[System, ...]
    measures: tuple[str, ...]
    paper: str


def _by_qubits(qubits: int) -> Spec:
    return Spec(qubits, batch=48 if qubits <= 16 else 4 if qubits <= 18 else 1)


FIGURES = {
    "fig1": Figure(
        "Run time by qubits (depth 3; batch 48, at 18 qubits 4, at 20 qubits 1)",
        "qubits",
        (4, 6, 8, 10, 12, 14, 16, 18, 20),
        (4, 8, 10),
        _by_qubits,
        SYSTEMS,
        ("forward", "step"),
        "Fig. 1 finds two orders of magnitude between version 1.0 and qiskit-machine-learning",
    ),
    "fig2": Figure(
        "Run time by depth (10 qubits, batch 48)",
        "depth",
        (1, 2, 4, 6, 8, 10, 15, 20),
        (1, 4),
        lambda depth: Spec(10, depth),
        SYSTEMS,
        ("forward", "step"),
        "Fig. 2 goes from depth 1 to 20",
    ),
    "tab1": Figure(
        "Gradients of several observables (12 qubits, depth 3, one sample)",
        "observables",
        (1, 2, 4, 8, 16, 32),
        (1, 4),
        lambda count: Spec(12, batch=1, observables=count, mode="jacobian"),
        (replace(PROJECT, mode="jacobian"), replace(QML_REVERSE, mode="jacobian")),
        ("jacobian",),
        "Table I goes from 1 to 32 observables; the reverse gradient evolves the state once for each",
    ),
}


def tasks(name: str, settings: Settings) -> list[Task]:
    """All points of a figure, small ones first; systems take turns, so that ratios are of the same minutes."""
    figure = FIGURES[name]
    values = figure.quick_points if settings.quick else figure.points
    return [
        Task(_key(system, value), _run(figure, system, value, before, settings))
        for value, before in zip(values, (None, *values), strict=False)
        for system in taking_part(figure.systems, settings)
    ]


def _key(system: System, value: int) -> str:
    return f"{system.label} @ {value}"


def _run(
    figure: Figure, system: System, value: int, before: int | None, settings: Settings
) -> Callable[[Mapping[str, Result]], Result]:
    def run(done: Mapping[str, Result]) -> Result:
        spec = figure.spec(value)
        about = {"system": system.label, "value": value, "batch": spec.batch}
        smaller = done.get(_key(system, before), {}) if before is not None else {}
        if "error" in smaller or "skipped" in smaller:
            return {**about, "skipped": "as the smaller one"}
        if smaller and median(smaller, figure.measures[-1]) / smaller.get("scaled_by", 1) > 1e3 * settings.limit:
            return {**about, "skipped": f"a smaller one took longer than {settings.limit:.0f} s"}
        return {**about, **checked(system, spec, settings, done.get(_key(PROJECT, value), {}))}

    return run
