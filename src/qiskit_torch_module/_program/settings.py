"""Settings in which Paulis are measured: each qubit in a basis of its own, many Paulis at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import pi

import numpy as np
import numpy.typing as npt

from .._core.schema import Masks
from .._reading.paulis import num_bits, overlaps, parity
from .._reading.polynomials import Polynomial
from .dense import VirtualQubits
from .evolution import Evolution
from .layers import Rotation, X, Y
from .output import ExpectationValues


@dataclass(frozen=True, eq=False)
class Setting:
    """A basis for every qubit, and the terms that are read from the bits that are found.

    A term is ``coefficient * (-1)^|support & bits|``; bit i is that of the i-th qubit that is simulated.

    Attributes:
        x, z: Masks of the qubits that are measured in the bases X or Y, and Z or Y.
        observable: Of which observable each term is a part; shape (T,).
        support: Its qubits; shape (T,).
        coefficient: Shape (T,).
    """

    x: int
    z: int
    observable: npt.NDArray[np.int32]
    support: npt.NDArray[np.uint32]
    coefficient: npt.NDArray[np.float64]

    @cached_property
    def observables(self) -> npt.NDArray[np.int32]:
        """Those that it has terms of."""
        return np.unique(self.observable)

    @cached_property
    def sums(self) -> npt.NDArray[np.int32]:
        """Those that it has several terms of."""
        found, counts = np.unique(self.observable, return_counts=True)
        return found[counts > 1]

    def rotations(self, evolution: Evolution) -> tuple[Rotation, ...]:
        """What turns its bases into that of Z."""
        live = live_qubits(evolution)
        turns = []
        for qubit, (flip, sign, negative) in enumerate(zip(live.flips, live.signs, live.negatives, strict=True)):
            if not self.x >> qubit & 1:
                continue
            if self.z >> qubit & 1:
                turns.append(Rotation(X, flip, sign, Polynomial.constant(pi / 2)))  # Y becomes Z
            else:  # X becomes Z; Y of the qubit is that of the virtual one, or its opposite
                turns.append(Rotation(Y, flip, sign, Polynomial.constant(pi / 2 if negative else -pi / 2)))
        return tuple(turns)

    def after(self, evolution: Evolution) -> Evolution:
        """An evolution that ends in the basis of Z, of those qubits alone that are simulated."""
        measured = replace(evolution, rotations=(*evolution.rotations, *self.rotations(evolution)))
        return measured.framed(live_qubits(evolution))

    def values(self, bits: npt.NDArray[np.uint32]) -> npt.NDArray[np.float64]:
        """What is read of each of its observables, in order, for bits that were found: shape (..., observables)."""
        found = np.zeros((*bits.shape, len(self.observables)))
        columns = np.searchsorted(self.observables, self.observable)
        for column, support, coefficient in zip(columns, self.support, self.coefficient, strict=True):
            found[..., column] += np.where(parity(bits & support), -coefficient, coefficient)
        return found


def live_qubits(evolution: Evolution) -> VirtualQubits:
    """The qubits of the circuit that are simulated.

    Raises:
        ValueError: they are not known.
    """
    frame = evolution.known_frame
    live = [qubit for qubit, flip in enumerate(frame.flips) if flip]
    negatives = tuple([frame.negatives[qubit] for qubit in live])
    return VirtualQubits(tuple([frame.flips[q] for q in live]), tuple([frame.signs[q] for q in live]), negatives)


def settings_of(evolution: Evolution, output: ExpectationValues) -> tuple[Setting, ...]:
    """Settings that measure all terms: each goes into the first one whose bases agree with it, the largest first.

    Terms of Paulis on qubits that are not simulated, and so in ``|0>``, are known, and no part of the output.

    Raises:
        ValueError: which qubits the terms act on is not known.
    """
    terms, live = output.terms, live_qubits(evolution)
    if not len(terms):
        return ()
    # On the qubits: bit i says whether the term anticommutes with Z, or with X, of qubit i.
    x, z = overlaps(terms.x, live.signs), overlaps(terms.z, live.flips)
    # Signs as in `frame.expectation_values_in`.
    negatives = np.uint32(sum(1 << qubit for qubit, negative in enumerate(live.negatives) if negative))
    negative = parity(z & negatives) ^ parity(terms.x & terms.z) ^ (_num_bits(x & z) & 2 != 0)
    coefficient = np.where(negative, -terms.coefficient, terms.coefficient)
    _, first, distinct = np.unique(np.stack([x, z]), axis=1, return_index=True, return_inverse=True)
    bases, places = _bases(x[first], z[first])
    setting = places[distinct.ravel()]
    return tuple(
        Setting(int(base[0]), int(base[1]), terms.observable[chosen], (x | z)[chosen], coefficient[chosen])
        for number, base in enumerate(bases)
        for chosen in [np.flatnonzero(setting == number)]
    )


def _bases(x: Masks, z: Masks) -> tuple[Masks, npt.NDArray[np.intp]]:
    """Masks (settings, 2) of all settings for Paulis, and the setting of each Pauli."""
    bases, places = np.empty((0, 2), dtype=np.uint32), np.empty(len(x), dtype=np.intp)
    for number in np.argsort(-_num_bits(x | z), kind="stable"):
        own = np.array([x[number], z[number]])
        common = (bases[:, 0] | bases[:, 1]) & (own[0] | own[1])
        agrees = np.flatnonzero((((bases[:, 0] ^ own[0]) | (bases[:, 1] ^ own[1])) & common) == 0)
        places[number] = agrees[0] if len(agrees) else len(bases)
        if len(agrees):
            bases[agrees[0]] |= own
        else:
            bases = np.concatenate([bases, own[None]])
    return bases, places


def _num_bits(masks: Masks) -> npt.NDArray[np.int64]:
    return num_bits(masks[:, None].view(np.uint8))
