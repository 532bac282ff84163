"""Native engines of programs: layers, halves and observables as the arrays they take."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TypeAlias, cast

import numpy as np

from .._core.collector import without_collections
from .._core.schema import HalvedArrays, ObservableArrays, OutputArrays, ProgramArrays
from .._core.sizes import counted
from .._core.timing import Stopwatch
from .._engine import Engine
from .._program.amplitudes import NO_STATE, Amplitudes
from .._program.arrays import AngleTable, engine_arrays, no_phases
from .._program.controlled import side_by_side
from .._program.dense import step_arrays
from .._program.halves import Halves
from .._program.layers import Layer
from .._program.output import ExpectationValues, State, grouped
from .._program.passes import Passes
from .._program.program import Program
from .._program.unjoined import NO_WORDS, Unjoined


def engine_of(program: Program) -> Engine:
    """The native engine for a program, `Program.engine` by its type: shared by equal ones unless they hold matrices.

    Raises:
        TypeError: the program reads something other than expectation values, the state or its probabilities.
    """
    engine: Engine = program.engine
    return engine


def _made(program: Program) -> Engine:
    if (reason := program.evolution.too_wide) is not None:
        raise ValueError(reason)
    program = program.simulated
    return _stepwise_engine(program) if program.evolution.is_stepwise else _layered_engine(program)


Program.make_engine = _made

# Rotations: more of them have no steps beside their layers.
_MOST_STEPS = 1 << 14


def engine_of_series(program: Program) -> Engine:
    """That for series along directions, in which few samples run step by step: where they would leave lanes empty.

    Raises:
        TypeError: as `engine_of`.
    """
    simulated = program.simulated
    evolution = simulated.evolution
    has_own_steps = evolution.is_stepwise or simulated.taken_steps is not None
    if has_own_steps or not evolution.passes.fusion or len(evolution.rotations) > _MOST_STEPS:
        return engine_of(program)
    return _layered_engine(simulated, for_series=True)


@lru_cache(maxsize=128)
@without_collections
def _layered_engine(program: Program, for_series: bool = False) -> Engine:
    evolution, output, stopwatch = program.evolution, _native_output(program), Stopwatch()
    layers = evolution.layers
    stopwatch.stage(f"{counted(len(evolution.rotations), 'rotation')} put into {counted(len(layers), 'layer')}")
    num_qubits, num_inputs, num_weights = evolution.num_qubits, evolution.num_all_inputs, evolution.num_all_weights
    angles, steps = AngleTable(), program.taken_steps
    arrays = arrays_of(layers, evolution.passes, output, angles)
    halved = apart = in_steps = None
    if steps is None:
        halves, unjoined = evolution.halves, program.unjoined
        halved = None if halves is None else dict(halved_arrays(halves, evolution.passes, output))
        apart = None if unjoined is None else dict(unjoined_arrays(unjoined, evolution.passes, output))
    if for_series:  # as they are, which states show
        steps, apart = tuple(side_by_side(evolution.steps)), None
    if steps is not None:
        # Beside layers, which imaginary derivatives, and batches that share some of them, run by.
        in_steps = dict(step_arrays(steps, angles, evolution.layers_in_sweeps, program.reading_in_sweeps))
        stopwatch.stage(f"or taken together in {len(steps):,} steps")
    all_arrays = {**arrays, **angles.arrays()}
    engine = Engine(num_qubits, num_inputs, num_weights, all_arrays, halved, apart, in_steps)
    terms = len(output.terms) if isinstance(output, ExpectationValues) else 0
    stopwatch.stage(f"engine made for them and {terms:,} Pauli terms")
    stopwatch.stop(f"preparing the simulation of {counted(num_qubits, 'qubit')}, before its first value,")
    return engine


@without_collections
def _stepwise_engine(program: Program) -> Engine:
    evolution, angles = program.evolution, AngleTable()
    arrays = arrays_of((), evolution.passes, _native_output(program), angles)
    steps = step_arrays(program.taken_steps or (), angles)
    num_inputs, num_weights = evolution.num_all_inputs, evolution.num_all_weights
    return Engine(evolution.num_qubits, num_inputs, num_weights, {**arrays, **angles.arrays()}, steps=dict(steps))


# What the engine reads.
NativeOutput: TypeAlias = ExpectationValues | Amplitudes


def _native_output(program: Program) -> NativeOutput:
    if isinstance(program.output, ExpectationValues):
        return program.output
    if isinstance(program.output, State):
        return Amplitudes.of(program.evolution)
    if program.reads_probabilities:
        return Amplitudes.of(program.evolution).squared
    raise TypeError(
        "observables: the native engine reads expectation values, states and probabilities of their basis states, not "
        f"{program.output!r}"
    )


def halved_arrays(halves: Halves, passes: Passes, output: NativeOutput) -> HalvedArrays:
    """The same circuit from halves on: the arrays of each half and of what follows them."""
    return {
        "glue": halves.glue,
        "relative_cost": halves.relative_cost,
        "low": (halves.low.num_qubits, arrays_of(halves.low.layers, passes)),
        "high": (halves.high.num_qubits, arrays_of(halves.high.layers, passes)),
        "rest": arrays_of(halves.rest, passes, output.moved(halves.index)),
    }


def unjoined_arrays(unjoined: Unjoined, passes: Passes, output: NativeOutput) -> HalvedArrays:
    """The arrays of each half, and of what is read from both.

    The right diagonals of an absorbed layer, which would join them, turn what is read of its runs in place of a state.
    """
    arrays = halved_arrays(unjoined.halves, passes, output)
    layers = unjoined.halves.rest
    rest = {**arrays["rest"], **no_phases(len(layers)), **unjoined.arrays()}
    return {**arrays, "rest": cast(ProgramArrays, rest)}


_NOTHING = ExpectationValues.none()


def arrays_of(
    layers: Sequence[Layer], passes: Passes, output: NativeOutput = _NOTHING, angles: AngleTable | None = None
) -> ProgramArrays:
    """All arrays of a circuit and what is read after it, whose angles go into the table."""
    angles = angles or AngleTable()
    read = output_arrays(output, angles)
    return {**engine_arrays(layers, passes, angles), **read}


def output_arrays(output: NativeOutput, angles: AngleTable) -> OutputArrays:
    """Those of what is read, whose angles go into the table."""
    if isinstance(output, Amplitudes):
        return {**observable_arrays(_NOTHING), **output.arrays(angles), **NO_WORDS}
    return {**observable_arrays(output), **NO_STATE, **NO_WORDS}


def observable_arrays(output: ExpectationValues) -> ObservableArrays:
    """Those of the observables (see src/engine/observable.hpp)."""
    return {"observable_constant": np.asarray(output.constants, dtype=np.float64), **grouped(output.terms)}
