"""Masks as vectors over GF(2)."""

from __future__ import annotations


def is_odd(bits: int) -> bool:
    return bits.bit_count() & 1 == 1


class Latest:
    """Tells, of all masks that were added with their times, when the latest one was that a mask overlaps oddly.

    Kept is a basis over GF(2) in which the masks of any time and later span all that were added for then and later: no
    more masks than bits, however many were added.
    """

    def __init__(self) -> None:
        self._basis: dict[int, tuple[int, int]] = {}  # by highest bit: mask, time
        self._newest = -1

    def add(self, mask: int, time: int) -> None:
        basis = self._basis
        self._newest = max(self._newest, time)
        while mask:
            highest = mask.bit_length()
            kept = basis.get(highest)
            # Of two masks of the same highest bit the later one stays, and their sum goes on as the earlier one.
            if kept is None or kept[1] < time:
                basis[highest] = mask, time
            if kept is None:
                return
            mask, time = mask ^ kept[0], min(time, kept[1])

    def odd(self, mask: int) -> int:
        """The latest time of a mask of odd overlap with this one; -1: all overlaps are even."""
        latest = -1
        for other, time in self._basis.values():
            if time > latest and (other & mask).bit_count() & 1:
                if time == self._newest:
                    return time
                latest = time
        return latest
