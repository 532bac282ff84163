"""The circuit that every runner evaluates, and how it is timed.

Hadamards; `depth` layers of RZ(b) RY(b) on every qubit, a ring of CNOTs and RY(c x) RZ(c x) on every qubit (data
re-uploading with trainable scaling); a last RZ(b) RY(b). A step is the loss, the batch mean of the sum of all outputs,
and its gradient with respect to b and c. No imports beyond NumPy: every runner has a Python of its own.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import numpy as np

Gate = tuple[str, tuple[int, ...], tuple[str, int, int] | None]


@dataclass(frozen=True)
class Spec:
    """One point of a figure.

    Attributes:
        qubits, depth, batch: Size of the work.
        observables: 0: Z of every qubit; M: M times Z on all qubits at once, as in Table I of the paper.
        mode: Of the runner, where it has several.
        repetitions: Most repetitions that are timed.
        seconds: Time after which no repetition starts.
    """

    qubits: int
    depth: int = 3
    batch: int = 48
    observables: int = 0
    mode: str = ""
    repetitions: int = 15
    seconds: float = 20.0

    @property
    def strings(self) -> list[tuple[int, ...]]:
        """The qubits of each observable, a product of Z."""
        n = self.qubits
        return [tuple(range(n))] * self.observables if self.observables else [(q,) for q in range(n)]

    def data(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Inputs (batch, qubits), weights b (2 qubits (depth + 1),), scalings c (2 qubits depth,)."""
        random, n, d = np.random.default_rng(7), self.qubits, self.depth
        return (
            random.random((self.batch, n)),
            random.uniform(-1, 1, 2 * n * (d + 1)),
            random.uniform(-1, 1, 2 * n * d),
        )

    def gates(self) -> Iterator[Gate]:
        """Name, qubits, angle: ("b", i, 0) for b[i], ("c", i, q) for c[i] x[q]."""
        n = self.qubits
        yield from (("h", (q,), None) for q in range(n))
        for layer in range(self.depth + 1):
            for q in range(n):
                i = 2 * (n * layer + q)
                yield "rz", (q,), ("b", i, 0)
                yield "ry", (q,), ("b", i + 1, 0)
            if layer == self.depth:
                return
            yield from (("cx", (q, (q + 1) % n), None) for q in range(n if n > 2 else n - 1))
            for q in range(n):
                i = 2 * (n * layer + q)
                yield "ry", (q,), ("c", i, q)
                yield "rz", (q,), ("c", i + 1, q)

    def qiskit_circuit(self):
        """The circuit with its parameter vectors x, b, c."""
        from qiskit import QuantumCircuit
        from qiskit.circuit import ParameterVector

        _, weights, scalings = self.data()
        x, b = ParameterVector("x", self.qubits), ParameterVector("b", len(weights))
        c = ParameterVector("c", len(scalings))
        circuit = QuantumCircuit(self.qubits)
        for name, qubits, angle in self.gates():
            values = () if angle is None else (b[angle[1]] if angle[0] == "b" else c[angle[1]] * x[angle[2]],)
            getattr(circuit, name)(*values, *qubits)
        return circuit, x, b, c

    def qiskit_observables(self):
        """The observables as Pauli sums."""
        from qiskit.quantum_info import SparsePauliOp

        n = self.qubits
        return [SparsePauliOp("".join("IZ"[q in one] for q in reversed(range(n)))) for one in self.strings]


@dataclass
class Timing:
    """Times in milliseconds, all repetitions; `first` includes compilation."""

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
        report[f"{name}_check"] = [float(np.asarray(one, float).ravel() @ _pattern(np.size(one))) for one in result]
    print(json.dumps(report), flush=True)


def _time(call: Callable[[], tuple[np.ndarray, ...]], spec: Spec) -> tuple[Timing, tuple[np.ndarray, ...]]:
    start = time.perf_counter()
    result = call()
    first = time.perf_counter() - start
    times: list[float] = []
    end = time.perf_counter() + spec.seconds
    while len(times) < spec.repetitions and time.perf_counter() < end:
        start = time.perf_counter()
        result = call()
        times.append(1e3 * (time.perf_counter() - start))
    return Timing(1e3 * first, times or [1e3 * first]), result


def _pattern(size: int) -> np.ndarray:
    """Weights of a checksum: no two results that differ have the same one by accident."""
    return np.cos(np.arange(size))
