"""Launches of kernels for the samples that go through a circuit together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .circuit import Part
from .layout import THREADS
from .schema import packed

if TYPE_CHECKING:
    from .launches import Plan

_LANES = 32


@dataclass(frozen=True)
class Launch:
    """One launch of a kernel; launches of a list run one after the other.

    Attributes:
        kernel: Its name in the source, such as "qtm_forward".
        blocks: Number of blocks, in one dimension.
        threads: Threads of a block.
        shared_bytes: Dynamic shared memory of a block; above 48 KiB the driver has to be asked first.
        arguments: The one struct that it takes, by value.
    """

    kernel: str
    blocks: int
    threads: int
    shared_bytes: int
    arguments: bytes


@dataclass(frozen=True)
class Wave:
    """Some samples of a plan, with the addresses of what is theirs."""

    plan: Plan
    samples: int
    addresses: dict[str, int]

    def some(self, first: int, samples: int) -> Wave:
        """Some of the samples of a half: what the rest needs of it."""
        strides = {"ket": self.plan.state_bytes, "bra": self.plan.state_bytes, "factors": self.plan.factor_bytes}
        moved = {name: self.addresses[name] + first * stride for name, stride in strides.items()}
        return Wave(self.plan, samples, self.addresses | moved)

    def prepared(self) -> Iterator[Launch]:
        """Sines and factors."""
        yield self.launch("prepare", self.samples)

    def forward(self) -> Iterator[Launch]:
        """From |0...0> to the last kets."""
        schedule = self.plan.layout.schedule
        for sweep in schedule.sweeps:
            if schedule.begin < sweep.stop and (schedule.start >= 0 or schedule.changes(sweep)):
                begin = max(schedule.begin, sweep.start)
                starts = begin == schedule.begin and schedule.start >= 0
                # Whether that pass has runs beyond those of the product state.
                goes_on = begin > schedule.start
                yield self._tiles("forward", begin, sweep.stop, starts=starts, goes_on=goes_on)

    def adjoint(self) -> Iterator[Launch]:
        """From the last kets and the cotangent to the sums that gradients are made of."""
        schedule, circuit = self.plan.layout.schedule, self.plan.layout.circuit
        is_resident, continues = schedule.is_resident, schedule.start < 0
        # Where tiles hold the state, or the cotangent is one, bras are made where they are needed; those of halves are
        # there.
        reads_whole = not is_resident and not circuit.reads_state and circuit.part is not Part.HALF
        for view in range(len(self.plan.layout.views)) if reads_whole else ():
            yield self._tiles("seed", 0, 0, view=view)
        for number, sweep in enumerate(reversed(schedule.sweeps)):
            changes = {} if number == 0 else {"ket": self.addresses["ket_before"]}
            # What does not change lies in memory already, but for what the first of these sweeps makes.
            ends = number + 1 == len(schedule.sweeps)
            stores = not is_resident and (number == 0 or schedule.changes(sweep)) and (not ends or continues)
            seeds = number == 0 and not reads_whole and circuit.part is not Part.HALF
            if not continues or schedule.changes(sweep):
                yield self._tiles("adjoint", sweep.start, sweep.stop, seeds=seeds, stores=stores, ends=ends, **changes)
        if not is_resident:
            yield from self._reduced(circuit.num_slots, 1 << schedule.tile_bits)

    def angles(self, adds: bool = False) -> Iterator[Launch]:
        """From sums to gradients of angles and inputs, which may be added to what is there."""
        yield self.launch("angles", self.samples, adds=adds)

    def weights(self, adds: bool = False) -> Launch:
        """From gradients of angles to those of weights, over all samples."""
        shared = THREADS // _LANES * self.plan.real_bytes
        num_weights = self.plan.layout.circuit.num_weights
        return self.launch("weights", num_weights, shared, samples=self.samples, adds=adds)

    def read(self) -> Iterator[Launch]:
        """From the last kets to values."""
        plan, circuit = self.plan, self.plan.layout.circuit
        if circuit.reads_state:
            yield self._numbers("states", self.samples * circuit.num_values // 2)
            return
        yield from self.reads()
        if not plan.layout.schedule.is_resident:
            yield self._numbers("values", self.samples * circuit.num_values)

    def reads(self) -> Iterator[Launch]:
        """From the last kets to the sums that values are made of; where tiles hold the state, also values."""
        layout = self.plan.layout
        if layout.schedule.is_resident:
            yield self._tiles("read", 0, 0, partial=self.addresses["reads"])
            return
        for view in range(len(layout.views)):
            yield self._tiles("read", 0, 0, view=view)
        yield from self._reduced(layout.circuit.num_reads, 1 << layout.schedule.tile_bits, "reads")

    def _reduced(self, slots: int, parts: int, to: str = "sums") -> Iterator[Launch]:
        numbers = self.samples * slots
        if numbers:
            warps = THREADS // _LANES
            yield self.launch("reduce", -(-numbers // warps), numbers=numbers, parts=parts, sums=self.addresses[to])

    def _numbers(self, kernel: str, numbers: int) -> Launch:
        """A thread for each number."""
        return self.launch(kernel, -(-numbers // THREADS), numbers=numbers)

    def _tiles(self, kernel: str, begin: int, end: int, **arguments: int) -> Launch:
        """A group of threads for each tile of each sample."""
        plan, schedule = self.plan, self.plan.layout.schedule
        tile = schedule.tile
        groups = self.samples << schedule.tile_bits
        threads = 1 << tile.thread_bits
        if plan.layout.shape.name == "warp":
            # No more warps in a block than leave a block for every multiprocessor.
            warps = -(-groups * threads // _LANES)
            most = max(1, warps // plan.card.multiprocessors)
            block = _LANES * max(size for size in (1, 2, 4) if size <= most)
        else:
            block = max(threads, _LANES)
        blocks = -(-groups * threads // block)
        # Real and imaginary parts of a tile, and a column of each thread where there are terms; small ones lie at an
        # odd distance.
        with_terms = kernel in ("read", "seed") or bool(arguments.get("seeds"))
        of_tile = ((3 if with_terms else 2) << tile.bits) + (threads < _LANES)
        numbers = block // threads * of_tile
        numbers += block // _LANES * 3 * tile.register_bits if threads > _LANES else 0
        if schedule.is_resident and kernel == "adjoint":
            arguments["partial"] = self.addresses["sums"]
        return self.launch(
            kernel,
            blocks,
            numbers * plan.real_bytes,
            block,
            samples=self.samples,
            pass_begin=begin,
            pass_end=end,
            tile_numbers=of_tile,
            **arguments,
        )

    def launch(
        self, kernel: str, blocks: int, shared_bytes: int = 0, threads: int = THREADS, **arguments: int
    ) -> Launch:
        """One of a kernel, by name; arguments beside the addresses."""
        data = packed(self.addresses | {name: int(value) for name, value in arguments.items()})
        return Launch(f"qtm_{kernel}", blocks, threads, shared_bytes, data)
