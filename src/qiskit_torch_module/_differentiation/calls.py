"""Calls of runners without a graph: by pointer where tensors are plain, by the operators where they are not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from .._core.plain import is_plain
from .._simulation.method import Optional, Runner
from .._simulation.native import Tensors, chosen, joined
from . import operators
from .choices import filled, masked, wanted


def gradients(
    runner: Runner,
    num_threads: int,
    wants: Sequence[bool],
    cotangent: torch.Tensor,
    inputs: torch.Tensor,
    weights: Sequence[torch.Tensor],
    tape: Any = None,
) -> Optional:
    """Gradients with respect to inputs and sets; None where not wanted."""
    if is_plain((cotangent, inputs, *weights)):
        return runner.pull_back(cotangent, inputs, weights, wants, num_threads, tape)
    text = operators.text_for(runner)
    first, second = operators.gradients(cotangent, inputs, joined(weights, inputs), text, num_threads)
    return masked((first, *_split(second, weights)), wants)


def values_along(runner: Runner, num_threads: int, variables: Tensors, directions: Optional) -> torch.Tensor:
    """Derivative of the values along directions of inputs and sets."""
    inputs, *weights = variables
    if are_plain((*variables, *directions)):
        return runner.values_along((inputs, directions[0]), (weights, directions[1:]), num_threads)[1]
    shape = (len(inputs), *runner.program.shape)
    cotangent = inputs.new_zeros(shape, dtype=operators.value_dtype(runner.program, inputs.dtype))
    return _curvature(runner, num_threads, cotangent, variables, directions)[0]


def gradients_along(
    runner: Runner,
    num_threads: int,
    wants: Sequence[bool],
    cotangent: torch.Tensor,
    variables: Tensors,
    directions: Optional,
) -> Tensors:
    """Derivative of the wanted gradients along directions of inputs and sets."""
    inputs, *weights = variables
    if are_plain((cotangent, *variables, *directions)):
        curve = (inputs, directions[0]), (weights, directions[1:])
        return chosen(runner.pull_back_along((cotangent, None), *curve, wants, num_threads)[1])
    return wanted(_curvature(runner, num_threads, cotangent, variables, directions)[1:], wants)


def are_plain(tensors: Sequence[torch.Tensor | None]) -> bool:
    """As `is_plain`, for those that are not None."""
    return is_plain([tensor for tensor in tensors if tensor is not None])


def _curvature(
    runner: Runner, num_threads: int, cotangent: torch.Tensor, variables: Tensors, directions: Optional
) -> Tensors:
    """Values, and gradients with respect to inputs and each set, along directions."""
    inputs, *weights = variables
    first, *rest = filled(directions, variables)
    along = first, joined(rest, inputs)
    text = operators.text_for(runner)
    curvature = operators.curvature(cotangent, inputs, joined(weights, inputs), *along, text, num_threads)
    return (*curvature[:2], *_split(curvature[2], weights))


def _split(joint: torch.Tensor, weights: Sequence[torch.Tensor]) -> Tensors:
    return torch.split(joint, [len(vector) for vector in weights])
