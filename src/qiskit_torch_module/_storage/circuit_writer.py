"""What writes a circuit as plain data: see `blueprint` for the rows it makes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from qiskit import QuantumCircuit
from qiskit.circuit import Barrier, CircuitInstruction, Parameter

from .._reading.compat import DiagonalGate, HamiltonianGate, UnitaryGate
from .._reading.gates import Gate as NativeGate
from .._reading.gates import Step
from .._reading.matrices import MatrixStep, dense_operation
from .._reading.operations import Amplitudes, Circuits, Dense, Matrix, Reading, ResetQubits, Steps, of_its_own
from .._reading.polynomials import Polynomial
from .._reading.walk import Walk
from .circuit_angles import AngleWriter
from .named_gates import is_known
from .operations import LONGEST_NAME, UNITS


class Writer(Walk):
    """Writes down what a circuit holds, one row for each operation; circuits inside of it become definitions.

    Args:
        parameters: Those of the circuit, by whose places they are named.

    Attributes:
        definitions: Bodies of circuits, each of them after those that it holds.
        matrices: Those that rows refer to by position.
    """

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self._angles = AngleWriter(parameters)
        self.definitions: list[dict[str, Any]] = []
        self.matrices: list[npt.NDArray[np.complex128]] = []
        self._open: list[dict[str, Any]] = []  # bodies of the circuits that are entered, the innermost one last
        self._index: dict[str, int] = {}  # of definitions by content, and of matrices

    def body(self, circuit: QuantumCircuit) -> dict[str, Any]:
        """What a circuit holds.

        Raises:
            ValueError: an operation is neither known by name nor made of others.
        """
        self.over(circuit)
        return self._open.pop()

    def enter(self, circuit: QuantumCircuit, on: Sequence[int]) -> Sequence[int]:
        self._open.append(
            {
                "name": circuit.name[:LONGEST_NAME],
                "num_qubits": circuit.num_qubits,
                "phase": self._angles.written(circuit.global_phase),
                "data": [],
            }
        )
        return range(circuit.num_qubits)

    def gate(self, gate: NativeGate, instruction: CircuitInstruction, qubits: list[int]) -> None:
        self._put([instruction.name, qubits, *map(self._angles.written, instruction.params)])

    def idle(self, operation: Any, qubits: list[int]) -> None:
        if isinstance(operation, Barrier):
            self._put(["barrier", qubits])
        else:
            is_number = isinstance(operation.duration, (int, float)) and operation.unit in UNITS
            self._put(["delay", qubits, *((operation.duration, operation.unit) if is_number else (0, "dt"))])

    def operation(self, kind: Reading, operation: Any, qubits: list[int]) -> Iterable[QuantumCircuit] | None:
        row = self._row_of_class(operation, qubits)
        if row is None and isinstance(kind, Dense):
            matrix = self._columns(operation, qubits)
            if matrix is None:
                kind = of_its_own(operation, qubits)
            else:
                row = ["columns", qubits, self._matrix(matrix)]
        if row is None and isinstance(kind, Circuits):
            return self._defined(kind.circuits, operation, qubits)
        self._put(row or self._row_of_kind(kind, operation, qubits))
        return None

    def _put(self, row: list[Any]) -> None:
        self._open[-1]["data"].append(row)

    def _row_of_class(self, operation: Any, qubits: list[int]) -> list[Any] | None:
        """The row of a gate that has a name here."""
        if is_known(operation):
            return [operation.name, qubits, *map(self._angles.written, operation.params)]
        if type(operation) is DiagonalGate:
            return ["diagonal", qubits, self._matrix(np.asarray(operation.params, dtype=np.complex128))]
        if type(operation) in (UnitaryGate, HamiltonianGate):
            matrix, *time = operation.params
            plain = self._matrix(np.asarray(matrix, dtype=np.complex128))
            return ["hamiltonian" if time else "unitary", qubits, plain, *map(self._angles.written, time)]
        return None

    def _row_of_kind(self, kind: Reading, operation: Any, qubits: list[int]) -> list[Any]:
        """The row of an operation that is written as the compiler reads it."""
        if isinstance(kind, ResetQubits):
            return ["reset", qubits]
        if isinstance(kind, Matrix):
            return ["unitary", qubits, self._matrix(kind.matrix)]
        if isinstance(kind, Amplitudes):
            return ["amplitudes", qubits, *map(self._angles.written, kind.amplitudes)]
        if isinstance(kind, Steps):
            steps = kind.steps(self._angles.reads(operation.name))
            return [self._define(self._body_of_steps(steps, operation.num_qubits), operation.name), qubits]
        raise ValueError(f"gate '{operation.name}' is not known")

    def _defined(
        self, circuits: Iterable[QuantumCircuit], operation: Any, qubits: list[int]
    ) -> Iterator[QuantumCircuit]:
        """Walks over the circuits of an operation, one after the other, and adds a definition that holds them."""
        bodies = []
        for circuit in circuits:
            yield circuit
            bodies.append(self._open.pop())
        if len(bodies) != 1:
            everywhere = list(range(operation.num_qubits))
            data = [[self._define(body, body["name"]), everywhere] for body in bodies]
            bodies = [{"num_qubits": operation.num_qubits, "phase": 0.0, "data": data}]
        self._put([self._define(bodies[0], operation.name), qubits])

    def _columns(self, operation: Any, qubits: list[int]) -> npt.NDArray[np.complex128] | None:
        """What an operation makes of qubits of which the last ones may have to be in |0>: 2^k rows."""
        dense = dense_operation(operation, qubits, [True] * len(qubits), self._angles.reads(operation.name))
        steps = [] if dense is None else [step for step in dense.steps if isinstance(step, MatrixStep)]
        return steps[0].matrix if len(steps) == 1 else None

    def _define(self, body: dict[str, Any], name: str) -> int:
        body["name"] = name[:LONGEST_NAME]
        key = json.dumps(body)
        if key not in self._index:
            self._index[key] = len(self.definitions)
            self.definitions.append(body)
        return self._index[key]

    def _body_of_steps(self, steps: Sequence[Step], num_qubits: int) -> dict[str, Any]:
        written = self._angles.written_polynomial
        phase = Polynomial.sum(angle for name, _, angle in steps if name == "phase")
        data = [
            [f"rotation {name}", list(on), written(angle)] if name.isupper() else [name, list(on)]
            for name, on, angle in steps
            if name != "phase"
        ]
        return {"num_qubits": num_qubits, "phase": written(phase), "data": data}

    def _matrix(self, matrix: npt.NDArray[np.complex128]) -> int:
        key = f"{matrix.shape} {matrix.tobytes().hex()}"
        if key not in self._index:
            self._index[key] = len(self.matrices)
            self.matrices.append(matrix)
        return self._index[key]
