"""What makes a circuit of plain data: sizes are checked first, and no code is run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from qiskit import QuantumCircuit, QuantumRegister
from qiskit.circuit import CircuitInstruction, Parameter
from qiskit.circuit.exceptions import CircuitError

from .._reading.compat import DiagonalGate, HamiltonianGate, UnitaryGate
from .circuit_angles import AngleReader
from .kinds import WIDEST
from .named_gates import known_gate, require_known
from .operations import LONGEST_NAME, as_gate, encoding, from_columns, not_unitary, rotation

# Operations inside of gates with parameters, which Qiskit copies wherever it puts them.
MAX_COPIES = 1 << 14


class Reader:
    """Makes circuits of bodies; what they hold is made before them.

    Args:
        parameters: As they were when the bodies were written.
        matrices: Those that rows refer to by position.
        num_qubits: How many qubits all circuits may have together.

    Raises:
        ValueError: here and in all methods: something is damaged.
        CannotBuildError: in all methods: this version of Qiskit cannot express an angle or a gate.
    """

    def __init__(self, parameters: Sequence[Parameter], matrices: Any, num_qubits: int) -> None:
        self._angles = AngleReader(parameters)
        self._matrices = list_of_circuit(matrices)
        self._qubits_left = num_qubits
        self._copies_left = MAX_COPIES
        self._gates: list[Any] = []
        self._num_copies: list[int] = []  # operations that are copied where the gate is put

    def define(self, body: Mapping[str, Any]) -> None:
        """Makes the gate that is named by the next number."""
        copied_before = self._copies_left
        circuit = self.circuit(body, [])
        self._gates.append(as_gate(circuit))
        inside = copied_before - self._copies_left + len(circuit.data)
        self._num_copies.append(inside if len(circuit.parameters) > 0 else 0)

    def circuit(self, body: Mapping[str, Any], registers: Sequence[tuple[str, int]]) -> QuantumCircuit:
        """The circuit of a body, on registers (name, size) or, if there are none, on loose qubits."""
        name, num_qubits = body["name"], body["num_qubits"]
        if type(name) is not str or len(name) > LONGEST_NAME:
            raise ValueError("circuit: expected a name")
        if type(num_qubits) is not int or not 0 <= num_qubits <= min(WIDEST, self._qubits_left):
            raise ValueError(f"circuit: expected up to {WIDEST} qubits")
        self._qubits_left -= num_qubits
        circuit = _empty(name, num_qubits, registers)
        circuit.global_phase = self._angles.angle(body["phase"])
        bits = circuit.qubits
        for row in list_of_circuit(body["data"]):
            what, qubits, arguments = _taken_apart(list_of_circuit(row), num_qubits)
            operation = self._operation(what, len(qubits), arguments)
            if type(what) is int:
                circuit.append(operation, qubits)  # a copy, where it has parameters
            else:
                circuit._append(CircuitInstruction(operation, [bits[qubit] for qubit in qubits]))
        return circuit

    def _operation(self, what: Any, num_qubits: int, arguments: list[Any]) -> Any:
        """The operation of a row."""
        if type(what) is int:
            return self._defined(what, num_qubits, arguments)
        if what in ("barrier", "reset", "delay"):
            return not_unitary(what, num_qubits, arguments)
        if what == "amplitudes" and len(arguments) == 1 << num_qubits:
            return encoding([self._angles.angle(amplitude) for amplitude in arguments])
        if what in ("unitary", "columns", "diagonal") and len(arguments) == 1:
            return self._of_matrix(what, num_qubits, arguments[0])
        if what == "hamiltonian" and len(arguments) == 2:
            matrix = self._matrix(arguments[0], (1 << num_qubits,) * 2)
            return HamiltonianGate(matrix, self._angles.angle(arguments[1]))
        if type(what) is str and what.startswith("rotation ") and len(arguments) == 1:
            return rotation(what.removeprefix("rotation "), num_qubits, self._angles.angle(arguments[0]))
        require_known(what, num_qubits, len(arguments))
        return known_gate(what, num_qubits, [self._angles.angle(angle) for angle in arguments])

    def _defined(self, index: int, num_qubits: int, arguments: list[Any]) -> Any:
        if not 0 <= index < len(self._gates) or arguments or self._gates[index].num_qubits != num_qubits:
            raise ValueError("circuit: a gate that is not defined, or on another number of qubits")
        self._copies_left -= self._num_copies[index]
        if self._copies_left < 0:
            raise ValueError(f"circuit: gates within gates of more than {MAX_COPIES} operations")
        return self._gates[index]

    def _of_matrix(self, what: str, num_qubits: int, index: Any) -> Any:
        if what == "columns":
            return from_columns(self._matrix(index, None), num_qubits)
        if what == "diagonal":
            return DiagonalGate(self._matrix(index, (1 << num_qubits,)).tolist())
        return UnitaryGate(self._matrix(index, (1 << num_qubits,) * 2))

    def _matrix(self, index: Any, shape: tuple[int, ...] | None) -> Any:
        if type(index) is not int or not 0 <= index < len(self._matrices):
            raise ValueError("circuit: a matrix that is not there")
        matrix = self._matrices[index]
        if not isinstance(matrix, np.ndarray) or matrix.dtype != np.complex128 or shape not in (None, matrix.shape):
            raise ValueError("circuit: expected a complex matrix for the qubits of a gate")
        return matrix


def _taken_apart(row: list[Any], num_qubits: int) -> tuple[Any, list[int], list[Any]]:
    """What a row names, its qubits, and the rest."""
    if len(row) < 2:
        raise ValueError("circuit: expected an operation and its qubits")
    what, qubits, *arguments = row
    if any(type(qubit) is not int or not 0 <= qubit < num_qubits for qubit in list_of_circuit(qubits)):
        raise ValueError(f"circuit: expected qubits below {num_qubits}")
    if len(set(qubits)) != len(qubits):
        raise ValueError("circuit: an operation that takes a qubit twice")
    return what, qubits, arguments


def _empty(name: str, num_qubits: int, registers: Sequence[tuple[str, int]]) -> QuantumCircuit:
    if registers:
        try:
            return QuantumCircuit(*(QuantumRegister(size, name) for name, size in registers), name=name)
        except CircuitError:  # a name that this version does not take
            pass
    return QuantumCircuit(num_qubits, name=name)


def list_of_circuit(plain: Any) -> list[Any]:
    """What should be a list.

    Raises:
        ValueError: it is none.
    """
    if type(plain) is not list:
        raise ValueError("circuit: expected a list")
    return plain
