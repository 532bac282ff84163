"""Observables of every accepted kind, as Hermitian sums of Pauli strings."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.sparse
from qiskit.quantum_info import Operator, Pauli, PauliList, SparsePauliOp
from qiskit.quantum_info.operators.base_operator import BaseOperator

from ._compat import SparseObservable


@dataclass(frozen=True)
class PauliString:
    """A real coefficient times a product of Paulis: letter i (X, Y or Z) on qubit i."""

    letters: str
    qubits: tuple[int, ...]
    coefficient: float


Observables: TypeAlias = Any  # see `pauli_sums`

# A matrix becomes a sum of at most this many Pauli strings.
MAX_MATRIX_TERMS = 1 << 24


def pauli_sums(observables: Observables, num_qubits: int) -> list[list[PauliString]]:
    """One list of Pauli strings for each observable.

    Args:
        observables: "individualZ" (Z of qubit 0, 1, ...), "tensoredZ" (Z on all qubits at once), or one or a sequence
            of: a Pauli label such as "ZZI" (qubit 0 is the rightmost letter), a ``Pauli``, ``SparsePauliOp``,
            ``SparseObservable``, ``Operator`` or other Qiskit operator, a mapping from label to coefficient, a
            dense or SciPy sparse matrix of shape (2^n, 2^n). A ``PauliList`` is a sequence.
        num_qubits: Number of qubits of the circuit.

    Raises:
        TypeError: not one of these kinds.
        ValueError: wrong size, not Hermitian, not a Pauli label, or an empty sequence.
    """
    if isinstance(observables, str) and observables == "individualZ":
        return [[PauliString("Z", (qubit,), 1.0)] for qubit in range(num_qubits)]
    if isinstance(observables, str) and observables == "tensoredZ":
        return [[PauliString("Z" * num_qubits, tuple(range(num_qubits)), 1.0)]]
    if isinstance(observables, PauliList):
        observables = list(observables)
    if isinstance(observables, _KINDS):
        observables = [observables]
    if not isinstance(observables, Sequence):
        raise TypeError(
            f"observables: expected 'individualZ', 'tensoredZ', {_EXPECTED}, or a sequence of them, "
            f"got {type(observables).__name__}"
        )
    if len(observables) == 0:
        raise ValueError("observables: expected at least one, got none; 'individualZ' is Z of every qubit")
    return [_pauli_sum(observable, index, num_qubits) for index, observable in enumerate(observables)]


def _pauli_sum(observable: Any, index: int, num_qubits: int) -> list[PauliString]:
    operator = _sparse(observable, index)
    if operator.num_qubits != num_qubits:
        raise ValueError(
            f"observables[{index}]: expected {num_qubits} qubits as in the circuit, got {operator.num_qubits}; pad it "
            "with identities (apply_layout or tensor)"
        )
    try:
        operator = operator.simplify(atol=0.0)
        coefficients = np.asarray(operator.coeffs, dtype=complex)
    except TypeError as error:
        raise ValueError(f"observables[{index}]: expected numbers as coefficients; bind its parameters") from error
    if not np.all(np.isfinite(coefficients)):
        raise ValueError(f"observables[{index}]: expected finite coefficients, got {coefficients.tolist()}")
    if np.any(np.abs(coefficients.imag) > 1e-12 * np.max(np.abs(coefficients))):
        raise ValueError(
            f"observables[{index}]: expected a Hermitian operator (real Pauli coefficients), got imaginary parts; "
            "split it as A = (A + A^dagger)/2 + i (A - A^dagger)/(2i) into two observables"
        )
    # Pauli.z and .x of all terms at once: letter number x + 2 z.
    codes = operator.paulis.x + 2 * operator.paulis.z.astype(np.int8)
    strings = []
    for row, coefficient in zip(codes, coefficients.real.tolist(), strict=True):
        qubits = np.flatnonzero(row)
        strings.append(PauliString("".join("_XZY"[code] for code in row[qubits]), tuple(qubits.tolist()), coefficient))
    return strings


_KINDS: tuple[Any, ...] = (str, Mapping, BaseOperator, np.ndarray, scipy.sparse.spmatrix, scipy.sparse.sparray)
if SparseObservable is not None:
    _KINDS = (*_KINDS, SparseObservable)
_EXPECTED = (
    "a Pauli label, a Qiskit operator such as SparsePauliOp, a mapping from Pauli label to coefficient or a matrix"
)


def _sparse(observable: Any, index: int) -> SparsePauliOp:
    if isinstance(observable, SparsePauliOp):
        return observable
    if isinstance(observable, (str, Pauli, Mapping)):
        try:
            return _labelled(observable)
        except Exception as error:
            raise ValueError(
                f"observables[{index}]: expected a Pauli label of I, X, Y, Z (or 'individualZ', 'tensoredZ'), "
                f"got {observable!r}"
            ) from error
    if SparseObservable is not None and isinstance(observable, SparseObservable):
        return _without_projectors(observable)
    if isinstance(observable, BaseOperator):
        observable = Operator(observable).data
    if isinstance(observable, _KINDS):
        return matrix_pauli_sum(observable, f"observables[{index}]")
    raise TypeError(f"observables[{index}]: expected {_EXPECTED}, got {type(observable).__name__}")


def _labelled(observable: Any) -> SparsePauliOp:
    """A Pauli label, a Pauli, or a mapping from labels to coefficients; from Qiskit 1.3 on also with projectors."""
    if not isinstance(observable, Mapping):
        return SparsePauliOp(observable)
    if SparseObservable is not None and set("".join(map(str, observable))) - set("IXYZ"):
        return _without_projectors(SparseObservable.from_list(list(observable.items())))
    return SparsePauliOp(list(observable.keys()), list(observable.values()))


# Each is (I + sign * letter) / 2.
_PROJECTORS = {
    "ZERO": (1, "Z"),
    "ONE": (-1, "Z"),
    "PLUS": (1, "X"),
    "MINUS": (-1, "X"),
    "RIGHT": (1, "Y"),
    "LEFT": (-1, "Y"),
}


def _without_projectors(observable: Any) -> SparsePauliOp:
    """A ``SparseObservable`` with its projectors multiplied out."""
    terms: list[tuple[str, list[int], complex]] = []
    for term in observable:
        names = [SparseObservable.BitTerm(int(bit)).name for bit in term.bit_terms]
        choices = [_halves(name) if name in _PROJECTORS else ((1.0, name),) for name in names]
        for choice in itertools.product(*choices):
            factor, word = math.prod(factor for factor, _ in choice), "".join(letter for _, letter in choice)
            terms.append((word, [int(qubit) for qubit in term.indices], term.coeff * factor))
    return SparsePauliOp.from_sparse_list(terms or [("", [], 0.0)], num_qubits=observable.num_qubits)


def _halves(projector: str) -> tuple[tuple[float, str], tuple[float, str]]:
    sign, letter = _PROJECTORS[projector]
    return (0.5, "I"), (0.5 * sign, letter)


def matrix_pauli_sum(matrix: Any, argument: str = "matrix") -> SparsePauliOp:
    """A dense or sparse matrix (2^n, 2^n) as a sum of Pauli strings.

    The entries with row = column ^ x are, for each x, the Walsh-Hadamard transform of the coefficients of X^x Z^z.

    Raises:
        ValueError: not of this shape, not finite, or too many Pauli strings.
    """
    entries = scipy.sparse.coo_array(matrix, dtype=complex)
    dimension = entries.shape[0]
    num_qubits = max(dimension, 1).bit_length() - 1
    if len(entries.shape) != 2 or entries.shape != (2**num_qubits, 2**num_qubits) or num_qubits == 0:
        raise ValueError(f"{argument}: expected a matrix of shape (2^n, 2^n), got {entries.shape}")
    if not np.all(np.isfinite(entries.data)):
        raise ValueError(f"{argument}: expected finite entries")
    rows, columns = entries.coords
    flips, group = np.unique(rows ^ columns, return_inverse=True)
    if len(flips) * dimension > MAX_MATRIX_TERMS:
        raise ValueError(
            f"{argument}: a matrix on {num_qubits} qubits has up to {len(flips) * dimension} Pauli strings, more than "
            f"{MAX_MATRIX_TERMS}; give it as a SparsePauliOp"
        )
    spectrum = np.zeros((len(flips), dimension), dtype=complex)
    np.add.at(spectrum, (group, columns), entries.data / dimension)
    spectrum = _walsh_hadamard(spectrum, num_qubits)
    scale = max(1e-300, float(np.max(np.abs(spectrum), initial=0.0)))
    which, signs = np.nonzero(np.abs(spectrum) > 1e-15 * scale)
    bits = np.arange(num_qubits)
    x, z = (flips[which, None] >> bits & 1).astype(bool), (signs[:, None] >> bits & 1).astype(bool)
    # X Z = -i Y
    coefficients = spectrum[which, signs] * (-1j) ** np.sum(x & z, axis=1)
    if len(coefficients) == 0:
        return SparsePauliOp("I" * num_qubits, 0.0)
    return SparsePauliOp(PauliList.from_symplectic(z, x), coefficients)


def _walsh_hadamard(vectors: npt.NDArray[Any], num_qubits: int) -> npt.NDArray[Any]:
    """Transform of every row."""
    for bit in range(num_qubits):
        pairs = vectors.reshape(len(vectors), -1, 2, 1 << bit)
        vectors = np.stack([pairs[:, :, 0] + pairs[:, :, 1], pairs[:, :, 0] - pairs[:, :, 1]], axis=2)
    return vectors.reshape(len(vectors), -1)
