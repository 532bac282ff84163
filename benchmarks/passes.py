"""What each pass of the compiler gains, on several circuits: as counting operations predicts, and as measured."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import record
from kernel import best_time
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector
from qiskit.circuit.library import PauliEvolutionGate
from qiskit.quantum_info import SparsePauliOp
from rich.console import Console

from qiskit_torch_module import QuantumModule, compiler_passes, explain
from qiskit_torch_module._core.pictures import COLORS, GRID, INK, MUTED, decimal, picture
from qiskit_torch_module._program.passes import PASS_NAMES
from qiskit_torch_module._simulation.columns import with_derived_columns
from qiskit_torch_module._simulation.engines import engine_of
from qiskit_torch_module.reproduce.runners.workload import Spec
from qiskit_torch_module.reproduce.store import described, machine

Case = tuple[QuantumCircuit, list[Parameter], list[Parameter]]
BATCH = 48


def reference(n: int) -> Case:
    """The reference workload."""
    circuit, x, b, c = Spec(n).qiskit_circuit()
    return circuit, list(x), [*b, *c]


def efficient_su2(n: int) -> Case:
    """Angles of the data, then EfficientSU2 with full entanglement."""
    x, w = ParameterVector("x", n), ParameterVector("w", 8 * n)
    circuit = QuantumCircuit(n)
    for q in range(n):
        circuit.ry(x[q], q)
    for layer in range(4):
        for q in range(n):
            circuit.ry(w[2 * (layer * n + q)], q)
            circuit.rz(w[2 * (layer * n + q) + 1], q)
        for q in range(n) if layer < 3 else ():
            for other in range(q + 1, n):
                circuit.cx(q, other)
    return circuit, list(x), list(w)


def qaoa(n: int) -> Case:
    """Three layers of RZZ, weighed by the data, on all pairs at distance 1 and 2, and RX."""
    edges = [(q, (q + step) % n) for q in range(n) for step in (1, 2)]
    x, w = ParameterVector("x", len(edges)), ParameterVector("w", 6)
    circuit = QuantumCircuit(n)
    circuit.h(range(n))
    for layer in range(3):
        for i, pair in enumerate(edges):
            circuit.rzz(x[i] * w[2 * layer], *pair)
        circuit.rx(w[2 * layer + 1], range(n))
    return circuit, list(x), list(w)


def brickwork(n: int) -> Case:
    """U on every qubit and CRX on neighbours, four times."""
    x, w = ParameterVector("x", n), ParameterVector("w", 16 * n)
    circuit, free = QuantumCircuit(n), iter(w)
    for layer in range(4):
        for q in range(n):
            circuit.u(next(free) * x[q], next(free), next(free), q)
        for q in range(layer % 2, n - 1, 2):
            circuit.crx(next(free), q, q + 1)
    return circuit, list(x), [one for one in w if one in circuit.parameters]


def feature_map(n: int) -> Case:
    """ZZFeatureMap, twice, and two layers of RealAmplitudes."""
    x, w = ParameterVector("x", n), ParameterVector("w", 2 * n)
    circuit = QuantumCircuit(n)
    for _ in range(2):
        circuit.h(range(n))
        for q in range(n):
            circuit.p(2 * x[q], q)
        for q in range(n):
            for other in range(q + 1, n):
                circuit.cx(q, other)
                circuit.p(2 * (np.pi - x[q]) * (np.pi - x[other]), other)
                circuit.cx(q, other)
    for layer in range(2):
        for q in range(n):
            circuit.ry(w[layer * n + q], q)
        for q in range(n - 1) if layer == 0 else ():
            circuit.cx(q, q + 1)
    return circuit, list(x), list(w)


def heisenberg(n: int) -> Case:
    """Angles of the data, then three Trotter steps of a Heisenberg chain with a time of its own each."""
    chain = SparsePauliOp.from_sparse_list(
        [(word, [q, q + 1], 1.0) for q in range(n - 1) for word in ("XX", "YY", "ZZ")], n
    )
    x, w = ParameterVector("x", n), ParameterVector("w", 3)
    circuit = QuantumCircuit(n)
    for q in range(n):
        circuit.ry(x[q], q)
    for time_ in w:
        circuit.append(PauliEvolutionGate(chain, time_), range(n))
    return circuit, list(x), list(w)


CASES: dict[str, Callable[[int], Case]] = {
    "reference": reference,
    "EfficientSU2, full": efficient_su2,
    "QAOA": qaoa,
    "U and CRX brickwork": brickwork,
    "ZZFeatureMap": feature_map,
    "Heisenberg chain": heisenberg,
}


def _measure(case: Case, **switches: bool) -> tuple[float, float]:
    """Time of values and gradients of a batch (s), and operations of a sample."""
    circuit, x, w = case
    with compiler_passes(**switches):
        model = QuantumModule(circuit, x, [w], seed_init=0)
        engine, found = engine_of(model._program), explain(model, batch_size=BATCH)
    random = np.random.default_rng(0)
    inputs = random.random((BATCH, len(x)), np.float32)
    weights = random.random(len(w), np.float32)
    columns, rest = with_derived_columns(model._program.evolution, *map(_tensor, (inputs, weights)))
    arrays = columns.numpy(), rest.numpy()
    cotangent = np.ones((BATCH, circuit.num_qubits), np.float32)
    wanted = np.r_[np.zeros(columns.shape[1], bool), np.ones(len(rest), bool)]
    seconds = best_time(lambda: engine.vector_jacobian_product(*arrays, cotangent, wanted, 2))
    return seconds, found.values.flops + found.gradients.flops


def _tensor(array: np.ndarray) -> Any:
    import torch

    return torch.from_numpy(array)


def write(folder: Path, console: Console, *, quick: bool) -> list[Path]:
    """Measures every pass on every circuit; writes JSON and a table."""
    n = 8 if quick else 12
    rows = {}
    for name, make in CASES.items():
        case = make(n)
        seconds, flops = _measure(case)
        row: dict[str, Any] = {"milliseconds": 1e3 * seconds, "without": {}}
        for one in [*PASS_NAMES, "all"]:
            off = dict.fromkeys(PASS_NAMES if one == "all" else [one], False)
            slower, more = _measure(case, **off)
            row["without"][one] = {"predicted": more / flops, "measured": slower / seconds}
        rows[name] = row
        console.print(name, f"{row['milliseconds']:.3g} ms", highlight=False)
    results = {"date": time.strftime("%Y-%m-%d"), "machine": machine(), "qubits": n, "batch": BATCH, "circuits": rows}
    paths, plot = record.write(folder, "passes", results, markdown(results)), folder / "passes.svg"
    draw(results, plot)
    return [*paths, plot]


def markdown(results: dict[str, Any]) -> str:
    """The page about results."""
    rows = results["circuits"]
    lines = [
        "# What each pass gains",
        "",
        f"{described(results)}; {results['qubits']} qubits, batch {results['batch']}, float32, values and gradients. "
        "The first line is the shortest time in ms; the others say by which factor it grows without a pass: measured, "
        "and in brackets as counting operations predicts it.",
        "",
        "![Times as long without each pass](passes.svg)",
        "",
        "| without | " + " | ".join(rows) + " |",
        "| --- |" + " ---: |" * len(rows),
        "| nothing: ms | " + " | ".join(f"{row['milliseconds']:.3g}" for row in rows.values()) + " |",
    ]
    for name in next(iter(rows.values()))["without"]:
        both = [row["without"][name] for row in rows.values()]
        cells = [f"{one['measured']:.2f} ({one['predicted']:.2f})" for one in both]
        lines.append(f"| {name.replace('_', ' ')} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def draw(results: dict[str, Any], path: Path) -> None:
    """The factors of all circuits, pass by pass."""
    rows = results["circuits"]
    names = list(next(iter(rows.values()))["without"])
    with picture(path, height=0.62 * len(names) + 1.5) as (figure, axis):
        for number, (circuit, color, marker) in enumerate(zip(rows, (INK, *COLORS), "osD^vP", strict=False)):
            for place, name in enumerate(names):
                one, y = rows[circuit]["without"][name], place + 0.13 * (number - (len(rows) - 1) / 2)
                axis.plot([one["predicted"], one["measured"]], [y, y], color=color, linewidth=0.8)
                axis.plot(one["predicted"], y, "|", color=color, markersize=7)
                axis.plot(one["measured"], y, marker, color=color)
            axis.plot([], [], marker, color=color, label=circuit)
        axis.plot([], [], "|", color=MUTED, markersize=7, label="predicted by counting")
        axis.axvline(1, color=MUTED, linewidth=1)
        for border in range(1, len(names)):
            axis.axhline(border - 0.5, color=GRID, linewidth=0.6)
        axis.set(xscale="log", xlabel="times as long without", yticks=range(len(names)))
        axis.set_yticklabels([name.replace("_", " ") for name in names])
        axis.grid(visible=False, axis="y")
        axis.invert_yaxis()
        decimal(axis.xaxis, (1, 2, 5, 10, 20, 50, 100, 200))
        figure.legend(loc="outside lower center", ncols=3)
