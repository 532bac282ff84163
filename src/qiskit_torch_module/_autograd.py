"""The engine as a differentiable PyTorch function."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ._engine import Engine


@lru_cache(maxsize=256)
def _flags(wants: tuple[bool, ...], sizes: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """For inputs and sets of these sizes, whether each variable wants a gradient."""
    flags = np.repeat(wants, sizes)
    flags.setflags(write=False)
    return flags


def _flat(weights: Sequence[torch.Tensor], inputs: torch.Tensor) -> torch.Tensor:
    """All weights in one vector; an empty one of the dtype of the inputs where there are none."""
    if len(weights) == 1:
        return weights[0].detach()
    return torch.cat(tuple(weights)).detach() if weights else inputs.new_empty(0)


class _FirstOrderOnly(torch.autograd.Function):
    """Passes a gradient on, but refuses to differentiate it: silence would drop terms from a derivative."""

    @staticmethod
    def forward(ctx: Any, gradient: torch.Tensor, *depends_on: torch.Tensor) -> torch.Tensor:
        return gradient.view_as(gradient)

    @staticmethod
    def backward(ctx: Any, *cotangents: torch.Tensor) -> Any:
        raise NotImplementedError(
            "QuantumModule has no second derivatives yet: a gradient of it, taken with create_graph=True, cannot be "
            "differentiated again; detach it if it is to be a constant"
        )


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
        ctx.engine = engine
        ctx.num_threads = num_threads[1] or torch.get_num_threads()
        ctx.sizes = (inputs.shape[1], *map(len, weights))
        ctx.save_for_backward(inputs, *weights)
        values = engine.values(
            inputs.detach().numpy(), _flat(weights, inputs).numpy(), num_threads[0] or torch.get_num_threads()
        )
        return torch.from_numpy(values)

    @staticmethod
    def backward(ctx: Any, cotangent: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        inputs, *weights = ctx.saved_tensors
        wants = ctx.needs_input_grad[2:]
        input_gradient, weight_gradient = ctx.engine.vector_jacobian_product(
            inputs.detach().numpy(),
            _flat(weights, inputs).numpy(),
            cotangent.detach().contiguous().numpy(),
            _flags(wants, ctx.sizes),
            ctx.num_threads,
        )
        gradients: list[torch.Tensor | None] = [None] * (2 + len(ctx.sizes))
        if input_gradient is not None:
            gradients[2] = torch.from_numpy(input_gradient)
        if weight_gradient is not None:
            parts = torch.split(torch.from_numpy(weight_gradient), ctx.sizes[1:])
            gradients[3:] = [part if wants else None for part, wants in zip(parts, wants[1:], strict=True)]
        if torch.is_grad_enabled():  # create_graph=True
            gradients = [
                None if gradient is None else _FirstOrderOnly.apply(gradient, cotangent, inputs, *weights)  # type: ignore[no-untyped-call]
                for gradient in gradients
            ]
        return tuple(gradients)
