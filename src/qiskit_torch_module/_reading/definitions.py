"""What an operation is made of where Qiskit's own definition does not serve."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterExpression
from qiskit.circuit.library import PauliEvolutionGate, StatePreparation
from qiskit.transpiler import PassManager
from qiskit.transpiler.passes import HighLevelSynthesis

from .compat import UnitaryGate
from .observables import matrix_pauli_sum


def synthesised(operation: Any) -> QuantumCircuit | None:
    """What Qiskit makes of an abstract operation, such as an ``AnnotatedOperation`` or a ``Clifford``.

    Raises:
        Exception: whatever Qiskit raises where it cannot.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # why it failed; the caller says what to do
        circuit = PassManager([HighLevelSynthesis()]).run(alone(operation))
    return circuit if all(type(instruction.operation) is not type(operation) for instruction in circuit.data) else None


def alone(operation: Any) -> QuantumCircuit:
    """A circuit of one operation."""
    circuit = QuantumCircuit(operation.num_qubits)
    circuit.append(operation, range(operation.num_qubits))
    return circuit


def copied(circuit: QuantumCircuit) -> QuantumCircuit:
    """A copy of a circuit, however deep its gates are nested."""
    try:
        return circuit.copy()
    except RecursionError:  # Qiskit copies gates within gates by recursion; these are shared then
        shallow = circuit.copy_empty_like()
        for instruction in circuit.data:
            shallow._append(instruction)
        return shallow


def preparation(initialize: Any) -> QuantumCircuit:
    """The preparation within an ``Initialize``, without its resets: from amplitudes, a label, or an integer."""
    params = initialize.params
    if isinstance(params[0], str):
        return alone(StatePreparation("".join(params)))
    if len(params) == 1:
        return alone(StatePreparation(int(np.real(params[0])), initialize.num_qubits))
    return alone(StatePreparation(params))


def evolution_of_matrix(hamiltonian: np.ndarray[Any, Any], time: ParameterExpression) -> QuantumCircuit:
    """exp(-i time H) in the eigenbasis of H, where it is a product of commuting rotations about products of Z."""
    energies, basis = np.linalg.eigh(hamiltonian)
    num_qubits = len(energies).bit_length() - 1
    circuit = QuantumCircuit(num_qubits)
    circuit.append(UnitaryGate(basis.conj().T), range(num_qubits))
    circuit.append(PauliEvolutionGate(matrix_pauli_sum(np.diag(energies)), time), range(num_qubits))
    circuit.append(UnitaryGate(basis), range(num_qubits))
    return circuit
