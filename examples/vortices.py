"""Stuart's row of vortices, by a quantum circuit: a nonlinear partial differential equation in the plane.

The stream function u of a steady flow without friction may obey the Laplacian of u = exp(-2 u); one exact solution is
u = ln(C cosh y + sqrt(C^2 - 1) cos x), "cat's eyes" around vortices at x = -pi, pi, ... (J. T. Stuart, Journal of Fluid
Mechanics 29, 417 (1967)). The circuit is told the equation inside of a rectangle, and the solution on its rim.

The loss holds the Laplacian of the output with respect to both inputs, and training differentiates it once more; all of
this comes from the engine, exactly.

    python examples/vortices.py [vortices.svg]                      (the picture needs matplotlib)
"""

from __future__ import annotations

import math
import sys
import time

import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector

from qiskit_torch_module import QuantumModule, plots

C, WIDTH, HEIGHT = 1.1, math.pi, 1.0


def build(num_qubits: int = 5, depth: int = 4) -> QuantumModule:
    """Plane waves k_x x + k_y y with trainable k enter between trainable layers; the output is the sum of <Z>."""
    x = ParameterVector("x", 2)
    w = ParameterVector("w", 2 * num_qubits * (depth + 1))
    k = ParameterVector("k", 2 * num_qubits * depth)
    circuit, weights, waves = QuantumCircuit(num_qubits), iter(w), iter(k)
    for layer in range(depth + 1):
        for q in range(num_qubits):
            circuit.ry(next(weights), q)
            circuit.rz(next(weights), q)
        if layer < depth:
            for q in range(num_qubits):
                circuit.cx(q, (q + 1) % num_qubits)
            for q in range(num_qubits):
                circuit.ry(next(waves) * x[0] + next(waves) * x[1], q)
    total = {"I" * (num_qubits - 1 - q) + "Z" + "I" * q: 1.0 for q in range(num_qubits)}
    starts = ["uniform", lambda values: values.uniform_(-1, 1)]
    return QuantumModule(circuit, x, [w, k], ["weights", "waves"], starts, seed_init=0, observables=total).double()


def exact(points: torch.Tensor) -> torch.Tensor:
    """Stuart's solution at points (B, 2)."""
    return torch.log(C * torch.cosh(points[:, 1]) + math.sqrt(C * C - 1) * torch.cos(points[:, 0]))


def grid(columns: int, rows: int) -> torch.Tensor:
    """Points (columns * rows, 2) of the rectangle, its rim included; y runs fastest."""
    sides = [torch.linspace(-end, end, n, dtype=torch.float64) for end, n in ((WIDTH, columns), (HEIGHT, rows))]
    return torch.cartesian_prod(*sides)


def laplacian(u: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Sum of the unmixed second derivatives, with a graph; shape (B,)."""
    [first] = torch.autograd.grad(u.sum(), points, create_graph=True)
    seconds = [torch.autograd.grad(first[:, i].sum(), points, create_graph=True)[0][:, i] for i in range(2)]
    return seconds[0] + seconds[1]


def train(model: QuantumModule, iterations: int) -> int:
    """Trains by L-BFGS, which wants float64; returns how often it asked for the loss and its gradient."""
    points = grid(12, 12)
    on_rim = (points.abs() == points.new_tensor([WIDTH, HEIGHT])).any(1)
    right = exact(points)[on_rim]
    points.requires_grad_()
    optimizer = torch.optim.LBFGS(
        model.parameters(), max_iter=iterations, history_size=50, tolerance_change=1e-14, line_search_fn="strong_wolfe"
    )
    calls = 0

    def loss() -> torch.Tensor:
        nonlocal calls
        calls += 1
        optimizer.zero_grad()
        u = model(points)[:, 0]
        equation = (laplacian(u, points) - torch.exp(-2 * u)).square().mean()
        value = equation + 20 * (u[on_rim] - right).square().mean()
        value.backward()
        return value

    optimizer.step(loss)
    return calls


def draw(model: QuantumModule, path: str) -> None:
    """Stream lines of the solution beside the exact ones, and the difference."""
    from matplotlib.ticker import MaxNLocator

    columns, rows = 121, 61
    points = grid(columns, rows)
    with torch.no_grad():
        found, right = (one.reshape(columns, rows) for one in (model(points)[:, 0], exact(points)))
    x, y = points.reshape(columns, rows, 2).unbind(2)
    levels = MaxNLocator(15).tick_values(float(right.min()), float(right.max()))
    thousandths = 1000 * (found - right)
    farthest = float(thousandths.abs().max())
    titles = ("circuit, 5 qubits", "exact (Stuart 1967)", "difference")
    with plots.picture(path, 3, 1, height=6.8, sharex=True) as (figure, axes):
        for axis, values, title in zip(axes, (found, right, thousandths), titles, strict=True):
            axis.set(title=title, ylabel="$y$", aspect="equal")
            if values is not thousandths:
                flow = axis.contourf(x, y, values, levels=levels)
                axis.contour(x, y, values, levels=levels, colors="white", linewidths=0.8, linestyles="solid")
        figure.colorbar(flow, ax=axes[:2], label="stream function $u$")
        steps = MaxNLocator(15, symmetric=True).tick_values(-farthest, farthest)
        off = axes[2].contourf(x, y, thousandths, levels=steps, cmap="PuOr_r")
        axes[2].set(xlabel="$x$")
        figure.colorbar(off, ax=axes[2], label="thousandths")


def main(iterations: int = 600, picture: str | None = None) -> float:
    """Largest error of the solution."""
    model = build()
    begin = time.perf_counter()
    calls = train(model, iterations)
    seconds = time.perf_counter() - begin

    points = grid(61, 31)
    right = exact(points)
    error = float((model(points)[:, 0] - right).detach().abs().max())
    span = float(right.max() - right.min())
    print(f"{seconds:.1f} s, {calls} losses with their gradients; largest error {error:.1e}, solution spans {span:.2f}")
    if picture is not None:
        draw(model, picture)
    return error


if __name__ == "__main__":
    main(picture=sys.argv[1] if len(sys.argv) > 1 else None)
