"""Kernels of the reduced states of single qubits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

from .._simulation.choose import AUTO
from .._simulation.method import Method
from ..modules.initial import Initial
from .blocks import mirrored
from .kernel import Kernel, require_circuit
from .outer import Given, Outer, outer_of


class ProjectedKernel(Kernel):
    """A kernel of the reduced states rho_q(x) of single qubits q.

    Such as ``exp(-gamma sum_q |rho_q(x) - rho_q(y)|_F^2)``. Where fidelities of many qubits vanish, these still tell
    near samples from far ones. The features of a sample are the coordinates of its reduced states in the basis of
    Paulis (1, X, Y, Z) / sqrt 2: their inner product is sum_q Tr rho_q(x) rho_q(y), and their squared distance the one
    above. One native call computes all of them.

    Args:
        feature_map: Unitary circuit; measurements at its end are left out.
        encoding_params: Parameters that take the columns of samples, in this order.
        variational_params: Trainable parameters: one sequence, or a sequence of sets; None: there are none.
        outer: The kernel of the features, by its name in ``sklearn.metrics.pairwise``: "rbf", "laplacian", "linear",
            "polynomial", "sigmoid" or "cosine"; all are differentiable. Or a function of features (N, F) and (M, F)
            that returns (N, M), a tensor; or one of ``sklearn.gaussian_process.kernels``, which has no gradients.
        gamma: Of "rbf", "laplacian", "polynomial" and "sigmoid". (scikit-learn's default is one over the number of
            features.)
        degree: Of "polynomial".
        coef0: Of "polynomial" and "sigmoid".
        variational_params_names: Names of the sets, as for `QuantumModule`.
        variational_params_initial: How each set starts, as for `QuantumModule`.
        seed_init: Seed for the initial values; the global random state is left as it was.
        num_threads_forward: Threads for features; 0: as ``torch.get_num_threads()``.
        num_threads_backward: Threads for gradients with respect to features, likewise.
        method: What computes, as for `QuantumModule`.

    Raises:
        TypeError: an argument is of the wrong kind.
        ValueError: an argument cannot be used, the outer kernel is unknown, or there are no encoding parameters.

    Source: Huang et al., "Power of data in quantum machine learning", arXiv:2011.01938, equation 9.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> kernel = qtm.kernels.ProjectedKernel(
        ...     circuit, x, w, outer="rbf", gamma=0.5, seed_init=0
        ... )
        >>> kernel(torch.rand(3, 2)).shape, kernel.features(torch.rand(3, 2)).shape
        (torch.Size([3, 3]), torch.Size([3, 8]))
    """

    def __init__(
        self,
        feature_map: QuantumCircuit,
        encoding_params: Iterable[Parameter],
        variational_params: Iterable[Any] | None = None,
        outer: Any = "rbf",
        gamma: float = 1.0,
        degree: float = 3.0,
        coef0: float = 1.0,
        variational_params_names: Sequence[str] | str | None = None,
        variational_params_initial: Initial | Sequence[Initial] = "uniform",
        seed_init: int | None = None,
        num_threads_forward: int = 0,
        num_threads_backward: int = 0,
        method: str | Method = AUTO,
    ) -> None:
        outer = outer_of(outer, gamma, degree, coef0)
        num_qubits = require_circuit(feature_map).num_qubits
        super().__init__(
            ["I" * (num_qubits - 1 - qubit) + letter + "I" * qubit for qubit in range(num_qubits) for letter in "XYZ"],
            feature_map,
            encoding_params,
            variational_params,
            variational_params_names,
            variational_params_initial,
            seed_init,
            num_threads_forward,
            num_threads_backward,
            method,
        )
        self._outer: Outer | Given = outer
        self._diagonal = outer.diagonal

    def features(self, x: Any) -> torch.Tensor:
        """Coordinates (N, 4 n) of the reduced states of n qubits: 1, <X>, <Y> and <Z> of each, over sqrt 2.

        Differentiable.

        Raises:
            TypeError, ValueError: as `forward`.
        """
        bloch = self.quantum(self._samples(x, None)[0]).unflatten(1, (-1, 3))
        return torch.cat([torch.ones_like(bloch[..., :1]), bloch], 2).flatten(1) * math.sqrt(0.5)

    def _matrix(self, features: torch.Tensor, others: torch.Tensor | None) -> torch.Tensor:
        if others is not None:
            return self._tile(features, others)
        return mirrored(self._tile(features, features), self._diagonal)

    def _tile(self, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
        entries: torch.Tensor = self._outer(rows, columns)
        return entries

    def extra_repr(self) -> str:
        """The outer kernel."""
        return repr(self._outer)
