"""Where an expression is defined: points that lie outside of its domain are walked into it.

A logarithm of what is negative, an arcsine of what is beyond 1: Newton's method moves the argument to where the
function is defined, and goes on with the next one that fails. So a domain is found however small it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch

from .expressions import Expression, evaluate, first_undefined, operands_of, part_of, variables_in

# What the first operand is moved to where an operation fails: all are defined there, but not singular.
_HOME = {"asin": (0.29, -0.43), "acos": (0.29, -0.43), "log": (1.37, 0.71), "exp": (0.61, -0.37), "pow": (1.37, 0.71)}
_MOST_STEPS = 60


def points_within(expression: Expression, starts: Sequence[Sequence[float]]) -> Iterator[tuple[float, ...]]:
    """Points of the domain, reached from others; those from which none is reached are left out."""
    for index, start in enumerate(starts):
        point = _walked(expression, list(start), index % 2)
        if point is not None:
            yield tuple(point)


def _walked(expression: Expression, at: list[float], choice: int) -> list[float] | None:
    for _ in range(_MOST_STEPS):
        place = first_undefined(expression, at)
        if place is None:
            return at
        node = expression[place]
        if not isinstance(node, tuple) or node[0] not in _HOME:
            return None
        value, slopes = value_and_slopes(part_of(expression, operands_of(node)[0]), at)
        steepness = sum(slope * slope for slope in slopes)
        if not 0.0 < steepness < math.inf:
            return None
        step = (_HOME[node[0]][choice] - value) / steepness
        at = [coordinate + step * slope for coordinate, slope in zip(at, slopes, strict=True)]
    return None


def value_and_slopes(expression: Expression, at: Sequence[float]) -> tuple[float, list[float]]:
    """Value at a point, and the derivatives with respect to all variables, as PyTorch finds them."""
    variables = [torch.tensor(coordinate, dtype=torch.float64, requires_grad=True) for coordinate in at]
    with torch.enable_grad():
        value = evaluate(expression, variables)
    if not value.requires_grad:
        return float(value), [0.0] * len(at)
    used = sorted(set(variables_in(expression)))
    gradients = torch.autograd.grad(value, [variables[i] for i in used], allow_unused=True)
    by_variable = dict(zip(used, gradients, strict=True))
    slopes = [by_variable.get(i) for i in range(len(at))]
    return value.item(), [0.0 if slope is None else float(slope) for slope in slopes]
