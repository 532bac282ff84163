"""Samples and their weights, checked as scikit-learn does."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

try:
    from sklearn.utils.validation import validate_data
except ImportError:  # before scikit-learn 1.6
    validate_data = None

Array = npt.NDArray[Any]


def checked_samples(estimator: Any, *arguments: Any, **options: Any) -> Any:
    """Samples, or samples and targets, as arrays; what an estimator was fitted with decides on their width."""
    if validate_data is None:
        return estimator._validate_data(*arguments, **options)
    return validate_data(estimator, *arguments, **options)


def sample_weights(weights: Any, inputs: Array) -> Array | None:
    """Weights of samples, or None.

    Raises:
        ValueError: not one for each sample, negative, or all of them zero.
    """
    if weights is None:
        return None
    if isinstance(weights, Real):
        weights = np.full(len(inputs), weights)
    array: Array = np.asarray(weights, dtype=np.float64)
    if array.shape != (len(inputs),):
        raise ValueError(f"sample_weight: expected one for each of {len(inputs)} samples, got shape {array.shape}")
    if not np.isfinite(array).all() or (array < 0).any() or not array.any():
        raise ValueError("sample_weight: expected finite weights, none negative and not all zero")
    return array


def plain(given: Any) -> Any:
    """Labels as values of Python, so that messages say nothing of NumPy's types."""
    if isinstance(given, (np.ndarray, np.generic)):
        return given.tolist()
    if isinstance(given, Mapping):
        return {plain(key): plain(value) for key, value in given.items()}
    return [plain(one) for one in given] if isinstance(given, (list, tuple)) else given
