"""Observables of every accepted kind, as Hermitian sums of Pauli strings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from qiskit.quantum_info import Pauli, PauliList, SparsePauliOp
from qiskit.quantum_info.operators.base_operator import BaseOperator


@dataclass(frozen=True)
class PauliString:
    """A real coefficient times a product of Paulis: X on the qubits in ``x`` only, Z in ``z`` only, Y in both."""

    x: tuple[int, ...]
    z: tuple[int, ...]
    coefficient: float


Observables: TypeAlias = str | BaseOperator | Sequence[str | BaseOperator]


def pauli_sums(observables: Observables, num_qubits: int) -> list[list[PauliString]]:
    """One list of Pauli strings for each observable.

    Args:
        observables: "individualZ" (Z of qubit 0, 1, ...), "tensoredZ" (Z on all qubits at once), a Pauli label such as
            "ZZI" (qubit 0 is the rightmost letter), a ``Pauli``, ``SparsePauliOp`` or other Qiskit operator, or a
            sequence of them.
        num_qubits: Number of qubits of the circuit.

    Raises:
        TypeError: not one of these kinds.
        ValueError: wrong size, not Hermitian, not a Pauli label, or an empty sequence.
    """
    if isinstance(observables, str) and observables == "individualZ":
        return [[PauliString((), (qubit,), 1.0)] for qubit in range(num_qubits)]
    if isinstance(observables, str) and observables == "tensoredZ":
        return [[PauliString((), tuple(range(num_qubits)), 1.0)]]
    if isinstance(observables, PauliList):
        observables = list(observables)
    if isinstance(observables, (str, BaseOperator)):
        observables = [observables]
    if not isinstance(observables, Sequence):
        raise TypeError(
            "observables: expected 'individualZ', 'tensoredZ', a Pauli label, a Qiskit operator such as SparsePauliOp, "
            f"or a sequence of them, got {type(observables).__name__}"
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
    operator = operator.simplify(atol=0.0)
    coefficients = np.asarray(operator.coeffs, dtype=complex)
    if not np.all(np.isfinite(coefficients)):
        raise ValueError(f"observables[{index}]: expected finite coefficients, got {coefficients.tolist()}")
    if np.any(np.abs(coefficients.imag) > 1e-12 * np.max(np.abs(coefficients))):
        raise ValueError(
            f"observables[{index}]: expected a Hermitian operator (real Pauli coefficients), got imaginary parts; "
            "split it as A = (A + A^dagger)/2 + i (A - A^dagger)/(2i) into two observables"
        )
    return [
        PauliString(tuple(np.flatnonzero(x).tolist()), tuple(np.flatnonzero(z).tolist()), float(coefficient))
        for x, z, coefficient in zip(operator.paulis.x, operator.paulis.z, coefficients.real, strict=True)
    ]


def _sparse(observable: Any, index: int) -> SparsePauliOp:
    if isinstance(observable, SparsePauliOp):
        return observable
    if isinstance(observable, (str, Pauli)):
        try:
            return SparsePauliOp(observable)
        except Exception as error:
            raise ValueError(
                f"observables[{index}]: expected a Pauli label of I, X, Y, Z (or 'individualZ', 'tensoredZ'), "
                f"got {observable!r}"
            ) from error
    if isinstance(observable, BaseOperator):
        return SparsePauliOp.from_operator(observable)
    raise TypeError(
        f"observables[{index}]: expected a Pauli label or a Qiskit operator such as SparsePauliOp, "
        f"got {type(observable).__name__}"
    )
