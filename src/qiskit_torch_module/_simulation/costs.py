"""What methods are expected to take, from counts that need no planning.

A call takes a fixed time, one for each step (a rotation, or a column of a matrix), and one for each amplitude that a
step touches. The numbers are those of two cores of a Xeon with AVX-512, fitted by ``python benchmarks costs``; methods
are told apart by them, and no more.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from .._program.evolution import Evolution
from .method import Cost, Task


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

    def of(self, evolution: Evolution, task: Task) -> Cost:
        """The cost of a task."""
        steps = len(evolution.rotations) + len(evolution.diagonals) + sum(one.columns for one in evolution.matrices)
        amplitudes = task.batch_size * 2.0**evolution.num_qubits
        wide = 2 if task.dtype == torch.float64 else 1
        # On the way back over ket and bra; PyTorch does twice as much again for every further order.
        sweeps = (1 / 3, 1.0, 3.0, 9.0)[min(task.order, 3)]
        threads = max(1, min(task.num_threads, task.batch_size))
        seconds = self.call + steps * (self.step + amplitudes * self.amplitude * wide * sweeps / threads)
        kept = steps if self.kept is None and task.order else self.kept or 2
        return Cost(seconds, 8.0 * wide * amplitudes * kept)


NATIVE = Rates(call=3e-5, step=2e-8, amplitude=6e-11, kept=3)
PYTORCH = Rates(call=5e-4, step=8e-5, amplitude=1e-8, kept=None)
