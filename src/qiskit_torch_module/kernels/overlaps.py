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
# Amplitudes of a state from which on one large product of matrices, for which these are copied, is faster than many.
_LEAST_AT_ONCE = 1 << 8

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


Factors = Callable[[slice, slice, torch.Tensor], torch.Tensor]


def _pulled_back(states: torch.Tensor, kept: list[torch.Tensor] | None, factors_of: Factors) -> torch.Tensor:
    """(F * G) S for a symmetric F, of which blocks of the upper half are asked for; its diagonal counts as zero."""
    if kept is not None and states.shape[1] >= _LEAST_AT_ONCE:
        return _pulled_back_at_once(states, kept, factors_of)
    gradient = torch.zeros_like(states)
    for rows, columns, overlaps in _Overlaps(states, None, kept):
        factors, rest = _without_diagonal(factors_of(rows, columns, overlaps), rows, columns), beyond(rows, columns)
        product = factors * overlaps
        gradient[rows].addmm_(product, states[columns])
        gradient[rest].addmm_(product[:, rest.start - columns.start :].mH, states[rows])
    return gradient


def _pulled_back_at_once(states: torch.Tensor, kept: list[torch.Tensor], factors_of: Factors) -> torch.Tensor:
    """The same, as one product of complex matrices; that takes three real ones: (X + iY)(A + iB) by (X + Y)(A + B)."""
    left = [states.real.new_empty(len(states), len(states)) for _ in range(2)]  # X is symmetric, Y antisymmetric
    for rows, columns, overlaps in _Overlaps(states, None, kept):
        factors, rest = _without_diagonal(factors_of(rows, columns, overlaps), rows, columns), beyond(rows, columns)
        for whole, part in zip(left, (overlaps.real, overlaps.imag), strict=True):
            torch.mul(factors, part, out=whole[rows, columns])
        left[0][rest, rows] = left[0][rows, rest].mT
        torch.neg(left[1][rows, rest].mT, out=left[1][rest, rows])
    right = [part.clone(memory_format=torch.contiguous_format) for part in (states.real, states.imag)]
    first, second = (one @ other for one, other in zip(left, right, strict=True))
    both = left[0].add_(left[1]) @ right[0].add_(right[1])
    gradient = torch.empty_like(states)
    torch.sub(first, second, out=gradient.real)
    torch.sub(both, first.add_(second), out=gradient.imag)
    return gradient


def _without_diagonal(factors: torch.Tensor, rows: slice, columns: slice) -> torch.Tensor:
    if is_diagonal(rows, columns):
        factors.diagonal().zero_()
    return factors


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
            lower = block[:, rest.start - columns.start :]  # once more, mirrored
            inner += (codes[rows] * (block @ codes[columns] + lower @ codes[rest])).sum(dtype=torch.float64)
            if with_rows:
                totals[rows] += block.sum(1)
                totals[rest] += lower.sum(0)
            square += block.square_().sum(dtype=torch.float64) + lower.sum(dtype=torch.float64)
        return inner, square, totals.double()

    @staticmethod
    def backward(
        ctx: Any, of_inner: torch.Tensor, of_square: torch.Tensor, of_rows: torch.Tensor
    ) -> tuple[torch.Tensor, None, None]:
        """By F = 4 dL/d<K, Y> Y + 8 dL/d<K, K> K + 2 (dL/dr_i + dL/dr_j), which is 2 (C + C^T)."""
        states, codes = ctx.saved_tensors
        of_inner, of_square, of_rows = (one.to(codes.dtype) for one in (of_inner, of_square, of_rows))

        def factors_of(rows: slice, columns: slice, overlaps: torch.Tensor) -> torch.Tensor:
            factors = (8 * of_square * squares(overlaps)).addmm_(4 * of_inner * codes[rows], codes[columns].mT)
            return factors + 2 * (of_rows[rows, None] + of_rows[columns]) if len(of_rows) else factors

        if torch.is_grad_enabled():  # create_graph=True
            overlaps = states @ states.mH
            factors = factors_of(slice(None), slice(None), overlaps)
            return ((factors - torch.diag(factors.diagonal())) * overlaps) @ states, None, None
        return _pulled_back(states, ctx.kept, factors_of), None, None
