"""What no field of a program shows by itself: whether its parts belong together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .._program.dense import Diagonal, Matrix, VirtualQubits
from .._program.evolution import Evolution, angles_of
from .._program.gf2 import is_odd
from .._program.layers import Z
from .._program.output import ExpectationValues
from .._program.program import Program, require_shape
from .._reading.expressions import variables_in
from .._reading.paulis import PauliSums
from ..outputs.columns import Columns
from ..outputs.variance import Variance

# Parameters that cancel take no room in the text, so their number is limited.
MAX_UNUSED = 1 << 16


def require_sound(program: Program, length: int) -> None:
    """Checks what no field shows by itself.

    Raises:
        ValueError: the parts of the program do not belong together.
    """
    _require_sound_evolution(program.evolution, length)
    if program.expectation_values is not None:
        _require_terms(program.expectation_values, program.evolution.num_qubits)
    else:
        _require_sound_output(program, length)


def _require_sound_evolution(evolution: Evolution, length: int) -> None:
    if evolution.num_inputs + evolution.num_weights > length + MAX_UNUSED:
        sizes = f"{evolution.num_inputs} inputs and {evolution.num_weights} weights"
        raise ValueError(f"{sizes}, most of which nothing uses")
    _require_masks(evolution)
    _require_dense(evolution)
    _require_frame(evolution)
    _require_derived(evolution)
    _require_blocks(evolution)
    num_variables = evolution.num_all_inputs + evolution.num_all_weights
    for angle in angles_of(evolution):
        _require_below((i for variables, _ in angle.terms for i in variables), num_variables, "angle")


def _require_masks(evolution: Evolution) -> None:
    end = 1 << evolution.num_qubits
    for rotation in evolution.rotations:
        # Z acts by its parity alone; the X of any other axis flips what its Z tells apart.
        is_right = rotation.x == 0 if rotation.axis == Z else is_odd(rotation.x & rotation.z)
        if not is_right or not 0 < rotation.z < end or rotation.x >= end:
            raise ValueError(f"a rotation about axis {rotation.axis} of the masks {rotation.x} and {rotation.z}")


def _require_dense(evolution: Evolution) -> None:
    dense: list[Matrix | Diagonal] = [*evolution.matrices, *evolution.diagonals]
    places = {step.place for step in dense}
    if len(places) != len(dense) or any(place >= len(evolution.rotations) + len(dense) for place in places):
        raise ValueError("places of matrices and diagonals that occur twice or lie beyond the last step")
    for step in dense:
        step.qubits.require_sound(evolution.num_qubits)
        size = len(step.entries) // step.columns if isinstance(step, Matrix) else 2 * len(step.energies)
        if size != 16 << len(step.qubits):
            raise ValueError(f"a matrix or diagonal on {len(step.qubits)} qubits of {size} bytes a column")
    for matrix in evolution.matrices:
        if matrix.columns.bit_count() != 1 or matrix.columns > 1 << len(matrix.qubits):
            raise ValueError(f"a matrix on {len(matrix.qubits)} qubits of {matrix.columns} columns")


def _require_frame(evolution: Evolution) -> None:
    if evolution.frame is None:
        return
    qubits = zip(evolution.frame.flips, evolution.frame.signs, evolution.frame.negatives, strict=True)
    live = [qubit for qubit in qubits if any(qubit)]
    if not live:
        return
    flips, signs, negatives = zip(*live, strict=True)
    VirtualQubits(flips, signs, negatives).require_sound(evolution.num_qubits)


def _require_derived(evolution: Evolution) -> None:
    num_parameters = evolution.num_inputs + evolution.num_weights
    for derived in (*evolution.derived_inputs, *evolution.derived_weights):
        _require_below(variables_in(derived.expression), num_parameters, f"expression of {derived.angle[:100]}")
    if any(i < evolution.num_inputs for derived in evolution.derived_weights for i in variables_in(derived.expression)):
        raise ValueError("a derived weight depends on inputs")


def _require_blocks(evolution: Evolution) -> None:
    inputs = range(evolution.num_inputs + len(evolution.derived_inputs))
    weights = range(
        evolution.num_all_inputs, evolution.num_all_inputs + evolution.num_weights + len(evolution.derived_weights)
    )
    for blocks, allowed in ((evolution.input_blocks, (*inputs, *weights)), (evolution.weight_blocks, tuple(weights))):
        for block in blocks:
            count = len(block.arguments)
            if count.bit_count() != 1 or not 2 <= count <= 1 << evolution.num_qubits:
                raise ValueError(f"a state of {count} amplitudes on {evolution.num_qubits} qubits")
            variables = {i for angle in block.arguments for factors, _ in angle.terms for i in factors}
            if not variables <= set(allowed):
                raise ValueError("amplitudes of variables that are no inputs or weights")


def _require_below(indices: Iterator[int], end: int, where: str) -> None:
    index = max(indices, default=-1)
    if index >= end:
        raise ValueError(f"{where}: variable {index}, where there are {end}")


def _require_terms(output: ExpectationValues, num_qubits: int) -> None:
    terms, end = output.terms, 1 << num_qubits
    if not len(terms.observable) == len(terms.x) == len(terms.z) == len(terms.coefficient):
        raise ValueError("Pauli terms of which parts are missing")
    masks = terms.x | terms.z
    if np.any(masks == 0) or np.any(masks >= end):
        raise ValueError(f"a Pauli term of no mask, or of one beyond {num_qubits} qubits")
    if np.any(terms.observable < 0) or np.any(terms.observable >= len(output.constants)):
        raise ValueError("a Pauli term of an observable that there is not")


def _require_sound_output(program: Program, length: int) -> None:
    """Checks what is read from the state, and the other circuits that it needs for that."""
    evolution = program.evolution
    if any(one.evolution.frame is None for one in (program, *program.others)):
        raise ValueError("a state in an order that is not known")
    for other in program.others:
        _require_sound_evolution(other.evolution, length)
        if (other.evolution.num_inputs, other.evolution.num_weights) != (evolution.num_inputs, evolution.num_weights):
            raise ValueError("another circuit of other inputs and weights")
    _require_sums(program.output)
    try:
        require_shape(program)
    except TypeError as error:
        raise ValueError(str(error)) from None


def _require_sums(output: Any) -> None:
    """Checks the sums of Paulis that an output reads from the state of all qubits."""
    if isinstance(output, Columns):
        _require_strings(output.paulis)
        for one in output.outputs:
            _require_sums(one)
    elif isinstance(output, Variance):
        _require_strings(output.observable)


def _require_strings(sums: PauliSums) -> None:
    count, shape = len(sums.observable), (len(sums.observable), -(-sums.num_qubits // 8))
    if sums.x.shape != shape or sums.z.shape != shape or sums.coefficient.shape != (count,):
        raise ValueError("Pauli strings of which parts are missing")
    owners = sums.observable
    if np.any(np.diff(owners) < 0) or np.any((owners < 0) | (owners >= sums.num_observables)):
        raise ValueError("a Pauli string of an observable that there is not")
