"""Inner products of derivatives of states, for which no state leaves the native engine.

A derivative by an angle is half of the state at an angle that is larger by pi (see `tangents`). With s_0 the state,
s_r those at one larger angle each, J_rk the derivatives of angles by variables, and G the inner products of all s,

    <d_k|d_l> - <d_k|s_0><s_0|d_l> = sum_rt J_rk J_tl (G_rt - G_r0 G_0t) / 4.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from .._program.rotations import not_apart
from .._simulation.choose import Runners
from .._simulation.native import joined
from .._simulation.states import MOST_AMPLITUDES, StateRunner
from .._simulation.threads import engine_threads
from .tangents import Moving, Shifts, own_rotations

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
    moving = Moving.of(program, inputs.detach(), joined(weights, inputs).detach(), columns)
    own = own_rotations(moving.slopes)
    rotations = np.flatnonzero(moving.slopes.any(axis=(0, 2))) if own is None else own
    if moving.goes_along or (1 + len(rotations)) * batch * amplitudes > 2 * MOST_AMPLITUDES:
        return None
    shifts = Shifts(
        program.apart, program.angle_map.angles(moving.variables), inputs.dtype, engine_threads(num_threads)
    )
    found = shifts.products(rotations, is_real)
    along, found = found[:, :1, 1:], found[:, 1:, 1:]
    found = found.real - along.imag.mT * along.imag if is_real else found - along.mH * along
    if own is not None:
        factors = torch.from_numpy(0.5 * moving.slopes[0, own, np.arange(len(own))]).to(inputs.dtype)
        return found * torch.outer(factors, factors)
    slopes = torch.from_numpy(0.5 * moving.slopes[:, rotations]).to(found.dtype)
    return slopes.mT @ found @ slopes
