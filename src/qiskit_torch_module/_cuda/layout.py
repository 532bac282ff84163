"""A circuit in a shape: what plans of all batches share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from .circuit import Circuit
from .halved import halved
from .passes import Schedule, Tile, schedule_of
from .schema import Bytes, Constants
from .shapes import Shape
from .tables import constants_of
from .views import View, views_of

THREADS = 128  # of a block of all kernels but those of tiles


@dataclass(frozen=True)
class Layout:
    """What a plan is, but for the batch: constants and modules are cached by it.

    Attributes:
        circuit: What runs; after halves, the rest.
        shape: How.
        is_double: Whether real numbers are float64.
        halves: Low and high, of the same shape, or, where they fit, each in a tile; or none.
    """

    circuit: Circuit
    shape: Shape
    is_double: bool
    halves: tuple[Layout, ...] = ()

    @cached_property
    def schedule(self) -> Schedule:
        """The passes."""
        bits, tile = self.shape.cut(self.circuit.num_qubits)
        circuit = self.circuit
        near, last_phase = self._near_bits(tile), circuit.last_phase_matters
        return schedule_of(circuit.turned_layers, bits, tile, near, last_phase, circuit.part)

    @property
    def glue_bits(self) -> int:
        """Number of qubits that both halves have."""
        return (sum(half.circuit.num_qubits for half in self.halves) - self.circuit.num_qubits) // 2

    @cached_property
    def views(self) -> tuple[View, ...]:
        """In which observables are read."""
        circuit = self.circuit
        flips = dict.fromkeys([*(slot.flip for slot in circuit.slots), *(0 for _ in circuit.moments[:1])])
        flips |= dict.fromkeys(moment.flip for moment in circuit.moments)
        return views_of(self.schedule, flips, self._near_bits(self.schedule.tile))

    def _near_bits(self, tile: Tile) -> int:
        """64 bytes, where a tile has the bits for it."""
        return min(2 if self.is_double else 3, tile.bits - 1)

    @cached_property
    def constants(self) -> Constants:
        """What the kernels read."""
        return constants_of(self.circuit, self.schedule, self.views, self.is_double)

    @cached_property
    def buffer(self) -> Bytes:
        """The constants, then those of halves."""
        buffers = [one.constants.buffer for one in (self, *self.halves)]
        return np.concatenate(buffers) if self.halves else buffers[0]

    @property
    def defines(self) -> dict[str, str]:
        """What the source is compiled with."""
        return {
            "QTM_REAL": "double" if self.is_double else "float",
            "QTM_REGISTER_BITS": str(self.shape.tile.register_bits),
            "QTM_WITHIN_WARP": str(int(self.shape.name == "warp")),
            "QTM_MOST_THREADS": str(max(THREADS, 1 << self.shape.tile.thread_bits)),
        }


@lru_cache(maxsize=256)
def layout_of(circuit: Circuit, shape: Shape, is_double: bool) -> Layout:
    """The one that all plans of a circuit share, whatever their batch."""
    return Layout(circuit, shape, is_double)


@lru_cache(maxsize=256)
def halved_layout_of(circuit: Circuit, shape: Shape, is_double: bool) -> Layout | None:
    """The same from halves on; None: it has none, or a tile holds the state."""
    found = None if circuit.num_qubits <= shape.tile.bits else halved(circuit)
    if found is None:
        return None
    # Kernels of blocks are those of waves, while a warp has others.
    in_block = Shape("block", shape.tile)
    halves = [
        Layout(half, in_block if half.num_qubits <= shape.tile.bits else shape, is_double)
        for half in (found.low, found.high)
    ]
    return Layout(found.rest, shape, is_double, tuple(halves))
