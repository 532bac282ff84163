"""The native engine as registered PyTorch operators, which ``torch.compile`` and ``torch.export`` take without a break.

Operators take tensors and numbers only, so that a program goes by its number in this process.
"""

from __future__ import annotations

from typing import Any

import torch

from . import _autograd
from ._program import numbered


@torch.library.custom_op("qiskit_torch_module::values", mutates_args=())
def values(
    inputs: torch.Tensor, weights: torch.Tensor, program: int, num_threads: int, num_threads_backward: int
) -> torch.Tensor:
    """Expectation values (B, M) of inputs (B, N) and weights (W,)."""
    return _autograd.native_values(numbered(program), num_threads, inputs, [weights])[0]


@values.register_fake
def _(
    inputs: torch.Tensor, weights: torch.Tensor, program: int, num_threads: int, num_threads_backward: int
) -> torch.Tensor:
    return inputs.new_empty(inputs.shape[0], numbered(program).num_observables)


@torch.library.custom_op("qiskit_torch_module::gradients", mutates_args=())
def gradients(
    cotangent: torch.Tensor, inputs: torch.Tensor, weights: torch.Tensor, program: int, num_threads: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradients of sum(cotangent * values) with respect to inputs and weights."""
    found = _autograd.native_gradients(numbered(program), num_threads, (True, True), cotangent, inputs, [weights])
    first, second = _autograd.chosen(found)
    return first, second


@gradients.register_fake
def _(
    cotangent: torch.Tensor, inputs: torch.Tensor, weights: torch.Tensor, program: int, num_threads: int
) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.empty_like(inputs), torch.empty_like(weights)


def _keep_for_values(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    ctx.save_for_backward(*inputs[:2])
    ctx.program, ctx.num_threads = inputs[2], inputs[4]


def _values_backward(ctx: Any, cotangent: torch.Tensor) -> tuple[Any, ...]:
    return (*gradients(cotangent, *ctx.saved_tensors, ctx.program, ctx.num_threads), None, None, None)


def _keep_for_gradients(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    ctx.save_for_backward(*inputs[:3])
    ctx.program = inputs[3]


def _gradients_backward(ctx: Any, *cotangents: torch.Tensor) -> tuple[Any, ...]:
    function = _autograd.gradient_function(numbered(ctx.program), (True, True))
    _, pull_back = _autograd.pulled_back(function, *ctx.saved_tensors)
    return (*pull_back(cotangents), None, None)


values.register_autograd(_values_backward, setup_context=_keep_for_values)
gradients.register_autograd(_gradients_backward, setup_context=_keep_for_gradients)
