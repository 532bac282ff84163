"""Passes over a circuit as the arrays that the kernels read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._program.amplitudes import Amplitudes
from .._program.gf2 import is_odd
from .circuit import Circuit, Lists
from .orders import Order, exchange
from .passes import Schedule, product_masks
from .reads import read_lists
from .schema import Constants
from .views import View

_LANE_BITS = 5


def sample_bytes(circuit: Circuit, is_double: bool) -> int:
    """What a sample's angles are turned into (`Factors` in prepare.cuh)."""
    size = phase_place(circuit, is_double) + (16 if is_double else 8)
    return size + -size % 16


def phase_place(circuit: Circuit, is_double: bool) -> int:
    """Where in it is what the ket lacks to be the state."""
    doubles = 2 * len(circuit.arrays["angle_constant"]) + 8 * circuit.num_runs
    reals = 2 * circuit.num_runs + 2 * len(circuit.arrays["character_mask"])
    return 8 * doubles + (8 if is_double else 4) * reals


def constants_of(circuit: Circuit, schedule: Schedule, views: Sequence[View], is_double: bool) -> Constants:
    """All that a plan's kernels read beside inputs and weights."""
    counts = {
        "num_qubits": schedule.num_bits,
        "thread_bits": schedule.tile.thread_bits,
        "tile_bits": schedule.tile_bits,
        "num_inputs": circuit.num_inputs,
        "num_weights": circuit.num_weights,
        "num_angles": len(circuit.arrays["angle_constant"]),
        "num_runs": circuit.num_runs,
        "num_gates": len(circuit.arrays["gate_angle"]),
        "num_characters": len(circuit.arrays["character_mask"]),
        "sample_bytes": sample_bytes(circuit, is_double),
        "num_slots": circuit.num_slots,
    }
    arrays: dict[str, Any] = {name: circuit.arrays[name] for name in _AS_THEY_ARE}
    arrays |= circuit.gradient_lists | _pass_lists(schedule) | _phase_lists(circuit, schedule)
    arrays |= _start_lists(circuit, schedule)
    counts["num_starts"] = len(arrays["start_mask"])
    state_counts, of_state = _state_lists(circuit, schedule.layout)
    arrays |= read_lists(circuit, schedule.layout, views) | of_state
    counts |= {"num_observables": len(circuit.constants), "num_reads": circuit.num_reads}
    counts |= {"num_turned": circuit.num_turned, "num_slots_read": len(circuit.slots) + len(circuit.moments)}
    counts["state_phase"] = circuit.state_phase
    return Constants.of(counts | state_counts, arrays, is_double)


_AS_THEY_ARE = (
    "angle_constant",
    "angle_term_begin",
    "term_coefficient",
    "term_factor_begin",
    "factor_variable",
    "run_gate_begin",
    "run_is_real",
    "gate_axis",
    "gate_angle",
    "character_source_begin",
    "source_kind",
    "source_index",
)


def _pass_lists(schedule: Schedule) -> Lists:
    bits, lane_bits = schedule.tile.bits, min(_LANE_BITS, schedule.tile.thread_bits)
    addresses = []
    for number, one in enumerate(schedule.passes):
        before = schedule.before(number) if one.exchanges else one.order
        addresses.append(exchange(before, one.order, bits, lane_bits))
    return {
        "pass_exchanges": [one.exchanges for one in schedule.passes],
        "pass_turns": [one.turns for one in schedule.passes],
        "pass_run": [run for one in schedule.passes for run in one.runs],
        "pass_address": [schedule.layout.place(vector) for one in schedule.passes for vector in one.order.vectors],
        "pass_before": [flip for before, _ in addresses for flip in before],
        "pass_own_address": [flip for _, own in addresses for flip in own],
    }


def _phase_lists(circuit: Circuit, schedule: Schedule) -> Lists:
    """Characters of each pass by their register bits: those of none, of each bit alone, then others; and rotations."""
    lists: Lists = {"pass_group_begin": [0], "group_begin": [0], "pass_rotation_begin": [0]}
    lists |= {name: [] for name in ("group_pattern", "group_character", "group_mask", "rotation_mask", "rotation_slot")}
    threads, size = schedule.tile.thread_bits, schedule.tile.register_bits
    of_character: dict[int, list[int]] = {}
    for number, (character, _) in enumerate(circuit.rotations):
        of_character.setdefault(character, []).append(3 * circuit.num_runs + number)
    for one in schedule.passes:
        characters = [] if one.phase is None else circuit.characters[one.phase]
        groups: dict[int, list[tuple[int, int]]] = {bits: [] for bits in (0, *(1 << bit for bit in range(size)))}
        for character, mask in characters:
            signs = one.order.signs(mask)
            groups.setdefault(signs >> threads & ((1 << size) - 1), []).append((character, signs))
            for slot in of_character.get(character, ()):
                lists["rotation_mask"].append(signs)
                lists["rotation_slot"].append(slot)
        for bits, members in groups.items() if characters else ():
            lists["group_pattern"].append(sum(1 << r for r in range(1 << size) if is_odd(r & bits)))
            lists["group_character"] += [character for character, _ in members]
            lists["group_mask"] += [signs for _, signs in members]
            lists["group_begin"].append(len(lists["group_mask"]))
        lists["pass_group_begin"].append(len(lists["group_pattern"]))
        lists["pass_rotation_begin"].append(len(lists["rotation_mask"]))
    return lists


def _start_lists(circuit: Circuit, schedule: Schedule) -> Lists:
    signs, even = product_masks(circuit.layers[0], schedule.num_bits)
    order = schedule.passes[schedule.begin].order
    return {
        "start_mask": [order.signs(mask) for mask in (*signs, *even)],
        "start_run": [*range(len(signs)), *[-1] * len(even)],
    }


def _state_lists(circuit: Circuit, layout: Order) -> tuple[dict[str, int], Lists]:
    """From indices of the caller's to addresses, and back; bits that are no qubits are beyond all indices."""
    if not isinstance(circuit.output, Amplitudes):
        return {"state_bits": 0, "state_base": 0}, {"state_address": (), "state_index": ()}
    flips: Sequence[int] = circuit.output.flips
    filling = [1 << bit for bit in range(len(flips), len(layout.vectors))]
    addresses = [layout.place(flip) for flip in (*flips, *filling)]
    back = Order(tuple(addresses))
    counts = {
        "state_bits": len(flips),
        "state_base": layout.place(circuit.output.base),
    }
    return counts, {
        "state_address": addresses[: len(flips)],
        "state_index": [back.place(1 << bit) for bit in range(len(layout.vectors))],
    }
