"""Costs of a simulation: estimated before it is planned, to choose a method; counted after, to say what it does.

A call takes a fixed time, one for each step (a rotation, or a column of a matrix), and one for each amplitude that a
step touches. The rates are those of a core of a Xeon with AVX-512, fitted by ``python benchmarks costs``; they
serve only to choose between methods. Operations and bytes are those of a plan; the engine has rates of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from .._engine import memory_budget
from .._program.controlled import parts, sweeps
from .._program.dense import Matrix, Step
from .._program.evolution import Evolution
from .._program.layers import Rotation
from .._program.output import Output
from .._program.program import Program
from .._program.unjoined import Unjoined
from .._reading.paulis import PauliTerms, parity
from .method import Cost, Refusal, Task
from .room import gibibytes


@dataclass(frozen=True)
class Rates:
    """Seconds of a call with gradients in float32 on one thread.

    Attributes:
        call: Of a call.
        step: Of each step.
        amplitude: Of each amplitude of each sample, in each step.
        kept: States that are kept for the way back: of every step, or a few.
    """

    call: float
    step: float
    amplitude: float
    kept: int | None

    def of(self, evolution: Evolution, task: Task, share: float = 1.0) -> Cost:
        """The cost of a task, where it takes a share of the work on all amplitudes; memory for a batch at once."""
        steps, amplitudes = num_steps(evolution), task.batch_size * 2.0**evolution.num_qubits
        wide = 2 if task.dtype == torch.float64 else 1
        # On the way back over ket and bra; PyTorch does twice as much again for every further order.
        sweeps = (1 / 3, 1.0, 3.0, 9.0)[min(task.order, 3)]
        threads = max(1, min(task.num_threads, task.batch_size))
        kept = steps if self.kept is None and task.order else self.kept or 2
        seconds = self.seconds(steps, share * amplitudes * wide * sweeps / threads)
        return Cost(seconds, 8.0 * wide * amplitudes * kept)

    def seconds(self, steps: int, amplitudes: float) -> float:
        """The time of a call, of so many steps over so many amplitudes each."""
        return self.call + steps * (self.step + amplitudes * self.amplitude)


def num_steps(evolution: Evolution) -> int:
    """Rotations, diagonals, and columns of matrices."""
    return len(evolution.rotations) + len(evolution.diagonals) + sum(matrix.columns for matrix in evolution.matrices)


def num_read_qubits(program: Program) -> int:
    """Qubits of the states that outputs read: all of the circuit, where they are known."""
    frame = program.evolution.frame
    return program.evolution.num_qubits if frame is None else len(frame)


# More than any machine has, and few enough for a float.
_MOST_NUMBERS = 1 << 900


def state_bytes(program: Program, task: Task) -> float:
    """Bytes of the states of a batch and of what is read from them; none for expectation values."""
    if not isinstance(program.output, Output):
        return 0.0
    num_qubits = num_read_qubits(program)
    numbers = float(min((1 << num_qubits) + int(program.output.workspace(num_qubits)), _MOST_NUMBERS))
    return task.batch_size * numbers * (16 if task.dtype == torch.float64 else 8)


def refused_states(program: Program, task: Task) -> Refusal | None:
    """Why states are not read, if they or what is read from them exceed the memory budget."""
    size, budget = state_bytes(program, task), memory_budget()
    if size <= budget:
        return None
    num_qubits = num_read_qubits(program)
    is_larger = isinstance(program.output, Output) and program.output.workspace(num_qubits) > 1 << num_qubits
    read = f", and reading {program.output} from them," if is_larger else ""
    return Refusal(
        f"states of {num_qubits} qubits{read} take {gibibytes(size)} in a batch of {task.batch_size}, "
        f"more than the memory budget of {gibibytes(budget)}; use smaller batches or fewer qubits"
    )


NATIVE = Rates(call=4.7e-5, step=8.4e-8, amplitude=2.3e-10, kept=3)


def native_cost(program: Program, task: Task) -> Cost:
    """That of the engine, which may read expectation values and first derivatives from halves of the qubits."""
    evolution, unjoined = program.evolution, program.unjoined if task.order < 2 else None
    share, numbers = 1.0, 2.0**evolution.num_qubits
    if unjoined is not None and unjoined.halves.relative_cost < 1:
        halves = unjoined.halves
        share, numbers = halves.relative_cost, 2.0**halves.low.num_qubits + 2.0**halves.high.num_qubits
        last_kets = 0.0
    else:
        last_kets = _bytes_of_last_kets(evolution, task)
    return Cost(NATIVE.of(evolution, task, share).seconds, _bytes_in_tiles(numbers, last_kets, task))


# A tile has a vector of samples where their states stay in a cache, else one. Each has some states in the scratch of a
# thread, and on a tape while that is small (src/engine/tuning.hpp).
_VECTOR, _MOST_OF_TILE, _MOST_OF_TAPE = 64, 1 << 20, 1 << 24
_STATES_OF_TILE, _STATES_OF_VALUES, _STATES_ON_TAPE = 5.0, 2.0, 3.0
# Large states are undone, where those of all layers take more than the caches. The last ones are then kept for the way
# back while those of a batch take no more than a share of the memory budget.
_LEAST_LARGE_STATE, _MOST_OF_LAYERS, _SHARE_OF_LAST_KETS = 1 << 19, 5e6, 1 / 8


def _bytes_of_last_kets(evolution: Evolution, task: Task) -> float:
    """Those that a call with gradients leaves for the way back in place of a small tape; 0: there are none."""
    state = 2.0 ** (evolution.num_qubits + (4 if task.dtype == torch.float64 else 3))
    if task.order != 1 or state < _LEAST_LARGE_STATE:
        return 0.0
    size = task.batch_size * state
    if evolution.taken_steps is None:
        layers = evolution.layers if evolution.halves is None else evolution.halves.rest
        is_undone = state * len(layers) > _MOST_OF_LAYERS
    else:
        is_undone = True
    return size if is_undone and size <= _SHARE_OF_LAST_KETS * memory_budget() else 0.0


def _bytes_in_tiles(amplitudes: float, last_kets: float, task: Task) -> float:
    """Memory of states of so many amplitudes as the engine holds them, roughly; `explain` asks the engine itself.

    A thread has scratch for one tile and takes one tile after the other: a batch matters by its tape alone.
    """
    real = 8 if task.dtype == torch.float64 else 4
    state = 2.0 * real * amplitudes * min(max(task.order, 1), 3)  # with its derivatives along a direction
    samples = _VECTOR // real if task.batch_size > 1 and state * _VECTOR // real <= _MOST_OF_TILE else 1
    threads = max(1, min(task.num_threads, task.batch_size))
    scratch = threads * samples * state * (_STATES_OF_TILE if task.order else _STATES_OF_VALUES)
    tape = task.batch_size * state * _STATES_ON_TAPE if task.order == 1 else 0.0
    return scratch + (last_kets or min(tape, _MOST_OF_TAPE))


# By operations and bytes of an H100, and not measured: steps take as long as their launches at least.
CUDA = Rates(call=3.0e-5, step=1.0e-6, amplitude=1.0e-12, kept=3)
PYTORCH = Rates(call=4.2e-4, step=1.4e-4, amplitude=1.8e-8, kept=None)


@dataclass(frozen=True)
class Work:
    """Of one sample: real floating-point operations and bytes of state read and written, as the sweeps are counted.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> work = qtm.explain(circuit, x).gradients
        >>> work.flops > 0, work.bytes > 0
        (True, True)
    """

    flops: float
    bytes: float


# Real operations on an amplitude: a complex product, or a rotation by cosine and sine; one by its tangent; moments X
# and Y of a run, or the one of a step. And a product of amplitudes of two halves, added up.
_PRODUCT, _ROTATION, _MOMENTS, _MOMENT, _JOINED = 6, 4, 8, 4, 8


def work_of_layers(
    num_qubits: int,
    runs: Sequence[int],
    sweeps: Sequence[int],
    products: Sequence[int],
    absorbed: int,
    amplitude: int,
    shared_layers: int,
    batch_size: int,
    branches: int | None,
) -> tuple[Work, Work]:
    """Operations and bytes as written in src/engine; bytes without a cache. `products`: of the phase before a layer.

    What halves take by themselves, which are small, is left out.
    """
    forward = backward = read = kept = 0.0
    skipped = sweeps.count(0) if branches else 0
    if branches:
        forward, backward, read, kept = _JOINED * branches, 2 * _JOINED * branches, 1, 2
    for layer, (count, passes, before) in enumerate(zip(runs, sweeps, products, strict=True)):
        if layer < skipped:
            continue
        share = 1 / batch_size if layer < shared_layers else 1.0
        phase = _PRODUCT * before
        if absorbed and layer + 1 == len(runs):
            forward += phase + _MOMENTS / 2 * absorbed
            backward += phase + _ROTATION * absorbed
            read, kept = read + 2 * passes, kept + 2 * passes
            continue
        applied = phase + _ROTATION * count if layer > 0 else 0
        forward += share * applied
        backward += share * (applied + _MOMENTS * count)
        read, kept = read + share * 2 * passes, kept + share * (3 * passes if layer > 0 else 2)
    size = float(2**num_qubits)
    return Work(forward * size, read * amplitude * size), Work(backward * size, kept * amplitude * size)


def work_of_halves(unjoined: Unjoined, amplitude: int) -> tuple[Work, Work]:
    """As above, where the halves are never joined; what a batch shares is counted for every sample."""
    forward = backward = read = kept = 0.0
    for half in (unjoined.halves.low, unjoined.halves.high):
        size = 2.0**half.num_qubits
        for layer in half.layers[1:]:
            applied = _PRODUCT + _ROTATION * len(layer.runs)
            forward += size * applied
            backward += size * (applied + _MOMENTS * len(layer.runs))
        read += 2 * size * len(half.layers)
        kept += 3 * size * len(half.layers)
    sizes = [2.0**half.num_qubits for half in (unjoined.halves.low, unjoined.halves.high)]
    branches = 2.0**unjoined.halves.glue
    for gram in unjoined.grams:
        near, far = sizes[gram.half], sizes[1 - gram.half]
        forward += _JOINED * (branches / 2 * near + branches * far + gram.num_flips * far)
        backward += _JOINED * (branches * 1.5 * far + branches * near + 2 * gram.num_flips * far)
        read += near + (2 + gram.num_flips) * far
        kept += near + (4 + gram.num_flips) * far
    return Work(forward, read * amplitude), Work(backward, kept * amplitude)


def work_of_steps(num_qubits: int, steps: Sequence[Step], amplitude: int) -> tuple[Work, Work]:
    """As above: a step passes over its part of the state, on the way back over ket and bra, from the last ket on."""
    forward = backward = 0.0
    for step, part in zip(steps, parts(steps, num_qubits), strict=True):
        product = 8 * step.columns if isinstance(step, Matrix) else _PRODUCT
        undone = _ROTATION if isinstance(step, Rotation) else product
        forward += part * product
        backward += part * (2 * undone + (0 if isinstance(step, Matrix) else _MOMENT))
    size = float(2**num_qubits)
    passes = 2 * amplitude * sweeps(steps, num_qubits) * size
    return Work(forward * size, passes), Work(backward * size, 2 * passes)


# Terms that go through the state together; real operations on an amplitude: a product of two, added up; its sign and
# a sum; a number times an amplitude, added to the bra.
_AT_ONCE, _OVERLAP, _SIGNED, _SEEDED = 32, 3, 2, 4


def work_of_terms(num_qubits: int, terms: PauliTerms, amplitude: int) -> tuple[Work, Work]:
    """What reading Pauli terms from the last state, and starting the way back with them, take; nothing is absorbed."""
    read = seeded = 0.0
    few = passes = 0
    kinds = np.stack([terms.x, parity(terms.x & terms.z)])
    _, counts = np.unique(kinds, axis=1, return_counts=True)
    for count in counts.tolist():
        if 2 * count > num_qubits:  # by a transform
            read += _OVERLAP + num_qubits
            seeded += _SEEDED + num_qubits
            passes += 1
        else:  # one of each pair of amplitudes
            read += count * (_OVERLAP + _SIGNED) / 2
            seeded += count * _SEEDED
            few += count
    size = float(2**num_qubits)
    passes += -(-few // _AT_ONCE)
    return Work(read * size, 2 * amplitude * passes * size), Work(seeded * size, 3 * amplitude * passes * size)
