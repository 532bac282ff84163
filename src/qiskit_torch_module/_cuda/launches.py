"""Launches of kernels: which, how large, with which arguments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

from .card import Card
from .circuit import Circuit
from .passes import Schedule, schedule_of
from .schema import Bytes, Constants, packed
from .shapes import Shape, shape_of
from .sources import KERNELS
from .tables import constants_of, sample_bytes


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
class Pointers:
    """Addresses on the device; 0 where there is nothing.

    Attributes:
        constants: `Plan.constants`, copied there once, aligned to 8 bytes.
        inputs: (B, N) of real numbers, row after row.
        weights: (W,).
        values: (B, M); states as (B, 2 * 2^n) of real and imaginary parts, side by side, of the simulated qubits.
        cotangent: As the values.
        input_gradient: (B, N), or 0: not wanted.
        weight_gradient: (W,), or 0: not wanted.
        workspace: `Plan.workspace_bytes`, whatever is in it; aligned to 256 bytes.
        tape: `Plan.tape_bytes`, aligned likewise: what values leave for gradients; always needed.
        flag: An int32, set to 1 where an input, a weight or an angle is not finite or has no digits left.
    """

    constants: int = 0
    inputs: int = 0
    weights: int = 0
    values: int = 0
    cotangent: int = 0
    input_gradient: int = 0
    weight_gradient: int = 0
    workspace: int = 0
    tape: int = 0
    flag: int = 0


@dataclass(frozen=True)
class Layout:
    """What a plan is, but for the batch: constants and modules are cached by it."""

    circuit: Circuit
    shape: Shape
    is_double: bool

    @cached_property
    def schedule(self) -> Schedule:
        """The passes."""
        bits, tile = self.shape.cut(self.circuit.num_qubits)
        near_bits = min(3 if self.is_double else 4, tile.bits - 1)  # 64 bytes, where a tile has the bits for it
        return schedule_of(self.circuit.layers, bits, tile, near_bits, self.circuit.last_phase_matters)

    @cached_property
    def constants(self) -> Constants:
        """What the kernels read."""
        return constants_of(self.circuit, self.schedule, self.is_double)

    @property
    def defines(self) -> dict[str, str]:
        """What the source is compiled with."""
        return {
            "QTM_REAL": "double" if self.is_double else "float",
            "QTM_REGISTER_BITS": str(self.shape.tile.register_bits),
            "QTM_WITHIN_WARP": str(int(self.shape.name == "warp")),
            "QTM_MOST_THREADS": str(max(_THREADS, 1 << self.shape.tile.thread_bits)),
        }


@lru_cache(maxsize=256)
def _layout(circuit: Circuit, shape: Shape, is_double: bool) -> Layout:
    return Layout(circuit, shape, is_double)


_THREADS = 128  # of a block of all kernels but those of tiles
_LANES = 32
_ALIGNED = 256
_READ_BITS = 12  # amplitudes that a block reads
_MOST_PARTS = 1 << 12


def _padded(size: int) -> int:
    return size + -size % _ALIGNED


@dataclass(frozen=True)
class Plan:
    """The launches for one batch of a circuit.

    Attributes:
        layout: Circuit, shape and numbers; equal for all batches.
        batch: Number of samples.
        card: Where it runs.
        wave: Samples of a wave, which go through the circuit together; the last one may have fewer.
        keeps: Whether the tape has the last ket of every sample; else gradients run the circuit once more.
    """

    layout: Layout
    batch: int
    card: Card
    wave: int
    keeps: bool

    @staticmethod
    def of(circuit: Circuit, batch: int, is_double: bool, card: Card, shape: Shape | None = None) -> Plan:
        """The plan for a batch.

        Args:
            circuit: What runs.
            batch: Number of samples, 1 at least.
            is_double: Whether real numbers are float64.
            card: Where it runs.
            shape: One that is forced; None: the best one.

        Raises:
            MemoryError: the card has not enough memory.
            ValueError: the circuit does not fit the shape.
        """
        layout = _layout(circuit, shape or shape_of(circuit.num_qubits, is_double, card), is_double)
        plan = Plan(layout, batch, card, batch, True)
        state = plan.state_bytes
        if not layout.schedule.is_resident:
            room = card.l2_bytes // 2 if layout.shape.name == "wave" else card.memory_bytes // 4
            plan = replace(plan, wave=min(batch, max(1, room // (3 * state))))
        if plan.all_bytes > card.memory_bytes:
            plan = replace(plan, keeps=False)
        while plan.all_bytes > card.memory_bytes and plan.wave > 1:
            plan = replace(plan, wave=plan.wave // 2)
        if plan.all_bytes > card.memory_bytes:
            raise MemoryError(
                f"circuit: expected a card with {plan.all_bytes:,} bytes for {circuit.num_qubits} qubits and "
                f"{batch:,} samples, got {card.memory_bytes:,}; take fewer samples at once"
            )
        return plan

    @property
    def constants(self) -> Bytes:
        """What the kernels read, to be copied to the device once: the same object for all batches."""
        return self.layout.constants.buffer

    @property
    def defines(self) -> dict[str, str]:
        """What the source is compiled with; all kernels of a plan are one module."""
        return self.layout.defines

    @property
    def kernels(self) -> tuple[str, ...]:
        """Names of all kernels in the source."""
        return tuple([f"qtm_{name}" for name in KERNELS])

    @property
    def real_bytes(self) -> int:
        """Bytes of a real number."""
        return 8 if self.layout.is_double else 4

    @property
    def state_bytes(self) -> int:
        """Bytes of one state."""
        return 2 * self.real_bytes << self.layout.schedule.num_bits

    @property
    def factor_bytes(self) -> int:
        """Bytes of what the angles of a sample are turned into."""
        return sample_bytes(self.layout.circuit, self.layout.is_double)

    @property
    def all_bytes(self) -> int:
        """Tape, workspace and constants."""
        return self.tape_bytes + self.workspace_bytes + len(self.constants)

    @property
    def tape_bytes(self) -> int:
        """What values leave for gradients."""
        return sum(map(_padded, self._tape.values()))

    @property
    def workspace_bytes(self) -> int:
        """What nobody needs after a call."""
        return sum(map(_padded, self._workspace.values()))

    @cached_property
    def _tape(self) -> dict[str, int]:
        samples = self.batch if self.keeps else self.wave
        return {
            "factors": self.factor_bytes * samples,
            "ket": samples * self.state_bytes,
        }

    @cached_property
    def _workspace(self) -> dict[str, int]:
        circuit, schedule = self.layout.circuit, self.layout.schedule
        slots, reads = circuit.num_slots, self._num_reads
        parts = max(slots << schedule.tile_bits, reads * self._parts)
        states = 0 if schedule.is_resident else self.wave * self.state_bytes
        reals = {
            "partial": self.wave * parts,
            "sums": self.wave * max(slots, reads),
            "gate_gradient": self.wave * len(circuit.arrays["gate_angle"]),
            "angle_gradient": self.batch * len(circuit.arrays["angle_constant"]),
        }
        sizes = {name: size * self.real_bytes for name, size in reals.items()}
        return {"ket_before": states, "bra": states, **sizes}

    @property
    def _num_reads(self) -> int:
        return self.layout.circuit.num_reads

    @property
    def _parts(self) -> int:
        """Blocks that read a state."""
        return min(_MOST_PARTS, 1 << max(0, self.layout.schedule.num_bits - _READ_BITS))

    def values(self, pointers: Pointers) -> list[Launch]:
        """From inputs and weights to values; the tape is written."""
        return [
            launch for wave in self._waves(pointers) for launch in (*wave.prepared(), *wave.forward(), *wave.read())
        ]

    def gradients(self, pointers: Pointers) -> list[Launch]:
        """From the tape and the cotangent to the gradients that have an address."""
        launches = []
        for wave in self._waves(pointers):
            if not self.keeps:
                launches += [*wave.prepared(), *wave.forward()]
            launches += [*wave.adjoint(), *wave.angles()]
        if pointers.weight_gradient and self.layout.circuit.num_weights:
            [whole] = replace(self, wave=self.batch)._waves(pointers, self._workspace)
            launches.append(whole.weights())
        return launches

    def _waves(self, pointers: Pointers, workspace: dict[str, int] | None = None) -> Iterator[_Wave]:
        """Waves, each with addresses of its own samples."""
        circuit, real = self.layout.circuit, self.real_bytes
        places: dict[str, int] = {}
        for base, sizes in ((pointers.tape, self._tape), (pointers.workspace, workspace or self._workspace)):
            for name, size in sizes.items():
                places[name], base = base, base + _padded(size)
        # What a sample takes of arrays that all waves share.
        strides = {
            "inputs": circuit.num_inputs * real,
            "values": circuit.num_values * real,
            "cotangent": circuit.num_values * real,
            "input_gradient": circuit.num_inputs * real,
            "angle_gradient": len(circuit.arrays["angle_constant"]) * real,
        }
        if self.keeps:
            strides |= {"factors": self.factor_bytes, "ket": self.state_bytes}
        for name in ("inputs", "weights", "values", "cotangent", "input_gradient", "weight_gradient", "flag"):
            places[name] = getattr(pointers, name)
        places |= self.layout.constants.arguments(pointers.constants)
        for first in range(0, self.batch, self.wave):
            moved = {name: places[name] + first * stride for name, stride in strides.items() if places[name]}
            yield _Wave(self, min(self.wave, self.batch - first), places | moved)


@dataclass(frozen=True)
class _Wave:
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
            if schedule.start < sweep.stop:
                starts = schedule.start in sweep
                yield self._tiles("forward", schedule.start if starts else sweep.start, sweep.stop, starts=starts)

    def adjoint(self) -> Iterator[Launch]:
        """From the last kets and the cotangent to the sums that gradients are made of."""
        schedule, circuit = self.plan.layout.schedule, self.plan.layout.circuit
        is_resident = schedule.is_resident
        for number, sweep in enumerate(reversed(schedule.sweeps)):
            changes = {} if number == 0 else {"ket": self.addresses["ket_before"]}
            stores = not is_resident and number + 1 < len(schedule.sweeps)
            yield self._tiles("adjoint", sweep.start, sweep.stop, seeds=number == 0, stores=stores, **changes)
        if not is_resident:
            yield from self._reduced(circuit.num_slots, 1 << schedule.tile_bits)

    def angles(self) -> Iterator[Launch]:
        """From sums to gradients of angles and inputs."""
        yield self._launch("angles", self.samples)

    def weights(self) -> Launch:
        """From gradients of angles to those of weights, over all samples."""
        shared = _THREADS // _LANES * self.plan.real_bytes
        return self._launch("weights", self.plan.layout.circuit.num_weights, shared, samples=self.samples)

    def read(self) -> Iterator[Launch]:
        """From the last kets to values."""
        plan, circuit = self.plan, self.plan.layout.circuit
        if circuit.state_phase >= 0:
            yield self._numbers("states", self.samples * circuit.num_values // 2)
            return
        parts, reads = plan._parts, plan._num_reads
        if reads:
            sums = {"partial": self.addresses["sums"]} if parts == 1 else {}
            shared = _THREADS // _LANES * plan.real_bytes
            yield self._launch("read", self.samples * parts, shared, parts=parts, **sums)
        if parts > 1 or not reads:
            yield from self._reduced(reads, parts)
            yield self._numbers("values", self.samples * circuit.num_values)

    def _reduced(self, slots: int, parts: int) -> Iterator[Launch]:
        numbers = self.samples * slots
        if numbers:
            warps = _THREADS // _LANES
            yield self._launch("reduce", -(-numbers // warps), numbers=numbers, parts=parts)

    def _numbers(self, kernel: str, numbers: int) -> Launch:
        """A thread for each number."""
        return self._launch(kernel, -(-numbers // _THREADS), numbers=numbers)

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
        numbers = (block // threads) * ((2 << tile.bits) + (threads < _LANES))
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
            **arguments,
        )

    def _launch(
        self, kernel: str, blocks: int, shared_bytes: int = 0, threads: int = _THREADS, **arguments: int
    ) -> Launch:
        data = packed(self.addresses | {name: int(value) for name, value in arguments.items()})
        return Launch(f"qtm_{kernel}", blocks, threads, shared_bytes, data)
