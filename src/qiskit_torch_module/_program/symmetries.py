"""Qubits that symmetries settle, which need not be simulated for expectation values.

All rotations of a circuit may commute with Pauli words that are +1 on |0...0>: those that keep the number of fermions
of either spin even or odd, with Z of all orbitals of that spin; those of QAOA and of Ising models, with the flip of all
spins. The state then never leaves the basis states that the flips of its rotations reach, a vector space over GF(2),
and 2^r numbers hold it, r its dimension (Bravyi, Gambetta, Mezzacapo and Temme, arXiv:1701.08213). Constant quarter
turns, such as Hadamard gates, are moved behind all rotations, into the observables, to find these flips.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import pi

import numpy as np

from .._reading.paulis import PauliTerms, parity
from .._reading.polynomials import Polynomial
from .evolution import Evolution
from .gf2 import Basis, is_odd
from .halves import Index
from .layers import Rotation, Y, rotations_about
from .output import ExpectationValues
from .words import QuarterTurns, Word


def settled(evolution: Evolution, output: ExpectationValues) -> list[tuple[Evolution, ExpectationValues]]:
    """Evolutions of fewer qubits with observables of the same values; none where nothing is settled."""
    sector = _sector(evolution)
    if sector is None:
        return []
    moved = _moved(output, sector.turns, sector.index)
    found = [(sector.flipping, moved)]
    if sector.turned is not None:
        found.append((sector.turned, _exchanged(moved)))
    return found


@dataclass(frozen=True)
class _Sector:
    """What an evolution is on the states that it reaches, up to a phase.

    Attributes:
        turns: Quarter turns that were moved behind all rotations.
        index: Of the states that are reached.
        flipping: The rotations before these turns, on the index.
        turned: The same with X and Z of every qubit exchanged, as turns may have made flips of diagonals; None: there
            were none.
    """

    turns: QuarterTurns
    index: Index
    flipping: Evolution
    turned: Evolution | None


def _sector(evolution: Evolution) -> _Sector | None:
    """That of an evolution, which keeps it for other observables; None: all states are reached."""
    kept = evolution.__dict__
    if "_sector" not in kept:
        kept["_sector"] = _sector_of(evolution)
    found: _Sector | None = kept["_sector"]
    return found


def _sector_of(evolution: Evolution) -> _Sector | None:
    words: list[Word] = []
    turns, span = QuarterTurns(), Basis(())
    for rotation in evolution.rotations:
        for word in turns.passed_by(rotation):
            span.add(word.x)
            words.append(word)
        if len(span) == evolution.num_qubits:
            return None
    index = _index(span.elements)
    num_qubits = len(index.flips)
    plain = [Word(index.flip(word.x), index.parity(word.z), word.angle) for word in words]
    turned = _turned(evolution, plain, num_qubits) if turns.quarters else None
    return _Sector(turns, index, _evolution(evolution, plain, num_qubits), turned)


def _index(flips: Iterable[int]) -> Index:
    """An index of the states that flips reach: bits that tell the elements of a basis apart."""
    rows: dict[int, int] = {}  # by pivot, which no other row has
    for mask in flips:
        for pivot, row in rows.items():
            if mask & pivot:
                mask ^= row
        if not mask:
            continue
        own = mask & -mask
        rows = {pivot: row ^ mask if row & own else row for pivot, row in rows.items()}
        rows[own] = mask
    pivots = sorted(rows) or [1]  # one qubit is simulated where none is flipped
    return Index(tuple([rows.get(pivot, pivot) for pivot in pivots]), tuple(pivots))


def _moved(output: ExpectationValues, turns: QuarterTurns, index: Index) -> ExpectationValues:
    """The observables before quarter turns, on the index; what leaves the states that are reached vanishes."""
    terms = output.terms
    x, z, negative = turns.moved_behind_all(terms.x, terms.z)
    # i X^x Z^z has the opposite sign of the imaginary part that a term is.
    negative ^= terms.is_imaginary ^ parity(x & z)
    left = x.copy()
    for flip, pivot in zip(index.flips, index.parities, strict=True):
        left ^= np.where(left & pivot, flip, 0).astype(left.dtype)
    moved = PauliTerms(terms.observable, x, z, np.where(negative, -terms.coefficient, terms.coefficient))
    moved = moved.at(left == 0).moved(index.flips, index.parities)
    is_identity = (moved.x | moved.z) == 0
    constants = np.array(output.constants)
    np.add.at(constants, moved.observable[is_identity], moved.coefficient[is_identity])
    return ExpectationValues(tuple(map(float, constants)), _merged(moved.at(~is_identity)))


def _merged(terms: PauliTerms) -> PauliTerms:
    """With equal terms of an observable added up: words that differ by a symmetry have become one."""
    if not len(terms):
        return terms
    order = np.lexsort((terms.z, terms.x, terms.observable))
    terms = terms.at(order)
    keys = np.stack([terms.observable, terms.x, terms.z])
    first = np.flatnonzero(np.concatenate([[True], (keys[:, 1:] != keys[:, :-1]).any(0)]))
    sums = np.add.reduceat(terms.coefficient, first)
    return PauliTerms(terms.observable[first], terms.x[first], terms.z[first], sums)


def _evolution(
    evolution: Evolution, words: Iterable[Word], num_qubits: int, first: Sequence[Rotation] = ()
) -> Evolution:
    """Words on fewer qubits, up to a phase."""
    rotations = [*first]
    for word in words:
        if word.x or word.z:
            rotations += rotations_about(word.x, word.z, word.angle, word.x & -word.x)
    return replace(evolution, num_qubits=num_qubits, rotations=tuple(rotations), frame=None)


def _turned(evolution: Evolution, words: Iterable[Word], num_qubits: int) -> Evolution:
    """With X and Z of every qubit exchanged."""
    first = [Rotation(Y, 1 << q, 1 << q, Polynomial.constant(pi / 2)) for q in range(num_qubits)]
    turned = [Word(word.z, word.x, -word.angle if is_odd(word.x & word.z) else word.angle) for word in words]
    return _evolution(evolution, turned, num_qubits, first)


def _exchanged(output: ExpectationValues) -> ExpectationValues:
    """What reads the same after that."""
    terms = output.terms
    coefficient = np.where(terms.is_imaginary, -terms.coefficient, terms.coefficient)
    return ExpectationValues(output.constants, PauliTerms(terms.observable, terms.z, terms.x, coefficient))
