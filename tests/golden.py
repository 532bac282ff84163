"""Models that stand in files under tests/data, written on several lines of Qiskit and read on all.

``python tests/golden.py tests/data`` writes those of the installed Qiskit, with their values and gradients.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterExpression, ParameterVector
from qiskit.quantum_info import SparsePauliOp

import gate_zoo
import qiskit_torch_module as qtm

VERSION = importlib.metadata.version("qiskit")
MOST_QUBITS = 3


def expressions() -> qtm.QuantumModule:
    """Every operation of angles that this Qiskit has; also what cancels, and differences of differences."""
    x, w = ParameterVector("x", 3), [Parameter("θ"), *ParameterVector("w", 2)]
    angles = [
        *(x[0] - (w[0] - w[1] * x[1]), (1 - x[2]) / (w[2] + 3), x[0] / (w[0] / (w[1] + 2)), x[1] - x[1]),
        *(x[0].sin() * w[0].cos(), x[1].tan() + w[1].exp(), (x[2] * x[2] + 1).log(), abs(x[0] - 0.7) * w[2]),
        *((0.5 * x[0]).arcsin() + (0.3 * w[0]).arccos() - w[1].arctan(), (x[0] * w[2]).conjugate(), -(x[1] - 0.25)),
        *(x[0] * x[1] * x[2] * w[0] * w[1] * w[1], (x[0] * w[0] - w[1]).subs({x[0]: w[2] + 1}), 1.5 * w[2]),
    ]
    if hasattr(ParameterExpression, "__pow__"):
        angles += [(x[0] - 3) ** 3 * w[0], (x[1] * x[1] + 1) ** (w[1] * w[2]), 2 ** x[2]]
    circuit = QuantumCircuit(3, global_phase=w[0] * x[1])
    circuit.h(range(3))
    for place, angle in enumerate(angles):
        (circuit.ry, circuit.rx, circuit.rz)[place % 3](angle, place % 3)
        circuit.cx(place % 3, (place + 1) % 3)
    return qtm.QuantumModule(
        circuit, list(x)[::-1], w, variational_params_initial=("uniform", {"a": 0.1, "b": 0.9}), seed_init=1
    ).double()


def gates() -> qtm.QuantumModule:
    """One specimen of every gate of this Qiskit, but large ones."""
    circuit, x = QuantumCircuit(MOST_QUBITS), Parameter("x")
    for name, cls in gate_zoo.operation_classes().items():
        if name in gate_zoo.REFUSED | gate_zoo.IDLE | {"Initialize"}:
            continue
        operation = gate_zoo.specimens(name, cls)[0]
        if operation.num_qubits <= MOST_QUBITS:
            circuit.ry(x, range(MOST_QUBITS))
            circuit.append(operation, range(operation.num_qubits))
    return qtm.QuantumModule(circuit, [x], [gate_zoo.T], seed_init=2).double()


def settings() -> qtm.QuantumModule:
    """Several sets of weights in single precision, one of them frozen; sums and a matrix for observables."""
    x, a, b = Parameter("x"), ParameterVector("a", 2), ParameterVector("b", 11)
    circuit = QuantumCircuit(3, name="settings")
    circuit.initialize(np.array([0.6, 0.8j]), 1)
    for place, weight in enumerate([*a, *b]):
        circuit.rx(x, place % 3)
        circuit.ry(weight, (place + 1) % 3)
        circuit.cz(place % 3, (place + 1) % 3)
    matrix = np.diag(np.arange(8.0)) + np.eye(8, k=1) * 0.5j - np.eye(8, k=-1) * 0.5j
    sums = SparsePauliOp(["XXI", "III", "ZIY"], [0.5, -2.0, 1 / 3])
    model = qtm.QuantumModule(
        circuit,
        x,
        [list(b)[::-1], a],
        ["late", "früh"],
        [("normal", {"mean": 0.5, "std": 0.1}), ("uniform", {"a": -1.0, "b": 1.0})],
        seed_init=3,
        observables=["ZZZ", sums, matrix],
        num_threads_forward=1,
        encoding_gradients_flag=True,
    )
    model.set_variational_gradients_flag([True, False])
    return model


MODELS = {"expressions": expressions, "gates": gates, "settings": settings}


def inputs_of(model: qtm.QuantumModule) -> torch.Tensor:
    """Two samples."""
    dtype = next(model.parameters()).dtype
    return torch.linspace(0.1, 0.9, 2 * model.input_size, dtype=dtype).reshape(2, -1).requires_grad_()


def outcome(model: qtm.QuantumModule) -> dict[str, Any]:
    """What must come back: values, gradients and settings."""
    inputs = inputs_of(model)
    values = model(inputs)
    (values * torch.arange(1.0, 1 + values.numel()).reshape(values.shape)).sum().backward()
    return {
        "values": values.tolist(),
        "gradients": inputs.grad.tolist(),
        "gradients of weights": {
            name: None if w.grad is None else w.grad.tolist() for name, w in model.named_parameters()
        },
        "weights": {name: weight.tolist() for name, weight in model.named_parameters()},
        "dtype": str(inputs.dtype),
        "parameters": [one.name for chosen in model.variational_parameters for one in chosen],
        "inputs": [one.name for one in model.encoding_parameters],
        "threads": [model.num_threads_forward, model.num_threads_backward],
        "observables": len(model.observables) if not isinstance(model.observables, str) else model.observables,
    }


def written(folder: Path) -> Iterator[Path]:
    """Writes the models of this Qiskit, and beside each what must come back."""
    for name, make in MODELS.items():
        path = folder / f"{name}-{VERSION}.qtm"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old classes warn of their own futures
            model = make()
            qtm.save(model, path)
        path.with_suffix(".json").write_text(json.dumps(outcome(model), ensure_ascii=False) + "\n", encoding="utf-8")
        yield path


if __name__ == "__main__":
    for path in written(Path(sys.argv[1])):
        print(path, path.stat().st_size, "bytes")
