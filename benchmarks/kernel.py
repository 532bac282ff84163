"""How far the engine is from the limits of the machine: achieved GFLOP/s and GB/s, by qubits and instruction set.

The limits are measured in the same run, on as many threads: a matrix product in cache for arithmetic, a copy of memory
for bandwidth. Operations and bytes are those of `qiskit_torch_module.explain`, which counts what the sweeps do, not
what a simpler simulator would.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import record
from rich.console import Console

from qiskit_torch_module._core.pictures import MUTED, decimal, picture
from qiskit_torch_module._simulation.engines import engine_of
from qiskit_torch_module.reproduce.looks import color_of, look_of
from qiskit_torch_module.reproduce.runners.workload import Spec
from qiskit_torch_module.reproduce.store import described, machine

THREADS = 1
QUBITS = (4, 6, 8, 10, 12, 14, 16, 18, 20)


def best_time(call: Callable[[], Any], seconds: float = 0.4) -> float:
    """The shortest of many repetitions (s)."""
    call()
    times = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def limits() -> dict[str, float]:
    """Peaks of this machine on `THREADS` threads: GFLOP/s in single and double precision, GB/s read and written."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    found = {}
    for name, dtype in (("float32", torch.float32), ("float64", torch.float64)):
        a, b = torch.rand(512, 512, dtype=dtype), torch.rand(512, 512, dtype=dtype)
        found[name] = 2 * 512**3 / best_time(lambda a=a, b=b: torch.mm(a, b)) * 1e-9
    source = torch.rand(64 << 20)
    target = torch.empty_like(source)
    found["bandwidth"] = 2 * source.nbytes / best_time(lambda: target.copy_(source)) * 1e-9
    torch.set_num_threads(threads)
    return found


def _point(precision: str, qubits: int) -> dict[str, Any]:
    """Achieved rates of values and gradients together, with the instruction set that is forced."""
    import torch

    from qiskit_torch_module import QuantumModule, explain

    spec, dtype = Spec(qubits, batch=48 if qubits <= 16 else 1), getattr(torch, precision)
    circuit, x, b, c = spec.qiskit_circuit()
    model = QuantumModule(circuit, x, [b, c], seed_init=0)
    engine, found = engine_of(model._program), explain(model, batch_size=spec.batch, dtype=dtype, num_threads=THREADS)
    inputs = spec.data()[0].astype(precision)
    weights = np.concatenate(spec.data()[1:]).astype(precision)
    cotangent, wanted = np.ones((spec.batch, qubits), precision), np.ones(qubits + len(weights), bool)
    forward = best_time(lambda: engine.values(inputs, weights, THREADS))
    both = best_time(lambda: engine.vector_jacobian_product(inputs, weights, cotangent, wanted, THREADS))
    flops, size = found.values.flops + found.gradients.flops, found.values.bytes + found.gradients.bytes
    return {
        "precision": precision,
        "qubits": qubits,
        "batch": spec.batch,
        "forward_ms": 1e3 * forward,
        "gradient_ms": 1e3 * both,
        "forward_gflops": found.values.flops * spec.batch / forward * 1e-9,
        "gflops": flops * spec.batch / both * 1e-9,
        "gbytes": size * spec.batch / both * 1e-9,
        "intensity": flops / size,
    }


def measure() -> None:
    """Prints a line of JSON: all points of this process."""
    sizes = json.loads(sys.argv[1])
    print(json.dumps([_point(precision, qubits) for precision in ("float32", "float64") for qubits in sizes]))


def write(folder: Path, console: Console, *, quick: bool) -> list[Path]:
    """Measures every instruction set; writes JSON, a table and the roofline."""
    from qiskit_torch_module import _engine

    qubits = [4, 10, 14] if quick else list(QUBITS)
    results: dict[str, Any] = {"date": time.strftime("%Y-%m-%d"), "machine": machine(), "limits": limits(), "sets": {}}
    for name in _engine.instruction_sets():
        console.print(name)
        done = subprocess.run(
            [sys.executable, __file__, json.dumps(qubits)],
            env={**os.environ, "QTM_INSTRUCTION_SET": name},
            capture_output=True,
            text=True,
            check=True,
        )
        results["sets"][name] = json.loads(done.stdout)
    paths, plot = record.write(folder, "kernel", results, markdown(results)), folder / "kernel.svg"
    draw(results, plot)
    return [*paths, plot]


def markdown(results: dict[str, Any]) -> str:
    """The page about results."""
    peak = results["limits"]
    lines = [
        "# The engine against the limits of the machine",
        "",
        f"{described(results)}; {THREADS} of the threads. Measured limits: {peak['float32']:.0f} GFLOP/s in single "
        f"and {peak['float64']:.0f} in double precision (matrix product), {peak['bandwidth']:.1f} GB/s (copy).",
        "Values and gradients of the reference circuit, depth 3; operations and bytes as `explain` counts them.",
        "",
        "![Roofline](kernel.svg)",
        "",
        "| instruction set | precision | qubits | batch | values, ms | gradients, ms | GFLOP/s | of the peak | GB/s |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, points in results["sets"].items():
        for one in points:
            lines.append(
                f"| {name} | {one['precision']} | {one['qubits']} | {one['batch']} | {one['forward_ms']:.3g} "
                f"| {one['gradient_ms']:.3g} | {one['gflops']:.1f} | {one['gflops'] / peak[one['precision']]:.0%} "
                f"| {one['gbytes']:.1f} |"
            )
    return "\n".join(lines) + "\n"


def draw(results: dict[str, Any], path: Path) -> None:
    """The roofline."""
    peak = results["limits"]
    intensity = np.sort([0.5, *(peak[precision] / peak["bandwidth"] for precision in ("float32", "float64")), 16.0])
    with picture(path, height=4.6) as (_, axis):
        for precision, style in (("float32", "-"), ("float64", "--")):
            limit = np.minimum(peak[precision], peak["bandwidth"] * intensity)
            axis.plot(intensity, limit, color=MUTED, linestyle=style, label=f"limit, {precision}")
        for number, (name, points) in enumerate(results["sets"].items()):
            for precision, face in (("float32", color_of(name)), ("float64", "none")):
                chosen = [one for one in points if one["precision"] == precision]
                look = {**look_of(name), "label": f"{name}, {precision}", "markerfacecolor": face, "linestyle": "none"}
                axis.plot([one["intensity"] for one in chosen], [one["gflops"] for one in chosen], **look)
                for one in chosen if number == 0 else ():
                    place = one["intensity"], one["gflops"]
                    beside = {18: (6, -4), 20: (5, -9)}.get(one["qubits"], (4, 3))
                    axis.annotate(str(one["qubits"]), place, beside, textcoords="offset points", size=9)
        axis.set(xscale="log", yscale="log", xlabel="operations for each byte of state", ylabel="GFLOP/s")
        decimal(axis.xaxis, (0.5, 1, 2, 5, 10))
        decimal(axis.yaxis, (1, 2, 5, 10, 20, 50, 100))
        axis.legend(ncols=2, fontsize=9, title="one thread; numbers are qubits", alignment="left")


if __name__ == "__main__":
    measure()
