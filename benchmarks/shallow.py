"""Shallow circuits by the number of qubits: read from two halves that are never joined, and from a state of all.

Expected: the state doubles with every qubit, each half with every other one.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import record
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import SparsePauliOp
from rich.console import Console

from qiskit_torch_module import QuantumModule, compiler_passes
from qiskit_torch_module._simulation.engines import engine_of
from qiskit_torch_module.reproduce.store import described, machine

QUBITS, QUICK, MOST_JOINED = (10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30), (10, 14, 18), 24
LAYERS = 4
TURNS, TURN_SECONDS = 5, 0.2


def ansatz(n: int) -> tuple[QuantumCircuit, list[Any]]:
    """RY and RZ on every qubit, four times, and chains of CX in between: efficient_su2 with three repetitions."""
    w = ParameterVector("w", 2 * LAYERS * n)
    circuit = QuantumCircuit(n)
    for layer in range(LAYERS):
        for q in range(n):
            circuit.ry(w[2 * (layer * n + q)], q)
            circuit.rz(w[2 * (layer * n + q) + 1], q)
        for q in range(n - 1 if layer < LAYERS - 1 else 0):
            circuit.cx(q, q + 1)
    return circuit, list(w)


def heisenberg(n: int) -> SparsePauliOp:
    """Its energy."""
    pairs = [(2 * axis, [q, q + 1], 1.0) for q in range(n - 1) for axis in "XYZ"]
    return SparsePauliOp.from_sparse_list(pairs, n)


def model_of(n: int, *, joined: bool) -> QuantumModule:
    """With a state of all qubits, or as is faster."""
    circuit, w = ansatz(n)
    with compiler_passes(unjoined_halves=not joined):
        return QuantumModule(circuit, None, w, observables=heisenberg(n), seed_init=0)


def _fastest(model: QuantumModule) -> float:
    """The fastest step of one turn (s)."""
    best, start, count = float("inf"), time.perf_counter(), 0
    while count < 2 or time.perf_counter() - start < TURN_SECONDS:
        begin = time.perf_counter()
        model.zero_grad()
        model().sum().backward()
        best, count = min(best, time.perf_counter() - begin), count + 1
    return best


def _memory(model: QuantumModule) -> float:
    """Scratch and tape of a training step (MiB)."""
    how = engine_of(model._program).schedule_float32(1, torch.get_num_threads(), True)
    return float(how["scratch_bytes"] + how["tape_bytes"]) / 2**20


def _case(n: int) -> dict[str, Any]:
    models = {"apart": model_of(n, joined=False)}
    if n <= MOST_JOINED:
        models["joined"] = model_of(n, joined=True)
    times: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(TURNS):
        for name, model in models.items():
            times[name].append(_fastest(model))
    case: dict[str, Any] = {"qubits": n}
    for name, model in models.items():
        case |= {f"{name}_ms": 1e3 * min(times[name]), f"{name}_mib": _memory(model)}
    if "joined" in models:
        case["factor"] = case["joined_ms"] / case["apart_ms"]
    return case


def write(folder: Path, console: Console, *, quick: bool) -> list[Path]:
    """Measures every number of qubits; writes JSON and a table."""
    results: dict[str, Any] = {"date": time.strftime("%Y-%m-%d"), "machine": machine(), "cases": []}
    for n in QUICK if quick else QUBITS:
        results["cases"].append(_case(n))
        console.print(results["cases"][-1], highlight=False)
    return record.write(folder, "shallow", results, markdown(results))


def markdown(results: dict[str, Any]) -> str:
    """The page about results."""
    lines = [
        "# Shallow circuits",
        "",
        f"{described(results)}; float32, fastest training step of one sample (RY and RZ on every qubit, four times, "
        "with chains of CX in between; the energy of a Heisenberg chain), and the memory that it takes. Joined: a "
        "state of all qubits is made. Apart: as is faster, mostly read from two halves that are never joined "
        "([how](../../docs/performance.md#shallow-circuits)).",
        "",
        "| qubits | apart, ms | joined, ms | factor | apart, MiB | joined, MiB |",
        "| ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for case in results["cases"]:
        has_both = "joined_ms" in case
        cells = [f"{case['apart_ms']:.3g}", f"{case['joined_ms']:.3g}" if has_both else "–"]
        cells += [f"{case['factor']:.3g}" if has_both else "–", f"{case['apart_mib']:.3g}"]
        cells.append(f"{case['joined_mib']:.3g}" if has_both else "–")
        lines.append(f"| {case['qubits']} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
