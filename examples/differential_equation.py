"""A differential equation solved by a quantum circuit.

The loss holds derivatives of the output with respect to the input; training differentiates them once more, exactly:
u'' = -4 u with u(0) = 1, u'(0) = 0 on [0, 1]; the solution is cos(2 t).
"""

from __future__ import annotations

import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector

from qiskit_torch_module import QuantumModule


def build(num_qubits: int = 3, depth: int = 4) -> QuantumModule:
    """The input enters between trainable layers; the output is the sum of <Z>."""
    t, w = ParameterVector("t", 1), ParameterVector("w", 2 * num_qubits * (depth + 1))
    circuit = QuantumCircuit(num_qubits)
    for layer in range(depth + 1):
        for q in range(num_qubits):
            circuit.ry(w[2 * (layer * num_qubits + q)], q)
            circuit.rz(w[2 * (layer * num_qubits + q) + 1], q)
        for q in range(num_qubits - 1):
            circuit.cx(q, q + 1)
        if layer < depth:
            circuit.ry(t[0], range(num_qubits))
    total = {"I" * (num_qubits - 1 - q) + "Z" + "I" * q: 1.0 for q in range(num_qubits)}
    return QuantumModule(circuit, t, w, observables=total, seed_init=0).double()


def main(iterations: int = 150) -> float:
    """Largest error of the solution on the interval."""
    model = build()
    points = torch.linspace(0, 1, 20, dtype=torch.float64)[:, None].requires_grad_()
    optimizer = torch.optim.LBFGS(
        model.parameters(), max_iter=iterations, tolerance_change=1e-12, line_search_fn="strong_wolfe"
    )

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        u = model(points)
        [first] = torch.autograd.grad(u.sum(), points, create_graph=True)
        [second] = torch.autograd.grad(first.sum(), points, create_graph=True)
        value = (second + 4 * u).square().mean() + 10 * (u[0] - 1).square().sum() + 10 * first[0].square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    error = (model(points) - torch.cos(2 * points)).abs().max().item()
    print(f"largest error {error:.5f}")
    return error


if __name__ == "__main__":
    main()
