"""What derivatives cost, in units of a training step: in a loss, directional ones, Hessians.

With the native engine, and with plain PyTorch, which has to find the same numbers; in double precision, which training
with derivatives in the loss wants. Steps and derivatives are timed in turn, in short bursts, and the shortest of each
count: neighbours on the machine make everything slower, now and then.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import record
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from rich.console import Console
from torch.autograd import forward_ad
from torch.func import functional_call

from qiskit_torch_module import QuantumModule
from qiskit_torch_module.reproduce.store import described, machine

QUBITS, QUICK_QUBITS = (4, 6, 8, 10, 12), (4, 6)
# Plain PyTorch is measured up to here: beyond, it takes seconds to minutes for a call.
MOST_QUBITS_PLAIN = 4
BATCH, DEPTH = 32, 3
TURNS, QUICK_TURNS = 100, 10
BURST, LONGEST = 0.003, 4.0  # seconds: of a burst; of all turns of one derivative, but for the first
THIRD = "f''' in a loss"  # goes through plain PyTorch with either method

UNITS = {
    "milliseconds": "time of a call",
    "steps": "that time divided by the time of a training step with the native engine",
}

Call = Callable[[], tuple[torch.Tensor, ...]]


def model_of(qubits: int, method: str) -> QuantumModule:
    """RX of multiples of one of two inputs, RY, RZ and a chain of CNOTs, three times; the output is the sum of <Z>."""
    x, w = ParameterVector("x", 2), ParameterVector("w", 2 * qubits * DEPTH)
    circuit, weights = QuantumCircuit(qubits), iter(w)
    for _ in range(DEPTH):
        for q in range(qubits):
            circuit.rx((q // 2 + 1) * x[q % 2], q)
            circuit.ry(next(weights), q)
            circuit.rz(next(weights), q)
        for q in range(qubits - 1):
            circuit.cx(q, q + 1)
    total = {"I" * (qubits - 1 - q) + "Z" + "I" * q: 1.0 for q in range(qubits)}
    return QuantumModule(circuit, x, w, "weights", observables=total, seed_init=0, method=method).double()


class Derivatives:
    """Calls that work out derivatives of one model; each returns what it found."""

    def __init__(self, model: QuantumModule) -> None:
        generator = torch.Generator().manual_seed(0)
        self.model, self.weights = model, model.weights
        self.fixed = torch.rand(BATCH, 2, generator=generator, dtype=torch.float64)
        self.inputs = self.fixed.clone().requires_grad_()
        self.direction = torch.randn(len(model.weights), generator=generator, dtype=torch.float64)
        self.calls: dict[str, Call] = {
            "a training step": self.step,
            "values alone": self.values,
            "values along weights, forward mode": self.along,
            "f' in a loss": self.first,
            "f'' in a loss": self.second,
            "the Laplacian of two inputs in a loss": self.laplacian,
            "Hessian times a vector": self.hessian_vector,
            "the whole Hessian: `torch.func.hessian`": self.hessian,
            THIRD: self.third,
        }

    def step(self) -> tuple[torch.Tensor, ...]:
        """The unit: a loss of the values, and its gradient."""
        return self._of(self.model(self.fixed).square().mean())

    def values(self) -> tuple[torch.Tensor, ...]:
        """Without a graph."""
        with torch.no_grad():
            return (self.model(self.fixed),)

    def along(self) -> tuple[torch.Tensor, ...]:
        """Values and how they change along a direction of the weights."""
        with forward_ad.dual_level():
            moving = forward_ad.make_dual(self.weights.detach(), self.direction)
            return tuple(forward_ad.unpack_dual(self._values_at(moving)))

    def first(self) -> tuple[torch.Tensor, ...]:
        """Derivatives with respect to both inputs."""
        return self._of((self._slopes(self.model(self.inputs)) - 1).square().mean())

    def second(self) -> tuple[torch.Tensor, ...]:
        """The second one with respect to the first input."""
        f = self.model(self.inputs)
        return self._of((self._slopes(self._slopes(f)[:, 0])[:, :1] + f).square().mean())

    def laplacian(self) -> tuple[torch.Tensor, ...]:
        """Second ones with respect to both inputs."""
        f = self.model(self.inputs)
        slopes = self._slopes(f)
        return self._of((sum(self._slopes(slopes[:, i])[:, i : i + 1] for i in range(2)) + f).square().mean())

    def third(self) -> tuple[torch.Tensor, ...]:
        """The third one with respect to the first input."""
        f = self.model(self.inputs)
        second = self._slopes(self._slopes(f)[:, 0])[:, 0]
        return self._of((self._slopes(second)[:, :1] + f).square().mean())

    def hessian_vector(self) -> tuple[torch.Tensor, ...]:
        """Of the loss, in the weights."""
        [slope] = torch.autograd.grad(self._loss_at(self.weights), self.weights, create_graph=True)
        return torch.autograd.grad(slope @ self.direction, self.weights)

    def hessian(self) -> tuple[torch.Tensor, ...]:
        """Of the loss, in the weights."""
        return (torch.func.hessian(self._loss_at)(self.weights.detach()),)

    def _values_at(self, weights: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = functional_call(self.model, {"weights": weights}, (self.fixed,))
        return found

    def _loss_at(self, weights: torch.Tensor) -> torch.Tensor:
        return self._values_at(weights).square().mean()

    def _of(self, loss: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Loss and gradient."""
        self.weights.grad = None
        loss.backward(inputs=[self.weights])
        return loss.detach(), self.weights.grad

    def _slopes(self, values: torch.Tensor) -> torch.Tensor:
        """Derivatives of every sample's value with respect to its inputs (B, 2), with a graph."""
        return torch.autograd.grad(values.sum(), self.inputs, create_graph=True)[0]


def _check(one: Derivatives, other: Derivatives) -> None:
    """The same numbers, to nine digits."""
    for name, call in one.calls.items():
        for found, right in zip(call(), other.calls[name](), strict=True):
            scale = float(right.detach().abs().max()) or 1.0
            if float((found - right).detach().abs().max()) > 1e-9 * scale:
                raise SystemExit(f"{name}: native and plain PyTorch do not find the same")


def _burst(call: Call, times: int) -> float:
    start = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - start) / times


def _fitting(call: Call) -> int:
    """How often a call fits into a burst."""
    call()
    return max(1, min(200, round(BURST / _burst(call, 1))))


def _in_steps(call: Call, step: Call, turns: int) -> dict[str, float]:
    """The shortest time of a call, and how many of the shortest step it takes."""
    times, of_step = _fitting(call), _fitting(step)
    found: list[tuple[float, float]] = []
    end = time.perf_counter() + LONGEST
    while not found or (len(found) < turns and time.perf_counter() < end):
        found.append((_burst(call, times), _burst(step, of_step)))
    seconds, unit = map(min, zip(*found, strict=True))
    return {"milliseconds": 1e3 * seconds, "steps": seconds / unit}


def _measure(qubits: int, turns: int) -> dict[str, Any]:
    methods = {"native": Derivatives(model_of(qubits, "native"))}
    step = methods["native"].step
    if qubits <= MOST_QUBITS_PLAIN:
        methods["plain"] = Derivatives(model_of(qubits, "pytorch"))
        _check(*methods.values())
    found: dict[str, Any] = {"qubits": qubits, "weights": len(methods["native"].weights), "native": {}, "plain": {}}
    for method, derivatives in methods.items():
        for name, call in derivatives.calls.items():
            if name != THIRD or qubits <= MOST_QUBITS_PLAIN:
                found[method][name] = _in_steps(call, step, turns)
    return found


def write(folder: Path, console: Console, *, quick: bool) -> list[Path]:
    """Measures every derivative at every number of qubits; writes JSON and a table."""
    results: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine(),
        "quick": quick,
        "units": UNITS,
        "rows": [],
    }
    for qubits in QUICK_QUBITS if quick else QUBITS:
        row = _measure(qubits, QUICK_TURNS if quick else TURNS)
        results["rows"].append(row)
        ratios = ", ".join(f"{name} {one['steps']:.3g}" for name, one in row["native"].items())
        console.print(f"{qubits} qubits: {ratios}", highlight=False)
    return record.write(folder, "derivatives", results, markdown(results))


def markdown(results: dict[str, Any]) -> str:
    """The page about results."""
    rows = results["rows"]
    lines = [
        "# What derivatives cost",
        "",
        f"{described(results)}; batch {BATCH}, depth {DEPTH}, two inputs, float64. In units of a training step of the "
        "same circuit with the native engine, whose time stands in the first line. In brackets: by plain PyTorch, "
        '`method="pytorch"`.',
        "",
        "| qubits (weights) | " + " | ".join(f"{one['qubits']} ({one['weights']})" for one in rows) + " |",
        "| --- |" + " ---: |" * len(rows),
    ]
    for name in rows[0]["native"]:
        lines.append(f"| {name} | " + " | ".join(_cell(one, name) for one in rows) + " |")
    return "\n".join(lines) + "\n"


def _cell(row: dict[str, Any], name: str) -> str:
    if name not in row["native"]:
        return ""
    native, plain = row["native"][name], row["plain"].get(name)
    cell = f"{native['milliseconds']:.2g} ms" if name == "a training step" else _number(native["steps"])
    return cell if plain is None else f"{cell} ({_number(plain['steps'])})"


def _number(steps: float) -> str:
    """Two digits, written out."""
    return f"{float(f'{steps:.2g}'):,g}"
