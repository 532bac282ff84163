"""Calls of the native engine with tensors, which it finds by their place in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from .._engine import Tape32, Tape64
from .._program.program import Program
from .columns import explained
from .planning import engine_of
from .threads import engine_threads

Tape = Tape32 | Tape64
Optional = Sequence[torch.Tensor | None]
Tensors = tuple[torch.Tensor, ...]


def native_values(
    program: Program, num_threads: int, inputs: torch.Tensor, weights: Sequence[torch.Tensor], recorded: bool = False
) -> tuple[torch.Tensor, Tape | None]:
    """Values (B, M) without a graph; if recorded, with the states on the way where gradients are faster with them.

    Raises:
        TypeError, ValueError, RuntimeError: a tensor is not on the CPU, has another dtype, or no memory.
    """
    engine, size, threads = engine_of(program), inputs.shape[0], engine_threads(num_threads)
    # Called where they are looked up: the compiler of PyTorch loses the object of a method that it cannot trace.
    try:
        if inputs.dtype is torch.float64:
            return engine.tensor_values_float64(inputs, size, weights, threads, recorded)
        return engine.tensor_values_float32(inputs, size, weights, threads, recorded)
    except ValueError as error:
        raise _explained(program, error, inputs, weights) from None


def native_gradients(
    program: Program,
    num_threads: int,
    wants: Sequence[bool],
    cotangent: torch.Tensor,
    inputs: torch.Tensor,
    weights: Sequence[torch.Tensor],
    tape: Any = None,
) -> Optional:
    """Gradients with respect to the inputs and each set, without a graph; None where not wanted.

    Raises:
        TypeError, ValueError, RuntimeError: as `native_values`.
    """
    engine, size, threads = engine_of(program), inputs.shape[0], engine_threads(num_threads)
    try:
        if inputs.dtype is torch.float64:
            return engine.tensor_gradients_float64(inputs, size, weights, cotangent, wants, threads, tape)
        return engine.tensor_gradients_float32(inputs, size, weights, cotangent, wants, threads, tape)
    except ValueError as error:
        raise _explained(program, error, inputs, weights) from None


def _explained(
    program: Program, error: ValueError, inputs: torch.Tensor, weights: Sequence[torch.Tensor]
) -> ValueError:
    if not inputs.is_cpu or inputs.layout is not torch.strided or inputs.ndim != 2:
        return error
    return explained(program.evolution, error, inputs, joined(weights, inputs))


def joined(weights: Sequence[torch.Tensor], inputs: torch.Tensor) -> torch.Tensor:
    """All weights in one vector; an empty one of the dtype of the inputs where there are none."""
    if len(weights) == 1:
        return weights[0]
    return torch.cat(tuple(weights)) if weights else inputs.new_empty(0)


def chosen(found: Optional) -> Tensors:
    """The wanted gradients."""
    return tuple(gradient for gradient in found if gradient is not None)
