"""Nineteen circuits compared: how expressive they are, and how much they entangle.

The figures of Sim, Johnson and Aspuru-Guzik (Advanced Quantum Technologies 2, 1900070 (2019), arXiv:1905.10876): for
each of their circuits of four qubits, in one to five layers, how far the fidelities of its states are from those of
random states, and the mean of the Meyer-Wallach measure.

    python examples/expressibility.py [expressibility.svg]          (the picture needs matplotlib)
"""

from __future__ import annotations

import sys
import time

import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

from qiskit_torch_module import plots
from qiskit_torch_module.analysis import (
    EntanglingCapability,
    Expressibility,
    entangling_capability,
    expressibility,
)

# A layer of each circuit: gates on all qubits, or "gate:pairs" of control and target, or on some qubits.
LAYERS = {
    1: "rx rz",
    2: "rx rz cx:line",
    3: "rx rz crz:line",
    4: "rx rz crx:line",
    5: "rx rz crz:all rx rz",
    6: "rx rz crx:all rx rz",
    7: "rx rz crz:even rx rz crz:odd",
    8: "rx rz crx:even rx rz crx:odd",
    9: "h cz:line rx",
    10: "cz:ring ry",
    11: "ry rz cx:even ry:inner rz:inner cx:odd",
    12: "ry rz cz:even ry:inner rz:inner cz:odd",
    13: "ry crz:ring ry crz:back",
    14: "ry crx:ring ry crx:back",
    15: "ry cx:ring ry cx:back",
    16: "rx rz crz:even crz:odd",
    17: "rx rz crx:even crx:odd",
    18: "rx rz crz:ring",
    19: "rx rz crx:ring",
}
FIRST = {10: "ry"}  # once, before all layers


def places(name: str, n: int) -> list[tuple[int, ...]]:
    """On which qubits a gate acts, one after the other; of pairs the first is the control."""
    patterns = {
        "": [(q,) for q in range(n)],
        "inner": [(q,) for q in range(1, n - 1)],
        "line": [(q, q - 1) for q in range(n - 1, 0, -1)],
        "ring": [(n - 1, 0), *[(q, q + 1) for q in range(n - 2, -1, -1)]],
        "back": [(q % n, (q - 1) % n) for q in range(n - 1, 2 * n - 1)],
        "all": [(a, b) for a in range(n - 1, -1, -1) for b in range(n - 1, -1, -1) if a != b],
        "even": [(q + 1, q) for q in range(0, n - 1, 2)],
        "odd": [(q + 1, q) for q in range(1, n - 1, 2)],
    }
    return patterns[name]


def build(number: int, layers: int = 1, num_qubits: int = 4) -> QuantumCircuit:
    """One of the circuits, with a parameter of its own for every rotation."""
    circuit, count = QuantumCircuit(num_qubits), 0
    for part in [FIRST.get(number, ""), *[LAYERS[number]] * layers]:
        for token in part.split():
            gate, _, pattern = token.partition(":")
            for qubits in places(pattern, num_qubits):
                if gate in ("h", "cx", "cz"):
                    getattr(circuit, gate)(*qubits)
                else:
                    getattr(circuit, gate)(Parameter(f"w{count:03}"), *qubits)
                    count += 1
    return circuit


Results = dict[tuple[int, int], tuple[Expressibility, EntanglingCapability]]


def draw(results: Results, path: str) -> None:
    """Both numbers of all circuits, a colour for each number of layers."""
    numbers, depths = sorted({number for number, _ in results}), sorted({layers for _, layers in results})
    with plots.picture(path, 2, 1, height=6.6, sharex=True) as (figure, (top, bottom)):
        for layers, color, marker in zip(depths, ("C4", "C0", "C2", "C1", "C3"), "osD^v", strict=False):
            for axes, which in ((top, 0), (bottom, 1)):
                found = [results[number, layers][which] for number in numbers]
                values, errors = [one.value for one in found], [one.standard_error for one in found]
                look = {"color": color, "marker": marker, "linestyle": "none"}
                label = f"{layers} layer{'s' * (layers > 1)}"
                axes.errorbar(numbers, values, errors, capsize=2, label=label, **look)
        bias = min(one.bias for one, _ in results.values())
        top.axhline(bias, color=plots.MUTED, linestyle=":", label="random states")
        top.set(yscale="log", ylabel="divergence\nfrom random states", title="Expressibility: lower is more expressive")
        plots.decimal(top.yaxis)
        haar = next(iter(results.values()))[1].of_random_states
        bottom.axhline(haar, color=plots.MUTED, linestyle=":")
        bottom.set(xlabel="circuit", ylabel="Meyer-Wallach measure", title="Entangling capability", xticks=numbers)
        handles, labels = top.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3, title="bars: standard errors")


def main(pairs: int = 5000, deepest: int = 5, picture: str | None = None) -> Results:
    """Expressibility and entangling capability, by circuit and number of layers."""
    begin, results = time.perf_counter(), {}
    generator = torch.Generator().manual_seed(0)
    for number in LAYERS:
        for layers in range(1, deepest + 1):
            circuit = build(number, layers)
            first = expressibility(circuit, pairs, generator=generator)
            results[number, layers] = first, entangling_capability(circuit, pairs, generator=generator)
        line = [results[number, layers] for layers in range(1, deepest + 1)]
        print(
            f"circuit {number:2}: divergence {', '.join(f'{one.value:.4f}' for one, _ in line)}; "
            f"entangling capability {', '.join(f'{one.value:.3f}' for _, one in line)}"
        )
    print(f"{time.perf_counter() - begin:.1f} s for {2 * len(results)} numbers")
    if picture is not None:
        draw(results, picture)
    return results


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(picture=sys.argv[1] if len(sys.argv) > 1 else None)
