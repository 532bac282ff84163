"""Sums of Pauli strings as arrays: an entry for each string, not an object."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Bits = npt.NDArray[np.bool_]

# Memory that a string takes while it is read.
BYTES_OF_STRING = 64
# Masks whose bits are unpacked at once: those take nothing beside all masks.
MASKS_AT_ONCE = 1 << 14
# (-i)^phase, as Qiskit counts phases.
PHASES = np.array([1, -1j, -1, 1j])


@dataclass(frozen=True)
class PauliString:
    """A real coefficient times a product of Paulis: letter i (X, Y or Z) on qubit i."""

    letters: str
    qubits: tuple[int, ...]
    coefficient: float


# Masks of as many bits fit a machine word.
MOST_BITS = 32
# Masks of basis states: machine words, or Python's integers where there are more bits.
Masks: TypeAlias = npt.NDArray[Any]


def masks_of(values: Sequence[int], num_bits: int) -> Masks:
    """An array of masks of `num_bits` bits."""
    return np.array(values, dtype=np.uint32 if num_bits <= MOST_BITS else object)


def _hashable(value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        return value
    return tuple(value) if value.dtype == object else value.tobytes()


class OfArrays:
    """A frozen dataclass that holds arrays: they are read only, and compared and hashed by what is in them."""

    def __post_init__(self) -> None:
        for value in self._values():
            if isinstance(value, np.ndarray):
                value.setflags(write=False)

    def _values(self) -> tuple[Any, ...]:
        return tuple([getattr(self, field.name) for field in fields(self)])  # type: ignore[arg-type]

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if type(self) is not type(other):
            return False
        return all(map(np.array_equal, self._values(), other._values()))

    def __hash__(self) -> int:
        hash_value = self.__dict__.get("_hash")
        if hash_value is None:
            hash_value = hash(tuple(map(_hashable, self._values())))
            self.__dict__["_hash"] = hash_value
        return hash_value

    def __reduce__(self) -> Any:
        return type(self), self._values()  # the hash of bytes is another one in every process


@dataclass(frozen=True, eq=False)
class PauliSums(OfArrays):
    """Several observables on the qubits of a circuit, each a sum of T Pauli strings in all, with real coefficients.

    Immutable, hashable, picklable. Iteration gives the strings of one observable after the other.

    Attributes:
        num_qubits: Number of qubits.
        num_observables: Number of observables; some may have no strings.
        observable: Of which observable each string is a part, in ascending order; shape (T,).
        x, z: Masks of the qubits with X or Y, and with Z or Y: eight qubits a byte, the lowest ones first; shape
            (T, (num_qubits + 7) // 8).
        coefficient: Shape (T,).
    """

    num_qubits: int
    num_observables: int
    observable: npt.NDArray[np.int32]
    x: Bytes
    z: Bytes
    coefficient: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return self.num_observables

    def __iter__(self) -> Iterator[list[PauliString]]:
        begins = np.searchsorted(self.observable, np.arange(self.num_observables + 1)).tolist()
        for first, last in itertools.pairwise(begins):
            yield [self._string(term) for term in range(first, last)]

    @property
    def num_strings(self) -> int:
        return len(self.coefficient)

    def _string(self, term: int) -> PauliString:
        codes = unpacked(self.x[term], self.num_qubits) + 2 * unpacked(self.z[term], self.num_qubits).astype(int)
        qubits = np.flatnonzero(codes)
        letters = "".join("IXZY"[code] for code in codes[qubits])
        return PauliString(letters, tuple(qubits.tolist()), float(self.coefficient[term]))


@dataclass(frozen=True, eq=False)
class Strings:
    """T Pauli strings of some observables as they are read.

    Attributes:
        observable: Of which observable each one is a part, in ascending order; shape (T,).
        x, z: As in `PauliSums`.
        coefficient: Complex; shape (T,).
        is_distinct: No string is there twice in an observable.
    """

    observable: npt.NDArray[np.int32]
    x: Bytes
    z: Bytes
    coefficient: npt.NDArray[np.complex128]
    is_distinct: bool

    def merged(self) -> Strings:
        """With equal strings of an observable added up, where they first were."""
        keys = (*self.z.T, *self.x.T, self.observable)
        if self.is_distinct or len(self.observable) < 2:
            return self
        order = np.lexsort(keys)
        repeats = np.logical_and.reduce([key[order[1:]] == key[order[:-1]] for key in keys])
        begins = np.flatnonzero(np.concatenate([[True], ~repeats]))
        coefficient = np.add.reduceat(self.coefficient[order], begins)
        firsts = order[begins]
        by_place = np.argsort(firsts)
        kept = firsts[by_place]
        return Strings(self.observable[kept], self.x[kept], self.z[kept], coefficient[by_place], is_distinct=True)


@dataclass(frozen=True, eq=False)
class PauliTerms(OfArrays):
    """T terms on the basis states of the engine: immutable, hashable, picklable.

    A term is ``coefficient * sum_i (-1)^|z & i| {Re|Im} conj(ket[i ^ x]) ket[i]``: imaginary where ``|x & z|`` is odd.
    All arrays have the shape (T,).
    """

    observable: npt.NDArray[np.int32]
    x: Masks
    z: Masks
    coefficient: npt.NDArray[np.float64]

    @staticmethod
    def none() -> PauliTerms:
        masks = np.empty(0, dtype=np.uint32)
        return PauliTerms(np.empty(0, dtype=np.int32), masks, masks, np.empty(0))

    def __len__(self) -> int:
        return len(self.observable)

    @property
    def is_imaginary(self) -> Bits:
        return parity(self.x & self.z)

    def at(self, terms: npt.NDArray[Any]) -> PauliTerms:
        """Some of the terms."""
        return PauliTerms(self.observable[terms], self.x[terms], self.z[terms], self.coefficient[terms])

    def moved(self, flips: Sequence[int], parities: Sequence[int]) -> PauliTerms:
        """By another index (`halves.Index`): bit i of it is the parity of ``parities[i]``, ``flips[i]`` flips it."""
        return PauliTerms(self.observable, overlaps(self.x, parities), overlaps(self.z, flips), self.coefficient)


def packed(bits: Bits) -> Bytes:
    """Masks of a bit for each qubit, shape (..., num_qubits), eight a byte."""
    return np.packbits(bits, axis=-1, bitorder="little")


def unpacked(masks: Bytes, num_qubits: int) -> Bits:
    """The opposite of `packed`."""
    return np.unpackbits(masks, axis=-1, count=num_qubits, bitorder="little").astype(bool)


def num_bits(masks: Bytes) -> npt.NDArray[np.int64]:
    """How many bits are set in each mask, shape (...,) for masks of shape (..., bytes)."""
    counts: npt.NDArray[np.int64] = _BITS_OF_BYTE[masks].sum(axis=-1, dtype=np.int64)
    return counts


_BITS_OF_BYTE = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1).astype(np.uint8)


def parity(masks: Masks) -> Bits:
    """Whether each mask has an odd number of bits."""
    if masks.dtype == object:
        odd: Bits = np.fromiter(map(int.bit_count, masks), dtype=np.int64, count=len(masks)) % 2 != 0
        return odd
    for shift in (16, 8, 4, 2, 1):
        masks = masks ^ (masks >> np.uint32(shift))
    return (masks & np.uint32(1)).astype(bool)


def overlaps(masks: npt.NDArray[np.uint32], others: Sequence[int]) -> npt.NDArray[np.uint32]:
    """Bit i of each: whether the mask has an odd overlap with the i-th of the others."""
    bits, odd = np.array(others, dtype=np.uint32), np.empty_like(masks)
    units = np.uint32(1) << np.arange(len(bits), dtype=np.uint32)
    for begin in range(0, len(masks), MASKS_AT_ONCE):
        part = slice(begin, begin + MASKS_AT_ONCE)
        odd[part] = np.bitwise_xor.reduce(parity(masks[part, None] & bits) * units, axis=1)
    return odd
