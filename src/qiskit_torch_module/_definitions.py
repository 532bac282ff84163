"""What an operation that is not native is made of: Qiskit's definition, or ours where Qiskit has none."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterExpression
from qiskit.circuit.library import PauliEvolutionGate, StatePreparation
from qiskit.transpiler import PassManager, TranspilerError
from qiskit.transpiler.passes import HighLevelSynthesis

from ._compat import HamiltonianGate, Initialize, UnitaryGate
from ._gates import GATES
from ._observables import matrix_pauli_sum


def definition(operation: Any, qubits: Sequence[int]) -> QuantumCircuit:
    """A circuit that does the same as an operation, on as many qubits.

    Raises:
        ValueError: there is none.
    """
    if isinstance(operation, Initialize):  # the caller sees to it that its qubits are in |0>
        return _alone(_preparation(operation))
    if isinstance(operation, HamiltonianGate) and isinstance(operation.params[1], ParameterExpression):
        return _evolution_of_matrix(np.asarray(operation.params[0], dtype=complex), operation.params[1])
    found = getattr(operation, "definition", None)
    if found is None or found.num_qubits != operation.num_qubits:
        found = _synthesised(operation)
    if found is None:
        raise ValueError(
            f"circuit: gate '{operation.name}' on qubits {list(qubits)} is not supported: it is neither native "
            f"({', '.join(sorted(GATES))}) nor has it a definition; decompose it with qiskit.transpile first"
        )
    return found


def _synthesised(operation: Any) -> QuantumCircuit | None:
    """What Qiskit makes of an abstract operation, such as an ``AnnotatedOperation`` or a ``Clifford``."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # why it failed; the caller says what to do
            found = PassManager([HighLevelSynthesis()]).run(_alone(operation))
    except TranspilerError:  # it needs more qubits than its own, for example
        return None
    return found if all(one.operation.name != operation.name for one in found.data) else None


def _alone(operation: Any) -> QuantumCircuit:
    circuit = QuantumCircuit(operation.num_qubits)
    circuit.append(operation, range(operation.num_qubits))
    return circuit


def _preparation(initialize: Any) -> StatePreparation:
    """The preparation within an ``Initialize``: from amplitudes, a label, or an integer."""
    params = initialize.params
    if isinstance(params[0], str):
        return StatePreparation("".join(params))
    if len(params) == 1:
        return StatePreparation(int(np.real(params[0])), initialize.num_qubits)
    return StatePreparation(params)


def _evolution_of_matrix(hamiltonian: np.ndarray[Any, Any], time: ParameterExpression) -> QuantumCircuit:
    """exp(-i time H) in the eigenbasis of H, where it is a product of commuting rotations about products of Z."""
    energies, basis = np.linalg.eigh(hamiltonian)
    num_qubits = len(energies).bit_length() - 1
    circuit = QuantumCircuit(num_qubits)
    circuit.append(UnitaryGate(basis.conj().T), range(num_qubits))
    circuit.append(PauliEvolutionGate(matrix_pauli_sum(np.diag(energies)), time), range(num_qubits))
    circuit.append(UnitaryGate(basis), range(num_qubits))
    return circuit
