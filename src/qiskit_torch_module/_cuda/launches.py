"""Plans: the launches that values and gradients of a batch take, and the memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from .card import Card
from .circuit import Circuit
from .layout import Layout, layout_of
from .schema import Bytes
from .shapes import Shape, shape_of
from .sources import KERNELS
from .tables import sample_bytes
from .waves import Launch, Wave

__all__ = ["Launch", "Layout", "Plan", "Pointers"]

_ALIGNED = 256


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
        layout = layout_of(circuit, shape or shape_of(circuit.num_qubits, is_double, card), is_double)
        plan = Plan(layout, batch, card, batch, True)
        state = plan.state_bytes
        if not layout.schedule.is_resident:
            room = card.l2_bytes // 2 if layout.shape.name == "wave" else card.memory_bytes // 4
            most = max(1, room // (2 * state))
            plan = replace(plan, wave=-(-batch // -(-batch // most)))  # all of a size
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
            "reads": samples * self.layout.circuit.num_reads * self.real_bytes,
        }

    @cached_property
    def _workspace(self) -> dict[str, int]:
        circuit, schedule = self.layout.circuit, self.layout.schedule
        slots = max(circuit.num_slots, circuit.num_reads)
        states = 0 if schedule.is_resident else self.wave * self.state_bytes
        reals = {
            "partial": self.wave * slots << schedule.tile_bits,
            "sums": self.wave * circuit.num_slots,
            "gate_gradient": self.wave * len(circuit.arrays["gate_angle"]),
            "angle_gradient": self.batch * len(circuit.arrays["angle_constant"]),
        }
        sizes = {name: size * self.real_bytes for name, size in reals.items()}
        return {"ket_before": states, "bra": states, **sizes}

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
                launches += wave.reads() if self.layout.circuit.moments else ()
            launches += [*wave.adjoint(), *wave.angles()]
        if pointers.weight_gradient and self.layout.circuit.num_weights:
            [whole] = replace(self, wave=self.batch)._waves(pointers, self._workspace)
            launches.append(whole.weights())
        return launches

    def _waves(self, pointers: Pointers, workspace: dict[str, int] | None = None) -> Iterator[Wave]:
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
            strides |= {"factors": self.factor_bytes, "ket": self.state_bytes, "reads": circuit.num_reads * real}
        for name in ("inputs", "weights", "values", "cotangent", "input_gradient", "weight_gradient", "flag"):
            places[name] = getattr(pointers, name)
        places |= self.layout.constants.arguments(pointers.constants)
        for first in range(0, self.batch, self.wave):
            moved = {name: places[name] + first * stride for name, stride in strides.items() if places[name]}
            yield Wave(self, min(self.wave, self.batch - first), places | moved)
