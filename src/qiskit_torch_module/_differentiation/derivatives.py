"""Derivatives beyond the engine's, from the same circuit in plain PyTorch; and batches of weights side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from .._core.transforms import leading
from .._simulation.method import Runner
from .._simulation.native import Tensors, joined
from .choices import filled, halved, wanted, zeroed


def pulled_back(function: Callable[..., Any], *at: torch.Tensor) -> tuple[Any, Callable[..., Tensors]]:
    """Values of a function, and the function that turns their cotangents into gradients."""
    outputs, pull_back, *_ = torch.func.vjp(function, *at)
    return outputs, pull_back


def values_function(runner: Runner) -> Callable[..., Tensors]:
    """Values of inputs and sets of weights, as a tuple of one."""
    function = runner.function()

    def values(inputs: torch.Tensor, *weights: torch.Tensor) -> Tensors:
        return (function(inputs, joined(weights, inputs)),)

    return values


def gradient_function(runner: Runner, wants: tuple[bool, ...]) -> Callable[..., Tensors]:
    """Gradients of sum(cotangent * values) with respect to the wanted ones of inputs and sets."""

    def gradients(cotangent: torch.Tensor, *variables: torch.Tensor) -> Tensors:
        _, pull_back = pulled_back(values_function(runner), *variables)
        return wanted(pull_back((cotangent,)), wants)

    return gradients


def pushed_function(runner: Runner) -> Callable[..., Tensors]:
    """Values along directions, of variables and directions, as a tuple of one."""

    def pushed(*arguments: torch.Tensor) -> Tensors:
        return pushed_forward(values_function(runner), *halved(arguments))

    return pushed


def curvature_function(runner: Runner, wants: tuple[bool, ...]) -> Callable[..., Tensors]:
    """Wanted gradients along directions, of a cotangent, variables and directions."""

    def curvature(cotangent: torch.Tensor, *arguments: torch.Tensor) -> Tensors:
        variables, directions = halved(arguments)
        return _gradients(_slope(_contracted(runner, cotangent), directions), (False, *wants), cotangent, *variables)

    return curvature


def twice_function(runner: Runner, wants: tuple[bool, ...]) -> Callable[..., Tensors]:
    """What is wanted of values and gradients along two directions, of a cotangent, variables and both directions."""

    def twice(cotangent: torch.Tensor, *arguments: torch.Tensor) -> Tensors:
        third = len(arguments) // 3
        variables, first, second = arguments[:third], arguments[third : 2 * third], arguments[2 * third :]
        slope = _slope(_slope(_contracted(runner, cotangent), first), second)
        return _gradients(slope, wants, cotangent, *variables)

    return twice


# Real functions of a cotangent and variables: sums of cotangents times values, and their derivatives along directions,
# whose gradients by the cotangent are those of the values.
_Real = Callable[..., torch.Tensor]


def _contracted(runner: Runner, like: torch.Tensor) -> _Real:
    values = values_function(runner)

    def contracted(cotangent: torch.Tensor, *variables: torch.Tensor) -> torch.Tensor:
        product = values(*variables)[0] * cotangent.conj()
        return product.real.sum() if like.is_complex() else product.sum()

    return contracted


def _slope(function: _Real, direction: Sequence[torch.Tensor]) -> _Real:
    """Its derivative along a direction of the variables."""

    def slope(cotangent: torch.Tensor, *variables: torch.Tensor) -> torch.Tensor:
        _, pull_back = pulled_back(lambda *at: function(cotangent, *at), *variables)
        gradients = pull_back(cotangent.new_ones((), dtype=variables[0].dtype))
        return torch.stack(
            [(gradient * along).sum() for gradient, along in zip(gradients, direction, strict=True)]
        ).sum()

    return slope


def _gradients(function: _Real, wants: Sequence[bool], *at: torch.Tensor) -> Tensors:
    _, pull_back = pulled_back(function, *at)
    gradients = pull_back(at[0].new_ones((), dtype=at[1].dtype))
    return wanted(gradients, wants)


def pushed_forward(function: Callable[..., Tensors], at: Sequence[torch.Tensor], tangents: Sequence[Any]) -> Tensors:
    """Forward-mode derivative from two reverse ones: the pull-back is linear, and its transpose pushes forward."""
    outputs, pull_back = pulled_back(function, *at)
    _, push_forward = pulled_back(lambda *cotangents: pull_back(cotangents), *map(torch.zeros_like, outputs))
    pushed: Tensors = push_forward(filled(tangents, at))
    return pushed


def unshared(info: Any, in_dims: Sequence[int | None], variables: Sequence[torch.Tensor]) -> torch.Tensor:
    """Inputs and weights side by side for every sample of every element that is mapped: rows (V * B, N + W)."""
    inputs, *weights = (leading(tensor, dim, info.batch_size) for tensor, dim in zip(variables, in_dims, strict=True))
    columns = [inputs, *(vectors[:, None, :].expand(-1, inputs.shape[1], -1) for vectors in weights)]
    return torch.cat(columns, dim=2).flatten(0, 1).contiguous()


def mapped_values(
    info: Any,
    in_dims: Sequence[int | None],
    runner: Runner,
    variables: Sequence[torch.Tensor],
    values_of: Callable[..., torch.Tensor],
) -> tuple[torch.Tensor, int]:
    """Values of mapped inputs, and of mapped weights, from one call ``values_of(runner, inputs, *weights)``."""
    if all(dim is None for dim in in_dims[1:]):
        inputs = leading(variables[0], in_dims[0], info.batch_size)
        flat, sets = inputs.flatten(0, 1).contiguous(), tuple(variables[1:])
    else:
        runner, flat, sets = runner.unshared, unshared(info, in_dims, variables), ()
    return _in_front(info, in_dims[0], variables[0], values_of(runner, flat, *sets)), 0


def _in_front(info: Any, in_dim: int | None, inputs: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Rows (V * B, ...) as (V, B, ...), as the inputs say: without rows, V and B cannot be inferred."""
    return rows.reshape(*leading(inputs, in_dim, info.batch_size).shape[:2], *rows.shape[1:])


def mapped_gradients(
    info: Any,
    in_dims: Sequence[int | None],
    runner: Runner,
    cotangent: torch.Tensor,
    variables: Sequence[torch.Tensor],
    gradient_of: Callable[..., torch.Tensor],
) -> list[torch.Tensor]:
    """Gradients of everything, mapped in front, from one call ``gradient_of(runner, cotangent, inputs)``.

    Weight gradients are summed over the batch, but not over what is mapped: every sample has its own weights.

    Args:
        info: The information that ``vmap`` passes.
        in_dims: Mapped dimensions of cotangent, inputs and sets.
        runner: The runner that computes.
        cotangent: Of the values.
        variables: Inputs and sets.
        gradient_of: Gradient with respect to the inputs, by a runner of a program that has no weights.
    """
    flat = unshared(info, in_dims[1:], variables)
    cotangents = leading(cotangent, in_dims[0], info.batch_size).flatten(0, 1).contiguous()
    sizes = [
        leading(tensor, dim, info.batch_size).shape[-1] for tensor, dim in zip(variables, in_dims[1:], strict=True)
    ]
    gradient = gradient_of(runner.unshared, cotangents, flat)
    first, *rest = torch.split(_in_front(info, in_dims[1], variables[0], gradient), sizes, dim=-1)
    return [first, *(part.sum(1) for part in rest)]


def mapped_pushed(
    info: Any,
    in_dims: Sequence[int | None],
    runner: Runner,
    arguments: Sequence[torch.Tensor | None],
    along: Callable[..., torch.Tensor],
) -> tuple[torch.Tensor, int]:
    """Values along mapped directions from one call ``along(runner, variables, directions)``."""
    dims, of_directions = halved(dims_with_directions(in_dims, arguments))
    variables, directions = halved(zeroed(arguments))
    if any(dim is not None for dim in (*dims[1:], *of_directions[1:])):
        flat, moved = unshared(info, dims, variables), unshared(info, of_directions, directions)
        values = along(runner.unshared, (flat,), (moved,))
    else:
        flat, moved = (
            leading(tensors[0], dim, info.batch_size).flatten(0, 1).contiguous()
            for tensors, dim in ((variables, dims[0]), (directions, of_directions[0]))
        )
        values = along(runner, (flat, *variables[1:]), (moved, *directions[1:]))
    return _in_front(info, dims[0], variables[0], values), 0


def mapped_curvature(
    info: Any,
    in_dims: Sequence[int | None],
    runner: Runner,
    cotangent: torch.Tensor,
    arguments: Sequence[torch.Tensor | None],
    curvature_of: Callable[..., torch.Tensor],
) -> list[torch.Tensor]:
    """As `mapped_gradients`, along directions, from one call ``curvature_of(runner, cotangent, inputs, direction)``."""
    dims, of_directions = halved(dims_with_directions(in_dims[1:], arguments))
    variables, directions = halved(zeroed(arguments))
    moved = unshared(info, of_directions, directions)

    def gradient_of(runner: Runner, cotangent: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        return curvature_of(runner, cotangent, inputs, moved)

    return mapped_gradients(info, (in_dims[0], *dims), runner, cotangent, variables, gradient_of)


def dims_with_directions(
    in_dims: Sequence[int | None], arguments: Sequence[torch.Tensor | None], num_directions: int = 1
) -> list[int | None]:
    """Mapped dimensions of what `zeroed` makes: a direction that is None becomes zeros like its variable."""
    count = len(arguments) // (1 + num_directions)
    return [in_dims[i % count] if argument is None else in_dims[i] for i, argument in enumerate(arguments)]
