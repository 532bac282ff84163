"""Orders of basis states: bits of a place against bits of an index, by independent masks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from .._program.gf2 import Basis, duals, echelon, is_odd, overlaps, sum_of


@dataclass(frozen=True)
class Order:
    """A linear order: bit i of a place flips the bits of the index in ``vectors[i]``."""

    vectors: tuple[int, ...]

    @cached_property
    def duals(self) -> list[int]:
        """Bit i of a place is the parity of an index with mask i."""
        return duals(self.vectors)

    def place(self, index: int) -> int:
        """The place of an index; what flips a place, from what flips an index."""
        return overlaps(index, self.duals)

    def signs(self, mask: int) -> int:
        """The bits of a place whose parity is that of the bits of the index in a mask."""
        return overlaps(mask, self.vectors)


def completed(vectors: Sequence[int], preferred: Iterable[int], signs: Sequence[tuple[int, int]]) -> list[int]:
    """Further vectors that make up a basis with independent ones.

    Args:
        vectors: What is there.
        preferred: Candidates, the best first; all bits of an index follow from them.
        signs: Pairs (x, z): a candidate of odd overlap with z is taken with x added, which makes it even.

    Returns:
        The new ones, in the order of the candidates.
    """
    basis, found = Basis(vectors), []
    for candidate in preferred:
        vector = candidate ^ sum_of(x for x, z in signs if is_odd(candidate & z))
        size = len(basis)
        basis.add(vector)
        if len(basis) > size:
            found.append(vector)
    return found


def exchange(before: Order, after: Order, bits: int, lane_bits: int) -> tuple[list[int], list[int]]:
    """Addresses in shared memory of a tile that goes from one order to another.

    In both, the places of neighbouring threads, which differ in the lowest bits, lie in different banks.

    Args:
        before: The order in which it is written.
        after: The order in which it is read, of the same tile.
        bits: Number of bits of a place in a tile, the lowest ones.
        lane_bits: How many of them tell the threads of a warp apart.

    Returns:
        For each bit of a place, what it flips of the address: in the order before, and in that after.
    """
    columns = [after.place(vector) for vector in before.vectors[:bits]]
    # The address is the place after, but for its bank: the lowest bits get what tells lanes apart before and would be
    # lost there, because it lies in higher bits.
    rows = echelon(columns[:lane_bits])
    free = [1 << lane for lane in range(lane_bits) if not any(pivot == 1 << lane for _, pivot in rows)]
    swizzle = {pivot: free.pop() for _, pivot in rows if pivot >> lane_bits}
    own = [1 << bit | swizzle.get(1 << bit, 0) for bit in range(bits)]
    return [sum_of(own[bit] for bit in range(bits) if column >> bit & 1) for column in columns], own
