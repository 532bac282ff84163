"""The compiled circuit as a value, and the engine made from it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from ._engine import Engine
from ._schedule import Rotation, engine_arrays


@dataclass(frozen=True)
class PauliTerm:
    """``coefficient * sum_i (-1)^|z & i| {Re|Im} conj(ket[i ^ x]) ket[i]``: imaginary where ``|x & z|`` is odd."""

    observable: int
    x: int
    z: int
    coefficient: float

    @property
    def is_imaginary(self) -> bool:
        return (self.x & self.z).bit_count() % 2 == 1


@dataclass(frozen=True)
class Program:
    """A circuit with its observables: immutable, hashable, picklable.

    Basis states are those of the engine: CX, SWAP and X gates of the circuit are folded into the masks, so that
    rotations and observables are all that is left.

    Attributes:
        num_qubits: Number of qubits.
        num_inputs: Number of variables that differ from sample to sample; they are variables 0, 1, ...
        num_weights: Number of variables shared by the batch; they follow the inputs.
        rotations: In order of time.
        observable_constants: What the identity contributes to each observable.
        observable_terms: All other Pauli terms.
    """

    num_qubits: int
    num_inputs: int
    num_weights: int
    rotations: tuple[Rotation, ...]
    observable_constants: tuple[float, ...]
    observable_terms: tuple[PauliTerm, ...]

    @property
    def num_observables(self) -> int:
        return len(self.observable_constants)

    @cached_property
    def engine(self) -> Engine:
        """The native engine for this program: built once, shared by equal programs."""
        return _engine(self)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "engine"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)


@lru_cache(maxsize=128)
def _engine(program: Program) -> Engine:
    arrays = engine_arrays(program.rotations)
    arrays.update(_observable_arrays(program))
    return Engine(program.num_qubits, program.num_inputs, program.num_weights, arrays)


def _observable_arrays(program: Program) -> dict[str, Any]:
    """Terms by the bits they flip, and there the real before the imaginary ones (see src/engine/observable.hpp)."""
    terms = sorted(program.observable_terms, key=lambda term: (term.x, term.is_imaginary))
    flips = sorted({term.x for term in terms})
    sizes = Counter((term.x, term.is_imaginary) for term in terms)
    begins = [0]
    for flip in flips:
        begins.append(begins[-1] + sizes[flip, False])
        begins.append(begins[-1] + sizes[flip, True])
    return {
        "observable_constant": np.asarray(program.observable_constants, dtype=np.float64),
        "flip_mask": np.asarray(flips, dtype=np.uint32),
        "flip_term_begin": np.asarray(begins, dtype=np.int32),
        "pauli_z": np.asarray([term.z for term in terms], dtype=np.uint32),
        "pauli_coefficient": np.asarray([term.coefficient for term in terms], dtype=np.float64),
        "pauli_observable": np.asarray([term.observable for term in terms], dtype=np.int32),
    }
