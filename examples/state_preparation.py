"""State preparation by fidelity: one shallow circuit learns a GHZ state, a W state and a Gaussian wave packet.

The circuit is made of layers of RY and CZ, whose amplitudes are real, as those of the targets are. The loss is the
infidelity, 1 - |<target|state>|^2. L-BFGS trains it, in double precision, which small losses need.

    python examples/state_preparation.py [state_preparation.svg]    (the picture needs matplotlib)
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping

import numpy as np
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import Statevector

from qiskit_torch_module import QuantumModule, plots
from qiskit_torch_module.outputs import Fidelity, State

NUM_QUBITS = 6


def targets(num_qubits: int = NUM_QUBITS) -> dict[str, Statevector]:
    """States of norm 1, as a circuit or by amplitudes."""
    ghz = QuantumCircuit(num_qubits)
    ghz.h(0)
    for q in range(num_qubits - 1):
        ghz.cx(q, q + 1)
    w = np.zeros(1 << num_qubits)
    w[1 << np.arange(num_qubits)] = 1
    positions = np.arange(1 << num_qubits) - (1 << num_qubits) / 3
    packet = np.exp(-((positions / 16) ** 2)) * np.cos(positions / 3)
    return {
        "GHZ state": Statevector(ghz),
        "W state": Statevector(w / np.linalg.norm(w)),
        "wave packet": Statevector(packet / np.linalg.norm(packet)),
    }


def build(target: Statevector, depth: int = 8) -> QuantumModule:
    """Layers of RY, with CZ between neighbours: alternately those from an even qubit and those from an odd one."""
    n = target.num_qubits
    w = ParameterVector("w", n * (depth + 1))
    circuit, weights = QuantumCircuit(n), iter(w)
    for layer in range(depth + 1):
        for q in range(n):
            circuit.ry(next(weights), q)
        if layer < depth:
            for q in range(layer % 2, n - 1, 2):
                circuit.cz(q, q + 1)
    return QuantumModule(circuit, None, w, None, "uniform", seed_init=0, observables=Fidelity(target)).double()


def train(model: QuantumModule, updates: int) -> list[float]:
    """Infidelities, one for each update, by L-BFGS, down to 1e-10."""
    optimizer = torch.optim.LBFGS(
        model.parameters(),
        max_iter=1,  # one update for each call, with as many tries as its line search wants
        max_eval=25,
        history_size=50,
        tolerance_grad=0,
        tolerance_change=0,
        line_search_fn="strong_wolfe",
    )

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = 1 - model().squeeze()
        value.backward()
        return value

    infidelities = []
    while len(infidelities) < updates and (not infidelities or infidelities[-1] > 1e-10):
        infidelities.append(optimizer.step(loss).item())
    return infidelities


def draw(curves: Mapping[str, list[float]], packet: np.ndarray, found: np.ndarray, path: str) -> None:
    """Infidelities against updates, and the amplitudes of the wave packet."""
    with plots.picture(path, 2, 1, height=6) as (_, (top, bottom)):
        for name, infidelities in curves.items():
            top.semilogy(infidelities, label=name)
        top.set(xlabel="update", ylabel="infidelity", title=f"States of {NUM_QUBITS} qubits", ylim=(1e-10, 3))
        top.legend()
        bottom.plot(packet, color=plots.GRID, linewidth=7, label="target")
        bottom.plot(found, ".-", color="C2", linewidth=1, label="circuit")
        bottom.set(xlabel="outcome", ylabel="amplitude", title="Wave packet")
        bottom.legend()


def amplitudes(model: QuantumModule) -> np.ndarray:
    """What the circuit of a model prepares; they are real."""
    circuit = model.circuit
    state = QuantumModule(circuit, None, circuit.parameters, None, model.variational, observables=State())
    return state().detach().numpy().real


def main(updates: int = 400, depth: int = 8, picture: str | None = None) -> dict[str, float]:
    """The infidelities that training reaches, by the names of the states."""
    states, curves = targets(), {}
    models = {name: build(target, depth) for name, target in states.items()}
    for name, model in models.items():
        begin = time.perf_counter()
        curves[name] = train(model, updates)
        seconds = time.perf_counter() - begin
        print(f"{name}: infidelity {curves[name][-1]:.1e} after {len(curves[name])} updates, {seconds:.1f} s")
    if picture is not None:
        packet, found = states["wave packet"].data.real, amplitudes(models["wave packet"])
        draw(curves, packet, found * np.sign(found @ packet), picture)  # the sign of a state is free
    return {name: infidelities[-1] for name, infidelities in curves.items()}


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(picture=sys.argv[1] if len(sys.argv) > 1 else None)
