"""The circuit of the paper's run times and policies: data re-uploading with trainable scaling of the input."""

from __future__ import annotations

from itertools import combinations

from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector


def reuploading(
    num_qubits: int, depth: int, *, all_pairs: bool = False
) -> tuple[QuantumCircuit, ParameterVector, ParameterVector, ParameterVector]:
    """Circuit, inputs, weights and scalings; entanglement is a ring of CX, or CZ between all pairs."""
    n = num_qubits
    inputs, weights = ParameterVector("a", n), ParameterVector("b", 2 * n * (depth + 1))
    scaling = ParameterVector("c", 2 * n * depth)
    circuit = QuantumCircuit(n)
    circuit.h(range(n))
    for layer in range(depth + 1):
        for q in range(n):
            circuit.rz(weights[2 * (n * layer + q)], q)
            circuit.ry(weights[2 * (n * layer + q) + 1], q)
        if layer == depth:
            break
        for first, second in combinations(range(n), 2) if all_pairs else ():
            circuit.cz(first, second)
        for q in range(0 if all_pairs else n):
            circuit.cx(q, (q + 1) % n)
        for q in range(n):
            circuit.ry(scaling[2 * (n * layer + q)] * inputs[q], q)
            circuit.rz(scaling[2 * (n * layer + q) + 1] * inputs[q], q)
    return circuit, inputs, weights, scaling
