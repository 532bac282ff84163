"""A ledger of what people train: operations and bytes expected, time found, share of the machine's limit.

QAOA and Ising circuits, unitary coupled cluster, Hamiltonians of a thousand terms, a deep circuit, evolution by
random words, rings of controlled rotations, Givens rotations, matrices of numbers, and molecules: one training step,
value and all gradients, without data, in single precision on one thread; beside it the product of the Hessian with a
vector, and the state with the gradient of a function of it.
Operations and bytes are those that the sweeps do, reading included, as `qiskit_torch_module._simulation.work` counts
them; bytes are counted without a cache, so that small states go beyond the rate of memory. The limits are measured in
the same run.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import record
import torch
from kernel import THREADS, best_time, limits
from molecules import IS_POSSIBLE, MOLECULES, molecule
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterExpression, ParameterVector
from qiskit.circuit.library import PauliEvolutionGate, XXPlusYYGate
from qiskit.quantum_info import SparsePauliOp, random_unitary
from rich.console import Console

from qiskit_torch_module import QuantumModule, explain
from qiskit_torch_module._simulation.work import Work, work_of_terms
from qiskit_torch_module.outputs import State
from qiskit_torch_module.reproduce.store import described, machine, plain

Terms = list[tuple[str, list[int], float]]  # letters, on qubits, coefficient
Workload = tuple[QuantumCircuit, Terms]


def graph(n: int) -> list[tuple[int, int]]:
    """A random graph of three edges a qubit, or nearly so."""
    rng = np.random.default_rng(n)
    edges: set[tuple[int, int]] = set()
    while len(edges) < 3 * n // 2:
        first, second = sorted(map(int, rng.choice(n, 2, replace=False)))
        edges.add((first, second))
    return sorted(edges)


def qaoa(n: int, depth: int = 8) -> Workload:
    """MaxCut: two weights a layer."""
    edges, w, circuit = graph(n), ParameterVector("w", 2 * depth), QuantumCircuit(n)
    circuit.h(range(n))
    for layer in range(depth):
        for edge in edges:
            circuit.rzz(w[2 * layer], *edge)
        circuit.rx(2 * w[2 * layer + 1], range(n))
    return circuit, [("ZZ", list(edge), 0.5) for edge in edges]


def ising(n: int, depth: int = 10) -> Workload:
    """A weight for every rotation: RZZ along a chain, RX on every qubit."""
    w, circuit = iter(ParameterVector("w", depth * (2 * n - 1))), QuantumCircuit(n)
    circuit.h(range(n))
    for _ in range(depth):
        for qubit in range(n - 1):
            circuit.rzz(next(w), qubit, qubit + 1)
        for qubit in range(n):
            circuit.rx(next(w), qubit)
    return circuit, [("ZZ", [q, q + 1], -1.0) for q in range(n - 1)] + [("X", [q], -1.0) for q in range(n)]


SINGLE = {"XY": 0.5, "YX": -0.5}
DOUBLE = {"XXXY": 1, "XXYX": 1, "XYXX": -1, "YXXX": -1, "YYYX": -1, "YYXY": -1, "YXYY": 1, "XYYY": 1}


def excitation(circuit: QuantumCircuit, angle: ParameterExpression, qubits: Iterable[int]) -> None:
    """A fermionic excitation (Jordan-Wigner): words of one angle, with Z in between."""
    on = sorted(qubits)
    between = {q: "Z" for first, last in zip(on[::2], on[1::2], strict=True) for q in range(first + 1, last)}
    words = SINGLE if len(on) == 2 else {word: sign / 8 for word, sign in DOUBLE.items()}
    covered = range(on[0], on[-1] + 1)
    labels = []
    for word, coefficient in words.items():
        letters = {**between, **dict(zip(on, word, strict=True))}
        labels.append(("".join(letters.get(q, "I") for q in reversed(covered)), coefficient))
    circuit.append(PauliEvolutionGate(SparsePauliOp.from_list(labels), angle), covered)


def uccsd(n: int, terms: int = 500) -> Workload:
    """All single and double excitations from a quarter of the orbitals, half of the electrons of each spin."""
    spins = [range(n // 2), range(n // 2, n)]
    occupied = {q for spin in spins for q in spin[: len(spin) // 2]}
    free = [q for q in range(n) if q not in occupied]
    of_spin = {q: s for s, spin in enumerate(spins) for q in spin}
    singles = [(o, v) for o in sorted(occupied) for v in free if of_spin[o] == of_spin[v]]
    doubles = [
        (*pair, *other)
        for pair in itertools.combinations(sorted(occupied), 2)
        for other in itertools.combinations(free, 2)
        if sum(map(of_spin.__getitem__, pair)) == sum(map(of_spin.__getitem__, other))
    ]
    circuit, w = QuantumCircuit(n), iter(ParameterVector("w", len(singles) + len(doubles)))
    circuit.x(sorted(occupied))
    for qubits in (*singles, *doubles):
        excitation(circuit, next(w), qubits)
    return circuit, random_terms(n, terms)


def random_terms(n: int, count: int) -> Terms:
    """Any letter on any number of qubits."""
    rng, found = np.random.default_rng(n), []
    for _ in range(count):
        qubits = sorted(map(int, rng.choice(n, int(rng.integers(1, n + 1)), replace=False)))
        found.append(("".join(rng.choice(list("XYZ"), len(qubits))), qubits, float(rng.normal())))
    return found


def layered(n: int, depth: int, terms: int) -> Workload:
    """RY and RZ on every qubit, and a chain of CX."""
    w, circuit = iter(ParameterVector("w", 2 * n * (depth + 1))), QuantumCircuit(n)
    for layer in range(depth + 1):
        for qubit in range(n):
            circuit.ry(next(w), qubit)
            circuit.rz(next(w), qubit)
        for qubit in range(n - 1) if layer < depth else ():
            circuit.cx(qubit, qubit + 1)
    return circuit, random_terms(n, terms)


def words(n: int, count: int = 60) -> Workload:
    """Evolution by a random word of three letters, again and again, with a weight each, after a layer of RY."""
    rng, w, circuit = np.random.default_rng(n), ParameterVector("w", n + count), QuantumCircuit(n)
    for qubit in range(n):
        circuit.ry(w[qubit], qubit)
    for number in range(count):
        word = SparsePauliOp("".join(rng.choice(list("XYZ"), 3)))
        circuit.append(PauliEvolutionGate(word, w[n + number]), rng.choice(n, 3, replace=False).tolist())
    return circuit, [("Z", [qubit], 1.0) for qubit in range(n)]


def ring(n: int, depth: int) -> Workload:
    """RY of every qubit and a ring of CRX, a weight each."""
    w, circuit = iter(ParameterVector("w", 2 * n * depth)), QuantumCircuit(n)
    for _ in range(depth):
        for qubit in range(n):
            circuit.ry(next(w), qubit)
        for qubit in range(n):
            circuit.crx(next(w), qubit, (qubit + 1) % n)
    return circuit, [("Z", [qubit], 1.0) for qubit in range(n)]


def givens(n: int, depth: int) -> Workload:
    """Givens rotations of neighbours, as bricks, and RZ of every qubit, a weight each; hopping is read."""
    w, circuit = iter(ParameterVector("w", (2 * n - 1) * depth)), QuantumCircuit(n)
    circuit.x(range(n // 2))
    for _ in range(depth):
        for first in (*range(0, n - 1, 2), *range(1, n - 1, 2)):
            circuit.append(XXPlusYYGate(next(w)), [first, first + 1])
        for qubit in range(n):
            circuit.rz(next(w), qubit)
    return circuit, [(letters, [qubit, qubit + 1], 1.0) for qubit in range(n - 1) for letters in ("XX", "YY", "ZZ")]


def matrices(n: int, depth: int) -> Workload:
    """RY and RZ of every qubit, a weight each, and the same random unitary on every three neighbours."""
    w, circuit, unitary = iter(ParameterVector("w", 2 * n * depth)), QuantumCircuit(n), random_unitary(8, seed=n)
    for layer in range(depth):
        for qubit in range(n):
            circuit.ry(next(w), qubit)
            circuit.rz(next(w), qubit)
        for first in range(layer % 3, n - 2, 3):
            circuit.unitary(unitary, range(first, first + 3))
    return circuit, [("Z", [qubit], 1.0) for qubit in range(n)]


def of_molecule(name: str) -> Workload:
    """What qiskit-nature makes of a molecule, if it is installed."""
    circuit, energy = molecule(name)
    return circuit, [(letters, qubits, coefficient.real) for letters, qubits, coefficient in energy.to_sparse_list()]


WORKLOADS: Mapping[str, Callable[[], Workload]] = {
    "QAOA, 12 qubits, 8 layers": lambda: qaoa(12),
    "QAOA, 16 qubits, 8 layers": lambda: qaoa(16),
    "QAOA, 20 qubits, 8 layers": lambda: qaoa(20),
    "Ising, 12 qubits, 10 layers": lambda: ising(12),
    "Ising, 20 qubits, 10 layers": lambda: ising(20),
    "UCCSD, 12 qubits, 500 terms": lambda: uccsd(12),
    "UCCSD, 14 qubits, 500 terms": lambda: uccsd(14),
    "1,000 terms, 12 qubits": lambda: layered(12, 3, 1000),
    "1,000 terms, 16 qubits": lambda: layered(16, 3, 1000),
    "200 layers, 10 qubits": lambda: layered(10, 200, 10),
    "60 words, 12 qubits": lambda: words(12),
    "60 words, 18 qubits": lambda: words(18),
    "ring of CRX, 16 qubits, 3 layers": lambda: ring(16, 3),
    "Givens, 16 qubits, 6 layers": lambda: givens(16, 6),
    "matrices, 12 qubits, 4 layers": lambda: matrices(12, 4),
    "LiH, UCCSD, 12 qubits": lambda: of_molecule("LiH"),
    "H2O, UCCSD, 14 qubits": lambda: of_molecule("H2O"),
    "NH3, UCCSD, 16 qubits": lambda: of_molecule("NH3"),
}
QUICK = ("QAOA, 12 qubits, 8 layers", "UCCSD, 12 qubits, 500 terms")


def possible() -> list[str]:
    """Names of workloads that can be had: molecules need qiskit-nature."""
    return [name for name in WORKLOADS if IS_POSSIBLE or name.split(",")[0] not in MOLECULES]


def _point(name: str) -> dict[str, Any]:
    circuit, terms = WORKLOADS[name]()
    observable = SparsePauliOp.from_sparse_list(terms, circuit.num_qubits)
    torch.set_num_threads(THREADS)
    model = QuantumModule(circuit, None, circuit.parameters, observables=observable, seed_init=0)

    def step() -> None:
        model.zero_grad()
        model().sum().backward()

    said = explain(model, num_threads=THREADS)
    output = model._program.simulated.expectation_values
    assert output is not None
    # Halves that are never joined have it among their own.
    read, seeded = (Work(0, 0), Work(0, 0)) if said.words else work_of_terms(said.num_simulated_qubits, output.terms, 8)
    parts = [said.values, said.gradients]
    return {
        "name": name,
        "weights": circuit.num_parameters,
        "ms": 1e3 * best_time(step, 1.0),
        "hessian_ms": 1e3 * best_time(_hessian_product(model), 0.5),
        "state_ms": 1e3 * best_time(_state_step(circuit), 0.5),
        "evolution_flops": sum(part.flops for part in parts),
        "reading_flops": read.flops + seeded.flops,
        "bytes": sum(part.bytes for part in (*parts, read, seeded)),
    }


def _hessian_product(model: QuantumModule) -> Callable[[], None]:
    (weights,) = model.parameters()
    vector = torch.ones_like(weights)

    def step() -> None:
        (gradient,) = torch.autograd.grad(model().sum(), weights, create_graph=True)
        torch.autograd.grad(gradient, weights, vector)

    return step


def _state_step(circuit: QuantumCircuit) -> Callable[[], None]:
    model = QuantumModule(circuit, None, circuit.parameters, observables=State(), seed_init=0)

    def step() -> None:
        model.zero_grad()
        torch.view_as_real(model()).sum().backward()

    return step


def write(folder: Path, console: Console, *, quick: bool) -> list[Path]:
    """Measures every workload; writes JSON and a table."""
    results: dict[str, Any] = {"date": time.strftime("%Y-%m-%d"), "machine": machine(), "limits": limits()}
    results["workloads"] = []
    if not (quick or IS_POSSIBLE):
        console.print("molecules are left out: pip install qiskit-nature", highlight=False)
    for name in QUICK if quick else possible():
        results["workloads"].append(_point(name))
        console.print(name, f"{results['workloads'][-1]['ms']:.3g} ms", highlight=False)
    return record.write(folder, "workloads", results, markdown(results))


def markdown(results: dict[str, Any]) -> str:
    """The page about results."""
    peak = results["limits"]
    lines = [
        "# A ledger of workloads",
        "",
        f"{described(results)}; float32 on {THREADS} of the threads, one training step. Measured limits: "
        f"{peak['float32']:.0f} GFLOP/s (matrix product), {peak['bandwidth']:.1f} GB/s (copy). Operations: of the "
        "evolution, there and back, and of reading the observables and starting the way back with them. Bytes: of "
        "states read and written, without a cache. Beside it, the Hessian times a vector, and the state with the "
        "gradient of a function of it.",
        "",
        "| workload | weights | evolution, Mflop | reading, Mflop | MB | ms | GFLOP/s | of the peak | GB/s | Hessian "
        "times vector, ms | state and gradient, ms |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for point in results["workloads"]:
        flops, seconds = point["evolution_flops"] + point["reading_flops"], 1e-3 * point["ms"]
        lines.append(
            f"| {point['name']} | {point['weights']} | {plain(point['evolution_flops'] * 1e-6)} "
            f"| {plain(point['reading_flops'] * 1e-6)} | {plain(point['bytes'] * 1e-6)} | {plain(point['ms'])} "
            f"| {flops / seconds * 1e-9:.1f} | {flops / seconds * 1e-9 / peak['float32']:.0%} "
            f"| {point['bytes'] / seconds * 1e-9:.1f} | {plain(point['hessian_ms'])} | {plain(point['state_ms'])} |"
        )
    return "\n".join(lines) + "\n"
