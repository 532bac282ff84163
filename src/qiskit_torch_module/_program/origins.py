"""Where the angles of a program come from, for errors: in the words of the user, with the sample at fault."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from qiskit.circuit import Parameter

from .._reading.expressions import Expression, evaluate, text_of
from .._reading.parameter_expressions import Reading

_MOST_SHOWN = 4


def least_unresolved(dtype: torch.dtype) -> float:
    """From here on, neighbouring numbers are a radian apart or more (as in src/engine/range.hpp)."""
    return float(2**23 if dtype == torch.float32 else 2**52)


def first_not_finite(inputs: torch.Tensor) -> str | None:
    """The first value of (..., N) that is not finite, with its place among the samples; None: all are."""
    rows = inputs.detach().reshape(inputs.shape[:-1].numel(), inputs.shape[-1])  # of no column, too
    wrong = torch.nonzero(~torch.isfinite(rows))
    if not len(wrong):
        return None
    sample, column = wrong[0].tolist()
    return f"{rows[sample, column].item():.6g} in sample {sample}, column {column}"


# An angle as it was given, or the number of the parameter that it is, and the gate that has it, on which qubits.
Given = Mapping[Reading | int, tuple[str, Sequence[int]]]


@dataclass(frozen=True)
class Origins:
    """What a program was compiled from, as far as errors speak of it.

    Attributes:
        variables: Number of every parameter: inputs, then weights.
        num_inputs: How many of them are inputs.
        given: The angles, each different one once, with the first gate that has it.
        derived: What variables that are computed are, by number of the engine: inputs, then weights.
    """

    variables: Mapping[Parameter, int]
    num_inputs: int
    given: Given = field(default_factory=dict)
    derived: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())

    @property
    def names(self) -> list[str]:
        """Names of the parameters: inputs, then weights."""
        return [str(parameter.name) for parameter in self.variables]

    def fault(self, inputs: torch.Tensor, weights: torch.Tensor) -> str | None:
        """What is wrong with the first value that is not finite, or angle that has no digits left; None: nothing.

        Args:
            inputs: Shape (B, N), the derived ones at the end or left out.
            weights: Shape (W,), likewise.
        """
        num_weights = len(self.variables) - self.num_inputs
        own = [tensor.detach().double() for tensor in (inputs[:, : self.num_inputs], weights[:num_weights])]
        values = [*own[0].unbind(1), *own[1].unbind(0)]
        for name, value in zip(self.names[self.num_inputs :], values[self.num_inputs :], strict=True):
            if not math.isfinite(value):
                return (
                    f"weights: expected finite values, got {value.item():.6g} of parameter '{name}'; look "
                    "for an update with a gradient that is not finite, such as that of sqrt or log at 0 in a loss, or "
                    "take a smaller learning rate"
                )
        if (place := first_not_finite(own[0])) is not None:
            return (
                f"inputs: expected finite values, got {place}; clean the data, e.g. with torch.nan_to_num, or, if "
                "layers before have computed them, look for an update with a gradient that is not finite"
            )
        for angle in self.given:
            fault = self._fault_of(angle, values, inputs.dtype)
            if fault is not None:
                return fault
        return None

    def value_of(self, angle: Reading | int, values: Sequence[torch.Tensor]) -> torch.Tensor:
        """An angle that was given, for values of all parameters."""
        expression, variables = self._expression_of(angle)
        with torch.no_grad():
            return evaluate(expression, [values[i] for i in variables] or [torch.zeros((), dtype=torch.float64)])

    def described(self, angle: Reading | int) -> str:
        """An angle that was given, and the first gate that has it."""
        expression, variables = self._expression_of(angle)
        gate, qubits = self.given[angle]
        text = text_of(expression, [self.names[i] for i in variables])
        return f"angle {text} of gate '{gate}'{f' on qubits {list(qubits)}' if qubits else ''}"

    def _fault_of(self, angle: Reading | int, values: Sequence[torch.Tensor], dtype: torch.dtype) -> str | None:
        variables = self._expression_of(angle)[1]
        angles = self.value_of(angle, values).reshape(-1)
        wrong = torch.nonzero(~(angles.abs() < least_unresolved(dtype)))
        if not len(wrong):
            return None
        sample, known = int(wrong[0]), self.names
        names = [known[i] for i in variables]
        value = angles[sample].item()
        at = [
            f"{name} = {values[i].expand(len(angles))[sample].item():.6g}"
            for name, i in zip(names, variables, strict=True)
        ]
        return (
            f"{self.described(angle)} is {value:.6g}"
            + (f" in sample {sample}" if any(i < self.num_inputs for i in variables) else "")
            + (f", where {', '.join(at[:_MOST_SHOWN])}{', ...' if len(at) > _MOST_SHOWN else ''}" if at else "")
            + _remedy(value, dtype)
        )

    def _expression_of(self, angle: Reading | int) -> tuple[Expression, list[int]]:
        if isinstance(angle, int):
            return (("variable", 0),), [angle]
        return angle.expression, [self.variables[parameter] for parameter in angle.parameters]

    def in_words(self, message: str) -> str:
        """A message of the engine, in which parameters have names."""

        def name(match: re.Match[str]) -> str:
            kind, number = match[1], int(match[2])
            given = self.names[: self.num_inputs] if kind == "input" else self.names[self.num_inputs :]
            known = [*given, *self.derived[kind == "weight"]]
            return known[number] if number < len(known) else match[0]

        return re.sub(r"\b(input|weight) (\d+)", name, message)


def _remedy(value: float, dtype: torch.dtype) -> str:
    if math.isnan(value):
        return ": it, or a part of it, is not real there; keep its parameters within its domain"
    if math.isinf(value):
        return ": it is beyond all numbers there; keep its parameters away from there"
    single = dtype == torch.float32
    return (
        f", of which no digit is left in {'single' if single else 'double'} precision; keep angles small, e.g. by "
        "scaling the values" + (", or compute in float64" if single else "")
    )
