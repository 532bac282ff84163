"""All that differs between the versions of Qiskit (0.44 through 2.x)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

try:
    from qiskit.primitives import BaseEstimatorV2, DataBin, PrimitiveResult, PubResult
    from qiskit.primitives.containers.estimator_pub import EstimatorPub
except ImportError:  # before Qiskit 1.0
    BaseEstimatorV2 = object
    DataBin = PrimitiveResult = PubResult = EstimatorPub = None

try:
    from qiskit.primitives.containers import make_data_bin
except ImportError:  # before Qiskit 1.0, and from 1.1 on
    make_data_bin = None

try:
    from qiskit.primitives import EstimatorResult
except ImportError:  # Qiskit 2 has no V1 primitives
    EstimatorResult = None

from qiskit.primitives.primitive_job import PrimitiveJob

__all__ = [
    "BaseEstimatorV2",
    "EstimatorPub",
    "EstimatorResult",
    "PrimitiveJob",
    "PrimitiveResult",
    "PubResult",
    "estimates",
    "is_conditioned",
    "submitted",
]


def estimates(values: npt.NDArray[np.float64], errors: npt.NDArray[np.float64]) -> Any:
    """The data of an estimator PUB's result (its class is made for each shape in Qiskit 1.0)."""
    if make_data_bin is not None:
        kinds = [("evs", np.ndarray), ("stds", np.ndarray)]
        return make_data_bin(kinds, shape=values.shape)(evs=values, stds=errors)
    return DataBin(evs=values, stds=errors, shape=values.shape)


def is_conditioned(operation: Any) -> bool:
    """Whether a gate depends on classical bits by ``c_if`` (gone in Qiskit 2, deprecated in 1.3)."""
    private = getattr(operation, "_condition", None)
    if private is not None or hasattr(operation, "_condition"):
        return private is not None
    return getattr(operation, "condition", None) is not None


def submitted(function: Any, *arguments: Any) -> Any:
    """A running job (its submit method became private in Qiskit 1.0)."""
    job = PrimitiveJob(function, *arguments)
    (job._submit if hasattr(job, "_submit") else job.submit)()
    return job
