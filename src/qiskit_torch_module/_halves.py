"""The first two layers on two halves of the qubits.

A first layer makes a product state, and what entangles it before the second one often joins two halves of the qubits by
a few parities only: those that a CX carries across, or that an RZZ across depends on. Each half then is a small circuit
of its own with a few more qubits, the *glue*: a parity of the other half is in superposition there, a parity of its
own is copied. The state after the second layer is

    sqrt(branches) * sum over the glue: low[glue, i] * high[glue, j],

an exact sum of as many products as the glue has basis states (the Schmidt rank across the cut).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import xor

from ._polynomial import Polynomial
from ._schedule import Level, Run, Y, conjugate_to, is_odd

# With more branches, the sum takes longer than the layer; in deeper circuits, a layer is too little of the whole.
_MOST_GLUE, _MOST_LEVELS = 2, 8
_LEAST_QUBITS = 8


@dataclass(frozen=True)
class Half:
    """One half as a circuit: its qubits, those of the glue behind them."""

    num_qubits: int
    levels: list[Level]


@dataclass(frozen=True)
class Index:
    """Another index for basis states: bit i is the parity of the old bits in ``parities[i]``, ``flips[i]`` flips it."""

    flips: tuple[int, ...]
    parities: tuple[int, ...]

    def flip(self, x: int) -> int:
        """What flips the old bits in ``x``."""
        return _overlaps(x, self.parities)

    def parity(self, z: int) -> int:
        """The parity of the old bits in ``z``."""
        return _overlaps(z, self.flips)

    def level(self, level: Level) -> Level:
        runs = [Run(self.flip(run.x), self.parity(run.z), run.gates) for run in level.runs]
        return Level(runs, {self.parity(mask): angle for mask, angle in level.phase.items()})


@dataclass(frozen=True)
class Halves:
    """A circuit that starts from the product of two halves.

    Attributes:
        low, high: The halves; the index of a basis state is that in the low half, then that in the high one.
        glue: Number of qubits of the glue.
        rest: What is left of the circuit; its first layer is empty, as the halves are in its place.
        index: That of the rest.
    """

    low: Half
    high: Half
    glue: int
    rest: list[Level]
    index: Index


def halves_of(levels: Sequence[Level], num_qubits: int, num_inputs: int) -> Halves | None:
    """The halves of a circuit with the least glue; None where it has no such start, or one that would not pay.

    Args:
        levels: The circuit, as `levels_of` finds it.
        num_qubits: Number of qubits.
        num_inputs: Variables of a lower index differ from sample to sample; layers before them run once for a batch.
    """
    if num_qubits < _LEAST_QUBITS or not 3 <= len(levels) <= _MOST_LEVELS:
        return None
    first, second = levels[:2]
    if len(first.runs) < num_qubits or len(second.runs) < num_qubits:
        return None
    if num_inputs > 0 and not _varies(first, second, num_inputs):
        return None
    start = _Start(first, second)
    best = min((_Cut(start, shift) for shift in range(num_qubits)), key=lambda cut: cut.glue)
    return best.halves(levels[2:]) if best.glue <= _MOST_GLUE else None


def _varies(first: Level, second: Level, num_inputs: int) -> bool:
    runs = [*first.runs, *second.runs]
    angles = [*first.phase.values(), *(angle for run in runs for _, angle in run.gates)]
    return any(index < num_inputs for angle in angles for variables, _ in angle.terms for index in variables)


def _overlaps(mask: int, others: Iterable[int]) -> int:
    """Bit i: whether ``mask`` has an odd overlap with the i-th of the others."""
    return _mask_of(is_odd(mask & other) for other in others)


def _mask_of(flags: Iterable[int]) -> int:
    return sum(bool(flag) << i for i, flag in enumerate(flags))


class _Basis:
    """A basis of functions, each the parity of some bits, chosen from those given."""

    def __init__(self, functions: Iterable[int]) -> None:
        self.elements: list[int] = []
        self._rows: list[tuple[int, int]] = []  # a function, and which elements it is the sum of
        for function in functions:
            rest, parts = self._reduced(function)
            if rest:
                self._rows.append((rest, parts ^ 1 << len(self.elements)))
                self.elements.append(function)

    def __len__(self) -> int:
        return len(self.elements)

    def coordinates(self, function: int) -> int:
        """Bit i: whether the i-th element is part of the function."""
        return self._reduced(function)[1]

    def _reduced(self, function: int) -> tuple[int, int]:
        parts = 0
        for row, of_row in self._rows:
            if function ^ row < function:
                function, parts = function ^ row, parts ^ of_row
        return function, parts


class _Start:
    """The first two layers. Functions are parities of the bits that runs of the first one flip: bit k for run k."""

    def __init__(self, first: Level, second: Level) -> None:
        flips = [run.x for run in first.runs]
        self.first, self.second = first.runs, second.runs
        self.phase = second.phase
        self.reached = [_overlaps(run.z, flips) for run in second.runs]  # the bits that the second layer turns
        self.factors = [(_overlaps(mask, flips), angle) for mask, angle in first.phase.items() if angle.terms]


class _Cut:
    """A choice of halves: the same places in both layers, one half of them from ``shift`` on."""

    def __init__(self, start: _Start, shift: int) -> None:
        size = len(start.first)
        places = [(shift + i) % size for i in range(size)]
        self.start = start
        self.sides = places[: size // 2], places[size // 2 :]
        low, high = self.masks = [sum(1 << place for place in side) for side in self.sides]
        # What a half has to know of the other one. Factors across the cut go to the high one.
        across = [function & low for function, _ in start.factors if function & high]
        self.known = (
            _Basis(start.reached[place] & high for place in self.sides[0]),
            _Basis([*(start.reached[place] & low for place in self.sides[1]), *across]),
        )
        self.glue = len(self.known[0]) + len(self.known[1])

    def halves(self, rest: Sequence[Level]) -> Halves:
        """Both halves, and the rest of the circuit by the new index."""
        runs = [self.start.second[place] for side in self.sides for place in side]
        index = Index(tuple(run.x for run in runs), tuple(run.z for run in runs))
        levels = [index.level(level) for level in [Level([], self.start.phase), *rest]]
        return Halves(self._half(0), self._half(1), self.glue, levels, index)

    def _half(self, side: int) -> Half:
        """Its bits: those that its runs of the second layer turn; what the low half knows; what the high one knows."""
        start, own, other = self.start, self.sides[side], self.masks[1 - side]
        incoming, outgoing = self.known[side], self.known[1 - side]
        begins = len(own), len(own) + len(self.known[0])
        runs = []
        for place in own:
            flip = _mask_of(start.reached[one] >> place & 1 for one in own)
            flip |= _mask_of(element >> place & 1 for element in outgoing.elements) << begins[1 - side]
            runs.append(Run(flip, 0, start.first[place].gates))
        for glue in range(len(incoming)):
            flip = _mask_of(incoming.coordinates(start.reached[one] & other) >> glue & 1 for one in own)
            runs.append(Run(flip | 1 << begins[side] + glue, 0, [(Y, Polynomial.constant(math.pi / 2))]))
        for run in runs:
            z = conjugate_to(run.x, [one.x for one in runs if one is not run], run.x & -run.x)
            assert z is not None, "the flips are independent"
            run.z = z
        phase = {}
        for function, angle in start.factors:
            if bool(function & self.masks[1]) != bool(side):
                continue
            known = incoming.coordinates(function & other)
            parts = [function >> place & 1 for place in own] + [known >> glue & 1 for glue in range(len(incoming))]
            phase[reduce(xor, (run.z for run, part in zip(runs, parts, strict=True) if part))] = angle
        second = [Run(1 << bit, 1 << bit, start.second[place].gates) for bit, place in enumerate(own)]
        return Half(len(own) + self.glue, [Level(runs, phase), Level(second)])
