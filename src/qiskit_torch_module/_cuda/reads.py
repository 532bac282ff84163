"""What is read, as the arrays that the kernels go through."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from .absorption import Moment
from .circuit import Circuit, Lists, by_key
from .orders import Order
from .slots import Slot
from .views import View


def read_lists(circuit: Circuit, layout: Order, views: Sequence[View]) -> Lists:
    """Views, their flips and moments; of each flip the real slots and the imaginary ones, and the terms of slots."""
    moments = [moment for view in views for moment in circuit.moments if moment.flip in view.flips]
    of_part: dict[tuple[int, bool], list[Slot]] = {}
    # Z of moments are slots, too; whose, is told by a number below 0.
    of_moments = [Slot(0, False, -1 - number, ((moment.sign, 1.0),)) for number, moment in enumerate(moments)]
    for slot in (*circuit.slots, *of_moments):
        of_part.setdefault((slot.flip, slot.is_imaginary), []).append(slot)
    names = ("view_address", "flip_place", "slot_observable", "term_sign", "term_weight")
    lists: Lists = {name: [] for name in names} | {"view_flip_begin": [0], "part_begin": [0], "slot_term_begin": [0]}
    for view in views:
        lists["view_address"] += map(layout.place, view.order.vectors)
        lists["flip_place"] += map(view.order.place, view.flips)
        lists["view_flip_begin"].append(len(lists["flip_place"]))
        for part in itertools.product(view.flips, (False, True)):
            for slot in of_part.get(part, ()):
                lists["slot_observable"].append(slot.observable)
                lists["term_sign"] += [view.order.signs(mask) for mask, _ in slot.terms]
                lists["term_weight"] += [weight for _, weight in slot.terms]
                lists["slot_term_begin"].append(len(lists["term_sign"]))
            lists["part_begin"].append(len(lists["slot_observable"]))
    by_observable = [(observable, slot) for slot, observable in enumerate(lists["slot_observable"]) if observable >= 0]
    lists["observable_constant"] = circuit.constants
    lists["observable_begin"], lists["observable_slot"] = by_key(by_observable, len(circuit.constants))
    return lists | _moment_lists(circuit, views, moments, lists["slot_observable"])


def _moment_lists(
    circuit: Circuit, views: Sequence[View], moments: Sequence[Moment], slot_observable: Sequence[int]
) -> Lists:
    """Moments in the order of views, and which observables are made of them."""
    of_run = {moment.run: number for number, moment in enumerate(moments)}
    terms = [(number, *term) for number, moment in enumerate(moments) for term in moment.terms]
    lists: Lists = {
        "moment_run": [moment.run for moment in moments],
        "moment_slot": [slot_observable.index(-1 - number) for number in range(len(moments))],
        "run_moment": [of_run.get(run, -1) for run in range(circuit.num_runs)],
        "view_moment_begin": [0],
        "moment_flip": [],
        "moment_sign": [],
    }
    for view in views:
        for moment in moments:
            if moment.flip in view.flips:
                lists["moment_flip"].append(view.order.place(moment.flip))
                lists["moment_sign"].append(view.order.signs(moment.sign))
        lists["view_moment_begin"].append(len(lists["moment_flip"]))
    lists["moment_begin"], found = by_key([(number, rest) for number, *rest in terms], len(moments))
    lists["moment_observable"], lists["moment_weight"] = ([one[i] for one in found] for i in (0, 1))
    by_observable = [(observable, (number, weight)) for number, observable, weight in terms]
    lists["absorbed_begin"], found = by_key(by_observable, len(circuit.constants))
    lists["absorbed_moment"], lists["absorbed_weight"] = ([one[i] for one in found] for i in (0, 1))
    return lists
