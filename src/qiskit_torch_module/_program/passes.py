"""What the compiler does to a circuit, pass by pass; each can be switched off."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields, replace

from .._core.arguments import flag


@dataclass(frozen=True)
class Passes:
    """Which passes act; all of them, unless switched off with `compiler_passes`.

    Attributes:
        permutation_folding: CX, SWAP and X move no amplitude, they relabel basis states. Off: they become rotations.
        fusion: Rotations of one qubit with nothing in between become one run, applied at once; those of Pauli words
            that flip the same qubits are taken together, where that pays. Off: each is applied by itself.
        diagonal_merging: All diagonals between two layers become one sweep. Off: one factor at a time.
        product_state: The first layer, which acts on |0...0>, makes a product state. Off: it is swept like any other.
        halved_start: The first layers run on two halves of the qubits where few parities join them; the state is made
            from these. Off: they run on all qubits.
        unjoined_halves: Where halves hold all of a circuit but a last layer that is absorbed, expectation values are
            read from the halves, and there is no state of all qubits. Off, or without halved_start: there is.
        symmetry_reduction: For expectation values, qubits that symmetries of the circuit settle are not simulated,
            where that is faster. Off: they are.
        shared_prefix: Layers before the first one that depends on the data run once for the batch, and adjoint states
            are added up before they go back through them. Off: once for every sample.
        observable_absorption: A last layer whose qubits are measured one by one is never applied: its rotations move
            into the observables. Off: it is applied.
    """

    permutation_folding: bool = True
    fusion: bool = True
    diagonal_merging: bool = True
    product_state: bool = True
    halved_start: bool = True
    unjoined_halves: bool = True
    symmetry_reduction: bool = True
    shared_prefix: bool = True
    observable_absorption: bool = True


PASS_NAMES = tuple(field.name for field in fields(Passes))

_ALL = Passes()
_current: ContextVar[Passes] = ContextVar("compiler passes", default=_ALL)


def current_passes() -> Passes:
    return _current.get()


@contextmanager
def compiler_passes(**switches: bool) -> Iterator[Passes]:
    """Switches passes of the compiler for what is compiled inside the ``with`` block.

    For measurements and for finding faults: results are the same, only slower. A module keeps the passes that it was
    made with.

    Args:
        switches: Name of a pass and whether it acts; see `Passes`.

    Raises:
        TypeError: a switch is neither True nor False.
        ValueError: there is no pass of that name.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> with qtm.compiler_passes(fusion=False):
        ...     slow = qtm.QuantumModule(circuit, x, w, seed_init=0)
        >>> fast = qtm.QuantumModule(circuit, x, w, seed_init=0)
        >>> inputs = torch.rand(3, 2)
        >>> torch.allclose(slow(inputs), fast(inputs), atol=1e-6)
        True
    """
    for name in switches:
        if name not in PASS_NAMES:
            raise ValueError(f"compiler_passes: no pass '{name}'; expected some of: {', '.join(PASS_NAMES)}")
        flag(switches[name], f"compiler_passes: {name}")
    token = _current.set(replace(_current.get(), **switches))
    try:
        yield _current.get()
    finally:
        _current.reset(token)
