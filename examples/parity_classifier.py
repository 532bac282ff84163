"""A classifier by parity: two rings of points, told apart by whether an even number of qubits is found in |1>.

`Probabilities` with `interpret` adds the probabilities of all outcomes up into those of two classes, so that a
classifier needs nothing behind the circuit: its loss is the negative logarithm of the probability of the right class.
The rings are blurred until they overlap, so that nobody can be right always: the best rule there is, by the distance
from the centre, stands beside the circuit.

    python examples/parity_classifier.py [parity_classifier.svg]    (the picture needs matplotlib)
"""

from __future__ import annotations

import math
import sys
import time

import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector

from qiskit_torch_module import QuantumModule, plots
from qiskit_torch_module.outputs import Probabilities

RADII, BLUR = (0.5, 1.0), 0.17


def rings(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Points (count, 2) around circles, each coordinate blurred, and which circle each belongs to."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 2
    angles = 2 * math.pi * torch.rand(count, generator=generator)
    points = torch.tensor(RADII)[labels, None] * torch.stack([angles.cos(), angles.sin()], 1)
    return points + BLUR * torch.randn(count, 2, generator=generator), labels


def best(points: torch.Tensor) -> torch.Tensor:
    """The more likely circle of each point: densities are exp(-R^2 / 2 s^2) I0(r R / s^2), but for what both share."""
    distance = points.norm(dim=1, keepdim=True)
    radii = torch.tensor(RADII)
    # I0(z) = exp(z) i0e(z), and exp(z) may overflow.
    densities = torch.special.i0e(distance * radii / BLUR**2).log() - (distance - radii).square() / (2 * BLUR**2)
    return densities.argmax(dim=1)


def build(num_qubits: int = 4, depth: int = 3) -> QuantumModule:
    """Features enter between trainable layers, with trainable scaling; the output is the probability of each parity."""
    x = ParameterVector("x", 2)
    w = ParameterVector("w", 2 * num_qubits * (depth + 1))
    s = ParameterVector("s", num_qubits * depth)
    circuit, weights, scaling = QuantumCircuit(num_qubits), iter(w), iter(s)
    for layer in range(depth + 1):
        for q in range(num_qubits):
            circuit.ry(next(weights), q)
            circuit.rz(next(weights), q)
        if layer < depth:
            for q in range(num_qubits):
                circuit.cz(q, (q + 1) % num_qubits)
            for q in range(num_qubits):
                circuit.rx(next(scaling) * x[q % 2], q)
    parity = Probabilities(interpret=lambda outcome: outcome.bit_count() % 2, output_shape=2)
    names, starts = ["weights", "scaling"], ["uniform", "constant"]
    return QuantumModule(circuit, x, [w, s], names, starts, seed_init=0, observables=parity)


def train(model: QuantumModule, points: torch.Tensor, labels: torch.Tensor, updates: int) -> list[float]:
    """Losses, one for each update with all points."""
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    losses = []
    for _ in range(updates):
        optimizer.zero_grad()
        loss = torch.nn.functional.nll_loss(model(points).clamp_min(1e-12).log(), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def draw(model: QuantumModule, points: torch.Tensor, labels: torch.Tensor, losses: list[float], path: str) -> None:
    """Probabilities in the plane with test points, and the loss."""
    side = torch.linspace(-1.6, 1.6, 121)
    x, y = torch.meshgrid(side, side, indexing="xy")
    with torch.no_grad():
        odd = model(torch.stack([x, y], 2))[..., 1]
    with plots.picture(path, 1, 2, height=3.3, width_ratios=(1.3, 1)) as (figure, (left, right)):
        plane = left.contourf(x, y, odd, levels=[i / 10 for i in range(11)], cmap="PuOr_r", alpha=0.7)
        left.contour(x, y, odd, levels=[0.5], colors="black", linewidths=1)
        for label, color, marker in ((0, "white", "o"), (1, "black", "^")):
            left.scatter(*points[labels == label].T, s=12, c=color, marker=marker, edgecolors="black", linewidths=0.5)
        left.set(xlabel="$x_0$", ylabel="$x_1$", aspect="equal", title="Test points: even ○, odd ▲")
        figure.colorbar(plane, ax=left, label="probability of odd parity")
        right.plot(losses)
        right.set(xlabel="update", title="Negative log-likelihood", ylim=(0, None))


def main(updates: int = 300, count: int = 400, picture: str | None = None) -> float:
    """Accuracy for points that training did not see."""
    model, (points, labels), (new, right) = build(), rings(count, 0), rings(2000, 1)
    begin = time.perf_counter()
    losses = train(model, points, labels, updates)
    seconds = time.perf_counter() - begin
    accuracy, highest = (float((found == right).float().mean()) for found in (model(new).argmax(1), best(new)))
    print(
        f"{seconds:.1f} s, loss {losses[0]:.2f} to {losses[-1]:.2f}; accuracy {accuracy:.1%} of {len(new)} new points "
        f"(best possible rule: {highest:.1%})"
    )
    if picture is not None:
        draw(model, new[:400], right[:400], losses, picture)
    return accuracy


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(picture=sys.argv[1] if len(sys.argv) > 1 else None)
