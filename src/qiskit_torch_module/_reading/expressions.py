"""Expressions as values: numbers, variables and operations in a row, evaluated on tensors for a whole batch at a time.

Flat, so that neither a sum of thousands of terms nor functions of functions of functions reach the limit of Python's
recursion, wherever an expression is compared, hashed, pickled or evaluated; and what occurs twice stands there once.
"""

from __future__ import annotations

import contextlib
import math
import operator
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import torch

# A number, ("variable", index), (operation, place of an operand, ...) or ("opaque", function, place, ...).
Node = float | tuple[Any, ...]
# Every node stands after its operands, the last one is the value. Immutable, hashable, picklable.
Expression = tuple[Node, ...]


@dataclass(frozen=True)
class Derived:
    """A variable computed from the others before the engine starts, and the angle that needs it."""

    expression: Expression
    angle: str

    @property
    def part(self) -> str:
        """What it is, in words: a part of that angle."""
        return re.sub(r"^angle (.*) of gate '.*$", r"\1", self.angle, flags=re.DOTALL)


@dataclass(frozen=True)
class _Operation:
    """On tensors, differentiable by PyTorch to any order, and on numbers; those of two operands take more in turn."""

    of_tensors: Callable[..., Any]
    of_numbers: Callable[..., float]


def _sign(number: float) -> float:
    return number if math.isnan(number) else float(number > 0.0) - float(number < 0.0)


def _signs(numbers: torch.Tensor) -> torch.Tensor:
    """NaN stays NaN: ``torch.sign`` makes it 0, which hides it."""
    return torch.where(torch.isnan(numbers), numbers, torch.sign(numbers))


def _same(on: Callable[..., Any]) -> _Operation:
    return _Operation(on, on)


_OPERATIONS: dict[str, _Operation] = {
    "add": _same(operator.add),
    "sub": _same(operator.sub),
    "mul": _same(operator.mul),
    "div": _same(operator.truediv),
    "pow": _Operation(operator.pow, math.pow),
    "sin": _Operation(torch.sin, math.sin),
    "cos": _Operation(torch.cos, math.cos),
    "tan": _Operation(torch.tan, math.tan),
    "asin": _Operation(torch.asin, math.asin),
    "acos": _Operation(torch.acos, math.acos),
    "atan": _Operation(torch.atan, math.atan),
    "exp": _Operation(torch.exp, math.exp),
    "log": _Operation(torch.log, math.log),
    "abs": _Operation(torch.abs, math.fabs),
    "sign": _Operation(_signs, _sign),
    "conjugate": _same(operator.pos),  # of a real number
}

OPERATION_NAMES = frozenset(_OPERATIONS)


class Builder:
    """Puts an expression together, node by node; equal nodes become one.

    Attributes:
        nodes: Those so far.
    """

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._place: dict[Node, int] = {}

    def number(self, value: Any) -> int:
        """Place of a number of any kind.

        Raises:
            ValueError: it is not real or not finite.
        """
        return self._of(real_number(value))

    def variable(self, index: int) -> int:
        """Place of a variable."""
        return self._of(("variable", index))

    def operation(self, name: str, operands: Sequence[int]) -> int:
        """Place of an operation on nodes that are there; on numbers it is carried out.

        Raises:
            ValueError: it is not known, or not defined for these numbers.
        """
        if name not in _OPERATIONS:
            raise ValueError(f"unknown operation '{name}'")
        numbers = [node for node in map(self.nodes.__getitem__, operands) if not isinstance(node, tuple)]
        if len(numbers) == len(operands):
            return self.number(_applied(_OPERATIONS[name].of_numbers, numbers))
        return self._of((name, *operands))

    def opaque(self, function: Any, operands: Sequence[int]) -> int:
        """Place of a function that is called as it is."""
        return self._of(("opaque", function, *operands))

    def expression(self, place: int) -> Expression:
        """The expression of one node, without nodes that it does not need."""
        return part_of(self.nodes, place)

    def _of(self, node: Node) -> int:
        place = self._place.setdefault(node, len(self.nodes))
        if place == len(self.nodes):
            self.nodes.append(node)
        return place


def part_of(nodes: Sequence[Node], place: int) -> Expression:
    """The expression of one of the nodes, without those that it does not need."""
    needed = {place}
    for position in range(place, -1, -1):
        if position in needed:
            needed.update(operands_of(nodes[position]))
    order = sorted(needed)
    if len(order) == len(nodes):
        return tuple(nodes)
    new_place = {old: new for new, old in enumerate(order)}
    return tuple([_moved(nodes[old], new_place) for old in order])


def _moved(node: Node, new_place: dict[int, int]) -> Node:
    operands = operands_of(node)
    if not isinstance(node, tuple) or not operands:
        return node
    return (*node[: len(node) - len(operands)], *(new_place[operand] for operand in operands))


def operands_of(node: Node) -> Sequence[int]:
    """Places of the operands of a node."""
    if not isinstance(node, tuple) or node[0] == "variable":
        return ()
    return node[2:] if node[0] == "opaque" else node[1:]


def real_number(value: Any) -> float:
    """A number of any kind as a float.

    Raises:
        ValueError: it is not real or not finite.
    """
    number = complex(value)
    if number.imag != 0.0 or not math.isfinite(number.real):
        raise ValueError(f"{value} is not a finite real number")
    return number.real


def variables_in(expression: Expression) -> Iterator[int]:
    """Indices of the variables of an expression."""
    return (node[1] for node in expression if isinstance(node, tuple) and node[0] == "variable")


def renamed(expression: Expression, variables: Sequence[int]) -> Expression:
    """The same expression after variable i has become ``variables[i]``."""
    return tuple(
        [
            ("variable", variables[node[1]]) if isinstance(node, tuple) and node[0] == "variable" else node
            for node in expression
        ]
    )


# Of an expression in words, as in messages.
_LONGEST_TEXT = 200
# Symbol, how tightly it binds, and how tightly its operands have to: the first one, and those that follow.
_SYMBOLS = {
    "add": (" + ", 1, (1, 1)),
    "sub": (" - ", 1, (1, 2)),
    "mul": ("*", 2, (2, 2)),
    "div": ("/", 2, (2, 3)),
    "pow": ("**", 3, (4, 3)),
}


def text_of(expression: Expression, names: Sequence[str]) -> str:
    """An expression in words; parts that are long are left out. Qiskit's own text may take minutes, or not end."""
    texts: list[tuple[str, int]] = []
    for node in expression:
        if not isinstance(node, tuple):
            texts.append((f"{node:.6g}", 4 if node >= 0.0 else 2))
        elif node[0] == "variable":
            texts.append((names[node[1]], 4))
        else:
            text, strength = _text_of_operation(node, [texts[place] for place in operands_of(node)])
            texts.append((text, strength) if len(text) <= _LONGEST_TEXT else (f"{text[:20]}...", 4))
    return texts[-1][0]


def _text_of_operation(node: tuple[Any, ...], operands: Sequence[tuple[str, int]]) -> tuple[str, int]:
    if node[0] == "opaque":
        return str(node[1]), 4
    if node[0] not in _SYMBOLS:
        return f"{node[0]}({', '.join(text for text, _ in operands)})", 4
    symbol, own, (first, following) = _SYMBOLS[node[0]]
    total = ""
    for place, (text, strength) in enumerate(operands):
        is_negative = place > 0 and text.startswith("-")
        is_loose = strength < (following if place else first) or (is_negative and symbol != " + ")
        part = f"({text})" if is_loose else text
        if is_negative and symbol == " + ":
            total += f" - {text[1:]}"
        else:
            total += symbol + part if place else part
    return total, own


def evaluate(expression: Expression, variables: Sequence[torch.Tensor]) -> torch.Tensor:
    """Value of an expression on tensors that broadcast against each other, one for each variable."""
    values: list[Any] = []
    for node in expression:
        if not isinstance(node, tuple):
            values.append(node)
        elif node[0] == "variable":
            values.append(variables[node[1]])
        elif node[0] == "opaque":
            values.append(node[1](*(values[place] for place in node[2:])))
        else:
            values.append(_applied(_OPERATIONS[node[0]].of_tensors, [values[place] for place in node[1:]]))
    value = values[-1]
    if isinstance(value, torch.Tensor):
        return value
    return torch.tensor(value, dtype=variables[0].dtype, device=variables[0].device)


def _applied(operation: Callable[..., Any], operands: Sequence[Any]) -> Any:
    return operation(*operands) if len(operands) < 3 else reduce(operation, operands)


def number_of(expression: Expression, variables: Sequence[float]) -> float:
    """Value of an expression on numbers.

    Raises:
        ArithmeticError, ValueError: they lie outside of its domain.
    """
    return _numbers_of(expression, variables)[-1]


def _numbers_of(expression: Expression, variables: Sequence[float]) -> list[float]:
    values: list[float] = []
    _fill(values, expression, variables)
    return values


def _fill(values: list[float], expression: Expression, variables: Sequence[float]) -> None:
    """Appends the value of node after node, up to the one that has none."""
    for node in expression:
        if not isinstance(node, tuple):
            values.append(node)
        elif node[0] == "variable":
            values.append(variables[node[1]])
        else:
            values.append(_applied(_OPERATIONS[node[0]].of_numbers, [values[place] for place in node[1:]]))


def first_undefined(expression: Expression, variables: Sequence[float]) -> int | None:
    """Place of the first node that has no finite value on numbers; None: all have."""
    values: list[float] = []
    with contextlib.suppress(ArithmeticError, ValueError):
        _fill(values, expression, variables)
    undefined = next((place for place, value in enumerate(values) if not math.isfinite(value)), len(values))
    return undefined if undefined < len(expression) else None


# The largest relative error of a sum of two numbers in double precision.
_UNIT = 2.0**-53


def rounding_of(expression: Expression, variables: Sequence[float]) -> float:
    """By how much rounding in double precision may change the value of an expression on numbers.

    Raises:
        ArithmeticError, ValueError: as `number_of`.
    """
    values = _numbers_of(expression, variables)
    errors: list[float] = []
    for node, value in zip(expression, values, strict=True):
        error = _UNIT * abs(value)
        if isinstance(node, tuple) and node[0] != "variable":
            function, places = _OPERATIONS[node[0]].of_numbers, node[1:]
            inner, spread = values[places[0]], errors[places[0]]
            if len(places) == 1:
                error += _spread(function, [inner], [spread])
            for place in places[1:]:
                spread = _spread(function, [inner, values[place]], [spread, errors[place]])
                inner = function(inner, values[place])
                spread += _UNIT * abs(inner)
            error += spread
        errors.append(error)
    return errors[-1]


def _spread(function: Callable[..., float], at: Sequence[float], errors: Sequence[float]) -> float:
    """By how much a function changes where its arguments change by their errors."""
    middle, spread = function(*at), 0.0
    for index, error in enumerate(errors):
        for moved in (at[index] - error, at[index] + error) if error > 0.0 else ():
            try:
                spread += abs(function(*at[:index], moved, *at[index + 1 :]) - middle)
            except (ArithmeticError, ValueError):
                continue  # the edge of the domain: the other side tells
    return spread
