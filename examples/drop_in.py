"""Before and after: the same ``EstimatorQNN`` with the stock estimator and gradient, with ours, and as a module.

Needs qiskit-machine-learning (0.7 or later): ``pip install qiskit-machine-learning``. With Qiskit before 2 the stock
gradient is the reverse one of qiskit-algorithms, with Qiskit 2 it is parameter shift, the only exact one left.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import SparsePauliOp
from qiskit_machine_learning.connectors import TorchConnector
from qiskit_machine_learning.neural_networks import EstimatorQNN

from qiskit_torch_module import FastEstimator, FastReverseEstimatorGradient, QuantumModule


def stock() -> tuple[Any, Any, dict[str, Any]]:
    """Stock estimator and gradient, and what else the network wants with them."""
    try:
        from qiskit.primitives import StatevectorEstimator
        from qiskit_machine_learning.gradients import ParamShiftEstimatorGradient

        estimator = StatevectorEstimator()
        return estimator, ParamShiftEstimatorGradient(estimator), {"default_precision": 0.0}
    except ImportError:
        from qiskit.primitives import Estimator
        from qiskit_algorithms.gradients import ReverseEstimatorGradient

        return Estimator(), ReverseEstimatorGradient(), {}


def reuploading(num_qubits: int, depth: int) -> tuple[QuantumCircuit, ParameterVector, ParameterVector]:
    """Data re-uploading with a ring of CX; inputs x, weights w."""
    x, w = ParameterVector("x", num_qubits), ParameterVector("w", 2 * num_qubits * (depth + 1))
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
    """The network with the stock pair, the same with ours, and as a module; all with the same weights."""
    circuit, x, w = reuploading(num_qubits, depth)
    estimator, gradient, options = stock()

    def network(estimator: Any, gradient: Any) -> TorchConnector:
        qnn = EstimatorQNN(
            circuit=circuit,
            input_params=list(x),
            weight_params=list(w),
            observables=[SparsePauliOp("I" * (num_qubits - 1 - q) + "Z" + "I" * q) for q in range(num_qubits)],
            estimator=estimator,
            gradient=gradient,
            **options,
        )
        return TorchConnector(qnn, initial_weights=np.linspace(-1, 1, len(w)))

    swapped = network(FastEstimator(), FastReverseEstimatorGradient())
    return {
        "stock": network(estimator, gradient),
        "swapped": swapped,
        "QuantumModule.from_qnn": QuantumModule.from_qnn(swapped),
    }


def training_step(model: torch.nn.Module, inputs: torch.Tensor) -> tuple[float, torch.Tensor, torch.Tensor]:
    """Seconds for values and gradients, the values, and the gradient of the weights."""
    begin = time.perf_counter()
    model.zero_grad()
    values = model(inputs)
    values.square().sum().backward()
    seconds = time.perf_counter() - begin
    (weights,) = model.parameters()
    assert weights.grad is not None
    return seconds, values.detach().double(), weights.grad.double()


def main(num_qubits: int = 4, depth: int = 2, batch: int = 8, repeats: int = 3) -> float:
    """Prints the times of all three; returns how many times faster the swap is."""
    inputs = torch.rand(batch, num_qubits, generator=torch.Generator().manual_seed(0))
    networks = models(num_qubits, depth)
    times, results = {}, {}
    for network in networks.values():
        training_step(network, inputs[:1])  # what is compiled once
    for _ in range(repeats):
        for name, network in networks.items():
            seconds, *results[name] = training_step(network, inputs)
            times.setdefault(name, []).append(seconds)
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    for name, seconds in medians.items():
        for before, after in zip(results["stock"], results[name], strict=True):
            torch.testing.assert_close(after, before, atol=1e-5, rtol=0)
        print(f"{name}: {seconds:.4f} s, {medians['stock'] / seconds:.0f} times as fast, same values and gradients")
    return medians["stock"] / medians["swapped"]


if __name__ == "__main__":
    main()
