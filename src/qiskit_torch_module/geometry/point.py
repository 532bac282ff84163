"""Where the geometry of a model is asked for: its states, as functions of its weights, at an input."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import torch

from .._differentiation.metric import Point
from .._program.evolution import Evolution
from .._program.output import State
from .._program.program import Program
from .._simulation.choose import Runners, require_exact
from .._simulation.method import Method
from ..modules.hybrid import HybridModule
from ..modules.module import QuantumModule

# Their engines are made once.
_runners: WeakKeyDictionary[QuantumModule, tuple[Evolution, Runners]] = WeakKeyDictionary()


def point_of(model: Any, input: Any, sets: Any = None) -> tuple[Point, torch.Size]:
    """States of a model as functions of its weights, at an input; and the shape of the batch.

    Raises:
        TypeError: not a `QuantumModule`, or as its call.
        ValueError: it has no weights, no such sets or no states; or as its call.
    """
    require_quantum(model)
    groups, runners = _groups(model, sets), _runners_of(model)
    inputs, weights, _ = model._variables(input)
    flat = inputs.detach().reshape(math.prod(inputs.shape[:-1]), model.input_size)
    values = [vector.detach() for vector in weights]
    return Point(runners, flat, values, groups, model.num_threads_forward), inputs.shape[:-1]


def require_samples(lead: torch.Size) -> None:
    """Checks that there are samples to take the mean of.

    Raises:
        ValueError: there are none.
    """
    if not math.prod(lead):
        raise ValueError(f"input: expected a sample to take the mean of, got a batch of shape {tuple(lead)}")


def require_one_of(value: Any, argument: str, choices: Sequence[str]) -> None:
    """Checks an argument that is one of a few names.

    Raises:
        ValueError: it is not.
    """
    if value not in choices:
        raise ValueError(f"{argument}: expected one of {', '.join(map(repr, choices))}, got {value!r}")


def require_quantum(model: Any) -> None:
    """Checks that states of a model are those of one circuit.

    Raises:
        TypeError: they are not.
    """
    if isinstance(model, HybridModule):
        raise TypeError(
            "model: expected a QuantumModule, got a HybridModule; give model.quantum_module, and as its input "
            "model.preprocessing(input)"
        )
    if not isinstance(model, QuantumModule):
        raise TypeError(
            f"model: expected a QuantumModule, got {type(model).__name__}; give the quantum part of a model"
        )


def _runners_of(model: QuantumModule) -> Runners:
    evolution, method = model._program.evolution, model._runners.method
    kept, found = _runners.get(model, (None, None))
    if found is None or kept is not evolution or found.method != method:
        found = _made(evolution, method)
        _runners[model] = evolution, found
    return found


def _made(evolution: Evolution, method: Method | None) -> Runners:
    require_exact(method, "model")
    found = Runners(Program(evolution.live, State()), method)
    try:
        found.require_method()
    except ValueError as error:
        remedy = "" if method is None else "; make the model with method='auto'"
        raise ValueError(f"model: its states are needed: {error}{remedy}") from None
    return found


def _groups(model: QuantumModule, sets: Any) -> list[range]:
    """The variables of each set."""
    ranges: dict[str, range] = {}
    first = model.input_size
    for name, parameters in zip(model.variational_names, model.variational_parameters, strict=True):
        ranges[name] = range(first, first := first + len(parameters))
    if sets is None:
        names = list(ranges)
    else:
        names = [sets] if isinstance(sets, str) else list(sets)
        unknown = [name for name in names if name not in ranges]
        if unknown or len(set(names)) < len(names):
            raise ValueError(f"sets: expected some of {list(ranges)}, each once, got {sets!r}")
    if not any(len(ranges[name]) for name in names):
        raise ValueError("model: expected variational parameters, got none; there is nothing that moves its states")
    return [ranges[name] for name in names]
