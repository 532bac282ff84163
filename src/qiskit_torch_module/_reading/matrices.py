"""Which operations are applied as the matrix that they are, and what that matrix is.

Qiskit takes a unitary of five qubits and more apart into thousands of gates, for which it needs seconds to minutes.
Smaller ones, and prepared states, are worth leaving the engine's layers for where they outweigh the other gates.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from qiskit import QuantumCircuit
from qiskit.circuit import ControlledGate, ParameterExpression
from qiskit.circuit.library import StatePreparation

from .compat import DiagonalGate, HamiltonianGate, Isometry, UnitaryGate
from .definitions import evolution_of_matrix
from .polynomials import Polynomial

# Smaller matrices are always taken apart, larger ones never: Qiskit needs more than a second for those.
LEAST_QUBITS, MOST_APART = 3, 5
MOST_APART_PREPARED = 9  # states

# A matrix of k qubits that is taken apart takes as long as a circuit of so many rotations loses when it leaves the
# layers: 4^k of them, times this. Measured at 8 to 16 qubits, with samples in the lanes and without.
_ROTATIONS_OF_ENTRY = 0.6
# Likewise for each amplitude of a state that is prepared.
_ROTATIONS_OF_AMPLITUDE = 3.0

# Up to this size all entries are checked; beyond, what a matrix makes of some vectors.
_MOST_CHECKED = 256
_RELATIVE, _ABSOLUTE = 1e-5, 1e-6


@dataclass(frozen=True)
class MatrixStep:
    """A matrix (2^k, columns) on k qubits, the first of which is the lowest bit of its rows and columns.

    Fewer than 2^k columns: the last qubits are in |0> before it.
    """

    qubits: tuple[int, ...]
    matrix: npt.NDArray[np.complex128]


@dataclass(frozen=True)
class DiagonalStep:
    """exp(-i angle E) on k qubits, for a real diagonal E (2^k,)."""

    qubits: tuple[int, ...]
    energies: npt.NDArray[np.float64]
    angle: Polynomial


DenseStep: TypeAlias = MatrixStep | DiagonalStep


@dataclass(frozen=True)
class DenseOperation:
    """An operation as steps that apply it as it is, and as a circuit.

    Attributes:
        qubits: Of the whole circuit, in the order of those of the operation.
        steps: Matrices and diagonals, on qubits of the whole circuit.
        rotations: What the circuit costs, in rotations; infinite: making it would take too long.
        circuit: Makes the circuit.
    """

    qubits: tuple[int, ...]
    steps: Sequence[DenseStep]
    rotations: float
    circuit: Callable[[], QuantumCircuit]


def keeps_matrices(operations: Iterable[DenseOperation], num_rotations: int) -> bool:
    """Whether a circuit runs step by step: all its dense operations as they are, next to so many rotations."""
    return sum(operation.rotations for operation in operations) > num_rotations


def checked(matrix: npt.NDArray[np.complex128], gate: str, qubits: Sequence[int]) -> npt.NDArray[np.complex128]:
    """The matrix of a gate, if it is a unitary on the qubits.

    Raises:
        ValueError: it has another shape, or is not unitary.
    """
    size = 1 << len(qubits)
    if matrix.shape != (size, size) or not _is_unitary(matrix):
        raise ValueError(
            f"circuit: '{gate}' on qubits {list(qubits)}: expected a unitary matrix of shape {(size, size)}, got one "
            f"of shape {matrix.shape} that is not one; correct the gate's matrix"
        )
    return matrix


def _is_unitary(matrix: npt.NDArray[np.complex128]) -> bool:
    size = len(matrix)
    if not np.all(np.isfinite(matrix)):
        return False
    probe: npt.NDArray[np.float64] = (
        np.eye(size) if size <= _MOST_CHECKED else np.random.default_rng(0).normal(size=(size, 16))
    )
    return bool(np.allclose(matrix.conj().T @ (matrix @ probe), probe, rtol=_RELATIVE, atol=_ABSOLUTE))


def unitary_operation(matrix: npt.NDArray[np.complex128], qubits: Sequence[int]) -> DenseOperation:
    """A unitary matrix (2^k, 2^k), little-endian as everything in Qiskit, on k qubits of the whole circuit."""
    on, size = tuple(qubits), len(qubits)
    cost = _ROTATIONS_OF_ENTRY * 4**size if size <= MOST_APART else math.inf
    return DenseOperation(on, [MatrixStep(on, matrix)], cost, lambda: _definition(UnitaryGate(matrix)))


def is_dense(operation: Any) -> bool:
    """Whether `dense_operation` takes an operation that is no plain matrix, where its qubits allow it."""
    size = operation.num_qubits
    if size < LEAST_QUBITS:
        return False
    if isinstance(operation, ControlledGate):
        base = operation.base_gate
        return isinstance(base, (UnitaryGate, HamiltonianGate)) and not _has_parameters(base)
    if isinstance(operation, StatePreparation):
        return _amplitudes(operation) is not None
    if isinstance(operation, Isometry):
        return bool(operation.num_ancillas_zero == operation.num_ancillas_dirty == 0)
    return isinstance(operation, (HamiltonianGate, DiagonalGate))


def dense_operation(
    operation: Any, qubits: Sequence[int], fresh: Sequence[bool], read: Callable[[Any], Polynomial]
) -> DenseOperation | None:
    """An operation for which `is_dense` holds; None: its definition is taken.

    Args:
        operation: A gate.
        qubits: Of the whole circuit.
        fresh: Which of them are in |0>.
        read: Reads an angle.

    Raises:
        ValueError: its matrix is not unitary, or its Hamiltonian not Hermitian.
    """
    on, size = tuple(qubits), len(qubits)
    if isinstance(operation, ControlledGate):
        return unitary_operation(checked(_controlled(operation), operation.name, qubits), qubits)
    if isinstance(operation, HamiltonianGate):
        return _evolution(operation, on, read(operation.params[1]))
    if isinstance(operation, DiagonalGate):
        phases = np.angle(np.asarray(operation.params, dtype=complex))
        steps = [DiagonalStep(on, -phases, Polynomial.constant(1.0))]
        return DenseOperation(on, steps, math.inf, lambda: _definition(operation))
    if isinstance(operation, StatePreparation):
        amplitudes = _amplitudes(operation)
        if amplitudes is None or not all(fresh):
            return None
        cost = _ROTATIONS_OF_AMPLITUDE * 2**size if size <= MOST_APART_PREPARED else math.inf
        return DenseOperation(on, [MatrixStep(on, amplitudes[:, None])], cost, lambda: _definition(operation))
    return _isometry(operation, on, fresh)


def _evolution(operation: HamiltonianGate, qubits: tuple[int, ...], time: Polynomial) -> DenseOperation:
    """exp(-i time H): a diagonal in the eigenbasis of H; one matrix where the time is a number."""
    hamiltonian = np.asarray(operation.params[0], dtype=complex)
    size = 1 << len(qubits)
    is_hermitian = hamiltonian.shape == (size, size) and bool(np.all(np.isfinite(hamiltonian)))
    if not is_hermitian or not np.allclose(hamiltonian, hamiltonian.conj().T, rtol=_RELATIVE, atol=_ABSOLUTE):
        raise ValueError(
            f"circuit: '{operation.name}' on qubits {list(qubits)}: expected a Hermitian matrix of shape "
            f"{(size, size)}, got one of shape {hamiltonian.shape} that is not one; correct the gate's matrix"
        )
    energies, basis = np.linalg.eigh(hamiltonian)
    if time.degree == 0:
        phases = np.exp(-1j * time.constant_value * energies)
        return unitary_operation(basis * phases @ basis.conj().T, qubits)
    steps: list[DenseStep] = [
        MatrixStep(qubits, basis.conj().T),
        DiagonalStep(qubits, energies, time),
        MatrixStep(qubits, basis),
    ]
    cost = 2 * unitary_operation(basis, qubits).rotations
    return DenseOperation(qubits, steps, cost, lambda: evolution_of_matrix(hamiltonian, operation.params[1]))


def _isometry(operation: Isometry, qubits: tuple[int, ...], fresh: Sequence[bool]) -> DenseOperation | None:
    """From its first qubits to all of them, where the others are in |0>."""
    matrix = np.asarray(operation.params[0], dtype=complex)
    matrix = matrix.reshape(len(matrix), -1)
    num_inputs = matrix.shape[1].bit_length() - 1
    if len(matrix) != 1 << len(qubits) or not all(fresh[num_inputs:]):
        return None
    cost = _ROTATIONS_OF_ENTRY * matrix.size if len(qubits) <= MOST_APART else math.inf
    return DenseOperation(qubits, [MatrixStep(qubits, matrix)], cost, lambda: _definition(operation))


def _controlled(operation: ControlledGate) -> npt.NDArray[np.complex128]:
    """The matrix of a controlled gate, whose controls come first: lowest in rows and columns."""
    base = np.asarray(operation.base_gate.to_matrix(), dtype=complex)
    matrix = np.eye(1 << operation.num_qubits, dtype=complex)
    rows = operation.ctrl_state + (np.arange(len(base)) << operation.num_ctrl_qubits)
    matrix[np.ix_(rows, rows)] = base
    return matrix


def _amplitudes(operation: StatePreparation) -> npt.NDArray[np.complex128] | None:
    """The state that is prepared from |0...0>; None: from a label or an integer, which takes no more than flips."""
    if getattr(operation, "_inverse", False) or len(operation.params) != 1 << operation.num_qubits:
        return None
    if any(not isinstance(amplitude, (int, float, complex, np.number)) for amplitude in operation.params):
        return None
    amplitudes = np.asarray(operation.params, dtype=complex)
    return amplitudes if math.isclose(float(np.linalg.norm(amplitudes)), 1.0, rel_tol=1e-6) else None


def _definition(operation: Any) -> QuantumCircuit:
    definition: QuantumCircuit = operation.definition
    return definition


def _has_parameters(operation: Any) -> bool:
    return any(isinstance(param, ParameterExpression) and param.parameters for param in operation.params)
