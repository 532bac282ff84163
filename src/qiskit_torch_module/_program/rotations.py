"""Which rotations of a circuit are felt by what is read in the end, and all of them by angles of their own."""

from __future__ import annotations

from dataclasses import replace
from math import pi

from .._reading.polynomials import Polynomial
from .dense import Matrix, VirtualQubits
from .evolution import Evolution
from .gf2 import Basis, is_odd
from .layers import Rotation, X
from .output import ExpectationValues

# An angle that is nearer to a multiple of a quarter turn acts like it.
_QUARTER_TOLERANCE = 1e-12


def felt(evolution: Evolution, output: ExpectationValues) -> tuple[bool, ...]:
    """For each rotation, whether an expectation value can depend on its angle.

    A rotation about P leaves what commutes with P alone, and turns any other Pauli A into a mixture of A and PA. So
    whatever the observables are before it, seen from the end, lies in a group of Paulis, that of their terms and of the
    later rotations that do not commute with all of it; of quarter turns the group is turned as a whole. A rotation that
    commutes with the group is not felt. Of one that does not, values depend on the angle unless terms cancel.
    """
    group, width = _Group(evolution.num_qubits), evolution.num_qubits
    for x, z in sorted({*zip(map(int, output.terms.x), map(int, output.terms.z), strict=True)}):
        group.add(_word(x, z, width))
    found = []
    for step in reversed(evolution.steps):
        if isinstance(step, Rotation):
            found.append(_is_felt(step, group, width))
            continue
        acted = _on_qubits(step.qubits, width, isinstance(step, Matrix))
        if any(group.is_moved_by(word) for word in acted):
            for word in acted:
                group.add(word)
    return tuple(reversed(found))


def _is_felt(rotation: Rotation, group: _Group, width: int) -> bool:
    word = _word(rotation.x, 0 if rotation.axis == X else rotation.z, width)
    if not group.is_moved_by(word):
        return False
    quarters = rotation.angle.constant_value / (pi / 2)
    if rotation.angle.degree > 0 or abs(quarters - round(quarters)) > _QUARTER_TOLERANCE:
        group.add(word)
    elif round(quarters) % 2:
        group.turn(word)
    return True


def _word(x: int, z: int, width: int) -> int:
    """A Pauli but for its phase, as one mask."""
    return x << width | z


def _on_qubits(qubits: VirtualQubits, width: int, with_flips: bool) -> list[int]:
    """The Paulis Z, and perhaps X, of some qubits."""
    words = [_word(0, sign, width) for sign in qubits.signs]
    return words + [_word(flip, 0, width) for flip in qubits.flips] if with_flips else words


class _Group:
    """A group of Paulis, but for their phases, by independent generators."""

    def __init__(self, width: int) -> None:
        self._width, self._basis = width, Basis(())

    @property
    def _is_full(self) -> bool:
        return len(self._basis) == 2 * self._width

    def add(self, word: int) -> None:
        """Makes it hold a Pauli, too."""
        if not self._is_full:
            self._basis.add(word)

    def is_moved_by(self, word: int) -> bool:
        """Whether a Pauli does not commute with all of it."""
        if self._is_full:
            return word != 0
        swapped = self._swapped(word)
        return any(is_odd(other & swapped) for other in self._basis.elements)

    def turn(self, word: int) -> None:
        """Turns all of it by a quarter about a Pauli."""
        if not self._is_full:
            swapped = self._swapped(word)
            self._basis = Basis([other ^ word if is_odd(other & swapped) else other for other in self._basis.elements])

    def _swapped(self, word: int) -> int:
        """What has an odd overlap with the Paulis that do not commute with this one."""
        return (word & ((1 << self._width) - 1)) << self._width | word >> self._width


def apart(evolution: Evolution) -> Evolution:
    """The same with an input of its own for the angle of every rotation that is not constant, and no other variables.

    The global phase, which expectation values do not show, is left out.

    Raises:
        ValueError: a diagonal turns by an angle that varies.
    """
    if (fault := not_apart(evolution)) is not None:
        raise ValueError(fault)
    rotations, number = [], 0
    for rotation in evolution.rotations:
        if rotation.angle.degree > 0:
            rotation, number = replace(rotation, angle=Polynomial.variable(number)), number + 1
        rotations.append(rotation)
    return replace(
        evolution.underived, num_inputs=number, num_weights=0, rotations=tuple(rotations), phase=Polynomial()
    )


def not_apart(evolution: Evolution) -> str | None:
    """Why the angles of the rotations do not say all about a circuit, if they do not."""
    if any(step.angle.degree > 0 for step in evolution.diagonals):
        return (
            "the circuit holds a diagonal of many energies with an angle that varies, which is no rotation of a Pauli; "
            "decompose() it into gates of few qubits first"
        )
    return None


def varying(evolution: Evolution) -> list[int]:
    """The rotations whose angles are not constant, which are the inputs of `apart`."""
    return [number for number, rotation in enumerate(evolution.rotations) if rotation.angle.degree > 0]
