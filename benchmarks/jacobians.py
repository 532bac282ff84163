"""What Jacobians of many observables take: to one observable, and to as many gradients one by one.

`EfficientSU2` with 3 repetitions, gradients with respect to all of its parameters, which differ from sample to sample,
in double precision on one thread. Targets: 32 random strings at most 20 times the time of one, 32 local Z at most 10
times, never slower than one by one, and no cliff in between.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import record
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from rich.console import Console

from qiskit_torch_module import FastEstimator, FastReverseEstimatorGradient
from qiskit_torch_module.reproduce.store import described, machine

COUNTS, BATCHES, QUBITS = (1, 2, 4, 8, 16, 32), (1, 48), 12
QUICK_COUNTS, QUICK_QUBITS = (1, 8), 8


def circuit_of(n: int) -> QuantumCircuit:
    """``EfficientSU2(n, reps=3)``, which every version of Qiskit spells in another way."""
    x, circuit = iter(ParameterVector("x", 8 * n)), QuantumCircuit(n)
    for layer in range(4):
        for q in range(n):
            circuit.ry(next(x), q)
        for q in range(n):
            circuit.rz(next(x), q)
        for q in reversed(range(n - 1)) if layer < 3 else ():
            circuit.cx(q, q + 1)
    return circuit


def _label(n: int, *qubits: int) -> str:
    return "".join("Z" if q in qubits else "I" for q in reversed(range(n)))


def random_strings(n: int, count: int) -> list[str]:
    """Any letter on any qubit."""
    rng = np.random.default_rng(1)
    return ["".join(rng.choice(list("IXYZ"), n)) for _ in range(count)]


def local_z(n: int, count: int) -> list[str]:
    """Z of one qubit after the other, and again."""
    return [_label(n, i % n) for i in range(count)]


def pairs_of_z(n: int, count: int) -> list[str]:
    """Z of every qubit, then of pairs, at growing distances: no two are the same."""
    return [_label(n, i % n, (i + i // n) % n) for i in range(count)]


OBSERVABLES: dict[str, Callable[[int, int], list[str]]] = {
    "random strings": random_strings,
    "local Z": local_z,
    "Z and pairs of Z": pairs_of_z,
}


def _seconds(call: Callable[[], Any]) -> float:
    """The shortest of many: processor time, of which others on the machine take none."""
    call()
    times: list[float] = []
    while len(times) < 4 or (sum(times) < 0.2 and len(times) < 200):
        start = time.thread_time()
        call()
        times.append(time.thread_time() - start)
    return min(times)


def _point(circuit: QuantumCircuit, observables: list[str], rows: Any) -> dict[str, float]:
    gradient, estimator = FastReverseEstimatorGradient(num_threads=1), FastEstimator(exact=True, num_threads=1)

    def one_by_one() -> Any:
        return [gradient.jacobian(circuit, [one], rows) for one in observables]

    np.testing.assert_allclose(
        gradient.jacobian(circuit, observables, rows), np.concatenate(one_by_one(), axis=1), atol=1e-10
    )
    return {
        "jacobian": _seconds(lambda: gradient.jacobian(circuit, observables, rows)),
        "one_by_one": _seconds(one_by_one),
        "values": _seconds(lambda: estimator.expectation_values(circuit, observables, rows)),
    }


def write(folder: Path, console: Console, *, quick: bool) -> list[Path]:
    """Measures all; writes JSON and a table."""
    n, counts = (QUICK_QUBITS, QUICK_COUNTS) if quick else (QUBITS, COUNTS)
    circuit, rng, points = circuit_of(n), np.random.default_rng(0), []
    for batch in BATCHES:
        rows = rng.uniform(-np.pi, np.pi, (batch, circuit.num_parameters))
        for name, make in OBSERVABLES.items():
            for count in counts:
                point = {"observables": name, "batch": batch, "count": count}
                points.append({**point, **_point(circuit, make(n, count), rows)})
            console.print(name, f"batch {batch}: {1e3 * points[-1]['jacobian']:.3g} ms", highlight=False)
    results = {"date": time.strftime("%Y-%m-%d"), "machine": machine(), "qubits": n, "points": points}
    return record.write(folder, "jacobians", results, markdown(results))


def markdown(results: dict[str, Any]) -> str:
    """The page about results."""
    lines = [
        "# What Jacobians of many observables take",
        "",
        f"{described(results)}; EfficientSU2 with 3 repetitions, {results['qubits']} qubits, float64, one thread. "
        "Milliseconds; the time of one observable is 1; and to gradients of as many, one by one.",
        "",
        "| observables | batch | number | Jacobian | to one | to one by one | values | to one |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for point in results["points"]:
        if point["count"] == 1:
            first = point
        cells = [
            f"{1e3 * point['jacobian']:.3g}",
            f"{point['jacobian'] / first['jacobian']:.1f}",
            f"{point['jacobian'] / point['one_by_one']:.2f}",
            f"{1e3 * point['values']:.3g}",
            f"{point['values'] / first['values']:.1f}",
        ]
        lines.append(f"| {point['observables']} | {point['batch']} | {point['count']} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
