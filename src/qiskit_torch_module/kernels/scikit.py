"""Quantum kernels among those of scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.gaussian_process import kernels

from .kernel import Kernel


class MatrixKernel(kernels.Kernel):  # type: ignore[misc]  # scikit-learn has no types
    """A quantum kernel that scikit-learn calls with all samples at once. It has no hyperparameters.

    Args:
        kernel: The quantum kernel.
    """

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel

    def __call__(self, X: Any, Y: Any = None, eval_gradient: bool = False) -> Any:  # noqa: N803  # its names
        """The matrix (N, M), and its gradient with respect to no hyperparameters, (N, N, 0), if that is asked for."""
        matrix = self.kernel.evaluate(X, Y)
        return (matrix, np.empty((*matrix.shape, 0))) if eval_gradient else matrix

    def diag(self, X: Any) -> npt.NDArray[Any]:  # noqa: N803
        """The diagonal (N,) of the matrix of samples with themselves."""
        return self.kernel.diagonal(torch.from_numpy(np.asarray(X, dtype=np.float64))).cpu().numpy()

    def is_stationary(self) -> bool:
        """False: it may depend on more than differences of samples."""
        return False
