"""A program as the kernels see it: layers of runs, angles, and what is read."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from .._core.schema import Source
from .._program.amplitudes import Amplitudes
from .._program.arrays import AngleTable, engine_arrays
from .._program.layers import Layer
from .._program.output import ExpectationValues, State
from .._program.program import Program
from .._reading.polynomials import Polynomial
from .absorption import Moment, absorbed
from .slots import Slot

Lists = dict[str, Any]


class Part(Enum):
    """What of a circuit runs."""

    WHOLE = "all of it"
    HALF = "the first layers, on half of the qubits; its last ket is joined with that of the other half"
    REST = "the layers after halves, from the state that is joined of these; the first one is empty"


@dataclass(frozen=True, eq=False)
class Circuit:
    """What does not depend on shapes and numbers: equal programs share one.

    Attributes:
        num_qubits: Number of simulated qubits.
        num_inputs, num_weights: Number of variables.
        layers: One at least.
        arrays: Angles, runs and characters, as the engine takes them.
        output: What is read.
        state_phase: The angle that is twice the global phase, if somebody asks for the phase of the state; else -1.
        num_values: Real numbers that are read from a sample.
        moments: By which observables absorb the last layer; none: it is applied.
        slots: What else values are made of.
        part: What of a circuit it is.
        program: What it is made of.
    """

    num_qubits: int
    num_inputs: int
    num_weights: int
    layers: tuple[Layer, ...]
    arrays: Lists
    output: ExpectationValues | Amplitudes
    state_phase: int
    num_values: int
    moments: tuple[Moment, ...]
    slots: tuple[Slot, ...]
    part: Part
    program: Program

    @staticmethod
    def of(program: Program) -> Circuit | str:
        """That of a program; or why there is none, and what would help."""
        evolution = program.evolution
        if evolution.too_wide is not None:
            return evolution.too_wide
        if evolution.is_stepwise:
            return "it holds matrices or diagonals, which the kernels have no steps for; use method='pytorch'"
        if not isinstance(program.output, (ExpectationValues, State)):
            return (
                f"the kernels read expectation values and states, not {program.output!r}; PyTorch reads it from states"
            )
        return _made(program)

    @property
    def reads_state(self) -> bool:
        """Whether states are what is read."""
        return isinstance(self.output, Amplitudes)

    @property
    def last_phase_matters(self) -> bool:
        """Whether what is read sees the phase after the last layer that is applied."""
        if self.part is Part.HALF:
            return True
        if self.moments:
            return bool(self.characters[len(self.layers) - 1])
        return isinstance(self.output, Amplitudes) or bool(self.output.terms.x.any())

    @cached_property
    def characters(self) -> list[list[tuple[int, int]]]:
        """Of each phase: numbers of its characters, and their masks."""
        begins, masks = self.arrays["phase_character_begin"].tolist(), self.arrays["character_mask"].tolist()
        return [[*zip(range(*pair), masks[slice(*pair)], strict=True)] for pair in itertools.pairwise(begins)]

    @cached_property
    def rotations(self) -> list[tuple[int, int]]:
        """The rotations among the sources of characters: character and angle. None where the phase is not applied."""
        applied = len(self.turned_layers) + self.last_phase_matters
        last = self.arrays["phase_character_begin"].tolist()[applied]
        begins = self.arrays["character_source_begin"].tolist()
        kinds, indices = self.arrays["source_kind"].tolist(), self.arrays["source_index"].tolist()
        return [
            (character, indices[source])
            for character, pair in enumerate(itertools.pairwise(begins[: last + 1]))
            for source in range(*pair)
            if kinds[source] == Source.ROTATION
        ]

    @property
    def num_runs(self) -> int:
        """Number of runs."""
        return len(self.arrays["run_x"])

    @property
    def num_slots(self) -> int:
        """Sums over the state that gradients are made of: three of a run, one of a rotation and of the global phase."""
        return 3 * self.num_runs + len(self.rotations) + self.reads_state

    @property
    def turned_layers(self) -> tuple[Layer, ...]:
        """Those that are applied: all but one that is absorbed."""
        return self.layers[:-1] if self.moments else self.layers

    @property
    def num_turned(self) -> int:
        """Number of runs that are applied, the first ones."""
        return sum(len(layer.runs) for layer in self.turned_layers)

    @property
    def num_reads(self) -> int:
        """Sums over the state that values are made of: those of slots, three of each moment."""
        return len(self.slots) + 3 * len(self.moments)

    @property
    def constants(self) -> tuple[float, ...]:
        """What is added to the value of each observable."""
        return tuple(self.output.constants) if isinstance(self.output, ExpectationValues) else ()

    @cached_property
    def gradient_lists(self) -> Lists:
        """Which gates and slots make the gradient of an angle, and which terms of angles that of a variable."""
        num_angles = len(self.arrays["angle_constant"])
        slots = [(angle, 3 * self.num_runs + i) for i, (_, angle) in enumerate(self.rotations)]
        slots += [(self.state_phase, self.num_slots - 1)] if self.reads_state else []
        gates = [(angle, gate) for gate, angle in enumerate(self.arrays["gate_angle"].tolist())]
        term_begin, factor_begin = (self.arrays[name].tolist() for name in ("angle_term_begin", "term_factor_begin"))
        variable = self.arrays["factor_variable"].tolist()
        entries = [
            (variable[factor], (angle, term, factor))
            for angle in range(num_angles)
            for term in range(term_begin[angle], term_begin[angle + 1])
            for factor in range(factor_begin[term], factor_begin[term + 1])
        ]
        lists: Lists = {}
        lists["angle_gate_begin"], lists["angle_gate"] = by_key(gates, num_angles)
        lists["angle_slot_begin"], lists["angle_slot"] = by_key(slots, num_angles)
        lists["variable_begin"], found = by_key(entries, self.num_inputs + self.num_weights)
        parts = zip(*found, strict=True) if found else ((), (), ())
        lists.update(zip(("entry_angle", "entry_term", "entry_factor"), parts, strict=True))
        return lists


def by_key(pairs: Sequence[tuple[int, Any]], count: int) -> tuple[list[int], list[Any]]:
    """Where those of each key begin, and all values, by key."""
    sizes = np.bincount([key for key, _ in pairs], minlength=count) if pairs else np.zeros(count, dtype=np.int64)
    return [0, *np.cumsum(sizes).tolist()], [value for _, value in sorted(pairs, key=lambda pair: pair[0])]


@lru_cache(maxsize=64)
def _made(program: Program) -> Circuit:
    program = program.simulated
    evolution, output = program.evolution, program.output
    read = output if isinstance(output, ExpectationValues) else Amplitudes.of(evolution)
    return part_of(program, evolution.num_qubits, evolution.layers or (Layer(),), read, Part.WHOLE)


def part_of(
    program: Program,
    num_qubits: int,
    layers: tuple[Layer, ...],
    output: ExpectationValues | Amplitudes,
    part: Part,
    has_phase: bool = False,
) -> Circuit:
    """A circuit of some layers.

    Args:
        program: Whose variables they depend on.
        num_qubits: Number of their qubits.
        layers: What runs.
        output: What is read.
        part: What of a circuit it is.
        has_phase: Whether somebody asks for the phase of its state, though nobody reads that.
    """
    evolution, angles = program.evolution, AngleTable()
    if isinstance(output, Amplitudes):
        num_values = 2 << num_qubits
        state_phase, _ = output.arrays(angles)["state_phase"].tolist()
    else:
        num_values = len(output.constants)
        state_phase = angles.row(Polynomial.constant(0.0)) if has_phase else -1
    arrays: Lists = {**engine_arrays(layers, evolution.passes, angles)}
    arrays["run_is_real"] = [run.is_real for layer in layers for run in layer.runs]
    moments, slots = absorbed(layers, output) if isinstance(output, ExpectationValues) else ((), ())
    return Circuit(
        num_qubits,
        evolution.num_all_inputs,
        evolution.num_all_weights,
        layers,
        arrays,
        output,
        state_phase,
        num_values,
        moments,
        slots,
        part,
        program,
    )
