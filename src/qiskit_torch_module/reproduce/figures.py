"""Run time against qubits and depth: Figs. 1 and 2 of Meyer et al., arXiv:2404.06314; and of one sample at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .runners.workload import Spec
from .store import Settings, Task
from .systems import (
    GRADIENTS,
    LIGHTNING,
    PROJECT,
    PROJECT_DOUBLE,
    QML_REVERSE,
    QULACS,
    SYSTEMS,
    TENSORFLOW_QUANTUM,
    VERSION_1,
    System,
    taking_part,
)
from .timing import Point, timed


@dataclass(frozen=True)
class Figure:
    """A sweep over one size of the work.

    Attributes:
        title: What it shows.
        axis: The attribute of `Spec` that is swept.
        points, quick_points: Its values.
        spec: Everything else, for a value.
        systems: Those that take part.
        paper: What the paper shows.
        left_out: Systems that do not take part, and why.
    """

    title: str
    axis: str
    points: tuple[int, ...]
    quick_points: tuple[int, ...]
    spec: Callable[[int], Spec]
    systems: tuple[System, ...]
    paper: str
    left_out: str = ""


def reference(qubits: int) -> Spec:
    """The reference workload of a size, with the batch that Fig. 1 gives it."""
    return Spec(qubits, batch=48 if qubits <= 16 else 4 if qubits <= 18 else 1)


FIGURES = {
    "fig1": Figure(
        "Run time by qubits",
        "qubits",
        (4, 6, 8, 10, 12, 14, 16, 18, 20),
        (4, 8, 10),
        reference,
        SYSTEMS,
        "Fig. 1 finds two orders of magnitude between version 1.0 and the reverse gradient of "
        "qiskit-machine-learning, and one between it and SPSA. It was measured on 12 cores, over which version 1.0 "
        "spreads a batch; on one of them, the paper's Table I has 6 to 14 times for as many observables as qubits, and "
        "fewer cores come nearer to that",
    ),
    "fig2": Figure(
        "Run time by depth",
        "depth",
        (1, 2, 3, 5, 10, 20),
        (1, 3),
        lambda depth: Spec(12, depth),
        # Without those that compile for minutes at every depth.
        (PROJECT, PROJECT_DOUBLE, TENSORFLOW_QUANTUM, LIGHTNING, QULACS, VERSION_1, QML_REVERSE),
        "Fig. 2 has 12 qubits; the time of gradients is linear in the number of weights",
        "TensorCircuit-NG and PennyLane on JAX, which compile anew for every depth, for minutes where it is large; "
        'parameter shift and SPSA of Qiskit, which "Run time by qubits" has',
    ),
    "one": Figure(
        "One sample at a time",
        "qubits",
        (4, 10, 20),
        (4,),
        lambda qubits: Spec(qubits, batch=1),
        (PROJECT, PROJECT_DOUBLE, *GRADIENTS),
        "it has batches of 48 throughout",
        "version 1.0 and what else Qiskit's users have: they take samples one by one in any case (Run time by qubits)",
    ),
}


def tasks(name: str, settings: Settings) -> list[Task]:
    """All points of a figure, small ones first; systems take turns, so that ratios are of the same minutes."""
    figure = FIGURES[name]
    values = figure.quick_points if settings.quick else figure.points
    return [
        timed(
            Point(system, figure.spec(value), value, f"{system.label} @ {value}"),
            None if before is None else f"{system.label} @ {before}",
            f"{PROJECT.label} @ {value}",
            settings,
        )
        for value, before in zip(values, (None, *values), strict=False)
        for system in taking_part(figure.systems, settings)
    ]
