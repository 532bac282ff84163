"""From rotations in order of time to layers of runs and the phases between them, as the engine wants them.

A rotation about Z, or about a product of Z, is a phase. The others turn a *virtual qubit* (x, z), whose Pauli X flips
the index bits in ``x`` and whose Pauli Z is the parity of the bits in ``z``. Rotations of one virtual qubit with
nothing in between that does not commute form a run; runs that commute share a layer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from .._core.schema import AngleArrays, Axis, CircuitArrays, PhaseArrays, RunArrays, Source, Switches
from .._reading.polynomials import Polynomial
from .gf2 import Latest, is_odd, solution
from .passes import Passes

X, Y, Z = map(int, Axis)
_ROTATION, _RUN_LEFT, _RUN_RIGHT = map(int, Source)


@dataclass(frozen=True)
class Rotation:
    """exp(-i angle/2 P): P is Pauli ``axis`` of the virtual qubit (x, z); for Z only ``z`` counts and x is 0.

    For X only ``x`` counts; ``z`` is what the virtual qubit should have for its Z if there is a choice.
    """

    axis: int
    x: int
    z: int
    angle: Polynomial


@dataclass
class Run:
    """A fused sequence of rotations of one virtual qubit, in order of time: axes and angles."""

    x: int
    z: int
    gates: list[tuple[int, Polynomial]] = field(default_factory=list)

    @property
    def is_real(self) -> bool:
        return all(axis == Y for axis, _ in self.gates)


@dataclass
class Level:
    """A layer of commuting runs and the phase after it: an angle for every mask of Z."""

    runs: list[Run] = field(default_factory=list)
    phase: dict[int, Polynomial] = field(default_factory=dict)


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


class _OpenLevel:
    """A level that may still grow."""

    __slots__ = ("phase", "runs")

    def __init__(self) -> None:
        self.runs: list[_OpenRun] = []
        self.phase: dict[int, _Angle] = {}

    def add_phase(self, z: int, angle: _Angle) -> None:
        self.phase[z] = _sum(self.phase[z], angle) if z in self.phase else angle

    def closed(self) -> Level:
        runs = [Run(run.x, run.z, [(axis, _polynomial(angle)) for axis, angle in run.gates]) for run in self.runs]
        return Level(runs, {mask: _polynomial(angle) for mask, angle in self.phase.items()})


class _Planner:
    """Puts rotations, in order of time, into levels as early as they can act.

    Attributes:
        levels: So far. New ones come last, and runs stay where they have been put.
        dropped: Angles of phases that act on |0...0>.
    """

    def __init__(self, fuses: bool) -> None:
        self.levels: list[_OpenLevel] = []
        self.dropped: list[Polynomial] = []
        self._fuses = fuses
        # Where the way down ends, without a look at every level: masks that runs flip; masks of Z of runs and phases. A
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
        level = self.levels[lowest]
        for run in level.runs:
            if self._fuses and run.z == z:
                run.append(Z, angle)
                return
        level.add_phase(z, angle)
        self._signs.add(z, lowest)

    def _insert_rotation(self, rotation: Rotation) -> None:
        x, z, is_flip = rotation.x, rotation.z, rotation.axis == X
        gates: list[tuple[int, _Angle]] = [(rotation.axis, rotation.angle)]
        # The last level with a phase or run that does not commute: no level above it holds a run of the same virtual
        # qubit or a phase that is its Z, neither of which does.
        lowest = self._signs.odd(x) if is_flip else max(self._signs.odd(x), self._flips.odd(z))
        if lowest >= 0:
            level, above = self.levels[lowest], self.levels[lowest + 1].runs if lowest + 1 < len(self.levels) else []
            # A phase of the same virtual qubit joins the run, where the run may start above it.
            if self._fuses and z in level.phase and not any(is_odd(run.x & z) for run in above):
                gates.insert(0, (Z, level.phase.pop(z)))
                is_flip = False
            if self._fuses and not any(is_odd(mask & x) for mask in level.phase):
                same = next((run for run in level.runs if run.x == x and (is_flip or run.z == z)), None)
                if same is not None:
                    for axis, angle in gates:
                        same.append(axis, angle)
                    return
        self._start_run(lowest + 1, x, z if not is_flip else None, z, gates)

    def _start_run(
        self, position: int, x: int, z: int | None, preferred: int, gates: Sequence[tuple[int, _Angle]]
    ) -> None:
        """Starts a run in the first level from `position` on that has room; for a pure flip (no z) any Z will do."""
        while position < len(self.levels) and z is None:
            z = _conjugate_to(x, [run.x for run in self.levels[position].runs], preferred)
            position += z is None
        if position == len(self.levels):
            self.levels.append(_OpenLevel())
        run = _OpenRun(x, preferred if z is None else z)
        for axis, angle in gates:
            run.append(axis, angle)
        self.levels[position].runs.append(run)
        self._flips.add(run.x, position)
        self._signs.add(run.z, position)


def levels_of(rotations: Iterable[Rotation], passes: Passes | None = None) -> tuple[list[Level], Polynomial]:
    """Layers as early as possible; and the phase of what acts on |0...0> by no more than a phase, and is dropped."""
    passes = passes or Passes()
    planner = _Planner(passes.fusion)
    for rotation in rotations:
        planner.insert(rotation)
    kept, on_zero = _without_empty_layers(planner.levels)
    levels = [level.closed() for level in kept]
    if levels and not passes.product_state:
        levels.insert(0, Level([Run(x=1, z=1)]))  # the identity: what follows is no first layer
    return levels, -0.5 * Polynomial.sum([*planner.dropped, *on_zero])


def _without_empty_layers(levels: Iterable[_OpenLevel]) -> tuple[list[_OpenLevel], list[Polynomial]]:
    """Angles may cancel: where no run is left, the phase joins the one before, or acts on |0...0> as nothing."""
    kept: list[_OpenLevel] = []
    on_zero: list[Polynomial] = []
    for level in levels:
        level.runs = [run for run in level.runs if run.gates]
        if level.runs:
            kept.append(level)
        elif kept:
            for mask, angle in level.phase.items():
                kept[-1].add_phase(mask, angle)
        else:
            on_zero.extend(_polynomial(angle) for angle in level.phase.values())
    return kept, on_zero


def _conjugate_to(x: int, others: Sequence[int], preferred: int) -> int | None:
    """A mask of odd overlap with x and even overlap with the others, `preferred` if it is one; None: there is none."""
    if not any(is_odd(other & preferred) for other in others):
        return preferred
    return solution([*((other, False) for other in others), (x, True)])


def _begins(sizes: Iterable[int]) -> list[int]:
    begins = [0]
    for size in sizes:
        begins.append(begins[-1] + size)
    return begins


class _Angles:
    """The angle table: equal polynomials share a row."""

    def __init__(self) -> None:
        self.rows: dict[Polynomial, int] = {}

    def row(self, angle: Polynomial) -> int:
        return self.rows.setdefault(angle, len(self.rows))

    def arrays(self) -> AngleArrays:
        constants: list[float] = []
        coefficients: list[float] = []
        term_counts: list[int] = []
        factor_counts: list[int] = []
        factors: list[int] = []
        for angle in self.rows:
            constant, count = 0.0, 0
            for variables, coefficient in angle.terms:
                if not variables:
                    constant = coefficient
                    continue
                count += 1
                coefficients.append(coefficient)
                factor_counts.append(len(variables))
                factors += variables
            constants.append(constant)
            term_counts.append(count)
        return {
            "angle_constant": _doubles(constants),
            "angle_term_begin": _ints(_begins(term_counts)),
            "term_coefficient": _doubles(coefficients),
            "term_factor_begin": _ints(_begins(factor_counts)),
            "factor_variable": _ints(factors),
        }


def _doubles(values: Sequence[float]) -> npt.NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64)


def _ints(values: Sequence[int]) -> npt.NDArray[np.int32]:
    return np.asarray(values, dtype=np.int32)


def _masks(values: Sequence[int]) -> npt.NDArray[np.uint32]:
    return np.asarray(values, dtype=np.uint32)


def engine_arrays(levels: Sequence[Level], passes: Passes | None = None) -> CircuitArrays:
    """The circuit's share of what the engine takes."""
    passes = passes or Passes()
    angles = _Angles()
    runs = [run for level in levels for run in level.runs]
    in_runs: RunArrays = {
        "run_x": _masks([run.x for run in runs]),
        "run_z": _masks([run.z for run in runs]),
        "run_gate_begin": _ints(_begins(len(run.gates) for run in runs)),
        "gate_axis": _ints([axis for run in runs for axis, _ in run.gates]),
        "gate_angle": _ints([angles.row(angle) for run in runs for _, angle in run.gates]),
        "layer_run_begin": _ints(_begins(len(level.runs) for level in levels)),
    }
    in_phases = _phase_arrays(levels, angles)
    switches: Switches = {
        "merges_diagonals": passes.diagonal_merging,
        "shares_prefix": passes.shared_prefix,
        "absorbs_observables": passes.observable_absorption,
    }
    return {**in_runs, **in_phases, **angles.arrays(), **switches}


def _phase_arrays(levels: Sequence[Level], angles: _Angles) -> PhaseArrays:
    character_counts = [0]  # before the first layer every phase acts on |0...0>
    masks: list[int] = []
    source_counts: list[int] = []
    sources: list[tuple[int, int]] = []
    first_run = 0
    for position, level in enumerate(levels):
        following = levels[position + 1] if position + 1 < len(levels) else None
        characters = _characters(level, following, first_run, angles)
        first_run += len(level.runs)
        character_counts.append(len(characters))
        for mask, found in characters.items():
            masks.append(mask)
            source_counts.append(len(found))
            sources.extend(found)
    return {
        "phase_character_begin": _ints(_begins(character_counts)),
        "character_mask": _masks(masks),
        "character_source_begin": _ints(_begins(source_counts)),
        "source_kind": _ints([kind for kind, _ in sources]),
        "source_index": _ints([index for _, index in sources]),
    }


def _characters(
    level: Level, following: Level | None, first_run: int, angles: _Angles
) -> dict[int, list[tuple[int, int]]]:
    """What multiplies the amplitudes of odd parity, by mask.

    Right diagonals of the runs that follow, left ones of the runs before, and rotations of their own.
    """
    characters: dict[int, list[tuple[int, int]]] = {}
    after = first_run + len(level.runs)
    for offset, run in enumerate(following.runs if following is not None else []):
        if not run.is_real:
            characters.setdefault(run.z, []).append((_RUN_RIGHT, after + offset))
    for offset, run in enumerate(level.runs):
        if not run.is_real:
            characters.setdefault(run.z, []).append((_RUN_LEFT, first_run + offset))
    for mask, angle in level.phase.items():
        if angle.terms:
            characters.setdefault(mask, []).append((_ROTATION, angles.row(angle)))
    return characters
