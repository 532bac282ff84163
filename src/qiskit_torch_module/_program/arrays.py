"""Layers as the flat arrays that the engine takes (`_core.schema`)."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from .._core.schema import AngleArrays, CircuitArrays, PhaseArrays, RunArrays, Source, Switches
from .._reading.polynomials import Polynomial
from .layers import Layer
from .passes import Passes

_ROTATION, _RUN_LEFT, _RUN_RIGHT = map(int, Source)


def begins_of(sizes: Iterable[int]) -> list[int]:
    """Where parts of these sizes begin, and the last one ends."""
    begins = [0]
    for size in sizes:
        begins.append(begins[-1] + size)
    return begins


class AngleTable:
    """Angles as the engine takes them: equal polynomials share a row."""

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
            "angle_term_begin": ints(begins_of(term_counts)),
            "term_coefficient": _doubles(coefficients),
            "term_factor_begin": ints(begins_of(factor_counts)),
            "factor_variable": ints(factors),
        }


def _doubles(values: Sequence[float]) -> npt.NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64)


def ints(values: Iterable[int]) -> npt.NDArray[np.int32]:
    """Counts and indices as the engine takes them."""
    return np.fromiter(values, dtype=np.int32)


def masks_of(values: Iterable[int]) -> npt.NDArray[np.uint32]:
    """Masks of bits as the engine takes them."""
    return np.fromiter(values, dtype=np.uint32)


def engine_arrays(
    layers: Sequence[Layer], passes: Passes | None = None, angles: AngleTable | None = None
) -> CircuitArrays:
    """The circuit's share of what the engine takes; the angles of what is read are in the table already."""
    passes = passes or Passes()
    angles = angles or AngleTable()
    runs = [run for layer in layers for run in layer.runs]
    in_runs: RunArrays = {
        "run_x": masks_of([run.x for run in runs]),
        "run_z": masks_of([run.z for run in runs]),
        "run_gate_begin": ints(begins_of(len(run.gates) for run in runs)),
        "gate_axis": ints([axis for run in runs for axis, _ in run.gates]),
        "gate_angle": ints([angles.row(angle) for run in runs for _, angle in run.gates]),
        "layer_run_begin": ints(begins_of(len(layer.runs) for layer in layers)),
    }
    in_phases = _phase_arrays(layers, angles)
    switches: Switches = {
        "merges_diagonals": passes.diagonal_merging,
        "shares_prefix": passes.shared_prefix,
        "absorbs_observables": passes.observable_absorption,
    }
    return {**in_runs, **in_phases, **angles.arrays(), **switches}


def no_phases(num_layers: int) -> PhaseArrays:
    """Those of layers with nothing in between."""
    return _in_arrays([{}] * num_layers)


def _phase_arrays(layers: Sequence[Layer], angles: AngleTable) -> PhaseArrays:
    return _in_arrays(characters_of(layers, angles))


def _in_arrays(phases: Iterable[Mapping[int, Sequence[tuple[int, int]]]]) -> PhaseArrays:
    character_counts = [0]  # before the first layer every phase acts on |0...0>
    masks: list[int] = []
    source_counts: list[int] = []
    sources: list[tuple[int, int]] = []
    for characters in phases:
        character_counts.append(len(characters))
        for mask, its_sources in characters.items():
            masks.append(mask)
            source_counts.append(len(its_sources))
            sources.extend(its_sources)
    return {
        "phase_character_begin": ints(begins_of(character_counts)),
        "character_mask": masks_of(masks),
        "character_source_begin": ints(begins_of(source_counts)),
        "source_kind": ints([kind for kind, _ in sources]),
        "source_index": ints([index for _, index in sources]),
    }


def characters_of(layers: Sequence[Layer], angles: AngleTable) -> Iterator[dict[int, list[tuple[int, int]]]]:
    """What multiplies the amplitudes of odd parity after each layer, by mask: kinds and indices of its sources.

    Right diagonals of the runs that follow, left ones of the runs before, and rotations of their own.
    """
    first_run = 0
    for layer, following in itertools.zip_longest(layers, layers[1:], fillvalue=Layer()):
        characters: dict[int, list[tuple[int, int]]] = {}
        after = first_run + len(layer.runs)
        for offset, run in enumerate(following.runs):
            if not run.is_real:
                characters.setdefault(run.z, []).append((_RUN_RIGHT, after + offset))
        for offset, run in enumerate(layer.runs):
            if not run.is_real:
                characters.setdefault(run.z, []).append((_RUN_LEFT, first_run + offset))
        for mask, angle in layer.phase.items():
            if angle.terms:
                characters.setdefault(mask, []).append((_ROTATION, angles.row(angle)))
        first_run = after
        yield characters
