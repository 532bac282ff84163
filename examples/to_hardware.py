"""Digits, trained in simulation, then evaluated and trained on on a device with noise.

Four classes of the digits of scikit-learn, twelve pixels each, on four qubits. The device is a snapshot of a real one,
whose gates err more often than is usual today; Aer simulates it. As many further updates in simulation stand beside
those on the device, whose gradients, by the parameter-shift rule, know the errors that it makes.

    python examples/to_hardware.py

Needs scikit-learn, qiskit-aer and qiskit-ibm-runtime, of which only the snapshot is used.
"""

from __future__ import annotations

import time

import torch
from qiskit_aer.primitives import EstimatorV2
from qiskit_ibm_runtime.fake_provider import FakeYorktownV2

import qiskit_torch_module as qtm
from qiskit_torch_module.applications.images import load_digits
from qiskit_torch_module.circuits import incremental_data_uploading

CLASSES = 4
PRECISION = 0.03  # about a thousand shots
RATE = 0.05  # of Adam
SHARPNESS = 3.0  # of the softmax: expectation values lie between -1 and 1


def images(seed: int = 0) -> list[torch.Tensor]:
    """Angles (images, 12) and labels for training, then for testing: the first classes alone."""
    digits = load_digits(seed)
    parts = []
    for pixels, labels in ((digits.train_pixels, digits.train_labels), (digits.test_pixels, digits.test_labels)):
        kept = pixels[labels < CLASSES].reshape(-1, 1, 10, 10)
        parts += [torch.pi * torch.nn.functional.adaptive_avg_pool2d(kept, (4, 3)).flatten(1), labels[labels < CLASSES]]
    return parts


def loss_of(model: torch.nn.Module, angles: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, float]:
    """Cross-entropy, and the share of images whose class is found."""
    logits = SHARPNESS * model(angles)
    accuracy = (logits.argmax(1) == labels).double().mean().item()
    return torch.nn.functional.cross_entropy(logits, labels), accuracy


def train(model: torch.nn.Module, data: list[torch.Tensor], updates: int, batch_size: int, rate: float) -> None:
    """Adam on batches that are drawn at random."""
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    generator = torch.Generator().manual_seed(0)
    for _ in range(updates):
        batch = torch.randperm(len(data[0]), generator=generator)[:batch_size]
        optimizer.zero_grad()
        loss_of(model, data[0][batch], data[1][batch])[0].backward()
        optimizer.step()


def report(name: str, model: torch.nn.Module, data: list[torch.Tensor], count: int | None) -> float:
    """Prints loss and accuracy on test images; returns the loss."""
    with torch.no_grad():
        loss, accuracy = loss_of(model, data[2][:count], data[3][:count])
    print(f"{name}: loss {loss.item():.3f}, accuracy {accuracy:.3f}")
    return loss.item()


def main(
    updates: int = 5, updates_on_device: int = 20, batch_size: int = 10, tested: int | None = None
) -> dict[str, float]:
    """Prints losses and accuracies on test images; returns the losses."""
    circuit, features, weights = incremental_data_uploading(CLASSES, 3)
    model, data = qtm.QuantumModule(circuit, features, weights, seed_init=0), images()
    train(model, data, updates, 50, RATE)
    estimator = EstimatorV2.from_backend(FakeYorktownV2(), options={"run_options": {"seed_simulator": 0}})
    moved = qtm.with_method(model, qtm.methods.Primitive(estimator, precision=PRECISION))
    weights_before = model.variational.detach().clone()

    losses = {}
    for name, computed in (("simulation", model), ("device", moved)):
        losses[name] = report(f"trained in simulation, on the {name}", computed, data, tested)
    train(model, data, updates_on_device, batch_size, RATE)
    losses["simulation, then device"] = report("trained on in simulation, on the device", moved, data, tested)
    with torch.no_grad():
        model.variational.copy_(weights_before)
    print(f"an update on the device: {moved.cost(data[0][:batch_size])}")
    begin = time.perf_counter()
    train(moved, data, updates_on_device, batch_size, RATE)
    print(f"{updates_on_device} updates on the device: {time.perf_counter() - begin:.0f} s")
    losses["device, trained on"] = report("trained on on the device, on the device", moved, data, tested)
    return losses


if __name__ == "__main__":
    main()
