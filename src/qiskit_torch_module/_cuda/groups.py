"""Where everything of a plan lies: of the whole batch, and of groups of waves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeAlias

from .waves import Wave

if TYPE_CHECKING:
    from .launches import Plan, Pointers

_ALIGNED = 256
# Of the samples of a wave, or of several: low and high, or none.
Halves: TypeAlias = list[Wave]


def padded(size: int) -> int:
    """Bytes that an array takes, with what aligns the next one."""
    return size + -size % _ALIGNED


def places_of(plan: Plan, pointers: Pointers) -> Iterator[tuple[Plan, dict[str, int]]]:
    """Of the plan, then of its halves, the addresses of what is there for the whole batch."""
    tape, workspace, constants = pointers.tape, pointers.workspace, pointers.constants
    for one in (plan, *plan.halves):
        places: dict[str, int] = {}
        for name, size in one.tape.items():
            places[name], tape = tape, tape + padded(size)
        for name, size in one.workspace.items():
            places[name], workspace = workspace, workspace + padded(size)
        for name in ("inputs", "weights", "values", "cotangent", "input_gradient", "weight_gradient", "flag"):
            places[name] = getattr(pointers, name)
        places |= one.layout.constants.arguments(constants)
        constants += len(one.layout.constants.buffer)
        yield one, places


def groups_of(plan: Plan, pointers: Pointers) -> Iterator[tuple[Halves, list[tuple[Wave, Halves]]]]:
    """Groups of waves, with addresses of their own samples: halves, then waves with what is theirs of these."""
    (_, places), *of_halves = places_of(plan, pointers)
    size = plan.wave * plan.waves_at_once
    for begin in range(0, plan.batch, size):
        end = min(begin + size, plan.batch)
        halves = [Wave(one, end - begin, own | _moved(one, own, begin)) for one, own in of_halves]
        waves = []
        for first in range(begin, end, plan.wave):
            samples = min(plan.wave, end - first)
            wave = Wave(plan, samples, places | _moved(plan, places, first))
            waves.append((wave, [half.some(first - begin, samples) for half in halves]))
        yield halves, waves


def _moved(plan: Plan, places: dict[str, int], first: int) -> dict[str, int]:
    """Where arrays that all waves share begin for a sample."""
    circuit, real = plan.layout.circuit, plan.real_bytes
    # What a sample takes of arrays that all waves share.
    strides = {
        "inputs": circuit.num_inputs * real,
        "values": circuit.num_values * real,
        "cotangent": circuit.num_values * real,
        "input_gradient": circuit.num_inputs * real,
        "angle_gradient": len(circuit.arrays["angle_constant"]) * real,
    }
    if plan.keeps:
        strides |= {"factors": plan.factor_bytes, "ket": plan.state_bytes, "reads": circuit.num_reads * real}
    return {name: places[name] + first * stride for name, stride in strides.items() if places[name]}
