"""Before and after: the same ``EstimatorQNN`` with the stock estimator and gradient, and with ours swapped in.

Needs qiskit-machine-learning (0.7 or later): ``pip install qiskit-machine-learning``. With Qiskit before 2 the stock
gradient is the reverse one of qiskit-algorithms, with Qiskit 2 it is parameter shift, the only exact one left.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import SparsePauliOp
from qiskit_machine_learning.connectors import TorchConnector
from qiskit_machine_learning.neural_networks import EstimatorQNN

from qiskit_torch_module import FastEstimator, FastReverseEstimatorGradient


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


def training_step(model: TorchConnector, inputs: torch.Tensor) -> tuple[float, torch.Tensor, torch.Tensor]:
    """Seconds for values and gradients, the values, and the gradient of the weights."""
    begin = time.perf_counter()
    model.zero_grad()
    values = model(inputs)
    values.square().sum().backward()
    return time.perf_counter() - begin, values.detach(), model.weight.grad


def main(num_qubits: int = 4, depth: int = 2, batch: int = 8) -> float:
    """Prints both times; returns how many times faster the swap is."""
    circuit, x, w = reuploading(num_qubits, depth)
    estimator, gradient, options = stock()
    inputs = torch.rand(batch, num_qubits, generator=torch.Generator().manual_seed(0))
    results = []
    for pair in ((estimator, gradient), (FastEstimator(), FastReverseEstimatorGradient())):
        network = EstimatorQNN(
            circuit=circuit,
            input_params=list(x),
            weight_params=list(w),
            observables=[SparsePauliOp("I" * (num_qubits - 1 - q) + "Z" + "I" * q) for q in range(num_qubits)],
            estimator=pair[0],
            gradient=pair[1],
            **options,
        )
        model = TorchConnector(network, initial_weights=np.linspace(-1, 1, len(w)))
        training_step(model, inputs[:1])  # what is compiled once
        results.append(training_step(model, inputs))
        print(f"{type(pair[0]).__name__} and {type(pair[1]).__name__}: {results[-1][0]:.4f} s")
    for before, after in zip(results[0][1:], results[1][1:], strict=True):
        torch.testing.assert_close(after, before, atol=1e-5, rtol=0)
    factor = results[0][0] / results[1][0]
    print(f"same values and gradients, {factor:.0f} times faster")
    return factor


if __name__ == "__main__":
    main()
