"""The first layers on two halves of the qubits.

What entangles one layer with the next often joins two halves of the qubits by a few parities only: those that a CX
carries across, or that an RZZ across depends on. Each half then is a small circuit of its own with a few more qubits,
the *glue*: a parity of the other half is in superposition there from the start, a parity of its own is copied. The
state after the last of these layers is

    sqrt(branches) * sum over the glue: low[glue, i] * high[glue, j],

an exact sum of as many products as the glue has basis states (which bounds the Schmidt rank across the cut).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from .._core.schema import MOST_GLUE_BITS, MOST_UNJOINED_GLUE_BITS
from .._reading.polynomials import Polynomial
from .gf2 import Basis, duals, is_odd, overlaps, sum_of
from .layers import Layer, Run, Y

# Layers that a circuit may have; in deeper ones, the first few are too little of the whole.
_MOST_LAYERS = 12
LEAST_QUBITS = 8


@dataclass(frozen=True)
class Half:
    """One half as a circuit: its qubits, those of the glue behind them."""

    num_qubits: int
    layers: tuple[Layer, ...]


@dataclass(frozen=True)
class Index:
    """Another index for basis states: bit i is the parity of the old bits in ``parities[i]``, ``flips[i]`` flips it."""

    flips: tuple[int, ...]
    parities: tuple[int, ...]

    def flip(self, x: int) -> int:
        """What flips the old bits in ``x``."""
        return overlaps(x, self.parities)

    def parity(self, z: int) -> int:
        """The parity of the old bits in ``z``."""
        return overlaps(z, self.flips)

    def layer(self, layer: Layer) -> Layer:
        runs = tuple([Run(self.flip(run.x), self.parity(run.z), run.gates) for run in layer.runs])
        return Layer(runs, {self.parity(mask): angle for mask, angle in layer.phase.items()})


@dataclass(frozen=True)
class Halves:
    """A circuit that starts from the product of two halves.

    Attributes:
        low, high: The halves; the index of a basis state is that in the low half, then that in the high one. They may
            end with some runs of the layer that follows.
        glue: Number of qubits of the glue.
        relative_cost: Time of a training step, to that of the circuit without halves.
        rest: What is left of the circuit; its first layer is empty, as the halves are in its place.
        index: That of the rest.
    """

    low: Half
    high: Half
    glue: int
    relative_cost: float
    rest: tuple[Layer, ...]
    index: Index


def halves_of(layers: Sequence[Layer], num_qubits: int, num_inputs: int) -> Halves | None:
    """The halves of a circuit, of as many of its first layers as is fastest; None where there are none.

    Args:
        layers: The circuit.
        num_qubits: Number of qubits.
        num_inputs: Variables of a lower index differ from sample to sample; layers before them run once for a batch.
    """
    if num_qubits < LEAST_QUBITS or len(layers) > _MOST_LAYERS:
        return None
    full = _full(layers, num_qubits)
    if len(full) < 2 or (num_inputs > 0 and not _varies(full[:2], num_inputs)):
        return None
    cuts = _cuts(full)
    return min(cuts, key=lambda cut: cut.relative_cost(len(layers))).halves(layers) if cuts else None


def deepest_halves_of(layers: Sequence[Layer], num_qubits: int) -> Halves | None:
    """Those of as many of the first layers as can be, in circuits of any depth; None where there are none."""
    cuts = _cuts(_full(layers, num_qubits)[:_MOST_LAYERS]) if num_qubits >= LEAST_QUBITS else []
    return cuts[-1].halves(layers) if cuts else None


def whole_halves_of(layers: Sequence[Layer], num_qubits: int, has_last: bool) -> Halves | None:
    """Those of all layers, the last one being part of them or not, if there are such."""
    own = list(layers if has_last else layers[:-1])
    if num_qubits < LEAST_QUBITS or not 1 <= len(own) <= _MOST_LAYERS or _full([*own, Layer()], num_qubits) != own:
        return None
    if len(own) == 1:  # a product state
        return _Cut(num_qubits, [], 0).halves(layers)
    cuts = _cuts(own, MOST_UNJOINED_GLUE_BITS)
    return cuts[-1].halves(layers) if len(cuts) == len(own) - 1 else None


def _full(layers: Sequence[Layer], num_qubits: int) -> list[Layer]:
    """The first layers that turn all qubits. The last layer is none of the halves': observables may absorb it."""
    return list(itertools.takewhile(lambda layer: len(layer.runs) == num_qubits, layers[:-1]))


def _cuts(full: Sequence[Layer], most_glue: int = MOST_GLUE_BITS) -> list[_Cut]:
    """Of the first two layers, of three and so on, the halves with the least glue, as long as it is not too much."""
    cuts: list[_Cut] = []
    steps: list[_Step] = []
    for before, after in itertools.pairwise(full):
        steps.append(_Step(before, after))
        size = len(before.runs)
        cut = min((_Cut(size, steps, shift) for shift in range(size)), key=lambda cut: cut.glue)
        if cut.glue > most_glue:
            break
        cuts.append(cut)
    return cuts


def _with_runs(half: Half, rest: Sequence[Layer], bits: range) -> tuple[Half, Sequence[Layer]]:
    """A half with what it can do by itself of the layer after the halves, and of the factors in between.

    Args:
        half: A half.
        rest: The circuit after the halves.
        bits: Where the half's own bits are in the index of the rest.

    Returns:
        The half with these, and the rest without.
    """
    between, following = rest[:2]
    own = sum(1 << bit for bit in bits)

    def is_own(mask: int) -> bool:
        return mask & ~own == 0

    def moves(run: Run) -> bool:
        return is_own(run.x | run.z) and all(is_own(mask) for mask in between.phase if is_odd(mask & run.x))

    moved, kept = [run for run in following.runs if moves(run)], [run for run in following.runs if not moves(run)]
    if not moved or not kept:
        return half, rest
    *before, last = half.layers
    own_phase = {mask >> bits[0]: angle for mask, angle in between.phase.items() if is_own(mask)}
    last = replace(last, phase={**last.phase, **own_phase})
    added = Layer(tuple([Run(run.x >> bits[0], run.z >> bits[0], run.gates) for run in moved]))
    between = replace(between, phase={mask: angle for mask, angle in between.phase.items() if not is_own(mask)})
    following = replace(following, runs=tuple(kept))
    return replace(half, layers=(*before, last, added)), [between, following, *rest[2:]]


def _varies(layers: Sequence[Layer], num_inputs: int) -> bool:
    angles = [angle for layer in layers for run in layer.runs for _, angle in run.gates]
    angles += layers[0].phase.values()
    return any(index < num_inputs for angle in angles for variables, _ in angle.terms for index in variables)


class _Step:
    """What lies between two layers. Functions are parities of the bits that the first one turns: bit k for run k."""

    def __init__(self, before: Layer, after: Layer) -> None:
        flips = [run.x for run in before.runs]
        self.reached = [overlaps(run.z, flips) for run in after.runs]  # the bits that the second one turns
        self.factors = [(overlaps(mask, flips), angle) for mask, angle in before.phase.items() if angle.terms]


class _Cut:
    """A choice of halves: the same places in all layers, one half of them from ``shift`` on."""

    def __init__(self, size: int, steps: Sequence[_Step], shift: int) -> None:
        places = [(shift + i) % size for i in range(size)]
        self.size, self.steps = size, tuple(steps)
        self.sides = places[: size // 2], places[size // 2 :]
        self.masks = [sum(1 << place for place in side) for side in self.sides]
        # What the low half and the high one have to know of the other in each step.
        self.known = [self._known(step) for step in steps]
        self.glue = sum(len(basis) for pair in self.known for basis in pair)

    def _known(self, step: _Step) -> tuple[Basis, Basis]:
        low, high = self.masks
        # Factors across the cut go to the high half.
        across = [function & low for function, _ in step.factors if function & high]
        return (
            Basis(step.reached[place] & high for place in self.sides[0]),
            Basis([*(step.reached[place] & low for place in self.sides[1]), *across]),
        )

    def relative_cost(self, num_layers: int) -> float:
        """As fitted to training steps of 8 to 20 qubits, in layers: those that are left, the sum, and the halves.

        A first layer, a product state, takes a fourth less than others. Large states wait for memory, the sum does not.
        """
        size, depth = self.size, len(self.steps) + 1
        of_sum = max(0.02, 0.15 - 0.0165 * (size - 10)) * 2.0**self.glue
        of_halves = 1.05 * depth * sum(2.0 ** (len(side) + self.glue - size) for side in self.sides)
        cost = num_layers - depth + of_sum + of_halves
        return cost / (num_layers - 0.25)

    def halves(self, layers: Sequence[Layer]) -> Halves:
        """Both halves, and the rest of the circuit by the new index."""
        depth = len(self.steps) + 1
        last = layers[depth - 1]
        runs = [last.runs[place] for side in self.sides for place in side]
        index = Index(tuple(run.x for run in runs), tuple(run.z for run in runs))
        rest: Sequence[Layer] = [index.layer(layer) for layer in [Layer((), last.phase), *layers[depth:]]]
        low, high = (self._half(side, layers[:depth]) for side in (0, 1))
        if len(rest) > 2:  # the last layer stays whole, as observables may absorb it
            low, rest = _with_runs(low, rest, range(len(self.sides[0])))
            high, rest = _with_runs(high, rest, range(len(self.sides[0]), len(runs)))
        return Halves(low, high, self.glue, self.relative_cost(len(layers)), tuple(rest), index)

    def _half(self, side: int, layers: Sequence[Layer]) -> Half:
        """Its bits: those that its runs of the last layer turn, then the glue, step by step."""
        own, size = self.sides[side], len(self.sides[side])
        # For each step, the bits of the glue that this half receives and those that it gives.
        received, given, begin = [], [], size
        for pair in self.known:
            bits = range(begin, begin + len(pair[0])), range(begin + len(pair[0]), begin + len(pair[0]) + len(pair[1]))
            received.append(bits[side])
            given.append(bits[1 - side])
            begin = bits[1].stop
        # From the last layer back: what the bits before a step flip at the end.
        flips = [1 << bit for bit in range(begin)]
        runs = [[Run(flip, flip, layers[-1].runs[place].gates) for flip, place in zip(flips, own, strict=False)]]
        phases: list[dict[int, Polynomial]] = [{}]
        for number in reversed(range(len(self.steps))):
            flips = self._flips_before(number, side, flips, received[number], given[number])
            signs = duals(flips)
            phases.insert(0, self._phase(number, side, signs, received[number]))
            gates = [layers[number].runs[place].gates for place in own]
            runs.insert(0, [Run(*parts) for parts in zip(flips, signs, gates, strict=False)])
        half_turn = Polynomial.constant(math.pi / 2)
        runs[0] += [Run(flips[bit], signs[bit], ((Y, half_turn),)) for bits in received for bit in bits]
        return Half(begin, tuple([Layer(tuple(of_layer), phase) for of_layer, phase in zip(runs, phases, strict=True)]))

    def _flips_before(
        self, number: int, side: int, flips: Sequence[int], received: Sequence[int], given: Sequence[int]
    ) -> list[int]:
        """A step: own bits flip those after it and the glue that is given, glue that is received flips own bits."""
        own, reached, other = self.sides[side], self.steps[number].reached, self.masks[1 - side]
        incoming, outgoing = self.known[number][side], self.known[number][1 - side]
        before = list(flips)
        for bit, place in enumerate(own):
            before[bit] = sum_of(flips[i] for i, other_place in enumerate(own) if reached[other_place] >> place & 1)
            before[bit] ^= sum_of(
                flips[glue] for glue, function in zip(given, outgoing.elements, strict=True) if function >> place & 1
            )
        for i, place in enumerate(own):
            parts = incoming.coordinates(reached[place] & other)
            for part, glue in enumerate(received):
                before[glue] ^= flips[i] if parts >> part & 1 else 0
        return before

    def _phase(self, number: int, side: int, signs: Sequence[int], received: Sequence[int]) -> dict[int, Polynomial]:
        """The factors of a step that are this half's."""
        phase = {}
        for function, angle in self.steps[number].factors:
            if bool(function & self.masks[1]) != bool(side):
                continue
            known = self.known[number][side].coordinates(function & self.masks[1 - side])
            mask = sum_of(sign for sign, place in zip(signs, self.sides[side], strict=False) if function >> place & 1)
            mask ^= sum_of(signs[glue] for part, glue in enumerate(received) if known >> part & 1)
            phase[mask] = angle
        return phase
