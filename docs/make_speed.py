"""The plot of speed on the first page, from ``benchmarks/results/fig1.json``: ``python docs/make_speed.py``."""

from __future__ import annotations

import json
from pathlib import Path

from qiskit_torch_module._core.pictures import decimal, picture
from qiskit_torch_module.reproduce.looks import look_of
from qiskit_torch_module.reproduce.report import by_system
from qiskit_torch_module.reproduce.systems import (
    PENNYLANE,
    PROJECT,
    QML_REVERSE,
    TENSORCIRCUIT,
    TENSORFLOW_QUANTUM,
    VERSION_1,
    median,
)

HERE = Path(__file__).parent
# From the slowest down, as their lines lie.
NAMES = {
    QML_REVERSE: "qiskit-machine-learning",
    VERSION_1: "version 1.0",
    TENSORFLOW_QUANTUM: "TensorFlow Quantum",
    PENNYLANE: "PennyLane (JAX)",
    TENSORCIRCUIT: "TensorCircuit-NG (JAX)",
    PROJECT: "this package",
}


def draw(path: Path) -> None:
    """Milliseconds of a training step for each sample, by qubits."""
    file = HERE.parent / "benchmarks" / "results" / "fig1.json"
    points = by_system(json.loads(file.read_text(encoding="utf-8")))
    with picture(path) as (figure, axes):
        figure.set_size_inches(4.4, 4.2)  # beside code
        for system, name in NAMES.items():
            found = sorted(points.get(system.label, {}).items())
            qubits = [value for value, _ in found]
            times = [
                median(point, "step") / point["batch"] for _, point in found
            ]
            axes.plot(qubits, times, **{**look_of(system.label), "label": name})
        axes.set_yscale("log")
        decimal(axes.yaxis, [0.01, 0.1, 1, 10, 100, 1000, 10_000])
        axes.set_xticks(range(4, 21, 2))
        axes.set(
            xlabel="qubits",
            ylabel="ms for a training step, per sample",
        )
        figure.legend(loc="outside lower center", ncols=2)


if __name__ == "__main__":
    draw(HERE / "speed.svg")
