"""With which frequencies expectation values oscillate as one weight changes, read from the compiled circuit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from .._program.evolution import Evolution
from .._reading.expressions import variables_in

# More of them make no sense one weight at a time.
MOST_FREQUENCIES = 200
_APART = 1e-9  # less than which is rounding of sums


class NoFrequencies(ValueError):  # noqa: N818
    """Expectation values are no finite sum of sines of this weight; the text says why."""


def frequencies(evolution: Evolution, weight: int, degree: int = 1) -> tuple[float, ...]:
    """Those of expectation values as functions of one weight, ascending and positive; none: it changes nothing.

    A rotation exp(-i c w P / 2) brings the frequencies -c, 0 and c, a diagonal exp(-i c w E) the differences of its
    energies, and what several steps bring adds up in every combination. Some of them may have no amplitude.

    Args:
        evolution: What the circuit does.
        weight: The number of the weight.
        degree: Of a polynomial of expectation values, in place of one of them.

    Raises:
        NoFrequencies: there is no finite number of them, or there are too many.

    Source: Wierichs et al., "General parameter-shift rules for quantum gradients", Quantum 6, 677 (2022),
    arXiv:2107.12390.
    """
    _require_no_function(evolution, weight)
    variable = evolution.num_all_inputs + weight
    total = np.zeros(1)
    for differences in _differences(evolution, variable):
        total = _sums(total, differences)
    once = total
    for _ in range(degree - 1):
        total = _sums(total, once)
    return tuple(float(one) for one in total if one > _APART)


def _require_no_function(evolution: Evolution, weight: int) -> None:
    given = evolution.num_inputs + weight
    for derived in (*evolution.derived_inputs, *evolution.derived_weights):
        if given in variables_in(derived.expression):
            raise NoFrequencies(f"it is in the expression {derived.part}, which is no multiple of it")
    variable = evolution.num_all_inputs + weight
    for block in (*evolution.input_blocks, *evolution.weight_blocks):
        if any(variable in variables for angle in block.arguments for variables, _ in angle.terms):
            raise NoFrequencies(f"it is in {block.name}, which is no rotation")


def _differences(evolution: Evolution, variable: int) -> Iterator[npt.NDArray[np.float64]]:
    for rotation in evolution.rotations:
        factor = _factor(rotation.angle.terms, variable)
        if factor != 0.0:
            yield np.array([-factor, 0.0, factor])
    for diagonal in evolution.diagonals:
        factor = _factor(diagonal.angle.terms, variable)
        if factor != 0.0:
            energies = np.unique(diagonal.array)
            if len(energies) > MOST_FREQUENCIES:
                raise NoFrequencies(f"it turns a diagonal with {len(energies)} different energies")
            yield _distinct(factor * (energies[:, None] - energies))


def _factor(terms: Iterable[tuple[Sequence[int], float]], variable: int) -> float:
    """That of a variable in an angle.

    Raises:
        NoFrequencies: the angle holds powers of it, or products with other variables.
    """
    factor = 0.0
    for variables, coefficient in terms:
        if variable in variables:
            if len(variables) > 1:
                raise NoFrequencies("an angle holds it as a power, or times another parameter or an input")
            factor += coefficient
    return factor


def _sums(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    total = _distinct(first[:, None] + second)
    if len(total) > 2 * MOST_FREQUENCIES + 1:
        raise NoFrequencies(f"there are more than {MOST_FREQUENCIES} of them")
    return total


def _distinct(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    ordered = np.unique(values)
    return ordered[np.diff(ordered, prepend=-np.inf) > _APART]
