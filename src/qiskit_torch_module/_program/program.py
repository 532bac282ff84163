"""The compiled circuit as a value, and the engine made from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from qiskit.circuit import Parameter

from .._core.collector import without_collections
from .._core.plain import is_plain
from .._core.timing import Stopwatch
from .._engine import Engine
from .._reading.expressions import Derived, evaluate, variables_in
from .._reading.paulis import PauliTerms
from .._reading.polynomials import Polynomial
from .blocks import Block, block_arguments
from .dense import Diagonal, Matrix, Step, in_order, step_arrays
from .halves import Halves, halves_of
from .origins import Given, Origins
from .passes import Passes, current_passes
from .periods import periods, rounded
from .schedule import Level, Rotation, engine_arrays, levels_of
from .variables import variables_of


@dataclass(frozen=True)
class Program:
    """A circuit with its observables: immutable, hashable, picklable.

    Basis states are those of the engine: CX, SWAP and X gates of the circuit are folded into the masks, so that
    rotations and observables are all that is left. The engine numbers its variables: inputs, derived inputs, those of
    input blocks, weights, derived weights, those of weight blocks.

    Attributes:
        num_qubits: Number of qubits.
        num_inputs: Number of inputs, which differ from sample to sample.
        num_weights: Number of weights, shared by the batch.
        rotations: In order of time.
        phase: Global phase of the circuit, up to a constant.
        observable_constants: What the identity contributes to each observable.
        observable_terms: All other Pauli terms.
        derived_inputs: Variables computed from inputs and weights; in them, inputs come first, then weights.
        derived_weights: Variables computed from weights alone, likewise.
        num_relabellings: CX, SWAP and X gates that were folded.
        input_blocks: What computes many variables at once, from inputs and others; its arguments are in the engine's
            numbers.
        weight_blocks: Likewise, from weights alone.
        matrices, diagonals: Steps between the rotations; their places count all three.
        passes: What the compiler does with it.
        has_derived: Whether variables are computed from others: asked in every step, and so kept.
        periods: Of the derived inputs, then of the derived weights; None: no multiple of anything is without effect.
        text: The program as operators of PyTorch take it, once they do; no part of its value.
        origins: What its angles come from, where that is known; no part of its value, either.
    """

    num_qubits: int
    num_inputs: int
    num_weights: int
    rotations: tuple[Rotation, ...]
    phase: Polynomial
    observable_constants: tuple[float, ...]
    observable_terms: PauliTerms
    derived_inputs: tuple[Derived, ...] = ()
    derived_weights: tuple[Derived, ...] = ()
    num_relabellings: int = field(default=0, compare=False)
    passes: Passes = field(default_factory=current_passes)
    matrices: tuple[Matrix, ...] = ()
    diagonals: tuple[Diagonal, ...] = ()
    input_blocks: tuple[Block, ...] = ()
    weight_blocks: tuple[Block, ...] = ()
    has_derived: bool = field(init=False, compare=False, repr=False)
    periods: tuple[float | None, ...] = field(init=False, compare=False, repr=False)
    text: str = field(init=False, compare=False, repr=False)
    origins: Origins | None = field(default=None, init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        parts = (self.derived_inputs, self.derived_weights, self.input_blocks, self.weight_blocks)
        object.__setattr__(self, "has_derived", any(map(len, parts)))
        object.__setattr__(self, "periods", self._periods() if self.derived_inputs or self.derived_weights else ())

    # No cached property where the compiler of PyTorch looks: before Python 3.12 they take a lock, which it cannot.
    @property
    def num_observables(self) -> int:
        return len(self.observable_constants)

    @property
    def is_stepwise(self) -> bool:
        """Whether it holds what layers do not take, and runs step by step."""
        return bool(self.matrices or self.diagonals)

    @property
    def dense_bytes(self) -> int:
        """What its matrices and diagonals take."""
        return sum(len(one.entries) for one in self.matrices) + sum(len(one.energies) for one in self.diagonals)

    @property
    def steps(self) -> list[Step]:
        """Rotations, matrices and diagonals in order of time."""
        return in_order(self.rotations, [*self.matrices, *self.diagonals])

    @cached_property
    def engine(self) -> Engine:
        """The native engine for this program: built once, shared by equal programs unless they hold matrices."""
        return _stepwise_engine(self) if self.is_stepwise else _planned(self)[0]

    @cached_property
    def whole_phase(self) -> Polynomial:
        """The global phase, with that of rotations that act on |0...0> as nothing else, up to a constant."""
        if self.is_stepwise:  # nothing is left out
            return self.phase
        return Polynomial.sum([self.phase, _planned(self)[1]])

    @cached_property
    def unshared(self) -> Program:
        """The same with every variable of the engine as an input, so that weights may differ from sample to sample."""
        return replace(
            self,
            num_inputs=self.num_engine_inputs + self.num_engine_weights,
            num_weights=0,
            derived_inputs=(),
            derived_weights=(),
            input_blocks=(),
            weight_blocks=(),
        )

    @property
    def num_engine_inputs(self) -> int:
        """Number of inputs of the engine: with the derived ones."""
        return self.num_inputs + len(self.derived_inputs) + sum(block.size for block in self.input_blocks)

    @property
    def num_engine_weights(self) -> int:
        """Number of weights of the engine: with the derived ones."""
        return self.num_weights + len(self.derived_weights) + sum(block.size for block in self.weight_blocks)

    def with_derived_columns(self, inputs: torch.Tensor, weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs (B, num_inputs) and weights (num_weights,) with the derived ones behind; differentiable.

        Raises:
            ValueError: an angle is not finite.
        """
        if not self.has_derived:
            return inputs, weights
        # In double precision wherever the device can: what cancels has digits left.
        wide = inputs.dtype if inputs.device.type == "mps" else torch.float64
        variables = [*inputs.to(wide).unbind(1), *weights.to(wide).unbind(0)]
        derived = (*self.derived_inputs, *self.derived_weights)
        found = [
            rounded(evaluate(one.expression, variables), period, inputs.dtype)
            for one, period in zip(derived, self.periods, strict=True)
        ]
        columns, scalars = found[: len(self.derived_inputs)], found[len(self.derived_inputs) :]
        if not torch.compiler.is_compiling() and not inputs.is_meta and is_plain((inputs, weights)):
            self._require_finite(inputs, weights, [*columns, *scalars])
        columns = [one.expand(inputs.shape[0]) for one in columns]
        if columns:
            inputs = torch.cat([inputs, torch.stack(columns, 1)], 1)
        if scalars:
            weights = torch.cat([weights, torch.stack(scalars)])
        if not (self.input_blocks or self.weight_blocks):
            return inputs, weights
        rows = [self._block(one, inputs, weights) for one in self.input_blocks]
        shared = [self._block(one, inputs[:1], weights)[0] for one in self.weight_blocks]
        return torch.cat([inputs, *rows], 1), torch.cat([weights, *shared])

    def _periods(self) -> tuple[float | None, ...]:
        """Blocks and diagonals take variables as they are."""
        first_weight = self.num_engine_inputs + self.num_weights
        derived = [*range(self.num_inputs, self.num_inputs + len(self.derived_inputs))]
        derived += range(first_weight, first_weight + len(self.derived_weights))
        blocks = [argument for block in (*self.input_blocks, *self.weight_blocks) for argument in block.arguments]
        as_they_are = [*blocks, *(diagonal.angle for diagonal in self.diagonals)]
        taken = {v for polynomial in as_they_are for variables, _ in polynomial.terms for v in variables}
        twice = 2.0 * self.phase  # exp(i phase)
        found = periods([v for v in derived if v not in taken], [*(one.angle for one in self.rotations), twice])
        return tuple(map(found.get, derived))

    def _block(self, block: Block, inputs: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """The variables (B, size) of a block, for inputs and weights without those of blocks."""
        first = self.num_engine_inputs  # number of the first weight
        return variables_of(block, block_arguments(block, inputs, weights, first))

    def _require_finite(self, inputs: torch.Tensor, weights: torch.Tensor, found: Sequence[torch.Tensor]) -> None:
        if all(map(_is_finite, found)) or not (_is_finite(inputs) and _is_finite(weights)):
            return  # where an input is at fault the engine says so
        fault = None if self.origins is None else self.origins.fault(inputs, weights)
        derived = next(
            one
            for one, value in zip((*self.derived_inputs, *self.derived_weights), found, strict=True)
            if not _is_finite(value)
        )
        raise ValueError(
            fault
            or f"{derived.angle} is not finite for some of the parameter values; keep them within its domain, and small"
            f" enough for {str(inputs.dtype)[6:]}"
        )

    def explained(self, error: ValueError, inputs: torch.Tensor, weights: torch.Tensor) -> ValueError:
        """What the engine finds wrong, in the words of the user, where it is an angle that is wrong.

        Args:
            error: Of the engine.
            inputs: Shape (B, num_engine_inputs).
            weights: Shape (num_engine_weights,).
        """
        message = str(error)
        if self.origins is None or not message.startswith(_OF_ANGLES):
            return error
        return ValueError(self.origins.fault(inputs, weights) or self.origins.in_words(message))

    def set_origins(self, variables: Mapping[Parameter, int], given: Given | None = None) -> None:
        """Tells, for errors, which parameters its inputs and weights are, and the angles as they were given."""
        inputs, weights = (tuple([one.part for one in many]) for many in (self.derived_inputs, self.derived_weights))
        object.__setattr__(self, "origins", Origins(variables, self.num_inputs, given or {}, (inputs, weights)))

    def __getstate__(self) -> dict[str, Any]:
        cached = ("engine", "text", "unshared", "whole_phase")
        return {name: value for name, value in self.__dict__.items() if name not in cached}


# How errors of the engine begin that speak of inputs, weights and angles.
_OF_ANGLES = ("angle ", "inputs: expected finite", "weights: expected finite")


def _is_finite(values: torch.Tensor) -> bool:
    return bool(torch.isfinite(values).all())


# Until they have their numbers, variables of blocks are counted from here.
FIRST_OF_BLOCKS = 1 << 30


def with_derived(program: Program, derived: Sequence[Derived], blocks: Sequence[Block] = ()) -> Program:
    """Numbers the variables as the engine does.

    So far derived ones come after inputs and weights, and some may not be used; those of blocks from `FIRST_OF_BLOCKS`.
    """
    if not derived and not blocks:
        return program
    num_inputs, num_variables = program.num_inputs, program.num_inputs + program.num_weights
    angles = [*angles_of(program), *(angle for block in blocks for angle in block.arguments)]
    used = {i for angle in angles for variables, _ in angle.terms for i in variables}
    chosen = [i for i in range(num_variables, num_variables + len(derived)) if i in used]

    def varies(index: int) -> bool:
        if index < num_variables:
            return index < num_inputs
        return any(i < num_inputs for i in variables_in(derived[index - num_variables].expression))

    inputs = [*range(num_inputs), *(i for i in chosen if varies(i))]
    weights = [*range(num_inputs, num_variables), *(i for i in chosen if not varies(i))]
    derived_inputs = tuple(derived[i - num_variables] for i in inputs[num_inputs:])
    derived_weights = tuple(derived[i - num_variables] for i in weights[program.num_weights :])
    parts: dict[bool, list[Block]] = {True: [], False: []}
    first = FIRST_OF_BLOCKS
    for block in blocks:
        by_input = any(varies(i) for angle in block.arguments for variables, _ in angle.terms for i in variables)
        parts[by_input].append(block)
        (inputs if by_input else weights).extend(range(first, first + block.size))
        first += block.size
    new_index = {index: position for position, index in enumerate([*inputs, *weights])}
    input_blocks, weight_blocks = (
        tuple(replace(one, arguments=tuple(a.relabelled(new_index) for a in one.arguments)) for one in parts[key])
        for key in (True, False)
    )
    return replace(
        program,
        rotations=tuple(replace(one, angle=one.angle.relabelled(new_index)) for one in program.rotations),
        diagonals=tuple(replace(one, angle=one.angle.relabelled(new_index)) for one in program.diagonals),
        phase=program.phase.relabelled(new_index),
        derived_inputs=derived_inputs,
        derived_weights=derived_weights,
        input_blocks=input_blocks,
        weight_blocks=weight_blocks,
    )


def angles_of(program: Program) -> Iterator[Polynomial]:
    """Its phase, and the angles of all steps that have one."""
    yield program.phase
    for rotation in program.rotations:
        yield rotation.angle
    for diagonal in program.diagonals:
        yield diagonal.angle


@lru_cache(maxsize=128)
@without_collections
def _planned(program: Program) -> tuple[Engine, Polynomial]:
    """The engine, and the phase of rotations that it does not apply."""
    stopwatch = Stopwatch()
    levels, dropped = levels_of(program.rotations, program.passes)
    stopwatch.stage(f"{len(program.rotations):,} rotations put into {len(levels):,} layers")
    arrays = _arrays(levels, program.passes, program.observable_constants, program.observable_terms)
    num_inputs, num_weights = program.num_engine_inputs, program.num_engine_weights
    halves = halves_of(levels, program.num_qubits, num_inputs) if program.passes.halved_start else None
    halved = None if halves is None else _halved_arrays(program, halves)
    engine = Engine(program.num_qubits, num_inputs, num_weights, arrays, halved)
    stopwatch.stage(f"engine made for them and {len(program.observable_terms):,} Pauli terms")
    stopwatch.stop(f"planning the simulation of {program.num_qubits} qubits, before its first value,")
    return engine, dropped


@without_collections
def _stepwise_engine(program: Program) -> Engine:
    arrays, steps = step_arrays(program.steps)
    arrays.update(_observable_arrays(program.observable_constants, program.observable_terms))
    num_inputs, num_weights = program.num_engine_inputs, program.num_engine_weights
    return Engine(program.num_qubits, num_inputs, num_weights, arrays, steps=steps)


def _halved_arrays(program: Program, halves: Halves) -> dict[str, Any]:
    """The same circuit from halves on: the arrays of each half and of what follows them."""
    terms = program.observable_terms.moved(halves.index.flips, halves.index.parities)
    return {
        "glue": halves.glue,
        "relative_cost": halves.relative_cost,
        "low": (halves.low.num_qubits, _arrays(halves.low.levels, program.passes)),
        "high": (halves.high.num_qubits, _arrays(halves.high.levels, program.passes)),
        "rest": _arrays(halves.rest, program.passes, program.observable_constants, terms),
    }


_NO_TERMS = PauliTerms.none()


def _arrays(
    levels: Sequence[Level], passes: Passes, constants: Sequence[float] = (), terms: PauliTerms = _NO_TERMS
) -> dict[str, Any]:
    """All arrays of a circuit and what is observed after it."""
    return {**engine_arrays(levels, passes), **_observable_arrays(constants, terms)}


def _observable_arrays(constants: Sequence[float], terms: PauliTerms) -> dict[str, Any]:
    return {"observable_constant": np.asarray(constants, dtype=np.float64), **grouped(terms)}


def grouped(terms: PauliTerms) -> dict[str, npt.NDArray[Any]]:
    """Terms by the bits they flip, and there the real before the imaginary ones (see src/engine/observable.hpp)."""
    group = 2 * terms.x.astype(np.int64) + terms.is_imaginary
    order = np.argsort(group, kind="stable")
    group, terms = group[order], terms.at(order)
    flips = np.unique(group // 2)
    begins = np.searchsorted(group, np.stack([2 * flips, 2 * flips + 1], axis=1).ravel())
    return {
        "flip_mask": flips.astype(np.uint32),
        "flip_term_begin": np.append(begins, len(terms)).astype(np.int32),
        "pauli_z": terms.z,
        "pauli_coefficient": terms.coefficient,
        "pauli_observable": terms.observable,
    }
