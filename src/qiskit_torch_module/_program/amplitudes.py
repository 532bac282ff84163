"""The state of a circuit, or the probabilities of its basis states, as the engine reads them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .._core.schema import StateArrays
from .._reading.polynomials import Polynomial
from .arrays import AngleTable
from .evolution import Evolution
from .gf2 import sum_of

if TYPE_CHECKING:
    from .halves import Index


@dataclass(frozen=True)
class Amplitudes:
    """Those of the qubits that are simulated, in the order of the qubits of the circuit.

    Attributes:
        flips: What each bit of an index flips on the basis states of the evolution.
        base: The basis state of index 0.
        phase: Global phase, beside that of the rotations, and beside that of the steps where it runs by these; None:
            their squares are read, which have none.
    """

    flips: tuple[int, ...]
    base: int
    phase: tuple[Polynomial, Polynomial] | None

    @staticmethod
    def of(evolution: Evolution) -> Amplitudes:
        """Those of an evolution.

        Raises:
            ValueError: its frame is not known.
        """
        frame = evolution.known_frame
        base = sum_of(flip for flip, negative in zip(frame.flips, frame.negatives, strict=True) if negative)
        flips = tuple(flip for flip in frame.flips if flip)
        phase = evolution.whole_phase, evolution.phase_of_steps
        return Amplitudes(flips or (1,), base, phase)  # one qubit is simulated where none is live

    @property
    def squared(self) -> Amplitudes:
        """Their squares, the probabilities."""
        return replace(self, phase=None)

    def moved(self, index: Index) -> Amplitudes:
        """The same by another index of basis states."""
        return Amplitudes(tuple(map(index.flip, self.flips)), index.flip(self.base), self.phase)

    def arrays(self, angles: AngleTable) -> StateArrays:
        """As the engine takes them."""
        phases = [angles.row(2.0 * phase) for phase in self.phase or ()]
        return {
            "state_flip": np.asarray([*self.flips, self.base], dtype=np.uint32),
            "state_phase": np.asarray(phases, dtype=np.int32),
        }


NO_STATE: StateArrays = {"state_flip": np.empty(0, dtype=np.uint32), "state_phase": np.empty(0, dtype=np.int32)}


def places(evolution: Evolution) -> npt.NDArray[np.int64] | None:
    """Where the amplitudes of the simulated qubits are among those of all qubits; None: they are all.

    Qubits that are not simulated are in |0>.
    """
    flips = evolution.known_frame.flips
    live = [qubit for qubit, flip in enumerate(flips) if flip]
    if len(live) == len(flips):
        return None
    indices = np.zeros(1, dtype=np.int64)
    for qubit in live:
        indices = np.concatenate([indices, indices + (1 << qubit)])
    return indices
