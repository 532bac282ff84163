"""The variables of an evolution: inputs and weights, followed by those that are computed from them."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from .._core.plain import is_plain
from .._program.blocks import Block, block_arguments
from .._program.evolution import Evolution
from .._program.periods import rounded
from .._reading.expressions import evaluate
from .variables import variables_of

# How the engine's errors about inputs, weights and angles begin.
_OF_ANGLES = ("angle ", "inputs: expected finite", "weights: expected finite")


def with_derived_columns(
    evolution: Evolution, inputs: torch.Tensor, weights: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs (B, num_inputs) and weights (num_weights,) followed by the derived ones; differentiable.

    Raises:
        ValueError: an angle is not finite.
    """
    if not evolution.has_derived:
        return inputs, weights
    # In double precision wherever the device has it: sums that cancel keep some digits.
    wide = inputs.dtype if inputs.device.type == "mps" else torch.float64
    variables = [*inputs.to(wide).unbind(1), *weights.to(wide).unbind(0)]
    derived = (*evolution.derived_inputs, *evolution.derived_weights)
    values = [
        rounded(evaluate(variable.expression, variables), period, inputs.dtype)
        for variable, period in zip(derived, evolution.periods, strict=True)
    ]
    columns, scalars = values[: len(evolution.derived_inputs)], values[len(evolution.derived_inputs) :]
    if not torch.compiler.is_compiling() and not inputs.is_meta and is_plain((inputs, weights)):
        _require_finite(evolution, inputs, weights, [*columns, *scalars])
    columns = [column.expand(inputs.shape[0]) for column in columns]
    if columns:
        inputs = torch.cat([inputs, torch.stack(columns, 1)], 1)
    if scalars:
        weights = torch.cat([weights, torch.stack(scalars)])
    if not (evolution.input_blocks or evolution.weight_blocks):
        return inputs, weights
    rows = [_block(evolution, block, inputs, weights) for block in evolution.input_blocks]
    shared = [_block(evolution, block, inputs[:1], weights)[0] for block in evolution.weight_blocks]
    return torch.cat([inputs, *rows], 1), torch.cat([weights, *shared])


def variables_for(
    other: Evolution, own: Evolution, inputs: torch.Tensor, weights: Sequence[torch.Tensor]
) -> tuple[torch.Tensor, Sequence[torch.Tensor]]:
    """Inputs and sets of weights for another evolution of the same variables, derived ones included; differentiable.

    Args:
        other: The other one.
        own: The one that they are for.
        inputs: Shape (B, num_all_inputs).
        weights: Sets of weights.
    """
    if not (own.has_derived or other.has_derived):
        return inputs, weights
    row = torch.cat(tuple(weights)) if weights else inputs.new_empty(0)
    columns, row = with_derived_columns(other, inputs[:, : own.num_inputs], row[: own.num_weights])
    return columns, (row,)


def explained(evolution: Evolution, error: ValueError, inputs: torch.Tensor, weights: torch.Tensor) -> ValueError:
    """An error of the engine in terms of the user's parameters, if it is about an angle.

    Args:
        evolution: What it computed.
        error: The engine's.
        inputs: Shape (B, num_all_inputs).
        weights: Shape (num_all_weights,).
    """
    message = str(error)
    if evolution.origins is None or not message.startswith(_OF_ANGLES):
        return error
    return ValueError(evolution.origins.fault(inputs, weights) or evolution.origins.in_words(message))


def _block(evolution: Evolution, block: Block, inputs: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """The variables (B, size) of a block, for inputs and weights without those of blocks."""
    first = evolution.num_all_inputs  # number of the first weight
    return variables_of(block, block_arguments(block, inputs, weights, first))


def _require_finite(
    evolution: Evolution, inputs: torch.Tensor, weights: torch.Tensor, values: Sequence[torch.Tensor]
) -> None:
    if all(map(_is_finite, values)) or not (_is_finite(inputs) and _is_finite(weights)):
        return  # where an input is at fault the engine says so
    fault = None if evolution.origins is None else evolution.origins.fault(inputs, weights)
    derived = next(
        variable
        for variable, numbers in zip((*evolution.derived_inputs, *evolution.derived_weights), values, strict=True)
        if not _is_finite(numbers)
    )
    raise ValueError(
        fault
        or f"{derived.angle} is not finite for some of the parameter values; keep them within its domain, and small"
        f" enough for {str(inputs.dtype)[6:]}"
    )


def _is_finite(values: torch.Tensor) -> bool:
    return bool(torch.isfinite(values).all())
