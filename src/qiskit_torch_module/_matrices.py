"""Which operations are applied as the matrix that they are, and what that matrix is.

Qiskit takes a unitary of five qubits and more apart into thousands of gates, for which it needs seconds to minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from qiskit.circuit import ControlledGate, ParameterExpression

from ._compat import DiagonalGate, HamiltonianGate, UnitaryGate
from ._polynomial import Polynomial

# Smaller ones come to fewer rotations than is worth leaving the engine's layers for.
LEAST_QUBITS = 5

# As Qiskit's own check of what is unitary or Hermitian.
_RELATIVE, _ABSOLUTE = 1e-5, 1e-8


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


def matrix_step(matrix: npt.ArrayLike, qubits: Sequence[int], gate: str) -> MatrixStep:
    """The step that applies a unitary matrix to qubits.

    Args:
        matrix: Of shape (2^k, 2^k), little-endian as everything in Qiskit.
        qubits: Of the circuit, k of them.
        gate: Its name, for errors.

    Raises:
        ValueError: the matrix has another shape, or is not unitary.
    """
    entries = np.asarray(matrix, dtype=complex)
    _require_square(entries, qubits, gate)
    if not np.allclose(entries.conj().T @ entries, np.eye(len(entries)), rtol=_RELATIVE, atol=_ABSOLUTE):
        raise ValueError(f"{_named(gate, qubits)}: expected a unitary matrix, got one that is not; correct its matrix")
    return MatrixStep(tuple(qubits), entries)


def evolution_steps(hamiltonian: npt.ArrayLike, time: Polynomial, qubits: Sequence[int], gate: str) -> list[DenseStep]:
    """The steps of exp(-i time H): a diagonal in the eigenbasis of H; one matrix where the time is a number.

    Raises:
        ValueError: H has another shape than (2^k, 2^k), or is not Hermitian.
    """
    entries = np.asarray(hamiltonian, dtype=complex)
    _require_square(entries, qubits, gate)
    if not np.allclose(entries, entries.conj().T, rtol=_RELATIVE, atol=_ABSOLUTE):
        raise ValueError(
            f"{_named(gate, qubits)}: expected a Hermitian matrix, got one that is not; correct its matrix"
        )
    energies, basis = np.linalg.eigh(entries)
    on = tuple(qubits)
    if time.degree == 0:
        return [MatrixStep(on, basis * np.exp(-1j * time.constant_value * energies) @ basis.conj().T)]
    return [MatrixStep(on, basis.conj().T), DiagonalStep(on, energies, time), MatrixStep(on, basis)]


def dense_steps(operation: Any, qubits: Sequence[int], read: Callable[[Any], Polynomial]) -> list[DenseStep] | None:
    """The steps of an operation that is applied as a matrix; None: it is taken apart.

    Args:
        operation: A gate.
        qubits: Of the circuit.
        read: Reads an angle.

    Raises:
        ValueError: its matrix is not unitary, or its Hamiltonian not Hermitian.
    """
    if not is_dense(operation):
        return None
    name = operation.name
    if isinstance(operation, DiagonalGate):
        phases = np.angle(np.asarray(operation.params, dtype=complex))
        return [DiagonalStep(tuple(qubits), -phases, Polynomial.constant(1.0))]
    if isinstance(operation, UnitaryGate):
        return [matrix_step(operation.params[0], qubits, name)]
    if isinstance(operation, HamiltonianGate):
        return evolution_steps(operation.params[0], read(operation.params[1]), qubits, name)
    return [matrix_step(_controlled(operation), qubits, name)]


def _controlled(operation: ControlledGate) -> npt.NDArray[np.complex128]:
    """The matrix of a controlled gate, whose controls come first: lowest in rows and columns."""
    base = np.asarray(operation.base_gate.to_matrix(), dtype=complex)
    matrix = np.eye(1 << operation.num_qubits, dtype=complex)
    rows = operation.ctrl_state + (np.arange(len(base)) << operation.num_ctrl_qubits)
    matrix[np.ix_(rows, rows)] = base
    return matrix


def is_dense(operation: Any) -> bool:
    """Whether an operation is applied as a matrix."""
    if isinstance(operation, ControlledGate):
        base = operation.base_gate
        has_matrix = isinstance(base, (UnitaryGate, HamiltonianGate)) and not _parameters(base)
        return has_matrix and operation.num_qubits >= LEAST_QUBITS
    return isinstance(operation, (UnitaryGate, HamiltonianGate, DiagonalGate)) and operation.num_qubits >= LEAST_QUBITS


def _parameters(operation: Any) -> bool:
    return any(isinstance(one, ParameterExpression) and one.parameters for one in operation.params)


def _require_square(matrix: npt.NDArray[np.complex128], qubits: Sequence[int], gate: str) -> None:
    size = 1 << len(qubits)
    if matrix.shape != (size, size) or not np.all(np.isfinite(matrix)):
        raise ValueError(
            f"{_named(gate, qubits)}: expected a matrix of finite numbers of shape {(size, size)}, got one of shape "
            f"{matrix.shape}; correct its matrix"
        )


def _named(gate: str, qubits: Sequence[int]) -> str:
    return f"circuit: '{gate}' on qubits {list(qubits)}"
