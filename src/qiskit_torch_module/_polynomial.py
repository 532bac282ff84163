"""Angles as polynomials of the variables of a program (inputs first, then weights)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from qiskit.circuit import Parameter, ParameterExpression

MAX_DEGREE = 4


@dataclass(frozen=True)
class Polynomial:
    """A sum of ``coefficient * product of variables``.

    ``terms`` holds pairs (variable indices in ascending order, repeated for powers; coefficient); the empty tuple
    of variables is the constant.
    """

    terms: tuple[tuple[tuple[int, ...], float], ...] = ()

    @staticmethod
    def of(terms: Mapping[tuple[int, ...], float]) -> Polynomial:
        return Polynomial(tuple(sorted((v, c) for v, c in terms.items() if c != 0.0)))

    @staticmethod
    def constant(value: float) -> Polynomial:
        return Polynomial.of({(): float(value)})

    @staticmethod
    def variable(index: int) -> Polynomial:
        return Polynomial((((index,), 1.0),))

    def __add__(self, other: Polynomial) -> Polynomial:
        terms = dict(self.terms)
        for variables, coefficient in other.terms:
            terms[variables] = terms.get(variables, 0.0) + coefficient
        return Polynomial.of(terms)

    def __mul__(self, factor: float) -> Polynomial:
        return Polynomial.of({variables: factor * coefficient for variables, coefficient in self.terms})

    __rmul__ = __mul__

    def __neg__(self) -> Polynomial:
        return self * -1.0

    def times_variable(self, index: int) -> Polynomial:
        return Polynomial.of({tuple(sorted((*variables, index))): c for variables, c in self.terms})


def polynomial(angle: Any, variables: Mapping[Parameter, int], gate: str) -> Polynomial:
    """The angle of a gate, a number or a ``ParameterExpression``, as a polynomial of the variables.

    Raises:
        ValueError: the angle is not finite, not real, or no polynomial of degree at most ``MAX_DEGREE``.
    """
    if isinstance(angle, Parameter):
        return Polynomial.variable(variables[angle])
    if isinstance(angle, ParameterExpression) and angle.parameters:
        try:
            return _expand(angle, variables, MAX_DEGREE)
        except (ArithmeticError, TypeError, ValueError):
            raise ValueError(
                f"gate '{gate}': expected an angle that is a polynomial of its parameters (such as p, k*p + c or p*q) "
                f"of degree at most {MAX_DEGREE}, got {angle}; bind the expression to a parameter of its own and "
                "compute its value in PyTorch"
            ) from None
    return Polynomial.constant(_number(angle, gate))


def _number(angle: Any, gate: str) -> float:
    value = complex(angle)
    if value.imag != 0.0 or not np.isfinite(value.real):
        raise ValueError(f"gate '{gate}': expected a finite real angle, got {angle}")
    return value.real


def _expand(expression: Any, variables: Mapping[Parameter, int], degree: int) -> Polynomial:
    """Taylor expansion at zero in one parameter after the other, exact for polynomials."""
    if isinstance(expression, Parameter):
        return Polynomial.variable(variables[expression])
    if not isinstance(expression, ParameterExpression) or not expression.parameters:
        value = complex(expression)
        if value.imag != 0.0 or not np.isfinite(value.real):
            raise ValueError("not real")
        return Polynomial.constant(value.real)
    if degree == 0:
        raise ValueError("not a polynomial")
    parameter = min(expression.parameters, key=variables.__getitem__)
    # f(p) = f(0) + p * g(p), and g comes from the derivative: if f' = sum a_k p^k then p * g = sum a_k p^(k+1)/(k+1).
    slope = _expand(expression.gradient(parameter), variables, degree - 1)
    index = variables[parameter]
    integral = Polynomial.of({v: c / (v.count(index) + 1) for v, c in slope.terms}).times_variable(index)
    return integral + _expand(expression.bind({parameter: 0.0}), variables, degree)
