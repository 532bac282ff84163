"""Jacobians of what models give, for each sample, by all that they train."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from .._differentiation.metric import Point
from .._differentiation.tangents import moving_variables, pushing
from .._simulation.jacobian import engine_jacobian
from .._simulation.native import Native
from .._simulation.reading import read
from .._simulation.states import MOST_AMPLITUDES, states_of
from .._simulation.threads import engine_threads
from ..modules.module import QuantumModule
from .point import point_of


def jacobian(model: Any, input: Any = None) -> tuple[torch.Tensor, torch.Tensor, torch.Size]:
    """What a model gives, (B, M), its derivatives (B, M, P) by all parameters, and the shape of the batch.

    Raises:
        TypeError: it is no module, or gives no tensor of real numbers.
        ValueError: it has no parameters, or as its call.
    """
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"model: expected a torch.nn.Module, got {type(model).__name__}")
    if not any(parameter.numel() for parameter in model.parameters()):
        raise ValueError("model: expected parameters, got none; there is nothing that moves what it gives")
    if isinstance(model, QuantumModule) and _is_native(model, input):
        point, lead = point_of(model, input)
        sums = model._program.expectation_values
        with torch.no_grad():
            values = model(point.inputs)
        _require_real(values)
        slopes = _of_states(model, point) if sums is None else _of_sums(model, point)
        return values.reshape(len(values), model._program.output_size), slopes, lead
    return _of_function(model, input)


def jacobian_by_inputs(model: QuantumModule, rows: torch.Tensor, columns: range) -> tuple[torch.Tensor, torch.Tensor]:
    """What a model gives for inputs (B, num_inputs), (B, M), and its derivatives (B, M, K) by some of their columns."""

    def values(some: torch.Tensor) -> torch.Tensor:
        others = [rows[:, : columns.start], some, rows[:, columns.stop :]]
        given: torch.Tensor = model(torch.cat(others, 1))
        return given.flatten(1)

    some = rows[:, columns.start : columns.stop]
    found = values(some)
    if found.shape[1] <= len(columns):
        slopes: torch.Tensor = torch.func.jacrev(lambda some: values(some).sum(0))(some).permute(1, 0, 2)
        return found, slopes

    def along(direction: torch.Tensor) -> torch.Tensor:
        change: torch.Tensor = torch.func.jvp(values, (some,), (direction.expand_as(some),))[1]
        return change

    directions = torch.eye(len(columns), dtype=rows.dtype)
    return found, torch.func.vmap(along)(directions).permute(1, 2, 0)


def _is_native(model: QuantumModule, input: Any) -> bool:
    """Whether the native engine computes what it gives, with no parameters but weights."""
    if model._sums is not None or model._program.others or not all(_is_own(one) for one in model.variational_):
        return False
    inputs, _, _ = model._variables(input)
    flat = inputs.reshape(math.prod(inputs.shape[:-1]), model.input_size)
    return isinstance(model._runners(flat).method, Native)


def _is_own(weights: Any) -> bool:
    """Whether it is a parameter, and not computed from others."""
    return isinstance(weights, torch.nn.Parameter)


def _of_sums(model: QuantumModule, point: Point) -> torch.Tensor:
    """Of expectation values, by adjoint passes."""
    program, weights = model._program, torch.cat(list(point.weights)).double()
    variables, moved = moving_variables(program.evolution, point.inputs.double(), weights, point.columns)
    wanted = (moved != 0).any(axis=(0, 2))
    slopes = engine_jacobian(program.unshared, variables, wanted, engine_threads(point.num_threads), imaginary=False)
    found = torch.from_numpy(slopes) @ torch.from_numpy(np.ascontiguousarray(moved))
    return found.to(point.inputs)


def _of_states(model: QuantumModule, point: Point) -> torch.Tensor:
    """Of what is read from states, along the derivatives of these."""
    program, columns = model._program, point.columns
    found = point.inputs.new_empty(len(point.inputs), program.output_size, len(columns))
    for samples in _parts(len(point.inputs), len(columns) * point.num_amplitudes):
        tangents = point.tangents(samples, columns).whole(states_of(program))
        with torch.no_grad():
            _, push, _ = pushing(lambda states: (read(program, states),), tangents.states)
            (moved,) = torch.func.vmap(push)(tangents.slopes)
        found[samples] = moved.reshape(*moved.shape[:2], program.output_size).permute(1, 2, 0)
    return found


def _of_function(model: torch.nn.Module, input: Any) -> tuple[torch.Tensor, torch.Tensor, torch.Size]:
    """Of any module, by its gradients."""
    parameters = {name: parameter.detach() for name, parameter in model.named_parameters()}
    like = next(iter(parameters.values()))
    inputs = torch.empty(0) if input is None else torch.as_tensor(input)
    if not inputs.is_floating_point():
        inputs = inputs.to(like.dtype)
    flat = inputs.detach().to(like.device).reshape(math.prod(inputs.shape[:-1]), inputs.shape[-1])

    def values(parameters: dict[str, torch.Tensor], row: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        given: torch.Tensor = torch.func.functional_call(model, parameters, (row,))
        _require_real(given)
        return given.flatten(), given.flatten().detach()

    slopes_of = torch.func.vmap(torch.func.jacrev(values, has_aux=True), (None, 0))
    all_values, all_slopes = [], []
    for samples in _parts(len(flat), sum(one.numel() for one in parameters.values())):
        slopes, given = slopes_of(parameters, flat[samples])
        all_values.append(given)
        all_slopes.append(torch.cat([one.flatten(2) for one in slopes.values()], 2))
    return torch.cat(all_values), torch.cat(all_slopes), inputs.shape[:-1]


def _require_real(given: Any) -> None:
    if not isinstance(given, torch.Tensor) or given.is_complex():
        kind = given.dtype if isinstance(given, torch.Tensor) else type(given).__name__
        raise TypeError(f"model: expected one that gives a tensor of real numbers, got {kind}")


def _parts(count: int, size: int) -> Iterator[slice]:
    """Samples that are taken together, each of so many numbers; one part at least."""
    at_once = max(1, MOST_AMPLITUDES // max(1, size))
    for first in range(0, max(1, count), at_once):
        yield slice(first, first + at_once)
