"""A quantum circuit Born machine: a circuit whose measured bits are pictures of bars and stripes.

Of the 512 pictures of 3 x 3 pixels, 14 consist of whole rows or whole columns. A circuit of nine qubits, one for each
pixel, learns to draw these with equal probability and no others: its loss is the Kullback-Leibler divergence of its
`Probabilities` from the target (Liu and Wang, Physical Review A 98, 062324 (2018), trained one by samples). What it
draws once it is trained comes from `model.sample`.

    python examples/born_machine.py [born_machine.svg]              (the picture needs matplotlib)
"""

from __future__ import annotations

import math
import sys
import time
from itertools import product
from typing import Any

import numpy as np
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector

from qiskit_torch_module import QuantumModule, plots
from qiskit_torch_module.outputs import Probabilities

SIDE = 3


def bars_and_stripes() -> torch.Tensor:
    """Probabilities (2^9,) that are equal for whole rows and whole columns; pixel q, row by row, is bit q."""
    rows = [np.repeat(line, SIDE) for line in product((0, 1), repeat=SIDE)]
    columns = [np.tile(line, SIDE) for line in product((0, 1), repeat=SIDE)]
    outcomes = sorted({int(pixels @ (1 << np.arange(SIDE * SIDE))) for pixels in (*rows, *columns)})
    target = torch.zeros(1 << SIDE * SIDE, dtype=torch.float64)
    target[outcomes] = 1 / len(outcomes)
    return target


def build(depth: int = 8) -> QuantumModule:
    """Rotations of every pixel, and ZZ rotations of neighbours."""
    n = SIDE * SIDE
    neighbours = [(q, q + 1) for q in range(n) if (q + 1) % SIDE] + [(q, q + SIDE) for q in range(n - SIDE)]
    w = ParameterVector("w", depth * (2 * n + len(neighbours)) + 2 * n)
    circuit, weights = QuantumCircuit(n), iter(w)
    for layer in range(depth + 1):
        for q in range(n):
            circuit.ry(next(weights), q)
            circuit.rz(next(weights), q)
        if layer < depth:
            for pair in neighbours:
                circuit.rzz(next(weights), *pair)
    start = ("normal", {"std": 0.5})
    return QuantumModule(circuit, None, w, None, start, seed_init=0, observables=Probabilities()).double()


def divergence(target: torch.Tensor, found: torch.Tensor) -> torch.Tensor:
    """Kullback-Leibler divergence of what is found from the target, in nats."""
    drawn = target > 0
    return (target[drawn] * (target[drawn] / found[drawn]).log()).sum()


def train(model: QuantumModule, target: torch.Tensor, updates: int) -> list[float]:
    """Losses, one for each update, and that after the last one."""
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, updates)
    losses = []
    for _ in range(updates):
        optimizer.zero_grad()
        loss = divergence(target, model())
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return [*losses, divergence(target, model()).item()]


def draw(target: torch.Tensor, found: torch.Tensor, before: torch.Tensor, after: torch.Tensor, path: str) -> None:
    """Target and learnt distribution, and pictures that the circuit drew, before training and after."""
    bits = torch.arange(SIDE * SIDE)
    [outcomes] = torch.nonzero(target, as_tuple=True)
    names = np.arange(len(outcomes) + 1)
    learnt = [*found[outcomes].tolist(), float(1 - found[outcomes].sum())]
    with plots.picture(path, 0, height=5.6) as (figure, _):
        top, bottom = figure.subfigures(2, 1, height_ratios=(1.4, 1))
        axis = top.subplots()
        axis.bar(names - 0.2, [*target[outcomes].tolist(), 0], width=0.4, color=plots.MUTED, label="target")
        axis.bar(names + 0.2, learnt, width=0.4, label="learnt by the circuit")
        axis.set(ylabel="probability", xlim=(-0.6, len(names) - 0.4), ylim=(0, 1.3 * max(learnt)))
        axis.set_xticks(names, [*[""] * len(outcomes), "others"])
        axis.legend(loc="upper right", ncols=2)
        axis.grid(visible=False, axis="x")
        for place, outcome in enumerate(outcomes):
            panel = axis.inset_axes((place - 0.35, -0.2, 0.7, 0.17), transform=axis.get_xaxis_transform())
            show(panel, outcome >> bits & 1, "Greys")
        rows = {"untrained": before, "trained": after[: len(before)], "": after[len(before) :]}
        bottom.suptitle("What the circuit draws (orange: neither bars nor stripes)")
        for panels, (name, pictures) in zip(bottom.subplots(len(rows), len(before)), rows.items(), strict=True):
            panels[0].set_ylabel(name, rotation=0, ha="right", va="center")
            for panel, pixels in zip(panels, pictures.long(), strict=True):
                show(panel, pixels, "Blues" if target[(pixels << bits).sum()] > 0 else "Oranges")


def show(axis: Any, pixels: torch.Tensor, colors: str) -> None:
    """One picture, without ticks."""
    axis.pcolormesh(pixels.reshape(SIDE, SIDE).flip(0), cmap=colors, vmin=-0.1, vmax=1.3)
    axis.set(xticks=[], yticks=[], aspect="equal")
    axis.grid(visible=False)


def main(updates: int = 600, depth: int = 8, picture: str | None = None) -> float:
    """The divergence that training reaches."""
    target, model = bars_and_stripes(), build(depth)
    generator = torch.Generator().manual_seed(0)
    before = model.sample(shots=12, generator=generator, as_tensor=True)
    begin = time.perf_counter()
    losses = train(model, target, updates)
    seconds = time.perf_counter() - begin

    found = model().detach()
    drawn = target > 0
    print(
        f"{seconds:.1f} s, {model.num_trainable_parameters} weights, {updates} updates; divergence {losses[0]:.2f} to "
        f"{losses[-1]:.1e} (all pictures alike: {math.log(len(target) / drawn.sum()):.2f}); "
        f"{float(found[~drawn].sum()):.1e} of the pictures are wrong"
    )
    if picture is not None:
        draw(target, found, before, model.sample(shots=24, generator=generator, as_tensor=True), picture)
    return losses[-1]


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(picture=sys.argv[1] if len(sys.argv) > 1 else None)
