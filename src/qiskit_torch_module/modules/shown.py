"""Modules in a notebook: what they take, hold and give, and the circuit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from .._core.shown import card, folded, in_short
from .._program.output import Output
from ..outputs.trainable import Trainable

if TYPE_CHECKING:
    from .module import QuantumModule

# Larger circuits would fill the screen, and take long to draw.
_MOST_QUBITS, _MOST_GATES = 16, 200
_LONGEST_READ = 40  # characters of observables, in a line with all else


def html_of_quantum(model: QuantumModule) -> str:
    """A table of a quantum layer, and its circuit, folded."""
    return card(type(model).__name__, _rows(model), _drawing(model))


def html_of_kernel(model: QuantumModule, title: str) -> str:
    """A table of the states that a kernel compares."""
    return card(title, [row for row in _rows(model) if row[0] != "output"], _drawing(model))


def html_of_layers(model: torch.nn.Module, quantum: QuantumModule) -> str:
    """A table of the layers of a model, with what its quantum layer is."""
    rows = [
        (name, f"{type(layer).__name__}({layer.extra_repr()})")
        for name, layer in model.named_children()
        if layer is not quantum
    ]
    trained = sum(one.numel() for one in model.parameters() if one.requires_grad)
    rows += [(f"quantum: {name}", text) for name, text in _rows(quantum)]
    return card(type(model).__name__, [*rows, ("trainable parameters", f"{trained:,} in all")], _drawing(quantum))


def _rows(model: QuantumModule) -> list[tuple[str, str]]:
    qubits = "1 qubit" if model._num_qubits == 1 else f"{model._num_qubits} qubits"
    own = _own(model)
    sets = [
        f"{name}: {parameter.numel():,}{'' if parameter.requires_grad else ' (frozen)'}"
        for name, parameter in model.named_parameters()
    ]
    threads = [in_short(count) if count else "as PyTorch" for count in _threads(model)]
    return [
        ("circuit", qubits),
        ("input", f"(..., {model.input_size})" if model.input_size else "none"),
        ("output", f"(..., {', '.join(map(str, _shape(model)))}): {in_short(model.observables)}"),
        ("weights", ", ".join(sets) or "none"),
        ("computed by", in_short(model.method)),
        ("dtype, device", f"{str(own.dtype).removeprefix('torch.')}, {own.device}"),
        ("threads", threads[0] if threads[0] == threads[1] else f"{threads[0]} forward, {threads[1]} backward"),
    ]


def _own(model: QuantumModule) -> torch.Tensor:
    """A tensor of the module, which has its dtype and device."""
    return [*model.variational_, *model._without_weights()][0]


def shown_dtype(model: QuantumModule) -> str:
    """The dtype of the module: "float32"."""
    return str(_own(model).dtype).removeprefix("torch.")


def shown_observables(observables: Any) -> str:
    """What is read from the state, in part of a line: "individualZ", [ZI, XX], Probabilities."""
    if isinstance(observables, (Output, Trainable)):
        described = repr(observables)
        return described if described.startswith("<") else type(observables).__name__  # those that users cannot make
    text = " ".join(in_short(observables).split())
    text = text if len(text) <= _LONGEST_READ else f"{text[: _LONGEST_READ - 1]}…"
    return f"[{text}]" if isinstance(observables, (list, tuple)) else text


def _threads(model: QuantumModule) -> tuple[int, int]:
    return model.num_threads_forward, model.num_threads_backward


def _shape(model: QuantumModule) -> tuple[int, ...]:
    return model._program.shape if model._sums is None else (model.output_size,)


def _drawing(model: QuantumModule) -> str:
    try:
        circuit: Any = model.circuit
    except RuntimeError:  # it comes from a file that holds what the circuit was compiled to, alone
        return ""
    if circuit.num_qubits > _MOST_QUBITS or len(circuit.data) > _MOST_GATES:
        return ""
    return folded(f"circuit, {len(circuit.data)} gates", str(circuit.draw(output="text", fold=-1)))
