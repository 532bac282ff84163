"""What the transforms of ``torch.func`` do around a call."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from .torch_internals import is_wrapped, num_transforms, transforms_active


def is_forward_twice(tensors: Sequence[torch.Tensor]) -> bool:
    """Whether forward-mode derivatives are taken of forward-mode derivatives of tensors: ``jacfwd(jacfwd(f))``.

    PyTorch then silently treats the inner derivatives of Python functions as constants.
    """
    if not transforms_active() or not any(map(is_wrapped, tensors)):
        return False
    return num_transforms("Jvp") > 1


def is_pushed_forward() -> bool:
    """Whether a transform of torch.func takes forward-mode derivatives."""
    return num_transforms("Jvp") > 0


def is_differentiated() -> bool:
    """Whether a transform of torch.func differentiates."""
    return num_transforms("Grad", "Jvp") > 0


def is_functionalized() -> bool:
    """Whether ``torch.func.functionalize`` is among the transforms."""
    return num_transforms("Functionalize") > 0


def leading(tensor: torch.Tensor, dim: int | None, size: int) -> torch.Tensor:
    """The dimension that ``vmap`` maps in front, or the tensor repeated along it."""
    return tensor.expand(size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
