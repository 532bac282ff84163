"""What a plan computes and moves at least: what a time is held against."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce

from .card import Card
from .circuit import Part
from .joins import numbers_of_parts
from .launches import Plan
from .passes import Pass

# Operations on real numbers, a fused multiply-add as two. Of an amplitude: RY; a complex product; Im(conj(b) k).
_OF_ROTATION, _OF_PRODUCT, _OF_OVERLAP = 6, 6, 3
_OF_ADDED_PRODUCT = 8
# Of an amplitude, for one moment X or Y; for all terms of a flip and a kind.
_OF_MOMENT = _OF_PART = 4


@dataclass(frozen=True)
class Work:
    """What is computed and moved.

    Attributes:
        operations: On real numbers, a fused multiply-add as two.
        bytes: To and from memory, or the second cache where states stay there.
    """

    operations: float
    bytes: float

    def __add__(self, other: Work) -> Work:
        return Work(self.operations + other.operations, self.bytes + other.bytes)

    def times(self, samples: int) -> Work:
        """That of so many samples."""
        return Work(samples * self.operations, samples * self.bytes)

    def least_seconds(self, card: Card, is_double: bool) -> float:
        """The time that a card takes at its limits; 0 where these are not known."""
        rate = card.double_operations if is_double else card.float_operations
        return max(self.operations / rate if rate else 0.0, self.bytes / (card.bytes_per_second or float("inf")))


def work_of(plan: Plan) -> tuple[Work, Work]:
    """That of values, and of gradients after them."""
    parts = works_of(plan)
    values, gradients = (reduce(Work.__add__, of_parts) for of_parts in zip(*parts, strict=True))
    return values, gradients


def works_of(plan: Plan) -> list[tuple[Work, Work]]:
    """The same apart: of the circuit, or the rest after halves; then of either half, and of the way between them."""
    parts = [_own(one) for one in (plan, *plan.halves)]
    return [*parts, _joined(plan)] if plan.halves else parts


def _own(plan: Plan) -> tuple[Work, Work]:
    schedule, circuit, real = plan.layout.schedule, plan.layout.circuit, plan.real_bytes
    amplitudes, state = 1 << schedule.num_bits, plan.state_bytes
    forward = amplitudes * sum(map(_turned, _on_the_way(plan)))
    views = 0 if circuit.part is Part.HALF else len(plan.layout.views)
    terms, moments = _of_terms(plan), len(circuit.moments)
    # Factors are written and read, and kets between sweeps; the last one is read for values, once for each view.
    factors = 2 * plan.factor_bytes
    continues = circuit.part is Part.REST
    sweeps = [
        sweep for sweep in schedule.sweeps if schedule.begin < sweep.stop and (not continues or schedule.changes(sweep))
    ]
    # The first one reads no state, unless the state was joined of halves.
    on_the_way = (2 * len(sweeps) - (not continues)) * state
    numbers = real * (circuit.num_inputs + circuit.num_values)
    values = Work(
        forward + amplitudes * (terms + 2 * _OF_MOMENT * moments),
        factors + on_the_way + views * state + numbers,
    )
    back = sum(2 * _turned(one) + _measured(plan, one) for one in schedule.passes)
    # Where no tile holds the state, views make the bra, one after the other. To halves, the ket does not go back.
    if continues:
        swept = max(0, 4 * len(sweeps) - 1)
    else:
        swept = sum(4 if schedule.changes(sweep) else 2 for sweep in schedule.sweeps)
    moved = 2 * state if schedule.is_resident else (swept + max(0, 3 * views - 1)) * state
    sums = real * (circuit.num_slots + 2 * circuit.num_inputs + circuit.num_values)
    gradients = Work(amplitudes * (back + terms + _OF_MOMENT * moments), plan.factor_bytes + moved + sums)
    if not plan.keeps:
        gradients += Work(forward, factors + on_the_way)
    return values.times(plan.batch), gradients.times(plan.batch)


def _joined(plan: Plan) -> tuple[Work, Work]:
    """Of the state as a sum of products of halves, and of the bras of these."""
    kets = sum(half.state_bytes for half in plan.halves)
    products = _OF_ADDED_PRODUCT << (plan.layout.circuit.num_qubits + plan.layout.glue_bits)
    values = Work(products, plan.state_bytes + kets)
    parts = 2 * sum(numbers_of_parts(plan.layout)) * plan.real_bytes
    gradients = Work(2 * products, 2 * plan.state_bytes + 2 * kets + parts)
    if not plan.keeps:
        gradients += values
    return values.times(plan.batch), gradients.times(plan.batch)


def _on_the_way(plan: Plan) -> Iterable[Pass]:
    """The passes after the product state."""
    return plan.layout.schedule.passes[plan.layout.schedule.start + 1 :]


def _turned(one: Pass) -> float:
    """Of an amplitude: runs and phase of a pass."""
    rotations = _OF_ROTATION * sum(run >= 0 for run in one.runs)
    return rotations + (_OF_PRODUCT if one.phase is not None else 0)


def _measured(plan: Plan, one: Pass) -> float:
    """Of an amplitude: the moments of a pass."""
    is_real = plan.layout.circuit.arrays["run_is_real"]
    runs = [run for run in one.runs if run >= 0]
    moments = sum(_OF_MOMENT if is_real[run] else 2 * _OF_MOMENT + 1 for run in runs)
    return moments + (_OF_OVERLAP if one.phase is not None or not all(is_real[run] for run in runs) else 0)


def _of_terms(plan: Plan) -> float:
    """Of an amplitude: products for each flip and kind, a Walsh transform of them over registers, and terms of that."""
    circuit, bits = plan.layout.circuit, plan.layout.schedule.tile.register_bits
    parts = {(slot.flip, slot.is_imaginary) for slot in circuit.slots} | {(0, False) for _ in circuit.moments}
    terms = sum(len(slot.terms) for slot in circuit.slots) + len(circuit.moments)
    return (_OF_PART + bits) * len(parts) + 2 * terms / (1 << bits)
