"""States, and how they move with parameters: what the geometry of a circuit is made of.

The derivative of a rotation by its angle is half of the rotation by an angle that is larger by pi,

    d/da exp(-i a P / 2) = -i P / 2 exp(-i a P / 2) = exp(-i (a + pi) P / 2) / 2,

so that those of a state are states of the same circuit, which lie side by side in one call of the native engine. Where
parameters are far fewer than rotations, each is a direction along which the engine moves states; what other methods
compute is differentiated forward.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from .._program.amplitudes import places
from .._program.angle_map import AngleMap
from .._program.evolution import Evolution
from .._program.program import Program
from .._program.rotations import not_apart
from .._simulation.choose import Runners
from .._simulation.columns import explained, with_derived_columns
from .._simulation.engines import engine_of
from .._simulation.method import Runner
from .._simulation.native import joined
from .._simulation.states import MOST_AMPLITUDES, StateRunner
from .._simulation.threads import engine_threads
from . import autograd
from .derivatives import pulled_back

Array = npt.NDArray[Any]
Tensors: TypeAlias = tuple[torch.Tensor, ...]

# What a state along a direction takes, to a state.
_COST_OF_DIRECTION = 2.5


@dataclass(frozen=True)
class Tangents:
    """States of B samples, and their derivatives by P variables.

    Attributes:
        states: Shape (B, N), complex, normalised; amplitudes of qubits that are always in |0> may be left out.
        slopes: Shape (P, B, N).
    """

    states: torch.Tensor
    slopes: torch.Tensor

    def whole(self, program: Program) -> Tangents:
        """With all amplitudes of a program that reads the state, N = 2^n."""
        indices, size = places(program.evolution), program.output_size
        if indices is None or self.states.shape[-1] == size:
            return self

        def whole(states: torch.Tensor) -> torch.Tensor:
            found = states.new_zeros(*states.shape[:-1], size)
            return found.index_copy_(-1, torch.from_numpy(indices), states[..., : len(indices)])

        return Tangents(whole(self.states), whole(self.slopes))


def tangents(
    runners: Runners,
    inputs: torch.Tensor,
    weights: Sequence[torch.Tensor],
    columns: Sequence[int],
    num_threads: int = 0,
) -> Tangents:
    """States and their derivatives, without a graph.

    Args:
        runners: Of a program that reads the state.
        inputs: Shape (B, num_inputs), float32 or float64.
        weights: Sets of weights, likewise.
        columns: The P variables: those of the inputs come first, then weights.
        num_threads: 0: as ``torch.get_num_threads()``.

    Raises:
        NotImplementedError: the method has no derivatives of states.
        ValueError: a value is not finite, or states do not fit the memory budget.
    """
    runner, row = runners(inputs), joined(weights, inputs).detach()
    inputs = inputs.detach()
    if isinstance(runner, StateRunner) and inputs.is_cpu and not_apart(runner.program.evolution) is None:
        return _of_engine(runner.program, inputs, row, columns, engine_threads(num_threads))
    return _of_function(runner, inputs, row, columns, num_threads)


def states_function(runner: Runner, num_threads: int = 0) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """States (B, N) as a differentiable function of inputs (B, num_inputs) and all weights."""
    evolution = runner.program.evolution

    def states(inputs: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        all_inputs, all_weights = with_derived_columns(evolution, inputs, weights)
        if runner.highest_power == 0:  # derivatives of its gradients would come from this, too
            return runner.function()(all_inputs, all_weights)
        return autograd.values(runner, (num_threads, num_threads), all_inputs, all_weights)

    return states


def pushing(
    function: Callable[..., Tensors], *at: torch.Tensor
) -> tuple[Tensors, Callable[..., Tensors], Callable[..., Tensors]]:
    """Values of a function; what takes directions to how values move; and what takes cotangents to gradients.

    The second is the transpose of the third, as in `derivatives.pushed_forward`: ``torch.func.jvp`` of some versions
    warns.
    """
    values, pull_back = pulled_back(function, *at)
    _, push = pulled_back(lambda *cotangents: pull_back(cotangents), *map(torch.zeros_like, values))
    return values, lambda *directions: push(directions), lambda *cotangents: pull_back(cotangents)


def _of_function(
    runner: Runner, inputs: torch.Tensor, weights: torch.Tensor, columns: Sequence[int], num_threads: int
) -> Tangents:
    """By differentiating what a runner computes."""
    states = states_function(runner, num_threads)
    with torch.no_grad():
        (start,), push, _ = pushing(lambda *variables: (states(*variables),), inputs, weights)
        at_once = max(1, MOST_AMPLITUDES // max(1, start.numel()))
        slopes = start.new_empty(len(columns), *start.shape)
        for first in range(0, len(columns) if len(inputs) else 0, at_once):
            some = columns[first : first + at_once]
            (slopes[first : first + at_once],) = torch.func.vmap(push)(*_directions(inputs, weights, some))
    return Tangents(start, slopes)


def _directions(
    inputs: torch.Tensor, weights: torch.Tensor, columns: Sequence[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Of inputs (P, B, num_inputs) and weights (P, num_weights): one variable moves in each."""
    count = inputs.shape[1]
    units = torch.eye(count + len(weights), dtype=inputs.dtype, device=inputs.device)[list(columns)]
    return units[:, None, :count].expand(-1, len(inputs), -1), units[:, count:]


def _of_engine(
    program: Program, inputs: torch.Tensor, weights: torch.Tensor, columns: Sequence[int], threads: int
) -> Tangents:
    """By calls of the native engine."""
    evolution, dtype = program.evolution, inputs.dtype
    moving = Moving.of(program, inputs, weights, columns)
    if moving.goes_along:
        return _along(program.unshared, moving.variables, moving.moved, dtype, threads)
    shifts = Shifts(program.apart, program.angle_map.angles(moving.variables), dtype, threads)
    found = shifts.tangents(moving.slopes)
    if evolution.phase.terms:
        turns = _product(evolution.phase.gradient(moving.variables)[:, None], moving.moved)[:, 0].T  # (P, B)
        found.slopes.add_(1j * torch.from_numpy(turns).to(dtype)[:, :, None] * found.states)
        angles = AngleMap([evolution.phase]).angles(moving.variables)
        phase = torch.from_numpy(np.exp(1j * angles)).to(found.states.dtype)
        found = Tangents(found.states.mul_(phase), found.slopes.mul_(phase))
    return found


@dataclass(frozen=True)
class Moving:
    """How a circuit moves with P variables.

    Attributes:
        variables: All that the engine knows, shape (B, V); float64.
        moved: How they move, shape (B or 1, V, P).
        slopes: How angles of rotations do, shape (B or 1, R, P).
        goes_along: Whether states are moved along P directions: these are far fewer than the rotations that move.
    """

    variables: Array
    moved: Array
    slopes: Array
    goes_along: bool

    @classmethod
    def of(cls, program: Program, inputs: torch.Tensor, weights: torch.Tensor, columns: Sequence[int]) -> Moving:
        """At inputs (B, num_inputs) and weights, by the variables at the columns."""
        evolution = program.evolution
        variables, moved = moving_variables(evolution, inputs.double(), weights.double(), columns)
        of_angles = program.angle_map.jacobian(variables)
        slopes = _product(of_angles, moved) if evolution.has_derived else of_angles[:, :, list(columns)]
        num_moving = int(np.count_nonzero(slopes.any(axis=(0, 2))))
        goes_along = _COST_OF_DIRECTION * len(columns) < num_moving
        return cls(variables, moved, slopes, goes_along)


def _product(first: Array, second: Array) -> Array:
    """Of matrices, in PyTorch: NumPy takes fifty times as long where these are stacked, and not contiguous."""
    product: Array = (torch.from_numpy(first) @ torch.from_numpy(second)).numpy()
    return product


def variables_at(evolution: Evolution, inputs: torch.Tensor, weights: torch.Tensor) -> Array:
    """All variables (B, V) of the engine; float64.

    Raises:
        ValueError: a value is not finite.
    """
    all_inputs, all_weights = with_derived_columns(evolution, inputs, weights)
    variables: Array = torch.cat([all_inputs, all_weights.expand(len(inputs), -1)], 1).numpy()
    if not np.isfinite(variables).all():
        error = ValueError("inputs: expected finite values, and of weights, too")
        raise explained(evolution, error, all_inputs, all_weights)
    return variables


def moving_variables(
    evolution: Evolution, inputs: torch.Tensor, weights: torch.Tensor, columns: Sequence[int]
) -> tuple[Array, Array]:
    """All variables (B, V) of the engine, and how they move with those at the columns, (B or 1, V, P); float64.

    Raises:
        ValueError: a value is not finite.
    """

    def extended(inputs: torch.Tensor, weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return with_derived_columns(evolution, inputs, weights)

    variables = variables_at(evolution, inputs, weights)
    if not evolution.has_derived:
        return variables, np.eye(variables.shape[1])[None, :, list(columns)]

    _, push, _ = pushing(extended, inputs, weights)
    of_inputs, of_weights = torch.func.vmap(push)(*_directions(inputs, weights, columns))
    moved = torch.cat([of_inputs, of_weights[:, None].expand(-1, len(inputs), -1)], 2)
    return variables, moved.permute(1, 2, 0).numpy()


def _along(program: Program, variables: Array, moved: Array, dtype: torch.dtype, threads: int) -> Tangents:
    """Along each direction, whose copies of the samples lie side by side.

    Args:
        program: One in which all variables are inputs.
        variables: Shape (B, V).
        moved: Directions, shape (B or 1, V, P).
        dtype: In which to compute.
        threads: As the engine takes them.
    """
    engine = engine_of(program)
    call = engine.series_values_float64 if dtype is torch.float64 else engine.series_values_float32
    at, batch, count = torch.from_numpy(variables).to(dtype), len(variables), moved.shape[2]
    directions = torch.from_numpy(np.moveaxis(moved, 2, 0)).to(dtype).expand(-1, batch, -1)
    starts, slopes = [], []
    for some in _parts(count, batch << program.evolution.num_qubits):
        along = directions[some]
        curve = [at.repeat(len(along), 1), along.reshape(-1, at.shape[1])]
        start, slope = (
            _complex(numbers, len(along), batch) for numbers in call(1, curve, len(curve[0]), ([], []), threads)
        )
        starts.append(start[0])
        slopes.append(slope)
    return Tangents(starts[0], torch.cat(slopes))


class Shifts:
    """States of a circuit that is taken apart, at its angles and at angles that are larger by pi.

    Args:
        program: Its R angles are inputs.
        angles: Shape (B, R).
        dtype: In which to compute.
        threads: As the engine takes them.
    """

    def __init__(self, program: Program, angles: Array, dtype: torch.dtype, threads: int) -> None:
        self._program, self._threads, self._dtype = program, threads, dtype
        self._angles = np.remainder(angles, 4.0 * math.pi)

    def tangents(self, slopes: Array) -> Tangents:
        """By P variables, from the derivatives of the angles, (B or 1, R, P)."""
        batch, count = len(self._angles), slopes.shape[2]
        own = own_rotations(slopes)
        rotations = np.flatnonzero(slopes.any(axis=(0, 2))) if own is None else own
        parts = [*_parts(len(rotations), batch << self._program.evolution.num_qubits)] or [slice(0)]
        start, found = None, None
        for some in parts:
            first, states = self._at(rotations[some])
            if start is None:
                start, found = first, states if own is not None and len(parts) == 1 else None
            if found is None:
                found = start.new_zeros(count, *start.shape)
            shifted = rotations[some]
            if own is None:
                _add(found, torch.from_numpy(0.5 * slopes[:, shifted]).to(self._dtype), states)
                continue
            factors = torch.from_numpy(0.5 * slopes[0, shifted, np.arange(count)[some]]).to(self._dtype)
            torch.view_as_real(states).mul_(factors[:, None, None, None])
            if found is not states:
                found[some] = states
        assert start is not None
        assert found is not None
        return Tangents(start, found)

    def _at(self, shifted: npt.NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
        """The states (B, N), and those at larger angles of some rotations (K, B, N), from one call."""
        states = self._states(self._rows(shifted).swapaxes(0, 1))
        return states[0], states[1:]

    def products(self, shifted: npt.NDArray[np.int64], is_real: bool) -> torch.Tensor:
        """Inner products of these with each other, <s_i|s_j>, shape (B, 1 + K, 1 + K), from one call.

        Real: imaginary parts are those of products with the first, and 0 elsewhere.
        """
        rows, engine, count = self._rows(shifted), engine_of(self._program), 1 + len(shifted)
        rows = rows.reshape(math.prod(rows.shape[:2]), rows.shape[2])
        if self._dtype is torch.float64:
            whole = engine.gram(rows, np.empty(0), count, self._threads, is_real)
            return torch.view_as_complex(torch.from_numpy(whole))
        narrow, none = rows.astype(np.float32), np.empty(0, np.float32)
        return torch.view_as_complex(torch.from_numpy(engine.gram(narrow, none, count, self._threads, is_real)))

    def _rows(self, shifted: npt.NDArray[np.int64]) -> Array:
        """The angles, and those at which each of some rotations has a larger one, (B, 1 + K, R)."""
        rows = np.tile(self._angles[:, None], (1, 1 + len(shifted), 1))
        rows[:, 1 + np.arange(len(shifted)), shifted] += math.pi
        return rows

    def _states(self, angles: Array) -> torch.Tensor:
        """Shape (K, B, N), at angles (K, B, R)."""
        rows, engine = angles.reshape(math.prod(angles.shape[:2]), angles.shape[2]), engine_of(self._program)
        if self._dtype is torch.float64:
            return _complex(engine.values(rows, np.empty(0), self._threads), *angles.shape[:2])
        narrow, none = rows.astype(np.float32), np.empty(0, np.float32)
        return _complex(engine.values(narrow, none, self._threads), *angles.shape[:2])


def own_rotations(slopes: Array) -> npt.NDArray[np.int64] | None:
    """For each of P variables, the only rotation that depends on it, and on no other of them; None: it is not so.

    Args:
        slopes: Of the angles, shape (B or 1, R, P).
    """
    if len(slopes) != 1 or not slopes.size:
        return None
    moves = slopes[0] != 0
    if not ((moves.sum(0) == 1).all() and (moves.sum(1) <= 1).all()):
        return None
    own: npt.NDArray[np.int64] = moves.argmax(0)
    return own


def _add(found: torch.Tensor, factors: torch.Tensor, states: torch.Tensor) -> None:
    """To each of P, the states (R, B, N) times their factors, (B or 1, R, P)."""
    sums, numbers = torch.view_as_real(found).flatten(2), torch.view_as_real(states).flatten(2)
    if len(factors) == 1:
        sums.view(len(sums), -1).addmm_(factors[0].T, numbers.flatten(1))
    else:
        sums += torch.einsum("brp,rbn->pbn", factors, numbers)


def _complex(numbers: torch.Tensor | Array, *lead: int) -> torch.Tensor:
    """Amplitudes (*lead, N) from real and imaginary parts, side by side."""
    numbers = torch.as_tensor(numbers)
    return torch.view_as_complex(numbers.reshape(*lead, numbers.shape[-1] // 2, 2))


def _parts(count: int, size: int) -> Iterator[slice]:
    """Parts of so many states, each of so many amplitudes, that lie side by side at once."""
    at_once = max(1, MOST_AMPLITUDES // max(1, size))
    for first in range(0, count, at_once):
        yield slice(first, first + at_once)
