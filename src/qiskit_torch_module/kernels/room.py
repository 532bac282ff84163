"""Where kernel matrices are written: in memory, if they fit, or to what a user gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from .._simulation.room import require_bytes

# Fewer bytes fit: to ask for the budget takes a tenth of the time of a kernel matrix of a MiB.
LEAST_ASKED = 1 << 26
DTYPES: Mapping[np.dtype[Any], torch.dtype] = {np.dtype("f4"): torch.float32, np.dtype("f8"): torch.float64}


def dtype_of(out: Any) -> torch.dtype:
    """The dtype in which a matrix is computed that is written to an array or a tensor."""
    if isinstance(out, torch.Tensor):
        return out.dtype if out.dtype in DTYPES.values() else torch.float64
    return DTYPES.get(out.dtype, torch.float64) if isinstance(out, np.ndarray) else torch.float64


def require_room(shape: tuple[int, int], dtype: torch.dtype) -> None:
    """Checks that a kernel matrix fits into memory.

    Raises:
        ValueError: it does not.
    """
    name = str(dtype).removeprefix("torch.")
    require_bytes(
        shape[0] * shape[1] * dtype.itemsize,
        f"x, y: the {shape[0]:,} x {shape[1]:,} numbers of a kernel matrix",
        "give a file to write to, such as "
        f"out=numpy.lib.format.open_memmap('kernel.npy', 'w+', '{name}', {shape}), or fewer samples",
        LEAST_ASKED,
    )


def writable(out: Any, shape: tuple[int, int], samples: torch.Tensor) -> torch.Tensor:
    """What a matrix of this shape is to be written to, as a tensor that shares its memory.

    Args:
        out: An array or a tensor.
        shape: Of the matrix.
        samples: Whose dtype and device it has.

    Raises:
        TypeError: another kind, dtype or device.
        ValueError: another shape, or nothing can be written to it.
    """
    dtype, device = samples.dtype, samples.device
    wanted = f"out: expected shape {shape} and dtype {str(dtype).removeprefix('torch.')}"
    if not isinstance(out, (np.ndarray, torch.Tensor)):
        raise TypeError(f"{wanted}, as an array or a tensor, got {type(out).__name__}")
    if tuple(out.shape) != shape:
        raise ValueError(f"{wanted}, a row for each sample x and a column for each sample y, got {tuple(out.shape)}")
    if _shares_entries(out):
        raise ValueError(
            f"{wanted}, with memory of its own for every entry, got one whose entries share some, as those of "
            "`expand` and `broadcast_to` do; give a copy, such as out.clone()"
        )
    if isinstance(out, np.ndarray):
        if DTYPES.get(out.dtype) is not dtype:
            raise TypeError(f"{wanted}, as samples and parameters have, got {out.dtype}")
        if not out.flags.writeable or any(stride < 0 for stride in out.strides):
            raise ValueError(f"{wanted}, an array that can be written to, got one that is read-only or backwards")
        return torch.from_numpy(out)
    if out.dtype is not dtype or out.device != device:
        raise TypeError(f"{wanted} on {device}, as samples and parameters have, got {out.dtype} on {out.device}")
    if out.requires_grad:
        raise ValueError(f"{wanted}, without requires_grad, as no gradients go through it; detach it")
    return out


def _shares_entries(out: np.ndarray[Any, Any] | torch.Tensor) -> bool:
    """Whether two entries of a matrix may lie at one place: rows or columns do not step over each other."""
    steps = [one // out.itemsize for one in out.strides] if isinstance(out, np.ndarray) else out.stride()
    (inner, inner_size), (outer, _) = sorted((abs(step), size) for step, size in zip(steps, out.shape, strict=True))
    if out.shape[0] < 2 or out.shape[1] < 2:
        return max(out.shape) > 1 and (inner if inner_size > 1 else outer) == 0
    return inner == 0 or outer < inner * inner_size
