"""Run time of values and gradients (Fig. 1 of Meyer et al., arXiv:2404.06314)."""

from __future__ import annotations

import time

import torch
from circuits import reuploading

from qiskit_torch_module import QuantumModule


def build(num_qubits: int, depth: int) -> torch.nn.Module:
    """The circuit as a layer of PyTorch: <Z> of every qubit."""
    circuit, inputs, weights, scaling = reuploading(num_qubits, depth)
    return QuantumModule(
        circuit,
        inputs,
        [weights, scaling],
        observables="individualZ",
    )


def main(num_qubits: int = 4, depth: int = 3, batch: int = 48) -> tuple[float, float]:
    """Seconds for a forward and a backward pass."""
    model, data = build(num_qubits, depth), torch.rand(batch, num_qubits)
    start = time.perf_counter()
    loss = model(data).sum(dim=1).mean()
    middle = time.perf_counter()
    loss.backward()
    return middle - start, time.perf_counter() - middle


if __name__ == "__main__":
    print("forward {:.4f} s, backward {:.4f} s".format(*main()))
