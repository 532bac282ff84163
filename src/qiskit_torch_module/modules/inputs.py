"""Inputs of every kind as tensors, and the dtypes in which a module computes and returns its results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from .._core.arguments import tensor_of

_NATIVE_DTYPES = (torch.float32, torch.float64)
_HALF_DTYPES = (torch.float16, torch.bfloat16)


def is_ready(input: Any, width: int, own: Sequence[torch.Tensor]) -> bool:
    """Whether an input can be computed with as it is: a dense tensor of the right width and of the module's dtype."""
    if not isinstance(input, torch.Tensor) or input.layout is not torch.strided or input.is_nested:
        return False
    shape, dtype = input.shape, input.dtype
    if not shape or shape[-1] != width:
        return False
    for tensor in own:  # a generator takes longer
        if tensor.dtype is not dtype:
            return False
    return dtype in _NATIVE_DTYPES


def prepared(input: Any, width: int, own: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.dtype]:
    """An input of the dtype to compute in, and the dtype of the result.

    The result has the dtype to which ``torch.promote_types`` takes the module's tensors and, where it is a tensor of
    floating-point numbers, the input; halves are computed in float32.

    Args:
        input: A tensor, an array, numbers or sequences of these; None: no numbers.
        width: Number of columns.
        own: The module's tensors, which decide on dtype and device.

    Raises:
        TypeError: the input is not dense, or a dtype is none of float16, bfloat16, float32 and float64.
        ValueError: the input has the wrong width.
    """
    if input is None and width > 0:
        raise ValueError(f"input: expected shape (..., {width}), got None; the circuit has encoding parameters")
    result = _promoted([tensor.dtype for tensor in own], "parameters")
    has_dtype = isinstance(input, torch.Tensor)
    if input is None:
        input = torch.empty(0, dtype=_computed(result), device=own[0].device)
    elif not has_dtype:
        input = tensor_of(input, _computed(result), own[0].device)
    _require_dense(input)
    if input.ndim == 0 or input.shape[-1] != width:
        if width == 0:
            raise ValueError(
                f"input: expected none, as the circuit has no encoding parameters, got shape {tuple(input.shape)}; "
                "call the module without an argument"
            )
        remedy = "; use .unsqueeze(-1)" if width == 1 else ""
        raise ValueError(
            f"input: expected shape (..., {width}), one column for each encoding parameter, got "
            f"{tuple(input.shape)}{remedy}"
        )
    if has_dtype and (input.is_floating_point() or input.is_complex()):
        result = _promoted([result, input.dtype], "input")
    return input.to(_computed(result)), result


def require_sizes(weights: Sequence[torch.Tensor], names: Sequence[str], sets: Sequence[Sequence[Any]]) -> None:
    """Checks that sets of weights have a number for each of their parameters.

    Raises:
        ValueError: one has not; the message names it.
    """
    for vector, name, parameters in zip(weights, names, sets, strict=True):
        if vector.numel() != len(parameters):
            raise ValueError(
                f"{name}: expected shape ({len(parameters)},), a number for each parameter of the set, got "
                f"{tuple(vector.shape)}"
            )


def require_numbers(input: torch.Tensor, weights: Sequence[torch.Tensor]) -> None:
    """Checks that input and weights are on the meta device together, or none of them.

    Raises:
        TypeError: one side has no numbers.
    """
    for vector in weights:
        if vector.is_meta is input.is_meta:
            continue
        if input.is_meta:
            raise TypeError(
                f"input: expected a tensor on {vector.device}, as the weights are, got one on device meta, which has "
                "no numbers; move it where they are, or the model by .to('meta') to look at shapes alone"
            )
        raise TypeError(
            f"weights: expected tensors on {input.device}, as the input is, got one on device meta, which has no "
            "numbers; move the model by .to_empty(device='cpu'), and load its weights or call .reset_parameters()"
        )


def one_of(input: Any, input_tensor: Any) -> Any:
    """The input, under its present name or that of version 1.0.

    Raises:
        TypeError: both are given.
    """
    if input is not None and input_tensor is not None:
        raise TypeError(
            "input: expected one input, got two (the second argument, input_tensor, is its older name); leave one of "
            "them out"
        )
    return input if input_tensor is None else input_tensor


def _require_dense(input: torch.Tensor) -> None:
    if input.is_nested:
        raise TypeError("input: expected a dense tensor, got a nested one; use .to_padded_tensor(0.0)")
    if input.is_quantized:
        raise TypeError(f"input: expected a dense tensor, got a quantized one, {input.dtype}; use .dequantize()")
    if input.layout is not torch.strided:
        raise TypeError(f"input: expected a dense tensor, got layout {input.layout}; use .to_dense()")


def _promoted(dtypes: Sequence[torch.dtype], argument: str) -> torch.dtype:
    result = dtypes[0]
    for dtype in dtypes:
        if dtype not in _NATIVE_DTYPES and dtype not in _HALF_DTYPES:
            remedy = "give real and imaginary parts as columns" if dtype.is_complex else "use .float() or .double()"
            raise TypeError(
                f"{argument}: expected float32 or float64, or float16 or bfloat16, which are computed in float32, got "
                f"{dtype}; {remedy}"
            )
        result = torch.promote_types(result, dtype)
    return result


def _computed(result: torch.dtype) -> torch.dtype:
    return torch.promote_types(result, torch.float32)
