"""The last state as observables see it: tiles that hold an amplitude and all that it is multiplied with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .._program.gf2 import Basis
from .orders import Order, completed
from .passes import Schedule


@dataclass(frozen=True)
class View:
    """One look at the state.

    Attributes:
        order: Of the amplitudes, as in a pass.
        flips: Of terms that are read in it, which a tile is closed under; masks of an index.
    """

    order: Order
    flips: tuple[int, ...]


def views_of(schedule: Schedule, flips: Iterable[int], near_bits: int) -> tuple[View, ...]:
    """At least one view, and together all flips: as few as come of taking each flip where it fits first.

    Args:
        schedule: Of the circuit.
        flips: All different.
        near_bits: So many of the lowest bits of an index are in every tile, as memory is read in pieces.
    """
    if schedule.is_resident:
        return (View(schedule.layout, tuple(flips)),)
    near = [1 << bit for bit in range(near_bits)]
    found: list[tuple[Basis, list[int]]] = [(Basis(near), [])]
    for flip in flips:
        for one in found:
            if len(one[0]) < schedule.tile.bits or one[0].spans(flip):
                basis, members = one
                break
        else:
            basis, members = Basis(near), []
            found.append((basis, members))
        basis.add(flip)
        members.append(flip)
    units = [1 << bit for bit in range(schedule.num_bits)]
    return tuple(
        [
            View(Order((*basis.elements, *completed(basis.elements, units, []))), tuple(members))
            for basis, members in found
        ]
    )
