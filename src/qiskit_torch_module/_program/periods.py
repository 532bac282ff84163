"""By how much a variable may change without effect, where it is an angle: what single precision need not round."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch

from .._reading.polynomials import Polynomial

# Half of it turns a rotation by exactly 1. A variable that enters by other halves of its coefficient, too, has a longer
# period.
_PERIOD = 4 * math.pi
_MOST_HALVINGS = 3
# From here on, double precision has too few digits itself: the engine says so of what it gets.
_MOST = 2.0**32


def periods(candidates: Iterable[int], angles: Iterable[Polynomial]) -> dict[int, float]:
    """The period of each variable of which all angles are linear, by one coefficient times multiples of 1/8.

    Args:
        candidates: Numbers of variables.
        angles: All angles that variables enter; rotations are exp(-i angle/2 P).
    """
    coefficients: dict[int, list[float]] = {variable: [] for variable in candidates}
    for angle in angles:
        for variables, coefficient in angle.terms:
            for variable in set(variables) & coefficients.keys():
                if len(variables) == 1:
                    coefficients[variable].append(coefficient)
                else:
                    del coefficients[variable]
    by_variable = {variable: _period(several) for variable, several in coefficients.items() if several}
    return {variable: period for variable, period in by_variable.items() if period is not None}


def _period(coefficients: Sequence[float]) -> float | None:
    first = coefficients[0]
    for count in range(_MOST_HALVINGS + 1):
        if all((coefficient / first * 2.0**count).is_integer() for coefficient in coefficients):
            return _PERIOD * 2.0**count / abs(first)
    return None


def rounded(value: torch.Tensor, period: float | None, dtype: torch.dtype) -> torch.Tensor:
    """A value in `dtype`, up to whole periods, which are taken off before it is rounded; differentiable."""
    if period is None or value.dtype is dtype:
        return value.to(dtype)
    turns = torch.round(value / period).detach()
    return torch.where(value.abs() < _MOST, value - turns * period, value).to(dtype)
