"""Every ``PauliEvolutionGate`` as exp(-i t H) of the whole sum, instead of the product formula that it stands for."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
import numpy.typing as npt
from qiskit.circuit import ControlledGate
from qiskit.circuit.library import PauliEvolutionGate
from qiskit.quantum_info import SparsePauliOp
from qiskit.synthesis import LieTrotter, SuzukiTrotter

from .compat import HamiltonianGate
from .observables import pauli_sums

# Of one gate, controls included: its matrix takes 16 * 4^n bytes, and eigenvectors of that.
MAX_QUBITS = 10
MAX_MATRICES = 8

_exact: ContextVar[bool] = ContextVar("exact evolutions", default=False)
_matrices: OrderedDict[Hashable, npt.NDArray[np.complex128]] = OrderedDict()


@contextmanager
def exact_evolutions(exact: bool) -> Iterator[None]:
    """Whether what is compiled inside of the ``with`` block has exact exponentials."""
    token = _exact.set(exact)
    try:
        yield
    finally:
        _exact.reset(token)


def has_exact_evolutions() -> bool:
    """Whether the ``with`` block is one of exact exponentials."""
    return _exact.get()


def exponential(operation: Any, qubits: Sequence[int]) -> HamiltonianGate | None:
    """The exact exponential to take in place of an operation; None: the operation stays as it is.

    Raises:
        ValueError: it acts on too many qubits.
    """
    if not _exact.get():
        return None
    evolution = operation.base_gate if isinstance(operation, ControlledGate) else operation
    if not isinstance(evolution, PauliEvolutionGate):
        return None
    hamiltonian = _pauli_sum(evolution)
    if isinstance(evolution.synthesis, (LieTrotter, SuzukiTrotter)) and _commute(hamiltonian):
        return None  # the product is the exponential
    if operation.num_qubits > MAX_QUBITS:
        raise ValueError(
            f"circuit: '{operation.name}' on qubits {list(qubits)}: exact_evolution takes at most {MAX_QUBITS} qubits, "
            f"got {operation.num_qubits}; leave it out, and give the gate a finer product formula, such as "
            "synthesis=SuzukiTrotter(order=2, reps=10)"
        )
    controls = operation.num_qubits - evolution.num_qubits
    state = operation.ctrl_state if controls else 0
    return HamiltonianGate(_matrix(hamiltonian, controls, state), evolution.time)


def _pauli_sum(evolution: PauliEvolutionGate) -> SparsePauliOp:
    operators = evolution.operator if isinstance(evolution.operator, list) else [evolution.operator]
    size = evolution.num_qubits
    strings = [string for pauli_sum in pauli_sums(operators, size) for string in pauli_sum]
    listed = [(string.letters, list(string.qubits), string.coefficient) for string in strings]
    return SparsePauliOp.from_sparse_list(listed or [("", [], 0.0)], num_qubits=size).simplify(atol=0.0)


def _commute(hamiltonian: SparsePauliOp) -> bool:
    paulis = hamiltonian.paulis
    return all(np.all(paulis.commutes(pauli)) for pauli in paulis)


def _matrix(hamiltonian: SparsePauliOp, controls: int, state: int) -> npt.NDArray[np.complex128]:
    """H where the controls (the lowest qubits) are in a state, 0 elsewhere: its exponential is the controlled one."""
    paulis = hamiltonian.paulis
    key = (paulis.x.tobytes(), paulis.z.tobytes(), paulis.num_qubits, hamiltonian.coeffs.tobytes(), controls, state)
    matrix = _matrices.pop(key, None)
    if matrix is None:
        projector = np.zeros((1 << controls, 1 << controls))
        projector[state, state] = 1.0
        matrix = np.kron(hamiltonian.to_matrix(), projector)
    _matrices[key] = matrix
    if len(_matrices) > MAX_MATRICES:
        _matrices.popitem(last=False)
    return matrix
