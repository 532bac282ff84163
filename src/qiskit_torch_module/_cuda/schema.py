"""What crosses to the kernels has its names here, once for both sides: constants of a plan, and arguments of a launch.

Constants are one buffer: a table of 32-bit numbers, those of `COUNTS` as they are, then for each array of `ARRAYS`
where it begins. The kernels see it as a struct of functions of the same names, which `header` writes.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
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
    "num_reads",
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
    "group_registers": "unsigned",
    "group_begin": "int",
    "group_character": "int",
    "group_mask": "unsigned",
    "pass_rotation_begin": "int",
    "rotation_mask": "unsigned",
    "rotation_slot": "int",
    "start_mask": "unsigned",
    "start_run": "int",
    # What is read; masks are of addresses in memory.
    "read_flip": "unsigned",
    "read_is_imaginary": "int",
    "read_observable": "int",
    "read_term_begin": "int",
    "term_sign": "unsigned",
    "term_weight": "Real",
    "observable_constant": "Real",
    "observable_begin": "int",
    "observable_read": "int",
    "state_address": "unsigned",
    "state_index": "unsigned",
}

# Of a launch. Addresses come first.
ARGUMENTS = {
    "constants": "const char*",
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
    "gate_gradient": "Real*",
    "angle_gradient": "Real*",
    "flag": "int*",
    "numbers": "long long",
    "samples": "int",
    "parts": "int",
    "pass_begin": "int",
    "pass_end": "int",
    "starts": "int",
    "seeds": "int",
    "stores": "int",
}

_CODES = {"int": "i", "long long": "q"}


def packed(arguments: Mapping[str, int]) -> bytes:
    """The struct of a launch; what is not given is 0."""
    unknown = set(arguments) - set(ARGUMENTS)
    assert not unknown, unknown
    # As C++ lays it out: aligned as a whole to 8 bytes.
    codes = "".join(_CODES.get(kind, "Q") for kind in ARGUMENTS.values())
    data = struct.pack(f"={codes}", *(arguments.get(name, 0) for name in ARGUMENTS))
    return data + bytes(-len(data) % 8)


def constants(counts: Mapping[str, int], arrays: Mapping[str, Any], is_double: bool) -> Bytes:
    """The buffer of a plan."""
    dtypes = {
        "double": np.float64,
        "int": np.int32,
        "unsigned": np.uint32,
        "Real": np.float64 if is_double else np.float32,
    }
    assert set(counts) == set(COUNTS), set(counts) ^ set(COUNTS)
    assert set(arrays) == set(ARRAYS), set(arrays) ^ set(ARRAYS)
    table = [counts[name] for name in COUNTS]
    position = 4 * (len(COUNTS) + len(ARRAYS))
    parts: list[bytes] = []
    for name, kind in ARRAYS.items():
        data = np.ascontiguousarray(arrays[name], dtype=dtypes[kind]).tobytes()
        gap = -position % 8
        table.append(position + gap)
        parts += [bytes(gap), data]
        position += gap + len(data)
    if position >= 1 << 31:
        raise MemoryError(f"circuit: expected less than 2 GiB of constants for the GPU, got {position:,} bytes")
    head = np.asarray(table, dtype=np.int64).astype(np.uint32).tobytes()
    return np.frombuffer(head + b"".join(parts), dtype=np.uint8)


def header() -> str:
    """The structs, in CUDA C++."""
    functions = []
    for place, name in enumerate(COUNTS):
        functions.append(f"    QTM_DEVICE int {name}() const {{ return at({place}); }}")
    for place, (name, kind) in enumerate(ARRAYS.items(), len(COUNTS)):
        cast = f"reinterpret_cast<const {kind}*>(bytes + at({place}))"
        functions.append(f"    QTM_DEVICE const {kind}* {name}() const {{ return {cast}; }}")
    fields = [f"    {kind} {name};" for name, kind in ARGUMENTS.items()]
    return "\n".join(
        [
            "struct Constants {",
            "    const char* bytes;",
            "    QTM_DEVICE int at(int place) const { return reinterpret_cast<const int*>(bytes)[place]; }",
            *functions,
            "};",
            "struct Arguments {",
            *fields,
            "};",
            "",
        ]
    )
