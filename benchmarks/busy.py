"""A busy machine: steps beside as many busy processes as there are processors, by default and on one thread.

What is wanted: beside them, a step takes at most 1.2 times what it takes on one thread in the same state of the
machine, and never more than 2.5 times its time on the quiet one. Steps of both kinds alternate in short bursts.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import record
import torch
from cores import processors
from qiskit.quantum_info import SparsePauliOp
from rich.console import Console
from workloads import Workload, ising, qaoa, uccsd

from qiskit_torch_module import QuantumModule
from qiskit_torch_module.reproduce.runners.workload import Spec
from qiskit_torch_module.reproduce.store import described, machine

# A batch of the reference circuit, or a single state.
CASES: dict[str, Spec | Callable[[], Workload]] = {
    "reference, 10 qubits, batch 48": Spec(10, batch=48),
    "reference, 14 qubits, batch 48": Spec(14, batch=48),
    "UCCSD, 12 qubits": lambda: uccsd(12),
    "Ising, 16 qubits, 10 layers": lambda: ising(16),
    "QAOA, 20 qubits, 8 layers": lambda: qaoa(20),
}
QUICK = ("reference, 10 qubits, batch 48", "UCCSD, 12 qubits")
BURSTS, BURST_SECONDS, WARM_SECONDS = 24, 0.25, 1.5
# What is wanted: at most so many times as long as on one thread in the same state, and as on the quiet machine.
MOST_TO_ONE, MOST_TO_QUIET = 1.2, 2.5


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """So many processes that do nothing but take a processor."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def model_of(case: Spec | Callable[[], Workload]) -> tuple[QuantumModule, torch.Tensor | None]:
    """A module and its input."""
    if isinstance(case, Spec):
        circuit, x, b, c = case.qiskit_circuit()
        return QuantumModule(circuit, x, [b, c], seed_init=0), torch.tensor(case.data()[0], dtype=torch.float32)
    circuit, terms = case()
    observable = SparsePauliOp.from_sparse_list(terms, circuit.num_qubits)
    return QuantumModule(circuit, None, circuit.parameters, observables=observable, seed_init=0), None


def _burst(model: QuantumModule, inputs: torch.Tensor | None, seconds: float, num_threads: int) -> float:
    """Mean time of a step (s): late steps count."""
    model.set_num_threads_forward(num_threads)
    model.set_num_threads_backward(num_threads)
    start, count = time.perf_counter(), 0
    while count < 3 or time.perf_counter() - start < seconds:
        model.zero_grad()
        model(inputs).sum().backward()
        count += 1
    return (time.perf_counter() - start) / count


def _times(model: QuantumModule, inputs: torch.Tensor | None) -> dict[str, float]:
    """Medians of bursts by default and on one thread (ms)."""
    _burst(model, inputs, WARM_SECONDS, 0)
    bursts: dict[str, list[float]] = {"default": [], "one": []}
    for _ in range(BURSTS):
        for name, num_threads in (("default", 0), ("one", 1)):
            bursts[name].append(_burst(model, inputs, BURST_SECONDS, num_threads))
    return {name: 1e3 * statistics.median(times) for name, times in bursts.items()}


def write(folder: Path, console: Console, *, quick: bool) -> list[Path]:
    """Measures every case on the quiet and on the busy machine; writes JSON and a table."""
    count = processors()
    results: dict[str, Any] = {"date": time.strftime("%Y-%m-%d"), "machine": machine(), "processors": count}
    results["cases"] = []
    for name in QUICK if quick else CASES:
        model, inputs = model_of(CASES[name])
        quiet = _times(model, inputs)
        with busy_processes(count):
            busy = _times(model, inputs)
        results["cases"].append({"name": name, "quiet": quiet, "busy": busy})
        console.print(name, quiet, busy, highlight=False)
    return record.write(folder, "busy", results, markdown(results))


def markdown(results: dict[str, Any]) -> str:
    """The page about results."""
    lines = [
        "# A busy machine",
        "",
        f"{described(results)}; float32, training steps on the quiet machine and beside {results['processors']} busy "
        "processes, by default and on one thread, in alternating bursts: medians, ms. Wanted: at most "
        f"{MOST_TO_ONE:g} times one thread in the same state, and at most {MOST_TO_QUIET:g} times the quiet machine.",
        "",
        "| steps | quiet | quiet, one thread | busy | busy, one thread | busy, to one thread | to the quiet machine |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for case in results["cases"]:
        quiet, busy = case["quiet"], case["busy"]
        lines.append(
            f"| {case['name']} | {quiet['default']:.3g} | {quiet['one']:.3g} | {busy['default']:.3g} "
            f"| {busy['one']:.3g} | {busy['default'] / busy['one']:.2f} | {busy['default'] / quiet['default']:.2f} |"
        )
    return "\n".join([*lines, "", _missed(results["cases"])]) + "\n"


def _missed(cases: list[dict[str, Any]]) -> str:
    """How many rows miss what is wanted."""
    to_one = sum(case["busy"]["default"] > MOST_TO_ONE * case["busy"]["one"] for case in cases)
    to_quiet = sum(case["busy"]["default"] > MOST_TO_QUIET * case["quiet"]["default"] for case in cases)
    if to_one == to_quiet == 0:
        return f"All {len(cases)} rows meet both."
    return (
        f"Of {len(cases)} rows, {to_one or 'none'} {'misses' if to_one == 1 else 'miss'} the first, to one thread, and "
        f"{to_quiet or 'none'} {'misses' if to_quiet == 1 else 'miss'} the second, to the quiet machine. A processor "
        "that is shared evenly with one busy process has half of its time left: the second allows 1.25 times that."
    )
