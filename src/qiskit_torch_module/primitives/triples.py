"""V1 calls: a circuit, an observable and a row of parameter values for each result."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from qiskit import QuantumCircuit
from qiskit.exceptions import QiskitError
from qiskit.quantum_info import Pauli, SparsePauliOp

from .._core.sizes import counted
from .._reading.observables import remedy_of_width
from .refusals import position_named
from .rows import Evaluate, real_array, with_a_qubit

Row = npt.NDArray[np.float64]


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
    row_list: list[Row] = field(default_factory=list)
    known_rows: dict[Hashable, int] = field(default_factory=dict)
    known_observables: dict[int, int] = field(default_factory=dict)

    @property
    def rows(self) -> npt.NDArray[np.float64]:
        """Shape (calls, parameters)."""
        return np.stack(self.row_list)

    def add(self, position: int, observable: Any, row: Row) -> None:
        """Adds the call at `position`."""
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


@dataclass(frozen=True)
class Triples:
    """The arguments of a V1 call, the same number of each."""

    circuits: tuple[QuantumCircuit, ...]
    observables: tuple[Any, ...]
    rows: tuple[Row, ...]

    def groups(self) -> list[Group]:
        """The results by circuit."""
        groups: dict[int, Group] = {}
        for position, (circuit, observable, row) in enumerate(
            zip(self.circuits, self.observables, self.rows, strict=True)
        ):
            groups.setdefault(id(circuit), Group(circuit)).add(position, observable, row)
        return list(groups.values())

    @property
    def amount(self) -> int:
        """Amplitudes of all states that are asked for."""
        return sum(1 << circuit.num_qubits for circuit in self.circuits)


def values_and_squares(evaluate: Evaluate, checked: Triples, squared: bool) -> tuple[Row, Row]:
    """The exact value of each observable, and where wanted that of its square (else 0)."""
    values, squares = np.empty(len(checked.circuits)), np.zeros(len(checked.circuits))
    for group in checked.groups():
        sums = [*group.observables, *([square(observable) for observable in group.observables] if squared else [])]
        with position_named("circuits", group.positions[0], len(values)):
            table = evaluate(group.circuit, sums, group.rows)
        values[group.positions] = table[group.row_index, group.observable_index]
        if squared:
            squares[group.positions] = table[group.row_index, np.add(group.observable_index, len(group.observables))]
    return values, squares


def square(observable: Any) -> SparsePauliOp:
    """An observable times itself, for its variance."""
    operator = SparsePauliOp(observable) if isinstance(observable, (str, Pauli)) else observable
    operator = operator if isinstance(operator, SparsePauliOp) else SparsePauliOp.from_operator(operator)
    return (operator @ operator).simplify(atol=0)


def triples(circuits: Any, observables: Any, parameter_values: Any) -> Triples:
    """Checks the arguments of a V1 call; a single one need not be in a sequence.

    Raises:
        TypeError: an argument is of the wrong kind.
        ValueError: different numbers of circuits, observables and rows, or a row or an observable that does not fit its
            circuit.
    """
    listed = circuit_list(circuits)
    if isinstance(observables, str) or not isinstance(observables, (Sequence, np.ndarray)):
        observables = (observables,)
    sums = _pauli_sums(observables)
    rows = row_list(parameter_values, len(listed))
    if not len(listed) == len(sums) == len(rows):
        raise ValueError(
            "run: expected as many circuits as observables and rows of parameter values, "
            f"got {len(listed)}, {len(sums)} and {len(rows)}"
        )
    if not listed:
        raise ValueError("run: expected at least one circuit, got none")
    for index, (circuit, observable, row) in enumerate(zip(listed, sums, rows, strict=True)):
        require_fitting_row(circuit, row, index)
        width = getattr(observable, "num_qubits", None)
        if width not in (None, circuit.num_qubits):
            raise ValueError(
                f"observables[{index}]: expected {counted(circuit.num_qubits, 'qubit')} as in its circuit, got "
                f"{width}; {remedy_of_width(circuit.num_qubits, width)}"
            )
    pairs = [
        (circuit, observable) if circuit.num_qubits else _widened(circuit, observable)
        for circuit, observable in zip(listed, sums, strict=True)
    ]
    return Triples(tuple(circuit for circuit, _ in pairs), tuple(observable for _, observable in pairs), rows)


def _widened(circuit: QuantumCircuit, observable: Any) -> tuple[QuantumCircuit, Any]:
    """A circuit without qubits and its observable, with an idle qubit added."""
    return with_a_qubit(circuit), type(observable)(Pauli("I")).tensor(observable)


def circuit_list(circuits: Any) -> tuple[QuantumCircuit, ...]:
    """Circuits; a single one need not be in a sequence.

    Raises:
        TypeError: something else.
    """
    if isinstance(circuits, QuantumCircuit):
        return (circuits,)
    if not isinstance(circuits, (Sequence, np.ndarray)) or isinstance(circuits, str):
        raise TypeError(f"circuits: expected a QuantumCircuit or a sequence of them, got {type(circuits).__name__}")
    for index, circuit in enumerate(circuits):
        if not isinstance(circuit, QuantumCircuit):
            raise TypeError(f"circuits[{index}]: expected a qiskit QuantumCircuit, got {type(circuit).__name__}")
    return tuple(circuits)


def require_fitting_row(circuit: QuantumCircuit, row: Row, index: int) -> None:
    """Checks that there is a finite value for each parameter.

    Raises:
        ValueError: there is not.
    """
    if row.shape != (circuit.num_parameters,):
        raise ValueError(
            f"parameter_values[{index}]: expected {counted(circuit.num_parameters, 'value')}, one for each parameter "
            f"of the circuit, got shape {row.shape}"
        )
    if not np.all(np.isfinite(row)):
        raise ValueError(f"parameter_values[{index}]: expected finite values, got {row.tolist()}")


def _pauli_sums(observables: Sequence[Any]) -> tuple[Any, ...]:
    """Observables, with labels replaced by the sums that they stand for, equal ones by the same.

    A ``PauliSumOp`` of ``qiskit.opflow`` (before Qiskit 1.0) holds one.
    """
    labelled: dict[str, SparsePauliOp] = {}
    sums = []
    for index, observable in enumerate(observables):
        if isinstance(observable, str) and observable not in labelled:
            try:
                labelled[observable] = SparsePauliOp(observable)
            except QiskitError as error:
                raise ValueError(f"observables[{index}]: expected a label of I, X, Y, Z, got {observable!r}") from error
        primitive = getattr(observable, "primitive", None)
        if isinstance(observable, str):
            sums.append(labelled[observable])
        else:
            sums.append(observable if primitive is None else observable.coeff * primitive)
    return tuple(sums)


def row_list(values: Any, count: int) -> tuple[Row, ...]:
    """Rows of parameter values, one for each of so many circuits; None: each is empty. A single row may stand alone."""
    if values is None:
        return (np.empty(0),) * count
    listed = list(np.atleast_1d(values) if np.isscalar(values) or isinstance(values, np.ndarray) else values)
    if not listed or np.ndim(listed[0]) == 0:
        listed = [listed]
    return tuple(real_array(row, f"parameter_values[{index}]") for index, row in enumerate(listed))
