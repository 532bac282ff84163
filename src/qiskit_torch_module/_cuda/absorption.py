"""A last layer that observables absorb: the Z of one of its runs is cos Z - sin X of its virtual qubit before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .._program.gf2 import is_odd
from .._program.layers import Layer
from .._program.output import ExpectationValues
from .slots import Slot, slots_of


@dataclass(frozen=True)
class Moment:
    """A run of the last layer whose Z is read: <X>, <Y> and <Z> of its virtual qubit before it are all that counts.

    Attributes:
        run: Its number.
        flip, sign: Masks of X and Z.
        terms: Observables that it is a term of, and coefficients.
    """

    run: int
    flip: int
    sign: int
    terms: tuple[tuple[int, float], ...]


def absorbed(layers: Sequence[Layer], output: ExpectationValues) -> tuple[tuple[Moment, ...], tuple[Slot, ...]]:
    """The moments by which a last layer is absorbed, none if it is not; and what else is read, before that layer.

    As in src/engine/plan.cpp (`Plan::derive_absorption`): all terms are diagonal, and commute with all runs of the
    layer or are the Z of one.
    """
    whole: tuple[tuple[Moment, ...], tuple[Slot, ...]] = (), slots_of(output)
    terms = output.terms
    if len(layers) < 2 or terms.x.any():
        return whole
    first = sum(len(layer.runs) for layer in layers[:-1])
    found: dict[int, list[tuple[int, float]]] = {}
    rest = []
    masks, coefficients, observables = terms.z.tolist(), terms.coefficient.tolist(), terms.observable.tolist()
    for number, mask in enumerate(masks):
        turning = [index for index, run in enumerate(layers[-1].runs) if is_odd(run.x & mask)]
        if any(layers[-1].runs[index].z != mask for index in turning):
            return whole
        for index in turning:
            found.setdefault(index, []).append((observables[number], coefficients[number]))
        if not turning:
            rest.append(number)
    runs = layers[-1].runs
    moments = [
        Moment(first + index, runs[index].x, runs[index].z, tuple(of_run)) for index, of_run in sorted(found.items())
    ]
    if not moments:
        return whole
    return tuple(moments), slots_of(ExpectationValues(output.constants, terms.at(np.array(rest, dtype=np.intp))))
