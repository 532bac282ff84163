"""Angles as plain data: polynomials as rows, expressions as nodes; read without evaluating anything."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

from .._reading.expressions import OPERATION_NAMES, Expression, Node
from .._reading.polynomials import MAX_DEGREE, Polynomial
from .kinds import MAX_STEPS, Source, listed, shown

_UNARY = OPERATION_NAMES - {"add", "sub", "mul", "div", "pow"}
_OF_MORE = frozenset({"add", "mul"})  # than two operands


@dataclass(frozen=True)
class PolynomialRows:
    """Rows (coefficient, variable, ...), as they stand in ``Polynomial.terms``."""

    def write(self, value: Any) -> list[Any]:
        return [[float(coefficient), *map(int, variables)] for variables, coefficient in value.terms]

    def read(self, plain: Any, where: str, source: Source) -> Polynomial:
        terms = [_term(row, where) for row in listed(plain, where)]
        if any(first[0] >= second[0] for first, second in itertools.pairwise(terms)):
            raise ValueError(f"{where}: expected every product of variables once, in ascending order")
        return Polynomial(tuple(terms))


def _term(row: Any, where: str) -> tuple[tuple[int, ...], float]:
    if type(row) is not list or not 1 <= len(row) <= MAX_DEGREE + 1:
        raise ValueError(f"{where}: expected a coefficient and up to {MAX_DEGREE} variables, got {shown(row)}")
    coefficient, *variables = row
    if type(coefficient) is not float or not math.isfinite(coefficient) or coefficient == 0.0:
        raise ValueError(f"{where}: expected a finite coefficient other than 0, got {shown(coefficient)}")
    if any(type(index) is not int or index < 0 for index in variables) or variables != sorted(variables):
        raise ValueError(f"{where}: expected variables in ascending order, got {shown(variables)}")
    return tuple(variables), coefficient


@dataclass(frozen=True)
class Nodes:
    """Nodes, each after those it is made of, which it names by their place; the last one is the expression."""

    def write(self, value: Any) -> list[Any]:
        if any(isinstance(node, tuple) and node[0] == "opaque" for node in value):
            raise ValueError(
                "an angle that only Qiskit's ParameterExpression.bind can evaluate cannot be written; write it with "
                "functions of ParameterExpression, or pickle the module in the same version of Qiskit"
            )
        return [list(node) if isinstance(node, tuple) else node for node in value]

    def read(self, plain: Any, where: str, source: Source) -> Expression:
        nodes = listed(plain, where)
        source.steps -= len(nodes)
        if not nodes or source.steps < 0:
            raise ValueError(f"{where}: expected 1 to {MAX_STEPS} steps of expressions")
        return tuple([_node(node, place, where) for place, node in enumerate(nodes)])


def _node(node: Any, place: int, where: str) -> Node:
    if type(node) is float and math.isfinite(node):
        return node
    name, *operands = listed(node, where) or [None]
    if any(type(operand) is not int or operand < 0 for operand in operands):
        raise ValueError(f"{where}: expected places of operands, got {shown(operands)}")
    if name == "variable" and len(operands) == 1:
        return ("variable", operands[0])
    if type(name) is not str or name not in OPERATION_NAMES:
        raise ValueError(f"{where}: unknown operation {shown(name)}")
    if not (len(operands) == 1 if name in _UNARY else len(operands) == 2 or (name in _OF_MORE and len(operands) > 2)):
        raise ValueError(f"{where}: '{name}' of {len(operands)} operands")
    if any(operand >= place for operand in operands):
        raise ValueError(f"{where}: expected operands before '{name}', got {shown(operands)}")
    return (name, *operands)


def written_expression(expression: Expression) -> list[Any]:
    """An expression as plain data: its nodes, each after those it is made of, which it names by their place."""
    return Nodes().write(expression)


def require_expression(plain: Any) -> None:
    """Checks what `written_expression` wrote.

    Raises:
        ValueError: it is not an expression, or takes too many steps.
    """
    Nodes().read(plain, "expression", Source())
