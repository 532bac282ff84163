"""A circuit as a value: all that happens to its state, and nothing about what is read from it or what computes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby
from math import pi
from typing import Any

from qiskit.circuit import Parameter

from .._core.collector import without_collections
from .._core.schema import MAX_QUBITS
from .._reading.expressions import Derived, variables_in
from .._reading.polynomials import Polynomial
from .blocks import Block
from .controlled import sweeps, taken_together
from .dense import Diagonal, Matrix, PlainStep, Step, VirtualQubits, in_order
from .effort import sweeps_of_layers
from .gf2 import Basis
from .halves import Halves, halves_of
from .layers import Layer, Rotation, layers_of
from .origins import Given, Origins
from .passes import Passes
from .periods import periods


@dataclass(frozen=True)
class Evolution:
    """What a circuit does to |0...0>: immutable, hashable, picklable.

    CX, SWAP and X gates of the circuit are folded: pushed behind all rotations, they only relabel basis states, which
    the frame keeps. Masks are Python's integers, of any width. Variables are numbered: inputs, derived inputs, those of
    input blocks, weights, derived weights, those of weight blocks.

    Attributes:
        num_qubits: Number of simulated qubits: those that gates act on.
        num_inputs: Number of inputs, which differ from sample to sample.
        num_weights: Number of weights, shared by the batch.
        rotations: In order of time.
        phase: Global phase of the circuit; in files of older releases up to a constant.
        frame: What the qubits of the circuit are in the end; those that are not simulated, and in |0>, have no mask.
            None: it comes from a file of an older release, and is not known.
        derived_inputs: Variables computed from inputs and weights; in them, inputs come first, then weights.
        derived_weights: Variables computed from weights alone, likewise.
        num_relabellings: CX, SWAP and X gates that were folded.
        input_blocks: What computes many variables at once, from inputs and others; its arguments are in the numbers
            above.
        weight_blocks: Likewise, from weights alone.
        matrices, diagonals: Steps between the rotations; their places count all three.
        passes: What the compiler does with it.
        has_derived: Whether variables are computed from others: asked in every step, and so kept.
        periods: Of the derived inputs, then of the derived weights; None: no multiple of anything is without effect.
        origins: What its angles come from, where that is known; no part of its value.
        circuit: The circuit that it was compiled from, or what builds it (`SavedCircuit`), where that is known; no part
            of its value, either.
    """

    num_qubits: int
    num_inputs: int
    num_weights: int
    rotations: tuple[Rotation, ...]
    phase: Polynomial
    frame: VirtualQubits | None = None
    derived_inputs: tuple[Derived, ...] = ()
    derived_weights: tuple[Derived, ...] = ()
    num_relabellings: int = field(default=0, compare=False)
    passes: Passes = field(default_factory=Passes)
    matrices: tuple[Matrix, ...] = ()
    diagonals: tuple[Diagonal, ...] = ()
    input_blocks: tuple[Block, ...] = ()
    weight_blocks: tuple[Block, ...] = ()
    has_derived: bool = field(init=False, compare=False, repr=False)
    periods: tuple[float | None, ...] = field(init=False, compare=False, repr=False)
    origins: Origins | None = field(default=None, init=False, compare=False, repr=False)
    circuit: Any = field(default=None, init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        parts = (self.derived_inputs, self.derived_weights, self.input_blocks, self.weight_blocks)
        object.__setattr__(self, "has_derived", any(map(len, parts)))
        object.__setattr__(self, "periods", self._periods() if self.derived_inputs or self.derived_weights else ())

    @property
    def too_wide(self) -> str | None:
        """Why state vectors do not hold it, if they do not."""
        if self.num_qubits <= MAX_QUBITS:
            return None
        all_qubits = self.num_qubits if self.frame is None else len(self.frame)
        return (
            f"circuit: expected gates on 1 to {MAX_QUBITS} qubits, got gates on {self.num_qubits} of {all_qubits}; "
            "leave out gates that nothing which is read depends on, as idle qubits do not count, or take an "
            "estimator for so many, in a module by method=qtm.methods.Primitive(estimator)"
        )

    @property
    def is_stepwise(self) -> bool:
        """Whether it holds what layers do not take, and runs step by step."""
        return bool(self.matrices or self.diagonals)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Its rotations in layers; none if it is stepwise."""
        return self._layers[0]

    @property
    def known_frame(self) -> VirtualQubits:
        """What the qubits of the circuit are in the end.

        Raises:
            ValueError: it is not known.
        """
        if self.frame is None:
            raise ValueError(
                "model: its file is of a release that kept no more than expectation values need; build it from its "
                "circuit"
            )
        return self.frame

    @property
    def whole_phase(self) -> Polynomial:
        """The global phase, with that of rotations that act on |0...0> as nothing but a phase."""
        return Polynomial.sum([self.phase, self._layers[1]])

    @cached_property
    @without_collections
    def _layers(self) -> tuple[tuple[Layer, ...], Polynomial]:
        return layers_of(() if self.is_stepwise else self.rotations, self.passes)

    @cached_property
    @without_collections
    def halves(self) -> Halves | None:
        """The halves that its first layers run on, where that is faster; None: all qubits."""
        return halves_of(self.layers, self.num_qubits, self.num_all_inputs) if self.passes.halved_start else None

    @property
    def dense_bytes(self) -> int:
        """What its matrices and diagonals take."""
        size = sum(len(matrix.entries) for matrix in self.matrices)
        return size + sum(len(diagonal.energies) for diagonal in self.diagonals)

    @property
    def steps(self) -> list[PlainStep]:
        """Rotations, matrices and diagonals in order of time."""
        return in_order(self.rotations, [*self.matrices, *self.diagonals])

    @property
    def taken_steps(self) -> tuple[Step, ...] | None:
        """The steps that it runs by, taken together where that pays; None: layers are faster."""
        return self._taken[0]

    @property
    def phase_of_steps(self) -> Polynomial:
        """The global phase that these leave out."""
        return self.phase + Polynomial.constant(self._taken[1] * pi / 2) if self._taken[1] else self.phase

    @cached_property
    @without_collections
    def _taken(self) -> tuple[tuple[Step, ...] | None, int]:
        """The steps, and the power of i that they leave out."""
        apart = tuple(self.steps) if self.is_stepwise else None
        if not self.passes.fusion or not (self.is_stepwise or _may_be_taken_together(self)):
            return apart, 0
        together, power = taken_together(self.steps)
        swept = sweeps(together, self.num_qubits)
        most = sweeps(apart, self.num_qubits) if apart is not None else sweeps_of_layers(self.layers)
        is_faster = swept < most and (apart is not None or swept < self.layers_in_sweeps)
        return (tuple(together), power) if is_faster else (apart, 0)

    @property
    def layers_in_sweeps(self) -> float:
        """Passes of steps over the state that take as long as its layers, from halves where that is faster."""
        return self.share_of_joined * sweeps_of_layers(self.layers)

    @property
    def share_of_joined(self) -> float:
        """Time of its layers where they start from halves that are joined, to that without halves."""
        return 1.0 if self.halves is None else min(1.0, self.halves.relative_cost)

    @cached_property
    def unshared(self) -> Evolution:
        """The same with every variable as an input, so that weights may differ from sample to sample."""
        num_variables = self.num_all_inputs + self.num_all_weights
        return replace(self.underived, num_inputs=num_variables, num_weights=0)

    @cached_property
    def underived(self) -> Evolution:
        """The same with every variable that is computed as one that is given."""
        if not self.has_derived:
            return self
        return replace(
            self,
            num_inputs=self.num_all_inputs,
            num_weights=self.num_all_weights,
            derived_inputs=(),
            derived_weights=(),
            input_blocks=(),
            weight_blocks=(),
        )

    @property
    def num_all_inputs(self) -> int:
        """Number of inputs, the derived ones and those of blocks included."""
        return self.num_inputs + len(self.derived_inputs) + sum(block.size for block in self.input_blocks)

    @property
    def num_all_weights(self) -> int:
        """Number of weights, likewise."""
        return self.num_weights + len(self.derived_weights) + sum(block.size for block in self.weight_blocks)

    def _periods(self) -> tuple[float | None, ...]:
        """Blocks and diagonals take variables as they are."""
        first_weight = self.num_all_inputs + self.num_weights
        derived = [*range(self.num_inputs, self.num_inputs + len(self.derived_inputs))]
        derived += range(first_weight, first_weight + len(self.derived_weights))
        blocks = [argument for block in (*self.input_blocks, *self.weight_blocks) for argument in block.arguments]
        as_they_are = [*blocks, *(diagonal.angle for diagonal in self.diagonals)]
        taken = {v for polynomial in as_they_are for variables, _ in polynomial.terms for v in variables}
        twice = 2.0 * self.phase  # exp(i phase)
        angles = [*(rotation.angle for rotation in self.rotations), twice]
        period_of = periods([v for v in derived if v not in taken], angles)
        return tuple(map(period_of.get, derived))

    def framed(self, frame: VirtualQubits) -> Evolution:
        """The same in another frame."""
        framed = replace(self, frame=frame)
        object.__setattr__(framed, "origins", self.origins)
        return framed

    def on(self, qubits: Sequence[int]) -> Evolution:
        """The same, of some qubits of the circuit: the others are in |0>, and no part of its states."""
        frame = self.known_frame
        if len(qubits) == len(frame):
            return self
        parts = [tuple([masks[qubit] for qubit in qubits]) for masks in (frame.flips, frame.signs, frame.negatives)]
        return self.framed(VirtualQubits(*parts))  # type: ignore[arg-type]

    @property
    def live(self) -> Evolution:
        """The same, of the qubits that are simulated, one at least."""
        return self.on([qubit for qubit, flip in enumerate(self.known_frame.flips) if flip] or [0])

    def set_circuit(self, circuit: Any) -> None:
        """Tells, for methods that run it elsewhere, the circuit: nobody changes it later."""
        object.__setattr__(self, "circuit", circuit)

    def set_origins(self, variables: Mapping[Parameter, int], given: Given | None = None) -> None:
        """Tells, for errors, which parameters its inputs and weights are, and the angles as they were given."""
        inputs = tuple([derived.part for derived in self.derived_inputs])
        weights = tuple([derived.part for derived in self.derived_weights])
        object.__setattr__(self, "origins", Origins(variables, self.num_inputs, given or {}, (inputs, weights)))

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in _MADE_AGAIN}


_FIRST_ROTATIONS = 1 << 10


def _may_be_taken_together(evolution: Evolution) -> bool:
    """Whether it is worth looking: layers are not full of rotations, and the first of many are fast."""
    rotations, layers = evolution.rotations, evolution.layers
    if _least_sweeps(rotations, evolution.num_qubits) > sweeps_of_layers(layers):
        return False
    first = rotations[:_FIRST_ROTATIONS]
    share = sum(map(_varies, first)) / max(sum(map(_varies, rotations)), 1)
    return len(first) == len(rotations) or sweeps(taken_together(first)[0]) < share * sweeps_of_layers(layers)


def _least_sweeps(rotations: Sequence[Rotation], num_qubits: int) -> float:
    """About as few passes as they can take: words of the same flips in a row leave each other parts of the state.

    The first ones touch no more than is reached from |0...0>, as in `parts`.
    """
    reached, count = Basis(()), 0.0
    for flip, words in groupby(rotation.x for rotation in rotations if rotation.x and _varies(rotation)):
        reached.add(flip)
        count += 0.5 ** (num_qubits - len(reached)) / len(list(words))
    return count


def _varies(rotation: Rotation) -> bool:
    return any(variables for variables, _ in rotation.angle.terms)


# Not worth pickling; the circuit, which may hold what cannot be, is pickled by whoever owns it.
_MADE_AGAIN = ("unshared", "underived", "_taken", "_layers", "halves", "_sector", "circuit")

# Until they have their numbers, variables of blocks are counted from here.
FIRST_OF_BLOCKS = 1 << 30


def with_derived(evolution: Evolution, derived: Sequence[Derived], blocks: Sequence[Block] = ()) -> Evolution:
    """Numbers the variables for good.

    So far derived ones come after inputs and weights, and some may not be used; those of blocks from `FIRST_OF_BLOCKS`.
    """
    if not derived and not blocks:
        return evolution
    num_inputs, num_variables = evolution.num_inputs, evolution.num_inputs + evolution.num_weights
    angles = [*angles_of(evolution), *(angle for block in blocks for angle in block.arguments)]
    used = {i for angle in angles for variables, _ in angle.terms for i in variables}
    chosen = [i for i in range(num_variables, num_variables + len(derived)) if i in used]

    def varies(index: int) -> bool:
        if index < num_variables:
            return index < num_inputs
        return any(i < num_inputs for i in variables_in(derived[index - num_variables].expression))

    inputs = [*range(num_inputs), *(i for i in chosen if varies(i))]
    weights = [*range(num_inputs, num_variables), *(i for i in chosen if not varies(i))]
    derived_inputs = tuple(derived[i - num_variables] for i in inputs[num_inputs:])
    derived_weights = tuple(derived[i - num_variables] for i in weights[evolution.num_weights :])
    parts: dict[bool, list[Block]] = {True: [], False: []}
    first = FIRST_OF_BLOCKS
    for block in blocks:
        by_input = any(varies(i) for angle in block.arguments for variables, _ in angle.terms for i in variables)
        parts[by_input].append(block)
        (inputs if by_input else weights).extend(range(first, first + block.size))
        first += block.size
    new_index = {index: position for position, index in enumerate([*inputs, *weights])}
    input_blocks, weight_blocks = (
        tuple(replace(block, arguments=tuple(a.relabelled(new_index) for a in block.arguments)) for block in parts[key])
        for key in (True, False)
    )
    return replace(
        evolution,
        rotations=tuple(replace(step, angle=step.angle.relabelled(new_index)) for step in evolution.rotations),
        diagonals=tuple(replace(step, angle=step.angle.relabelled(new_index)) for step in evolution.diagonals),
        phase=evolution.phase.relabelled(new_index),
        derived_inputs=derived_inputs,
        derived_weights=derived_weights,
        input_blocks=input_blocks,
        weight_blocks=weight_blocks,
    )


def angles_of(evolution: Evolution) -> Iterator[Polynomial]:
    """Its phase, and the angles of all steps that have one."""
    yield evolution.phase
    for rotation in evolution.rotations:
        yield rotation.angle
    for diagonal in evolution.diagonals:
        yield diagonal.angle
