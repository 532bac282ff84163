"""Where the geometry of a model is asked for: its states, as functions of its weights, at an input."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch

from .._differentiation.tangents import Tangents, tangents
from .._simulation.choose import Runners
from .._simulation.states import states_of
from ..modules.hybrid import HybridModule
from ..modules.module import QuantumModule

# Their engines are made once.
_runners: WeakKeyDictionary[QuantumModule, Runners] = WeakKeyDictionary()


@dataclass(frozen=True)
class Point:
    """States of a model at its weights.

    Attributes:
        runners: Of the program that reads the state.
        inputs: Shape (B, N), in the dtype to compute in.
        weights: All sets, likewise.
        lead: Shape of the batch as it was given.
        chosen: The columns of each set that is asked for, among all P of them.
        num_threads: For values.
    """

    runners: Runners
    inputs: torch.Tensor
    weights: Sequence[torch.Tensor]
    lead: torch.Size
    chosen: tuple[range, ...]
    num_threads: int

    @staticmethod
    def of(model: Any, input: Any, sets: Any = None) -> Point:
        """That of a model and an input.

        Raises:
            TypeError: not a `QuantumModule`, or as its call.
            ValueError: it has no weights, no such sets or no states; or as its call.
        """
        require_quantum(model)
        runners = _runners_of(model)
        inputs, weights, _ = model._variables(input)
        flat = inputs.detach().reshape(math.prod(inputs.shape[:-1]), model.input_size)
        values = [vector.detach() for vector in weights]
        return Point(runners, flat, values, inputs.shape[:-1], _chosen(model, sets), model.num_threads_forward)

    @property
    def columns(self) -> list[int]:
        """Those of all chosen weights, among all weights."""
        return [column for chosen in self.chosen for column in chosen]

    @property
    def complex_dtype(self) -> torch.dtype:
        """That of states."""
        return torch.complex128 if self.inputs.dtype is torch.float64 else torch.complex64

    @property
    def state_bytes(self) -> int:
        """What a state takes."""
        return self.runners.program.output_size * self.complex_dtype.itemsize

    def require_samples(self) -> None:
        """Checks that there are samples to take the mean of.

        Raises:
            ValueError: there are none.
        """
        if not len(self.inputs):
            shape = (*self.lead, self.inputs.shape[1])
            raise ValueError(
                f"input: expected a sample to take the mean of, got shape {shape}; leave empty batches out"
            )

    def tangents(self, samples: slice, columns: Sequence[int], whole: bool = False) -> Tangents:
        """States of some samples, and their derivatives by some weights; whole: with all amplitudes."""
        count = self.inputs.shape[1]
        places = [count + column for column in columns]
        found = tangents(self.runners, self.inputs[samples], self.weights, places, self.num_threads)
        return found.whole(self.runners.program) if whole else found


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
    own, program = model._runners, states_of(model._program)
    if program is model._program:
        return own
    found = _runners.get(model)
    if found is None or found.program.evolution is not program.evolution or found.method != own.method:
        found = _made(own, Runners(program, own.method))
        _runners[model] = found
    return found


def _made(own: Runners, found: Runners) -> Runners:
    if own.method is not None and not own.method.is_exact:
        raise ValueError(
            f"model: expected an exact method, got '{own.method.name}', which estimates; make the model with "
            "method='auto'"
        )
    try:
        found.require_method()
    except ValueError as error:
        remedy = "" if own.method is None else "; make the model with method='auto'"
        raise ValueError(f"model: its states are needed: {error}{remedy}") from None
    return found


def _chosen(model: QuantumModule, sets: Any) -> tuple[range, ...]:
    ranges: dict[str, range] = {}
    first = 0
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
    return tuple(ranges[name] for name in names)
