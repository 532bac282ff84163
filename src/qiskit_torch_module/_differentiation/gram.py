"""Inner products of derivatives of states, for which no state leaves the native engine.

A derivative by an angle is half of the state at an angle that is larger by pi (see `tangents`). With s_0 the state,
s_r those at one larger angle each, J_rk the derivatives of angles by variables, and G the inner products of all s,

    <d_k|d_l> - <d_k|s_0><s_0|d_l> = sum_rt J_rk J_tl (G_rt - G_r0 G_0t) / 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch

from .._program.angle_map import AngleMap
from .._program.program import Program
from .._program.rotations import not_apart
from .._simulation.choose import Runners
from .._simulation.native import joined
from .._simulation.states import MOST_AMPLITUDES, StateRunner
from .._simulation.threads import engine_threads
from .tangents import Array, Moving, Shifts, own_rotations, variables_at

# Amplitudes of a state from which on one call is faster for several samples, whose derivatives are otherwise multiplied
# all at once; one sample saves a third at any number.
_LEAST_AMPLITUDES = 1 << 8


def products(
    runners: Runners,
    inputs: torch.Tensor,
    weights: Sequence[torch.Tensor],
    columns: Sequence[int],
    num_threads: int = 0,
    *,
    is_real: bool = False,
) -> torch.Tensor | None:
    """<d_k|d_l>, without what is along the states, for P variables, shape (B, P, P); None: by derivatives themselves.

    Args:
        runners: As for `tangents.tangents`.
        inputs: Likewise.
        weights: Likewise.
        columns: Likewise.
        num_threads: Likewise.
        is_real: The real part alone.

    Raises:
        ValueError: a value is not finite, or states do not fit the memory budget.
    """
    runner, batch = runners(inputs), len(inputs)
    program = runner.program
    amplitudes = 1 << program.evolution.num_qubits
    if not (isinstance(runner, StateRunner) and inputs.is_cpu and not_apart(program.evolution) is None):
        return None
    if batch != 1 and amplitudes < _LEAST_AMPLITUDES:
        return None
    row = joined(weights, inputs).detach()
    moves = _moves(program, inputs.detach(), row, tuple(columns))
    if moves is None or (1 + len(moves.rotations)) * batch * amplitudes > 2 * MOST_AMPLITUDES:
        return None
    shifts = Shifts(program.apart, program.angle_map.angles(moves.variables), inputs.dtype, engine_threads(num_threads))
    found = shifts.products(moves.rotations, is_real)
    along, found = found[:, :1, 1:], found[:, 1:, 1:]
    found = found.real - along.imag.mT * along.imag if is_real else found - along.mH * along
    if moves.own is not None:
        factors = torch.from_numpy(moves.own).to(inputs.dtype)
        return found.mul_(torch.outer(factors, factors))
    slopes = torch.from_numpy(moves.slopes).to(found.dtype)
    return slopes.mT @ found @ slopes


@dataclass(frozen=True)
class _Moves:
    """What moves with P variables.

    Attributes:
        variables: All of the engine, shape (B, V).
        rotations: The K that move.
        slopes: Half of the derivatives of their angles, shape (B or 1, K, P); empty where each has a variable
            of its own.
        own: Half of the derivatives by these, (P,); else None.
    """

    variables: Array
    rotations: npt.NDArray[np.int64]
    slopes: Array
    own: Array | None


def _moves(program: Program, inputs: torch.Tensor, weights: torch.Tensor, columns: tuple[int, ...]) -> _Moves | None:
    """Nothing, if derivatives along the variables are faster."""
    if program.angle_map.is_linear and not program.evolution.has_derived:
        own = _own(program.angle_map, columns, inputs.shape[1] + len(weights))
        if own is not None:
            variables = variables_at(program.evolution, inputs.double(), weights.double())
            return _Moves(variables, own[0], np.empty(0), own[1])
    moving = Moving.of(program, inputs, weights, columns)
    if moving.goes_along:
        return None
    rotations = np.flatnonzero(moving.slopes.any(axis=(0, 2)))
    return _Moves(moving.variables, rotations, 0.5 * moving.slopes[:, rotations], None)


@lru_cache(maxsize=128)
def _own(
    angle_map: AngleMap, columns: tuple[int, ...], num_variables: int
) -> tuple[npt.NDArray[np.int64], Array] | None:
    """The rotations that variables have of their own, in a map that is linear, and half of the derivatives by these."""
    slopes = angle_map.jacobian(np.zeros((1, num_variables)))[:, :, list(columns)]
    found = own_rotations(slopes)
    return None if found is None else (found, 0.5 * slopes[0, found, np.arange(len(found))])
