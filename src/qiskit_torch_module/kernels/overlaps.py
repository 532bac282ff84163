"""Overlaps of states, and what is made of them, with gradients: one product of complex matrices, block by block.

With states in the rows of S and T, G = S T^H holds the overlaps <t_j|s_i>, and the fidelities are K = |G|^2. A
cotangent C of K pulls back to

    dL/dS = 2 (C * G) T,    dL/dT = 2 (C * G)^H S,

and where S = T to the sum of both, 2 ((C + C^T) * G) S. Of G and of that hermitian factor, half is computed. The
diagonal is 1, as states are normalised, and pulls nothing back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch

from .._core.plain import is_plain
from .blocks import beyond, blocks, fill, is_diagonal, mirrored

# Overlaps of so many bytes are kept for the way back, and computed again beyond.
_MOST_KEPT = 1 << 27

Sums = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def squares(overlaps: torch.Tensor) -> torch.Tensor:
    """|G|^2."""
    real, imaginary = overlaps.real, overlaps.imag
    return torch.addcmul(real * real, imaginary, imaginary)


def fidelity_tile(rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """Fidelities of some states; rounding takes none beyond 1."""
    return squares(rows @ columns.mH).clamp_max_(1.0)


def fidelities(states: torch.Tensor, others: torch.Tensor | None = None) -> torch.Tensor:
    """|<other|state>|^2 as a matrix (N, M); differentiable, any number of times.

    Args:
        states: (N, D), complex.
        others: (M, D), of the same dtype; None: the states themselves, and the matrix is symmetric to the last bit.
    """
    if others is None:
        return _apply(_Symmetric, states) if is_ordinary(states) else _symmetric(states)
    return _apply(_Rectangular, states, others) if is_ordinary(states, others) else squares(states @ others.mH)


def sums(states: torch.Tensor, codes: torch.Tensor, with_rows: bool) -> Sums:
    """What the alignment of fidelities K with targets Y = V V^T is made of; differentiable in the states.

    Args:
        states: (N, D), complex.
        codes: V, (N, C), real; a constant.
        with_rows: Whether sums of rows are wanted.

    Returns:
        <K, Y> and <K, K>, the sums over all products of entries, and sums (N,) of the rows of K, or (0,); in double
        precision.
    """
    if is_ordinary(states):
        found: Sums = _apply(_Sums, states, codes, with_rows)
        return found
    return sums_of(_symmetric(states), codes, with_rows)


def sums_of(matrix: torch.Tensor, codes: torch.Tensor, with_rows: bool) -> Sums:
    """The same of a kernel matrix (N, N)."""
    rows = matrix.sum(1) if with_rows else matrix.new_empty(0)
    inner, square = (codes * (matrix @ codes)).sum(1), matrix.square().sum(1)
    return inner.double().sum(), square.double().sum(), rows.double()


def _apply(function: type[torch.autograd.Function], *arguments: Any) -> Any:
    return function.apply(*arguments)  # type: ignore[no-untyped-call]


def is_ordinary(*states: torch.Tensor) -> bool:
    """Whether functions in Python may be called: else PyTorch's own do all."""
    return not torch.compiler.is_compiling() and is_plain(states)


def _symmetric(states: torch.Tensor) -> torch.Tensor:
    return mirrored(squares(states @ states.mH), 1.0)


class _Overlaps:
    """Overlaps, block by block, kept if they are few."""

    def __init__(self, states: torch.Tensor, others: torch.Tensor | None, kept: list[torch.Tensor] | None) -> None:
        self._states, self._others, self._kept = states, others, kept

    def __iter__(self) -> Iterator[tuple[slice, slice, torch.Tensor]]:
        states = self._states
        others = states if self._others is None else self._others
        places = blocks(len(states), None if self._others is None else len(others))
        for number, (rows, columns) in enumerate(places):
            if self._kept is not None and number < len(self._kept):
                yield rows, columns, self._kept[number]
                continue
            overlaps = states[rows] @ others[columns].mH
            if self._kept is not None:
                self._kept.append(overlaps)
            yield rows, columns, overlaps


def _memory(ctx: Any, states: torch.Tensor, others: torch.Tensor | None) -> list[torch.Tensor] | None:
    """A place for overlaps, if there will be a way back and they are few."""
    numbers = len(states) ** 2 // 2 if others is None else len(states) * len(others)
    few = numbers * states.element_size() <= _MOST_KEPT
    ctx.kept = [] if few and True in ctx.needs_input_grad else None
    return ctx.kept  # type: ignore[no-any-return]


def _pulled_back(
    states: torch.Tensor,
    kept: list[torch.Tensor] | None,
    factors_of: Callable[[slice, slice, torch.Tensor], torch.Tensor],
) -> torch.Tensor:
    """(F * G) S for a symmetric F, of which blocks of the upper half are asked for; its diagonal counts as zero."""
    # Where overlaps are kept, so is the product of factors and overlaps: one product of matrices is faster than many.
    whole = states.new_empty(len(states), len(states)) if kept is not None else None
    gradient = torch.zeros_like(states) if whole is None else states
    for rows, columns, overlaps in _Overlaps(states, None, kept):
        factors, rest = factors_of(rows, columns, overlaps), beyond(rows, columns)
        if is_diagonal(rows, columns):
            factors.diagonal().zero_()
        product = torch.mul(factors, overlaps, out=None if whole is None else whole[rows, columns])
        mirror = product[:, rest.start - columns.start :].mH
        if whole is not None:
            whole[rest, rows] = mirror
        else:
            gradient[rows].addmm_(product, states[columns])
            gradient[rest].addmm_(mirror, states[rows])
    return gradient if whole is None else whole @ states


class _Symmetric(torch.autograd.Function):
    """Fidelities of states with each other."""

    @staticmethod
    def forward(ctx: Any, states: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(states)
        overlaps = iter(_Overlaps(states, None, _memory(ctx, states, None)))
        matrix = states.real.new_empty(len(states), len(states))
        return fill(matrix, lambda *_: squares(next(overlaps)[2]).clamp_max_(1.0), states, diagonal=1.0)

    @staticmethod
    def backward(ctx: Any, cotangent: torch.Tensor) -> torch.Tensor:
        (states,) = ctx.saved_tensors
        if torch.is_grad_enabled():  # create_graph=True
            factors = 2 * (cotangent + cotangent.mT)
            gradient: torch.Tensor = ((factors - torch.diag(factors.diagonal())) * (states @ states.mH)) @ states
            return gradient
        return _pulled_back(
            states,
            ctx.kept,
            lambda rows, columns, _: cotangent[rows, columns].add(cotangent[columns, rows].mT).mul_(2),
        )


class _Rectangular(torch.autograd.Function):
    """Fidelities of states with others."""

    @staticmethod
    def forward(ctx: Any, states: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(states, others)
        overlaps = iter(_Overlaps(states, others, _memory(ctx, states, others)))
        matrix = states.real.new_empty(len(states), len(others))
        return fill(matrix, lambda *_: squares(next(overlaps)[2]).clamp_max_(1.0), states, others)

    @staticmethod
    def backward(ctx: Any, cotangent: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        states, others = ctx.saved_tensors
        of_states, of_others = ctx.needs_input_grad
        if torch.is_grad_enabled():  # create_graph=True
            product = 2 * cotangent * (states @ others.mH)
            return product @ others if of_states else None, product.mH @ states if of_others else None
        left = torch.zeros_like(states) if of_states else None
        right = torch.zeros_like(others) if of_others else None
        for rows, columns, overlaps in _Overlaps(states, others, ctx.kept):
            product = cotangent[rows, columns].mul(2) * overlaps
            if left is not None:
                left[rows].addmm_(product, others[columns])
            if right is not None:
                right[columns].addmm_(product.mH, states[rows])
        return left, right


class _Sums(torch.autograd.Function):
    """Sums over fidelities of states with each other, which are nowhere in memory all at once."""

    @staticmethod
    def forward(ctx: Any, states: torch.Tensor, codes: torch.Tensor, with_rows: bool) -> Sums:
        ctx.save_for_backward(states, codes)
        inner, square = codes.new_zeros(2, dtype=torch.float64)
        totals = codes.new_zeros(len(states) if with_rows else 0)
        for rows, columns, overlaps in _Overlaps(states, None, _memory(ctx, states, None)):
            block, rest = squares(overlaps), beyond(rows, columns)
            if is_diagonal(rows, columns):
                block.diagonal().fill_(1.0)
            twice = block.new_full((block.shape[1], 1), 2.0)  # for the lower half, which is the same
            twice[: rest.start - columns.start] = 1.0
            inner += (codes[rows] * (block @ (twice * codes[columns]))).sum(dtype=torch.float64)
            square += (block.square() @ twice).sum(dtype=torch.float64)
            if with_rows:
                totals[rows] += block.sum(1)
                totals[rest] += block[:, rest.start - columns.start :].sum(0)
        return inner, square, totals.double()

    @staticmethod
    def backward(
        ctx: Any, of_inner: torch.Tensor, of_square: torch.Tensor, of_rows: torch.Tensor
    ) -> tuple[torch.Tensor, None, None]:
        """By F = 4 dL/d<K, Y> Y + 8 dL/d<K, K> K + 2 (dL/dr_i + dL/dr_j), which is 2 (C + C^T)."""
        states, codes = ctx.saved_tensors
        of_inner, of_square, of_rows = (one.to(codes.dtype) for one in (of_inner, of_square, of_rows))

        def factors_of(rows: slice, columns: slice, overlaps: torch.Tensor) -> torch.Tensor:
            factors = torch.addmm(8 * of_square * squares(overlaps), 4 * of_inner * codes[rows], codes[columns].mT)
            return factors + 2 * (of_rows[rows, None] + of_rows[columns]) if len(of_rows) else factors

        if torch.is_grad_enabled():  # create_graph=True
            overlaps = states @ states.mH
            factors = factors_of(slice(None), slice(None), overlaps)
            return ((factors - torch.diag(factors.diagonal())) * overlaps) @ states, None, None
        return _pulled_back(states, ctx.kept, factors_of), None, None
