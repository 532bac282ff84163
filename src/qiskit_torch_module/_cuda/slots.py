"""Sums over the state that expectation values are made of."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from .._program.output import ExpectationValues, grouped


@dataclass(frozen=True)
class Slot:
    """A sum over the state: the terms of one observable of one flip and one kind.

    Attributes:
        flip: Which bits of an index they flip.
        is_imaginary: Whether they are imaginary parts.
        observable: Whose they are.
        terms: Signs, as a mask of an index, and coefficients.
    """

    flip: int
    is_imaginary: bool
    observable: int
    terms: tuple[tuple[int, float], ...]


def slots_of(output: ExpectationValues) -> tuple[Slot, ...]:
    """What is read, by flips, the real before the imaginary, by observables."""
    arrays = grouped(output.terms)
    flips, begins = arrays["flip_mask"].tolist(), arrays["flip_term_begin"].tolist()
    terms = [*zip(arrays["pauli_z"].tolist(), arrays["pauli_coefficient"].tolist(), strict=True)]
    observables = arrays["pauli_observable"].tolist()
    slots: list[Slot] = []
    for part, pair in enumerate(itertools.pairwise(begins)):
        of_part: dict[int, list[tuple[int, float]]] = {}
        for term in range(*pair):
            of_part.setdefault(observables[term], []).append(terms[term])
        flip, is_imaginary = flips[part // 2], bool(part % 2)
        slots += [Slot(flip, is_imaginary, observable, tuple(found)) for observable, found in of_part.items()]
    return tuple(slots)
