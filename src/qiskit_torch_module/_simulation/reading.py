"""Outputs that read states by functions of PyTorch."""

from __future__ import annotations

import torch

from .._program.output import Output
from .._program.program import Program


def read(program: Program, states: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
    """What the output of a program makes of states (B, 2^n), and of those of its other circuits; differentiable.

    Raises:
        TypeError: it is no tensor.
        ValueError: it is of another shape than the output says.
    """
    assert isinstance(program.output, Output)
    values = program.output.read(states, *others)
    if not isinstance(values, torch.Tensor):
        raise TypeError(f"observables: expected {program.output} to read a tensor, got {type(values).__name__}")
    expected = (len(states), *program.shape)
    if values.shape != expected:
        raise ValueError(f"observables: expected {program.output} to read shape {expected}, got {tuple(values.shape)}")
    return values
