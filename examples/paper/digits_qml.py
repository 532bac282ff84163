"""Full-quantum classification of digits (Table II of Meyer et al., arXiv:2404.06314), with qiskit-machine-learning."""

from __future__ import annotations

import torch
from qiskit.primitives import StatevectorEstimator
from qiskit.quantum_info import SparsePauliOp
from qiskit_machine_learning.connectors import TorchConnector
from qiskit_machine_learning.gradients import ParamShiftEstimatorGradient
from qiskit_machine_learning.neural_networks import EstimatorQNN
from sklearn.datasets import load_digits

from qiskit_torch_module.circuits import incremental_data_uploading


def build(num_qubits: int, depth: int) -> torch.nn.Module:
    """<Z> of every qubit is the logit of a class."""
    circuit, inputs, weights = incremental_data_uploading(num_qubits, depth)
    estimator = StatevectorEstimator()
    n = num_qubits
    labels = ["I" * (n - q - 1) + "Z" + "I" * q for q in range(n)]
    network = EstimatorQNN(
        circuit=circuit,
        estimator=estimator,
        input_params=list(inputs),
        weight_params=list(weights),
        observables=[SparsePauliOp(label) for label in labels],
        gradient=ParamShiftEstimatorGradient(estimator),
        default_precision=0.0,
    )
    return TorchConnector(network)


def main(num_qubits: int = 10, depth: int = 10, updates: int = 250, batch: int = 48) -> list[float]:
    """Loss of every update; digits that do not fit the circuit are cut."""
    torch.manual_seed(0)
    images, labels = load_digits(return_X_y=True)
    pixels = torch.as_tensor(images, dtype=torch.float32).reshape(-1, 1, 8, 8) / 16
    pixels = torch.nn.functional.interpolate(pixels, size=(depth, num_qubits), mode="bilinear").flatten(1)
    chosen = torch.as_tensor(labels < num_qubits)
    pixels, classes = pixels[chosen], torch.as_tensor(labels)[chosen]
    model = build(num_qubits, depth)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02, amsgrad=True)
    losses = []
    for _ in range(updates):
        drawn = torch.randint(len(pixels), (batch,))
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(pixels[drawn]), classes[drawn])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


if __name__ == "__main__":
    losses = main()
    print(f"loss {losses[0]:.3f} at first, {sum(losses[-10:]) / 10:.3f} in the end")
