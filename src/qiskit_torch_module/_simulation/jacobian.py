"""Jacobians of expectation values: which cotangents go back, and in how many passes.

A pass takes one cotangent back through the circuit; all passes share one way forward. An observable is a pass. Where M
observables are sums of fewer distinct terms, such as many Hamiltonians of the same lattice, a term is one: the rest is
a product of matrices. Where far fewer parameters than either are wanted, each is a direction, along which all
observables move at once.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from .._program.program import Program
from .engines import engine_of
from .room import require_bytes

Array = npt.NDArray[np.float64]

# What a pass does for each amplitude and gradient, to a number that is multiplied by a coefficient and added up.
_WORK_OF_PASS = 5
# What a direction takes: the way forward along it, to a pass, and reading, to what the engine expects of it.
_WAY_OF_DIRECTION, _READING_OF_DIRECTION = 1.5, 2.0
# Numbers in the cotangents of a call: 32 MiB.
_MOST_NUMBERS = 1 << 22


def engine_jacobian(
    program: Program, inputs: Array, wanted: npt.NDArray[np.bool_], threads: int, imaginary: bool
) -> Array:
    """Gradients (B, M, all inputs of the engine) of M observables; zero where not wanted.

    Args:
        program: One without weights.
        inputs: Shape (B, all inputs of the engine).
        wanted: Which inputs, those that are derived left out: these are wanted if any is.
        threads: As the engine takes them.
        imaginary: 2 Im <psi|O|d psi> in place of the derivative, up to the global phase of the state.

    Raises:
        ValueError: the gradients do not fit the memory budget.
    """
    if imaginary:
        program = program.whole
    evolution, num_observables = program.evolution, program.output_size
    flags = np.concatenate([wanted, np.full(evolution.num_all_inputs - evolution.num_inputs, wanted.any())])
    terms = program.by_terms
    what = f"gradients of {num_observables:,} observables by {len(flags):,} parameters at {len(inputs):,} rows"
    require_bytes(8 * len(inputs) * num_observables * len(flags), what, "give fewer at once")
    # The identity has a derivative in the imaginary part alone; it is the last of the terms, if it is one.
    passes = num_observables if terms is None else terms.num_passes(imaginary)
    if not (flags.any() and passes and len(inputs)):
        return np.zeros((len(inputs), num_observables, len(flags)))
    if not imaginary and int(flags.sum()) * _cost_of_direction(program) < passes:
        return _along(program, inputs, flags, threads)
    saved = (num_observables - passes) * 2**evolution.num_qubits * _WORK_OF_PASS
    if terms is None or (terms.are_sums and saved < num_observables * passes):
        return _passes(program, num_observables, inputs, flags, threads, imaginary).swapaxes(0, 1)
    return terms.added_up(_passes(terms.program, passes, inputs, flags, threads, imaginary)).swapaxes(0, 1)


def _cost_of_direction(program: Program) -> float:
    """In passes. Each of these goes through the whole circuit, next to which matrices leave reading little to take.

    Where passes stay in halves, directions are far more than they.
    """
    simulated = program.simulated
    reading, joined = simulated.reading_in_sweeps, simulated.effort(in_series=True)
    through = max(1.0, joined / 2.0**simulated.evolution.num_qubits - reading)
    return (_WAY_OF_DIRECTION + _READING_OF_DIRECTION * reading / through) * joined / max(1.0, simulated.effort())


def _along(program: Program, inputs: Array, flags: npt.NDArray[np.bool_], threads: int) -> Array:
    """Gradients (B, M, inputs) along each wanted input, whose copies of the samples go side by side."""
    engine, batch, width = engine_of(program), len(inputs), program.output_size
    gradients = np.zeros((batch, width, len(flags)))
    columns = np.flatnonzero(flags)
    at_once = max(1, _MOST_NUMBERS // (batch * (width + len(flags))))
    for first in range(0, len(columns), at_once):
        some = columns[first : first + at_once]
        directions = np.zeros((len(some), batch, len(flags)))
        directions[np.arange(len(some)), :, some] = 1.0
        curve = [
            torch.from_numpy(np.tile(inputs, (len(some), 1))),
            torch.from_numpy(directions.reshape(-1, len(flags))),
        ]
        _, along = engine.series_values_float64(1, curve, len(some) * batch, ([], []), threads)
        gradients[:, :, some] = np.moveaxis(along.numpy().reshape(len(some), batch, width), 0, 2)
    return gradients


def _passes(
    program: Program, count: int, inputs: Array, flags: npt.NDArray[np.bool_], threads: int, imaginary: bool
) -> Array:
    """Gradients (count, B, inputs) of the first observables of a program."""
    engine, batch, width = engine_of(program), len(inputs), program.output_size
    jacobian = np.empty((count, batch, len(flags)))
    at_once = max(1, _MOST_NUMBERS // (batch * width))
    for first in range(0, count, at_once):
        some = min(at_once, count - first)
        cotangents = np.zeros((some, batch, width))
        cotangents[np.arange(some), :, first + np.arange(some)] = 1.0
        gradients, _ = engine.vector_jacobian_products(inputs, np.empty(0), cotangents, flags, threads, imaginary)
        jacobian[first : first + some] = gradients
    return jacobian
