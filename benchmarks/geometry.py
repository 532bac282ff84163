"""The quantum geometric tensor of 10 qubits and 140 weights, against rivals; `VarQITE` with `FastQGT` and `ReverseQGT`.

``python benchmarks/geometry.py`` measures this package, and each rival in the Python that is given for it:

    python benchmarks/geometry.py --tensorcircuit PYTHON --pennylane PYTHON [--seconds 5]

All compute the metric (the real part) of the same circuit at the same weights, in single precision where the rival has
it; its trace is compared before a time counts. The time is the shortest of several, after what is compiled once.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

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
    return {**report, "difference": float(np.abs(np.subtract(last["fast"], last["reverse"])).max())}


RUNNERS = {"tensorcircuit": tensorcircuit, "pennylane": pennylane}


def main() -> None:
    """Measures, and prints a line for each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for name in RUNNERS:
        parser.add_argument(f"--{name}", help=f"a Python that has {name}")
    parser.add_argument("--seconds", type=float, default=2.0, help="how long each is measured")
    parser.add_argument("--runner", choices=RUNNERS, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.runner is not None:
        print(json.dumps(RUNNERS[chosen.runner](chosen.seconds)))
        return
    own = {dtype: ours(chosen.seconds, dtype) for dtype in ("float32", "float64")}
    for dtype, report in own.items():
        print(f"this package, {dtype}: {1e3 * report['seconds']:.2f} ms", flush=True)
    for name in RUNNERS:
        python = getattr(chosen, name)
        if python is None:
            continue
        command = [python, __file__, "--runner", name, "--seconds", str(chosen.seconds)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        report = json.loads(done.stdout.strip().splitlines()[-1])
        if abs(report["trace"] - own["float64"]["trace"]) > 1e-3 * own["float64"]["trace"]:
            sys.exit(f"{name}: trace {report['trace']}, expected {own['float64']['trace']}")
        factors = [report["seconds"] / one["seconds"] for one in own.values()]
        print(f"{name}: {1e3 * report['seconds']:.1f} ms, {factors[0]:.0f} and {factors[1]:.0f} times", flush=True)
    report = varqite()
    print(
        f"VarQITE, 6 qubits, 50 steps: {report['fast']:.2f} s with FastQGT, {report['reverse']:.1f} s with ReverseQGT, "
        f"{report['reverse'] / report['fast']:.0f} times; angles differ by {report['difference']:.1e}"
    )


if __name__ == "__main__":
    main()
