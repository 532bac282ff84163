"""Random directions of parameters, and finite differences of a loss along them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from .._core.arguments import finite_number
from .models import Closure, loss_of

Tensors = Sequence[torch.Tensor]

# Half of the digits of a double: the least from which second differences are more than rounding.
_LEAST = 1e-8


def perturbation_of(value: Any) -> float:
    """How far from parameters losses are computed.

    Raises:
        TypeError: not a number.
        ValueError: not finite, not positive, or so small that differences are rounding.
    """
    width = finite_number(value, "perturbation", 0.0)
    if width < _LEAST:
        raise ValueError(
            f"perturbation: expected at least {_LEAST:g}, got {value:g}: differences of losses so near to each other "
            "are rounding; 0.01 is usual"
        )
    return width


def signs(parameters: Tensors, generator: torch.Generator | None) -> list[torch.Tensor]:
    """Directions whose entries are 1 or -1 at random."""
    return [
        (2 * torch.randint(0, 2, one.shape, generator=generator) - 1).to(device=one.device, dtype=one.dtype)
        for one in parameters
    ]


class Place:
    """Where parameters are, so that a loss may be computed elsewhere and they come back, bit by bit.

    Args:
        parameters: Changed in place.
    """

    def __init__(self, parameters: Tensors) -> None:
        self.parameters = parameters
        self._origin = [one.detach().clone() for one in parameters]

    def loss(self, closure: Closure, moves: Tensors) -> torch.Tensor:
        """The loss at so far from here; parameters are here again after it, whatever happens."""
        with torch.no_grad():
            for one, origin, move in zip(self.parameters, self._origin, moves, strict=True):
                one.copy_(origin + move)
        try:
            return loss_of(closure)
        finally:
            with torch.no_grad():
                for one, origin in zip(self.parameters, self._origin, strict=True):
                    one.copy_(origin)

    def difference(self, closure: Closure, moves: Tensors) -> tuple[torch.Tensor, torch.Tensor]:
        """(L(+) - L(-)) / 2 and (L(+) + L(-)) / 2, in double precision where the device has it."""
        plus = self.loss(closure, moves)
        minus = self.loss(closure, [-move for move in moves])
        if plus.device.type != "mps":
            plus, minus = plus.double(), minus.double()
        return (plus - minus) / 2, (plus + minus) / 2
