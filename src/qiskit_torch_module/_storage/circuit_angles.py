"""Angles of circuits as plain data, and back: a number, the place of a parameter, or the nodes of an expression."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from qiskit.circuit import Parameter, ParameterExpression
from qiskit.circuit.exceptions import CircuitError

from .._reading.angles import Angles
from .._reading.expressions import renamed
from .._reading.parameter_expressions import read
from .._reading.polynomials import Polynomial
from .cannot_build import CannotBuildError
from .formulas import require_expression, written_expression

# A few nodes may stand for an endless expression, and powers of powers for endless digits.
_MOST_STEPS = 1 << 16
_HIGHEST_POWER = 1 << 10


class AngleWriter:
    """Writes down angles.

    Args:
        parameters: By whose places they are named.
    """

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self._place = {parameter: place for place, parameter in enumerate(parameters)}
        self._angles = Angles(self._place)

    def reads(self, gate: str) -> Callable[[Any], Polynomial]:
        """What the compiler reads the angles of a gate with."""
        return lambda angle: self._angles.polynomial(angle, gate)

    def written(self, angle: Any) -> Any:
        """An angle as it stands in a circuit."""
        if isinstance(angle, Parameter):
            return self._place[angle]
        if isinstance(angle, ParameterExpression) and angle.parameters:
            angle_read = read(angle)
            places = [self._place[parameter] for parameter in angle_read.parameters]
            return written_expression(renamed(angle_read.expression, places))
        return float(np.real(complex(angle)))

    def written_polynomial(self, polynomial: Polynomial) -> Any:
        """What the compiler has read an angle as."""
        nodes: list[Any] = []

        def place_of(node: Any) -> int:
            nodes.append(node)
            return len(nodes) - 1

        def variable(index: int) -> int:
            if index < len(self._place):
                return place_of(["variable", index])
            inner, begin = written_expression(self._angles.derived[index - len(self._place)].expression), len(nodes)
            nodes.extend(_moved(node, begin) for node in inner)
            return len(nodes) - 1

        terms = []
        for variables, coefficient in polynomial.terms:
            factors = [variable(index) for index in variables]
            if coefficient != 1.0 or not factors:
                factors.insert(0, place_of(coefficient))
            terms.append(factors[0] if len(factors) == 1 else place_of(["mul", *factors]))
        if len(terms) > 1:
            place_of(["add", *terms])
        if len(nodes) == 1:
            return nodes[0] if isinstance(nodes[0], float) else nodes[0][1]
        return nodes or 0.0


def _moved(node: Any, by: int) -> Any:
    if not isinstance(node, list) or node[0] == "variable":
        return node
    return [node[0], *(place + by for place in node[1:])]


class AngleReader:
    """Makes angles of what was written; equal ones become one object.

    Args:
        parameters: As they were when it was written.
    """

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self._parameters = parameters
        self._expressions: dict[str, Any] = {}

    def angle(self, plain: Any) -> Any:
        """A number, a parameter or a ``ParameterExpression``.

        Raises:
            ValueError: it is damaged.
            CannotBuildError: this version of Qiskit cannot express it.
        """
        if type(plain) is float and math.isfinite(plain):
            return plain
        if type(plain) is int and 0 <= plain < len(self._parameters):
            return self._parameters[plain]
        key = str(plain)
        if key not in self._expressions:
            self._expressions[key] = self._expression(plain)
        return self._expressions[key]

    def _expression(self, plain: Any) -> Any:
        require_expression(plain)
        parts: list[_Part] = []
        try:
            for node in plain:
                parts.append(_part(node, parts, self._parameters))
        except (AttributeError, TypeError, CircuitError) as error:
            raise CannotBuildError(f"its parameter expressions lack a function ({error})") from error
        return parts[-1].value


@dataclass(frozen=True)
class _Part:
    """A node: its value, the steps that it takes with all it is made of, and the highest power in it."""

    value: Any
    num_steps: int = 1
    power: int = 1


def _part(node: Any, parts: Sequence[_Part], parameters: Sequence[Parameter]) -> _Part:
    """What a node stands for that comes after others."""
    if not isinstance(node, list):
        return _Part(node)
    name, *places = node
    if name == "variable":
        if places[0] >= len(parameters):
            raise ValueError(f"circuit: expected parameters below {len(parameters)}")
        return _Part(parameters[places[0]])
    operands = [parts[place] for place in places]
    values = [operand.value for operand in operands]
    if not any(isinstance(value, ParameterExpression) for value in values):
        raise ValueError("circuit: expected a parameter in every operation of an expression")
    num_steps, power = 1 + sum(operand.num_steps for operand in operands), max(operand.power for operand in operands)
    if num_steps > _MOST_STEPS:
        raise ValueError(f"circuit: an expression of more than {_MOST_STEPS} steps")
    if name == "pow":
        base, exponent = values
        value, power = _power(base, exponent, power)
    else:
        value = _applied(name, values)
    return _Part(value, num_steps, power)


# Functions have the names that ``ParameterExpression`` has for them, but for these.
_FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "abs": abs,
    "asin": operator.methodcaller("arcsin"),
    "acos": operator.methodcaller("arccos"),
    "atan": operator.methodcaller("arctan"),
}
_ARITHMETIC = {"add": operator.add, "sub": operator.sub, "mul": operator.mul, "div": operator.truediv}


def _applied(name: str, values: Sequence[Any]) -> Any:
    if name in _ARITHMETIC:
        return functools.reduce(_ARITHMETIC[name], values)
    return _FUNCTIONS.get(name, operator.methodcaller(name))(*values)


def _power(base: Any, exponent: Any, power: int) -> tuple[Any, int]:
    """A power, and the highest one in it; small whole exponents stay whole, as people write them."""
    size = abs(exponent) if isinstance(exponent, float) else 0.5
    whole = size.is_integer() and 0 < size * power <= _HIGHEST_POWER
    if whole:
        exponent, power = int(exponent), power * int(size)
    if hasattr(ParameterExpression, "__pow__"):
        return base**exponent, power
    # Before Qiskit 1.0:
    if whole:
        product = base
        for _ in range(int(size) - 1):
            product = product * base
        return product if exponent > 0 else 1.0 / product, power
    if isinstance(base, float) and base > 0.0:
        return (exponent * math.log(base)).exp(), power
    raise CannotBuildError(f"its parameter expressions have no power {exponent}")
