"""A pendulum with friction, by a quantum circuit: u'' = -u' / 5 - sin(u), let go at u = 2.5 radians.

Nothing is stepped through time: one circuit is the whole solution, and its loss is by how much it fails the equation at
40 instants. The loss holds first and second derivatives of the output with respect to the input, and training
differentiates them once more; all of this comes from the engine, exactly.

    python examples/differential_equation.py [pendulum.svg]         (the picture needs matplotlib)
"""

from __future__ import annotations

import sys
import time

import numpy as np
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from scipy.integrate import solve_ivp

from qiskit_torch_module import QuantumModule, plots

FRICTION, START, END = 0.2, 2.5, 10.0


def build(num_qubits: int = 4, depth: int = 4) -> QuantumModule:
    """Time enters between trainable layers, with trainable frequencies; the output is the sum of <Z>, from -4 to 4."""
    t = ParameterVector("t", 1)
    w = ParameterVector("w", 2 * num_qubits * (depth + 1))
    s = ParameterVector("s", num_qubits * depth)
    circuit, weights, frequencies = QuantumCircuit(num_qubits), iter(w), iter(s)
    for layer in range(depth + 1):
        for q in range(num_qubits):
            circuit.ry(next(weights), q)
            circuit.rz(next(weights), q)
        if layer < depth:
            for q in range(num_qubits):
                circuit.cx(q, (q + 1) % num_qubits)
            for q in range(num_qubits):
                circuit.rx(next(frequencies) * t[0], q)
    total = {"I" * (num_qubits - 1 - q) + "Z" + "I" * q: 1.0 for q in range(num_qubits)}
    names, starts = ["weights", "frequencies"], ["uniform", "constant"]
    return QuantumModule(circuit, t, [w, s], names, starts, seed_init=0, observables=total).double()


def exact(instants: np.ndarray) -> np.ndarray:
    """The solution, by SciPy, to ten digits."""
    solution = solve_ivp(
        lambda t, u: [u[1], -FRICTION * u[1] - np.sin(u[0])],
        (0, END),
        [START, 0],
        t_eval=instants,
        method="DOP853",
        rtol=1e-10,
        atol=1e-10,
    )
    return solution.y[0]


def train(model: QuantumModule, iterations: int) -> int:
    """Trains by L-BFGS, which wants float64; returns how often it asked for the loss and its gradient."""
    instants = torch.linspace(0, END, 40, dtype=torch.float64)[:, None].requires_grad_()
    optimizer = torch.optim.LBFGS(
        model.parameters(), max_iter=iterations, history_size=50, tolerance_change=1e-14, line_search_fn="strong_wolfe"
    )
    calls = 0

    def loss() -> torch.Tensor:
        nonlocal calls
        calls += 1
        optimizer.zero_grad()
        u = model(instants)
        # Every output depends on its own instant alone, so the gradient of their sum holds the derivative of each.
        [first] = torch.autograd.grad(u.sum(), instants, create_graph=True)
        [second] = torch.autograd.grad(first.sum(), instants, create_graph=True)
        equation = (second + FRICTION * first + torch.sin(u)).square().mean()
        start = (u[0] - START).square() + first[0].square()
        value = equation + 10 * start.sum()
        value.backward()
        return value

    optimizer.step(loss)
    return calls


def draw(instants: np.ndarray, found: np.ndarray, right: np.ndarray, path: str) -> None:
    """Solution and exact solution, and the difference below."""
    with plots.picture(path, 2, 1, height=4.6, sharex=True, height_ratios=(3, 1)) as (_, (top, bottom)):
        top.plot(instants, right, color=plots.GRID, linewidth=7, label="exact (SciPy)")
        top.plot(instants, found, label="circuit, 4 qubits")
        top.set(ylabel="angle $u$ (radians)", title="A pendulum with friction")
        top.legend()
        bottom.plot(instants, 1e3 * (found - right), color="C1")
        bottom.set(xlabel="time", ylabel="difference\n(milliradians)", xlim=(0, END))


def main(iterations: int = 300, picture: str | None = None) -> float:
    """Largest error of the solution."""
    model = build()
    begin = time.perf_counter()
    calls = train(model, iterations)
    seconds = time.perf_counter() - begin

    instants = np.linspace(0, END, 401)
    found, right = model(torch.from_numpy(instants)[:, None]).detach().numpy()[:, 0], exact(instants)
    error = float(np.abs(found - right).max())
    print(f"{seconds:.1f} s, {calls} losses with their gradients; largest error {error:.1e} of {START} radians")
    if picture is not None:
        draw(instants, found, right, picture)
    return error


if __name__ == "__main__":
    main(picture=sys.argv[1] if len(sys.argv) > 1 else None)
