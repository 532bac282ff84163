"""The engine as a differentiable PyTorch function."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from ._engine import Engine


def _flags(wanted: bool, size: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return np.full(size, wanted)


def _flat(weights: tuple[torch.Tensor, ...]) -> torch.Tensor:
    return (weights[0] if len(weights) == 1 else torch.cat(weights)).detach()


class ExpectationValues(torch.autograd.Function):
    """Expectation values (batch, observables) of inputs (batch, inputs) and sets of weights.

    The backward pass makes one adjoint state for all observables and sweeps back once (Meyer et al.,
    arXiv:2404.06314; Jones and Gacon, arXiv:2009.02823).
    """

    @staticmethod
    def forward(
        ctx: Any,
        engine: Engine,
        num_threads: tuple[int, int],
        inputs: torch.Tensor,
        *weights: torch.Tensor,
    ) -> torch.Tensor:
        flat = _flat(weights) if weights else inputs.new_empty(0)
        ctx.engine = engine
        ctx.num_threads = num_threads[1] or torch.get_num_threads()
        ctx.sizes = [len(one) for one in weights]
        ctx.save_for_backward(inputs, flat)
        values = engine.values(inputs.detach().numpy(), flat.numpy(), num_threads[0] or torch.get_num_threads())
        return torch.from_numpy(values)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, cotangent: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        inputs, weights = ctx.saved_tensors
        wants_inputs, *wants_sets = ctx.needs_input_grad[2:]
        wanted = np.concatenate([_flags(wants_inputs, inputs.shape[1]), *map(_flags, wants_sets, ctx.sizes)])
        input_gradient, weight_gradient = ctx.engine.vector_jacobian_product(
            inputs.detach().numpy(), weights.numpy(), cotangent.contiguous().numpy(), wanted, ctx.num_threads
        )
        gradients: list[torch.Tensor | None] = [None] * (3 + len(ctx.sizes))
        if input_gradient is not None:
            gradients[2] = torch.from_numpy(input_gradient)
        if weight_gradient is not None:
            parts = torch.split(torch.from_numpy(weight_gradient), ctx.sizes)
            gradients[3:] = [part if wants else None for part, wants in zip(parts, wants_sets, strict=True)]
        return tuple(gradients)
