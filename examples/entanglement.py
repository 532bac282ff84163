"""Entanglement against depth: how many layers of random gates make a state as entangled as a random one.

Layers of random gates on single qubits, with CZ between neighbours, alternately those from an even qubit and those from
an odd one. `Entropy` of one half of the qubits is averaged over many such circuits, which are one batch: their angles
are inputs. The mean over all states was given by Page (Physical Review Letters 71, 1291 (1993)).

    python examples/entanglement.py [entanglement.svg]              (the picture needs matplotlib)
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping

import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector

from qiskit_torch_module import QuantumModule, plots
from qiskit_torch_module.outputs import Entropy


def build(num_qubits: int, depth: int) -> QuantumModule:
    """All angles are inputs; the output is the entropy, in bits, of the lower half of the qubits."""
    angles = ParameterVector("a", 3 * num_qubits * depth)
    circuit, following = QuantumCircuit(num_qubits), iter(angles)
    for layer in range(depth):
        for q in range(num_qubits):
            circuit.u(next(following), next(following), next(following), q)
        for q in range(layer % 2, num_qubits - 1, 2):
            circuit.cz(q, q + 1)
    return QuantumModule(circuit, angles, None, observables=Entropy(range(num_qubits // 2))).double()


def random_angles(count: int, gates: int, generator: torch.Generator) -> torch.Tensor:
    """Angles (count, 3 * gates) of gates U(theta, phi, lambda) that are uniform (Haar) among all on one qubit."""
    theta, phi, lam = torch.rand(3, count, gates, generator=generator, dtype=torch.float64)
    angles = [(1 - 2 * theta).acos(), 2 * math.pi * phi, 2 * math.pi * lam]
    return torch.stack(angles, 2).flatten(1)


def page(num_qubits: int) -> float:
    """The mean entropy, in bits, of half of the qubits (or the lower half of an odd number) of a random state."""
    few, many = 1 << num_qubits // 2, 1 << (num_qubits + 1) // 2
    nats = math.fsum(1 / k for k in range(many + 1, few * many + 1)) - (few - 1) / (2 * many)
    return nats / math.log(2)


def entropies(num_qubits: int, depths: range, count: int) -> list[float]:
    """Means over random circuits, one for each depth."""
    generator = torch.Generator().manual_seed(num_qubits)
    means = []
    for depth in depths:
        angles = random_angles(count, num_qubits * depth, generator)
        means.append(build(num_qubits, depth)(angles).mean().item())
    return means


def draw(curves: Mapping[int, list[float]], depths: range, path: str) -> None:
    """Entropies against depth, and their share of Page's value against layers for each qubit."""
    with plots.picture(path, 2, 1, height=6.4) as (_, (top, bottom)):
        for (num_qubits, means), marker in zip(curves.items(), "os^Dv", strict=False):
            [line] = top.plot(depths, means, marker=marker, label=f"{num_qubits} qubits")
            top.axhline(page(num_qubits), color=line.get_color(), linestyle=":")
            layers = [depth / num_qubits for depth in depths]
            bottom.plot(layers, [mean / page(num_qubits) for mean in means], marker=marker)
        top.plot([], [], color=plots.MUTED, linestyle=":", label="random states (Page)")
        top.set(title="Entropy of half of the qubits", xlabel="layers", ylabel="bits", xlim=(0, depths[-1]))
        top.legend(loc="center left", bbox_to_anchor=(1, 0.5))
        bottom.set(title="As a share of that of random states", xlabel="layers / qubits", xlim=(0, 5), ylim=(0, 1.05))
        bottom.axhline(1, color=plots.MUTED, linestyle=":")


def main(
    sizes: tuple[int, ...] = (4, 6, 8, 10), deepest: int = 40, count: int = 256, picture: str | None = None
) -> dict[int, list[float]]:
    """Mean entropies from no layer to the deepest circuit, by the number of qubits."""
    depths, curves = range(deepest + 1), {}
    for num_qubits in sizes:
        begin = time.perf_counter()
        curves[num_qubits] = means = entropies(num_qubits, depths, count)
        seconds = time.perf_counter() - begin
        close = next((depth for depth in depths if means[depth] > 0.99 * page(num_qubits)), None)
        print(
            f"{num_qubits} qubits: {means[-1]:.3f} bits after {deepest} layers, random states {page(num_qubits):.3f}; "
            f"99 % of that after {close} layers; {seconds:.1f} s"
        )
    if picture is not None:
        draw(curves, depths, picture)
    return curves


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(picture=sys.argv[1] if len(sys.argv) > 1 else None)
