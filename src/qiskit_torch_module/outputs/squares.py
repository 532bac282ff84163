"""Squares of amplitudes, whose gradient is one product."""

from __future__ import annotations

from typing import Any

import torch

from .._core.plain import is_plain
from .._core.torch_internals import bare_apply


def squares(state: torch.Tensor) -> torch.Tensor:
    """|psi|^2 of every amplitude of states (B, 2^n).

    By PyTorch's own functions, which torch.func and the compiler want, the way back takes six passes over the state.
    """
    if torch.compiler.is_compiling() or not is_plain((state,)):
        return (state * state.conj()).real.contiguous()
    return _apply(state)


class _Squares(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, state: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(state)
        ctx.saved_for_forward = (state,)
        real, imaginary = state.real, state.imag
        return (real * real).addcmul_(imaginary, imaginary)  # without complex numbers in between

    @staticmethod
    def backward(ctx: Any, cotangent: torch.Tensor) -> torch.Tensor:
        (state,) = ctx.saved_tensors
        gradient: torch.Tensor = (2.0 * cotangent) * state
        return gradient

    @staticmethod
    def jvp(ctx: Any, tangent: torch.Tensor) -> torch.Tensor:
        (state,) = ctx.saved_tensors
        change: torch.Tensor = (2.0 * state.conj() * tangent).real.contiguous()
        return change


_apply = bare_apply(_Squares)
