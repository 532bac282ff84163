"""Two halves of the qubits that are never joined: observables are read from these.

Where halves (`halves`) hold all of a circuit, or all but a last layer that the observables absorb, what is read is made
of expectation values of Pauli words, and a word is a half-word on each half:

    <P (x) Q> = branches * sum over c, c' of the glue: <low_c|P|low_c'> <high_c|Q|high_c'>.

The state of all qubits is never there, which has as many amplitudes as the low half has times those of the high one.
Words that share P are read from the Gram matrix of P on one half and what it makes of the other half, so that what
counts is the number of half-words that all words have one of.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import heapify, heappop, heappush
from typing import TypeAlias

import numpy as np

from .._core.schema import WordArrays
from .._reading.paulis import PauliTerms
from .._reading.polynomials import Polynomial
from .arrays import begins_of, ints, masks_of
from .gf2 import is_odd
from .halves import Half, Halves, whole_halves_of
from .layers import Layer, Run
from .output import ExpectationValues, grouped

# X^x Z^z, times i where that makes it Hermitian.
HalfWord: TypeAlias = tuple[int, int]
Word: TypeAlias = tuple[HalfWord, HalfWord]

# To look for half-words among more terms takes longer than it saves.
_MOST_TERMS = 16384


@dataclass(frozen=True)
class Gram:
    """Words that have a half-word in common.

    Attributes:
        half: The half that it is on: 0 low, 1 high.
        common: That half-word.
        others: Those on the other half, side by side where they flip the same qubits.
    """

    half: int
    common: HalfWord
    others: tuple[HalfWord, ...]

    @property
    def num_flips(self) -> int:
        return len({x for x, _ in self.others})


@dataclass(frozen=True)
class Unjoined:
    """A circuit in two halves, and the words that are read from it.

    Attributes:
        halves: The halves; ``rest`` is an empty layer, and the last one of the circuit if it is absorbed.
        grams: All words.
        readings: Number of a word and its sign: for <X>, <Y> and <Z> of every run of the last layer, if it is absorbed,
            then for every term, in the order of the engine. Words that nobody needs are -1.
    """

    halves: Halves
    grams: tuple[Gram, ...]
    readings: tuple[tuple[int, int], ...]

    def arrays(self) -> WordArrays:
        """As the engine takes them."""
        words = [word for gram in self.grams for word in gram.others]
        return {
            "gram_half": ints(gram.half for gram in self.grams),
            "gram_x": masks_of(gram.common[0] for gram in self.grams),
            "gram_z": masks_of(gram.common[1] for gram in self.grams),
            "gram_word_begin": ints(begins_of(len(gram.others) for gram in self.grams)),
            "word_x": masks_of(x for x, _ in words),
            "word_z": masks_of(z for _, z in words),
            "reading_word": ints(word for word, _ in self.readings),
            "reading_sign": ints(sign for _, sign in self.readings),
        }


def unjoined_of(
    layers: Sequence[Layer], num_qubits: int, output: ExpectationValues, may_absorb: bool, joined: float
) -> Unjoined | None:
    """The halves of a circuit that observables are read from; None where there are none.

    Args:
        layers: The circuit.
        num_qubits: Number of qubits.
        output: What is read.
        may_absorb: Whether a last layer may be absorbed.
        joined: Relative cost of the circuit where its halves are joined; 1 without halves. What is read from the state
            then comes on top, as it does not here.
    """
    if not 0 < len(output.terms) <= _MOST_TERMS:
        return None
    measured = _measured(layers[-1], output.terms) if may_absorb and len(layers) > 1 else frozenset()
    ways = {measured, frozenset()}  # a last layer may be theirs, too, where factors before it join the halves
    found = [one for one in (_read_from_halves(layers, num_qubits, output, way) for way in ways) if one is not None]
    if not found:
        return None
    best = min(found, key=lambda one: one.halves.relative_cost)
    if measured:
        return best
    share = joined / (joined + _cost_of_reading(output.terms, num_qubits, len(layers)))
    return replace(best, halves=replace(best.halves, relative_cost=share * best.halves.relative_cost))


def _read_from_halves(
    layers: Sequence[Layer], num_qubits: int, output: ExpectationValues, measured: frozenset[int]
) -> Unjoined | None:
    """That of all layers, or, where there are masks of Z of runs that are measured, of all but the last."""
    halves = whole_halves_of(layers, num_qubits, has_last=not measured)
    found = None if halves is None else _with_own_phase(halves)
    if found is None:
        return None
    moved = output.moved(found.index)
    masks = {found.index.parity(mask) for mask in measured}
    of_runs = list(_of_runs(found.rest[1].runs, masks)) if measured else []
    wanted = [*of_runs, *_of_terms(moved, masks)]
    size = found.low.num_qubits - found.glue
    words = [_halved(*one, size) for one in wanted if one is not None]
    grams = _grams(words)
    number = {word: i for i, word in enumerate(_all_words(grams))}
    halved = iter(words)
    readings = [
        (-1, 1) if one is None else _reading(next(halved), number, of_term=place >= len(of_runs))
        for place, one in enumerate(wanted)
    ]
    cost = _relative_cost(found, grams, len(layers))
    return Unjoined(replace(found, relative_cost=cost), tuple(grams), tuple(readings))


def _measured(layer: Layer, terms: PauliTerms) -> frozenset[int]:
    """The masks of Z of its runs that are terms; none, if a term neither is one of them nor commutes with the layer."""
    if terms.x.any():
        return frozenset()
    masks = set(terms.z.tolist())
    turned = {mask: [run for run in layer.runs if is_odd(run.x & mask)] for mask in masks}
    if any(run.z != mask for mask, runs in turned.items() for run in runs):
        return frozenset()
    return frozenset(mask for mask, runs in turned.items() if runs)


def _with_own_phase(halves: Halves) -> Halves | None:
    """The same with the factors after the halves as theirs; None where one joins them."""
    first, *last = halves.rest
    low_size = halves.low.num_qubits - halves.glue
    own: tuple[dict[int, Polynomial], dict[int, Polynomial]] = ({}, {})
    for mask, angle in first.phase.items():
        low, high = mask & ((1 << low_size) - 1), mask >> low_size
        if low and high:
            return None
        own[bool(high)][low or high] = angle
    sides = [_with_phase(half, phase) for half, phase in zip((halves.low, halves.high), own, strict=True)]
    return replace(halves, low=sides[0], high=sides[1], rest=(Layer(), *last))


def _with_phase(half: Half, phase: dict[int, Polynomial]) -> Half:
    *before, last = half.layers
    return replace(half, layers=(*before, replace(last, phase={**last.phase, **phase})))


def _of_runs(runs: Sequence[Run], measured: set[int]) -> Iterable[HalfWord | None]:
    """X, Y and Z of every run of an absorbed layer that is measured."""
    for run in runs:
        words = ((run.x, 0), (run.x, run.z), (0, run.z))
        yield from words if run.z in measured else (None,) * len(words)


def _of_terms(output: ExpectationValues, absorbed: set[int]) -> Iterable[HalfWord | None]:
    """Those of all terms that no layer absorbs, in the order of the engine."""
    arrays = grouped(output.terms)
    begins, signs = arrays["flip_term_begin"].tolist(), arrays["pauli_z"].tolist()
    for flip, mask in enumerate(arrays["flip_mask"].tolist()):
        terms = signs[begins[2 * flip] : begins[2 * flip + 2]]
        yield from (None if mask == 0 and z in absorbed else (mask, z) for z in terms)


def _halved(x: int, z: int, size: int) -> Word:
    low = (1 << size) - 1
    return (x & low, z & low), (x >> size, z >> size)


def _reading(word: Word, number: Mapping[Word, int], of_term: bool) -> tuple[int, int]:
    """Number of a word, and what its half-words, both Hermitian, differ by from what is read.

    A term reads the real or the imaginary part of <X^x Z^z>, which is -<i X^x Z^z>; a run reads <Y>, which is the word.
    An even word of two odd halves has a factor i from each.
    """
    odd = [is_odd(x & z) for x, z in word]
    return number[word], -1 if all(odd) or (any(odd) and of_term) else 1


def _grams(words: Iterable[Word]) -> list[Gram]:
    """Half-words that all words have one of, as few as a greedy choice finds: first those that most words share."""
    others: dict[tuple[int, HalfWord], set[HalfWord]] = defaultdict(set)
    for low, high in words:
        others[0, low].add(high)
        others[1, high].add(low)
    most = [(-len(found), key) for key, found in others.items()]
    heapify(most)
    grams: list[Gram] = []
    while most:
        count, key = heappop(most)
        left = others[key]
        if not left:
            continue
        if len(left) < -count:  # some have been taken since
            heappush(most, (-len(left), key))
            continue
        half, common = key
        for other in left:
            others[1 - half, other].discard(common)
        grams.append(Gram(half, common, tuple(sorted(left))))
        others[key] = set()
    return grams


def _all_words(grams: Iterable[Gram]) -> Iterable[Word]:
    for gram in grams:
        for other in gram.others:
            yield (gram.common, other) if gram.half == 0 else (other, gram.common)


# Multiply-adds of a training step for an amplitude: those of a run of a layer (there and back, and its moments) and of
# what lies between two layers; of a row or a column of a Gram matrix, there and back; of a flip; of a term that is read
# from a state. And what halves take beyond the count, for each matrix and to layers, as measured from 9 to 20 qubits.
_RUN, _PHASE, _PRODUCTS, _FLIP, _TERM, _GRAM, _BEYOND = 8.0, 24.0, 7.0, 12.0, 6.0, 8000.0, 1.25


def _cost_of_reading(terms: PauliTerms, num_qubits: int, num_layers: int) -> float:
    """Time for what is read from a state, term by term or by a transform, to that of the circuit on all qubits."""
    _, counts = np.unique(terms.x, return_counts=True)
    reading = float(np.minimum(_TERM * counts, 2 * num_qubits).sum())
    return reading / ((num_layers - 0.25) * (_RUN * num_qubits + _PHASE))


def _relative_cost(halves: Halves, grams: Sequence[Gram], num_layers: int) -> float:
    """Time of a training step, to that of the circuit on all qubits. A first layer takes a fourth less than others."""
    sizes = [half.num_qubits for half in (halves.low, halves.high)]
    own = [size - halves.glue for size in sizes]
    depth = num_layers - (len(halves.rest) - 1)
    cost = sum(depth * (_RUN * bits + _PHASE) * 2.0**size for bits, size in zip(own, sizes, strict=True))
    for gram in grams:
        near, far = 2.0 ** sizes[gram.half], 2.0 ** sizes[1 - gram.half]
        cost += _GRAM + _PRODUCTS * 2**halves.glue * (near + far) + _FLIP * gram.num_flips * far
    return _BEYOND * cost / ((num_layers - 0.25) * (_RUN * sum(own) + _PHASE) * 2.0 ** sum(own))


# Those of what is read from a state.
NO_WORDS: WordArrays = {
    "gram_half": ints(()),
    "gram_x": masks_of(()),
    "gram_z": masks_of(()),
    "gram_word_begin": ints((0,)),
    "word_x": masks_of(()),
    "word_z": masks_of(()),
    "reading_word": ints(()),
    "reading_sign": ints(()),
}
