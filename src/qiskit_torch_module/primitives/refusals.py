"""Circuits that are refused: by an error that Qiskit knows, too, and that says which one of a call it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from qiskit.exceptions import QiskitError

from .._program.evolution import Evolution
from .._reading.operations import ResetError


class CircuitRefusedError(QiskitError, ValueError):  # type: ignore[misc]
    """A circuit that cannot be sampled: an error of the kind that Qiskit's samplers raise, and of ours."""

    def __str__(self) -> str:
        return str(self.message)  # Qiskit would quote it


_RENAMED = (ValueError, ResetError, CircuitRefusedError)


@contextmanager
def position_named(argument: str, position: int, count: int) -> Iterator[None]:
    """Has errors of one circuit begin with its position, where a call has several; their kind stays as it is.

    Args:
        argument: Of the call, which holds the circuits.
        position: The first one of the circuit.
        count: Of circuits in the call.
    """
    try:
        yield
    except ValueError as error:
        if count < 2 or type(error) not in _RENAMED or str(error).startswith(f"{argument}["):
            raise
        raise type(error)(f"{argument}[{position}]: {str(error).removeprefix('circuit: ')}") from error


_NOT_FINITE = re.compile(r"\Ainputs: (expected finite values, got \S+) in sample (\d+), column (\d+);")


@contextmanager
def parameters_named(evolution: Evolution) -> Iterator[None]:
    """Has errors about an input that is not finite speak of a parameter, where all inputs are parameter values."""
    try:
        yield
    except ValueError as error:
        found = _NOT_FINITE.match(str(error))
        if found is None or evolution.origins is None:
            raise
        name = evolution.origins.names[int(found[3])]
        raise ValueError(
            f"parameter_values: {found[1]} of parameter '{name}' in row {found[2]}; leave this row out"
        ) from None
