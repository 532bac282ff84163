"""What crosses to the engine: arrays, enumerations and limits have their names here, once for both sides.

The build makes the header ``schema.hpp`` of this file (``src/engine/make_schema.py``, which reads it as text): each
array by its dtype and name, with its comment; each enumeration; each limit. In C++ a name that is not here does not
compile; here one that is not in its class does not pass mypy, and the engine refuses it.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TypedDict

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]
Masks = npt.NDArray[np.uint32]
Flags = npt.NDArray[np.uint8]

MAX_QUBITS = 30
MOST_GLUE_BITS = 4  # between the halves that a circuit starts from
MOST_UNJOINED_GLUE_BITS = 6  # between those that are never joined


class Axis(IntEnum):
    """Of a rotation in a run."""

    X = 0
    Y = 1
    Z = 2


class Source(IntEnum):
    """What makes the factor of a character: a rotation of its own, or the left or right diagonal of a run.

    A run acts as (left diagonal) * RY * (right diagonal).
    """

    ROTATION = 0
    RUN_LEFT = 1
    RUN_RIGHT = 2


class StepKind(IntEnum):
    """A rotation exp(-i angle/2 P) about an axis, a constant matrix, or exp(-i angle E) of a diagonal E."""

    X = 0
    Y = 1
    Z = 2
    MATRIX = 3
    DIAGONAL = 4


class AngleArrays(TypedDict):
    """theta[a] = angle_constant[a] + sum_t term_coefficient[t] * prod_f variable[factor_variable[f]]."""

    angle_constant: Doubles  # [num_angles]
    angle_term_begin: Ints  # [num_angles + 1]
    term_coefficient: Doubles  # [num_terms]
    term_factor_begin: Ints  # [num_terms + 1]
    factor_variable: Ints  # [num_factors]: inputs first, then weights


class RunArrays(TypedDict):
    """Fused rotations of one virtual qubit, and the layers that they make."""

    run_gate_begin: Ints  # [num_runs + 1]
    gate_axis: Ints  # [num_gates]
    gate_angle: Ints  # [num_gates]
    run_x: Masks  # [num_runs]
    run_z: Masks  # [num_runs]
    layer_run_begin: Ints  # [num_layers + 1]


class PhaseArrays(TypedDict):
    """Phase p (0 <= p <= num_layers) is a product of characters; phase 0 is empty."""

    phase_character_begin: Ints  # [num_layers + 2]
    character_mask: Masks  # [num_characters]
    character_source_begin: Ints  # [num_characters + 1]
    source_kind: Ints  # [num_sources]
    source_index: Ints  # [num_sources]: angle or run


class TermArrays(TypedDict):
    """Pauli terms by the bits they flip, and there the real before the imaginary ones."""

    flip_mask: Masks  # [num_flips]: distinct x masks
    flip_term_begin: Ints  # [2 * num_flips + 1]: per flip, first the real, then the imaginary terms
    pauli_z: Masks  # [num_pauli_terms]
    pauli_coefficient: Doubles  # [num_pauli_terms]
    pauli_observable: Ints  # [num_pauli_terms]


class ObservableArrays(TermArrays):
    """value[m] = observable_constant[m] + sum_t coefficient * sum_i (-1)^{z.i} {Re|Im} conj(k[i^x]) k[i]."""

    observable_constant: Doubles  # [num_observables]


class StateArrays(TypedDict):
    """The final state as what is read, or, without a phase, its probabilities; both are empty where neither is."""

    state_flip: Masks  # [num_qubits + 1]: what bit q of an index flips in the engine's own; that of index 0
    state_phase: Ints  # [2] or [0]: the angle that is twice the global phase, by layers and by steps, beside their own


class WordArrays(TypedDict):
    """What is read from halves that are never joined; all are empty where a state is.

    A word is a half-word on each half. Words that share one lie together: their values follow from the Gram matrix of
    that half-word, which is X^x Z^z on the half's own qubits, times i where ``|x & z|`` is odd. Readings are <X>, <Y>
    and <Z> of every run of the last layer, if it is absorbed, then the terms.
    """

    gram_half: Ints  # [num_grams]: 0 low, 1 high
    gram_x: Masks  # [num_grams]
    gram_z: Masks  # [num_grams]
    gram_word_begin: Ints  # [num_grams + 1]
    word_x: Masks  # [num_words]: on the other half; side by side where they are the same
    word_z: Masks  # [num_words]
    reading_word: Ints  # [num_readings]; -1: not needed
    reading_sign: Ints  # [num_readings]: 1 or -1


class OutputArrays(ObservableArrays, StateArrays, WordArrays):
    """What is read: observables, the state, or its probabilities."""


class Switches(TypedDict):
    """Passes that may be switched off."""

    merges_diagonals: bool
    shares_prefix: bool
    absorbs_observables: bool


class CircuitArrays(AngleArrays, RunArrays, PhaseArrays, Switches):
    """A circuit, before anything is observed."""


class ProgramArrays(CircuitArrays, OutputArrays):
    """All of a circuit and of what is read from it."""


class HalvedArrays(TypedDict):
    """The same circuit from halves on: each half with its number of qubits, and what follows them.

    Where there are words, the halves are all of the circuit but a last layer that is absorbed.
    """

    glue: int
    relative_cost: float
    low: tuple[int, ProgramArrays]
    high: tuple[int, ProgramArrays]
    rest: ProgramArrays


class StepArrays(TypedDict):
    """The steps of a circuit, one entry a step; those that a kind has no use for are 0."""

    kind: Ints
    angle: Ints
    x: Masks
    z: Masks
    qubit_begin: Ints  # [steps + 1] into the three that follow: qubits of matrices and diagonals
    qubit_flip: Masks
    qubit_sign: Masks
    qubit_is_negative: Flags
    columns: Ints
    entry_begin: Longs  # [steps + 1] into entries: of a matrix (real, imaginary) by rows, of a diagonal its energies
    entries: Doubles
    layers_in_sweeps: float  # passes of steps over the state that take as long as its layers
    reading_in_sweeps: float  # and as what is read
