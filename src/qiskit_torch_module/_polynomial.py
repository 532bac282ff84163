"""Angles as polynomials of the variables of a program (inputs first, then weights)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from qiskit.circuit import Parameter, ParameterExpression

from ._expressions import Derived, Expression, expression_tree, real_number

# What the engine computes by itself.
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

    @staticmethod
    def sum(polynomials: Iterable[Polynomial]) -> Polynomial:
        terms: dict[tuple[int, ...], float] = {}
        for polynomial in polynomials:
            for variables, coefficient in polynomial.terms:
                terms[variables] = terms.get(variables, 0.0) + coefficient
        return Polynomial.of(terms)

    def __add__(self, other: Polynomial) -> Polynomial:
        return Polynomial.sum((self, other))

    def __mul__(self, factor: float) -> Polynomial:
        if factor == 1.0:
            return self
        return Polynomial.of({variables: factor * coefficient for variables, coefficient in self.terms})

    __rmul__ = __mul__

    def __neg__(self) -> Polynomial:
        return self * -1.0

    def times(self, other: Polynomial) -> Polynomial:
        terms: dict[tuple[int, ...], float] = {}
        for first, a in self.terms:
            for second, b in other.terms:
                variables = tuple(sorted(first + second))
                terms[variables] = terms.get(variables, 0.0) + a * b
        return Polynomial.of(terms)

    def power(self, exponent: int) -> Polynomial:
        result = Polynomial.constant(1.0)
        for _ in range(exponent):
            result = result.times(self)
        return result

    @property
    def degree(self) -> int:
        return max((len(variables) for variables, _ in self.terms), default=0)

    @property
    def constant_value(self) -> float:
        return dict(self.terms).get((), 0.0)

    def gradient(self, variables: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Derivative with respect to each of V variables, for values of shape (B, V); shape (B, V)."""
        slopes = np.zeros_like(variables)
        for factors, coefficient in self.terms:
            for position, index in enumerate(factors):
                others = [i for other, i in enumerate(factors) if other != position]
                slopes[:, index] += coefficient * np.prod(variables[:, others], axis=1)
        return slopes

    def relabelled(self, new_index: Sequence[int]) -> Polynomial:
        """The same polynomial after variable i has become variable ``new_index[i]``."""
        return Polynomial.of({tuple(sorted(new_index[i] for i in variables)): c for variables, c in self.terms})


class Angles:
    """Reads the angles of a circuit: polynomials of its variables, and of *derived* ones where it takes more.

    A sine or a quotient within an expression becomes a variable of its own, computed from the others once for each
    sample before the engine starts.

    Args:
        variables: Index of every parameter of the circuit.

    Attributes:
        derived: The derived variables, numbered on after those of the circuit.
    """

    def __init__(self, variables: Mapping[Parameter, int]) -> None:
        self._variables = variables
        self.derived: list[Derived] = []
        self._index: dict[Expression, int] = {}

    def polynomial(self, angle: Any, gate: str) -> Polynomial:
        """The angle of a gate, a number or a ``ParameterExpression``.

        Raises:
            ValueError: the angle is not finite or not real.
        """
        if isinstance(angle, Parameter) and angle in self._variables:
            return Polynomial.variable(self._variables[angle])
        free = angle.parameters if isinstance(angle, ParameterExpression) else ()
        hidden = [parameter.name for parameter in free if parameter not in self._variables]
        if hidden:
            raise ValueError(
                f"gate '{gate}': parameter '{hidden[0]}' is not among circuit.parameters, because the gate that holds "
                "it does not tell Qiskit; unroll that gate with circuit.decompose or qiskit.transpile first"
            )
        try:
            if not free:
                return Polynomial.constant(real_number(angle))
            return self._of(expression_tree(angle, self._variables), f"angle {angle} of gate '{gate}'")
        except (ArithmeticError, TypeError, ValueError) as error:
            raise ValueError(f"gate '{gate}': expected a finite real angle, got {angle}") from error

    def _of(self, expression: Expression, angle: str) -> Polynomial:
        if not isinstance(expression, tuple):
            return Polynomial.constant(expression)
        name, *operands = expression
        if name == "variable":
            return Polynomial.variable(operands[0])
        if name in _ARITHMETIC:
            found = _combined(name, [self._of(operand, angle) for operand in operands])
            if found is not None and found.degree <= MAX_DEGREE:
                return found
        if expression not in self._index:
            self._index[expression] = len(self._variables) + len(self.derived)
            self.derived.append(Derived(expression, angle))
        return Polynomial.variable(self._index[expression])


_ARITHMETIC = frozenset({"add", "sub", "mul", "div", "pow", "conjugate"})


def _combined(name: str, operands: Sequence[Polynomial]) -> Polynomial | None:
    """The polynomial that an arithmetic operation makes of others; None: it makes none."""
    first, *rest = operands  # the conjugate of what is real is itself
    for other in rest:
        if name == "add":
            first = first + other
        elif name == "sub":
            first = first + -other
        elif name == "mul":
            first = first.times(other)
        elif other.degree > 0:
            return None
        elif name == "div":
            first = first * (1.0 / other.constant_value)
        elif other.constant_value in range(MAX_DEGREE + 1):
            first = first.power(int(other.constant_value))
        else:
            return None
    return first
