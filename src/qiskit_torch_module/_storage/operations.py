"""Operations of Qiskit from what blueprints say of them, where they are no gates that are known by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from qiskit import QuantumCircuit
from qiskit.circuit import Barrier, Delay, Gate, Instruction, Reset, library
from qiskit.quantum_info import SparsePauliOp

from .._reading.compat import UnitaryGate
from .._reading.gates import ROTATION_GATES
from .cannot_build import CannotBuildError

LONGEST_NAME = 1 << 12  # of a circuit or gate; a longer one is cut
UNITS = ("dt", "s", "ms", "us", "ns", "ps")  # of delays


def rotation(letters: str, num_qubits: int, angle: Any) -> Any:
    """exp(-i angle/2 P): letter i on qubit i.

    Raises:
        ValueError: the letters are not those of a Pauli word on these qubits.
    """
    if len(letters) != num_qubits or not letters or not set(letters) <= set("XYZ"):
        raise ValueError("circuit: expected a letter X, Y or Z for every qubit of a rotation")
    if letters in ROTATION_GATES:
        return ROTATION_GATES[letters](angle)
    return library.PauliEvolutionGate(SparsePauliOp(letters[::-1]), 0.5 * angle)


def not_unitary(what: str, num_qubits: int, arguments: list[Any]) -> Any:
    """A barrier, a reset or a delay.

    Raises:
        ValueError: it takes other qubits or arguments.
    """
    if what == "barrier" and not arguments:
        return Barrier(num_qubits)
    if what == "reset" and num_qubits == 1 and not arguments:
        return Reset()
    if what == "delay" and num_qubits == 1 and len(arguments) == 2:
        duration, unit = arguments
        if type(duration) in (int, float) and unit in UNITS:
            return Delay(duration, unit)
    raise ValueError(f"circuit: {what} on {num_qubits} qubits, of {len(arguments)} arguments")


def from_columns(matrix: npt.NDArray[np.complex128], num_qubits: int) -> Any:
    """What makes these states of some qubits of which the last ones are in |0>.

    Args:
        matrix: ``(2^num_qubits, number of states)``.
        num_qubits: Number of qubits.

    Raises:
        ValueError: the matrix has another shape.
    """
    if matrix.ndim != 2 or matrix.shape[0] != 1 << num_qubits or not 0 < matrix.shape[1] <= matrix.shape[0]:
        raise ValueError("circuit: expected columns of a matrix for the qubits of a gate")
    if matrix.shape[1] == matrix.shape[0]:
        return UnitaryGate(matrix)
    if matrix.shape[1] == 1:
        return library.StatePreparation(matrix[:, 0])
    return library.Isometry(matrix, 0, 0)


def encoding(amplitudes: list[Any]) -> Any:
    """A state of these amplitudes, which hold parameters.

    Raises:
        CannotBuildError: the package that has such an operation is not there.
    """
    try:
        from qiskit_machine_learning.circuit.library.raw_feature_vector import ParameterizedInitialize
    except ImportError as error:
        raise CannotBuildError("raw feature vectors need the package qiskit-machine-learning") from error
    made: Any = ParameterizedInitialize
    return made(amplitudes)


def as_gate(circuit: QuantumCircuit) -> Any:
    """A circuit as a gate, or, if it holds resets and the like, as an instruction; under its name where it can be."""
    gate = _wrapped(circuit)
    try:
        QuantumCircuit(circuit.num_qubits).append(gate, range(circuit.num_qubits))
    except AttributeError:  # by its name, Qiskit takes it for a gate of its own
        gate.name = f"{gate.name} of gates"
    return gate


def _wrapped(circuit: QuantumCircuit) -> Any:
    is_unitary = all(isinstance(instruction.operation, Gate) for instruction in circuit.data)
    if len(circuit.parameters) > 0:
        return circuit.to_gate() if is_unitary else circuit.to_instruction()
    # Without parameters nothing in it ever changes, and Qiskit would copy it with all that it holds, by recursion.
    size = circuit.num_qubits
    gate = Gate(circuit.name, size, []) if is_unitary else Instruction(circuit.name, size, 0, [])
    gate.definition = circuit
    return gate
