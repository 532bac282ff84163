"""V1 calls: a circuit, an observable and a row of parameter values for each result."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from qiskit import QuantumCircuit


@dataclass
class Group:
    """The results that share a circuit: every distinct row and observable is needed once.

    Attributes:
        positions: Where the results of the group stand in the call.
        rows: Distinct rows of parameter values, shape (B, P).
        row_index: For each result, its row.
        observable_index: For each result, its observable.
    """

    circuit: QuantumCircuit
    positions: list[int] = field(default_factory=list)
    observables: list[Any] = field(default_factory=list)
    row_index: list[int] = field(default_factory=list)
    observable_index: list[int] = field(default_factory=list)
    row_list: list[npt.NDArray[np.float64]] = field(default_factory=list)
    known_rows: dict[Hashable, int] = field(default_factory=dict)
    known_observables: dict[int, int] = field(default_factory=dict)

    @property
    def rows(self) -> npt.NDArray[np.float64]:
        return np.stack(self.row_list)

    def add(self, position: int, observable: Any, row: npt.NDArray[np.float64]) -> None:
        self.positions.append(position)
        key = row.tobytes()
        if key not in self.known_rows:
            self.known_rows[key] = len(self.row_list)
            self.row_list.append(row)
        if id(observable) not in self.known_observables:
            self.known_observables[id(observable)] = len(self.observables)
            self.observables.append(observable)
        self.row_index.append(self.known_rows[key])
        self.observable_index.append(self.known_observables[id(observable)])


def grouped(circuits: Any, observables: Any, parameter_values: Any) -> list[Group]:
    """The results of a V1 call, by circuit.

    Raises:
        ValueError: different numbers of circuits, observables and rows.
    """
    circuits = [circuits] if isinstance(circuits, QuantumCircuit) else list(circuits)
    if isinstance(observables, str) or not isinstance(observables, Sequence):
        observables = [observables]
    rows = [[]] * len(circuits) if parameter_values is None else list(parameter_values)
    if rows and np.ndim(rows[0]) == 0:
        rows = [rows]
    if not len(circuits) == len(observables) == len(rows):
        raise ValueError(
            "run: expected as many circuits as observables and rows of parameter values, "
            f"got {len(circuits)}, {len(observables)} and {len(rows)}"
        )
    groups: dict[int, Group] = {}
    for position, (circuit, observable, row) in enumerate(zip(circuits, observables, rows, strict=True)):
        group = groups.setdefault(id(circuit), Group(circuit))
        group.add(position, observable, np.asarray(row, dtype=np.float64))
    return list(groups.values())
