"""Shapes: how large a tile is, and where the state stays while the circuit runs."""

from __future__ import annotations

from dataclasses import dataclass

from .card import Card
from .passes import Tile

_LANE_BITS = 5
_BLOCK_BITS = 8  # 256 threads
_WAVE_BITS = 21  # from here on, a state is no longer small beside the second cache


@dataclass(frozen=True)
class Shape:
    """How a circuit is laid out on a card.

    Attributes:
        name: "warp" and "block": the whole circuit in one launch, ket and bra of a sample in the registers of a warp,
            or of a block. "wave" and "memory": a launch for every sweep, for as many samples as stay in the second
            cache, or fit into memory.
        tile: Its tile: at most that; a state of fewer bits has fewer threads.
    """

    name: str
    tile: Tile

    @property
    def is_resident(self) -> bool:
        """Whether a tile holds the state of a sample."""
        return self.name in ("warp", "block")

    def cut(self, num_qubits: int) -> tuple[int, Tile]:
        """Bits of an index, and the tile, for a circuit of so many qubits.

        Raises:
            ValueError: they do not fit.
        """
        registers = self.tile.register_bits
        bits = max(num_qubits, registers)
        tile = Tile(registers, min(self.tile.thread_bits, bits - registers))
        if self.is_resident and tile.bits < bits:
            raise ValueError(f"shape: '{self.name}' holds up to {self.tile.bits} qubits, got {num_qubits}")
        return bits, tile


def shape_of(num_qubits: int, is_double: bool, card: Card) -> Shape:
    """The one that a circuit runs by."""
    for shape in shapes(is_double):
        if shape.is_resident and num_qubits > shape.tile.bits:
            continue
        if shape.name == "wave" and (num_qubits > _WAVE_BITS or (16 << num_qubits << is_double) > card.l2_bytes):
            continue
        return shape
    raise AssertionError("the last shape takes any circuit")


def shapes(is_double: bool) -> tuple[Shape, ...]:
    """All of them, the first that fits the best.

    Ket and bra take 4 * 2^register_bits numbers of each thread, a float one register, a double two, of 255 at most.
    With 32 floats each (2^5), kernels spilled on sm_100 and sm_120, and with 512 threads, and 128 registers, on sm_80.
    """
    registers = 3 if is_double else 4
    tile = Tile(registers, _BLOCK_BITS)
    return Shape("warp", Tile(registers, _LANE_BITS)), Shape("block", tile), Shape("wave", tile), Shape("memory", tile)
