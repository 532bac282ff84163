"""Linear systems whose matrix is the metric of a model's states: solved in the smaller of two spaces."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from .._differentiation.tangents import tangents
from ..geometry import fisher_information
from ..modules.module import QuantumModule


@dataclass(frozen=True)
class Solution:
    """What the inverse of a metric makes of a gradient.

    Attributes:
        direction: Shape (P,), float64.
        rank: Of the metric, where that was asked for.
    """

    direction: torch.Tensor
    rank: int | None = None


@dataclass(frozen=True)
class Solver:
    """Solves F d = g, or (F + damping) d = g, for the real part F of the quantum geometric tensor, a mean over samples.

    F = A^T A, where A holds the derivatives of all amplitudes, real and imaginary, less what is a phase. Where A has
    fewer rows than columns, the space of samples is the smaller one, and A A^T takes the place of F:

        (A^T A + c)^-1 = (1 - A^T (A A^T + c)^-1 A) / c,        (A^T A)^+ = A^T ((A A^T)^+)^2 A.

    Attributes:
        damping: c; 0: the solution of minimum norm.
        tolerance: Eigenvalues count as zero below so much of the largest; where there is no damping.
    """

    damping: float
    tolerance: float

    def solved(self, states: QuantumModule, input: torch.Tensor, names: list[str], gradient: torch.Tensor) -> Solution:
        """For some sets, with all their cross terms.

        Args:
            states: The module, as one that gives states.
            input: Shape (B, N), float64.
            names: The sets.
            gradient: Of them, shape (P,), float64.
        """
        rows = 2 * max(1, len(input)) * _amplitudes(states)
        if rows < len(gradient):
            return self._by_samples(_moves(states, input, names), gradient)
        matrix = fisher_information(states, input, sets=names) / 4
        return self._by_parameters(matrix, gradient)

    def _by_parameters(self, matrix: torch.Tensor, gradient: torch.Tensor) -> Solution:
        if self.damping > 0:
            damped = matrix + self.damping * torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)
            factor = torch.linalg.cholesky(damped)
            return Solution(torch.cholesky_solve(gradient[:, None], factor)[:, 0])
        values, vectors = torch.linalg.eigh(matrix)
        inverse = self._inverse(values)
        return Solution(vectors @ (inverse * (vectors.T @ gradient)), int((inverse > 0).sum()))

    def _by_samples(self, moves: torch.Tensor, gradient: torch.Tensor) -> Solution:
        along, gram = moves @ gradient, moves @ moves.T
        if self.damping > 0:
            damped = gram + self.damping * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
            found = torch.cholesky_solve(along[:, None], torch.linalg.cholesky(damped))[:, 0]
            return Solution((gradient - moves.T @ found) / self.damping)
        values, vectors = torch.linalg.eigh(gram)
        inverse = self._inverse(values)
        return Solution(moves.T @ (vectors @ (inverse**2 * (vectors.T @ along))), int((inverse > 0).sum()))

    def diagonal(
        self, states: QuantumModule, input: torch.Tensor, names: list[str], gradient: torch.Tensor
    ) -> Solution:
        """As `solved`, by what each weight has with itself alone."""
        values = fisher_information(states, input, "diagonal", sets=names).diagonal() / 4
        if self.damping > 0:
            return Solution(gradient / (values + self.damping))
        inverse = self._inverse(values)
        return Solution(inverse * gradient, int((inverse > 0).sum()))

    def _inverse(self, values: torch.Tensor) -> torch.Tensor:
        """Of eigenvalues; zero where they count as such."""
        counts = values > self.tolerance * values.max().clamp_min(torch.finfo(values.dtype).tiny)
        return torch.where(counts, 1 / torch.where(counts, values, 1.0), 0.0)


def _amplitudes(states: QuantumModule) -> int:
    return 1 << states._program.evolution.num_qubits


def _moves(states: QuantumModule, input: torch.Tensor, names: list[str]) -> torch.Tensor:
    """A, shape (2 B 2^n, P)."""
    inputs, weights, _ = states._variables(input)
    columns: list[int] = []
    first = states.input_size
    for name, vector in zip(states.variational_names, weights, strict=True):
        if name in names:
            columns += range(first, first + len(vector))
        first += len(vector)
    rows = inputs.reshape(-1, states.input_size) if states.input_size else inputs.reshape(1, 0)
    found = tangents(states._runners, rows, weights, columns, states.num_threads_forward)
    slopes = found.slopes - (found.states.conj() * found.slopes).sum(2, keepdim=True) * found.states
    moves: torch.Tensor = torch.view_as_real(slopes).flatten(1).T / len(rows) ** 0.5
    return moves
