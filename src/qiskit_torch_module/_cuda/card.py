"""What the kernels are cut to fit: a card, in numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Card:
    """A GPU.

    Attributes:
        multiprocessors: Number of them.
        shared_bytes_per_block: Shared memory that a block may ask for, at most (what a driver calls "opt-in").
        registers: 32-bit registers of a multiprocessor.
        l2_bytes: Size of the second cache.
        memory_bytes: Memory that is free for a call.
        compute_capability: Such as (9, 0).
        bytes_per_second: Of its memory; 0: not known. With those below, the limits that a step is held against.
        float_operations, double_operations: A second, a fused multiply-add as two; 0: not known.
    """

    multiprocessors: int
    shared_bytes_per_block: int
    registers: int
    l2_bytes: int
    memory_bytes: int
    compute_capability: tuple[int, int]
    bytes_per_second: float = 0.0
    float_operations: float = 0.0
    double_operations: float = 0.0


_KIB, _MIB, _GIB = 1 << 10, 1 << 20, 1 << 30

A100 = Card(108, 163 * _KIB, 65536, 40 * _MIB, 78 * _GIB, (8, 0), 2.0e12, 19.5e12, 9.7e12)
H100 = Card(132, 227 * _KIB, 65536, 50 * _MIB, 78 * _GIB, (9, 0), 3.35e12, 67e12, 34e12)
H200 = Card(132, 227 * _KIB, 65536, 50 * _MIB, 138 * _GIB, (9, 0), 4.8e12, 67e12, 34e12)
B200 = Card(148, 227 * _KIB, 65536, 126 * _MIB, 178 * _GIB, (10, 0), 8.0e12, 75e12, 37e12)
RTX5090 = Card(170, 99 * _KIB, 65536, 96 * _MIB, 31 * _GIB, (12, 0), 1.79e12, 105e12, 1.6e12)

CARDS = {"A100": A100, "H100": H100, "H200": H200, "B200": B200, "RTX 5090": RTX5090}
