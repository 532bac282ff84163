"""Gradients of several cotangents at once, as ``torch.func.jacrev`` and ``vmap`` of a pull-back ask for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from .._simulation.native import NativeRunner, Tensors, chosen
from .derivatives import pulled_back


class SeveralGradients(torch.autograd.Function):
    """Gradients of sum(cotangent * values) for V cotangents (V, B, M) of the same values: (V, B, N) and (V, W_i)."""

    @staticmethod
    def forward(
        ctx: Any,
        runner: NativeRunner,
        num_threads: int,
        wants: tuple[bool, ...],
        cotangents: torch.Tensor,
        *variables: torch.Tensor,
    ) -> Tensors:
        ctx.runner, ctx.num_threads, ctx.wants = runner, num_threads, wants
        ctx.save_for_backward(cotangents, *variables)
        inputs, *weights = variables
        return chosen(runner.pull_backs(cotangents, inputs, weights, wants, num_threads))

    @staticmethod
    def backward(ctx: Any, *cotangents: torch.Tensor) -> tuple[Any, ...]:
        from .gradients import differentiable_gradients

        def gradients_of(cotangent: torch.Tensor, *variables: torch.Tensor) -> Tensors:
            return differentiable_gradients(ctx.runner, ctx.num_threads, ctx.wants, cotangent, *variables)

        in_dims = (0, *(None for _ in ctx.saved_tensors[1:]))
        _, pull_back = pulled_back(torch.func.vmap(gradients_of, in_dims), *ctx.saved_tensors)
        return (None, None, None, *pull_back(cotangents))


several_gradients: Callable[..., Tensors] = SeveralGradients.apply
