"""The optimisers of SciPy, for the parameters of a model."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from .models import chosen_parameters, require_loss, require_model

Vector = npt.NDArray[np.float64]

# What each method of SciPy takes: nothing but values, gradients, Hessians times vectors, or whole Hessians.
_VALUES = ("Nelder-Mead", "Powell", "COBYLA", "COBYQA")
_GRADIENTS = ("L-BFGS-B", "BFGS", "CG", "SLSQP", "TNC")
_PRODUCTS = ("Newton-CG", "trust-ncg", "trust-krylov", "trust-constr")
_HESSIANS = ("dogleg", "trust-exact")
METHODS = (*_GRADIENTS, *_VALUES, *_PRODUCTS, *_HESSIANS)


_LOSS = "a function of the model, such as lambda model: model().sum()"


class _Vectors:
    """The loss of a model, and its derivatives, as functions of one vector of double precision."""

    def __init__(
        self, model: torch.nn.Module, loss: Callable[[Any], Any], parameters: Iterable[torch.nn.Parameter]
    ) -> None:
        self._model, self._loss, self._parameters = model, loss, list(parameters)
        self.best: tuple[float, Vector] | None = None

    @property
    def here(self) -> Vector:
        return self._joined(self._parameters)

    def go(self, vector: Vector) -> None:
        """Gives the parameters of the model these values."""
        pieces = self._split(vector)
        with torch.no_grad():
            for one, piece in zip(self._parameters, pieces, strict=True):
                one.copy_(piece.reshape(one.shape))

    def value(self, vector: Vector) -> float:
        self.go(vector)
        with torch.no_grad():
            loss = self._loss(self._model)
        return self._seen(require_loss(loss).item(), vector)

    def value_and_gradient(self, vector: Vector) -> tuple[float, Vector]:
        self.go(vector)
        loss = self._differentiable()
        slopes = torch.autograd.grad(loss, self._parameters, allow_unused=True, materialize_grads=True)
        return self._seen(loss.item(), vector), self._joined(slopes)

    def product(self, vector: Vector, direction: Vector) -> Vector:
        """The Hessian times a direction."""
        (row,) = self._products(vector, [direction])
        return row

    def hessian(self, vector: Vector) -> npt.NDArray[np.float64]:
        return np.stack(self._products(vector, np.eye(len(vector))))

    def _products(self, vector: Vector, directions: Iterable[Vector]) -> list[Vector]:
        self.go(vector)
        slopes = torch.autograd.grad(
            self._differentiable(), self._parameters, create_graph=True, allow_unused=True, materialize_grads=True
        )
        rows = []
        for direction in directions:
            pieces = self._split(direction)
            paired = zip(slopes, pieces, strict=True)
            along = torch.stack([(slope * piece.reshape(slope.shape).to(slope)).sum() for slope, piece in paired])
            curved = torch.autograd.grad(
                along.sum(), self._parameters, retain_graph=True, allow_unused=True, materialize_grads=True
            )
            rows.append(self._joined(curved))
        return rows

    def _differentiable(self) -> torch.Tensor:
        with torch.enable_grad():
            loss = require_loss(self._loss(self._model))
        if not loss.requires_grad:
            raise ValueError(
                "loss: expected one that depends on the parameters of the model, got a number without a graph; use a "
                "method without gradients, such as COBYLA, or leave out .item() and .detach()"
            )
        return loss

    def _seen(self, value: float, vector: Vector) -> float:
        if self.best is None or value < self.best[0]:
            self.best = value, vector.astype(np.float64)
        return value

    def _split(self, vector: Vector) -> Sequence[torch.Tensor]:
        return torch.split(torch.from_numpy(vector.astype(np.float64)), [one.numel() for one in self._parameters])

    @staticmethod
    def _joined(tensors: Iterable[torch.Tensor]) -> Vector:
        parts = [one.detach().reshape(-1).cpu().double() for one in tensors]
        vector: Vector = torch.cat(parts).numpy()
        return vector


def _takes_one(function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function).bind(None)
    except TypeError:
        return False
    except ValueError:  # a built-in function that does not tell
        return True
    return True


def minimize(
    model: torch.nn.Module,
    loss: Callable[[Any], Any],
    method: str = "L-BFGS-B",
    params: Iterable[torch.Tensor] | None = None,
    **options: Any,
) -> Any:
    """Trains a model by an optimiser of SciPy, with exact gradients and Hessians times vectors where it takes them.

    Args:
        model: Any module; afterwards it holds the best parameters: those of the least loss that was computed, or, with
            bounds or constraints, those that SciPy returns. An exception, as Ctrl-C, leaves it with the least loss so
            far.
        loss: What it is trained for, a function of the model that returns a tensor of one number, such as ``lambda
            model: model().sum()``.
        method: One of ``scipy.optimize.minimize``, by name.
        params: Which parameters are trained; None: all that require gradients.
        options: Further arguments of ``scipy.optimize.minimize``: bounds, constraints, tol, callback, options. Vectors
            in them hold all parameters, in order.

    Returns:
        SciPy's ``OptimizeResult``, whose vectors are of double precision; `x` and `fun` are what the model holds.

    Raises:
        TypeError: an argument is of the wrong kind.
        ValueError: the method is unknown, a parameter is not of the model, or the loss is not finite.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> model = qtm.QuantumModule(circuit, x, w, seed_init=0)
        >>> result = qtm.optim.minimize(
        ...     model, lambda model: model(torch.zeros(1, 2)).sum(), method="BFGS"
        ... )
        >>> round(float(result.fun), 2)
        -2.0
    """
    from scipy import optimize

    require_model(model)
    if not callable(loss):
        raise TypeError(f"loss: expected {_LOSS}, got {loss!r}")
    if not _takes_one(loss):
        raise TypeError(f"loss: expected {_LOSS}, got a function that does not take one argument")
    name = _name_of(method)
    taken = {"fun", "x0", "jac", "hess", "hessp", "args"} & set(options)
    if taken:
        raise TypeError(f"options: expected arguments that SciPy is not given anyway, got {sorted(taken)}")
    vectors = _Vectors(model, loss, chosen_parameters(model, params).values())
    derivatives: dict[str, Any] = {} if name in _VALUES else {"jac": True}
    if name in _PRODUCTS:
        derivatives["hessp"] = vectors.product
    if name in _HESSIANS:
        derivatives["hess"] = vectors.hessian
    function = vectors.value if name in _VALUES else vectors.value_and_gradient
    is_free = options.get("bounds") is None and not options.get("constraints")
    try:
        result = optimize.minimize(function, vectors.here, method=name, **derivatives, **options)
    except BaseException:
        if vectors.best is not None:
            vectors.go(vectors.best[1])
        raise
    if is_free and vectors.best is not None and vectors.best[0] < result.fun:
        result.fun, result.x = vectors.best
    vectors.go(result.x)
    return result


def _name_of(method: Any) -> str:
    if not isinstance(method, str):
        raise TypeError(f"method: expected the name of one of {', '.join(METHODS)}, got {method!r}")
    found = next((name for name in METHODS if name.lower() == method.lower()), None)
    if found is None:
        raise ValueError(f"method: expected one of {', '.join(METHODS)}, got {method!r}")
    return found
