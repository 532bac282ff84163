"""Before and after: a classifier by parity, the same ``SamplerQNN`` with its own sampler and gradient, and with ours.

Needs qiskit-machine-learning (0.7 or later): ``pip install qiskit-machine-learning``. Its own sampler gives exact
probabilities, its own gradient is parameter shift; both come with every release.
"""

from __future__ import annotations

import statistics
import time

import numpy as np
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit_machine_learning.connectors import TorchConnector
from qiskit_machine_learning.neural_networks import SamplerQNN

from qiskit_torch_module import FastReverseSamplerGradient, FastSampler, QuantumModule


def parity(outcome: int) -> int:
    """The class of an outcome: whether an odd number of qubits is 1."""
    return bin(outcome).count("1") % 2


def reuploading(num_qubits: int, depth: int) -> tuple[QuantumCircuit, ParameterVector, ParameterVector]:
    """Data re-uploading with a ring of CX; inputs x, weights w."""
    x, w = ParameterVector("x", num_qubits), ParameterVector("y", 2 * num_qubits * (depth + 1))
    circuit = QuantumCircuit(num_qubits)
    for layer in range(depth + 1):
        for q in range(num_qubits):
            circuit.ry(w[2 * (layer * num_qubits + q)], q)
            circuit.rz(w[2 * (layer * num_qubits + q) + 1], q)
        if layer < depth:
            for q in range(num_qubits):
                circuit.cx(q, (q + 1) % num_qubits)
                circuit.rx(x[q], q)
    return circuit, x, w


def models(num_qubits: int, depth: int) -> dict[str, torch.nn.Module]:
    """The network with its own sampler and gradient, with ours, and as a module; all with the same weights."""
    circuit, x, w = reuploading(num_qubits, depth)

    def network(**primitives: object) -> TorchConnector:
        qnn = SamplerQNN(
            circuit=circuit,
            input_params=list(x),
            weight_params=list(w),
            interpret=parity,
            output_shape=2,
            **primitives,
        )
        return TorchConnector(qnn, initial_weights=np.linspace(-1, 1, len(w)))

    swapped = network(sampler=FastSampler(), gradient=FastReverseSamplerGradient())
    return {"stock": network(), "swapped": swapped, "QuantumModule.from_qnn": QuantumModule.from_qnn(swapped)}


def training_step(
    model: torch.nn.Module, inputs: torch.Tensor, labels: torch.Tensor
) -> tuple[float, torch.Tensor, torch.Tensor]:
    """Seconds for probabilities and gradients, the probabilities, and the gradient of the weights."""
    begin = time.perf_counter()
    model.zero_grad()
    probabilities = model(inputs)
    torch.nn.functional.nll_loss(probabilities.clamp_min(1e-12).log(), labels).backward()
    (weights,) = model.parameters()
    assert weights.grad is not None
    return time.perf_counter() - begin, probabilities.detach().double(), weights.grad.double()


def main(num_qubits: int = 4, depth: int = 2, batch: int = 8, repeats: int = 3) -> float:
    """Prints the times of all three; returns how many times faster the swap is."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.rand(batch, num_qubits, generator=generator)
    labels = torch.randint(2, (batch,), generator=generator)
    networks = models(num_qubits, depth)
    times, results = {}, {}
    for network in networks.values():
        training_step(network, inputs[:1], labels[:1])  # what is compiled once
    for _ in range(repeats):
        for name, network in networks.items():
            seconds, *results[name] = training_step(network, inputs, labels)
            times.setdefault(name, []).append(seconds)
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    for name, seconds in medians.items():
        for before, after in zip(results["stock"], results[name], strict=True):
            torch.testing.assert_close(after, before, atol=1e-5, rtol=0)
        print(f"{name}: {seconds:.4f} s, {medians['stock'] / seconds:.0f} times as fast, same values and gradients")
    return medians["stock"] / medians["swapped"]


if __name__ == "__main__":
    main()
