"""Training steps on shots: values and parameter-shift gradients, against the estimator of Aer.

A step of the native method is one call that draws the shots of all circuits; the estimator gets the circuit with an
angle of its own for each rotation, and as many bindings in one PUB. Before times count, values have to agree within
their errors. It is slow, and gets the bindings of four samples.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import record
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import SparsePauliOp
from rich.console import Console

import qiskit_torch_module as qtm
from qiskit_torch_module.reproduce.store import described, factor, machine, plain

QUBITS, DEPTH, BATCH = 10, 3, 48
SHOTS, QUICK_SHOTS = (100, 1000), (100,)
TURNS, QUICK_TURNS = 20, 3
# Samples whose bindings it gets.
RIVAL_SAMPLES = 4
AER = "Aer's EstimatorV2 (exact values with normal noise)"


def circuit_of() -> tuple[QuantumCircuit, list[Any], list[Any]]:
    """RX of the inputs, RZ and RY of weights, a ring of CNOTs, three times: 90 rotations."""
    x, w = ParameterVector("x", QUBITS), ParameterVector("w", 2 * QUBITS * DEPTH)
    circuit, weights = QuantumCircuit(QUBITS), iter(w)
    for _ in range(DEPTH):
        for q in range(QUBITS):
            circuit.rx(x[q], q)
            circuit.rz(next(weights), q)
            circuit.ry(next(weights), q)
        for q in range(QUBITS):
            circuit.cx(q, (q + 1) % QUBITS)
    return circuit, [*x], [*w]


def apart() -> QuantumCircuit:
    """The same circuit with a parameter for each rotation."""
    angles, circuit = iter(ParameterVector("a", 3 * QUBITS * DEPTH)), QuantumCircuit(QUBITS)
    for _ in range(DEPTH):
        for q in range(QUBITS):
            circuit.rx(next(angles), q)
            circuit.rz(next(angles), q)
            circuit.ry(next(angles), q)
        for q in range(QUBITS):
            circuit.cx(q, (q + 1) % QUBITS)
    return circuit


def observables() -> list[SparsePauliOp]:
    """<Z> of every qubit."""
    return [SparsePauliOp.from_sparse_list([("Z", [q], 1.0)], QUBITS) for q in range(QUBITS)]


def shortest(call: Callable[[], Any], turns: int) -> float:
    """Seconds of the fastest of some calls, after one to warm up."""
    call()
    found = []
    for _ in range(turns):
        begin = time.perf_counter()
        call()
        found.append(time.perf_counter() - begin)
    return min(found)


class Native:
    """The native method."""

    def __init__(self, shots: int) -> None:
        circuit, inputs, weights = circuit_of()
        self.model = qtm.QuantumModule(
            circuit, inputs, weights, seed_init=0, method=qtm.methods.Shots(shots, generator=0)
        )
        self.inputs = torch.rand(BATCH, QUBITS, generator=torch.Generator().manual_seed(0)).requires_grad_()
        self.bindings = self.model.cost(self.inputs).circuits

    def step(self) -> torch.Tensor:
        """A training step without an optimiser."""
        self.model.zero_grad()
        values: torch.Tensor = self.model(self.inputs)
        values.square().mean().backward()
        return values.detach()

    def angles(self, samples: int) -> np.ndarray:
        """Of the circuit with an angle for each rotation, shape (samples, 90): its shifts take as long."""
        weights = self.model.variational.detach().reshape(DEPTH, QUBITS, 2)
        found = np.empty((samples, DEPTH, QUBITS, 3))
        found[..., 0] = self.inputs[:samples, None].detach()
        found[..., 1:] = weights
        return found.reshape(samples, -1)


def estimator_of(shots: int) -> Any:
    """Aer's, which adds normal noise to exact values."""
    from qiskit_aer.primitives import EstimatorV2

    return EstimatorV2(options={"default_precision": shots**-0.5, "run_options": {"seed": 0}})


def measured(shots: int, turns: int, console: Console) -> list[dict[str, Any]]:
    """Milliseconds of a step by both systems."""
    native = Native(shots)
    values = native.step()[:RIVAL_SAMPLES].numpy()
    rows = [{"shots": shots, "system": "native", "milliseconds": 1e3 * shortest(native.step, turns)}]
    per_sample = native.bindings // BATCH
    bindings = np.repeat(native.angles(RIVAL_SAMPLES), per_sample, axis=0)
    circuit, operators, estimator = apart(), [[one] for one in observables()], estimator_of(shots)
    estimator.run([(circuit, operators, bindings[:2])]).result()
    begin = time.perf_counter()
    found = estimator.run([(circuit, operators, bindings)]).result()[0].data.evs
    seconds = time.perf_counter() - begin
    gap = np.abs(found[:, ::per_sample].T - values).max() * shots**0.5
    if gap > 6:
        raise RuntimeError(f"the estimator disagrees: {gap:.1f} standard errors")
    whole = seconds * native.bindings / len(bindings)
    rows.append({"shots": shots, "system": AER, "milliseconds": 1e3 * whole})
    console.print(f"{shots} shots: {AER}, {seconds:.2f} s for {len(bindings)} bindings", highlight=False)
    return [{**row, "times native": row["milliseconds"] / rows[0]["milliseconds"]} for row in rows]


def write(folder: Path, console: Console, *, quick: bool = False) -> list[Path]:
    """Measures and writes."""
    native = Native(1)
    rows = [
        row
        for shots in (QUICK_SHOTS if quick else SHOTS)
        for row in measured(shots, QUICK_TURNS if quick else TURNS, console)
    ]
    results = {"date": time.strftime("%Y-%m-%d"), "machine": machine(), "bindings": native.bindings, "rows": rows}
    return record.write(folder, "shots", results, markdown(results))


def markdown(results: dict[str, Any]) -> str:
    """The page about results."""
    lines = [
        "# A training step on shots",
        "",
        f"{described(results)}; the shortest of several steps.",
        "",
        f"{QUBITS} qubits, {3 * QUBITS * DEPTH} rotations, batch {BATCH}, ⟨Z⟩ of every qubit; values and the "
        f"parameter-shift gradient of all weights and inputs: {results['bindings']:,} circuits. Of the other, those of "
        f"{RIVAL_SAMPLES} samples, scaled up.",
        "",
        "| shots | system | ms | factor |",
        "| ---: | --- | ---: | ---: |",
        *[
            f"| {row['shots']:,} | {row['system']} | {plain(row['milliseconds'])} | {_factor(row)} |"
            for row in results["rows"]
        ],
    ]
    return "\n".join(lines) + "\n"


def _factor(row: dict[str, Any]) -> str:
    return "–" if row["system"] == "native" else factor(row["times native"])
