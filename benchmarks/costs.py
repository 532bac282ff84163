"""What calls of each method take, and the rates in `_simulation/costs.py` that expect it: `method="auto"` goes by them.

Training steps of a module, in single precision on one thread, over qubits, samples and steps of a program, and what
else people train (`workloads`); the three rates of a method make the logarithms of measured to expected times as small
as they can be.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import record
import torch
import workloads
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector
from qiskit.quantum_info import SparsePauliOp
from rich.console import Console
from scipy.optimize import least_squares

from qiskit_torch_module import QuantumModule
from qiskit_torch_module._simulation.costs import NATIVE, PYTORCH, Rates, by_steps, by_sweeps
from qiskit_torch_module._simulation.method import Task
from qiskit_torch_module.reproduce.runners.workload import Spec
from qiskit_torch_module.reproduce.store import described, machine

RATES = {"native": NATIVE, "pytorch": PYTORCH}
COUNTS = {"native": by_sweeps, "pytorch": by_steps}
QUBITS, BATCHES, DEPTHS = (2, 6, 10, 14, 18), (1, 8, 64), (0, 1, 4, 16)
QUICK_QUBITS, QUICK_BATCHES, QUICK_DEPTHS = (2, 8), (1, 8), (0, 1, 4)
# Amplitudes that are gone through: half a second; what PyTorch keeps for the way back fits in memory.
MOST = {"native": 1e9, "pytorch": 1e7}


Circuit = tuple[QuantumCircuit, list[Parameter], list[Parameter]]


def _reference(qubits: int, depth: int) -> Circuit:
    """The reference workload: many rotations fuse."""
    circuit, x, b, c = Spec(qubits, depth=depth).qiskit_circuit()
    return circuit, list(x), [*b, *c]


def _neighbours(qubits: int, depth: int) -> Circuit:
    """Rotations about XX, YY and ZZ on neighbours: none fuse. Without any, what is left is a call."""
    x, w = ParameterVector("x", 1), ParameterVector("w", 1 + 3 * depth * (qubits - 1))
    circuit, weights = QuantumCircuit(qubits), iter(w)
    circuit.ry(x[0] * next(weights), 0)
    for _ in range(depth):
        for first in range(qubits - 1):
            for gate in (circuit.rxx, circuit.ryy, circuit.rzz):
                gate(next(weights), first, first + 1)
    return circuit, list(x), list(w)


CIRCUITS: dict[str, Callable[[int, int], Circuit]] = {"reference": _reference, "neighbours": _neighbours}
LEAST_DEPTH = {"reference": 1, "neighbours": 0}


def _models(quick: bool) -> Iterator[tuple[str, Callable[[str], QuantumModule], Sequence[int]]]:
    """Names, modules by their method, and numbers of samples."""
    for name, make in CIRCUITS.items():
        for qubits in QUICK_QUBITS if quick else QUBITS:
            for depth in QUICK_DEPTHS if quick else DEPTHS:
                if depth >= LEAST_DEPTH[name]:
                    title, made = f"{name}, {qubits} qubits, {depth} layers", make(qubits, depth)
                    yield title, partial(_module, *made, "individualZ"), QUICK_BATCHES if quick else BATCHES
    for name in workloads.QUICK if quick else workloads.possible():
        circuit, terms = workloads.WORKLOADS[name]()
        observable = SparsePauliOp.from_sparse_list(terms, circuit.num_qubits)
        yield name, partial(_module, circuit, [], list(circuit.parameters), observable), (1,)


def _module(
    circuit: QuantumCircuit, x: list[Parameter], w: list[Parameter], observables: Any, method: str
) -> QuantumModule:
    return QuantumModule(circuit, x, w, observables=observables, method=method, seed_init=0)


def _points(quick: bool) -> Iterator[dict[str, Any]]:
    """Measured times (s)."""
    for name, make, batches in _models(quick):
        for method, count in COUNTS.items():
            model = make(method)
            for batch in batches:
                steps, amplitudes = count(model._program, Task(batch))
                if amplitudes <= MOST[method]:
                    point = {"circuit": name, "batch": batch, "steps": steps, "amplitudes": amplitudes}
                    yield {**point, "method": method, "seconds": _seconds(model, batch)}


def _seconds(model: QuantumModule, batch: int) -> float:
    """The shortest of many training steps: processor time, of which others on the machine take none."""
    inputs = [torch.rand(batch, len(model.encoding_parameters))] if model.encoding_parameters else []
    model(*inputs).sum().backward()
    times: list[float] = []
    while len(times) < 3 or (sum(times) < 0.1 and len(times) < 300):
        start = time.process_time()
        model(*inputs).sum().backward()
        times.append(time.process_time() - start)
    return min(times)


def _expected(rates: Rates, point: dict[str, Any]) -> float:
    return rates.seconds(point["steps"], point["amplitudes"])


def _fit(points: Sequence[dict[str, Any]], start: Rates) -> Rates:
    """Least squares of logarithms, from the rates that there are."""

    def rates(logarithms: Any) -> Rates:
        call, step, amplitude = map(float, np.exp(logarithms))
        return replace(start, call=call, step=step, amplitude=amplitude)

    def residuals(logarithms: Any) -> Any:
        return [np.log(_expected(rates(logarithms), point) / point["seconds"]) for point in points]

    return rates(least_squares(residuals, np.log([start.call, start.step, start.amplitude])).x)


def _furthest(points: Sequence[dict[str, Any]], rates: Rates) -> float:
    """The largest factor between measured and expected times, either way."""
    return float(np.exp(max(abs(np.log(_expected(rates, point) / point["seconds"])) for point in points)))


def write(folder: Path, console: Console, *, quick: bool) -> list[Path]:
    """Measures every method, fits its rates, and says how far those in the package are off; writes JSON and a table."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    results: dict[str, Any] = {"date": time.strftime("%Y-%m-%d"), "machine": machine(), "quick": quick}
    results["points"] = list(_points(quick))
    torch.set_num_threads(threads)
    results["rates"] = {}
    for method, rates in RATES.items():
        points = [point for point in results["points"] if point["method"] == method]
        fitted = _fit(points, rates)
        results["rates"][method] = {
            name: {"call": one.call, "step": one.step, "amplitude": one.amplitude, "factor": _furthest(points, one)}
            for name, one in (("package", rates), ("fitted", fitted))
        }
    paths = record.write(folder, "costs", results, markdown(results))
    console.print(paths[1].read_text(encoding="utf-8"), markup=False, highlight=False, soft_wrap=True)
    return paths


def markdown(results: dict[str, Any]) -> str:
    """The page about results."""
    lines = [
        "# What methods take",
        "",
        f"{described(results)}; float32, values and gradients. Rates in seconds: of a call, of a step, and of an "
        "amplitude that is gone through; and the largest factor between expected and measured times, either way.",
        "",
        "| method | rates | call | step | amplitude | factor |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for method, both in results["rates"].items():
        for name, one in both.items():
            numbers = " | ".join(f"{one[key]:.1e}" for key in ("call", "step", "amplitude"))
            lines.append(f"| {method} | {name} | {numbers} | {one['factor']:.1f} |")
    lines += [
        "",
        "| circuit | batch | method | steps | amplitudes | measured, ms | expected, ms |",
        "| --- | ---: | --- | ---: | ---: | ---: | ---: |",
    ]
    for point in results["points"]:
        where = " | ".join(str(point[key]) for key in ("circuit", "batch", "method", "steps"))
        expected = _expected(RATES[point["method"]], point)
        lines.append(f"| {where} | {point['amplitudes']:.3g} | {1e3 * point['seconds']:.3g} | {1e3 * expected:.3g} |")
    return "\n".join(lines) + "\n"
