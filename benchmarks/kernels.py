"""What kernel matrices and the gradients of their alignment with labels take, and how many times that a rival takes.

The rival is ``FidelityStatevectorKernel`` of qiskit-machine-learning, which simulates every sample by itself and then
goes over all pairs in Python; it has no gradients, and its entries have to agree with those here. Calls are timed in
turn, and the shortest of each count: neighbours on the machine make everything slower, now and then.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import record
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from rich.console import Console

from qiskit_torch_module.kernels import FidelityKernel, target_alignment
from qiskit_torch_module.reproduce.store import described, machine

# Samples, qubits, layers; the rival takes a minute for the largest ones.
CASES, QUICK_CASES = ((500, 4, 5), (500, 10, 5), (2000, 10, 5)), ((100, 4, 5),)
TURNS, QUICK_TURNS = 12, 3
STATES, MATRIX, DOUBLE, ALIGNMENT = "states", "matrix", "matrix, float64", "alignment and its gradient"
RIVAL = "FidelityStatevectorKernel"


def kernel_of(qubits: int, layers: int) -> FidelityKernel:
    """RY and RZ by weights, a ring of CNOTs and RX by inputs, layer by layer: 2 weights for each qubit and layer."""
    x, w = ParameterVector("x", qubits), ParameterVector("w", 2 * qubits * layers)
    circuit, weights = QuantumCircuit(qubits), iter(w)
    for _ in range(layers):
        for q in range(qubits):
            circuit.ry(next(weights), q)
            circuit.rz(next(weights), q)
        for q in range(qubits):
            circuit.cx(q, (q + 1) % qubits)
        for q in range(qubits):
            circuit.rx(x[q], q)
    return FidelityKernel(circuit, x, w, seed_init=0)


def _calls(kernel: FidelityKernel, samples: torch.Tensor) -> Mapping[str, Callable[[], Any]]:
    labels = (samples.sum(1) > samples.shape[1] / 2).long()

    def without_gradients(call: Callable[[], Any]) -> Callable[[], Any]:
        return torch.no_grad()(call)

    def alignment() -> None:
        kernel.zero_grad()
        target_alignment(kernel, samples, labels).backward()

    return {
        STATES: without_gradients(lambda: kernel.features(samples)),
        MATRIX: without_gradients(lambda: kernel(samples)),
        DOUBLE: lambda: kernel.evaluate(samples),
        ALIGNMENT: alignment,
    }


def _rival(kernel: FidelityKernel, samples: torch.Tensor) -> float | None:
    """Seconds that the rival takes, once; None: it is not installed."""
    try:
        from qiskit_machine_learning.kernels import FidelityStatevectorKernel
    except ImportError:
        return None
    weights = [float(value) for value in kernel.quantum.variational.detach()]
    circuit = kernel.feature_map.assign_parameters(dict(zip(kernel.training_parameters, weights, strict=True)))
    rival, array = FidelityStatevectorKernel(feature_map=circuit), samples.double().numpy()
    begin = time.perf_counter()
    found = rival.evaluate(array)
    seconds = time.perf_counter() - begin
    # In this order it takes the parameters of the circuit: sorted by name, where x is one vector.
    if np.abs(found - kernel.evaluate(array)).max() > 1e-10:
        raise SystemExit("the rival finds another kernel matrix")
    return seconds


def _measure(count: int, qubits: int, layers: int, turns: int) -> dict[str, Any]:
    kernel = kernel_of(qubits, layers)
    samples = torch.rand(count, qubits, generator=torch.Generator().manual_seed(0))
    best: dict[str, float] = {}
    for turn in range(turns + 1):
        for name, call in _calls(kernel, samples).items():
            begin = time.perf_counter()
            call()
            if turn > 0:  # the first one plans
                best[name] = min(best.get(name, float("inf")), time.perf_counter() - begin)
    return {
        "samples": count,
        "qubits": qubits,
        "weights": kernel.num_training_parameters,
        "seconds": {**best, RIVAL: _rival(kernel, samples)},
        "alignment in matrices": best[ALIGNMENT] / best[MATRIX],
    }


def write(folder: Path, console: Console, *, quick: bool) -> list[Path]:
    """Measures every case; writes JSON and a table."""
    results: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine(),
        "quick": quick,
        "units": {
            "seconds": "shortest call",
            "alignment in matrices": "that time over the time of the matrix, float32",
        },
        "rows": [],
    }
    for case in QUICK_CASES if quick else CASES:
        row = _measure(*case, QUICK_TURNS if quick else TURNS)
        results["rows"].append(row)
        times = ", ".join(f"{name} {_milliseconds(seconds)}" for name, seconds in row["seconds"].items())
        console.print(f"{row['samples']} samples, {row['qubits']} qubits: {times}", highlight=False)
    return record.write(folder, "kernels", results, markdown(results))


def _milliseconds(seconds: float | None) -> str:
    return "not installed" if seconds is None else f"{1e3 * seconds:,.3g} ms" if seconds < 1 else f"{seconds:,.3g} s"


def markdown(results: dict[str, Any]) -> str:
    """The page about results."""
    lines = [
        "# What kernel matrices cost",
        "",
        f"{described(results)}. The shortest of several calls, float32 where nothing else is said. In brackets: the "
        "alignment and its gradient in units of the matrix; the rival, which finds the same in double precision, in "
        "units of the matrix in float64.",
        "",
        f"| samples | qubits | weights | {STATES} | {MATRIX} | {DOUBLE} | {ALIGNMENT} | `{RIVAL}` |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in results["rows"]:
        seconds = row["seconds"]
        cells = [_milliseconds(seconds[name]) for name in (STATES, MATRIX, DOUBLE, ALIGNMENT, RIVAL)]
        cells[3] += f" ({row['alignment in matrices']:.2f})"
        if seconds[RIVAL] is not None:
            cells[4] += f" ({seconds[RIVAL] / seconds[DOUBLE]:,.0f})"
        lines.append(f"| {row['samples']} | {row['qubits']} | {row['weights']} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
