"""The one walk over a circuit and all circuits inside of it: all that reads gates one after the other is a `Walk`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from qiskit import QuantumCircuit
from qiskit.circuit import CircuitInstruction

from .gates import Gate, plain_gate
from .operations import MAX_OPERATIONS, Reading, TooManyError, reading


class Walk(ABC):
    """Meets operations in order of time, however deep they are nested; subclasses say what becomes of them.

    Attributes:
        num_operations: Those met so far, circuits included; all of a circuit count from its beginning.
    """

    num_operations = 0

    def over(self, circuit: QuantumCircuit) -> None:
        """Walks over a whole circuit, whose qubit i is qubit i.

        Raises:
            TooManyError: it holds more than `MAX_OPERATIONS`.
            ValueError: an operation cannot be read; the message names it.
        """
        numbers = self.enter(circuit, range(circuit.num_qubits))
        opened = [] if numbers is None else [self._inside(circuit, numbers)]
        while opened:
            entered = next(opened[-1], None)
            if entered is None:
                opened.pop()
            else:
                opened.append(self._inside(*entered))

    def _inside(
        self, circuit: QuantumCircuit, numbers: Sequence[int]
    ) -> Iterator[tuple[QuantumCircuit, Sequence[int]]]:
        """Meets what a circuit holds; yields each circuit that is entered on the way, to go on when that has ended."""
        self.count(1 + len(circuit.data))
        number = dict(zip(circuit.qubits, numbers, strict=True))
        for instruction in circuit.data:
            qubits = [number[bit] for bit in instruction.qubits]
            gate = plain_gate(instruction)
            if gate is not None:
                self.gate(gate, instruction, qubits)
                continue
            operation = instruction.operation
            kind = reading(operation, qubits)
            if kind is None:
                self.idle(operation, qubits)
                continue
            for entered in self.operation(kind, operation, qubits) or ():
                inner_numbers = self.enter(entered, qubits)
                if inner_numbers is not None:
                    yield entered, inner_numbers
        self.leave(circuit)

    def count(self, num_operations: int) -> None:
        """Counts operations.

        Raises:
            TooManyError: there are more than `MAX_OPERATIONS` by now.
        """
        self.num_operations += num_operations
        if self.num_operations > MAX_OPERATIONS:
            raise TooManyError

    @abstractmethod
    def enter(self, circuit: QuantumCircuit, on: Sequence[int]) -> Sequence[int] | None:
        """A circuit on the qubits of an operation begins: which numbers its qubits have; None: it is skipped."""

    @abstractmethod
    def gate(self, gate: Gate, instruction: CircuitInstruction, qubits: list[int]) -> None:
        """A gate that Qiskit itself holds: no object is made of it."""

    @abstractmethod
    def operation(self, kind: Reading, operation: Any, qubits: list[int]) -> Iterable[QuantumCircuit] | None:
        """Any other operation that does something: which circuits it consists of; None: nothing is left to do."""

    def idle(self, operation: Any, qubits: list[int]) -> None:
        """An operation that leaves the state as it is, such as a barrier."""
        return

    def leave(self, circuit: QuantumCircuit) -> None:
        """A circuit that was entered ends."""
        return
