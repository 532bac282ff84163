"""Kernel matrices, block by block: what is computed, mirrored and written stays in the cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import torch

# Rows of a block, whose products with up to a panel of columns take a few MiB.
ROWS = 128
# Columns of a block, and rows after which these start anew: pieces of a mirrored block are 4 pages of a file each.
PANEL = 4096

Tile = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class Rows(Protocol):
    """Features of samples, some rows at a time: a tensor is one."""

    def __getitem__(self, part: slice, /) -> torch.Tensor: ...


class Recomputed:
    """Features that are computed panel by panel; the last two of these are held, as one is multiplied with the other.

    Args:
        features: Of samples (N, D).
        samples: All of them.
        panel: Samples of a panel.
    """

    def __init__(self, features: Callable[[torch.Tensor], torch.Tensor], samples: torch.Tensor, panel: int) -> None:
        self._features, self._samples, self._panel = features, samples, panel
        self._held: dict[int, torch.Tensor] = {}  # by the first sample, the last one used at the end

    def __getitem__(self, part: slice, /) -> torch.Tensor:
        begin = part.start // self._panel * self._panel
        panel = self._held.pop(begin, None)
        if panel is None:
            if len(self._held) > 1:
                del self._held[next(iter(self._held))]
            panel = self._features(self._samples[begin : begin + self._panel])
        self._held[begin] = panel
        return panel[part.start - begin : part.stop - begin]


def _slices(begin: int, end: int, width: int) -> Iterator[slice]:
    for start in range(begin, end, width):
        yield slice(start, min(start + width, end))


def blocks(num_rows: int, num_columns: int | None, panel: int | None = None) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of all blocks; of a symmetric matrix (None) the upper half, diagonal blocks whole."""
    panel, end = panel or PANEL, num_rows if num_columns is None else num_columns
    for tall in _slices(0, num_rows, panel):
        for wide in _slices(tall.start if num_columns is None else 0, end, panel):
            for rows in _slices(tall.start, tall.stop, ROWS):
                yield rows, slice(max(wide.start, rows.start) if num_columns is None else wide.start, wide.stop)


def is_diagonal(rows: slice, columns: slice) -> bool:
    """Whether a block of the upper half begins on the diagonal."""
    return bool(rows.start == columns.start)


def beyond(rows: slice, columns: slice) -> slice:
    """The columns of a block of the upper half that are not on the diagonal: rows of the lower half."""
    return slice(rows.stop, columns.stop) if is_diagonal(rows, columns) else columns


def mirrored(square: torch.Tensor, diagonal: float | None) -> torch.Tensor:
    """The upper half of a square matrix, and the same below; the diagonal as it is (None), or set."""
    upper = square.triu(1)
    whole = upper + upper.mT
    if diagonal is None:
        return whole + torch.diag_embed(square.diagonal())
    return whole + diagonal * torch.eye(square.shape[0], dtype=square.dtype, device=square.device)


def fill(
    matrix: torch.Tensor,
    tile: Tile,
    rows: Rows,
    columns: Rows | None = None,
    diagonal: float | None = None,
    panel: int | None = None,
) -> torch.Tensor:
    """Computes a kernel matrix in place, without a graph.

    Args:
        matrix: Where it is written, (N, M).
        tile: The entries for features of some rows and of some columns.
        rows: Features of the rows.
        columns: And of the columns; None: the same, and the matrix is symmetric, to the last bit.
        diagonal: What a symmetric matrix has there; None: what is computed.
        panel: Rows and columns after which blocks begin anew; None: `PANEL`.
    """
    num_rows, num_columns = matrix.shape
    for part, across in blocks(num_rows, None if columns is None else num_columns, panel):
        if columns is not None:
            matrix[part, across] = tile(rows[part], columns[across])
            continue
        block = tile(rows[part], rows[across])
        rest, size = beyond(part, across), part.stop - part.start
        if is_diagonal(part, across):
            matrix[part, part] = mirrored(block[:, :size], diagonal)
            block = block[:, size:]
        matrix[part, rest] = block
        matrix[rest, part] = block.mT
    return matrix
