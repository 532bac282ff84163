"""Rotations that flip the same bits, taken together as rotations that act only where others are in certain states.

Rotations about Pauli words X^x Z^z of one x that commute are one rotation about X^x D with a diagonal D, which is a
number for every state of a few virtual qubits, often zero for most of them: all eight words of a double excitation
leave it to 2 of 16 states of its four qubits, the two of a single excitation to 2 of 4, those of a rotation with
controls to where these are in |1>. (Such groups are what Givens rotations of fermions are; Anselmetti et al.,
arXiv:2104.05695, Eq. 4.)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeGuard

from .._reading.polynomials import Polynomial
from .dense import ControlledRotation, Diagonal, Matrix, PlainStep, Step, VirtualQubits
from .gf2 import Basis, is_odd, solution
from .layers import Rotation, X, Y, Z, rotations_about
from .words import Word, words_of

_FARTHEST = 24  # groups that a rotation passes on its way to one that it joins
_MOST_CONTROLS = 8
_ROUNDING = 1e-14  # of coefficients that cancel, relative to their sizes


def taken_together(steps: Sequence[PlainStep]) -> tuple[list[Step], int]:
    """The same steps, in an order of time that is as good, in groups where these are fewer.

    Returns:
        These steps, and the power of i that their state lacks.
    """
    groups: list[_Group | Matrix | Diagonal] = []
    words, power = words_of(steps)
    for word in words:
        if isinstance(word, Word):
            _add(groups, word)
        else:
            groups.append(word)
    taken = (step for group in groups for step in (group.steps() if isinstance(group, _Group) else [group]))
    return side_by_side(taken), power


def side_by_side(steps: Iterable[Step]) -> list[Step]:
    """The same with rotations about words of Z next to each other, where they commute with what is in between."""
    found: list[Step] = []
    for step in steps:
        found.insert(_place(found, step), step)
    return found


def _place(steps: Sequence[Step], new: Step) -> int:
    """Of another step: after the latest rotation about a word of Z, if it is one, or after all."""
    if not _is_diagonal(new):
        return len(steps)
    for place in range(len(steps), max(len(steps) - _FARTHEST, 0), -1):
        before = steps[place - 1]
        if _is_diagonal(before):
            return place
        if any(is_odd(flip & new.z) for flip in _flipped(before)):
            break
    return len(steps)


def _is_diagonal(step: Step) -> TypeGuard[Rotation]:
    return isinstance(step, Rotation) and step.axis == Z


# What another rotation about a word of Z takes of a pass, next to one: as `next_diagonal` in src/engine/tuning.hpp.
_NEXT_DIAGONAL = 0.1


def sweeps(steps: Iterable[Step], num_qubits: int = 0) -> float:
    """How many passes over the state they take; one that touches a part of it counts as that part."""
    count, after_diagonal = 0.0, False
    for step, part in zip(steps := list(steps), parts(steps, num_qubits), strict=True):
        count += min(part, _NEXT_DIAGONAL) if _is_diagonal(step) and after_diagonal else part
        after_diagonal = _is_diagonal(step)
    return count


def parts(steps: Iterable[Step], num_qubits: int = 0) -> Iterator[float]:
    """What each touches of the state: what controls leave; from |0...0> of so many qubits, no more than is reached."""
    reached = Basis(())
    for step in steps:
        for flip in _flipped(step) if len(reached) < num_qubits else ():
            reached.add(flip)
        controls = len(step.controls) if isinstance(step, ControlledRotation) else 0
        yield 0.5 ** (controls + max(num_qubits - len(reached), 0))


def _flipped(step: Step) -> Sequence[int]:
    if isinstance(step, ControlledRotation):
        return (step.rotation.x,)
    return (step.x,) if isinstance(step, Rotation) else step.qubits.flips


@dataclass
class _Group:
    """Rotations about words that flip the same bits and commute: angles by masks of Z."""

    x: int
    is_imaginary: bool
    angles: dict[int, Polynomial] = field(default_factory=dict)

    def takes(self, word: Word) -> bool:
        """Diagonal words stay by themselves: they leave nothing out."""
        same = word.x == self.x and word.is_imaginary == self.is_imaginary
        return same and (self.x != 0 or word.z in self.angles)

    @property
    def _own(self) -> int:
        """A mask of Z that anticommutes with the flip."""
        return self.x & -self.x

    def add(self, word: Word) -> None:
        self.angles[word.z] = self.angles[word.z] + word.angle if word.z in self.angles else word.angle

    def steps(self) -> list[Step]:
        apart: list[Step] = []
        for z, angle in self.angles.items():
            apart += rotations_about(self.x, z, angle, self._own) if angle.terms else []
        if self.x == 0 or not apart:
            return apart
        together = self._together()
        return apart if together is None or len(together) > len(apart) else together

    def _together(self) -> list[Step] | None:
        """A rotation for every state of the controls that leaves an angle; None: there are too many controls."""
        first = next(iter(self.angles)) if self.is_imaginary else 0
        basis = Basis(z ^ first for z in self.angles)
        if len(basis) > _MOST_CONTROLS:
            return None
        axis, z = (Y, first) if self.is_imaginary else (X, self._own)
        parts = [(basis.coordinates(z ^ first), angle) for z, angle in self.angles.items()]
        flips = _flips(basis.elements)
        steps: list[Step] = []
        for state in range(1 << len(basis)):
            angle = _difference(parts, state)
            if not angle.terms:
                continue
            rotation = Rotation(axis, self.x, z, angle)
            states = tuple(bool(state >> i & 1) for i in range(len(basis)))
            controls = VirtualQubits(flips, tuple(basis.elements), states)
            steps.append(ControlledRotation(rotation, controls) if flips else rotation)
        return steps


def _add(groups: list[_Group | Matrix | Diagonal], word: Word) -> None:
    """To the latest group that takes it, if it commutes with all in between."""
    for group in reversed(groups[-_FARTHEST:]):
        if not isinstance(group, _Group):
            break
        if group.takes(word):
            return group.add(word)
        if not all(word.commutes(group.x, z) for z in group.angles):
            break
    groups.append(_Group(word.x, word.is_imaginary, {word.z: word.angle}))
    return None


def _difference(parts: Sequence[tuple[int, Polynomial]], state: int) -> Polynomial:
    """The sum of angles, each with the sign of its mask in a state; what cancels up to rounding is left out."""
    total: dict[tuple[int, ...], float] = {}
    size: dict[tuple[int, ...], float] = {}
    for mask, angle in parts:
        sign = -1.0 if is_odd(mask & state) else 1.0
        for variables, coefficient in angle.terms:
            total[variables] = total.get(variables, 0.0) + sign * coefficient
            size[variables] = size.get(variables, 0.0) + abs(coefficient)
    return Polynomial.of({v: c for v, c in total.items() if abs(c) > _ROUNDING * size[v]})


def _flips(signs: Sequence[int]) -> tuple[int, ...]:
    """For each of several independent masks, one of odd overlap with it and even overlap with the others."""
    flips = []
    for i in range(len(signs)):
        flip = solution((sign, i == j) for j, sign in enumerate(signs))
        assert flip is not None
        flips.append(flip)
    return tuple(flips)
