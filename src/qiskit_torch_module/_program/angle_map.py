"""Angles as functions of variables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .._reading.polynomials import Polynomial

Array = npt.NDArray[np.float64]


class AngleMap:
    """Angles as functions of variables, for many samples at once.

    Args:
        polynomials: R angles.

    Attributes:
        is_linear: Whether their derivatives depend on nothing.
    """

    def __init__(self, polynomials: Sequence[Polynomial]) -> None:
        self._count = len(polynomials)
        self._constants = np.array([polynomial.constant_value for polynomial in polynomials])
        terms: dict[int, list[tuple[int, tuple[int, ...], float]]] = {}
        for index, polynomial in enumerate(polynomials):
            for factors, coefficient in polynomial.terms:
                terms.setdefault(len(factors), []).append((index, factors, coefficient))
        terms.pop(0, None)
        self._terms = [
            (np.array([i for i, _, _ in some]), np.array([f for _, f, _ in some]), np.array([c for _, _, c in some]))
            for _, some in sorted(terms.items())
        ]
        self.is_linear = set(terms) <= {1}

    def angles(self, variables: Array) -> Array:
        """Shape (B, R), for variables (B, V)."""
        angles = np.tile(self._constants, (len(variables), 1))
        for index, factors, coefficient in self._terms:
            np.add.at(angles.T, index, (coefficient * np.prod(variables[:, factors], axis=2)).T)
        return angles

    def jacobian(self, variables: Array) -> Array:
        """Derivatives (B, R, V); (1, R, V) where they are the same for all samples."""
        some = np.zeros((1, variables.shape[1])) if self.is_linear else variables
        width = variables.shape[1]
        slopes = np.zeros((len(some), self._count * width))
        for index, factors, coefficient in self._terms:
            for place in range(factors.shape[1]):
                others = np.prod(some[:, np.delete(factors, place, axis=1)], axis=2)
                np.add.at(slopes.T, index * width + factors[:, place], (coefficient * others).T)
        return slopes.reshape(len(some), self._count, width)
