"""The Lie algebra that the generators of a circuit span with all their commutators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _engine
from .._core.arguments import whole_number
from .._core.pictures import decimal
from .._core.shown import Result
from .axes import axes_of
from .generators import WORD_BITS, Generator, generators_of

Words = npt.NDArray[np.uint64]
Real = npt.NDArray[np.float64]

# Of commutators of normalised sums: what is left below is rounding.
_TOLERANCE = 1e-8


@dataclass(frozen=True, repr=False)
class LieAlgebra(Result):
    """What `dynamical_lie_algebra` finds.

    Attributes:
        dimension: Of the algebra; a lower bound, if it is not complete.
        is_complete: Whether all commutators were taken, before a limit.
        num_qubits: That the generators act on.
        num_generators: How many generators there are.
        growth: The dimension with no commutators, with single ones, with nested ones, ...

    Example:
        >>> found = qtm.analysis.dynamical_lie_algebra(["XI", "IX", "ZZ"])
        >>> found.dimension, found.is_complete
        (6, True)
    """

    dimension: int
    is_complete: bool
    num_qubits: int
    num_generators: int
    growth: tuple[int, ...]

    @property
    def is_controllable(self) -> bool:
        """Whether it holds su(2^n), so that the circuit, repeated, reaches every unitary, up to a phase."""
        return self.dimension >= (1 << 2 * self.num_qubits) - 1

    def plot(self, axes: Any = None) -> Any:
        """The dimension against the depth of commutators; returns the axes (None: the current ones of matplotlib)."""
        axes = axes_of(axes)
        bound = "" if self.is_complete else "at least "
        axes.plot(self.growth, "o-", label=f"{bound}{self.dimension:,}")
        if self.num_qubits <= 20:
            axes.axhline(4.0**self.num_qubits - 1, color="gray", linestyle=":", label="su(2^n)")
        axes.set(xlabel="depth of commutators", ylabel="dimension", yscale="log")
        decimal(axes.yaxis)
        axes.grid(alpha=0.3, which="both")
        axes.legend()
        return axes


def dynamical_lie_algebra(generators: Any, max_dimension: int | None = None) -> LieAlgebra:
    """The dimension of the dynamical Lie algebra: of all nested commutators of the generators of a circuit.

    It decides which unitaries a circuit of many layers reaches, and with how many dimensions variances of gradients
    vanish. Generators that are single Pauli words have an algebra of Pauli words, which is searched breadth-first on
    masks; of sums of words, as shared parameters have them, it is closed by linear algebra.

    In a circuit, rotations side by side that commute and share a parameter are one generator, rotations otherwise
    one each. Multiples of the identity, which turn the phase alone, are left out: a dimension is at most 4^n - 1.
    Fixed gates turn the generators after them: the algebra is that of the circuit as it is, F^-1 H F of
    generators H with all fixed gates F before each. Inputs are parameters, too.

    Source: Larocca et al., "Diagnosing barren plateaus with tools from quantum optimal control", Quantum 6, 824 (2022),
    arXiv:2105.14377; dimensions of all chains of Paulis: Wiersema, Kökcü, Kemper and Bakalov, "Classification of
    dynamical Lie algebras of 2-local spin systems", npj Quantum Information 10, 110 (2024), arXiv:2309.05690.

    Args:
        generators: A `QuantumModule`, a ``QuantumCircuit``, or a sequence of Hermitian operators, as observables of
            `QuantumModule`, each a generator.
        max_dimension: No commutators are taken of more dimensions than these; None: at 2^20 for words, 2^12 for sums.

    Returns:
        The dimension, which is a lower bound if the limit, or the memory budget, cut the search off.

    Raises:
        TypeError: an argument is of the wrong kind.
        ValueError: there are no generators, or they act on more than 32 qubits, or come from matrices.

    Example:
        >>> qtm.analysis.dynamical_lie_algebra(["XI", "IX", "ZZ"]).dimension
        6
    """
    found, num_qubits = generators_of(generators)
    are_words = all(len(one.words) == 1 for one in found)
    default = 1 << 20 if are_words else 1 << 12
    limit = default if max_dimension is None else whole_number(max_dimension, "max_dimension", 1)
    growth, is_complete = (_closed_words if are_words else _closed_sums)(found, limit)
    return LieAlgebra(growth[-1], is_complete, num_qubits, len(found), tuple(growth))


def _popcount(words: Words) -> Words:
    """How many bits are set: NumPy has it from version 2 on."""
    ones, twos, fours = (np.uint64(mask) for mask in (0x5555555555555555, 0x3333333333333333, 0x0F0F0F0F0F0F0F0F))
    words = words - ((words >> np.uint64(1)) & ones)
    words = (words & twos) + ((words >> np.uint64(2)) & twos)
    words = (words + (words >> np.uint64(4))) & fours
    return (words * np.uint64(0x0101010101010101)) >> np.uint64(56)


def _swapped(word: np.uint64) -> np.uint64:
    """A word with its masks exchanged: its overlap with another word is odd where both do not commute."""
    bits, low = np.uint64(WORD_BITS), np.uint64((1 << WORD_BITS) - 1)
    return np.uint64((word >> bits) | ((word & low) << bits))


def _anticommute(words: Words, word: np.uint64) -> npt.NDArray[np.bool_]:
    odd: npt.NDArray[np.bool_] = (_popcount(words & _swapped(word)) & np.uint64(1)).astype(bool)
    return odd


def _closed_words(generators: Sequence[Generator], limit: int) -> tuple[list[int], bool]:
    """Dimensions at each depth: commutators of words are words, of which only the masks matter."""
    given = np.unique(np.concatenate([one.words for one in generators]))
    known, newest, growth = given, given, [len(given)]
    while len(newest):
        if len(known) > limit:
            return growth, False
        made = [newest[_anticommute(newest, word)] ^ word for word in given]
        newest = np.setdiff1d(np.unique(np.concatenate(made)), known, assume_unique=True)
        known = np.union1d(known, newest)
        if len(newest):
            growth.append(len(known))
    return growth, True


def _closed_sums(generators: Sequence[Generator], limit: int) -> tuple[list[int], bool]:
    """Dimensions at each depth, of an orthonormal basis whose rows are coefficients of words.

    All commutators of the newest elements with the generators, without their part in the basis, have as many new
    dimensions as singular values; their singular vectors are the best of all bases to go on with.
    """
    words = np.unique(np.concatenate([one.words for one in generators]))
    rows = np.zeros((len(generators), len(words)))
    for row, one in zip(rows, generators, strict=True):
        row[np.searchsorted(words, one.words)] = one.coefficients / np.linalg.norm(one.coefficients)
    basis = newest = _independent(rows, np.zeros((0, len(words))))
    growth = [len(basis)]
    while len(newest):
        if len(basis) > limit:
            return growth, False
        targets = [words[_anticommute(words, word)] ^ word for one in generators for word in one.words]
        wider = np.union1d(words, np.concatenate(targets))
        if 16.0 * len(wider) * (len(basis) + 2 * len(generators) * len(newest)) > _engine.memory_budget():
            return growth, False
        newest = np.concatenate([_commutators(one, words, newest, wider) for one in generators])
        basis, words = _widened(basis, words, wider), wider
        newest = _independent(newest, basis)
        used = newest.any(0) | basis.any(0)
        words, newest, basis = words[used], newest[:, used], np.concatenate([basis, newest])[:, used]
        if len(newest):
            growth.append(len(basis))
    return growth, True


def _widened(rows: Real, words: Words, wider: Words) -> Real:
    found = np.zeros((len(rows), len(wider)))
    found[:, np.searchsorted(wider, words)] = rows
    return found


def _independent(rows: Real, basis: Real) -> Real:
    """An orthonormal basis of what rows add to a basis."""
    for _ in range(2):  # once more, as what is left may be small
        rows = rows - (rows @ basis.T) @ basis
    if not rows.any():
        return rows[:0]
    _, sizes, vectors = np.linalg.svd(rows, full_matrices=False)
    kept: Real = vectors[sizes > _TOLERANCE]
    kept[np.abs(kept) < _TOLERANCE**2] = 0.0
    return kept


def _commutators(generator: Generator, words: Words, rows: Real, wider: Words) -> Real:
    """i[G, row] / 2 for each row, as coefficients of the wider words; the generator is normalised."""
    found = np.zeros((len(rows), len(wider)))
    for word, coefficient in zip(generator.words, generator.coefficients, strict=True):
        odd = _anticommute(words, word)
        places = np.searchsorted(wider, words[odd] ^ word)
        found[:, places] += coefficient * _signs(word, words[odd]) * rows[:, odd]
    return found / np.linalg.norm(generator.coefficients)


def _signs(word: np.uint64, words: Words) -> Real:
    """The sign of i P Q for a word P and words Q that do not commute with it.

    P is i^(x z) X^x Z^z with masks x and z, so that P Q is i^p times the word of both, with
    p = x z + x' z' - (x + x')(z + z') + 2 z x'.
    """
    bits, low = np.uint64(WORD_BITS), np.uint64((1 << WORD_BITS) - 1)

    def own(words: Words) -> npt.NDArray[np.int64]:
        return _popcount((words >> bits) & words & low).astype(np.int64)

    both = _popcount((words >> bits) & (word & low)).astype(np.int64)
    power = own(np.array([word])) + own(words) - own(words ^ word) + 2 * both
    return np.where((power + 1) % 4 == 0, 1.0, -1.0)
