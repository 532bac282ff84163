"""Some qubits of a circuit: how they are given, and where their states are among the amplitudes of all."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from .._core.arguments import whole_number
from .._program.dense import VirtualQubits, coset_table, row_table

# Tables of so many qubits are kept, as they take little memory; larger ones take little time beside the simulation.
_MOST_KEPT = 16


def num_qubits_of(state: torch.Tensor) -> int:
    """Of how many qubits states (B, 2^n) are."""
    return int(state.shape[1]).bit_length() - 1


def qubits_of(given: Any) -> tuple[int, ...]:
    """Qubits as they are given, in this order.

    Raises:
        TypeError: no sequence of whole numbers.
        ValueError: none, a negative one, or one twice.
    """
    if isinstance(given, (str, AbstractSet)) or not isinstance(given, Iterable):
        raise TypeError(f"qubits: expected a sequence of whole numbers, got {given!r}")
    qubits = tuple([whole_number(qubit, "qubits", 0) for qubit in given])
    if not qubits:
        raise ValueError("qubits: expected at least one, got none")
    for qubit in qubits:
        if qubits.count(qubit) > 1:
            raise ValueError(f"qubits: expected qubits that differ, got {qubit} twice in {list(qubits)}")
    return qubits


def require_within(qubits: tuple[int, ...], num_qubits: int) -> None:
    """Checks that a circuit has these qubits.

    Raises:
        ValueError: it has not.
    """
    if max(qubits) >= num_qubits:
        raise ValueError(
            f"qubits: expected qubits from 0 to {num_qubits - 1}, as the circuit has {num_qubits}, got {max(qubits)}"
        )


def _virtual(qubits: tuple[int, ...]) -> VirtualQubits:
    masks = tuple([1 << qubit for qubit in qubits])
    return VirtualQubits(masks, masks, (False,) * len(qubits))


def _table(
    made: Callable[[int, VirtualQubits], npt.NDArray[np.int64]], num_qubits: int, qubits: tuple[int, ...]
) -> torch.Tensor:
    make = made if num_qubits <= _MOST_KEPT else made.__wrapped__  # type: ignore[attr-defined]
    return torch.from_numpy(make(num_qubits, _virtual(qubits)))


# PyTorch's compiler traces how tables are made, as it takes no constant tensors of one function twice.


def outcomes(num_qubits: int, qubits: tuple[int, ...]) -> torch.Tensor:
    """The state of the qubits, the first of which is its lowest bit, at every index of all: (2^n,)."""
    if torch.compiler.is_compiling():
        index = torch.arange(1 << num_qubits)
        found = torch.zeros_like(index)
        for bit, qubit in enumerate(qubits):
            found = found | (((index >> qubit) & 1) << bit)
        return found
    return _table(row_table, num_qubits, qubits)


def places(num_qubits: int, qubits: tuple[int, ...]) -> torch.Tensor:
    """Indices (2^k, 2^(n - k)): a row for each state of the qubits, a column for each state of all others."""
    if torch.compiler.is_compiling():
        return torch.argsort(outcomes(num_qubits, qubits), stable=True).reshape(1 << len(qubits), -1)
    return _table(coset_table, num_qubits, qubits)
