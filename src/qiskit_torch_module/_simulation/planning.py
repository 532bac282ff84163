"""The native engine of a program: layers, halves and observables as the arrays it takes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from .._core.collector import without_collections
from .._core.schema import HalvedArrays, ObservableArrays, ProgramArrays
from .._core.timing import Stopwatch
from .._engine import Engine
from .._program.arrays import engine_arrays
from .._program.dense import step_arrays
from .._program.halves import Halves, halves_of
from .._program.layers import Layer
from .._program.output import ExpectationValues, grouped
from .._program.passes import Passes
from .._program.program import Program


def engine_of(program: Program) -> Engine:
    """The native engine for a program, `Program.engine` by its type: shared by equal ones unless they hold matrices.

    Raises:
        TypeError: the program reads something else than expectation values.
    """
    engine: Engine = program.engine
    return engine


def _made(program: Program) -> Engine:
    return _stepwise_engine(program) if program.evolution.is_stepwise else _layered_engine(program)


Program.make_engine = _made


@lru_cache(maxsize=128)
@without_collections
def _layered_engine(program: Program) -> Engine:
    evolution, output, stopwatch = program.evolution, _expectation_values(program), Stopwatch()
    layers = evolution.layers
    stopwatch.stage(f"{len(evolution.rotations):,} rotations put into {len(layers):,} layers")
    num_qubits, num_inputs, num_weights = evolution.num_qubits, evolution.num_all_inputs, evolution.num_all_weights
    halves = halves_of(layers, num_qubits, num_inputs) if evolution.passes.halved_start else None
    halved = None if halves is None else dict(halved_arrays(halves, evolution.passes, output))
    engine = Engine(num_qubits, num_inputs, num_weights, dict(arrays_of(layers, evolution.passes, output)), halved)
    stopwatch.stage(f"engine made for them and {len(output.terms):,} Pauli terms")
    stopwatch.stop(f"planning the simulation of {num_qubits} qubits, before its first value,")
    return engine


@without_collections
def _stepwise_engine(program: Program) -> Engine:
    evolution = program.evolution
    arrays, steps = step_arrays(evolution.steps)
    observed = observable_arrays(_expectation_values(program))
    num_inputs, num_weights = evolution.num_all_inputs, evolution.num_all_weights
    return Engine(evolution.num_qubits, num_inputs, num_weights, {**arrays, **observed}, steps=dict(steps))


def _expectation_values(program: Program) -> ExpectationValues:
    output = program.expectation_values
    if output is None:
        raise TypeError(f"observables: the native engine reads expectation values, not {program.output!r}")
    return output


def halved_arrays(halves: Halves, passes: Passes, output: ExpectationValues) -> HalvedArrays:
    """The same circuit from halves on: the arrays of each half and of what follows them."""
    terms = output.terms.moved(halves.index.flips, halves.index.parities)
    return {
        "glue": halves.glue,
        "relative_cost": halves.relative_cost,
        "low": (halves.low.num_qubits, arrays_of(halves.low.layers, passes)),
        "high": (halves.high.num_qubits, arrays_of(halves.high.layers, passes)),
        "rest": arrays_of(halves.rest, passes, ExpectationValues(output.constants, terms)),
    }


_NOTHING = ExpectationValues.none()


def arrays_of(layers: Sequence[Layer], passes: Passes, output: ExpectationValues = _NOTHING) -> ProgramArrays:
    """All arrays of a circuit and what is observed after it."""
    return {**engine_arrays(layers, passes), **observable_arrays(output)}


def observable_arrays(output: ExpectationValues) -> ObservableArrays:
    """Those of the observables (see src/engine/observable.hpp)."""
    return {"observable_constant": np.asarray(output.constants, dtype=np.float64), **grouped(output.terms)}
