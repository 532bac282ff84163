"""Masks of any width as vectors over GF(2): a sum is an exclusive or, a product the parity of an overlap."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from operator import xor


def is_odd(bits: int) -> bool:
    return bits.bit_count() & 1 == 1


def sum_of(masks: Iterable[int]) -> int:
    """The mask of the bits that an odd number of the masks have."""
    return reduce(xor, masks, 0)


def overlaps(mask: int, others: Iterable[int]) -> int:
    """Bit i: whether ``mask`` has an odd overlap with the i-th of the others."""
    odd = 0
    for i, other in enumerate(others):
        odd |= ((mask & other).bit_count() & 1) << i
    return odd


class Elimination:
    """Gaussian elimination over GF(2), row by row: whenever masks are added up, so are their labels.

    Each row has a bit of its own, its pivot, which no later row has. What a label means is up to the caller: which
    masks a row is the sum of, or the right-hand sides of linear equations.
    """

    def __init__(self) -> None:
        self._rows: list[tuple[int, int, int]] = []  # mask, label, pivot

    def reduced(self, mask: int, label: int) -> tuple[int, int]:
        """What is left of a mask without the rows that it is the sum of, 0 if it depends on them; and its label."""
        for row, of_row, pivot in self._rows:
            if mask & pivot:
                mask, label = mask ^ row, label ^ of_row
        return mask, label

    def add(self, mask: int, label: int) -> tuple[int, int]:
        """Makes what is left of a mask another row, if anything is; returns that and its label."""
        mask, label = self.reduced(mask, label)
        if mask:
            self._rows.append((mask, label, mask & -mask))
        return mask, label

    def solution(self, side: int = 0) -> int:
        """The mask of pivots whose overlap with every row is odd where bit ``side`` of the row's label is set."""
        mask = 0
        for row, label, pivot in reversed(self._rows):  # later rows, which are right by now, do not have its pivot
            if is_odd(row & mask) != bool(label >> side & 1):
                mask |= pivot
        return mask


def solution(equations: Iterable[tuple[int, bool]]) -> int | None:
    """A mask whose overlap with each of the masks is odd or not, as is said beside it; None: there is none."""
    elimination = Elimination()
    for mask, odd in equations:
        if elimination.add(mask, odd) == (0, 1):
            return None
    return elimination.solution()


def duals(masks: Sequence[int]) -> list[int]:
    """For each of n independent masks of n bits, a mask of odd overlap with it and even overlap with the others."""
    elimination = Elimination()
    for i, mask in enumerate(masks):
        elimination.add(mask, 1 << i)
    return [elimination.solution(i) for i in range(len(masks))]


def echelon(masks: Iterable[int]) -> list[tuple[int, int]]:
    """A basis of what masks span, each with its lowest bit, which no other one of them has."""
    rows: list[int] = []
    for mask in masks:
        for row in rows:
            if mask & row & -row:
                mask ^= row
        if mask:
            pivot = mask & -mask
            rows = [row ^ mask if row & pivot else row for row in rows]
            rows.append(mask)
    return [(row, row & -row) for row in rows]


class Basis:
    """A basis of masks, chosen from those given: the first ones that are independent.

    Attributes:
        elements: The masks of the basis.
    """

    def __init__(self, masks: Iterable[int]) -> None:
        self.elements: list[int] = []
        self._elimination = Elimination()  # labels: which elements a row is the sum of
        for mask in masks:
            self.add(mask)

    def add(self, mask: int) -> None:
        """Makes a mask that it does not span another element."""
        if mask and self._elimination.add(mask, 1 << len(self.elements))[0]:
            self.elements.append(mask)

    def __len__(self) -> int:
        return len(self.elements)

    def spans(self, mask: int) -> bool:
        """Whether a mask is a sum of elements."""
        return self._elimination.reduced(mask, 0)[0] == 0

    def coordinates(self, mask: int) -> int:
        """Bit i: whether the i-th element is part of a mask that the basis spans."""
        return self._elimination.reduced(mask, 0)[1]


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
