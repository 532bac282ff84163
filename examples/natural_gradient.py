"""Natural gradients against Adam and others, on a VQE and on a hybrid model.

The VQE is a ring of eight spins in a transverse field, whose ground state a circuit of eight parameters can reach
exactly (Ho and Hsieh, arXiv:1803.00026); every parameter stands in eight gates. There, optimizers wait on plateaus, and
natural gradients do not (Wierichs et al., arXiv:2004.14666). The hybrid model fits a function of two variables.

    python examples/natural_gradient.py [natural_gradient.svg]    (the picture needs matplotlib)
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from statistics import median

import numpy as np
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import SparsePauliOp

from qiskit_torch_module import HybridModule, QuantumModule, optim, plots
from qiskit_torch_module.circuits import incremental_data_uploading

Curve = list[float]
SPINS, LAYERS = 8, 4


def ring() -> SparsePauliOp:
    """The Ising ring at its critical field."""
    pairs = [("ZZ", [q, (q + 1) % SPINS], -1.0) for q in range(SPINS)]
    return SparsePauliOp.from_sparse_list([*pairs, *(("X", [q], -1.0) for q in range(SPINS))], num_qubits=SPINS)


def spins(seed: int) -> QuantumModule:
    """Its energy, after layers of the two parts of the Hamiltonian in turn."""
    a, b = ParameterVector("a", LAYERS), ParameterVector("b", LAYERS)
    circuit = QuantumCircuit(SPINS)
    circuit.h(range(SPINS))
    for layer in range(LAYERS):
        for q in range(SPINS):
            circuit.rzz(a[layer], q, (q + 1) % SPINS)
        circuit.rx(b[layer], range(SPINS))
    return QuantumModule(circuit, None, [*a, *b], "weights", seed_init=seed, observables=ring()).double()


def steps(optimizer: torch.optim.Optimizer, loss: Callable[[], torch.Tensor], natural: optim.NaturalGradient | None):
    """One step of an optimizer by gradients, natural ones or not; endlessly, with the loss before each."""
    while True:
        optimizer.zero_grad()
        value = loss()
        value.backward()
        if natural is not None:
            natural.step()
        optimizer.step()
        yield value.item()


def energies(kind: str, seed: int, updates: int) -> Curve:
    """Above the ground state, before each update."""
    model = spins(seed)
    least = float(np.linalg.eigvalsh(ring().to_matrix())[0])

    def loss() -> torch.Tensor:
        return model().sum()

    if kind == "L-BFGS, SciPy":
        curve = [loss().item() - least]
        options = {"maxiter": updates - 1, "ftol": 1e-15, "gtol": 1e-9}
        optim.minimize(
            model, lambda model: model().sum(), options=options, callback=lambda _: curve.append(loss().item() - least)
        )
        return curve + [curve[-1]] * (updates - len(curve))
    if kind in ("SPSA", "Rotosolve"):
        random = torch.Generator().manual_seed(seed)
        is_sampled = kind == "SPSA"
        optimizer = optim.SPSA(model.parameters(), lr=0.03, generator=random) if is_sampled else optim.Rotosolve(model)
        curve = []
        for _ in range(updates if is_sampled else updates // 4):  # a sweep goes through all parameters
            curve.append(loss().item() - least)
            optimizer.step(loss)
        return curve
    plain = {
        "gradient descent": lambda: torch.optim.SGD(model.parameters(), lr=0.01),
        "Adam": lambda: torch.optim.Adam(model.parameters(), lr=0.3),
        "natural gradient": lambda: torch.optim.SGD(model.parameters(), lr=0.05),
    }[kind]()
    natural = optim.NaturalGradient(model, damping=1e-3) if kind == "natural gradient" else None
    walk = steps(plain, loss, natural)
    return [next(walk) - least for _ in range(updates)]


def errors(kind: str, seed: int, updates: int) -> Curve:
    """Of a hybrid model: mean squares, before each update."""
    random = torch.Generator().manual_seed(0)
    inputs = 2 * torch.rand(64, 2, generator=random) - 1
    targets = (torch.sin(3 * inputs[:, 0]) * torch.cos(3 * inputs[:, 1]))[:, None]
    circuit, features, weights = incremental_data_uploading(4, 3)
    model = HybridModule(circuit, features, weights, input_size=2, output_size=1, seed_init=seed)
    layers = [*model.pre_parameters_, *model.post_parameters_]
    rate = {"gradient descent": 0.2, "Adam": 0.1, "natural gradient": 0.3}[kind]
    if kind == "Adam":
        optimizer: torch.optim.Optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    else:  # the linear layers by Adam all the same
        optimizer = Both(torch.optim.SGD(model.quantum_parameters_, lr=rate), torch.optim.Adam(layers, lr=0.1))
    natural = optim.NaturalGradient(model, damping=0.1) if kind == "natural gradient" else None
    walk = steps(optimizer, lambda: (model(inputs) - targets).square().mean(), natural)
    return [next(walk) for _ in range(updates)]


class Both:
    """Two optimizers, each for its parameters."""

    def __init__(self, *optimizers: torch.optim.Optimizer) -> None:
        self.optimizers = optimizers

    def zero_grad(self) -> None:
        """Of both."""
        for one in self.optimizers:
            one.zero_grad()

    def step(self) -> None:
        """Of both."""
        for one in self.optimizers:
            one.step()


STYLES = {
    "gradient descent": plots.MUTED,
    "Adam": "C0",
    "natural gradient": plots.INK,
    "SPSA": "C1",
    "Rotosolve": "C3",
    "L-BFGS, SciPy": "C2",
}


def draw(runs: list[dict[str, list[Curve]]], path: str) -> None:
    """Medians, and every run."""
    with plots.picture(path, 2, 1, height=6.6) as (_, axes):
        titles = ["VQE: energy above the ground state", "Hybrid model: mean square error"]
        for ax, curves, title, low in zip(axes, runs, titles, (1e-13, 1e-5), strict=True):
            for kind, several in curves.items():
                for curve in several:
                    ax.semilogy(np.maximum(curve, low / 10), color=STYLES[kind], linewidth=0.6, alpha=0.3)
                ax.semilogy(np.maximum(np.median(several, 0), low / 10), color=STYLES[kind], label=kind)
            ax.set(title=title, xlabel="update (Rotosolve: sweep)" if len(curves) > 3 else "update", ylim=(low, None))
            ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), title="median of the starts,\nthin: each of them")


def main(starts: int = 6, updates: int = 200, picture: str | None = None) -> dict[str, float]:
    """Medians of what is left after the last update of the VQE, by optimizer."""
    runs: list[dict[str, list[Curve]]] = [{}, {}]
    for kind in STYLES:
        for place, run in ((0, energies), (1, errors)):
            if place == 1 and kind not in list(STYLES)[:3]:
                continue
            begin = time.perf_counter()
            runs[place][kind] = [run(kind, seed, updates) for seed in range(starts)]
            seconds = (time.perf_counter() - begin) / starts
            last = sorted(curve[-1] for curve in runs[place][kind])
            print(
                f"{('VQE', 'hybrid')[place]:6} {kind:17} {seconds:5.2f} s a run; left: median {median(last):.1e}, "
                f"best {last[0]:.1e}, worst {last[-1]:.1e}"
            )
    if picture is not None:
        draw(runs, picture)
    return {kind: median(curve[-1] for curve in curves) for kind, curves in runs[0].items()}


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(picture=sys.argv[1] if len(sys.argv) > 1 else None)
