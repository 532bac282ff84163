"""Plans: the launches that values and gradients of a batch take, and the memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from .card import Card
from .circuit import Circuit, Part
from .groups import groups_of, padded, places_of
from .joins import joined, numbers_of_parts, split
from .layout import Layout, halved_layout_of, layout_of
from .room import room_of
from .schema import Bytes
from .shapes import Shape, shape_of
from .sources import KERNELS
from .tables import sample_bytes
from .waves import Launch, Wave

__all__ = ["Launch", "Layout", "Plan", "Pointers"]


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
class Plan:
    """The launches for one batch of a circuit.

    Attributes:
        layout: Circuit, shape and numbers; equal for all batches. Its halves have plans of their own, in `halves`.
        batch: Number of samples.
        card: Where it runs.
        wave: Samples of a wave, which go through the circuit together; the last one may have fewer.
        keeps: Whether the tape has the last ket of every sample; else gradients run the circuit once more.
        waves_at_once: So many waves have their halves, which are small, in one.
    """

    layout: Layout
    batch: int
    card: Card
    wave: int
    keeps: bool
    waves_at_once: int = 1

    @staticmethod
    def of(
        circuit: Circuit,
        batch: int,
        is_double: bool,
        card: Card,
        shape: Shape | None = None,
        from_halves: bool = False,
    ) -> Plan:
        """The plan for a batch.

        Args:
            circuit: What runs.
            batch: Number of samples, 1 at least.
            is_double: Whether real numbers are float64.
            card: Where it runs.
            shape: One that is forced; None: the best one.
            from_halves: Whether it starts from halves.

        Raises:
            MemoryError: the card has not enough memory.
            ValueError: the circuit does not fit the shape, or has no halves in it.
        """
        shape = shape or shape_of(circuit.num_qubits, is_double, card)
        layout = (halved_layout_of if from_halves else layout_of)(circuit, shape, is_double)
        if layout is None:
            raise ValueError(f"from_halves: the circuit has none in shape '{shape.name}'; leave it out")
        plan = Plan(layout, batch, card, batch, True)
        state = plan.state_bytes
        if not layout.schedule.is_resident:
            room = room_of(layout.shape, card)
            most = max(1, room // (2 * state))
            plan = replace(plan, wave=-(-batch // -(-batch // most)))  # all of a size
            plan = replace(plan, waves_at_once=plan._most_waves(room))
        if plan.all_bytes > card.memory_bytes:
            plan = replace(plan, waves_at_once=1)
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
        return self.layout.buffer

    @cached_property
    def halves(self) -> tuple[Plan, ...]:
        """Those of the low half and the high one, if it starts from halves."""
        samples = min(self.batch, self.wave * self.waves_at_once)
        return tuple([replace(self, layout=layout, wave=samples, waves_at_once=1) for layout in self.layout.halves])

    @property
    def described(self) -> str:
        """How it runs, for people."""
        shape, glue = f"shape '{self.layout.shape.name}'", self.layout.glue_bits
        if not self.halves:
            return f"{shape}, no halves"
        low, high = (half.layout.circuit.num_qubits - glue for half in self.halves)
        return f"{shape}, first layers on {low} and {high} qubits, a sum of {1 << glue} products of states"

    def _most_waves(self, room: int) -> int:
        """Whose halves, ket and bra, take no more than so many bytes, one at least; about as many in all groups."""
        of_sample = 2 * sum(half.state_bytes for half in self.halves)
        waves, most = -(-self.batch // self.wave), max(1, room // (of_sample * self.wave)) if of_sample else 1
        return -(-waves // -(-waves // most))

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
        """Tape, workspace, constants, values and their cotangent: where states are read, these are as large as kets."""
        values = self.batch * self.layout.circuit.num_values * self.real_bytes
        return self.tape_bytes + self.workspace_bytes + len(self.constants) + 2 * values

    @property
    def tape_bytes(self) -> int:
        """What values leave for gradients."""
        return sum(sum(map(padded, one.tape.values())) for one in (self, *self.halves))

    @property
    def workspace_bytes(self) -> int:
        """What nobody needs after a call."""
        return sum(sum(map(padded, one.workspace.values())) for one in (self, *self.halves))

    @cached_property
    def tape(self) -> dict[str, int]:
        """Bytes of its own arrays on the tape, halves apart."""
        samples = self.batch if self.keeps else self.wave
        return {
            "factors": self.factor_bytes * samples,
            "ket": samples * self.state_bytes,
            "reads": samples * self.layout.circuit.num_reads * self.real_bytes,
        }

    @cached_property
    def workspace(self) -> dict[str, int]:
        """Likewise, of those in the workspace."""
        circuit, schedule = self.layout.circuit, self.layout.schedule
        slots = max(circuit.num_slots, circuit.num_reads)
        states = self.wave * self.state_bytes
        reals = {
            "partial": self.wave * max(slots << schedule.tile_bits, *numbers_of_parts(self.layout), 0),
            "sums": self.wave * circuit.num_slots,
            "gate_gradient": self.wave * len(circuit.arrays["gate_angle"]),
            "angle_gradient": self.batch * len(circuit.arrays["angle_constant"]),
        }
        sizes = {name: size * self.real_bytes for name, size in reals.items()}
        if not schedule.is_resident:
            return {"ket_before": states, "bra": states, **sizes}
        return {"bra": states, **sizes} if circuit.part is Part.HALF else sizes

    def values(self, pointers: Pointers) -> list[Launch]:
        """From inputs and weights to values; the tape is written."""
        launches: list[Launch] = []
        for halves, waves in groups_of(self, pointers):
            launches += _kets_of_halves(halves)
            for wave, own in waves:
                launches += [*_kets(wave, own), *wave.read()]
        return launches

    def gradients(self, pointers: Pointers) -> list[Launch]:
        """From the tape and the cotangent to the gradients that have an address."""
        launches: list[Launch] = []
        for halves, waves in groups_of(self, pointers):
            launches += () if self.keeps else _kets_of_halves(halves)
            for wave, own in waves:
                if not self.keeps:
                    launches += _kets(wave, own)
                    launches += wave.reads() if self.layout.circuit.moments else ()
                launches += [*wave.adjoint(), *wave.angles()]
                launches += [launch for half in own for launch in split(wave, own, half)]
            for half in halves:
                launches += [*half.adjoint(), *half.angles(adds=True)]
        if pointers.weight_gradient and self.layout.circuit.num_weights:
            for number, (one, places) in enumerate(places_of(self, pointers)):
                launches.append(Wave(one, self.batch, places).weights(adds=number > 0))
        return launches


def _kets_of_halves(halves: Sequence[Wave]) -> list[Launch]:
    return [launch for half in halves for launch in (*half.prepared(), *half.forward())]


def _kets(wave: Wave, halves: Sequence[Wave]) -> Iterator[Launch]:
    """From inputs and weights, and kets of halves if there are any, to last kets."""
    yield from wave.prepared()
    if halves:
        yield joined(wave, halves)
    yield from wave.forward()
