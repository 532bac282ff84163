"""Which plan a batch runs by: from halves, where that takes less time by count."""

from __future__ import annotations

from dataclasses import replace

from .card import H100, Card
from .circuit import Circuit
from .counts import Work, works_of
from .launches import Plan, Pointers
from .layout import halved_layout_of
from .shapes import shape_of

# Between one launch and the next nothing is computed; small ones take that long anyway.
_SECONDS_OF_LAUNCH = 2e-6
# How much faster than memory the second cache is.
_SPEED_OF_CACHE = 1.5


def plan_of(circuit: Circuit, batch: int, is_double: bool, card: Card) -> Plan:
    """The best plan for a batch, its numbers of launches, operations and bytes considered.

    Raises:
        MemoryError: the card has not enough memory.
    """
    whole = Plan.of(circuit, batch, is_double, card)
    if halved_layout_of(circuit, shape_of(circuit.num_qubits, is_double, card), is_double) is None:
        return whole
    try:
        from_halves = Plan.of(circuit, batch, is_double, card, from_halves=True)
    except MemoryError:  # halves take a little more
        return whole
    return min((whole, from_halves), key=seconds_of)


def seconds_of(plan: Plan) -> float:
    """Of values and gradients, at the limits of the card; where these are not known, of an H100."""
    card = plan.card if plan.card.bytes_per_second else H100
    rate = card.double_operations if plan.layout.is_double else card.float_operations
    speed = card.bytes_per_second * (_SPEED_OF_CACHE if plan.layout.shape.name == "wave" else 1.0)

    def seconds(work: Work) -> float:
        return max(work.operations / rate, work.bytes / speed)

    return _SECONDS_OF_LAUNCH * _launches(plan) + sum(seconds(work) for part in works_of(plan) for work in part)


def _launches(plan: Plan) -> int:
    """Of all waves; how many a wave has does not depend on its samples."""
    size, pointers = plan.wave * plan.waves_at_once, Pointers(weight_gradient=1)
    one = replace(plan, batch=min(size, plan.batch))
    return -(-plan.batch // size) * (len(one.values(pointers)) + len(one.gradients(pointers)))
