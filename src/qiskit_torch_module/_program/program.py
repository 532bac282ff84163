"""A compiled circuit with what is read from it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from .._core.collector import without_collections
from .._core.schema import MAX_QUBITS
from .._core.shown import Rows, Shown, angle
from .angle_map import AngleMap
from .dense import Step
from .effort import (
    BESIDE_FIRST_STEP,
    BESIDE_LAYER,
    BESIDE_STEP,
    READING_SQUARES,
    READING_STATES,
    sweeps_of_layers,
    sweeps_of_reading,
    sweeps_of_steps,
)
from .evolution import Evolution
from .halves import LEAST_QUBITS
from .layers import Rotation, X, Z
from .output import ExpectationValues, Output, State, distinct
from .rotations import apart, felt, varying
from .settings import Setting, settings_of
from .symmetries import settled
from .unjoined import Unjoined, unjoined_of

_MOST_SHOWN = 40  # rotations in a notebook
_MOST_IN_HALVES = 4096  # rotations: with more of them, circuits are too deep for halves


def _word(rotation: Rotation, num_qubits: int) -> str:
    """The Pauli of a rotation as a label in Qiskit's order."""
    x, z = (0 if rotation.axis == Z else rotation.x), (0 if rotation.axis == X else rotation.z)
    return "".join("IXZY"[(x >> qubit & 1) + 2 * (z >> qubit & 1)] for qubit in reversed(range(num_qubits)))


@dataclass(frozen=True, repr=False)
class Program(Shown):
    """What happens, and what is read in the end: immutable, hashable, picklable.

    Attributes:
        evolution: What the circuit does to its state.
        output: What is read from the final state.
        make_engine: How the native engine for it is made: set by `_simulation`, which knows the engine.
        text: The text that stands for it in operators of PyTorch, once one needs it; no part of its value, either.
    """

    evolution: Evolution
    output: ExpectationValues | Output
    make_engine: ClassVar[Callable[[Program], Any]]
    text: str | None = field(default=None, init=False, compare=False, repr=False)

    def __repr__(self) -> str:
        evolution = self.evolution
        counts = {
            "num_qubits": evolution.num_qubits,
            "num_inputs": evolution.num_inputs,
            "num_weights": evolution.num_weights,
            "num_rotations": len(evolution.rotations),
            "shape": self.shape,
        }
        return f"Program({', '.join(f'{name}={count}' for name, count in counts.items())})"

    def _shown_rows(self) -> Rows:
        shown, inputs = self.evolution.rotations[:_MOST_SHOWN], self.evolution.num_all_inputs
        for rotation in shown:
            text = rotation.angle.text(angle, lambda n: f"x{n}" if n < inputs else f"w{n - inputs}")
            yield _word(rotation, self.evolution.num_qubits), text
        if len(shown) < len(self.evolution.rotations):
            yield "…", f"{len(self.evolution.rotations) - len(shown)} more"

    # No cached property where the compiler of PyTorch looks: before Python 3.12 they take a lock, which it cannot.
    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of what is read from one sample."""
        frame = self.evolution.frame
        return self.output.shape(self.evolution.num_qubits if frame is None else len(frame))

    @property
    def others(self) -> tuple[Program, ...]:
        """Of other circuits of the same variables, whose states the output reads, too."""
        evolutions = () if isinstance(self.output, ExpectationValues) else self.output.evolutions
        return tuple([Program(evolution, State()) for evolution in evolutions])

    @property
    def reads_probabilities(self) -> bool:
        """Whether it reads the probability of every basis state, and all qubits are simulated."""
        frame = self.evolution.frame
        if isinstance(self.output, ExpectationValues) or frame is None or not all(frame.flips):
            return False
        return self.output.is_of_outcomes(len(frame))

    @property
    def output_size(self) -> int:
        """How many numbers are read from one sample."""
        return math.prod(self.shape)

    @property
    def expectation_values(self) -> ExpectationValues | None:
        """The output, if it is one of Pauli sums."""
        return self.output if isinstance(self.output, ExpectationValues) else None

    @property
    def engine(self) -> Any:
        """The native engine for it, made when it is first asked for; no part of its value.

        Where several threads make one at once, all take the first: an engine knows only its own tapes.
        """
        engine = self.__dict__.get("_engine")
        return self.__dict__.setdefault("_engine", type(self).make_engine(self)) if engine is None else engine

    @cached_property
    def whole(self) -> Program:
        """The same with all qubits simulated, for what sees phases."""
        passes = replace(self.evolution.passes, symmetry_reduction=False)
        return Program(replace(self.evolution, passes=passes), self.output)

    @cached_property
    def unshared(self) -> Program:
        """The same with every variable as an input, so that weights may differ from sample to sample."""
        return Program(self.evolution.unshared, self.output)

    @cached_property
    def apart(self) -> Program:
        """The same with an input of its own for every angle that varies, and no other variables (`rotations.apart`)."""
        return Program(apart(self.evolution), self.output)

    @cached_property
    def angle_map(self) -> AngleMap:
        """The angles that are inputs of `apart`, as functions of all variables of the engine."""
        rotations = self.evolution.rotations
        return AngleMap([rotations[number].angle for number in varying(self.evolution)])

    @cached_property
    @without_collections
    def unjoined(self) -> Unjoined | None:
        """The halves that its observables are read from without a state of all qubits, if there are such."""
        evolution, output = self.evolution, self.expectation_values
        passes = evolution.passes
        # Before anything is put into layers.
        if evolution.num_qubits < LEAST_QUBITS or len(evolution.rotations) > _MOST_IN_HALVES:
            return None
        if output is None or evolution.is_stepwise or not (passes.halved_start and passes.unjoined_halves):
            return None
        may_absorb, joined = passes.observable_absorption, evolution.share_of_joined
        return unjoined_of(evolution.layers, evolution.num_qubits, output, may_absorb, joined)

    @property
    def simulated(self) -> Program:
        """The same expectation values from as few qubits as hold the state, where that is faster; else itself."""
        return self._settled or self

    @cached_property
    @without_collections
    def _settled(self) -> Program | None:
        evolution, output = self.evolution, self.expectation_values
        if output is None or evolution.is_stepwise or not evolution.passes.symmetry_reduction:
            return None
        fastest = min([self, *(Program(*one) for one in settled(evolution, output))], key=Program.effort)
        return None if fastest is self else fastest

    @property
    def taken_steps(self) -> tuple[Step, ...] | None:
        """The steps in which the engine runs it; None: it runs by layers."""
        steps = self.evolution.taken_steps
        if steps is None or self.unjoined is None:
            return steps
        return steps if self._swept_by(steps) < self._swept_by_halves(self.unjoined) else None

    def effort(self, batch_size: int = 1, in_series: bool = False) -> float:
        """How long the engine takes: as long as one sweep takes for so many amplitudes.

        Args:
            batch_size: Number of samples.
            in_series: Along directions, where halves are joined.
        """
        evolution, steps, unjoined = self.evolution, self.taken_steps, None if in_series else self.unjoined
        if steps is not None:
            sweeps = self._swept_by(steps)
            beside = len(steps) * (BESIDE_FIRST_STEP + BESIDE_STEP * batch_size)
        else:
            sweeps = evolution.layers_in_sweeps + self.reading_in_sweeps
            beside = len(evolution.layers) * BESIDE_LAYER * batch_size
            if unjoined is not None:
                sweeps = min(sweeps, self._swept_by_halves(unjoined))
        return sweeps * batch_size * 2.0**evolution.num_qubits + beside

    def _swept_by(self, steps: Sequence[Step]) -> float:
        return sweeps_of_steps(steps, self.evolution.num_qubits) + self.reading_in_sweeps

    def _swept_by_halves(self, unjoined: Unjoined) -> float:
        evolution = self.evolution
        whole = sweeps_of_layers(evolution.layers) + self.reading_in_sweeps / evolution.share_of_joined
        return unjoined.halves.relative_cost * whole

    @cached_property
    def reading_in_sweeps(self) -> float:
        """Sweeps that take as long as reading a state, and starting the way back with what is read."""
        output = self.expectation_values
        if output is None:  # of all qubits, also of those that are not simulated
            frame, num_qubits = self.evolution.frame, self.evolution.num_qubits
            more = 1.0 if frame is None else 2.0 ** min(len(frame) - num_qubits, MAX_QUBITS)
            return more * (READING_SQUARES if self.reads_probabilities else READING_STATES)
        return sweeps_of_reading(output.terms, self.evolution.num_qubits)

    @cached_property
    def felt(self) -> tuple[bool, ...]:
        """For each rotation, whether what is read can depend on its angle; all, but for expectation values."""
        if self.expectation_values is None:
            return (True,) * len(self.evolution.rotations)
        return felt(self.evolution, self.expectation_values)

    @cached_property
    def settings(self) -> tuple[Setting, ...]:
        """In which all terms of expectation values are measured."""
        return () if self.expectation_values is None else settings_of(self.evolution, self.expectation_values)

    @cached_property
    def by_terms(self) -> ByTerms | None:
        """Its terms one by one, for expectation values that are sums of fewer distinct terms than there are of them."""
        output = self.expectation_values
        parts = None if output is None else distinct(output)
        if parts is None:
            return None
        terms, coefficients = parts
        return ByTerms(Program(self.evolution, terms), coefficients, 1.0 in terms.constants)

    def __getstate__(self) -> dict[str, Any]:
        return {"evolution": self.evolution, "output": self.output}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(text=None, **state)


@dataclass(frozen=True, eq=False)
class ByTerms:
    """Expectation values as sums of those of T distinct terms.

    Attributes:
        program: The same evolution and every term as an observable; the identity, if it is one of them, is the last.
        coefficients: What each of the M observables takes of them, shape (M, T).
        has_identity: Whether the last of them is the identity.
    """

    program: Program
    coefficients: npt.NDArray[np.float64]
    has_identity: bool

    @cached_property
    def are_sums(self) -> bool:
        """Whether any observable is a sum of several of them."""
        return bool((np.count_nonzero(self.coefficients, axis=1) > 1).any())

    def num_passes(self, imaginary: bool) -> int:
        """How many of the terms have derivatives: the identity has none but imaginary ones."""
        return self.program.output_size - (self.has_identity and not imaginary)

    def added_up(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """For the observables, (M, B, N), from the values of the terms that have derivatives, (passes, B, N)."""
        coefficients = self.coefficients[:, : len(values)]
        if self.are_sums:
            sums: npt.NDArray[np.float64] = np.tensordot(coefficients, values, 1)
            return sums
        term = np.abs(coefficients).argmax(1)
        scaled: npt.NDArray[np.float64] = values[term] * np.take_along_axis(coefficients, term[:, None], 1)[..., None]
        return scaled


def require_shape(program: Program) -> None:
    """Checks that there is something to read.

    Raises:
        TypeError: the output names no shape.
        ValueError: as the output.
    """
    shape = program.shape
    if not isinstance(shape, tuple) or not all(type(size) is int and size > 0 for size in shape):
        raise TypeError(f"observables: expected a tuple of positive sizes as shape of {program.output}, got {shape!r}")


def require_sums(program: Program) -> None:
    """Checks that a program reads expectation values.

    Raises:
        TypeError: it reads something else.
    """
    if program.expectation_values is None:
        raise TypeError(f"observables: expected expectation values, got {program.output}; QuantumModule reads it")
