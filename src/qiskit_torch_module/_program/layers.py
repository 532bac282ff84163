"""From rotations in order of time to layers of runs and the phases between them.

A rotation about Z, or about a product of Z, is a phase. The others turn a *virtual qubit* (x, z), whose Pauli X flips
the index bits in ``x`` and whose Pauli Z is the parity of the bits in ``z``. Rotations of one virtual qubit with
nothing in between that does not commute form a run; runs that commute share a layer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import pi
from typing import TypeAlias

from .._core.schema import Axis
from .._reading.polynomials import Polynomial
from .gf2 import Latest, is_odd, solution
from .passes import Passes

X, Y, Z = map(int, Axis)
_QUARTER = Polynomial.constant(pi / 2)


@dataclass(frozen=True)
class Rotation:
    """exp(-i angle/2 P): P is Pauli ``axis`` of the virtual qubit (x, z); for Z only ``z`` counts and x is 0.

    For X only ``x`` counts; ``z`` is what the virtual qubit should have for its Z if there is a choice.
    """

    axis: int
    x: int
    z: int
    angle: Polynomial


def rotations_about(x: int, z: int, angle: Polynomial, own: int = 0) -> list[Rotation]:
    """exp(-i angle/2 P) of P = X^x Z^z, times i where that makes it Hermitian.

    Args:
        x: The mask of P that flips.
        z: The mask of P that signs.
        angle: The angle.
        own: A mask of Z that anticommutes with the flip; used where P is neither diagonal nor the Y of a virtual qubit.
    """
    if x == 0:
        return [Rotation(Z, 0, z, angle)]
    if is_odd(x & z):
        return [Rotation(Y, x, z, angle)]
    if z == 0:
        return [Rotation(X, x, own, angle)]
    # The Y of the virtual qubit (x, z ^ own), turned by a quarter about own.
    return [Rotation(Z, 0, own, _QUARTER), Rotation(Y, x, z ^ own, angle), Rotation(Z, 0, own, -_QUARTER)]


@dataclass(frozen=True)
class Run:
    """A fused sequence of rotations of one virtual qubit, in order of time: axes and angles."""

    x: int
    z: int
    gates: tuple[tuple[int, Polynomial], ...] = ()

    @property
    def is_real(self) -> bool:
        return all(axis == Y for axis, _ in self.gates)


@dataclass(frozen=True)
class Layer:
    """A layer of commuting runs and the phase after it: an angle for every mask of Z."""

    runs: tuple[Run, ...] = ()
    phase: Mapping[int, Polynomial] = field(default_factory=dict)


class _Sum:
    """An angle that others are added to, in time that does not grow with it."""

    __slots__ = ("terms",)

    def __init__(self, first: Polynomial) -> None:
        self.terms = dict(first.terms)

    def add(self, other: Polynomial | _Sum) -> None:
        for variables, coefficient in other.terms.items() if isinstance(other, _Sum) else other.terms:
            total = self.terms.get(variables, 0.0) + coefficient
            if total == 0.0:
                self.terms.pop(variables, None)
            else:
                self.terms[variables] = total


# Most angles are never added to.
_Angle: TypeAlias = "Polynomial | _Sum"


def _sum(first: _Angle, other: _Angle) -> _Sum:
    total = first if isinstance(first, _Sum) else _Sum(first)
    total.add(other)
    return total


def _polynomial(angle: _Angle) -> Polynomial:
    return Polynomial.of(angle.terms) if isinstance(angle, _Sum) else angle


class _OpenRun:
    """A run that may still grow."""

    __slots__ = ("gates", "x", "z")

    def __init__(self, x: int, z: int) -> None:
        self.x, self.z = x, z
        self.gates: list[tuple[int, _Angle]] = []

    def append(self, axis: int, angle: _Angle) -> None:
        if self.gates and self.gates[-1][0] == axis:
            angle = _sum(self.gates.pop()[1], angle)
        if angle.terms:
            self.gates.append((axis, angle))

    def closed(self) -> Run:
        return Run(self.x, self.z, tuple([(axis, _polynomial(angle)) for axis, angle in self.gates]))


class _OpenLayer:
    """A layer that may still grow."""

    __slots__ = ("phase", "runs")

    def __init__(self) -> None:
        self.runs: list[_OpenRun] = []
        self.phase: dict[int, _Angle] = {}

    def add_phase(self, z: int, angle: _Angle) -> None:
        self.phase[z] = _sum(self.phase[z], angle) if z in self.phase else angle

    def closed(self) -> Layer:
        runs = tuple([run.closed() for run in self.runs])
        return Layer(runs, {mask: _polynomial(angle) for mask, angle in self.phase.items()})


class _OpenLayers:
    """Puts rotations, in order of time, into layers as early as they can act.

    Attributes:
        layers: So far. New ones come last, and runs stay where they have been put.
        dropped: Angles of phases that act on |0...0>.
    """

    def __init__(self, fuses: bool) -> None:
        self.layers: list[_OpenLayer] = []
        self.dropped: list[Polynomial] = []
        self._fuses = fuses
        # Where the way down ends, without a look at every layer: masks that runs flip; masks of Z of runs and phases. A
        # phase that is taken out leaves its mask to the run that it joins, which is no lower.
        self._flips, self._signs = Latest(), Latest()

    def insert(self, rotation: Rotation) -> None:
        if rotation.axis == Z:
            self._insert_phase(rotation.z, rotation.angle)
        else:
            self._insert_rotation(rotation)

    def _insert_phase(self, z: int, angle: _Angle) -> None:
        """It passes all runs whose flips it commutes with, and joins a run that it is the Z of."""
        lowest = self._flips.odd(z)
        if lowest < 0:
            self.dropped.append(_polynomial(angle))
            return
        layer = self.layers[lowest]
        for run in layer.runs:
            if self._fuses and run.z == z:
                run.append(Z, angle)
                return
        layer.add_phase(z, angle)
        self._signs.add(z, lowest)

    def _insert_rotation(self, rotation: Rotation) -> None:
        x, z, is_flip = rotation.x, rotation.z, rotation.axis == X
        gates: list[tuple[int, _Angle]] = [(rotation.axis, rotation.angle)]
        # The last layer with a phase or run that does not commute: no layer above it holds a run of the same virtual
        # qubit or a phase that is its Z, neither of which does.
        lowest = self._signs.odd(x) if is_flip else max(self._signs.odd(x), self._flips.odd(z))
        if lowest >= 0:
            layer, above = self.layers[lowest], self.layers[lowest + 1].runs if lowest + 1 < len(self.layers) else []
            # A phase of the same virtual qubit joins the run, where the run may start above it.
            if self._fuses and z in layer.phase and not any(is_odd(run.x & z) for run in above):
                gates.insert(0, (Z, layer.phase.pop(z)))
                is_flip = False
            if self._fuses and not any(is_odd(mask & x) for mask in layer.phase):
                same = next((run for run in layer.runs if run.x == x and (is_flip or run.z == z)), None)
                if same is not None:
                    for axis, angle in gates:
                        same.append(axis, angle)
                    return
        self._start_run(lowest + 1, x, z if not is_flip else None, z, gates)

    def _start_run(
        self, position: int, x: int, z: int | None, preferred: int, gates: Sequence[tuple[int, _Angle]]
    ) -> None:
        """Starts a run in the first layer from `position` on that has room; for a pure flip (no z) any Z will do."""
        while position < len(self.layers) and z is None:
            z = _conjugate_to(x, [run.x for run in self.layers[position].runs], preferred)
            position += z is None
        if position == len(self.layers):
            self.layers.append(_OpenLayer())
        run = _OpenRun(x, preferred if z is None else z)
        for axis, angle in gates:
            run.append(axis, angle)
        self.layers[position].runs.append(run)
        self._flips.add(run.x, position)
        self._signs.add(run.z, position)


def layers_of(rotations: Iterable[Rotation], passes: Passes | None = None) -> tuple[tuple[Layer, ...], Polynomial]:
    """Layers as early as possible; and the phase of what acts on |0...0> by no more than a phase, and is dropped."""
    passes = passes or Passes()
    opened = _OpenLayers(passes.fusion)
    for rotation in rotations:
        opened.insert(rotation)
    kept, on_zero = _without_empty_layers(opened.layers)
    layers = [layer.closed() for layer in kept]
    if layers and not passes.product_state:
        layers.insert(0, Layer((Run(x=1, z=1),)))  # the identity: what follows is no first layer
    return tuple(layers), -0.5 * Polynomial.sum([*opened.dropped, *on_zero])


def _without_empty_layers(layers: Iterable[_OpenLayer]) -> tuple[list[_OpenLayer], list[Polynomial]]:
    """Angles may cancel: where no run is left, the phase joins the one before, or acts on |0...0> as nothing."""
    kept: list[_OpenLayer] = []
    on_zero: list[Polynomial] = []
    for layer in layers:
        layer.runs = [run for run in layer.runs if run.gates]
        if layer.runs:
            kept.append(layer)
        elif kept:
            for mask, angle in layer.phase.items():
                kept[-1].add_phase(mask, angle)
        else:
            on_zero.extend(_polynomial(angle) for angle in layer.phase.values())
    return kept, on_zero


def _conjugate_to(x: int, others: Sequence[int], preferred: int) -> int | None:
    """A mask of odd overlap with x and even overlap with the others, `preferred` if it is one; None: there is none."""
    if not any(is_odd(other & preferred) for other in others):
        return preferred
    return solution([*((other, False) for other in others), (x, True)])
