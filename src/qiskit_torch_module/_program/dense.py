"""Steps that layers do not take: matrices and diagonals of many qubits, and rotations with controls.

A program that holds matrices runs step by step (src/engine/README.md); others do where that is faster.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import inf
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from .._core.schema import StepArrays, StepKind
from .._reading.paulis import parity
from .._reading.polynomials import Polynomial
from .arrays import AngleTable
from .gf2 import is_odd
from .layers import Rotation

# As bytes: a value that is hashed once and compared at the speed of memory.
_COMPLEX, _REAL = np.dtype("<c16"), np.dtype("<f8")


@dataclass(frozen=True)
class VirtualQubits:
    """Qubits of a circuit on the basis states of the engine.

    Attributes:
        flips: What flips each qubit: bits of the index.
        signs: The bits whose parity is the value of the qubit,
        negatives: or its opposite.
    """

    flips: tuple[int, ...]
    signs: tuple[int, ...]
    negatives: tuple[bool, ...]

    def __len__(self) -> int:
        return len(self.flips)

    def require_sound(self, num_qubits: int) -> None:
        """Checks that these are independent qubits among so many.

        Raises:
            ValueError: they are not.
        """
        if not len(self.flips) == len(self.signs) == len(self.negatives) or not 0 < len(self) <= num_qubits:
            raise ValueError(f"expected 1 to {num_qubits} virtual qubits, got {len(self)}")
        for i, flip in enumerate(self.flips):
            if any(is_odd(flip & sign) != (i == j) for j, sign in enumerate(self.signs)):
                raise ValueError("virtual qubits that are not independent")
        if any(mask >> num_qubits for mask in (*self.flips, *self.signs)):
            raise ValueError(f"virtual qubits beyond {num_qubits}")


@dataclass(frozen=True)
class Matrix:
    """A matrix on virtual qubits, the first of which is the lowest bit of its rows and columns.

    Attributes:
        place: Its place among all steps of the program.
        qubits: The qubits that it acts on.
        columns: How many columns it has: 2^k, or fewer, where the last qubits are known to be in |0> before it.
        entries: complex128, little-endian, row after row.
    """

    place: int
    qubits: VirtualQubits
    columns: int
    entries: bytes

    @property
    def array(self) -> npt.NDArray[np.complex128]:
        """Shape (2^k, columns)."""
        return np.frombuffer(self.entries, _COMPLEX).reshape(-1, self.columns)


@dataclass(frozen=True)
class Diagonal:
    """exp(-i angle E) of a real diagonal E on virtual qubits.

    Attributes:
        place: Its place among all steps of the program.
        qubits: The qubits that it acts on.
        energies: E, float64, little-endian.
        angle: The angle.
    """

    place: int
    qubits: VirtualQubits
    energies: bytes
    angle: Polynomial

    @property
    def array(self) -> npt.NDArray[np.float64]:
        """Shape (2^k,)."""
        return np.frombuffer(self.energies, _REAL)


@dataclass(frozen=True)
class ControlledRotation:
    """A rotation that acts where its controls are in |0>, and flips none of them.

    Attributes:
        rotation: The rotation, about X or Y.
        controls: Its controls.
    """

    rotation: Rotation
    controls: VirtualQubits


PlainStep: TypeAlias = Rotation | Matrix | Diagonal
Step: TypeAlias = PlainStep | ControlledRotation


def matrix_bytes(matrix: npt.ArrayLike) -> bytes:
    return np.asarray(matrix, dtype=_COMPLEX).tobytes()


def energy_bytes(energies: npt.ArrayLike) -> bytes:
    return np.asarray(energies, dtype=_REAL).tobytes()


def in_order(rotations: Iterable[Rotation], dense: Sequence[Matrix | Diagonal]) -> list[PlainStep]:
    """All steps in the order of time: what is dense at its place, rotations at all others."""
    at = {step.place: step for step in dense}
    steps: list[PlainStep] = []
    for rotation in rotations:
        while len(steps) in at:
            steps.append(at[len(steps)])
        steps.append(rotation)
    while len(steps) in at:
        steps.append(at[len(steps)])
    return steps


def step_arrays(
    steps: Sequence[Step], angles: AngleTable, layers_in_sweeps: float = inf, reading_in_sweeps: float = 0.0
) -> StepArrays:
    """What the engine takes of them; their angles go into the table.

    And how many passes over the state its layers, and what is read, take as long as; by default, it has no layers.
    """
    qubits = [_qubits(step) for step in steps]
    entries = [_numbers(step) for step in steps]
    plain_steps = [step.rotation if isinstance(step, ControlledRotation) else step for step in steps]
    masks = [(step.x, step.z) if isinstance(step, Rotation) else (0, 0) for step in plain_steps]
    rows = [0 if isinstance(step, Matrix) else angles.row(step.angle) for step in plain_steps]
    return {
        "kind": np.asarray([_kind(step) for step in plain_steps], dtype=np.int32),
        "angle": np.asarray(rows, dtype=np.int32),
        "x": np.asarray([x for x, _ in masks], dtype=np.uint32),
        "z": np.asarray([z for _, z in masks], dtype=np.uint32),
        "qubit_begin": np.cumsum([0, *map(len, qubits)], dtype=np.int32),
        "qubit_flip": np.asarray([flip for group in qubits for flip in group.flips], dtype=np.uint32),
        "qubit_sign": np.asarray([sign for group in qubits for sign in group.signs], dtype=np.uint32),
        "qubit_is_negative": np.asarray([negative for group in qubits for negative in group.negatives], dtype=np.uint8),
        "columns": np.asarray([step.columns if isinstance(step, Matrix) else 0 for step in steps], dtype=np.int32),
        "entry_begin": np.cumsum([0, *map(len, entries)], dtype=np.int64),
        "entries": np.concatenate([np.empty(0), *entries]),
        "layers_in_sweeps": layers_in_sweeps,
        "reading_in_sweeps": reading_in_sweeps,
    }


_NO_QUBITS = VirtualQubits((), (), ())


def _qubits(step: Step) -> VirtualQubits:
    if isinstance(step, Rotation):
        return _NO_QUBITS
    return step.controls if isinstance(step, ControlledRotation) else step.qubits


def _kind(step: Rotation | Matrix | Diagonal) -> int:
    if isinstance(step, Rotation):
        return step.axis
    return StepKind.MATRIX if isinstance(step, Matrix) else StepKind.DIAGONAL


def _numbers(step: Step) -> npt.NDArray[np.float64]:
    if isinstance(step, (Rotation, ControlledRotation)):
        return np.empty(0)
    return np.frombuffer(step.entries if isinstance(step, Matrix) else step.energies, _REAL)


@lru_cache(maxsize=256)
def coset_table(num_qubits: int, qubits: VirtualQubits) -> npt.NDArray[np.int64]:
    """Indices (2^k, 2^(n - k)): in row r the qubits have the state r; those of a column differ in no other qubit."""
    rows = row_table(num_qubits, qubits)
    table = np.flatnonzero(rows == 0)
    for flip in qubits.flips:
        table = np.vstack([table, table ^ flip])
    return table.reshape(1 << len(qubits), -1)


@lru_cache(maxsize=256)
def row_table(num_qubits: int, qubits: VirtualQubits) -> npt.NDArray[np.int64]:
    """The state of the qubits at every index: shape (2^n,)."""
    index = np.arange(1 << num_qubits, dtype=np.uint32)
    rows = np.zeros(1 << num_qubits, dtype=np.int64)
    for bit, (sign, negative) in enumerate(zip(qubits.signs, qubits.negatives, strict=True)):
        rows |= (parity(index & np.uint32(sign)) ^ negative).astype(np.int64) << bit
    return rows
