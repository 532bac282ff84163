"""Threads: a training step of the reference circuit on 1, 2, 4, ... of them, up to the processors that are there.

Wanted: a batch is cut into shares that do not wait for one another, so that twice the threads take half the time; one
large state is shared by a team, which meets after every loop over it. Steps on different numbers of threads alternate.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import record
import torch
from rich.console import Console

from qiskit_torch_module import QuantumModule
from qiskit_torch_module.reproduce.runners.workload import Spec
from qiskit_torch_module.reproduce.store import described, machine

CASES = {
    "10 qubits, batch 48": Spec(10, batch=48),
    "16 qubits, batch 48": Spec(16, batch=48),
    "20 qubits, batch 1": Spec(20, batch=1),
}
QUICK = ("10 qubits, batch 48",)
TURNS, TURN_SECONDS = 12, 0.2


def processors() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def numbers_of_threads() -> list[int]:
    """Powers of two, and all processors."""
    most = processors()
    return sorted({most, *(2**power for power in range(most.bit_length()))})


def _fastest(model: QuantumModule, inputs: torch.Tensor, num_threads: int) -> float:
    """The fastest step of one turn (s)."""
    model.set_num_threads_forward(num_threads)
    model.set_num_threads_backward(num_threads)
    best, start, count = float("inf"), time.perf_counter(), 0
    while count < 3 or time.perf_counter() - start < TURN_SECONDS:
        begin = time.perf_counter()
        model.zero_grad()
        model(inputs).sum(1).mean().backward()
        best, count = min(best, time.perf_counter() - begin), count + 1
    return best


def write(folder: Path, console: Console, *, quick: bool) -> list[Path]:
    """Measures every case on every number of threads; writes JSON and a table."""
    counts = numbers_of_threads()
    results: dict[str, Any] = {"date": time.strftime("%Y-%m-%d"), "machine": machine(), "threads": counts}
    results["cases"] = []
    torch.set_num_threads(1)  # PyTorch's own would take processors from the engine's
    for name in QUICK if quick else CASES:
        circuit, x, b, c = CASES[name].qiskit_circuit()
        model = QuantumModule(circuit, x, [b, c], seed_init=0)
        inputs = torch.tensor(CASES[name].data()[0], dtype=torch.float32)
        turns = [[_fastest(model, inputs, count) for count in counts] for _ in range(TURNS)]
        milliseconds = [1e3 * min(times) for times in zip(*turns, strict=True)]
        results["cases"].append({"name": name, "ms": milliseconds})
        console.print(name, milliseconds, highlight=False)
    return record.write(folder, "cores", results, markdown(results))


def markdown(results: dict[str, Any]) -> str:
    """The page about results."""
    counts = results["threads"]
    lines = [
        "# Threads",
        "",
        f"{described(results)}; float32, fastest training step of the reference circuit by number of threads, which "
        "take turns, ms; in brackets how many times faster than on one.",
        "",
        "| threads | " + " | ".join(case["name"] for case in results["cases"]) + " |",
        "| ---: |" + " ---: |" * len(results["cases"]),
    ]
    for place, count in enumerate(counts):
        cells = [f"{case['ms'][place]:.3g} ({case['ms'][0] / case['ms'][place]:.2f})" for case in results["cases"]]
        lines.append(f"| {count} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
