"""Second derivatives along two directions from the engine's, which go along one."""

from __future__ import annotations

import torch

from .._simulation.method import Optional, Runner
from .._simulation.native import Tensors

# Directions this close, in units of the last place, are taken to be parallel.
_ULPS = 4.0


def twice(
    runner: Runner,
    num_threads: int,
    wants: tuple[bool, ...],
    cotangent: torch.Tensor,
    variables: Tensors,
    directions: tuple[Optional, Optional],
) -> tuple[torch.Tensor | None, Optional]:
    """Values, and gradients of sum(cotangent * values), along both directions.

    Along one direction twice, they are twice the second power of a series. Where one direction is a multiple of the
    other for each sample, as in ``f''(x)``, that factor goes into the cotangent; otherwise, with w = u + v and u - v,
    the second derivatives along u and v are the difference of those along w, divided by four. Directions are
    scaled to the same size first, for each sample if only inputs move.

    Args:
        runner: The runner that computes.
        num_threads: Maximal number of threads.
        wants: What is wanted: the values, the gradients with respect to the inputs and to each set.
        cotangent: Of the values.
        variables: Inputs and sets.
        directions: Two directions of the variables; None: zero.
    """
    first, second = directions
    if not any(wants) or not _moves(first) or not _moves(second):
        return None, (None,) * len(variables)
    first, second, scale = _scaled(first, second)
    factor = _row_factor(first, second)
    if factor is not None:
        scale = scale * factor
        values, gradients = _square(runner, num_threads, wants, _by_rows(cotangent, scale), variables, first)
        return None if values is None else _by_rows(values, scale), gradients
    squares = []
    for sign in (1.0, -1.0):
        combined = [_plus(u, v, sign) for u, v in zip(first, second, strict=True)]
        values, gradients = _square(runner, num_threads, wants, _by_rows(cotangent, scale), variables, combined)
        squares.append((values, *gradients))
    values, *gradients = (
        None if plus is None or minus is None else (plus - minus) / 4.0 for plus, minus in zip(*squares, strict=True)
    )
    return None if values is None else _by_rows(values, scale), tuple(gradients)


def _scaled(first: Optional, second: Optional) -> tuple[Optional, Optional, torch.Tensor]:
    """Directions scaled to a largest entry of 1, and the product of the two scales: (B,), or one number.

    Of each sample by itself where only inputs move, so that small ones do not drown in large ones.
    """
    scales, scaled = [], []
    by_rows = not any(_moves(direction[1:]) for direction in (first, second))
    for direction in (first, second):
        sizes = [part.abs() for part in direction[: 1 if by_rows else None] if part is not None]
        largest = sizes[0].amax(1) if by_rows else torch.stack([size.amax() for size in sizes if size.numel()]).amax()
        scale = torch.where(largest == 0, torch.ones_like(largest), largest)
        scales.append(scale)
        scaled.append([None if part is None else part / (scale[:, None] if by_rows else scale) for part in direction])
    if by_rows:  # the weights do not move
        scaled = [[parts[0], *(None for _ in parts[1:])] for parts in scaled]
    return scaled[0], scaled[1], scales[0] * scales[1]


def _by_rows(values: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """Values (B, ...) times factors (B,), or one number."""
    return values * (factor.reshape(-1, *(1 for _ in values.shape[1:])) if factor.ndim else factor)


def _square(
    runner: Runner,
    num_threads: int,
    wants: tuple[bool, ...],
    cotangent: torch.Tensor,
    variables: Tensors,
    direction: Optional,
) -> tuple[torch.Tensor | None, Optional]:
    """Second derivatives of values and gradients along one direction."""
    inputs, *weights = variables
    along, *of_weights = direction
    still = [None] * len(weights)
    curve = (inputs, along, None), (weights, of_weights, still)
    values = 2.0 * runner.values_along(*curve, num_threads)[2] if wants[0] else None
    gradients: Optional = (None,) * len(variables)
    if any(wants[1:]):
        powers = runner.pull_back_along((cotangent, None, None), *curve, wants[1:], num_threads)
        gradients = tuple(None if gradient is None else 2.0 * gradient for gradient in powers[2])
    return values, gradients


def _moves(direction: Optional) -> bool:
    return any(part is not None and bool(part.any()) for part in direction)


def _plus(first: torch.Tensor | None, second: torch.Tensor | None, sign: float) -> torch.Tensor | None:
    if second is None:
        return first
    return second * sign if first is None else first + second * sign


def _row_factor(first: Optional, second: Optional) -> torch.Tensor | None:
    """Factors (B,) that take the first direction to the second, if only inputs move and there are such factors."""
    if first[0] is None or second[0] is None or _moves(first[1:]) or _moves(second[1:]):
        return None
    square = first[0].square().sum(1)
    factor = torch.where(square > 0, (first[0] * second[0]).sum(1) / torch.where(square > 0, square, 1.0), 0.0)
    rest = (second[0] - factor[:, None] * first[0]).abs()
    return factor if bool((rest <= _ULPS * torch.finfo(factor.dtype).eps).all()) else None
