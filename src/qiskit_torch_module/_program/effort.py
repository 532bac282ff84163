"""How long the engine takes, as the compiler expects: in sweeps, by which it chooses between ways to run a program.

One sweep is a pass of a step over all amplitudes, there and back. What layers, observables and matrices take was
measured on one thread, 8 to 18 qubits: `python benchmarks costs`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .._reading.paulis import PauliTerms, parity
from .controlled import sweeps
from .dense import Matrix, Step
from .layers import Layer

# A layer with the phase after it, and each of its runs: steps multiply by no phases.
_OF_LAYER, _OF_RUN = 2.1, 0.55
# A term that is read by itself; those that flip the same bits, by a transform, for each qubit.
_OF_TERM, _OF_QUBIT = 0.43, 0.28

# Of a layer, or a step, beside what it does to every amplitude: in amplitudes, for each sample; and once for each step.
BESIDE_LAYER, BESIDE_STEP, BESIDE_FIRST_STEP = 170.0, 4.0, 28.0
# Reading all amplitudes, or their squares, and starting the way back with them.
READING_STATES, READING_SQUARES = 4.5, 2.5


def sweeps_of_layers(layers: Sequence[Layer]) -> float:
    """Those that a circuit takes on all qubits; a first layer is a product state."""
    return sum(_OF_LAYER + _OF_RUN * len(layer.runs) for layer in layers[1:])


def sweeps_of_steps(steps: Sequence[Step], num_qubits: int) -> float:
    """Those that steps take; every column of a matrix is one."""
    return sweeps(steps, num_qubits) + sum(step.columns - 1 for step in steps if isinstance(step, Matrix))


def sweeps_of_reading(terms: PauliTerms, num_qubits: int) -> float:
    """Those that reading Pauli terms from a state, and starting the way back with them, take as long as."""
    counts = counts_of_flips(terms)
    is_transformed = 2 * counts > num_qubits
    return _OF_TERM * float(counts[~is_transformed].sum()) + _OF_QUBIT * num_qubits * int(is_transformed.sum())


def counts_of_flips(terms: PauliTerms) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """How many terms flip the same bits, and are real or imaginary alike."""
    kinds = np.stack([terms.x, parity(terms.x & terms.z)])
    counts: np.ndarray[tuple[int], np.dtype[np.int64]] = np.unique(kinds, axis=1, return_counts=True)[1]
    return counts
