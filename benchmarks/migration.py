"""What programs of qiskit-machine-learning gain: the pairs of ``examples/paper``, and ``examples/drop_in*.py``.

Every line of Qiskit runs in a Python of its own, with qiskit-machine-learning of its time: the newest in this one,
others where their environment is there; they see this package by a link to it. Before times count, values and gradients
must agree. Before and after take turns in one process, what is fast is repeated within its turn, times are medians.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from rich.console import Console

EXAMPLES = Path(__file__).parent.parent / "examples"
QUBITS, DEPTH, SAMPLES = 4, 2, 8
BATCH = 48
# Programs of the paper, and what their ``build`` is called with: few qubits where the old program would take minutes.
PROGRAMS: dict[str, tuple[int, ...]] = {"runtime": (4, 3), "digits": (5, 5), "cartpole": ()}
# Folders of environments, in that of all rivals (QTM_RIVALS, or ".rivals"; "": this Python), and how they are made.
LINES = {
    "qml1": "as 'qtm rivals' says",
    "qml14": "pip install torch==2.13.0 qiskit==1.4.5 qiskit-algorithms==0.3.1 qiskit-machine-learning==0.8.4",
    "": "",
}
SECONDS = 0.2
NAMES = ("stock", "swapped", "QuantumModule.from_qnn")


def repeated(step: Callable[[], Any], seconds: float) -> list[float]:
    """Times of at least one call, and of as many as take so long."""
    times: list[float] = []
    while not times or sum(times) < seconds:
        begin = time.perf_counter()
        step()
        times.append(time.perf_counter() - begin)
    return times


def in_turns(steps: dict[str, Callable[[], Any]], turns: int) -> dict[str, float]:
    """Medians (s)."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(turns):
        for name, step in steps.items():
            times[name] += repeated(step, SECONDS)
    return {name: statistics.median(found) for name, found in times.items()}


def _agreeing(models: dict[str, torch.nn.Module], step: Callable[[torch.nn.Module], tuple[Any, ...]]) -> None:
    """Also compiles what is compiled once.

    Raises:
        AssertionError: values or gradients differ.
    """
    expected, *others = (step(model)[1:] for model in models.values())
    for other in others:
        for ours, theirs in zip(other, expected, strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


def swaps(samples: int, turns: int) -> dict[str, Any]:
    """A training step of an estimator network, as it is, with our classes, and as a module (s)."""
    drop_in = import_module("drop_in")
    models = drop_in.models(QUBITS, DEPTH)
    inputs = torch.rand(samples, QUBITS, generator=torch.Generator().manual_seed(0))
    _agreeing(models, lambda model: drop_in.training_step(model, inputs[:1]))
    return in_turns({name: lambda m=model: drop_in.training_step(m, inputs) for name, model in models.items()}, turns)


def sampler_swaps(turns: int) -> dict[str, Any]:
    """The same of a sampler network, a classifier by parity."""
    drop_in = import_module("drop_in_sampler")
    models = drop_in.models(QUBITS, DEPTH)
    generator = torch.Generator().manual_seed(0)
    inputs = torch.rand(SAMPLES, QUBITS, generator=generator)
    labels = torch.randint(2, (SAMPLES,), generator=generator)
    _agreeing(models, lambda model: drop_in.training_step(model, inputs[:1], labels[:1]))
    steps = {name: lambda m=model: drop_in.training_step(m, inputs, labels) for name, model in models.items()}
    return in_turns(steps, turns)


def program(name: str, turns: int) -> dict[str, Any]:
    """A training step of a program of the paper, before (of one sample, scaled up) and after (s)."""
    before, after = (import_module(one).build(*PROGRAMS[name]) for one in (f"{name}_qml", name))
    before, after = (one[0] if isinstance(one, tuple) else one for one in (before, after))
    weights = torch.cat([one.detach().flatten() for one in after.parameters()])
    with torch.no_grad():
        before.weight.copy_(weights)
    width = after.input_size
    inputs = torch.rand(BATCH, width, generator=torch.Generator().manual_seed(0))

    def step(model: torch.nn.Module, rows: torch.Tensor) -> tuple[None, torch.Tensor, torch.Tensor]:
        model.zero_grad()
        values = model(rows)
        values.square().mean().backward()
        gradients = [one.grad.flatten() for one in model.parameters() if one.grad is not None]
        return None, values.detach().double(), torch.cat(gradients).double()

    _agreeing({"before": before, "after": after}, lambda model: step(model, inputs[:1]))
    step(after, inputs)
    found = in_turns({"before": lambda: step(before, inputs[:1]), "after": lambda: step(after, inputs)}, turns)
    found["before"] *= BATCH
    return {**found, "factor": found["before"] / found["after"], "weights": len(weights), "args": PROGRAMS[name]}


def call(turns: int) -> dict[str, Any]:
    """What a call of the estimator with one PUB spends (s): whole, Qiskit's check, reading the circuit, simulation."""
    import numpy as np
    from drop_in import reuploading
    from qiskit.primitives.containers.estimator_pub import EstimatorPub

    from qiskit_torch_module import FastEstimator
    from qiskit_torch_module._program.cache import cached_program
    from qiskit_torch_module._simulation.engines import engine_of

    circuit, _, _ = reuploading(QUBITS, DEPTH)
    label, row, estimator = "Z" * QUBITS, np.linspace(-1, 1, circuit.num_parameters), FastEstimator()
    parameters = list(circuit.parameters)
    engine = engine_of(cached_program(circuit, [label], parameters))
    parts = {
        "whole": lambda: estimator.run([(circuit, label, row)]).result(),
        "check": lambda: EstimatorPub.coerce((circuit, label, row), 0.0),
        "reading": lambda: cached_program(circuit, [label], parameters),
        "simulation": lambda: engine.values(row[None], np.empty(0), 1),
    }
    return {**in_turns(parts, turns), "gates": circuit.size()}


def line(turns: int, *, whole: bool) -> dict[str, Any]:
    """What is measured in one Python; whole: the programs and the parts of a call as well."""
    estimator, gradient, _ = import_module("drop_in").stock()
    found: dict[str, Any] = {
        "qiskit": version("qiskit"),
        "qiskit-machine-learning": version("qiskit-machine-learning"),
        "stock": [type(estimator).__name__, type(gradient).__name__],
        "estimator": swaps(SAMPLES, turns),
        "sampler": sampler_swaps(turns),
    }
    if whole:
        found["one by one"] = swaps(1, turns)
        found["call"] = call(turns)
        found["programs"] = {name: program(name, turns) for name in PROGRAMS}
    for kind in ("estimator", "sampler", "one by one"):
        if kind in found:
            found[kind]["factors"] = {name: found[kind]["stock"] / found[kind][name] for name in NAMES[1:]}
    return found


def _in_its_python(folder: str, turns: int) -> dict[str, Any]:
    """As `line`, in another process; {"error": ...} where there is nothing to report."""
    import qiskit_torch_module

    python = Path(os.environ.get("QTM_RIVALS", ".rivals")) / folder / "bin" / "python" if folder else sys.executable
    if not Path(python).exists():
        return {"error": f"no environment {folder}: {LINES[folder]}"}
    with tempfile.TemporaryDirectory() as shown:
        environment = dict(os.environ)
        if folder:
            (Path(shown) / "qiskit_torch_module").symlink_to(Path(qiskit_torch_module.__file__).resolve().parent)
            environment["PYTHONPATH"] = shown
        command = [str(python), "-W", "ignore", __file__, str(turns), folder]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def write(folder: Path, console: Console, *, quick: bool) -> list[Path]:
    """Measures every line of Qiskit; writes JSON and a table."""
    import record

    from qiskit_torch_module.reproduce.store import machine

    lines = []
    for one in LINES:
        found = _in_its_python(one, 1 if quick else 3)
        console.print(found, highlight=False)
        lines.append(found)
    results = {"date": time.strftime("%Y-%m-%d"), "machine": machine(), "quick": quick, "lines": lines}
    return record.write(folder, "migration", results, markdown(results))


def _times(value: float) -> str:
    """A factor, to two digits."""
    from qiskit_torch_module.reproduce.store import factor

    return factor(float(f"{value:.2g}"))


def swaps_table(results: dict[str, Any], kind: str) -> list[str]:
    """Lines of Qiskit, and what a swap and a module gain there; kind: "estimator", "sampler" or "one by one"."""
    from qiskit_torch_module.reproduce.store import plain

    lines = [
        "| Qiskit, qiskit-machine-learning | stock, ms | swapped, ms | factor | `from_qnn`, ms | factor |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for one in results["lines"]:
        if kind in one:
            times, factors = one[kind], one[kind]["factors"]
            stock = f": `{'`, `'.join(one['stock'])}`" if kind != "sampler" else ""
            cells = [f"{one['qiskit']}, {one['qiskit-machine-learning']}{stock}", plain(1e3 * times["stock"])]
            for name in NAMES[1:]:
                cells += [plain(1e3 * times[name]), _times(factors[name])]
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def programs_table(results: dict[str, Any]) -> list[str]:
    """The programs of the paper, before and after."""
    from qiskit_torch_module.reproduce.store import plain

    lines = ["| program | weights | before, s | after, ms | factor |", "| --- | ---: | ---: | ---: | ---: |"]
    for name, one in results["lines"][-1].get("programs", {}).items():
        called = f"`{name}.py`, `build({', '.join(map(str, one['args']))})`"
        cells = [called, str(one["weights"]), f"~{plain(one['before'])}", plain(1e3 * one["after"])]
        lines.append(f"| {' | '.join(cells)} | {_times(one['factor'])} |")
    return lines


def markdown(results: dict[str, Any]) -> str:
    """The page about results."""
    from qiskit_torch_module.reproduce.store import described, plain

    lines = [
        "# From qiskit-machine-learning",
        "",
        f"{described(results)}. A training step: values and gradients of all weights; medians.",
        "",
        f"The programs of the paper, before and after, with a batch of {BATCH}. The old one takes samples one by one, "
        "so it gets one, and its time is scaled up.",
        "",
        *programs_table(results),
    ]
    about = f"{QUBITS} qubits, {2 * QUBITS * (DEPTH + 1)} weights"
    for kind, said in (
        ("estimator", f"An `EstimatorQNN` of {about}, {SAMPLES} samples (`examples/drop_in.py`)"),
        ("one by one", "The same, one sample"),
        ("sampler", f"A `SamplerQNN` of {about}, {SAMPLES} samples, its own sampler (`examples/drop_in_sampler.py`)"),
    ):
        lines += ["", f"{said}:", "", *swaps_table(results, kind)]
    parts = results["lines"][-1].get("call")
    if parts:
        us = {name: f"{plain(1e6 * parts[name])} µs" for name in ("whole", "check", "reading", "simulation")}
        lines += [
            "",
            f"A call of `FastEstimator.run` with one PUB of that circuit ({parts['gates']} gates): {us['whole']}. By "
            f"themselves, Qiskit's check of the PUB takes {us['check']}, reading the circuit {us['reading']}, and the "
            f"simulation {us['simulation']}.",
        ]
    missing = [f"- {one['error']}" for one in results["lines"] if "error" in one]
    lines += ["", "Not measured:", "", *missing] if missing else []
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.path[:0] = [str(EXAMPLES), str(EXAMPLES / "paper")]
    print(json.dumps(line(int(sys.argv[1]), whole=sys.argv[2] == "")))
