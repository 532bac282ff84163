"""Probabilities of what measurements find, from the states of the native engine."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from .._engine import memory_budget
from .._program.evolution import Evolution
from .._program.program import Program
from .columns import explained, with_derived_columns
from .engines import engine_of
from .threads import engine_threads

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Outcomes:
    """What measurements of some qubits can find: numbers of as many bits as measured qubits are simulated.

    All others are in |0>.

    Attributes:
        qubits: The measured qubits that are simulated, the lowest first: bit i of an outcome is that of qubit i here.
        places: Where each of them is among all simulated qubits.
        num_simulated: How many those are.
    """

    qubits: tuple[int, ...]
    places: tuple[int, ...]
    num_simulated: int

    @staticmethod
    def of(evolution: Evolution, measured: Collection[int]) -> Outcomes:
        """Those of the given qubits of a circuit."""
        live = [qubit for qubit, flip in enumerate(evolution.known_frame.flips) if flip]
        chosen = [(qubit, place) for place, qubit in enumerate(live) if qubit in measured]
        return Outcomes(tuple(q for q, _ in chosen), tuple(place for _, place in chosen), evolution.num_qubits)

    @property
    def count(self) -> int:
        """How many there are."""
        return 1 << len(self.qubits)

    def summed(self, probabilities: Array) -> Array:
        """For outcomes, shape (..., count), from what belongs to each amplitude: shape (..., 2^num_simulated)."""
        if len(self.places) == self.num_simulated:
            return probabilities
        lead = probabilities.ndim - 1
        tensor = probabilities.reshape(*probabilities.shape[:-1], *[2] * self.num_simulated)
        others = set(range(self.num_simulated)) - set(self.places)
        # The lowest qubit is the last axis.
        summed: Array = tensor.sum(axis=tuple(lead + self.num_simulated - 1 - place for place in others))
        return summed.reshape(*probabilities.shape[:-1], self.count)


def amplitudes(program: Program, inputs: torch.Tensor, weights: torch.Tensor, num_threads: int = 0) -> Array:
    """Real and imaginary parts of all amplitudes of the simulated qubits, shape (B, 2^k, 2), by one native call.

    Args:
        program: One that reads the state.
        inputs: float64, shape (B, num_inputs).
        weights: float64, shape (num_weights,).
        num_threads: 0: as ``torch.get_num_threads()``.

    Raises:
        ValueError: a value is not finite, or the states are larger than the memory budget.
    """
    evolution = program.evolution
    require_room(evolution.num_qubits, len(inputs))
    all_inputs, all_weights = with_derived_columns(evolution, inputs, weights)
    try:
        numbers = engine_of(program).values(all_inputs.numpy(), all_weights.numpy(), engine_threads(num_threads))
    except ValueError as error:
        raise explained(evolution, error, all_inputs, all_weights) from None
    return numbers.reshape(len(inputs), -1, 2)


def probabilities(
    program: Program, outcomes: Outcomes, inputs: torch.Tensor, weights: torch.Tensor, num_threads: int = 0
) -> Array:
    """Those of each outcome, shape (B, count); arguments and errors are those of `amplitudes`."""
    numbers = amplitudes(program, inputs, weights, num_threads)
    return outcomes.summed(np.einsum("bij,bij->bi", numbers, numbers))


def require_room(num_qubits: int, num_states: int) -> None:
    """Checks that states in double precision fit the memory budget.

    Raises:
        ValueError: they do not; the message says how much they take.
    """
    size, budget = 16 * num_states << num_qubits, memory_budget()
    if size > budget:
        raise ValueError(
            f"states of {num_qubits} qubits take {size / 2**30:.3g} GiB in a batch of {num_states}, more than the "
            f"memory budget of {budget / 2**30:.3g} GiB; use smaller batches or fewer qubits"
        )
