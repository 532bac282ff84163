"""Imaginary-time evolution: a chain of spins cools down to its ground state, by circuits and exactly.

In imaginary time a state goes to exp(-H t) psi, up to its norm, and nothing but the ground state is left in the end. A
circuit follows as closely as its states allow where its angles move by the principle of McLachlan, which needs the
quantum geometric tensor at every step. `VarQITE` of qiskit-algorithms does that; `FastQGT` and
`FastReverseEstimatorGradient` give it what it needs. Circuits of one to three layers are held against the exact
evolution: energies, and how much of the states is not alike.

    python examples/imaginary_time.py [imaginary_time.svg]    (needs qiskit-algorithms; the picture matplotlib)
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import SparsePauliOp
from qiskit_algorithms import TimeEvolutionProblem, VarQITE
from qiskit_algorithms.time_evolvers.variational import ImaginaryMcLachlanPrinciple

from qiskit_torch_module import FastEstimator, FastQGT, FastReverseEstimatorGradient, QuantumModule, plots
from qiskit_torch_module.outputs import State


@dataclass(frozen=True)
class Curve:
    """What happens in imaginary time.

    Attributes:
        times: Of all steps.
        energies: At each of them.
        infidelities: How much of the state is not the exact one, likewise.
        seconds: What it took.
    """

    times: np.ndarray
    energies: np.ndarray
    infidelities: np.ndarray
    seconds: float


def chain(num_qubits: int) -> SparsePauliOp:
    """Neighbours that are alike, in a field across and a weak one along."""
    terms = [("ZZ", [q, q + 1], -1.0) for q in range(num_qubits - 1)]
    terms += [("X", [q], -0.9) for q in range(num_qubits)] + [("Z", [q], -0.1) for q in range(num_qubits)]
    return SparsePauliOp.from_sparse_list(terms, num_qubits)


def layered(num_qubits: int, depth: int) -> tuple[QuantumCircuit, np.ndarray]:
    """A product state in the middle of nowhere, then layers of RZZ, RX and RY; the angles that leave it alone."""
    w = ParameterVector("w", depth * (3 * num_qubits - 1))
    circuit, angles = QuantumCircuit(num_qubits), iter(w)
    for q in range(num_qubits):
        circuit.ry(2.2, q)
        circuit.rz(0.4 * q, q)
    for _ in range(depth):
        for q in range(num_qubits - 1):
            circuit.rzz(next(angles), q, q + 1)
        for q in range(num_qubits):
            circuit.rx(next(angles), q)
            circuit.ry(next(angles), q)
    return circuit, np.zeros(len(w))


def exact(hamiltonian: SparsePauliOp, start: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Energies, and states (times, 2^n), by the eigenvectors of the whole matrix."""
    levels, vectors = np.linalg.eigh(hamiltonian.to_matrix())
    states = (np.exp(-np.outer(times, levels - levels[0])) * (vectors.conj().T @ start)) @ vectors.T
    states /= np.linalg.norm(states, axis=1, keepdims=True)
    shares = np.abs(states @ vectors.conj()) ** 2
    return shares @ levels, states


def states_of(circuit: QuantumCircuit, rows: np.ndarray) -> np.ndarray:
    """One for each row of angles."""
    module = QuantumModule(circuit, circuit.parameters, None, observables=State()).double()
    return module(torch.from_numpy(rows)).numpy()


def solved(metric: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """The smallest velocities that do; directions in which states hardly move are left out."""
    return np.linalg.lstsq(metric, slopes, rcond=1e-5)[0]


def variational(depth: int, hamiltonian: SparsePauliOp, until: float, steps: int) -> Curve:
    """By a circuit of so many layers."""
    circuit, start = layered(hamiltonian.num_qubits, depth)
    principle = ImaginaryMcLachlanPrinciple(FastQGT(), FastReverseEstimatorGradient())
    begin = time.perf_counter()
    angles = dict(zip(circuit.parameters, start, strict=True))
    evolver = VarQITE(circuit, angles, principle, num_timesteps=steps, lse_solver=solved)
    result = evolver.evolve(TimeEvolutionProblem(hamiltonian, until))
    seconds = time.perf_counter() - begin
    times, rows = np.array(result.times), np.array(result.parameter_values)
    energies, states = (
        FastEstimator(exact=True).expectation_values(circuit, hamiltonian, rows)[:, 0],
        states_of(circuit, rows),
    )
    overlaps = np.einsum("tn,tn->t", states.conj(), exact(hamiltonian, states[0], times)[1])
    return Curve(times, energies, 1 - np.abs(overlaps) ** 2, seconds)


def draw(times: np.ndarray, energies: np.ndarray, ground: float, curves: Mapping[int, Curve], path: str) -> None:
    """Energies above that of the ground state, and infidelities, against imaginary time."""
    with plots.picture(path, 2, 1, height=6.2, sharex=True) as (_, (top, bottom)):
        top.plot(times, energies - ground, color=plots.GRID, linewidth=7, label="exact")
        for depth, curve in curves.items():
            name = f"{depth} layer{'s' if depth > 1 else ''}"
            (line,) = top.plot(curve.times, curve.energies - ground, label=name)
            bottom.semilogy(curve.times[1:], curve.infidelities[1:], color=line.get_color(), label=name)
        top.set(ylabel="energy above the ground state", title="Cooling down")
        bottom.set(xlabel="imaginary time", ylabel="infidelity", title="How closely circuits follow the exact state")
        top.legend()


def main(
    num_qubits: int = 6,
    depths: tuple[int, ...] = (1, 2, 3),
    until: float = 3.0,
    steps: int = 300,
    picture: str | None = None,
) -> dict[int, Curve]:
    """The curves, by the number of layers."""
    hamiltonian, times = chain(num_qubits), np.linspace(0.0, until, steps + 1)
    start = states_of(layered(num_qubits, 1)[0], np.zeros((1, 3 * num_qubits - 1)))[0]
    energies, _ = exact(hamiltonian, start, times)
    ground = float(np.linalg.eigvalsh(hamiltonian.to_matrix())[0])
    print(f"exact: energy {energies[0]:.4f} at first, {energies[-1]:.4f} in the end; ground state {ground:.4f}")
    curves = {}
    for depth in depths:
        curves[depth] = curve = variational(depth, hamiltonian, until, steps)
        print(
            f"{depth} layers: energy {curve.energies[-1]:.4f}, infidelity at most {curve.infidelities.max():.1e} and "
            f"{curve.infidelities[-1]:.1e} in the end; {steps} steps in {curve.seconds:.1f} s"
        )
    if picture is not None:
        draw(times, energies, ground, curves, picture)
    return curves


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(picture=sys.argv[1] if len(sys.argv) > 1 else None)
