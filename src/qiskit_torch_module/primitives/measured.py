"""Circuits that end with measurements, compiled: the probability of each outcome, and the bits that it writes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ControlFlowOp, Parameter

from .._program.cache import cached_program
from .._program.evolution import Evolution
from .._program.output import State
from .._program.program import Program
from .._reading.exponentials import exact_evolutions
from .._reading.measurements import Measurements, without_measurements
from .._simulation.draws import look_up, packed
from .._simulation.outcomes import Outcomes, probabilities
from .._simulation.room import require_states
from .refusals import CircuitRefusedError, parameters_named, position_named
from .rows import with_a_qubit

Rows = npt.NDArray[np.float64]
Writer = Callable[[npt.NDArray[np.intp], npt.NDArray[np.uint8]], None]


@dataclass(frozen=True)
class Measured:
    """A compiled circuit and what it measures.

    Attributes:
        program: It reads the state.
        measurements: Which qubit goes to which classical bit.
        outcomes: What they can find.
    """

    program: Program
    measurements: Measurements
    outcomes: Outcomes

    @staticmethod
    def of(evolution: Evolution, measurements: Measurements) -> Measured:
        """An evolution and what is measured after it."""
        return Measured(Program(evolution, State()), measurements, Outcomes.of(evolution, measurements.qubits))

    def require_measurements(self) -> None:
        """Checks that something is measured, where probabilities are asked for.

        Raises:
            CircuitRefusedError: nothing is.
        """
        if not self.measurements.qubits:
            raise CircuitRefusedError(
                "circuit: expected measurements at its end, got none; add them (circuit.measure_all()), or read "
                "outputs.Probabilities() of a QuantumModule"
            )

    @cached_property
    def place(self) -> Mapping[int, int]:
        """For each measured qubit that is simulated, which bit of an outcome it is."""
        return {qubit: place for place, qubit in enumerate(self.outcomes.qubits)}

    @property
    def num_amplitudes(self) -> int:
        """Of one state."""
        return 1 << self.program.evolution.num_qubits

    def probabilities(self, rows: Rows, num_threads: int = 0) -> Rows:
        """Those of each outcome, shape (B, outcomes), for a circuit whose parameters are all inputs, by one call.

        Args:
            rows: Shape (B, parameters), float64.
            num_threads: 0: as ``torch.get_num_threads()``.

        Raises:
            ValueError: a value is not finite, or there is not enough memory.
        """
        inputs = torch.from_numpy(np.ascontiguousarray(rows))
        with parameters_named(self.program.evolution):
            return probabilities(self.program, self.outcomes, inputs, inputs.new_empty(0), num_threads)

    def writer(self, sources: Sequence[int | None], count: int) -> Writer:
        """What writes outcomes (N,) into bits, as the bytes of a ``BitArray``, to an array (N, bytes).

        Args:
            sources: For each bit, the lowest first, its qubit; None: it is 0.
            count: How many outcomes there will be.
        """
        if count < self.outcomes.count:
            return lambda outcomes, to: np.copyto(to, packed(outcomes, sources, self.place))
        table = packed(np.arange(self.outcomes.count), sources, self.place)
        return lambda outcomes, to: look_up(table, outcomes, to)

    def numbers_of(self, outcomes: npt.NDArray[Any], sources: Sequence[int | None] | None = None) -> npt.NDArray[Any]:
        """The numbers that outcomes write into bits.

        Args:
            outcomes: Any of them.
            sources: For each bit, the lowest first, its qubit; None: it is 0. By default of all classical bits.
        """
        sources = self.measurements.bits if sources is None else sources
        outcomes = outcomes.astype(np.int64 if len(sources) < 63 else object)
        numbers = 0 * outcomes
        for bit, qubit in enumerate(sources):
            if qubit is not None and qubit in self.place:
                numbers += (outcomes >> self.place[qubit] & 1) * (1 << bit)
        return numbers

    def spread(self, values: Rows) -> Rows:
        """Values of outcomes (..., outcomes) as those of all numbers that the classical bits can hold, (..., 2^k).

        Raises:
            ValueError: there are more numbers than the memory budget holds.
        """
        num_bits = len(self.measurements.bits)
        lead = values.shape[:-1]
        require_states(num_bits, math.prod(lead))
        spread = np.zeros((*lead, 1 << num_bits))
        spread[..., self.numbers_of(np.arange(self.outcomes.count))] = values  # each outcome has a number of its own
        return spread


def measured_works(
    circuits: Sequence[QuantumCircuit], argument: str, exact_evolution: bool = False
) -> dict[int, Measured]:
    """The circuits of a call, compiled, by their identity.

    Args:
        circuits: Their parameters are all inputs, in the order of ``circuit.parameters``.
        argument: Which holds them, for errors.
        exact_evolution: As for `FastEstimator`.

    Raises:
        CircuitRefusedError: one cannot be compiled; the message names its position, the operation and a remedy.
    """
    works: dict[int, Measured] = {}
    for position, circuit in enumerate(circuits):
        if id(circuit) not in works:
            with position_named(argument, position, len(circuits)):
                works[id(circuit)] = measured_work(circuit, exact_evolution)
    return works


def measured_work(
    circuit: QuantumCircuit, exact_evolution: bool = False, order: Sequence[Parameter] | None = None
) -> Measured:
    """A circuit, compiled.

    Args:
        circuit: Its parameters are all inputs.
        exact_evolution: As for `FastEstimator`.
        order: Of the parameters; None: that of ``circuit.parameters``.

    Raises:
        CircuitRefusedError: it cannot be compiled; the message names the operation and a remedy.
    """
    try:
        unmeasured, measurements = without_measurements(circuit)
        _require_straight(circuit)
        if not circuit.num_qubits:
            unmeasured = with_a_qubit(unmeasured)
        with exact_evolutions(exact_evolution):
            program = cached_program(unmeasured, State(), list(circuit.parameters if order is None else order))
    except ValueError as error:
        raise CircuitRefusedError(str(error)) from error
    return Measured(program, measurements, Outcomes.of(program.evolution, measurements.qubits))


def _require_straight(circuit: QuantumCircuit) -> None:
    """Checks that a circuit has no control flow, boxes and fixed loops included, which Qiskit's samplers refuse, too.

    Raises:
        ValueError: it has.
    """
    for name in _CONTROL_FLOW.intersection(circuit.count_ops()):
        if any(isinstance(found.operation, ControlFlowOp) for found in circuit.get_instructions(name)):
            raise ValueError(
                f"circuit: '{name}': expected a circuit without control flow, as Qiskit's samplers do; put the gates "
                "of the branch, box or repetitions that are meant into the circuit instead"
            )


_CONTROL_FLOW = {"box", "break_loop", "continue_loop", "for_loop", "if_else", "switch_case", "while_loop"}
