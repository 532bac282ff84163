"""The circuits that every runner evaluates, and how they are timed.

All start with Hadamards, have `depth` layers of RZ(b) RY(b) on every qubit, entanglement and data, and end with RZ(b)
RY(b) on every qubit. A step is the loss, the batch mean of the sum of all outputs, and its gradient with respect to b
and c. No imports beyond NumPy: every runner has a Python of its own.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np

# ("b", i, 0): b[i]; ("c", i, q): c[i] x[q]; ("x", i, 0): x[i].
Angle = tuple[str, int, int]
Gate = tuple[str, tuple[int, ...], Angle | None]


_TIMING = ("repetitions", "least_seconds", "seconds", "first_counts")


@dataclass(frozen=True)
class Spec:
    """One point of a figure.

    Attributes:
        qubits, depth, batch: Size of the work.
        circuit: "reference": a ring of CNOTs, then RY(c x) RZ(c x) on every qubit (data re-uploading with trainable
            scaling); "policy": the same with CZ between all pairs; "digits": a ring of CNOTs, then RX(x) of new data in
            every layer (incremental data-uploading).
        observables: 0: Z of every qubit; M: so many different products of Z, one qubit each, then pairs; with "policy"
            the product of all.
        mode: Of the runner, where it has several.
        threads: At most so many; 0: as the system chooses.
        instruction_set: Of this package's engine; "": the best one.
        repetitions: Repetitions that are timed, at least.
        least_seconds: Time for which they go on: what takes a millisecond must not be measured in a few of them.
        seconds: Time after which no repetition starts.
        first_counts: Where the first call takes longer than that, it is the time: nothing is compiled.
    """

    qubits: int
    depth: int = 3
    batch: int = 48
    circuit: str = "reference"
    observables: int = 0
    mode: str = ""
    threads: int = 0
    instruction_set: str = ""
    repetitions: int = 15
    least_seconds: float = 1.0
    seconds: float = 20.0
    first_counts: bool = False

    @property
    def strings(self) -> list[tuple[int, ...]]:
        """The qubits of each observable, a product of Z."""
        n = self.qubits
        if self.circuit == "policy":
            return [tuple(range(n))]
        # Distance 0 is a single qubit. No two are the same, so that nothing can be computed once for several of them.
        apart = [tuple(sorted({q, (q + distance) % n})) for distance in range(n // 2 + 1) for q in range(n)]
        return list(dict.fromkeys(apart))[: self.observables or n]

    @property
    def work(self) -> dict[str, Any]:
        """What is computed, apart from how long and how often."""
        return {name: value for name, value in asdict(self).items() if name not in _TIMING}

    def data(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Inputs (batch, inputs), weights b (2 qubits (depth + 1),), scalings c (2 qubits depth,), or none."""
        random, n, d = np.random.default_rng(7), self.qubits, self.depth
        has_scaling = self.circuit != "digits"
        return (
            random.random((self.batch, n if has_scaling else n * d)),
            random.uniform(-1, 1, 2 * n * (d + 1)),
            random.uniform(-1, 1, 2 * n * d if has_scaling else 0),
        )

    def gates(self) -> Iterator[Gate]:
        """Name, qubits and angle of every gate."""
        n = self.qubits
        yield from (("h", (q,), None) for q in range(n))
        for layer in range(self.depth + 1):
            for q in range(n):
                i = 2 * (n * layer + q)
                yield "rz", (q,), ("b", i, 0)
                yield "ry", (q,), ("b", i + 1, 0)
            if layer == self.depth:
                return
            if self.circuit == "policy":
                yield from (("cz", pair, None) for pair in combinations(range(n), 2))
            else:
                yield from (("cx", (q, (q + 1) % n), None) for q in range(n if n > 2 else n - 1))
            for q in range(n):
                i = 2 * (n * layer + q)
                if self.circuit == "digits":
                    yield "rx", (q,), ("x", n * layer + q, 0)
                else:
                    yield "ry", (q,), ("c", i, q)
                    yield "rz", (q,), ("c", i + 1, q)

    def qiskit_circuit(self, name: str = "x") -> tuple[Any, Any, Any, Any]:
        """The circuit with its parameter vectors x (under a name), b, c."""
        from qiskit import QuantumCircuit
        from qiskit.circuit import ParameterVector

        inputs, weights, scalings = self.data()
        x, b = ParameterVector(name, inputs.shape[1]), ParameterVector("b", len(weights))
        c = ParameterVector("c", len(scalings))
        circuit = QuantumCircuit(self.qubits)
        for name, qubits, angle in self.gates():
            values = () if angle is None else (angle_of(angle, x, b, c),)
            getattr(circuit, name)(*values, *qubits)
        return circuit, x, b, c

    def qiskit_observables(self) -> list[Any]:
        """The observables as Pauli sums."""
        from qiskit.quantum_info import SparsePauliOp

        n = self.qubits
        return [SparsePauliOp("".join("IZ"[q in string] for q in reversed(range(n)))) for string in self.strings]


def angle_of(angle: Angle, x: Sequence[Any], b: Sequence[Any], c: Sequence[Any]) -> Any:
    """The angle of a gate, from data of one sample, weights and scalings."""
    kind, index, column = angle
    if kind == "c":
        return c[index] * x[column]
    return b[index] if kind == "b" else x[index]


@dataclass
class Timing:
    """Times in milliseconds, of a few hundred repetitions where there were more; `first` includes compilation."""

    first: float
    times: list[float]


def run(prepare: Callable[[Spec], dict[str, Callable[[], tuple[np.ndarray, ...]]]]) -> None:
    """Reads a spec from the command line, times what `prepare` returns, prints a line of JSON.

    `prepare` returns callables by name, such as "forward" and "step"; each returns arrays, whose checksums are compared
    between runners.
    """
    spec = Spec(**json.loads(sys.argv[1]))
    report: dict[str, object] = {"spec": asdict(spec)}
    for name, call in prepare(spec).items():
        timing, result = _time(call, spec)
        report[name] = asdict(timing)
        arrays = [np.asarray(array, float).ravel() for array in result if np.size(array) > 0]
        report[f"{name}_check"] = [float(array @ _pattern(len(array))) for array in arrays]
    print(json.dumps(report), flush=True)


def _time(call: Callable[[], tuple[np.ndarray, ...]], spec: Spec) -> tuple[Timing, tuple[np.ndarray, ...]]:
    start = time.perf_counter()
    result = call()
    first = time.perf_counter() - start
    if spec.first_counts and first > spec.seconds:
        return Timing(1e3 * first, [1e3 * first]), result
    times: list[float] = []
    begin = start = time.perf_counter()
    while start < begin + spec.seconds and (len(times) < spec.repetitions or start < begin + spec.least_seconds):
        result = call()
        after = time.perf_counter()
        times.append(1e3 * (after - start))
        start = after
    thinned = times[:: max(1, len(times) // 200)]
    return Timing(1e3 * first, thinned or [1e3 * first]), result


def _pattern(size: int) -> np.ndarray:
    """Weights of a checksum: no two results that differ have the same one by accident."""
    return np.cos(np.arange(size))
