"""What crosses to the kernels has its names here, once for both sides: constants of a plan, and arguments of a launch.

Arrays of a plan are one buffer on the device. A launch takes one struct, which `header` writes: what is its own, the
addresses of these arrays, and the counts of the plan.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]

COUNTS = (
    "num_qubits",  # bits of an index: qubits, and those that fill up the registers
    "thread_bits",
    "tile_bits",  # bits of a place beyond those of a tile
    "num_inputs",
    "num_weights",
    "num_angles",
    "num_runs",
    "num_gates",
    "num_characters",
    "sample_bytes",  # of the factors of a sample
    "num_slots",  # sums over the state on the way back: moments of runs, rotations in phases, the global phase
    "num_starts",
    "num_observables",
    "num_reads",  # sums over the state that values are made of: slots, then X and Y of moments
    "num_slots_read",
    "num_turned",  # runs that are applied; the others are of a layer that observables absorb
    "state_bits",
    "state_base",
    "state_phase",  # the angle that is twice the global phase; -1: the state is not read
)

ARRAYS = {
    # Angles, runs and characters, as the engine on the CPU takes them (_core/schema.py).
    "angle_constant": "double",
    "angle_term_begin": "int",
    "term_coefficient": "double",
    "term_factor_begin": "int",
    "factor_variable": "int",
    "run_gate_begin": "int",
    "run_is_real": "int",
    "gate_axis": "int",
    "gate_angle": "int",
    "character_source_begin": "int",
    "source_kind": "int",
    "source_index": "int",
    # The way from sums to gradients.
    "angle_gate_begin": "int",
    "angle_gate": "int",
    "angle_slot_begin": "int",
    "angle_slot": "int",
    "variable_begin": "int",  # of inputs, then weights: entries, each a factor of a term of an angle
    "entry_angle": "int",
    "entry_term": "int",
    "entry_factor": "int",
    # Passes over tiles. Bits of a place: of the thread, the register, the tile.
    "pass_exchanges": "int",  # whether the tile is in another order before it
    "pass_turns": "int",  # whether its runs are undone on the way back
    "pass_run": "int",  # [passes][register bits], -1: none
    "pass_address": "unsigned",  # [passes][num_qubits]: bits of a place to an index in memory
    "pass_before": "unsigned",  # [passes][bits of a tile]: to addresses in shared memory, from the order before
    "pass_own_address": "unsigned",  # likewise, from its own order
    "pass_group_begin": "int",
    "group_pattern": "unsigned",  # bit r: whether register r is one of odd parity
    "group_begin": "int",
    "group_character": "int",
    "group_mask": "unsigned",
    "pass_rotation_begin": "int",
    "rotation_mask": "unsigned",
    "rotation_slot": "int",
    "start_mask": "unsigned",
    "start_run": "int",
    # What is read, in views of the state, whose places are as those of passes.
    "view_address": "unsigned",  # [views][num_qubits]: bits of a place to an index in memory
    "view_flip_begin": "int",
    "flip_place": "unsigned",  # what a flip flips of a place
    "part_begin": "int",  # [flips][2]: the slots of its real terms, and of its imaginary ones
    "slot_term_begin": "int",
    "slot_observable": "int",  # below 0: Z of the moment -1 - it
    "term_sign": "unsigned",  # of a place
    "term_weight": "Real",
    "observable_constant": "Real",
    "observable_begin": "int",
    "observable_slot": "int",
    # Moments of runs of a layer that observables absorb.
    "run_moment": "int",  # -1: none
    "moment_run": "int",
    "moment_slot": "int",
    "view_moment_begin": "int",
    "moment_flip": "unsigned",
    "moment_sign": "unsigned",
    "moment_begin": "int",
    "moment_observable": "int",
    "moment_weight": "Real",
    "absorbed_begin": "int",  # of observables
    "absorbed_moment": "int",
    "absorbed_weight": "Real",
    "state_address": "unsigned",
    "state_index": "unsigned",
}

# What a launch has of its own. Addresses come first.
ARGUMENTS = {
    "inputs": "const Real*",
    "weights": "const Real*",
    "values": "Real*",
    "cotangent": "const Real*",
    "input_gradient": "Real*",
    "weight_gradient": "Real*",
    "factors": "char*",
    "ket": "Complex*",
    "ket_before": "Complex*",  # where the way back leaves the ket
    "bra": "Complex*",
    "partial": "Real*",
    "sums": "Real*",
    "reads": "Real*",  # the sums that values are made of
    "low": "const Complex*",  # kets of halves
    "high": "const Complex*",
    "low_phase": "const char*",  # what they lack to be states, from sample to sample so many bytes; null: nobody asks
    "high_phase": "const char*",
    "gate_gradient": "Real*",
    "angle_gradient": "Real*",
    "flag": "int*",
    "numbers": "long long",
    "samples": "int",
    "parts": "int",
    "pass_begin": "int",
    "pass_end": "int",
    "starts": "int",
    "goes_on": "int",
    "seeds": "int",
    "stores": "int",
    "ends": "int",  # nobody needs the ket any more
    "view": "int",
    "tile_numbers": "int",  # that each group of threads has in shared memory
    "adds": "int",  # whether gradients are added to what is there
    "of_high": "int",
    "low_bits": "int",  # of an index of the state, those of the low half; the high one has the others
    "glue_bits": "int",
    "low_stride": "int",
    "high_stride": "int",
}

_BYTES = {"int": 4, "long long": 8}
# The struct: addresses before numbers, so that nothing lies between them.
FIELDS = {
    **{name: kind for name, kind in ARGUMENTS.items() if kind not in _BYTES},
    **{name: f"const {kind}*" for name, kind in ARRAYS.items()},
    **{name: kind for name, kind in ARGUMENTS.items() if kind in _BYTES},
    **dict.fromkeys(COUNTS, "int"),
}


@dataclass(frozen=True)
class Constants:
    """What the kernels read of a plan.

    Attributes:
        counts: Its numbers.
        places: Where each array begins in the buffer.
        buffer: All arrays.
    """

    counts: Mapping[str, int]
    places: Mapping[str, int]
    buffer: Bytes

    @staticmethod
    def of(counts: Mapping[str, int], arrays: Mapping[str, Any], is_double: bool) -> Constants:
        """Those of a plan."""
        real = np.float64 if is_double else np.float32
        dtypes = {"double": np.float64, "int": np.int32, "unsigned": np.uint32, "Real": real}
        assert set(counts) == set(COUNTS), set(counts) ^ set(COUNTS)
        assert set(arrays) == set(ARRAYS), set(arrays) ^ set(ARRAYS)
        parts: list[bytes] = []
        places, position = {}, 0
        for name, kind in ARRAYS.items():
            data = np.ascontiguousarray(arrays[name], dtype=dtypes[kind]).tobytes()
            places[name] = position
            parts += [data, bytes(-len(data) % 8)]
            position += len(data) + -len(data) % 8
        return Constants(counts, places, np.frombuffer(b"".join(parts), dtype=np.uint8))

    def arguments(self, address: int) -> dict[str, int]:
        """What a launch takes of it, for a copy at an address."""
        return {**self.counts, **{name: address + place for name, place in self.places.items()}}


def packed(arguments: Mapping[str, int]) -> bytes:
    """The struct of a launch; what is not given is 0."""
    assert set(arguments) <= set(FIELDS), set(arguments) - set(FIELDS)
    codes = "".join({4: "i", 8: "q"}[_BYTES[kind]] if kind in _BYTES else "Q" for kind in FIELDS.values())
    data = struct.pack(f"={codes}", *(arguments.get(name, 0) for name in FIELDS))
    return data + bytes(-len(data) % 8)  # as C++ has it: aligned as a whole


def header() -> str:
    """The struct, in CUDA C++."""
    return "\n".join(["struct Arguments {", *(f"    {kind} {name};" for name, kind in FIELDS.items()), "};", ""])
