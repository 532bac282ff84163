"""V1 calls of samplers: a circuit with measurements and a row of parameter values for each result."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from qiskit import QuantumCircuit

from .triples import Row, circuit_list, require_fitting_row, row_list


@dataclass
class Group:
    """The results that share a circuit: every distinct row is needed once.

    Attributes:
        positions: Where they stand in the call.
        row_index: For each of them, its row.
        row_list: Distinct rows of parameter values.
    """

    circuit: QuantumCircuit
    positions: list[int] = field(default_factory=list)
    row_index: list[int] = field(default_factory=list)
    row_list: list[Row] = field(default_factory=list)
    _known: dict[Hashable, int] = field(default_factory=dict)

    @property
    def rows(self) -> npt.NDArray[np.float64]:
        """Shape (rows, parameters)."""
        return np.stack(self.row_list)

    def add(self, position: int, row: Row) -> None:
        """Adds the result at `position`."""
        self.positions.append(position)
        index = self._known.setdefault(row.tobytes(), len(self.row_list))
        if index == len(self.row_list):
            self.row_list.append(row)
        self.row_index.append(index)


@dataclass(frozen=True)
class Pairs:
    """The arguments of a V1 call, the same number of each."""

    circuits: tuple[QuantumCircuit, ...]
    rows: tuple[Row, ...]

    def groups(self) -> list[Group]:
        """The results by circuit."""
        groups: dict[int, Group] = {}
        for position, (circuit, row) in enumerate(zip(self.circuits, self.rows, strict=True)):
            groups.setdefault(id(circuit), Group(circuit)).add(position, row)
        return list(groups.values())

    @property
    def amount(self) -> int:
        """Amplitudes of all states that are asked for."""
        return sum(1 << circuit.num_qubits for circuit in self.circuits)


def pairs(circuits: Any, parameter_values: Any) -> Pairs:
    """Checks the arguments of a V1 call; a single one need not be in a sequence.

    Raises:
        TypeError: an argument is of the wrong kind.
        ValueError: different numbers of circuits and rows, a row that does not fit its circuit, or a circuit that does
            not measure.
    """
    listed, rows = circuit_list(circuits), None
    rows = row_list(parameter_values, len(listed))
    if not listed:
        raise ValueError("run: expected at least one circuit, got none")
    if len(listed) != len(rows):
        raise ValueError(
            f"run: expected as many circuits as rows of parameter values, got {len(listed)} and {len(rows)}"
        )
    for index, (circuit, row) in enumerate(zip(listed, rows, strict=True)):
        require_fitting_row(circuit, row, index)
        if not circuit.num_clbits:
            raise ValueError(
                f"circuits[{index}]: expected measurements, got a circuit without classical bits; call measure_all()"
            )
    return Pairs(listed, rows)
