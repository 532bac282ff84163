"""A hundred initialisations trained at once: ``torch.func.vmap`` over the weights makes one native call of them all."""

from __future__ import annotations

import time

import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from torch.func import functional_call, grad, vmap

from qiskit_torch_module import QuantumModule


def build() -> QuantumModule:
    """Four qubits, data re-uploading."""
    x, w = ParameterVector("x", 4), ParameterVector("w", 24)
    circuit = QuantumCircuit(4)
    for layer in range(3):
        for q in range(4):
            circuit.ry(w[8 * layer + q], q)
            circuit.rz(w[8 * layer + 4 + q], q)
        for q in range(4):
            circuit.cx(q, (q + 1) % 4)
        circuit.rx(x[0], 0)
        circuit.rx(x[1], 1)
        circuit.rx(x[2], 2)
        circuit.rx(x[3], 3)
    return QuantumModule(circuit, x, w, "weights", observables="ZZZZ", seed_init=0)


def main(members: int = 100, updates: int = 20) -> float:
    """How many times faster the ensemble trains than its members one after the other."""
    model, generator = build(), torch.Generator().manual_seed(0)
    inputs = torch.rand(16, 4, generator=generator)
    targets = torch.cos(inputs.sum(dim=1, keepdim=True))
    starts = torch.rand(members, 24, generator=generator) * 6.28

    def loss(weights: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.mse_loss(functional_call(model, {"weights": weights}, (inputs,)), targets)

    together, gradient = starts.clone(), vmap(grad(loss))
    gradient(together)  # the first call of torch.func imports for a second
    begin = time.perf_counter()
    for _ in range(updates):
        together -= 0.3 * gradient(together)
    ensemble_time = time.perf_counter() - begin

    begin = time.perf_counter()
    alone = []
    for start in starts:
        with torch.no_grad():
            model.weights.copy_(start)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
        for _ in range(updates):
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(model(inputs), targets).backward()
            optimizer.step()
        alone.append(model.weights.detach().clone())
    single_time = time.perf_counter() - begin

    torch.testing.assert_close(together, torch.stack(alone), atol=1e-3, rtol=0)
    losses = vmap(loss)(together)
    print(f"{members} members, {updates} updates: {ensemble_time:.3f} s together, {single_time:.3f} s one by one")
    print(f"best loss {losses.min():.4f}, median {losses.median():.4f}")
    return single_time / ensemble_time


if __name__ == "__main__":
    main()
