"""Reads a circuit into native steps, one operation after the other, however deep they are nested."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from qiskit import QuantumCircuit
from qiskit.circuit import CircuitInstruction, Parameter

from .._reading import matrices as _matrices
from .._reading.angles import Angles
from .._reading.bound import bound_gate
from .._reading.compat import UnitaryGate
from .._reading.definitions import alone
from .._reading.gates import Gate, Step
from .._reading.matrices import DenseOperation, DenseStep, checked, dense_operation, keeps_matrices, unitary_operation
from .._reading.operations import (
    Amplitudes,
    Bound,
    Circuits,
    Dense,
    Matrix,
    Reading,
    ResetError,
    Steps,
    of_its_own,
)
from .._reading.polynomials import Polynomial
from .._reading.walk import Walk
from .blocks import AmplitudeBlock, Block, BoundBlock
from .evolution import FIRST_OF_BLOCKS


class Reader(Walk):
    """Reads a circuit step by step, and what it meets on the way.

    Knows which qubits are still in |0>: what does nothing to them is left out, so that they need not be simulated.

    Attributes:
        angles: Reads angles, and collects the derived variables they need.
        phases: Global phases.
        blocks: What computes many variables at once; they are numbered from `FIRST_OF_BLOCKS`.
        live: Lines that are not known to be in |0>. *Lines* are the qubits of the circuit, but for swaps with a qubit
            in |0>, which only exchange the two.
        line: Line of each qubit of the circuit.
    """

    def __init__(self, variables: Mapping[Parameter, int], num_qubits: int) -> None:
        self.angles = Angles(variables)
        self.phases: list[Polynomial] = []
        self._steps: list[Step | DenseOperation] = []
        self.blocks: list[Block] = []
        self.live: set[int] = set()
        self.line = list(range(num_qubits))

    def enter(self, circuit: QuantumCircuit, on: Sequence[int]) -> Sequence[int]:
        if circuit.global_phase:
            self.phases.append(self.angles.polynomial(circuit.global_phase, "global_phase"))
        return on

    def gate(self, gate: Gate, instruction: CircuitInstruction, qubits: list[int]) -> None:
        self._take(gate.of(instruction, self._angle_of(instruction.name, qubits)), qubits)

    def operation(self, kind: Reading, operation: Any, qubits: list[int]) -> Iterable[QuantumCircuit] | None:
        if isinstance(kind, Steps):
            self._take(kind.steps(self._angle_of(operation.name, qubits)), qubits)
            return None
        if isinstance(kind, Amplitudes):
            self._expect_zero(operation, qubits)
            read = self._angle_of(operation.name, qubits)
            amplitudes = tuple(read(amplitude) for amplitude in kind.amplitudes)
            self._add(AmplitudeBlock(amplitudes, _named(operation, qubits)), qubits)
            return None
        if isinstance(kind, Bound):
            self._bind(operation, qubits)
            return None
        if isinstance(kind, (Dense, Matrix)):
            dense = self._dense(kind, operation, qubits)
            if dense is not None:
                self.live.update(dense.qubits)
                self._steps.append(dense)
                return None
            if isinstance(kind, Matrix):
                return [UnitaryGate(kind.matrix).definition]
            kind = of_its_own(operation, qubits)
        if not isinstance(kind, Circuits) or kind.fresh:
            self._expect_zero(operation, qubits)
        return kind.circuits if isinstance(kind, Circuits) else None

    def _dense(self, kind: Dense | Matrix, operation: Any, qubits: list[int]) -> DenseOperation | None:
        """What may be applied as a matrix; None: it is taken apart."""
        lines = [self.line[qubit] for qubit in qubits]
        if isinstance(kind, Dense):
            fresh = [line not in self.live for line in lines]
            return dense_operation(operation, lines, fresh, self._angle_of(operation.name, qubits))
        matrix = checked(kind.matrix, operation.name, qubits)
        return unitary_operation(matrix, lines) if len(lines) >= _matrices.LEAST_QUBITS else None

    def settled(self) -> list[Step | DenseStep]:
        """Native steps on lines, in order of time: all matrices as they are, or taken apart, whichever is faster."""
        dense = [step for step in self._steps if isinstance(step, DenseOperation)]
        num_rotations = sum(not isinstance(step, DenseOperation) and step[0].isupper() for step in self._steps)
        if not keeps_matrices(dense, num_rotations):
            return [*self._all_apart()]
        settled: list[Step | DenseStep] = []
        for step in self._steps:
            settled += step.steps if isinstance(step, DenseOperation) else [step]
        return settled

    def _all_apart(self) -> Iterator[Step]:
        for step in self._steps:
            if not isinstance(step, DenseOperation):
                yield step
                continue
            inner = Reader({}, len(step.qubits))
            inner.angles, inner.phases = self.angles, self.phases
            inner.live.update(inner.line)  # so that each keeps its line
            inner.over(step.circuit())
            for name, which, angle in inner._all_apart():
                yield name, tuple(step.qubits[i] for i in which), angle

    def _bind(self, operation: Any, qubits: Sequence[int]) -> None:
        is_state = not any(self.line[qubit] in self.live for qubit in qubits)
        gate = bound_gate(alone(operation), is_state, _named(operation, qubits))
        read = self._angle_of(operation.name, qubits)
        self._add(BoundBlock(tuple(read(parameter) for parameter in gate.parameters), gate), qubits)

    def _add(self, block: Block, qubits: Sequence[int]) -> None:
        first = FIRST_OF_BLOCKS + sum(earlier.size for earlier in self.blocks)
        self.blocks.append(block)
        self._take([(*word, Polynomial.variable(first + i)) for i, word in enumerate(block.words)], qubits)
        if block.has_phase:
            self.phases.append(Polynomial.variable(first + len(block.words)))

    def _angle_of(self, gate: str, qubits: Sequence[int]) -> Any:
        return lambda angle: self.angles.polynomial(angle, gate, qubits)

    def _expect_zero(self, operation: Any, qubits: Sequence[int]) -> None:
        if any(self.line[qubit] in self.live for qubit in qubits):
            raise ResetError(
                f"circuit: '{operation.name}' on qubits {list(qubits)} resets qubits that gates have acted on, after "
                "which no single state describes them; reset fresh qubits only (at the start it does nothing), prepare "
                "states with gates such as StatePreparation, or use FastEstimator.run, which leaves such circuits to "
                "Qiskit's StatevectorEstimator (from Qiskit 1.0 on)"
            )

    def _take(self, steps: Iterable[Step], qubits: Sequence[int]) -> None:
        for name, which, angle in steps:
            lines = [self.line[qubits[i]] for i in which]
            live = [line in self.live for line in lines]
            if all(live) and name != "phase":
                self._steps.append((name, tuple(lines), angle))
            elif name == "phase":
                self.phases.append(angle)
            elif name == "swap":
                self._swap(qubits[which[0]], qubits[which[1]])
            elif name != "cx" or live[0]:
                self._rotate(name, lines, angle)

    def _rotate(self, name: str, lines: list[int], angle: Polynomial) -> None:
        """A step on lines of which some are in |0>: there Z is 1."""
        if name.isupper():
            kept = [i for i, letter in enumerate(name) if letter != "Z" or lines[i] in self.live]
            if not kept:
                self.phases.append(-0.5 * angle)
                return
            name, lines = "".join(name[i] for i in kept), [lines[i] for i in kept]
        self.live.update(lines)
        self._steps.append((name, tuple(lines), angle))

    def _swap(self, first: int, second: int) -> None:
        self.line[first], self.line[second] = self.line[second], self.line[first]


def _named(operation: Any, qubits: Sequence[int]) -> str:
    return f"circuit: '{operation.name}' on qubits {list(qubits)}"
