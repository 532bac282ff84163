"""Rotations about Pauli words, and the quarter turns between them, which only change what the others are about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import pi

import numpy as np

from .._reading.paulis import Bits, Masks, parity
from .._reading.polynomials import Polynomial
from .dense import Diagonal, Matrix, PlainStep
from .gf2 import is_odd
from .layers import Rotation, X

_QUARTER = pi / 2
_MOST_QUARTERS = 64  # of an angle: many more have no digits that tell whether they are whole
_MOST_TURNS = 64  # that wait for others that undo them


@dataclass(frozen=True)
class Word:
    """exp(-i angle/2 P): P is X^x Z^z, times i where that makes it Hermitian."""

    x: int
    z: int
    angle: Polynomial

    @property
    def is_imaginary(self) -> bool:
        return is_odd(self.x & self.z)

    def negated(self) -> Word:
        return Word(self.x, self.z, -self.angle)

    def commutes(self, x: int, z: int) -> bool:
        return is_odd(self.x & z) == is_odd(x & self.z)


def words_of(steps: Iterable[PlainStep]) -> tuple[list[Word | Matrix | Diagonal], int]:
    """Rotations as words, in an order of time that is as good, with quarter turns moved behind them until they cancel.

    So the ladder of a rotation about a word, between Hadamard gates and back, is that rotation.

    Returns:
        The words, and the power of i that their state lacks.
    """
    words: list[Word | Matrix | Diagonal] = []
    turns = QuarterTurns()
    for step in steps:
        if isinstance(step, Rotation):
            words += turns.passed_by(step)
        else:
            words += [*turns.taken(), step]
    signs = turns.signs_on_zero()
    if signs and all(isinstance(word, Word) for word in words):
        words = [word.negated() if isinstance(word, Word) and is_odd(word.x & signs) else word for word in words]
        return words, turns.power % 4
    return [*words, *turns.taken()], turns.power % 4


def _split(angle: Polynomial) -> tuple[Polynomial, int]:
    """The angle without a constant of a few whole quarter turns, and their number; else the angle, and 0."""
    constant = angle.constant_value
    quarters = round(constant / _QUARTER)
    if not 0 < abs(quarters) <= _MOST_QUARTERS or abs(constant - quarters * _QUARTER) > 1e-15 * abs(constant):
        return angle, 0
    return Polynomial(tuple(term for term in angle.terms if term[0])), quarters


def _power_of_product(x: int, z: int, other_x: int, other_z: int) -> int:
    """The power of i that the product of two Hermitian words has, the first one to the left, beside such a word."""
    power = is_odd(x & z) + is_odd(other_x & other_z) - is_odd((x ^ other_x) & (z ^ other_z))
    return power + 2 * is_odd(z & other_x)


class QuarterTurns:
    """Turns so far, in order of time: single quarters, then a product of half turns, which are Paulis.

    Attributes:
        quarters: Their masks x and z, and whether they go the other way.
        power: Of i, by which what they all are, and those that were taken, have to be multiplied.
    """

    def __init__(self) -> None:
        self.quarters: list[tuple[int, int, bool]] = []
        self.power = 0
        self._half = (0, 0)

    def passed_by(self, rotation: Rotation) -> Iterator[Word]:
        """A later rotation without its own quarter turns, which join the others, as it is before them all."""
        x, z = rotation.x, 0 if rotation.axis == X else rotation.z
        rest, quarters = _split(rotation.angle)
        if rest.terms:
            yield self.moved_behind(Word(x, z, rest))
        if quarters:
            self.add(x, z, quarters)
            if len(self.quarters) > _MOST_TURNS:
                yield from self.taken()

    def add(self, x: int, z: int, quarters: int) -> None:
        """Some quarters about a word: of four, -1 is left, of two, -i times the word."""
        self.power += 2 * (quarters // 4 % 2)
        quarters %= 4
        if quarters == 0:
            return
        if quarters == 2:
            self.power += 3 + _power_of_product(x, z, *self._half)
            self._turn_half(x, z)
            return
        self.power += 2 * (quarters == 3)  # one quarter back, for three forward
        word, backwards = Word(x, z, Polynomial()), (quarters == 3) != self._anticommutes(x, z)
        for place in reversed(range(len(self.quarters))):
            other_x, other_z, other_backwards = self.quarters[place]
            if (other_x, other_z) == (x, z):
                del self.quarters[place]
                if other_backwards == backwards:
                    self.power += (1 if backwards else 3) + _power_of_product(*self._half, x, z)
                    self._move_to_the_end(x, z, place)
                return
            if not word.commutes(other_x, other_z):
                break
        self.quarters.append((x, z, backwards))

    def moved_behind(self, word: Word) -> Word:
        """What a later rotation becomes, if it comes first."""
        x, z, angle = word.x, word.z, word.angle
        negative = self._anticommutes(x, z)
        for turn_x, turn_z, backwards in reversed(self.quarters):
            if is_odd(x & turn_z) == is_odd(turn_x & z):
                continue
            # -i times the product of both, which is Hermitian, times i^2 = -1 for every second i.
            power = is_odd(x & z) + is_odd(turn_x & turn_z) - is_odd((x ^ turn_x) & (z ^ turn_z)) - 1
            negative ^= backwards ^ is_odd(z & turn_x) ^ (power % 4 == 2)
            x, z = x ^ turn_x, z ^ turn_z
        moved = Word(x, z, angle)
        return moved.negated() if negative else moved

    def moved_behind_all(self, x: Masks, z: Masks) -> tuple[Masks, Masks, Bits]:
        """What later Pauli words, given by masks, become, if they come first; and whether their signs change."""
        half_x, half_z = self._half
        negative = parity(x & half_z) ^ parity(z & half_x)
        for turn_x, turn_z, backwards in reversed(self.quarters):
            other_x, other_z = x ^ turn_x, z ^ turn_z
            power = parity(x & z) + int(is_odd(turn_x & turn_z)) - parity(other_x & other_z).astype(int) - 1
            turned = parity(x & turn_z) ^ parity(z & turn_x)
            negative ^= turned & (backwards ^ parity(z & turn_x) ^ (power % 4 == 2))
            x, z = np.where(turned, other_x, x).astype(x.dtype), np.where(turned, other_z, z).astype(z.dtype)
        return x, z, negative

    def signs_on_zero(self) -> int:
        """The mask of Z that they all come to, or 0: before all others, that acts on |0...0> as nothing but a phase."""
        return 0 if self.quarters or self._half[0] else self._half[1]

    def taken(self) -> Iterator[Word]:
        """Gives all of them away: none are left."""
        for x, z, backwards in self.quarters:
            yield Word(x, z, Polynomial.constant(-_QUARTER if backwards else _QUARTER))
        if any(self._half):
            self.power += 1
            yield Word(*self._half, Polynomial.constant(2 * _QUARTER))
        self.quarters, self._half = [], (0, 0)

    def _turn_half(self, x: int, z: int) -> None:
        self._half = (self._half[0] ^ x, self._half[1] ^ z)

    def _anticommutes(self, x: int, z: int) -> bool:
        return is_odd(x & self._half[1]) != is_odd(self._half[0] & z)

    def _move_to_the_end(self, x: int, z: int, place: int) -> None:
        """A half turn that came before others goes the other way about what it does not commute with."""
        half = Word(x, z, Polynomial())
        for later in range(place, len(self.quarters)):
            other_x, other_z, backwards = self.quarters[later]
            self.quarters[later] = other_x, other_z, backwards == half.commutes(other_x, other_z)
        self._turn_half(x, z)
