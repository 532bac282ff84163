"""A circuit as passes over tiles of its state: which runs a pass turns, and in which order the amplitudes lie.

A tile is what the threads of a group hold in registers. In a pass, the flips of its runs are register bits of a place,
so that a thread has both amplitudes of every pair; the others are bits of the thread, or of the tile. Between passes,
amplitudes go through shared memory into the next order. A sweep is the passes for which a tile stays where it is: all
of them where a tile holds the state, else some runs of one layer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .._program.gf2 import Basis, duals
from .._program.layers import Layer, Run
from .circuit import Part
from .orders import Order, completed

NumberedRun = tuple[int, Run]


@dataclass(frozen=True)
class Tile:
    """How large a tile is: 2^register_bits amplitudes in each of 2^thread_bits threads."""

    register_bits: int
    thread_bits: int

    @property
    def bits(self) -> int:
        """Bits of a place in a tile."""
        return self.register_bits + self.thread_bits


@dataclass(frozen=True)
class Pass:
    """One pass.

    Attributes:
        order: Of the amplitudes; bits of a place are those of the thread, of the register, and of the tile.
        runs: For each register bit, the number of the run that it turns; -1: none.
        phase: The number of the phase before these runs; None: there is none, or another pass has it.
        exchanges: Whether the tile was in another order before.
        turns: Whether its runs are undone on the way back; those of the first layer need not be.
    """

    order: Order
    runs: tuple[int, ...]
    phase: int | None
    exchanges: bool
    turns: bool


@dataclass(frozen=True)
class Schedule:
    """All passes of a circuit.

    Attributes:
        tile: What a tile is.
        num_bits: Bits of an index.
        passes: In order of time.
        sweeps: Ranges of passes.
        start: The last pass of the first layer, which on the way forward is a product state in its order; -1: the
            circuit starts from a state in memory.
        layout: The order of the state in memory.
    """

    tile: Tile
    num_bits: int
    passes: tuple[Pass, ...]
    sweeps: tuple[range, ...]
    start: int
    layout: Order

    @property
    def is_resident(self) -> bool:
        """Whether a tile holds the whole state."""
        return self.tile.bits == self.num_bits

    @property
    def tile_bits(self) -> int:
        """Bits of the number of a tile."""
        return self.num_bits - self.tile.bits

    @property
    def begin(self) -> int:
        """The first pass on the way forward.

        The product state is made in any order, at some cost: where states lie in memory, in that of the second layer,
        so that it is neither stored nor loaded.
        """
        return self.start if self.is_resident else min(self.start + 1, len(self.passes) - 1)

    def changes(self, sweep: range) -> bool:
        """Whether a sweep changes states on the way back."""
        return any(self.passes[number].turns for number in sweep)

    def before(self, number: int) -> Order:
        """The order of the tile before a pass that is not the first of its sweep."""
        return self.passes[number - 1].order


def schedule_of(
    layers: Sequence[Layer], num_bits: int, tile: Tile, near_bits: int, last_phase: bool, part: Part = Part.WHOLE
) -> Schedule:
    """The passes of a circuit.

    Args:
        layers: At least one; the first one may be empty.
        num_bits: Bits of an index.
        tile: What a tile is.
        near_bits: Where a tile is less than the state: so many of the lowest bits of an index are in every tile, as
            memory is read in pieces.
        last_phase: Whether the phase after the last layer matters.
        part: What of a circuit the layers are.
    """
    builder = _Builder(num_bits, tile, near_bits)
    first_run, start, continues = 0, -1, part is Part.REST
    for number, layer in enumerate(layers):
        runs = [*enumerate(layer.runs, first_run)]
        first_run += len(runs)
        if number or not continues or len(layers) == 1:
            builder.add_layer(runs, number or None, turns=number > 0)
        start = start if number or continues else len(builder.passes) - 1
    if last_phase:
        builder.add_phase(len(layers))
    sweeps = tuple(
        [range(*pair) for pair in zip(builder.begins, [*builder.begins[1:], len(builder.passes)], strict=True)]
    )
    units = Order(tuple([1 << bit for bit in range(num_bits)]))
    # Halves are joined by their indices.
    layout = builder.passes[-1].order if tile.bits == num_bits and part is Part.WHOLE else units
    return Schedule(tile, num_bits, tuple(builder.passes), sweeps, start, layout)


class _Builder:
    """Puts runs into passes, layer by layer."""

    def __init__(self, num_bits: int, tile: Tile, near_bits: int) -> None:
        self.passes: list[Pass] = []
        self.begins: list[int] = []  # of sweeps
        self._num_bits, self._tile = num_bits, tile
        self._is_resident = tile.bits == num_bits
        self._near = [] if self._is_resident else [1 << bit for bit in range(near_bits)]
        self._order: Order | None = None  # of the tile at hand

    def add_layer(self, runs: Sequence[NumberedRun], phase: int | None, turns: bool) -> None:
        for group in [runs] if self._is_resident else self._groups(runs):
            if not self.passes or not self._is_resident:
                self.begins.append(len(self.passes))
                self._order = None
            self._add_group(group, phase, turns)
            phase = None

    def add_phase(self, phase: int) -> None:
        """A phase with nothing after it."""
        assert self._order is not None
        self._add(self._order, {}, phase, True)

    def _groups(self, runs: Sequence[NumberedRun]) -> Iterator[Sequence[NumberedRun]]:
        """As many runs at a time as a tile can turn that holds the near bits as well."""
        group: list[NumberedRun] = []
        basis = Basis(self._near)
        for run in runs:
            larger = Basis([*basis.elements, run[1].x])
            if len(larger) > self._tile.bits:
                yield group
                group, larger = [], Basis([*self._near, run[1].x])
            group.append(run)
            basis = larger
        yield group

    def _add_group(self, runs: Sequence[NumberedRun], phase: int | None, turns: bool) -> None:
        """Runs that one tile turns, `register_bits` at a time; first those whose flips are registers already."""
        ready = self._ready(runs)
        left = [run for run in runs if run[0] not in ready.values()]
        if ready:
            assert self._order is not None
            self._add(self._order, ready, phase, turns)
            phase = None
            if not left:
                return
        flips = [run.x for _, run in runs]
        units = [1 << bit for bit in range(self._num_bits)]
        rest = completed(flips, [*self._near, *units], [(run.x, run.z) for _, run in runs])
        in_tile, outer = rest[: self._tile.bits - len(flips)], rest[self._tile.bits - len(flips) :]
        threads, size = self._tile.thread_bits, self._tile.register_bits
        for begin in range(0, max(1, len(left)), size):
            chunk = left[begin : begin + size]
            chosen = [run.x for _, run in chunk]
            others = in_tile + [flip for flip in flips if flip not in chosen]
            order = Order((*others[:threads], *chosen, *others[threads:], *outer))
            self._add(order, {bit: number for bit, (number, _) in enumerate(chunk)}, phase, turns)
            phase = None

    def _ready(self, runs: Sequence[NumberedRun]) -> dict[int, int]:
        """By register bit, the runs that the order at hand can turn."""
        ready: dict[int, int] = {}
        if self._order is None:
            return ready
        threads = self._tile.thread_bits
        for bit, flip in enumerate(self._order.vectors[threads : self._tile.bits]):
            for number, run in runs:
                if run.x == flip and self._order.signs(run.z) == 1 << (threads + bit):
                    ready[bit] = number
        return ready

    def _add(self, order: Order, runs: dict[int, int], phase: int | None, turns: bool) -> None:
        exchanges = self._order is not None and order is not self._order
        in_registers = tuple([runs.get(bit, -1) for bit in range(self._tile.register_bits)])
        self.passes.append(Pass(order, in_registers, phase, exchanges, turns))
        self._order = order


def product_masks(first: Layer, num_bits: int) -> tuple[list[int], list[int]]:
    """Of the product state after the first layer: the signs of its runs, and the parities that are even everywhere."""
    flips = [run.x for run in first.runs]
    rest = completed(flips, [1 << bit for bit in range(num_bits)], [(run.x, run.z) for run in first.runs])
    return [run.z for run in first.runs], duals([*flips, *rest])[len(flips) :]
