"""Matrices as sums of Pauli strings."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import numpy.typing as npt
from qiskit.quantum_info import PauliList, SparsePauliOp

from .paulis import BYTES_OF_STRING, PHASES, Bytes, num_bits, unpacked

# A matrix becomes a sum of at most this many.
MAX_MATRIX_TERMS = 1 << 24


def is_sparse(value: Any) -> bool:
    """Whether it is a sparse matrix of SciPy: whoever made one has imported SciPy."""
    sparse = sys.modules.get("scipy.sparse")
    return sparse is not None and bool(sparse.issparse(value))


def matrix_pauli_sum(matrix: Any, argument: str = "matrix") -> SparsePauliOp:
    """A dense or sparse matrix (2^n, 2^n) as a sum of Pauli strings.

    Raises:
        ValueError: not of this shape, not finite, or too many Pauli strings.
    """
    num_qubits, x, z, coefficients = matrix_strings(matrix, argument)
    if len(coefficients) == 0:
        return SparsePauliOp("I" * num_qubits, 0.0)
    paulis = PauliList.from_symplectic(unpacked(z, num_qubits), unpacked(x, num_qubits))
    return SparsePauliOp(paulis, coefficients)


def matrix_strings(matrix: Any, argument: str) -> tuple[int, Bytes, Bytes, npt.NDArray[np.complex128]]:
    """Number of qubits, masks and coefficients.

    The entries with row = column ^ x are, for each x, the Walsh-Hadamard transform of the coefficients of X^x Z^z.
    """
    shape = np.shape(matrix)
    num_qubits = max(*shape, 1).bit_length() - 1
    if shape != (2**num_qubits, 2**num_qubits) or num_qubits == 0:
        remedy = "several observables are a list, and no array"
        raise ValueError(f"{argument}: expected a matrix of shape (2^n, 2^n), got {shape}; {remedy}")
    dtype = getattr(matrix, "dtype", None)
    if dtype is not None and dtype.kind not in "biufc":
        raise ValueError(f"{argument}: expected a matrix of numbers, got one of dtype {dtype}")
    from scipy.sparse import coo_array  # takes a tenth of a second to import

    entries = coo_array(matrix)
    if is_sparse(matrix):
        entries.sum_duplicates()
    values = np.asarray(entries.data, dtype=complex if np.iscomplexobj(entries.data) else float)
    if not np.all(np.isfinite(values)):
        raise ValueError(f"{argument}: expected finite entries")
    if np.iscomplexobj(values) and not np.any(values.imag):
        values = values.real
    dimension, (rows, columns) = shape[0], entries.coords
    group = np.full(dimension, -1)
    group[rows ^ columns] = 0
    flips = np.flatnonzero(group == 0)
    if len(flips) * dimension > MAX_MATRIX_TERMS:
        count = len(flips) * dimension
        raise ValueError(
            f"{argument}: a matrix on {num_qubits} qubits has up to {count} Pauli strings, more than "
            f"{MAX_MATRIX_TERMS}, which take {count * BYTES_OF_STRING:.3g} bytes; give it as a SparsePauliOp"
        )
    group[flips] = np.arange(len(flips))
    spectrum = np.zeros((len(flips), dimension), dtype=values.dtype)
    spectrum[group[rows ^ columns], columns] = values / dimension
    spectrum = _walsh_hadamard(spectrum, num_qubits)
    sizes = np.abs(spectrum)
    which, signs = np.nonzero(sizes > 1e-15 * max(1e-300, float(np.max(sizes, initial=0.0))))
    x, z = (np.ascontiguousarray(masks, dtype="<u4").view(np.uint8).reshape(-1, 4) for masks in (flips[which], signs))
    x, z = x[:, : (num_qubits + 7) // 8], z[:, : (num_qubits + 7) // 8]
    # X Z = -i Y
    return num_qubits, x, z, spectrum[which, signs] * PHASES[num_bits(x & z) % 4]


def _walsh_hadamard(vectors: npt.NDArray[Any], num_qubits: int) -> npt.NDArray[Any]:
    """Transform of every row: by matrices on half of the bits each."""
    low = num_qubits // 2
    high = num_qubits - low
    vectors = vectors.reshape(-1, 1 << low) @ _hadamard(low)
    transformed: npt.NDArray[Any] = _hadamard(high) @ vectors.reshape(-1, 1 << high, 1 << low)
    return transformed.reshape(-1, 1 << num_qubits)


def _hadamard(num_qubits: int) -> npt.NDArray[np.float64]:
    matrix = np.ones((1, 1))
    for _ in range(num_qubits):
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return matrix
