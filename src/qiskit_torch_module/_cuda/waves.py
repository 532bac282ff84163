"""Launches of kernels for the samples that go through a circuit together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

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

    def prepared(self) -> Iterator[Launch]:
        """Sines and factors."""
        yield self._launch("prepare", self.samples)

    def forward(self) -> Iterator[Launch]:
        """From |0...0> to the last kets."""
        schedule = self.plan.layout.schedule
        for sweep in schedule.sweeps:
            if schedule.begin < sweep.stop:
                begin = max(schedule.begin, sweep.start)
                starts = begin == schedule.begin
                # Whether that pass has runs beyond those of the product state.
                goes_on = begin > schedule.start
                yield self._tiles("forward", begin, sweep.stop, starts=starts, goes_on=goes_on)

    def adjoint(self) -> Iterator[Launch]:
        """From the last kets and the cotangent to the sums that gradients are made of."""
        schedule, circuit = self.plan.layout.schedule, self.plan.layout.circuit
        is_resident = schedule.is_resident
        # Where tiles hold the state, or the cotangent is one, bras are made where they are needed.
        reads_whole = not is_resident and circuit.state_phase < 0
        for view in range(len(self.plan.layout.views)) if reads_whole else ():
            yield self._tiles("seed", 0, 0, view=view)
        for number, sweep in enumerate(reversed(schedule.sweeps)):
            changes = {} if number == 0 else {"ket": self.addresses["ket_before"]}
            # What does not change lies in memory already, but for what the first of these sweeps makes.
            stores = not is_resident and number + 1 < len(schedule.sweeps)
            stores = stores and (number == 0 or schedule.changes(sweep))
            seeds = number == 0 and not reads_whole
            yield self._tiles("adjoint", sweep.start, sweep.stop, seeds=seeds, stores=stores, **changes)
        if not is_resident:
            yield from self._reduced(circuit.num_slots, 1 << schedule.tile_bits)

    def angles(self) -> Iterator[Launch]:
        """From sums to gradients of angles and inputs."""
        yield self._launch("angles", self.samples)

    def weights(self) -> Launch:
        """From gradients of angles to those of weights, over all samples."""
        shared = THREADS // _LANES * self.plan.real_bytes
        return self._launch("weights", self.plan.layout.circuit.num_weights, shared, samples=self.samples)

    def read(self) -> Iterator[Launch]:
        """From the last kets to values."""
        plan, circuit = self.plan, self.plan.layout.circuit
        if circuit.state_phase >= 0:
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
            yield self._launch("reduce", -(-numbers // warps), numbers=numbers, parts=parts, sums=self.addresses[to])

    def _numbers(self, kernel: str, numbers: int) -> Launch:
        """A thread for each number."""
        return self._launch(kernel, -(-numbers // THREADS), numbers=numbers)

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
        return self._launch(
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

    def _launch(
        self, kernel: str, blocks: int, shared_bytes: int = 0, threads: int = THREADS, **arguments: int
    ) -> Launch:
        data = packed(self.addresses | {name: int(value) for name, value in arguments.items()})
        return Launch(f"qtm_{kernel}", blocks, threads, shared_bytes, data)
