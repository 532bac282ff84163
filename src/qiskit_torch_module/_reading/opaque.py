"""Expressions that nothing but Qiskit's ``bind`` can evaluate: row by row."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from qiskit.circuit import Parameter

from .._core.plain import is_tracing
from .._core.transforms import is_forward_twice

_LONGEST_TEXT = 200


class Opaque:
    """A ``ParameterExpression`` as a function of tensors, one for each of its parameters.

    Differentiable as often as ``ParameterExpression.gradient`` gives a formula; where it gives none, once, numerically.
    Equal only to itself.

    Args:
        expression: The expression.
        parameters: Its parameters.
        points: Where it has values; its derivatives are checked there.
    """

    def __init__(self, expression: Any, parameters: tuple[Parameter, ...], points: Sequence[Sequence[float]]) -> None:
        self.expression = expression
        self.parameters = parameters
        self._points = points
        self._slopes: dict[int, Opaque | float | None] = {}

    def __str__(self) -> str:
        text = str(self.expression)
        return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}..."

    def __call__(self, *variables: torch.Tensor) -> torch.Tensor:
        """Values on tensors that broadcast against each other."""
        if is_forward_twice(variables):
            raise NotImplementedError(
                f"{self}: forward-mode derivatives of forward-mode derivatives are not supported where only "
                "ParameterExpression.bind evaluates an angle; use torch.func.hessian instead of jacfwd(jacfwd(f))"
            )
        tensors = torch.broadcast_tensors(*variables)  # type: ignore[no-untyped-call]
        value: torch.Tensor = _Values.apply(self, *tensors)  # type: ignore[no-untyped-call]
        return value

    def value(self, row: Sequence[float]) -> float:
        """At one point; NaN where it is not real."""
        return bound(self.expression, dict(zip(self.parameters, map(float, row), strict=True)))

    def difference(self, index: int, row: Sequence[float]) -> float:
        """The derivative with respect to one parameter, numerically; NaN where there is no value close by."""
        for step in (1e-3 * max(1.0, abs(row[index])), 1e-5 * max(1.0, abs(row[index]))):
            moved = [list(row) for _ in range(4)]
            for point, factor in zip(moved, (-2.0, -1.0, 1.0, 2.0), strict=True):
                point[index] += factor * step
            far_left, left, right, far_right = map(self.value, moved)
            slope = (8.0 * (right - left) - (far_right - far_left)) / (12.0 * step)
            if math.isfinite(slope):  # otherwise by a smaller step: the edge of the domain is close
                return slope
        return math.nan

    def slope(self, index: int) -> Opaque | float | None:
        """The derivative with respect to one parameter; None: Qiskit gives none that ``bind`` confirms."""
        if index not in self._slopes:
            self._slopes[index] = self._confirmed_slope(index)
        return self._slopes[index]

    def _confirmed_slope(self, index: int) -> Opaque | float | None:
        is_confirmed = False
        try:
            told = self.expression.gradient(self.parameters[index])
            free = getattr(told, "parameters", ())
            places = [place for place, parameter in enumerate(self.parameters) if parameter in free]
            points = [[at[place] for place in places] for at in self._points]
            parameters = tuple(self.parameters[place] for place in places)
            slope = Opaque(told, parameters, points) if free else complex(told).real
        except Exception:  # as in `bound`
            return None
        for row in self._points:
            numerical = self.difference(index, row)
            if math.isfinite(numerical):
                exact = slope.value(self._shared(row, slope)) if isinstance(slope, Opaque) else slope
                if not abs(exact - numerical) <= 1e-5 * max(1.0, abs(numerical), abs(self.value(row))):
                    return None
                is_confirmed = True
        return slope if is_confirmed else None

    def _shared(self, values: Sequence[Any], other: Opaque) -> list[Any]:
        """Those of its values, one for each parameter, that another function of fewer parameters takes."""
        return [values[self.parameters.index(parameter)] for parameter in other.parameters]

    def slope_at(self, index: int, variables: Sequence[torch.Tensor]) -> torch.Tensor | float:
        """The derivative with respect to one parameter, on tensors of one shape.

        Raises:
            NotImplementedError: it is to be differentiated itself, but there is no formula.
        """
        slope = self.slope(index)
        if isinstance(slope, Opaque):
            return slope(*self._shared(variables, slope))
        if slope is not None:
            return slope
        if torch.is_grad_enabled():
            raise NotImplementedError(
                f"{self}: Qiskit tells neither how it is made nor its gradient, so that there are first "
                "derivatives only, which are numerical; write it with functions that ParameterExpression.gradient knows"
            )
        return self.on_rows(lambda row: self.difference(index, row), variables)

    def on_rows(self, function: Callable[[Sequence[float]], float], variables: Sequence[torch.Tensor]) -> torch.Tensor:
        """A function of a point at every point of tensors of one shape.

        Raises:
            NotImplementedError: they are traced.
        """
        if torch.compiler.is_compiling() or is_tracing():
            raise NotImplementedError(
                f"{self}: expected an angle that can be traced, got one that only ParameterExpression.bind evaluates; "
                "write it with functions of ParameterExpression, or trace the model without this circuit"
            )
        shape = variables[0].shape
        rows = torch.stack([variable.detach().reshape(-1) for variable in variables], 1).cpu().double().numpy()
        values = np.fromiter(map(function, rows), dtype=np.float64, count=len(rows))
        return torch.from_numpy(values.reshape(shape)).to(variables[0])


def bound(expression: Any, point: Mapping[Parameter, float]) -> float:
    """What ``bind`` gives at a point; NaN where that is not real, up to rounding (symengine leaves some)."""
    try:
        value = complex(expression.bind(dict(point)))
    except Exception:  # outside of its domain: of Qiskit, of symengine or of Python, by release
        return math.nan
    return value.real if abs(value.imag) <= 1e-13 * abs(value.real) else math.nan


class _Values(torch.autograd.Function):
    """Elementwise: all tensors have one shape."""

    @staticmethod
    def forward(opaque: Opaque, *variables: torch.Tensor) -> torch.Tensor:
        return opaque.on_rows(opaque.value, variables)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.opaque = inputs[0]
        ctx.save_for_backward(*inputs[1:])
        ctx.save_for_forward(*inputs[1:])

    @staticmethod
    def jvp(ctx: Any, _: None, *tangents: torch.Tensor | None) -> Any:
        return sum(
            tangent * ctx.opaque.slope_at(index, ctx.saved_tensors)
            for index, tangent in enumerate(tangents)
            if tangent is not None
        )

    @staticmethod
    def backward(ctx: Any, cotangent: torch.Tensor) -> tuple[Any, ...]:
        variables = ctx.saved_tensors
        gradients: list[Any] = [None]
        for index in range(len(variables)):
            wanted = ctx.needs_input_grad[index + 1]
            gradients.append(cotangent * ctx.opaque.slope_at(index, variables) if wanted else None)
        return tuple(gradients)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], opaque: Opaque, *variables: torch.Tensor) -> tuple[torch.Tensor, int]:
        moved = [
            variable[None] if dim is None else variable.movedim(dim, 0)
            for variable, dim in zip(variables, in_dims[1:], strict=True)
        ]
        return opaque(*moved), 0
