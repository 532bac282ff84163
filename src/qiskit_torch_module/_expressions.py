"""Parameter expressions as trees: read from Qiskit once, evaluated on tensors for a whole batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from qiskit.circuit import Parameter

from ._compat import expression_steps

# A number, ("variable", index) or (operation, operand, ...): immutable, hashable, picklable.
Expression = float | tuple[Any, ...]


@dataclass(frozen=True)
class Derived:
    """A variable computed from the others before the engine starts, and the angle that needs it."""

    expression: Expression
    angle: str


# Differentiable by PyTorch to any order.
_OPERATIONS: dict[str, Callable[..., torch.Tensor]] = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": torch.div,
    "pow": torch.pow,
    "sin": torch.sin,
    "cos": torch.cos,
    "tan": torch.tan,
    "asin": torch.asin,
    "acos": torch.acos,
    "atan": torch.atan,
    "exp": torch.exp,
    "log": torch.log,
    "abs": torch.abs,
    "sign": torch.sign,
    "conjugate": torch.Tensor.clone,
}


OPERATION_NAMES = frozenset(_OPERATIONS)


def expression_tree(expression: Any, variables: Mapping[Parameter, int]) -> Expression:
    """A Qiskit ``ParameterExpression`` as a tree over the indices of its parameters.

    Raises:
        ValueError: a number in it is not real and finite, or it holds an operation that is not known.
    """
    stack: list[Expression] = []
    for name, arity, leaf in expression_steps(expression):
        if name == "leaf":
            stack.append(("variable", variables[leaf]) if isinstance(leaf, Parameter) else real_number(leaf))
            continue
        if name not in _OPERATIONS:
            raise ValueError(f"unknown operation '{name}'")
        operands = stack[len(stack) - arity :]
        del stack[len(stack) - arity :]
        stack.append((name, *operands))
    (tree,) = stack
    return tree


def real_number(value: Any) -> float:
    """A number of any kind as a float.

    Raises:
        ValueError: it is not real or not finite.
    """
    number = complex(value)
    if number.imag != 0.0 or not np.isfinite(number.real):
        raise ValueError(f"{value} is not a finite real number")
    return number.real


def variables_in(expression: Expression) -> Iterator[int]:
    """Indices of the variables of an expression, with repetitions."""
    if isinstance(expression, tuple):
        name, *operands = expression
        if name == "variable":
            yield operands[0]
        else:
            for operand in operands:
                yield from variables_in(operand)


def evaluate(expression: Expression, variables: Sequence[torch.Tensor]) -> torch.Tensor:
    """Value of an expression on tensors that broadcast against each other, one for each variable."""
    if not isinstance(expression, tuple):
        return variables[0].new_tensor(expression)
    name, *operands = expression
    if name == "variable":
        return variables[operands[0]]
    values = [evaluate(operand, variables) for operand in operands]
    result = values[0] if len(values) > 1 else _OPERATIONS[name](values[0])
    for value in values[1:]:
        result = _OPERATIONS[name](result, value)
    return result
