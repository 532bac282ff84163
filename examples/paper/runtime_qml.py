"""Run time of values and gradients (Fig. 1 of Meyer et al., arXiv:2404.06314), with qiskit-machine-learning."""

from __future__ import annotations

import time

import torch
from circuits import reuploading
from qiskit.primitives import StatevectorEstimator
from qiskit.quantum_info import SparsePauliOp
from qiskit_machine_learning.connectors import TorchConnector
from qiskit_machine_learning.gradients import ParamShiftEstimatorGradient
from qiskit_machine_learning.neural_networks import EstimatorQNN


def build(num_qubits: int, depth: int) -> torch.nn.Module:
    """The circuit as a layer of PyTorch: <Z> of every qubit."""
    circuit, inputs, weights, scaling = reuploading(num_qubits, depth)
    estimator = StatevectorEstimator()
    n = num_qubits
    labels = ["I" * (n - q - 1) + "Z" + "I" * q for q in range(n)]
    network = EstimatorQNN(
        circuit=circuit,
        estimator=estimator,
        input_params=list(inputs),
        weight_params=[*weights, *scaling],
        observables=[SparsePauliOp(label) for label in labels],
        gradient=ParamShiftEstimatorGradient(estimator),
        default_precision=0.0,
    )
    return TorchConnector(network)


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
