"""Circuits that are refused: by an error that Qiskit knows, too, and that says which one of a call it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from qiskit.exceptions import QiskitError

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
