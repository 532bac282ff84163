"""Outputs that read states by functions of PyTorch."""

from __future__ import annotations

import torch

from .._program.output import Output
from .._program.program import Program


def read(program: Program, states: torch.Tensor) -> torch.Tensor:
    """What the output of a program makes of states (B, 2^n); differentiable.

    Raises:
        ValueError: it is of another shape than the output says.
    """
    assert isinstance(program.output, Output)
    found = program.output.read(states)
    expected = (len(states), *program.shape)
    if found.shape != expected:
        raise ValueError(f"observables: expected {program.output} to read shape {expected}, got {tuple(found.shape)}")
    return found
