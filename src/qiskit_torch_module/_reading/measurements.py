"""Measurements at the end of a circuit: which qubit goes to which classical bit of which register."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qiskit import ClassicalRegister, QuantumCircuit
from qiskit.circuit import Barrier, Clbit, Delay, Measure, Qubit

from .compat import is_conditioned, is_plain_gate


@dataclass(frozen=True)
class Register:
    """A classical register.

    Attributes:
        name: Its name.
        bits: Its bits, the lowest first, by their places among all classical bits of the circuit.
    """

    name: str
    bits: tuple[int, ...]


@dataclass(frozen=True)
class Measurements:
    """The measurements that a circuit ends with.

    Attributes:
        bits: For each classical bit of the circuit the qubit that is measured into it; None: the bit stays 0.
        registers: In the order of the circuit; bits may be in none of them, or in several.
    """

    bits: tuple[int | None, ...] = ()
    registers: tuple[Register, ...] = ()

    @property
    def qubits(self) -> tuple[int, ...]:
        """All measured qubits, the lowest first."""
        return tuple(sorted({qubit for qubit in self.bits if qubit is not None}))

    @property
    def written(self) -> tuple[int, ...]:
        """The qubit of each bit that one is measured into, the lowest bit first."""
        return tuple(qubit for qubit in self.bits if qubit is not None)

    def sources(self, register: Register) -> tuple[int | None, ...]:
        """For each bit of a register, the lowest first, the qubit that is measured into it; None: it stays 0."""
        return tuple(self.bits[bit] for bit in register.bits)


def without_measurements(circuit: QuantumCircuit) -> tuple[QuantumCircuit, Measurements]:
    """A circuit without the measurements at its end, and what they are.

    A measurement is final if nothing acts on its qubit later but measurements, barriers and delays. Of several into one
    bit the last one counts. Other operations that no circuit here may have, classical control and measurements inside
    of instructions among them, are left for `operations.reading` to refuse.

    Raises:
        ValueError: a measurement is not final; the message names it and what follows.
    """
    if not isinstance(circuit, QuantumCircuit) or not circuit.num_clbits:
        return circuit, Measurements()
    qubit_at = {bit: place for place, bit in enumerate(circuit.qubits)}
    clbit_at = {bit: place for place, bit in enumerate(circuit.clbits)}
    sources: list[int | None] = [None] * circuit.num_clbits
    written: set[int] = set()
    followed: dict[Qubit, Any] = {}  # for each qubit an operation that acts on it later
    kept = []
    for instruction in reversed(circuit.data):
        operation = None if is_plain_gate(instruction) else instruction.operation  # an object takes a microsecond
        if not isinstance(operation, Measure) or is_conditioned(operation):
            kept.append(instruction)
            if not isinstance(operation, (Barrier, Delay)):
                followed.update(dict.fromkeys(instruction.qubits, instruction))
            continue
        (qubit,), (bit,) = instruction.qubits, instruction.clbits
        place = clbit_at[bit]
        if qubit in followed:
            raise ValueError(_not_final(qubit_at, qubit, place, followed[qubit]))
        if place not in written:
            written.add(place)
            sources[place] = qubit_at[qubit]
    registers = tuple(Register(register.name, tuple(clbit_at[bit] for bit in register)) for register in circuit.cregs)
    if not written:
        return circuit, Measurements(tuple(sources), registers)
    # Not by `copy_empty_like`: circuits of Qiskit's library that build themselves would do so again.
    unmeasured = QuantumCircuit(
        circuit.qubits, circuit.clbits, *circuit.qregs, name=circuit.name, global_phase=circuit.global_phase
    )
    unmeasured.metadata = circuit.metadata
    for instruction in reversed(kept):
        unmeasured._append(instruction)
    return unmeasured, Measurements(tuple(sources), registers)


def with_measurements(circuit: QuantumCircuit, measurements: Measurements) -> QuantumCircuit:
    """A circuit with its measurements added: one that `without_measurements` gave, or one without classical bits."""
    bits = list(circuit.clbits) or [Clbit() for _ in measurements.bits]
    if not circuit.clbits:
        circuit.add_bits(bits)
    for register in () if circuit.cregs else measurements.registers:
        circuit.add_register(ClassicalRegister(name=register.name, bits=[bits[place] for place in register.bits]))
    for bit, qubit in zip(bits, measurements.bits, strict=True):
        if qubit is not None:
            circuit.measure(circuit.qubits[qubit], bit)
    return circuit


def _not_final(qubit_at: dict[Qubit, int], qubit: Qubit, bit: int, later: Any) -> str:
    others = [qubit_at[one] for one in later.qubits]
    return (
        f"circuit: 'measure' on qubits [{qubit_at[qubit]}] into classical bit {bit}: expected measurements at the end "
        f"only, got '{later.operation.name}' on qubits {others} after it; one in the middle makes a circuit random, "
        "and no single state describes that: remove it, or measure another qubit that was entangled with this one by "
        "a CX gate"
    )


def written_measurements(measurements: Measurements) -> dict[str, Any]:
    """As plain values, for files."""
    registers = [[register.name, list(register.bits)] for register in measurements.registers]
    return {"bits": list(measurements.bits), "registers": registers}


def read_measurements(plain: Any, num_qubits: int) -> Measurements:
    """What `written_measurements` wrote, checked; None: there are none.

    Raises:
        ValueError: these are no measurements of so many qubits.
    """
    if plain is None:
        return Measurements()
    if type(plain) is not dict or plain.keys() != {"bits", "registers"} or type(plain["bits"]) is not list:
        raise ValueError("expected measurements as bits and registers")
    bits, registers = plain["bits"], plain["registers"]
    if any(qubit is not None and not _is_place(qubit, num_qubits) for qubit in bits):
        raise ValueError(f"expected measurements of {num_qubits} qubits")
    if type(registers) is not list or not all(_is_register(register, len(bits)) for register in registers):
        raise ValueError(f"expected registers of {len(bits)} classical bits")
    if len({name for name, _ in registers}) != len(registers):
        raise ValueError("expected registers of different names")
    return Measurements(tuple(bits), tuple(Register(name, tuple(places)) for name, places in registers))


def _is_register(plain: Any, num_bits: int) -> bool:
    if type(plain) is not list or len(plain) != 2 or type(plain[0]) is not str or type(plain[1]) is not list:
        return False
    places = plain[1]
    return all(_is_place(place, num_bits) for place in places) and len(set(places)) == len(places)


def _is_place(value: Any, end: int) -> bool:
    return type(value) is int and 0 <= value < end
