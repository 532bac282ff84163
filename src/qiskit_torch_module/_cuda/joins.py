"""Launches between halves and the state that is joined of them (join.cuh)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .layout import THREADS, Layout
from .tables import phase_place, sample_bytes
from .waves import Launch, Wave

_LANES = 32
# As in join.cuh.
_JOIN_COLUMNS, _JOIN_ROWS = 2, 8
_SPLIT_TERMS, _TERMS_OF_PART, _SPLIT_BRANCHES = 16, 128, 4


def numbers_of_parts(layout: Layout) -> tuple[int, ...]:
    """Real numbers of a sample that the bra of each half is added up of."""
    if not layout.halves:
        return ()
    bits, low = layout.circuit.num_qubits, low_bits(layout)
    return tuple(
        [
            2 * parts << (outputs + layout.glue_bits) if (parts := _parts(bits - outputs)) > 1 else 0
            for outputs in (low, bits - low)
        ]
    )


def low_bits(layout: Layout) -> int:
    """Bits of an index of the state that are the low half's."""
    return layout.halves[0].circuit.num_qubits - layout.glue_bits


def _parts(term_bits: int) -> int:
    return max(1, (1 << term_bits) // _TERMS_OF_PART)


def joined(wave: Wave, halves: Sequence[Wave]) -> Launch:
    """From the last kets of halves to the state."""
    layout = wave.plan.layout
    columns, rows = 1 << low_bits(layout), 1 << (layout.circuit.num_qubits - low_bits(layout))
    across = -(-columns // (_JOIN_COLUMNS * _LANES))
    down = -(-rows // (_JOIN_ROWS * THREADS // _LANES))
    return wave.launch("join", wave.samples * across * down, **_arguments(wave, halves))


def split(wave: Wave, halves: Sequence[Wave], half: Wave) -> Iterator[Launch]:
    """From the bra of the state to that of one of its halves."""
    layout, of_high = wave.plan.layout, half is halves[1]
    low, bits, glue = low_bits(layout), layout.circuit.num_qubits, layout.glue_bits
    outputs = bits - low if of_high else low
    parts, groups = _parts(bits - outputs), max(1, (1 << glue) // _SPLIT_BRANCHES)
    at_once = THREADS // groups
    numbers = 2 * _SPLIT_TERMS * (at_once + 1) + 2 * _SPLIT_TERMS * groups * _SPLIT_BRANCHES
    arguments = _arguments(wave, halves) | {"of_high": of_high}
    # A single part is the sum.
    partial = half.addresses["bra"] if parts == 1 else wave.addresses["partial"]
    blocks = wave.samples * parts * -(-(1 << outputs) // at_once)
    yield wave.launch("split", blocks, numbers * wave.plan.real_bytes, partial=partial, **arguments)
    if parts > 1:
        amplitudes = wave.samples << (outputs + glue)
        arguments |= {"bra": half.addresses["bra"], "numbers": amplitudes, "parts": parts}
        yield wave.launch("gather", -(-amplitudes // THREADS), **arguments)


def _arguments(wave: Wave, halves: Sequence[Wave]) -> dict[str, int]:
    layout = wave.plan.layout
    arguments = {"low_bits": low_bits(layout), "glue_bits": layout.glue_bits}
    for name, half in zip(("low", "high"), halves, strict=True):
        circuit, is_double = half.plan.layout.circuit, layout.is_double
        arguments[name] = half.addresses["ket"]
        if circuit.state_phase >= 0:
            arguments[f"{name}_phase"] = half.addresses["factors"] + phase_place(circuit, is_double)
            arguments[f"{name}_stride"] = sample_bytes(circuit, is_double)
    return arguments
