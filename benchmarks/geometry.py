"""The quantum geometric tensor of 10 qubits and 140 weights, against rivals; `VarQITE` with `FastQGT` and `ReverseQGT`.

Each rival runs in its own Python, where its environment is there (``qtm rivals``). All compute the metric (the real
part) of the same circuit at the same weights, in single precision where the rival has it; its trace is compared before
a time counts. The time is the shortest of several, after what is compiled once.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from rich.console import Console

QUBITS, REPETITIONS = 10, 6


def weights() -> Any:
    """One for each angle."""
    return np.random.default_rng(0).uniform(-np.pi, np.pi, 2 * QUBITS * (REPETITIONS + 1))


def build(angles: Any, ry: Callable[..., Any], rz: Callable[..., Any], cx: Callable[..., Any]) -> None:
    """Layers of RY and RZ, CX between neighbours from the last to the first: ``EfficientSU2`` of Qiskit."""
    one = iter(range(len(angles)))
    for layer in range(REPETITIONS + 1):
        for gate in (ry, rz):
            for qubit in range(QUBITS):
                gate(angles[next(one)], qubit)
        for qubit in reversed(range(QUBITS - 1)) if layer < REPETITIONS else ():
            cx(qubit, qubit + 1)


def shortest(call: Callable[[], Any], seconds: float) -> tuple[float, Any]:
    """Of at least one call, and as many as take so long."""
    times: list[float] = []
    while not times or sum(times) < seconds:
        begin = time.perf_counter()
        found = call()
        times.append(time.perf_counter() - begin)
    return min(times), found


def ours(seconds: float, dtype: str = "float32") -> dict[str, float]:
    """This package."""
    import torch
    from qiskit import QuantumCircuit
    from qiskit.circuit import ParameterVector

    from qiskit_torch_module import QuantumModule, geometry

    w = ParameterVector("w", len(weights()))
    circuit = QuantumCircuit(QUBITS)
    build(w, circuit.ry, circuit.rz, circuit.cx)
    model = QuantumModule(circuit, None, w, None, [weights()]).to(getattr(torch, dtype))
    geometry.quantum_geometric_tensor(model)
    least, found = shortest(lambda: geometry.quantum_geometric_tensor(model), seconds)
    return {"seconds": least, "trace": float(found.diagonal().real.sum())}


def tensorcircuit(seconds: float) -> dict[str, float]:
    """TensorCircuit-NG with JAX, compiled; forward mode, which is its faster one."""
    import jax
    import tensorcircuit as tc
    from tensorcircuit import experimental

    tc.set_backend("jax")

    def state(angles: Any) -> Any:
        circuit = tc.Circuit(QUBITS)
        build(
            angles,
            lambda angle, qubit: circuit.ry(qubit, theta=angle),
            lambda angle, qubit: circuit.rz(qubit, theta=angle),
            circuit.cx,
        )
        return circuit.state()

    compiled = jax.jit(experimental.qng(state, kernel="qng", postprocess=None, mode="fwd"))
    at = jax.numpy.asarray(weights())
    jax.block_until_ready(compiled(at))
    least, found = shortest(lambda: jax.block_until_ready(compiled(at)), seconds)
    return {"seconds": least, "trace": float(np.trace(np.asarray(found)).real)}


def pennylane(seconds: float) -> dict[str, float]:
    """PennyLane's metric tensor by the adjoint method, its faster one by far; minutes."""
    import pennylane as qml
    from pennylane import numpy

    @qml.qnode(qml.device("default.qubit", wires=QUBITS))
    def circuit(angles: Any) -> Any:
        build(angles, qml.RY, qml.RZ, lambda control, target: qml.CNOT([control, target]))
        return qml.expval(qml.PauliZ(0))

    at = numpy.array(weights(), requires_grad=True)
    least, found = shortest(lambda: qml.adjoint_metric_tensor(circuit)(at), 0.0)
    return {"seconds": least, "trace": float(np.trace(np.asarray(found)))}


def varqite(steps: int = 50) -> dict[str, float]:
    """Seconds of 6 qubits and 50 steps, and how far the angles differ in the end."""
    from qiskit.circuit.library import EfficientSU2
    from qiskit.quantum_info import SparsePauliOp
    from qiskit_algorithms import TimeEvolutionProblem, VarQITE
    from qiskit_algorithms.gradients import DerivativeType, ReverseEstimatorGradient, ReverseQGT
    from qiskit_algorithms.time_evolvers.variational import ImaginaryMcLachlanPrinciple

    from qiskit_torch_module import FastQGT, FastReverseEstimatorGradient

    ansatz, terms = EfficientSU2(6, reps=1).decompose(), [("ZZ", [q, q + 1], -1.0) for q in range(5)]
    hamiltonian = SparsePauliOp.from_sparse_list([*terms, *(("X", [q], -0.7) for q in range(6))], 6)
    start = dict(zip(ansatz.parameters, np.linspace(0.1, 1.0, ansatz.num_parameters), strict=True))
    report, last = {}, {}
    for name, qgt, gradient in [
        ("fast", FastQGT(), FastReverseEstimatorGradient()),
        ("reverse", ReverseQGT(), ReverseEstimatorGradient(DerivativeType.REAL)),
    ]:
        evolver = VarQITE(ansatz, start, ImaginaryMcLachlanPrinciple(qgt, gradient), num_timesteps=steps)
        begin = time.perf_counter()
        last[name] = evolver.evolve(TimeEvolutionProblem(hamiltonian, 1.0)).parameter_values[-1]
        report[name] = time.perf_counter() - begin
    return {**report, "steps": steps, "difference": float(np.abs(np.subtract(last["fast"], last["reverse"])).max())}


RUNNERS = {"tensorcircuit": tensorcircuit, "pennylane": pennylane}
# Folders of their environments, in that of all rivals: QTM_RIVALS, or ".rivals".
FOLDERS = {"tensorcircuit": "tensorcircuit", "pennylane": "pennylane_jax"}
LONGEST = {"tensorcircuit": 90.0, "pennylane": 60.0}


def _rival(name: str, seconds: float) -> dict[str, Any]:
    """What a rival takes, in its own Python; {"error": ...} where there is nothing to report."""
    python = Path(os.environ.get("QTM_RIVALS", ".rivals")) / FOLDERS[name] / "bin" / "python"
    if not python.exists():
        return {"error": "not there when this was measured"}
    command = [str(python), __file__, name, str(seconds)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=LONGEST[name])
    except subprocess.TimeoutExpired:
        return {"error": f"not done after {LONGEST[name]:.0f} s"}
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def write(folder: Path, console: Console, *, quick: bool) -> list[Path]:
    """Measures; writes JSON and a table."""
    import record

    from qiskit_torch_module.reproduce.store import machine

    seconds = 0.2 if quick else 2.0
    own = {f"this package, {dtype}": ours(seconds, dtype) for dtype in ("float32", "float64")}
    rows: dict[str, Any] = dict(own)
    for name in () if quick else RUNNERS:
        rows[name] = _rival(name, seconds)
        wrong = abs(
            rows[name].get("trace", own["this package, float64"]["trace"]) - own["this package, float64"]["trace"]
        )
        if wrong > 1e-3 * own["this package, float64"]["trace"]:
            rows[name] = {"error": f"the trace differs by {wrong:.3g}"}
        console.print(name, rows[name], highlight=False)
    results = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine(),
        "quick": quick,
        "rows": rows,
        "varqite": varqite(5 if quick else 50),
    }
    return record.write(folder, "geometry", results, markdown(results))


def markdown(results: dict[str, Any]) -> str:
    """The page about results."""
    from qiskit_torch_module.reproduce.store import described, factor, plain

    names = {"tensorcircuit": "TensorCircuit-NG (JAX)", "pennylane": "PennyLane, adjoint"}
    rows, evolver = results["rows"], results["varqite"]
    unit = rows["this package, float32"]["seconds"]
    lines = [
        "# The quantum geometric tensor",
        "",
        f"{described(results)}. {QUBITS} qubits, {len(weights())} weights: the metric of one state, the shortest of "
        "several calls after compilation.",
        "",
        "| system | ms | factor |",
        "| --- | ---: | ---: |",
    ]
    for name, row in rows.items():
        cells = "– | –" if "error" in row else f"{plain(1e3 * row['seconds'])} | {factor(row['seconds'] / unit)}"
        lines.append(f"| {names.get(name, name)} | {cells} |")
    missing = [f"- {names.get(name, name)}: {row['error']}" for name, row in rows.items() if "error" in row]
    lines += ["", "–, not measured:", "", *missing] if missing else []
    lines += [
        "",
        f"`VarQITE` of qiskit-algorithms, 6 qubits, {evolver['steps']} steps: {plain(evolver['fast'])} s with "
        f"`FastQGT`, {plain(evolver['reverse'])} s with `ReverseQGT`, {factor(evolver['reverse'] / evolver['fast'])}.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(json.dumps(RUNNERS[sys.argv[1]](float(sys.argv[2]))))
