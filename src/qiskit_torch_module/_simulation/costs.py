"""What a call of each method is expected to take, before anything is planned: ``method="auto"`` goes by it.

A call takes a fixed time, one for each step (a rotation, or a matrix), and one for each amplitude that it
goes through. The rates were measured on one core (Zen 4 with AVX-512) and fitted by ``python benchmarks costs``. What a
plan takes is counted in `work`; the engine has rates of its own, for ways to run one.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from .._core.collector import without_collections
from .._engine import memory_budget
from .._program.effort import counts_of_flips
from .._program.evolution import Evolution
from .._program.output import Output
from .._program.program import Program
from .method import Cost, Refusal, Task
from .room import states_beyond


@dataclass(frozen=True)
class Rates:
    """Seconds of a call with gradients in float32 on one thread.

    Attributes:
        call: Of a call.
        step: Of each step.
        amplitude: Of each amplitude that is gone through.
    """

    call: float
    step: float
    amplitude: float

    def seconds(self, steps: int, amplitudes: float, order: int = 1) -> float:
        """The time of a call, of so many steps that go through so many amplitudes all together.

        Args:
            steps: Of the circuit.
            amplitudes: Of all samples.
            order: Of derivatives: on the way back over ket and bra, and twice as much again for every further one.
        """
        order = min(order, 3)
        there_and_back = steps * self.step + amplitudes * self.amplitude
        return (0.1, 1.0, 3.0, 9.0)[order] * self.call + (1 / 3, 1.0, 3.0, 9.0)[order] * there_and_back


NATIVE = Rates(call=7.1e-5, step=9.7e-8, amplitude=4.0e-10)
PYTORCH = Rates(call=2.5e-4, step=1.3e-4, amplitude=1.0e-8)
# By operations and bytes of an H100, and not measured: steps take as long as their launches at least.
CUDA = Rates(call=3.0e-5, step=1.0e-6, amplitude=1.0e-12)


def num_steps(evolution: Evolution) -> int:
    """Rotations, diagonals and matrices."""
    return len(evolution.rotations) + len(evolution.diagonals) + len(evolution.matrices)


def _width(task: Task) -> int:
    """Of a number, in those of single precision."""
    return 2 if task.dtype == torch.float64 else 1


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
    return task.batch_size * numbers * 8 * _width(task)


def refused_states(program: Program, task: Task) -> Refusal | None:
    """Why states are not read, if they or what is read from them exceed the memory budget."""
    size, budget = state_bytes(program, task), memory_budget()
    if size <= budget:
        return None
    num_qubits = num_read_qubits(program)
    is_larger = isinstance(program.output, Output) and program.output.workspace(num_qubits) > 1 << num_qubits
    read = f", and reading {program.output} from them," if is_larger else ""
    return Refusal(states_beyond(budget, size, num_qubits, task.batch_size, read))


# States that leave the second cache of a core take longer.
_MOST_CACHED, _FROM_MEMORY = 1 << 20, 1.4
# From so many amplitudes on, a further thread pays off; from so many of a state on, where threads share it.
_LEAST_OF_THREAD, _LEAST_OF_TEAM = 6e4, 1 << 15


def by_sweeps(program: Program, task: Task) -> tuple[int, float]:
    """Steps, and amplitudes that a thread of the engine goes through, by the sweeps that the compiler expects."""
    simulated = program.simulated
    state = 2.0**simulated.evolution.num_qubits
    amplitudes = simulated.effort(task.batch_size, in_series=task.order > 1) * _width(task)
    if 8 * _width(task) * state > _MOST_CACHED:
        amplitudes *= _FROM_MEMORY
    shares = task.batch_size if task.batch_size >= task.num_threads else max(task.batch_size, state / _LEAST_OF_TEAM)
    threads = max(1.0, min(task.num_threads, shares, amplitudes / _LEAST_OF_THREAD))
    return num_steps(program.evolution), amplitudes / threads


def native_seconds(program: Program, task: Task) -> float:
    """The time of the engine."""
    return NATIVE.seconds(*by_sweeps(program, task), task.order)


@without_collections
def native_cost(program: Program, task: Task) -> Cost:
    """That of the engine, which may read expectation values and first derivatives from halves of the qubits."""
    evolution, unjoined = program.evolution, program.unjoined if task.order < 2 else None
    numbers, last_kets = 2.0**evolution.num_qubits, 0.0
    if unjoined is not None and unjoined.halves.relative_cost < 1:
        numbers = 2.0**unjoined.halves.low.num_qubits + 2.0**unjoined.halves.high.num_qubits
    else:
        last_kets = _bytes_of_last_kets(evolution, task)
    return Cost(native_seconds(program, task), _bytes_in_tiles(numbers, last_kets, task))


# Of a pass over the states of a batch, what a column of a matrix takes: one product multiplies all of them.
_COLUMN = 0.4


def by_steps(program: Program, task: Task) -> tuple[int, float]:
    """Likewise where every step goes through the states of a batch, and every flip that terms have when it is read."""
    output, evolution = program.expectation_values, program.evolution
    steps = num_steps(evolution) + (0 if output is None else len(counts_of_flips(output.terms)))
    passes = steps + _COLUMN * sum(matrix.columns for matrix in evolution.matrices)
    amplitudes = passes * task.batch_size * 2.0**evolution.num_qubits * _width(task)
    return steps, amplitudes / max(1, min(task.num_threads, task.batch_size))


def plain_cost(program: Program, task: Task) -> Cost:
    """That of plain PyTorch, which keeps the states of all steps for the way back."""
    evolution = program.evolution
    kept = max(num_steps(evolution), 2) if task.order else 2
    size = 8.0 * _width(task) * task.batch_size * 2.0**evolution.num_qubits
    return Cost(PYTORCH.seconds(*by_steps(program, task), task.order), size * kept)


# A tile has a vector of samples where their states stay in a cache, else one. Each has some states in the scratch of a
# thread, and on a tape while that is small (src/engine/tuning.hpp).
_VECTOR, _MOST_OF_TILE, _MOST_OF_TAPE = 64, 1 << 20, 1 << 24
_STATES_OF_TILE, _STATES_OF_VALUES, _STATES_ON_TAPE = 5.0, 2.0, 3.0
# Large states are undone, where those of all layers take more than the caches. The last ones are then kept for the way
# back while those of a batch take no more than a share of the memory budget.
_LEAST_LARGE_STATE, _MOST_OF_LAYERS, _SHARE_OF_LAST_KETS = 1 << 19, 5e6, 1 / 8


def _bytes_of_last_kets(evolution: Evolution, task: Task) -> float:
    """Those that a call with gradients leaves for the way back in place of a small tape; 0: there are none."""
    state = 8.0 * _width(task) * 2.0**evolution.num_qubits
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
    real = 4 * _width(task)
    state = 2.0 * real * amplitudes * min(max(task.order, 1), 3)  # with its derivatives along a direction
    samples = _VECTOR // real if task.batch_size > 1 and state * _VECTOR // real <= _MOST_OF_TILE else 1
    threads = max(1, min(task.num_threads, task.batch_size))
    scratch = threads * samples * state * (_STATES_OF_TILE if task.order else _STATES_OF_VALUES)
    tape = task.batch_size * state * _STATES_ON_TAPE if task.order == 1 else 0.0
    return scratch + (last_kets or min(tape, _MOST_OF_TAPE))
