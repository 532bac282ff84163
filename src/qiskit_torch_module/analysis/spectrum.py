"""Which frequencies a model has as a function of its inputs.

A rotation exp(-i angle/2 P) whose angle is k x + c turns amplitudes by phases of k x / 2 either way, so that
expectation values have the frequencies -k, 0 and k, and those of several rotations add up. Coefficients of one input
that are whole multiples of a unit are one dimension of a torus; those that are not, such as 1 and sqrt 2, are
dimensions of their own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from .. import _engine
from .._core.shown import Result
from .._core.sizes import said_bytes
from .._program.evolution import Evolution
from .._reading.polynomials import Polynomial
from .._simulation.columns import with_derived_columns
from ..modules.module import QuantumModule
from .axes import axes_of
from .family import Real

# Frequencies are multiples of one unit where their ratio is a fraction of no larger denominator.
_LARGEST_DENOMINATOR = 1024
_TOLERANCE = 1e-9
# An angle is linear where it is so between so many pairs of inputs.
_PAIRS = 8


@dataclass(frozen=True, eq=False)
class Encoding:
    """How the inputs of a model turn its rotations, at some weights.

    Attributes:
        num_inputs: How many inputs there are.
        rotations: The rotations that inputs turn, by number.
        units: The dimensions of the torus: an input, and the frequency that is 1 there.
        multiples: By how many units each of the rotations is turned along each dimension; shape (E, T).
        offsets: The angles of all rotations where all inputs are 0; shape (R,).
        diagonals: Those of all diagonals.
    """

    num_inputs: int
    rotations: tuple[int, ...]
    units: tuple[tuple[int, float], ...]
    multiples: npt.NDArray[np.int64]
    offsets: Real
    diagonals: Real

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many frequencies there may be along each dimension: -most to most."""
        return tuple((2 * np.abs(self.multiples).sum(0) + 1).tolist())

    def redundancies(self) -> Real:
        """In how many ways each place of the torus is a sum of frequencies; shape `sizes`, 0 at the middle.

        A rotation has the frequency 0 in two ways.
        """
        self.require_memory(8.0)
        ways = np.zeros(self.sizes)
        ways[tuple(size // 2 for size in self.sizes)] = 1.0
        axes = tuple(range(len(self.sizes)))
        for step in self.multiples:
            ways = 2.0 * ways + np.roll(ways, tuple(step), axes) + np.roll(ways, tuple(-step), axes)
        return ways

    def frequencies(self, places: npt.NDArray[np.int64]) -> Real:
        """Frequencies (F, N) of places (F, T) of the torus."""
        found = np.zeros((len(places), self.num_inputs))
        for dimension, (i, unit) in enumerate(self.units):
            found[:, i] += unit * (places[:, dimension] - self.sizes[dimension] // 2)
        return found

    def require_memory(self, bytes_of_point: float) -> None:
        """Checks that a grid fits into memory.

        Raises:
            ValueError: it does not; the message says what it would take.
        """
        needed, budget = math.prod(self.sizes) * bytes_of_point, _engine.memory_budget()
        if needed > budget:
            grid = " x ".join(map(str, self.sizes))
            raise ValueError(
                f"model: a grid of {grid} points for {self.num_inputs} inputs takes {said_bytes(needed)}, more than "
                f"the memory budget of {said_bytes(budget)}; bind some inputs (circuit.assign_parameters), or raise it "
                "with set_memory_budget"
            )


@dataclass(frozen=True, eq=False, repr=False)
class FourierSpectrum(Result):
    """What `fourier_spectrum` finds.

    Attributes:
        frequencies: Angular frequencies of each input, shape (F, input_size), in ascending order; with each its
            negative.
        redundancies: In how many ways each one comes about, shape (F,): one that is there in many ways tends to have
            a larger coefficient.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> model = qtm.QuantumModule(circuit, x, w, seed_init=0)
        >>> spectrum = qtm.analysis.fourier_spectrum(model)
        >>> spectrum.frequencies.shape
        (9, 2)
    """

    frequencies: Real
    redundancies: Real

    def __len__(self) -> int:
        return len(self.frequencies)

    def plot(self, axes: Any = None) -> Any:
        """Redundancies against frequencies, or their length if there are several inputs; returns the axes."""
        axes = axes_of(axes)
        single = self.frequencies.shape[1] == 1
        places = self.frequencies[:, 0] if single else np.linalg.norm(self.frequencies, axis=1)
        axes.semilogy(places, self.redundancies, ".")
        axes.set(xlabel="frequency" if single else "length of the frequency", ylabel="in how many ways")
        axes.grid(alpha=0.3, which="both")
        return axes


def fourier_spectrum(model: QuantumModule) -> FourierSpectrum:
    """The frequencies that a model may have as a function of its inputs: f(x) = sum of c exp(i frequency x).

    They are read from the compiled circuit, and nothing is simulated: the encoding decides on them, and all other gates
    on the coefficients (`fourier_coefficients`), some of which may vanish. Where weights scale inputs, they are those
    of the present weights.

    Source: Schuld, Sweke and Meyer, "Effect of data encoding on the expressive power of variational quantum machine
    learning models", Physical Review A 103, 032430 (2021), arXiv:2008.08605.

    Args:
        model: A `QuantumModule` whose angles are linear in its inputs.

    Returns:
        The frequencies, and in how many ways each comes about.

    Raises:
        TypeError: something other than a module.
        ValueError: it has no inputs, or an angle that is not linear in them, which is named; or more frequencies than
            the memory budget holds.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> model = qtm.QuantumModule(circuit, x, w, seed_init=0)
        >>> spectrum = qtm.analysis.fourier_spectrum(model)
        >>> spectrum.frequencies[-1].tolist()
        [1.0, 1.0]
    """
    require_inputs(model)
    encoding = encoding_of(model._program.evolution, present_weights(model))
    ways = encoding.redundancies()
    places = np.argwhere(ways > 0.0)
    frequencies = encoding.frequencies(places)
    order = np.lexsort(frequencies.T[::-1])
    return FourierSpectrum(frequencies[order], ways[tuple(places.T)][order])


def require_inputs(model: Any) -> None:
    """Checks that there is a function of inputs.

    Raises:
        TypeError, ValueError: there is none.
    """
    if not isinstance(model, QuantumModule):
        raise TypeError(f"model: expected a QuantumModule, got {type(model).__name__}")
    if not model.input_size:
        raise ValueError("model: expected inputs, of which it is a function, got none; give encoding_params")


def present_weights(model: QuantumModule) -> torch.Tensor:
    """All weights of a model in double precision, shape (W,)."""
    return torch.cat([torch.empty(0), *model.variational_]).detach().double().cpu()


def encoding_of(evolution: Evolution, weights: torch.Tensor) -> Encoding:
    """How inputs turn the rotations of an evolution.

    Raises:
        ValueError: not linearly.
    """
    _require_no_blocks(evolution)
    variables = _Variables(evolution, weights)
    _require_linear(evolution, variables)
    rows = variables.at(torch.zeros(1, evolution.num_inputs, dtype=torch.float64) + 0.3)
    slopes = variables.slopes()
    rates = np.stack([rotation.angle.gradient(rows)[0] @ slopes for rotation in evolution.rotations] or [slopes[0] * 0])
    angles = np.array([_value(rotation.angle, rows)[0] for rotation in evolution.rotations])
    offsets = angles - 0.3 * rates.sum(1)[: len(angles)]
    rates[np.abs(rates) < _TOLERANCE] = 0.0
    turned = np.flatnonzero(rates.any(1))
    units, multiples = _torus(rates[turned])
    diagonals = np.array([_value(diagonal.angle, rows)[0] for diagonal in evolution.diagonals])
    return Encoding(evolution.num_inputs, tuple(turned.tolist()), units, multiples, offsets, diagonals)


class _Variables:
    """The variables of polynomials, derived ones included, as functions of the inputs alone."""

    def __init__(self, evolution: Evolution, weights: torch.Tensor) -> None:
        self._evolution, self._weights = evolution, weights

    def at(self, inputs: torch.Tensor) -> Real:
        """Shape (B, V)."""
        columns, row = with_derived_columns(self._evolution, inputs, self._weights)
        rows: Real = torch.cat([columns, row.expand(len(columns), -1)], 1).detach().numpy()
        return rows

    def slopes(self) -> Real:
        """Derivatives by the inputs (V, N) at one of them, which are the same at all if all is linear."""
        at = torch.full((1, self._evolution.num_inputs), 0.3, dtype=torch.float64, requires_grad=True)
        columns, row = with_derived_columns(self._evolution, at, self._weights)
        found = [torch.autograd.grad(column.sum(), at, retain_graph=True)[0][0] for column in columns.unbind(1)]
        slopes: Real = torch.cat([torch.stack(found), at.new_zeros(len(row), at.shape[1])]).detach().numpy()
        return slopes


def _value(angle: Polynomial, rows: Real) -> Real:
    total = np.zeros(len(rows))
    for factors, coefficient in angle.terms:
        total += coefficient * rows[:, list(factors)].prod(1)
    return total


def _require_no_blocks(evolution: Evolution) -> None:
    if evolution.input_blocks:
        name = getattr(evolution.input_blocks[0], "name", "a gate that is only a matrix")
        raise ValueError(
            f"model: expected angles that are linear in the inputs, got {name}, whose angles are other functions of "
            "them; there is no Fourier spectrum, encode by rotations"
        )
    for diagonal in evolution.diagonals:
        if any(i < evolution.num_all_inputs for variables, _ in diagonal.angle.terms for i in variables):
            raise ValueError(
                "model: expected rotations about Paulis for the inputs, got a diagonal matrix that inputs turn; "
                "decompose it (circuit.decompose)"
            )


def _require_linear(evolution: Evolution, variables: _Variables) -> None:
    generator = torch.Generator().manual_seed(0)
    ends = 1.8 * torch.rand(2, _PAIRS, evolution.num_inputs, generator=generator, dtype=torch.float64) - 0.9
    points = torch.cat([*ends, ends.mean(0)])
    named = _named_nonlinear(evolution, points, variables._weights)
    if named is None:
        rows = variables.at(points)
        wrong = [r for r in evolution.rotations if not _is_linear(_value(r.angle, rows))]
        named = "an angle that is another function of them" if wrong else None
    if named is not None:
        raise ValueError(
            f"model: expected angles that are linear in the inputs, got {named}; there is no Fourier spectrum, as a "
            "function of the inputs (it may have one as a function of what is computed from them: make that the input)"
        )


def _named_nonlinear(evolution: Evolution, points: torch.Tensor, weights: torch.Tensor) -> str | None:
    """The first angle, in the words of the user, that is not linear; None: all are, as far as that is known."""
    origins = evolution.origins
    if origins is None:
        return None
    values = [*points.unbind(1), *weights.unbind(0)]
    for angle in origins.given:
        if not _is_linear(origins.value_of(angle, values).expand(len(points)).numpy()):
            return origins.described(angle)
    return None


def _is_linear(values: Real) -> bool:
    """Whether values at the ends of pairs, and between them, are those of a linear function."""
    first, second, middle = np.split(values, 3)
    return bool(np.all(np.abs(first + second - 2.0 * middle) <= _TOLERANCE * (1.0 + np.abs(middle))))


def _torus(rates: Real) -> tuple[tuple[tuple[int, float], ...], npt.NDArray[np.int64]]:
    """Units of each input, and by how many of them each rotation is turned."""
    units: list[tuple[int, float]] = []
    columns: list[npt.NDArray[np.int64]] = []
    for i, column in enumerate(rates.T):
        for unit in _units(np.unique(np.abs(column[column != 0.0]))):
            whole = np.rint(column / unit)
            belongs = (np.abs(column - whole * unit) <= _TOLERANCE * np.abs(column)) & (whole != 0.0)
            units.append((i, unit))
            columns.append(np.where(belongs, whole, 0.0).astype(np.int64))
    return tuple(units), np.stack(columns, 1) if columns else np.zeros((len(rates), 0), dtype=np.int64)


def _units(numbers: Iterable[float]) -> list[float]:
    """Numbers of which each one is a whole multiple of exactly one."""
    groups: list[tuple[float, list[Fraction]]] = []
    for number in numbers:
        for first, ratios in groups:
            ratio = Fraction(number / first).limit_denominator(_LARGEST_DENOMINATOR)
            if abs(number / first - ratio) <= _TOLERANCE * ratio:
                ratios.append(ratio)
                break
        else:
            groups.append((number, [Fraction(1)]))
    return [first * float(_common(ratios)) for first, ratios in groups]


def _common(ratios: Sequence[Fraction]) -> Fraction:
    """The largest fraction of which all are whole multiples."""
    denominator = math.lcm(*(ratio.denominator for ratio in ratios))
    return Fraction(reduce(math.gcd, (int(ratio * denominator) for ratio in ratios)), denominator)
