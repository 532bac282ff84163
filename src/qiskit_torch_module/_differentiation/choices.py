"""Choosing the wanted ones of several tensors, and filling the places of the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from .._simulation.method import Optional
from .._simulation.native import Tensors


def wanted(tensors: Sequence[Any], wants: Sequence[bool]) -> tuple[Any, ...]:
    """The wanted ones only."""
    return tuple(tensor for tensor, want in zip(tensors, wants, strict=True) if want)


def masked(tensors: Sequence[torch.Tensor | None], wants: Sequence[bool]) -> Optional:
    """None in place of what is not wanted."""
    return tuple(tensor if want else None for tensor, want in zip(tensors, wants, strict=True))


def placed(some: Sequence[torch.Tensor | None], wants: Sequence[bool]) -> Optional:
    """The wanted ones, which are all that is given, in their places; None elsewhere."""
    remaining = iter(some)
    return tuple(next(remaining) if want else None for want in wants)


def filled(given: Sequence[torch.Tensor | None], like: Sequence[torch.Tensor]) -> Tensors:
    """Zeros in place of None."""
    return tuple(torch.zeros_like(of) if tensor is None else tensor for tensor, of in zip(given, like, strict=True))


def halved(arguments: Sequence[Any]) -> tuple[Any, Any]:
    """Variables, and what belongs to each of them."""
    middle = len(arguments) // 2
    return tuple(arguments[:middle]), tuple(arguments[middle:])


def zeroed(arguments: Sequence[torch.Tensor | None], num_directions: int = 1) -> Tensors:
    """Variables, and so many directions of each of them, with zeros in place of None."""
    variables: Any = arguments[: len(arguments) // (1 + num_directions)]
    return filled(arguments, variables * (1 + num_directions))
