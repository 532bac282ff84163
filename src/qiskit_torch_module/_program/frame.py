"""The CX, SWAP and X gates of a circuit, folded: what its qubits have become on the basis states of an evolution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .._reading.paulis import MASKS_AT_ONCE, Bits, Masks, PauliSums, PauliTerms, masks_of, packed, parity, unpacked
from .._reading.polynomials import Polynomial
from .dense import VirtualQubits
from .gf2 import is_odd
from .layers import Rotation, rotations_about
from .output import ExpectationValues


@dataclass(frozen=True)
class _BasisPauli:
    """sign * X^x Z^z on the basis states of the evolution, times i where that makes it Hermitian."""

    x: int
    z: int
    sign: float

    @property
    def is_imaginary(self) -> bool:
        return is_odd(self.x & self.z)


class Frame:
    """The CX, SWAP and X gates so far, as the Paulis they turn X and Z of every qubit into.

    Pushed behind all rotations, such gates only relabel basis states: X of a qubit becomes X^flip, Z becomes
    (-1)^negative Z^sign.
    """

    def __init__(self, num_qubits: int) -> None:
        self.flip = [1 << qubit for qubit in range(num_qubits)]
        self.sign = [1 << qubit for qubit in range(num_qubits)]
        self.negative = [False] * num_qubits

    def relabel(self, name: str, qubits: Sequence[int]) -> None:
        if name == "x":
            self.negative[qubits[0]] ^= True
        elif name == "cx":
            control, target = qubits
            self.flip[control] ^= self.flip[target]
            self.sign[target] ^= self.sign[control]
            self.negative[target] ^= self.negative[control]
        else:
            first, second = qubits
            self.flip[first], self.flip[second] = self.flip[second], self.flip[first]
            self.sign[first], self.sign[second] = self.sign[second], self.sign[first]
            self.negative[first], self.negative[second] = self.negative[second], self.negative[first]

    def signs(self, qubits: Sequence[int]) -> tuple[int, bool]:
        """The product of Z on the qubits: its mask, and whether it is negative."""
        mask, negative = 0, False
        for qubit in qubits:
            mask ^= self.sign[qubit]
            negative ^= self.negative[qubit]
        return mask, negative

    def pauli(self, letters: str, qubits: Sequence[int]) -> _BasisPauli:
        """What a product of Paulis has become: letter i on qubit i."""
        flips = [qubit for letter, qubit in zip(letters, qubits, strict=True) if letter != "Z"]
        signed = [qubit for letter, qubit in zip(letters, qubits, strict=True) if letter != "X"]
        x = 0
        for qubit in flips:
            x ^= self.flip[qubit]
        z, negative = self.signs(signed)
        # Each Y is i X Z, and X, Z of different qubits commute: i^(number of Y) X^x Z^z, and i or 1 is left of it.
        negative ^= letters.count("Y") % 4 in (2, 3)
        return _BasisPauli(x, z, -1.0 if negative else 1.0)

    def rotations(self, letters: str, qubits: Sequence[int], angle: Polynomial) -> list[Rotation]:
        """exp(-i angle/2 P) of a product of Paulis."""
        pauli = self.pauli(letters, qubits)
        angle = angle * pauli.sign
        if pauli.x == 0 or pauli.is_imaginary:
            return rotations_about(pauli.x, pauli.z, angle)
        # A Z that anticommutes with the flip: that of its first qubit.
        own, _ = self.signs([next(q for letter, q in zip(letters, qubits, strict=True) if letter != "Z")])
        return rotations_about(pauli.x, pauli.z, angle, own)

    def virtual(self, qubits: Sequence[int]) -> VirtualQubits:
        """What the qubits have become."""
        return VirtualQubits(
            tuple(self.flip[qubit] for qubit in qubits),
            tuple(self.sign[qubit] for qubit in qubits),
            tuple(self.negative[qubit] for qubit in qubits),
        )

    def of(self, places: Sequence[int | None]) -> VirtualQubits:
        """What all qubits of the circuit have become, given where each is simulated; None: it is not."""
        qubits = [(0, 0, False) if q is None else (self.flip[q], self.sign[q], self.negative[q]) for q in places]
        flips, signs, negatives = zip(*qubits, strict=True)
        return VirtualQubits(flips, signs, negatives)


def expectation_values_in(frame: VirtualQubits, sums: PauliSums) -> ExpectationValues:
    """What sums of Pauli strings on the qubits of a circuit are on basis states (see `Frame.pauli`).

    Of qubits that are not simulated, and so in |0>, Z is 1 and X and Y are 0.
    """
    width = max(map(int.bit_length, (*frame.flips, *frame.signs)), default=0)
    flips, signs = (masks_of(masks, width) for masks in (frame.flips, frame.signs))
    negatives, idle = np.array(frame.negatives), flips == 0
    x, z = np.empty(sums.num_strings, dtype=flips.dtype), np.empty(sums.num_strings, dtype=flips.dtype)
    negative, vanishes = np.empty(sums.num_strings, dtype=bool), np.empty(sums.num_strings, dtype=bool)
    for begin in range(0, sums.num_strings, MASKS_AT_ONCE):
        part = slice(begin, begin + MASKS_AT_ONCE)
        has_x, has_z = unpacked(sums.x[part], sums.num_qubits), unpacked(sums.z[part], sums.num_qubits)
        x[part] = np.bitwise_xor.reduce(has_x * flips, axis=1)
        z[part] = np.bitwise_xor.reduce(has_z * signs, axis=1)
        num_y = np.count_nonzero(has_x & has_z, axis=1)
        negative[part] = np.logical_xor.reduce(has_z & negatives, axis=1) ^ (num_y & 2 != 0)
        vanishes[part] = (has_x & idle).any(axis=1)
    # i X^x Z^z has the opposite sign of the imaginary part (see src/engine/observable.hpp).
    negative ^= parity(x & z)
    is_identity = (x | z) == 0
    coefficient = np.where(negative, -sums.coefficient, sums.coefficient)
    fixed, kept = is_identity & ~vanishes, ~(is_identity | vanishes)
    constants = np.bincount(sums.observable[fixed], weights=coefficient[fixed], minlength=sums.num_observables)
    terms = PauliTerms(sums.observable, x, z, coefficient)
    return ExpectationValues(tuple(map(float, constants)), terms if kept.all() else terms.at(kept))


def sums_on_qubits(frame: VirtualQubits, output: ExpectationValues) -> PauliSums:
    """Expectation values as sums of Pauli strings on the qubits of a circuit: the opposite of `expectation_values_in`.

    The identity is left out, and qubits that are not simulated are in no string.
    """
    terms = output.terms
    # X and Z of a qubit anticommute, and nothing else does: a string has X of the qubits whose Z it anticommutes with.
    has_x = _odd_overlaps(terms.x, frame.signs)
    has_z = _odd_overlaps(terms.z, frame.flips)
    num_y = np.count_nonzero(has_x & has_z, axis=1)
    negative = np.logical_xor.reduce(has_z & np.array(frame.negatives), axis=1) ^ (num_y & 2 != 0)
    negative ^= parity(terms.x & terms.z)
    return PauliSums(
        len(frame),
        len(output.constants),
        terms.observable,
        packed(has_x),
        packed(has_z),
        np.where(negative, -terms.coefficient, terms.coefficient),
    )


def _odd_overlaps(masks: Masks, others: Sequence[int]) -> Bits:
    """Whether each of T masks has an odd overlap with each of N others, shape (T, N)."""
    columns = [parity(masks & np.array([other], dtype=masks.dtype)) for other in others]
    return np.stack(columns, 1) if columns else np.zeros((len(masks), 0), dtype=bool)
