"""The quantum geometric tensor of 10 qubits and 140 weights, against rivals; `VarQITE` with `FastQGT` and `ReverseQGT`.

Each rival runs in its own Python, where its environment is there (``qtm rivals``). All compute the metric (the real
part) of the same circuit at the same weights, in single precision where the rival has it; its trace is compared before
a time counts. After what is compiled once, systems take turns, so that what else the machine does meets all of them;
a factor is one of medians.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import threading
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


# The metric at the weights, computed anew by every call.
Call = Callable[[], Any]


def ours(dtype: str) -> Call:
    """This package."""
    import torch
    from qiskit import QuantumCircuit
    from qiskit.circuit import ParameterVector

    from qiskit_torch_module import QuantumModule, geometry

    w = ParameterVector("w", len(weights()))
    circuit = QuantumCircuit(QUBITS)
    build(w, circuit.ry, circuit.rz, circuit.cx)
    model = QuantumModule(circuit, None, w, None, [weights()]).to(getattr(torch, dtype))
    return lambda: geometry.quantum_geometric_tensor(model)


def tensorcircuit() -> Call:
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
    return lambda: jax.block_until_ready(compiled(at))


def pennylane() -> Call:
    """PennyLane's metric tensor by the adjoint method, its faster one by far; minutes."""
    import pennylane as qml
    from pennylane import numpy

    @qml.qnode(qml.device("default.qubit", wires=QUBITS))
    def circuit(angles: Any) -> Any:
        build(angles, qml.RY, qml.RZ, lambda control, target: qml.CNOT([control, target]))
        return qml.expval(qml.PauliZ(0))

    at = numpy.array(weights(), requires_grad=True)
    return lambda: qml.adjoint_metric_tensor(circuit)(at)


def turn(call: Call, seconds: float) -> dict[str, Any]:
    """Times of at least one call, and of as many as take so long; with the trace of what they find."""
    times: list[float] = []
    while not times or sum(times) < seconds:
        begin = time.perf_counter()
        found = call()
        times.append(time.perf_counter() - begin)
    return {"times": times, "trace": float(np.trace(np.asarray(found)).real)}


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
# Those that take one turn, after all others.
SLOW = ("pennylane",)


class Own:
    """This package, which takes turns."""

    def __init__(self, dtype: str) -> None:
        self._call = ours(dtype)
        self._call()

    def turn(self, seconds: float) -> dict[str, Any]:
        """As `turn` of a call."""
        return turn(self._call, seconds)


class Rival:
    """A rival in its own Python, which takes a turn for every line that it reads.

    Args:
        name: Its name among the runners.
    """

    def __init__(self, name: str) -> None:
        self._name, self._process = name, None
        python = Path(os.environ.get("QTM_RIVALS", ".rivals")) / FOLDERS[name] / "bin" / "python"
        if python.exists():
            command = [str(python), __file__, name]
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def turn(self, seconds: float) -> dict[str, Any]:
        """As `turn` of a call; {"error": ...} where there is nothing to report."""
        if self._process is None:
            return {"error": "not there when this was measured"}
        stopped = threading.Timer(LONGEST[self._name], self._process.kill)
        stopped.start()
        try:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            print(seconds, file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            stopped.cancel()
        if not line:
            longest = LONGEST[self._name]
            late = self._process.wait() < 0  # killed
            return {"error": f"not done after {longest:.0f} s", "longer than": longest} if late else {"error": "failed"}
        found: dict[str, Any] = json.loads(line)
        return found

    def close(self) -> None:
        """Ends it."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()


def in_turns(systems: dict[str, Own | Rival], turns: int, seconds: float) -> dict[str, Any]:
    """What each takes, by name."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in systems}
    for _ in range(turns):
        for name, system in systems.items():
            if not any("error" in one for one in found[name]):
                found[name].append(system.turn(seconds))
    return {name: _row(all_turns) for name, all_turns in found.items()}


def _row(turns: list[dict[str, Any]]) -> dict[str, Any]:
    error = next((one for one in turns if "error" in one), None)
    if error is not None:
        return error
    times = [seconds for one in turns for seconds in one["times"]]
    return {"seconds": statistics.median(times), "least": min(times), "calls": len(times), "trace": turns[0]["trace"]}


def write(folder: Path, console: Console, *, quick: bool) -> list[Path]:
    """Measures; writes JSON and a table."""
    import record

    from qiskit_torch_module.reproduce.store import machine

    turns, seconds = (1, 0.1) if quick else (5, 0.5)
    own: dict[str, Own | Rival] = {f"this package, {dtype}": Own(dtype) for dtype in ("float32", "float64")}
    rivals = {} if quick else {name: Rival(name) for name in RUNNERS}
    slow = {name: rivals.pop(name) for name in SLOW if name in rivals}
    try:
        rows = in_turns({**own, **rivals}, turns, seconds)
        console.print(rows, highlight=False)
        evolver = varqite(5 if quick else 50)
        console.print("VarQITE", evolver, highlight=False)
        rows.update(in_turns(dict(slow), 1, 0.0))
    finally:
        for rival in [*rivals.values(), *slow.values()]:
            rival.close()
    expected = rows["this package, float64"]["trace"]
    for name, row in rows.items():
        wrong = abs(row.get("trace", expected) - expected)
        if wrong > 1e-3 * expected:
            rows[name] = {"error": f"the trace differs by {wrong:.3g}"}
    results = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine(),
        "quick": quick,
        "rows": rows,
        "varqite": evolver,
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
        f"{described(results)}. {QUBITS} qubits, {len(weights())} weights: the metric of one state, after "
        "compilation. Systems take turns; factors are those of medians.",
        "",
        "| system | ms, median | ms, least | factor |",
        "| --- | ---: | ---: | ---: |",
    ]
    for name, row in rows.items():
        cells = ["–"] * 3
        if "longer than" in row:
            cells = [f"> {plain(1e3 * row['longer than'])}", "–", f"> {factor(row['longer than'] / unit)}"]
        if "error" not in row:
            cells = [plain(1e3 * row["seconds"]), plain(1e3 * row["least"]), factor(row["seconds"] / unit)]
        lines.append(f"| {names.get(name, name)} | {' | '.join(cells)} |")
    missing = [f"- {names.get(name, name)}: {row['error']}" for name, row in rows.items() if "error" in row]
    lines += ["", "–, not measured:", "", *missing] if missing else []
    lines += [
        "",
        f"`VarQITE` of qiskit-algorithms, 6 qubits, {evolver['steps']} steps: {plain(evolver['fast'])} s with "
        f"`FastQGT`, {plain(evolver['reverse'])} s with `ReverseQGT`, {factor(evolver['reverse'] / evolver['fast'])}.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    computed = RUNNERS[sys.argv[1]]()
    for line in sys.stdin:
        print(json.dumps(turn(computed, float(line))), flush=True)
