"""Memory: predicted by `explain`, and what a process really takes, within a budget of 8 GiB."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import record
from rich.console import Console

from qiskit_torch_module.reproduce.runners.workload import Spec
from qiskit_torch_module.reproduce.store import described, machine

BUDGET = 8 << 30
# Qubits and batch of a training step in single precision.
CASES = ((12, 10_000), (20, 8), (24, 1), (26, 1))
QUICK_CASES = ((12, 1000), (16, 4))


def reset_peak() -> None:
    """Forgets how large this process once was (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")


def status(name: str) -> int:
    """Bytes of this process: "VmRSS" now, "VmHWM" at its largest (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def measure() -> None:
    """Prints a line of JSON: one training step in this process."""
    import torch

    from qiskit_torch_module import QuantumModule, explain, set_memory_budget

    qubits, batch = json.loads(sys.argv[1])
    set_memory_budget(BUDGET)
    spec = Spec(qubits, batch=batch)
    circuit, x, b, c = spec.qiskit_circuit()
    model = QuantumModule(circuit, x, [b, c], seed_init=0)
    inputs = torch.tensor(spec.data()[0], dtype=torch.float32)
    reset_peak()
    before = status("VmRSS")
    start = time.perf_counter()
    model(inputs).sum(1).mean().backward()
    seconds = time.perf_counter() - start
    taken = status("VmHWM") - before
    schedule = explain(model, batch_size=batch).schedule
    print(json.dumps({"qubits": qubits, "batch": batch, "seconds": seconds, "taken": taken, "schedule": schedule}))


def write(folder: Path, console: Console, *, quick: bool) -> list[Path]:
    """Measures every case in a process of its own; writes JSON and a table."""
    results: dict[str, Any] = {"date": time.strftime("%Y-%m-%d"), "machine": machine(), "cases": []}
    for case in QUICK_CASES if quick else CASES:
        command = [sys.executable, __file__, json.dumps(case)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        results["cases"].append(json.loads(done.stdout))
        console.print(case, f"{results['cases'][-1]['seconds']:.3g} s", highlight=False)
    return record.write(folder, "memory", results, markdown(results))


def markdown(results: dict[str, Any]) -> str:
    """The page about results."""
    lines = [
        "# Memory of a training step",
        "",
        f"{described(results)}; float32, depth 3, a budget of {BUDGET / 2**30:.0f} GiB. Predicted: scratch of the "
        "engine and tape; taken: by how much the process grew at its largest.",
        "",
        "| qubits | batch | predicted, MiB | taken, MiB | kets | s |",
        "| ---: | ---: | ---: | ---: | --- | ---: |",
    ]
    for one in results["cases"]:
        how = one["schedule"]
        lines.append(
            f"| {one['qubits']} | {one['batch']} | {(how['scratch_bytes'] + how['tape_bytes']) / 2**20:.0f} "
            f"| {one['taken'] / 2**20:.0f} | {'kept' if how['keeps_kets'] else 'undone'} | {one['seconds']:.3g} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    measure()
