"""Derivatives beyond the engine's, from the same circuit in plain PyTorch; and batches of weights side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from .._core.transforms import leading
from .._simulation.method import Runner
from .._simulation.native import Tensors, joined


def pulled_back(function: Callable[..., Any], *at: torch.Tensor) -> tuple[Any, Callable[..., Tensors]]:
    """Values of a function, and what turns cotangents of them into gradients."""
    outputs, pull_back, *_ = torch.func.vjp(function, *at)
    return outputs, pull_back


def filled(given: Sequence[torch.Tensor | None], like: Sequence[torch.Tensor]) -> Tensors:
    """With zeros in place of None."""
    return tuple(torch.zeros_like(of) if one is None else one for one, of in zip(given, like, strict=True))


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
        return tuple(one for one, want in zip(pull_back((cotangent,)), wants, strict=True) if want)

    return gradients


def pushed_function(runner: Runner) -> Callable[..., Tensors]:
    """Values along directions, of variables and directions, as a tuple of one."""

    def pushed(*arguments: torch.Tensor) -> Tensors:
        middle = len(arguments) // 2
        return pushed_forward(values_function(runner), arguments[:middle], arguments[middle:])

    return pushed


def curvature_function(runner: Runner, wants: tuple[bool, ...]) -> Callable[..., Tensors]:
    """Wanted gradients along directions, of a cotangent, variables and directions."""

    def curvature(cotangent: torch.Tensor, *arguments: torch.Tensor) -> Tensors:
        middle = len(arguments) // 2
        slope = _slope(_contracted(runner, cotangent), arguments[middle:])
        return _gradients(slope, (False, *wants), cotangent, *arguments[:middle])

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
        return torch.stack([(one * along).sum() for one, along in zip(gradients, direction, strict=True)]).sum()

    return slope


def _gradients(function: _Real, wants: Sequence[bool], *at: torch.Tensor) -> Tensors:
    _, pull_back = pulled_back(function, *at)
    gradients = pull_back(at[0].new_ones((), dtype=at[1].dtype))
    return tuple(one for one, want in zip(gradients, wants, strict=True) if want)


def pushed_forward(function: Callable[..., Tensors], at: Sequence[torch.Tensor], tangents: Sequence[Any]) -> Tensors:
    """Forward-mode derivative from two reverse ones: the pull-back is linear, and its transpose pushes forward."""
    outputs, pull_back = pulled_back(function, *at)
    _, push_forward = pulled_back(lambda *cotangents: pull_back(cotangents), *map(torch.zeros_like, outputs))
    pushed: Tensors = push_forward(filled(tangents, at))
    return pushed


def unshared(info: Any, in_dims: Sequence[int | None], variables: Sequence[torch.Tensor]) -> torch.Tensor:
    """Inputs and weights side by side for every sample of every element that is mapped: rows (V * B, N + W)."""
    inputs, *weights = (leading(one, dim, info.batch_size) for one, dim in zip(variables, in_dims, strict=True))
    columns = [inputs, *(one[:, None, :].expand(-1, inputs.shape[1], -1) for one in weights)]
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
    values = values_of(runner, flat, *sets)
    return values.reshape(info.batch_size, -1, *values.shape[1:]), 0


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
        info: What ``vmap`` tells.
        in_dims: Mapped dimensions of cotangent, inputs and sets.
        runner: Who computes.
        cotangent: Of the values.
        variables: Inputs and sets.
        gradient_of: Gradient with respect to the inputs, by a runner of a program that has no weights.
    """
    flat = unshared(info, in_dims[1:], variables)
    cotangents = leading(cotangent, in_dims[0], info.batch_size).flatten(0, 1).contiguous()
    sizes = [leading(one, dim, info.batch_size).shape[-1] for one, dim in zip(variables, in_dims[1:], strict=True)]
    gradient = gradient_of(runner.unshared, cotangents, flat)
    first, *rest = torch.split(gradient.reshape(info.batch_size, -1, gradient.shape[1]), sizes, dim=-1)
    return [first, *(part.sum(1) for part in rest)]


def mapped_pushed(
    info: Any,
    in_dims: Sequence[int | None],
    runner: Runner,
    arguments: Sequence[torch.Tensor | None],
    along: Callable[..., torch.Tensor],
) -> tuple[torch.Tensor, int]:
    """Values along mapped directions from one call ``along(runner, variables, directions)``."""
    variables, directions = _with_directions(in_dims, arguments)
    of_sets = [
        dim
        for (_, dim), (one, along_dim) in zip(variables[1:], directions[1:], strict=True)
        for dim in (dim, along_dim if one is not None else None)
    ]
    if all(dim is None for dim in of_sets):
        rows = [_flat(info, *one) for one in (variables[0], directions[0])]
        at = (rows[0], *(one for one, _ in variables[1:]))
        values = along(runner, at, (rows[1], *(one for one, _ in directions[1:])))
    else:
        flat, moved = (_columns(info, part, variables) for part in (variables, directions))
        values = along(runner.unshared, (flat,), (moved,))
    return values.reshape(info.batch_size, -1, *values.shape[1:]), 0


def mapped_curvature(
    info: Any,
    in_dims: Sequence[int | None],
    runner: Runner,
    cotangent: torch.Tensor,
    arguments: Sequence[torch.Tensor | None],
    curvature_of: Callable[..., torch.Tensor],
) -> list[torch.Tensor]:
    """As `mapped_gradients`, along directions, from one call ``curvature_of(runner, cotangent, inputs, direction)``."""
    variables, directions = _with_directions(in_dims[1:], arguments)
    moved = _columns(info, directions, variables)

    def gradient_of(runner: Runner, cotangent: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        return curvature_of(runner, cotangent, inputs, moved)

    dims = [in_dims[0], *(dim for _, dim in variables)]
    return mapped_gradients(info, dims, runner, cotangent, [one for one, _ in variables], gradient_of)


_Mapped = tuple[torch.Tensor, int | None]


def _with_directions(
    in_dims: Sequence[int | None], arguments: Sequence[torch.Tensor | None]
) -> tuple[list[Any], list[Any]]:
    """Variables and directions, each with the dimension that is mapped."""
    pairs = list(zip(arguments, in_dims, strict=True))
    middle = len(pairs) // 2
    return pairs[:middle], pairs[middle:]


def _flat(info: Any, one: torch.Tensor | None, dim: int | None) -> torch.Tensor | None:
    return None if one is None else leading(one, dim, info.batch_size).flatten(0, 1).contiguous()


def _columns(info: Any, part: Sequence[Any], variables: Sequence[_Mapped]) -> torch.Tensor:
    """As `unshared`; zeros in place of directions that are None."""
    filled = [of if one[0] is None else one for one, of in zip(part, variables, strict=True)]
    tensors = [
        torch.zeros_like(tensor) if one[0] is None else tensor for one, (tensor, _) in zip(part, filled, strict=True)
    ]
    return unshared(info, [dim for _, dim in filled], tensors)
