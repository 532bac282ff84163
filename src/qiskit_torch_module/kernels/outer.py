"""Kernels of vectors, under the names that scikit-learn has for them, as functions of PyTorch.

What they compute is what ``sklearn.metrics.pairwise`` says, with its parameters; they are differentiable.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from .._core.arguments import finite_number

Pairwise = Callable[["Outer", torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Outer:
    """A kernel of vectors, with its parameters.

    Attributes:
        name: One of `NAMES`.
        gamma: Scale of distances, or of inner products.
        degree: Of a polynomial.
        coef0: What is added to inner products.
    """

    name: str
    gamma: float = 1.0
    degree: float = 3.0
    coef0: float = 1.0

    def __post_init__(self) -> None:
        if self.name not in _PAIRWISE:
            raise ValueError(f"outer: expected {', '.join(map(repr, NAMES))} or a function, got {self.name!r}")
        finite_number(self.gamma, "gamma", 0.0)
        finite_number(self.degree, "degree", 0.0)
        finite_number(self.coef0, "coef0", -float("inf"))

    def __call__(self, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
        """Entries (N, M) for vectors (N, F) and (M, F)."""
        return _PAIRWISE[self.name](self, rows, columns)

    @property
    def diagonal(self) -> float | None:
        """Of vectors with themselves, where that is a constant."""
        return 1.0 if self.name in ("rbf", "laplacian", "cosine") else None


def _rbf(outer: Outer, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    # Rounding may take a distance below zero; held there, its second derivatives at zero would be lost.
    squares = rows.square().sum(1)[:, None] + columns.square().sum(1)
    return (-outer.gamma * torch.addmm(squares, rows, columns.mT, alpha=-2)).exp()


def _laplacian(outer: Outer, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    return (-outer.gamma * torch.cdist(rows, columns, 1.0)).exp()


def _linear(outer: Outer, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    return rows @ columns.mT


def _polynomial(outer: Outer, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    return (outer.gamma * (rows @ columns.mT) + outer.coef0) ** outer.degree


def _sigmoid(outer: Outer, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    return (outer.gamma * (rows @ columns.mT) + outer.coef0).tanh()


def _cosine(outer: Outer, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    unit = torch.nn.functional.normalize
    return unit(rows) @ unit(columns).mT


_PAIRWISE: dict[str, Pairwise] = {
    "rbf": _rbf,
    "laplacian": _laplacian,
    "linear": _linear,
    "polynomial": _polynomial,
    "poly": _polynomial,
    "sigmoid": _sigmoid,
    "cosine": _cosine,
}
NAMES = tuple(_PAIRWISE)


@dataclass(frozen=True)
class Given:
    """A function of two matrices of vectors: of PyTorch, or one of ``sklearn.gaussian_process.kernels``.

    Attributes:
        function: Gets tensors (N, F) and (M, F); arrays, without gradients, if it is scikit-learn's.
    """

    function: Any
    diagonal = None

    def __call__(self, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
        """Entries (N, M)."""
        if type(self.function).__module__.startswith("sklearn."):
            found = self.function(rows.detach().cpu().numpy(), columns.detach().cpu().numpy())
        else:
            found = self.function(rows, columns)
        if not isinstance(found, torch.Tensor):
            found = torch.as_tensor(found)
        shape = (len(rows), len(columns))
        if tuple(found.shape) != shape or found.is_complex():
            raise ValueError(
                f"outer: expected a function of vectors {tuple(rows.shape)} and {tuple(columns.shape)} that returns "
                f"real numbers of shape {shape}, got shape {tuple(found.shape)}, {found.dtype}"
            )
        return found.to(rows)


def outer_of(given: Any, gamma: float, degree: float, coef0: float) -> Outer | Given:
    """The kernel of vectors that an argument names, or is.

    Raises:
        TypeError: neither a name nor a function, or a parameter is no number.
        ValueError: an unknown name, or a parameter out of bounds.
    """
    if isinstance(given, str):
        return Outer(given, gamma, degree, coef0)
    if isinstance(given, type) or not callable(given):
        raise TypeError(f"outer: expected {', '.join(map(repr, NAMES))} or a function, got {given!r}")
    return Given(given)
