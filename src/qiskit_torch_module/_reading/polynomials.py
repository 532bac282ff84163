"""Angles as polynomials of the variables of a program (inputs first, then weights)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# Polynomials up to this degree are computed by the engine itself.
MAX_DEGREE = 4


@dataclass(frozen=True)
class Polynomial:
    """A sum of ``coefficient * product of variables``.

    ``terms`` holds pairs (variable indices in ascending order, repeated for powers; coefficient); the empty tuple
    of variables is the constant.
    """

    terms: tuple[tuple[tuple[int, ...], float], ...] = ()

    @staticmethod
    def of(terms: Mapping[tuple[int, ...], float]) -> Polynomial:
        return Polynomial(tuple(sorted((v, c) for v, c in terms.items() if c != 0.0)))

    @staticmethod
    def constant(value: float) -> Polynomial:
        return Polynomial.of({(): float(value)})

    @staticmethod
    def variable(index: int) -> Polynomial:
        return Polynomial((((index,), 1.0),))

    @staticmethod
    def sum(polynomials: Iterable[Polynomial]) -> Polynomial:
        return Polynomial.sum_of(term for polynomial in polynomials for term in polynomial.terms)

    @staticmethod
    def sum_of(terms: Iterable[tuple[tuple[int, ...], float]]) -> Polynomial:
        """From terms that may share their variables."""
        terms = tuple(terms)
        if len(terms) == 1 and terms[0][1] != 0.0:
            return Polynomial(terms)
        coefficients: dict[tuple[int, ...], float] = {}
        for variables, coefficient in terms:
            coefficients[variables] = coefficients.get(variables, 0.0) + coefficient
        return Polynomial.of(coefficients)

    def text(self, number: Callable[[float], str], name: Callable[[int], str]) -> str:
        """In writing, with coefficients and variables as functions write them."""
        parts = []
        for variables, coefficient in self.terms:
            factors = [name(variable) for variable in variables]
            parts.append("·".join(factors if variables and coefficient == 1.0 else [number(coefficient), *factors]))
        return " + ".join(parts).replace("+ -", "- ") or "0"

    def __add__(self, other: Polynomial) -> Polynomial:
        return Polynomial.sum((self, other))

    def __mul__(self, factor: float) -> Polynomial:
        if factor == 1.0:
            return self
        return Polynomial.of({variables: factor * coefficient for variables, coefficient in self.terms})

    __rmul__ = __mul__

    def __neg__(self) -> Polynomial:
        return self * -1.0

    @property
    def degree(self) -> int:
        return max((len(variables) for variables, _ in self.terms), default=0)

    @property
    def constant_value(self) -> float:
        return dict(self.terms).get((), 0.0)

    def gradient(self, variables: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Derivative with respect to each of V variables, for values of shape (B, V); shape (B, V)."""
        slopes = np.zeros_like(variables)
        for factors, coefficient in self.terms:
            for position, index in enumerate(factors):
                others = [i for other, i in enumerate(factors) if other != position]
                slopes[:, index] += coefficient * np.prod(variables[:, others], axis=1)
        return slopes

    def relabelled(self, new_index: Sequence[int] | Mapping[int, int]) -> Polynomial:
        """The same polynomial after variable i has become variable ``new_index[i]``."""
        return Polynomial.of({tuple(sorted(new_index[i] for i in variables)): c for variables, c in self.terms})
