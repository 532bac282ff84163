"""Products of the geometric tensor with vectors, without the tensor."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from .._core.shown import Shown, called
from .._core.sizes import counted
from .._differentiation.metric import Point
from .._differentiation.tangents import pushing, states_function
from .._simulation.states import MOST_AMPLITUDES
from .point import point_of, require_samples


class MetricOperator(Shown):
    """The geometric tensor, or the quantum Fisher information, as a linear map: what `tensor_operator` gives.

    A product moves the states along the vector, takes from that what is along the states themselves, and pulls it back:
    three passes of the circuit over all samples, whatever the number of weights. It is called with vectors, or used as
    ``operator @ vectors``.

    Attributes:
        shape: (P, P).
        dtype: Of the entries.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> model = qtm.QuantumModule(circuit, x, w, seed_init=0)
        >>> operator = qtm.geometry.fisher_operator(model, torch.zeros(3, 2))
        >>> operator(torch.ones(8)).shape
        torch.Size([8])
    """

    def __init__(self, point: Point, factor: float, is_real: bool) -> None:
        self._point, self._factor, self._is_real = point, factor, is_real
        self._columns = torch.tensor(point.columns, device=point.inputs.device) - point.inputs.shape[1]
        self.shape = (len(point.columns),) * 2
        self.dtype = point.inputs.dtype if is_real else point.complex_dtype
        at_once = max(1, MOST_AMPLITUDES // point.num_amplitudes)
        self._samples = [slice(i, i + at_once) for i in range(0, len(point.inputs), at_once)]
        self._kept: _Part | None = None

    def __repr__(self) -> str:
        what = "quantum Fisher information" if self._is_real else "quantum geometric tensor"
        samples = f"mean over {counted(len(self._point.inputs), 'sample')}"
        return called(self, what, f"shape {self.shape}", str(self.dtype).removeprefix("torch."), samples)

    def __call__(self, vectors: torch.Tensor) -> torch.Tensor:
        """Products with a vector (P,), or with the columns of (P, K).

        Args:
            vectors: Real, or, for the tensor, complex numbers.

        Raises:
            TypeError: no tensor, or complex vectors for the real operator.
            ValueError: another shape.
        """
        self._require(vectors)
        rows = vectors.detach().to(self._point.inputs.device).reshape(self.shape[0], -1).T
        if rows.is_complex():
            parts = self._products(torch.cat([rows.real, rows.imag]))
            products = torch.complex(
                parts[: len(rows)].real - parts[len(rows) :].imag, parts[: len(rows)].imag + parts[len(rows) :].real
            )
        else:
            products = self._products(rows)
        return products.T.reshape(vectors.shape).to(self.dtype)

    def __matmul__(self, vectors: torch.Tensor) -> torch.Tensor:
        return self(vectors)

    def linear_operator(self) -> Any:
        """The same for SciPy: a ``scipy.sparse.linalg.LinearOperator``, as its solvers (``cg``, ``minres``) take it."""
        from scipy.sparse.linalg import LinearOperator

        def product(vectors: Any) -> Any:
            return self(torch.from_numpy(np.ascontiguousarray(vectors))).numpy(force=True)

        dtype = torch.empty(0, dtype=self.dtype).numpy().dtype
        return LinearOperator(self.shape, product, rmatvec=product, matmat=product, rmatmat=product, dtype=dtype)

    def _require(self, vectors: Any) -> None:
        if not isinstance(vectors, torch.Tensor):
            raise TypeError(f"vectors: expected a tensor, got {type(vectors).__name__}; use torch.as_tensor(...)")
        if vectors.ndim not in (1, 2) or vectors.shape[0] != self.shape[0]:
            count = self.shape[0]
            raise ValueError(f"vectors: expected shape ({count},) or ({count}, K), got {tuple(vectors.shape)}")
        if vectors.is_complex() and self._is_real:
            raise TypeError("vectors: expected real numbers, got complex ones; the Fisher information is real")

    def _products(self, rows: torch.Tensor) -> torch.Tensor:
        """Of real vectors (K, P), shape (K, P)."""
        rows = rows.to(self._point.inputs.dtype)
        directions = rows.new_zeros(len(rows), sum(map(len, self._point.weights)))
        directions[:, self._columns] = rows
        total = sum(part.products(directions, self._is_real) for part in self._parts())
        assert isinstance(total, torch.Tensor)
        return total[:, self._columns] * (self._factor / len(self._point.inputs))

    def _parts(self) -> Iterator[_Part]:
        if len(self._samples) == 1:
            self._kept = self._kept or _Part(self._point, self._samples[0])
            yield self._kept
            return
        for samples in self._samples:
            yield _Part(self._point, samples)


class _Part:
    """States of some samples, and the functions that move them and pull back."""

    def __init__(self, point: Point, samples: slice) -> None:
        states = states_function(point.runners(point.inputs[samples]), point.num_threads)
        inputs, weights = point.inputs[samples], torch.cat(list(point.weights))
        with torch.no_grad():
            (self._states,), self._push, self._pull = pushing(lambda weights: (states(inputs, weights),), weights)

    def products(self, directions: torch.Tensor, is_real: bool) -> torch.Tensor:
        """Sums over the samples, (K, W), of directions (K, W) of all weights."""
        (moved,) = _mapped(self._push, directions)
        along = (self._states.conj() * moved).sum(-1, keepdim=True)
        moved = moved - along * self._states
        (real,) = _mapped(self._pull, moved)
        if is_real:
            return real
        (imaginary,) = _mapped(self._pull, -1j * moved)
        return torch.complex(real, imaginary)


def _mapped(function: Callable[..., Sequence[torch.Tensor]], rows: torch.Tensor) -> Sequence[torch.Tensor]:
    """A function of one row, for each row."""
    if len(rows) == 1:
        return [one[None] for one in function(rows[0])]
    found: Sequence[torch.Tensor] = torch.func.vmap(function)(rows)
    return found


def tensor_operator(model: Any, input: Any = None, *, sets: str | Sequence[str] | None = None) -> MetricOperator:
    """The quantum geometric tensor, averaged over samples, as products with vectors: what conjugate gradients need.

    Weights are those of the model now: the operator keeps to them when the model is trained further.

    Args:
        model: A `QuantumModule`.
        input: As for the model.
        sets: As for `quantum_geometric_tensor`, whose errors are raised.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> model = qtm.QuantumModule(circuit, x, w, seed_init=0)
        >>> operator = qtm.geometry.tensor_operator(model, torch.zeros(3, 2))
        >>> operator(torch.ones(8)).dtype
        torch.complex64
    """
    return MetricOperator(_point(model, input, sets), 1.0, is_real=False)


def fisher_operator(model: Any, input: Any = None, *, sets: str | Sequence[str] | None = None) -> MetricOperator:
    """The quantum Fisher information, likewise: products of real vectors, in two thirds of the time.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> model = qtm.QuantumModule(circuit, x, w, seed_init=0)
        >>> operator = qtm.geometry.fisher_operator(model, torch.zeros(3, 2))
        >>> operator.linear_operator().shape
        (8, 8)
    """
    return MetricOperator(_point(model, input, sets), 4.0, is_real=True)


def _point(model: Any, input: Any, sets: Any) -> Point:
    point, lead = point_of(model, input, sets)
    require_samples(lead)
    return point
