"""How well a kernel fits the labels of samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from .._core.arguments import flag
from .fidelity import FidelityKernel
from .kernel import Kernel
from .overlaps import is_ordinary, sums, sums_of


def target_alignment(
    kernel: Kernel | Callable[[Any], torch.Tensor], x: Any, labels: Any, balanced: bool = True, centered: bool = False
) -> torch.Tensor:
    """The alignment ``<K, Y> / (|K| |Y|)`` of a kernel matrix K with the one that labels make, Y.

    It is largest where they agree. Y_ij is 1 where samples i and j are of one class, and else -1 / (C - 1) for C
    classes. The gradient takes states, sums over K and one way back: its cost does not depend on the number of weights.
    Fidelities are nowhere in memory all at once. Differentiable with respect to weights and samples, any number of
    times; as a loss, take its negative.

    Args:
        kernel: A `FidelityKernel` or `ProjectedKernel`, or a function that gives the matrix (N, N) of samples, a
            tensor or an array.
        x: Samples (N, D).
        labels: The class of each sample (N,): whole numbers, of any dtype, or strings.
        balanced: Whether every class counts as much as every other one, however many samples it has: Y_ij is divided
            by the sizes of both classes.
        centered: Whether the mean of features over all samples is taken away, which shifts of the kernel then do not
            change: K and Y become H K H and H Y H with H = 1 - 1/N.

    Returns:
        A number, from -1 to 1.

    Raises:
        TypeError, ValueError: samples cannot be used, there are not as many labels, or these are of one class.

    Source: Cristianini et al., "On kernel-target alignment", NIPS 2001; Cortes et al., "Algorithms for learning kernels
    based on centered alignment", JMLR 13 (2012); Hubregtsen et al., arXiv:2105.02276.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> kernel = qtm.kernels.FidelityKernel(circuit, x, w, seed_init=0)
        >>> alignment = qtm.kernels.target_alignment(
        ...     kernel, torch.rand(4, 2), ["a", "b", "a", "b"]
        ... )
        >>> (-alignment).backward()
        >>> kernel.quantum.variational.grad.shape
        torch.Size([8])
    """
    balanced, centered = flag(balanced, "balanced"), flag(centered, "centered")
    if not callable(kernel) or isinstance(kernel, type):
        raise TypeError(
            f"kernel: expected a kernel or a function of samples, got {type(kernel).__name__}; give the kernel itself, "
            "or lambda samples: matrix"
        )
    codes = _codes(labels, balanced)
    if centered:
        codes = codes - codes.mean(0)
    if isinstance(kernel, FidelityKernel):
        states = kernel.features(x)
        _require_as_many(len(codes), len(states))
        inner, square, rows = sums(states, codes.to(states.device, states.real.dtype), centered)
        dtype = states.real.dtype
    else:
        matrix = torch.as_tensor(kernel(x))
        _require_as_many(len(codes), len(matrix))
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.is_floating_point():
            raise ValueError(
                f"kernel: expected a matrix (N, N) of real numbers for N samples, got {tuple(matrix.shape)}, "
                f"{matrix.dtype}"
            )
        dtype = matrix.dtype
        inner, square, rows = sums_of(matrix, codes.to(matrix.device, dtype), centered)
    if centered:
        square = square - 2 / len(rows) * (rows @ rows) + (rows.sum() / len(rows)) ** 2
        if is_ordinary(square) and square <= len(rows) ** 2 * torch.finfo(dtype).eps:
            raise ValueError(
                "kernel: expected one that tells some samples from others, got the same value for all pairs of them "
                "up to rounding: centered, nothing is left; use other samples or weights, or .double()"
            )
    alignment: torch.Tensor = inner / (square.sqrt() * torch.linalg.matrix_norm(codes.mT @ codes))
    return alignment.to(dtype)


def _require_as_many(num_labels: int, num_samples: int) -> None:
    if num_labels != num_samples:
        raise ValueError(f"labels: expected one for each of {num_samples} samples, got {num_labels}")


def _codes(labels: Any, balanced: bool) -> torch.Tensor:
    """V (N, C) with Y = V V^T, but for a factor: in the row of a sample, the corner of a simplex that is its class."""
    if isinstance(labels, torch.Tensor):
        labels = labels.detach().cpu().numpy()
    listed = np.asarray(labels)
    if listed.ndim != 1:
        raise ValueError(f"labels: expected shape (N,), one class for each sample, got {listed.shape}; use .ravel()")
    if listed.dtype.kind in "fc" and not np.all(np.isfinite(listed)):
        raise ValueError("labels: expected classes, got values that are not finite; leave these samples out")
    if listed.dtype.kind == "f" and len(fractions := listed[listed != np.round(listed)]):
        raise ValueError(
            f"labels: expected classes, got fractions such as {fractions[0]:g}; give the class of each sample, such as "
            "labels > 0.5, or whole numbers"
        )
    if listed.dtype.kind == "c":
        raise TypeError("labels: expected classes, as whole numbers or strings, got complex numbers; take .real")
    classes, place, counts = np.unique(listed, return_inverse=True, return_counts=True)
    if len(classes) < 2:
        got = f"one, {classes.tolist()[0]!r}" if len(classes) else "none"
        raise ValueError(f"labels: expected samples of at least two classes, got {got}; alignment compares classes")
    corners = np.eye(len(classes)) - 1 / len(classes)
    if balanced:
        corners /= counts[:, None]
    return torch.from_numpy(corners[place])
