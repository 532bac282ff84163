"""Circuits of the literature, ready for a `QuantumModule`."""

from __future__ import annotations

from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector

from ._core.arguments import whole_number
from ._core.sizes import counted
from ._simulation.room import require_bytes

# Of the gates and parameters of a layer on a qubit, as Qiskit holds them.
_BYTES_OF_GATES = 4000


def incremental_data_uploading(num_qubits: int, depth: int) -> tuple[QuantumCircuit, ParameterVector, ParameterVector]:
    """A full-quantum classifier that uploads its data bit by bit.

    Hadamards; ``depth`` times RZ and RY on every qubit, a ring of CX, and RX of one new feature on every qubit; a last
    RZ and RY on every qubit.

    Args:
        num_qubits: Number of qubits, at least 1.
        depth: Number of layers, at least 1.

    Returns:
        The circuit, its ``num_qubits * depth`` encoding parameters and its ``2 * num_qubits * (depth + 1)``
        variational parameters.

    Raises:
        TypeError: something other than a whole number.
        ValueError: fewer than one qubit or layer.

    Source: Periyasamy et al., "Incremental Data-Uploading for Full-Quantum Classification", IEEE QCE 2022
    (arXiv:2205.03057), with the ansatz of Meyer et al., arXiv:2404.06314, section IV.

    Example:
        >>> circuit, features, weights = qtm.circuits.incremental_data_uploading(
        ...     num_qubits=4, depth=2
        ... )
        >>> circuit.num_qubits, len(features), len(weights)
        (4, 8, 24)
    """
    num_qubits, depth = whole_number(num_qubits, "num_qubits", 1), whole_number(depth, "depth", 1)
    size = _BYTES_OF_GATES * num_qubits * (depth + 1)
    require_bytes(size, f"num_qubits, depth: {counted(depth, 'layer')} on {counted(num_qubits, 'qubit')}", "use fewer")
    features = ParameterVector("x", num_qubits * depth)
    weights = ParameterVector("w", 2 * num_qubits * (depth + 1))
    circuit = QuantumCircuit(num_qubits)
    circuit.h(range(num_qubits))
    for layer in range(depth + 1):
        for qubit in range(num_qubits):
            first = 2 * (num_qubits * layer + qubit)
            circuit.rz(weights[first], qubit)
            circuit.ry(weights[first + 1], qubit)
        if layer == depth:
            break
        for qubit in range(num_qubits - 1):
            circuit.cx(qubit, qubit + 1)
        if num_qubits > 2:
            circuit.cx(num_qubits - 1, 0)
        for qubit in range(num_qubits):
            circuit.rx(features[num_qubits * layer + qubit], qubit)
    return circuit, features, weights
