"""Probabilities of what measurements find, from the states of the native engine."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch

from .._program.evolution import Evolution
from .._program.program import Program
from .columns import explained, with_derived_columns
from .engines import engine_of
from .room import require_states
from .threads import engine_threads

Array = npt.NDArray[np.float64]

# What a way forward along a direction takes, to a pass back.
_WAY_OF_DIRECTION = 1.5
# Numbers that are held at once: 32 MiB.
_MOST_NUMBERS = 1 << 22


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

    @cached_property
    def of_amplitudes(self) -> npt.NDArray[np.int64]:
        """The outcome that each amplitude belongs to, shape (2^num_simulated,)."""
        indices = np.arange(1 << self.num_simulated)
        found = np.zeros_like(indices)
        for bit, place in enumerate(self.places):
            found |= (indices >> place & 1) << bit
        return found

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
    require_states(evolution.num_qubits, len(inputs))
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


def slopes(
    program: Program, outcomes: Outcomes, inputs: torch.Tensor, columns: Sequence[int], num_threads: int = 0
) -> Array:
    """Derivatives of the probability of each outcome, shape (B, count, P), with respect to P inputs.

    A pass takes one outcome back through the circuit, for all inputs; all passes share one way forward. Where there are
    fewer inputs than outcomes, each is a direction, along which all outcomes move at once.

    Args:
        program: One that reads the state, without weights.
        outcomes: Those of its qubits.
        inputs: float64, shape (B, num_inputs).
        columns: The P inputs.
        num_threads: 0: as ``torch.get_num_threads()``.

    Raises:
        ValueError: as `amplitudes`.
    """
    found = np.empty((len(inputs), outcomes.count, len(columns)))
    if not found.size:
        return found
    rows = max(1, _MOST_NUMBERS // max(2 << outcomes.num_simulated, len(columns) * inputs.shape[1]))
    for first in range(0, len(inputs), rows):
        part = slice(first, first + rows)
        found[part] = _slopes(program, outcomes, inputs[part], columns, num_threads)
    return found


def _slopes(
    program: Program, outcomes: Outcomes, inputs: torch.Tensor, columns: Sequence[int], num_threads: int
) -> Array:
    evolution = program.evolution
    require_states(evolution.num_qubits, len(inputs))
    at = inputs.detach().requires_grad_(evolution.has_derived)
    extended, _ = with_derived_columns(evolution, at, at.new_empty(0))
    tangents = _tangents(extended, at, columns)
    by_directions = _WAY_OF_DIRECTION * len(columns) < outcomes.count
    compute = _along if by_directions else _back
    try:
        return compute(program, outcomes, extended.detach().numpy(), tangents, engine_threads(num_threads))
    except ValueError as error:
        raise explained(evolution, error, extended.detach(), at.new_empty(0)) from None


def _tangents(extended: torch.Tensor, at: torch.Tensor, columns: Sequence[int]) -> Array:
    """How all inputs of the engine move with each of P inputs, shape (P, B, all inputs)."""
    tangents = torch.zeros(len(columns), *extended.shape, dtype=torch.float64)
    tangents[torch.arange(len(columns)), :, torch.tensor(columns)] = 1.0
    for derived in range(at.shape[1], extended.shape[1]):
        (slope,) = torch.autograd.grad(extended[:, derived].sum(), at, retain_graph=True)
        tangents[:, :, derived] = slope[:, list(columns)].T
    return tangents.numpy()


def _along(program: Program, outcomes: Outcomes, inputs: Array, tangents: Array, threads: int) -> Array:
    """Along each direction, whose copies of the samples go side by side."""
    engine, batch, width = engine_of(program), len(inputs), 2 << outcomes.num_simulated
    found = np.empty((batch, outcomes.count, len(tangents)))
    at_once = max(1, _MOST_NUMBERS // (batch * width))
    for first in range(0, len(tangents), at_once):
        some = tangents[first : first + at_once]
        copies = torch.from_numpy(np.tile(inputs, (len(some), 1)))
        curve = [copies, torch.from_numpy(some.reshape(len(copies), -1))]
        numbers, moved = engine.series_values_float64(1, curve, len(copies), ([], []), threads)
        parts = (2.0 * numbers.numpy() * moved.numpy()).reshape(len(some), batch, -1, 2).sum(3)
        found[:, :, first : first + at_once] = np.moveaxis(outcomes.summed(parts), 0, 2)
    return found


def _back(program: Program, outcomes: Outcomes, inputs: Array, tangents: Array, threads: int) -> Array:
    """From each outcome back to all inputs."""
    engine, batch, width = engine_of(program), len(inputs), 2 << outcomes.num_simulated
    wanted = (tangents != 0).any(axis=(0, 1))
    numbers = engine.values(inputs, np.empty(0), threads).reshape(batch, -1, 2)
    found = np.empty((batch, outcomes.count, len(tangents)))
    at_once = max(1, _MOST_NUMBERS // (batch * width))
    for first in range(0, outcomes.count, at_once):
        some = min(at_once, outcomes.count - first)
        bras = np.zeros((some, batch, width // 2, 2))
        places = np.flatnonzero((outcomes.of_amplitudes >= first) & (outcomes.of_amplitudes < first + some))
        own = outcomes.of_amplitudes[places] - first
        bras[own, :, places] = 2.0 * numbers[:, places].swapaxes(0, 1)
        gradients, _ = engine.vector_jacobian_products(
            inputs, np.empty(0), bras.reshape(some, batch, width), wanted, threads
        )
        if gradients is not None:
            found[:, first : first + some] = np.einsum("vbn,pbn->bvp", gradients, tangents)
        else:
            found[:, first : first + some] = 0.0  # no angle depends on them
    return found
