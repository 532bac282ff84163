"""A sum of sines of known frequencies: where to look at it, what it is by these values, and where it is least."""

from __future__ import annotations

from functools import lru_cache
from math import pi

import numpy as np
import numpy.typing as npt
from scipy.linalg import qr

Array = npt.NDArray[np.float64]

# Where values are taken, in units of their distance, so that a frequency too high is seen whatever its phase.
_OFFSET = 0.3
_MOST_CANDIDATES = 20_000
_WORST_CONDITION = 1e6
_NEWTON_STEPS = 30


class Curve:
    """a_0 + sum_k a_k cos(f_k t) + b_k sin(f_k t) of known frequencies f_k.

    Source: reconstruction as in Wierichs et al., Quantum 6, 677 (2022), arXiv:2107.12390, section 3.

    Attributes:
        frequencies: Ascending and positive, shape (R,).
        shifts: Where values are wanted: one more than there are unknowns, so that what is left tells whether they are
            such a sum at all; shape (2 R + 2,).

    Raises:
        ValueError: some lie too close together.
    """

    def __init__(self, frequencies: tuple[float, ...]) -> None:
        self.frequencies = np.array(frequencies)
        base = frequencies[0]
        if np.allclose(self.frequencies, base * np.arange(1, len(frequencies) + 1), rtol=1e-9):
            # Equidistant frequencies: at equidistant shifts the sines are orthogonal.
            count = 2 * len(frequencies) + 2
            self._width = 2 * pi / base
            self.shifts = self._width * ((np.arange(count) + _OFFSET) / count - 0.5)
        else:
            self.shifts = self._scattered()
        design = self._design(self.shifts)
        if np.linalg.cond(design) > _WORST_CONDITION:
            listed = ", ".join(f"{one:.10g}" for one in frequencies)
            raise ValueError(
                f"frequencies: expected some that can be told apart, got {listed}; round the factors of the parameter "
                "in its gates, so that those that differ little are equal"
            )
        self._inverse = np.linalg.pinv(design)
        self._designed = design

    def _scattered(self) -> Array:
        """Shifts at which other frequencies are told apart best: the first columns of a pivoted QR decomposition."""
        self._width = 2 * pi / np.diff(self.frequencies, prepend=0.0).min()
        unknowns = 2 * len(self.frequencies) + 1
        count = 8 * max(unknowns, int(self._width * self.frequencies[-1] / pi))
        candidates = self._width * (np.linspace(0.0, 1.0, min(count, _MOST_CANDIDATES), endpoint=False) - 0.5)
        _, pivots = qr(self._design(candidates).T, mode="r", pivoting=True)
        return np.append(candidates[np.sort(pivots[:unknowns])], _OFFSET / self.frequencies[-1])

    def _design(self, shifts: Array) -> Array:
        phases = np.multiply.outer(shifts, self.frequencies)
        return np.column_stack([np.ones(len(shifts)), np.cos(phases), np.sin(phases)])

    def fitted(self, values: Array) -> tuple[Array, float]:
        """The amplitudes (a_0, a_1, ..., b_1, ...) by values at the shifts, and the largest difference that is left."""
        amplitudes = self._inverse @ values
        return amplitudes, float(np.abs(self._designed @ amplitudes - values).max())

    def at(self, amplitudes: Array, shifts: Array) -> Array:
        """Values (S,) at shifts (S,)."""
        values: Array = self._design(shifts) @ amplitudes
        return values

    def least(self, amplitudes: Array) -> float:
        """The shift to the least value within a period; where frequencies have none in common, within a window."""
        cosines, sines = np.split(amplitudes[1:], 2)
        if len(self.frequencies) == 1:
            return float(np.arctan2(-sines[0], -cosines[0]) / self.frequencies[0])
        count = min(max(int(16 * self._width * self.frequencies[-1] / (2 * pi)), 64), _MOST_CANDIDATES)
        grid = self._width * (np.arange(count) / count - 0.5)
        values = self.at(amplitudes, grid)
        # Every place lower than its neighbours, that of a window's ends included.
        lower = (values <= np.roll(values, 1)) & (values <= np.roll(values, -1))
        shifts = self._polished(grid[lower], self._width / count, cosines, sines)
        candidates = np.concatenate([shifts, grid[lower]])
        return float(candidates[np.argmin(self.at(amplitudes, candidates))])

    def _polished(self, shifts: Array, most: float, cosines: Array, sines: Array) -> Array:
        """Newton's method for the slope, by steps of at most so much."""
        f = self.frequencies
        for _ in range(_NEWTON_STEPS):
            phases = np.multiply.outer(shifts, f)
            cos, sin = np.cos(phases), np.sin(phases)
            slope = (sines * cos - cosines * sin) @ f
            bend = np.abs((cosines * cos + sines * sin) @ f**2) + 1e-300
            shifts = shifts - np.clip(slope / bend, -most, most)
        return shifts


@lru_cache(maxsize=64)
def curve(frequencies: tuple[float, ...]) -> Curve:
    """The curve with these frequencies, made once."""
    return Curve(frequencies)
