"""The estimator of version 1.0, which is given its circuit at construction."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from qiskit import QuantumCircuit

from ._core.arguments import shot_count
from ._reading import compat
from ._reading.observables import Observables
from .primitives import estimator
from .primitives.triples import square

__all__ = ["FastEstimator", "FastEstimatorResult"]

warnings.warn(
    "qiskit_torch_module.fast_primitives is a name of version 1.0; FastEstimator of qiskit_torch_module takes the "
    "circuit with every call",
    DeprecationWarning,
    stacklevel=2,
)


@dataclass(frozen=True)
class FastEstimatorResult:
    """Expectation values (B, M), and metadata for each of them."""

    values: npt.NDArray[np.float64]
    metadata: list[list[dict[str, Any]]]


class FastEstimator:
    """Expectation values of one circuit, with the interface of version 1.0.

    Args:
        circuit: Unitary circuit.
        options: Defaults for the options of `run`.
    """

    def __init__(self, circuit: QuantumCircuit, *, options: dict[str, Any] | None = None) -> None:
        self.circuit = circuit
        self.options = dict(options or {})

    def set_options(self, **fields: Any) -> None:
        """Updates the defaults for the options of `run`."""
        self.options.update(fields)

    def run(self, observables: Observables, parameter_values: npt.ArrayLike | None = None, **options: Any) -> Any:
        """Starts a job whose ``result()`` is a `FastEstimatorResult`: all rows of values with all observables.

        Args:
            observables: One or several.
            parameter_values: Shape (B, P) or (P,), in the order of ``circuit.parameters``.
            options: ``num_threads``; ``shots`` and ``seed`` of simulated noise, with the variance of each observable.

        Raises:
            TypeError, ValueError: as `qiskit_torch_module.FastEstimator.expectation_values`.
        """
        listed = (
            list(observables)
            if isinstance(observables, Sequence) and not isinstance(observables, str)
            else [observables]
        )
        return compat.submitted(partial(self._run, **{**self.options, **options}), listed, parameter_values)

    def _run(
        self,
        observables: list[Any],
        parameter_values: npt.ArrayLike | None,
        num_threads: int = 0,
        shots: int | None = None,
        seed: int | np.random.Generator | None = None,
    ) -> FastEstimatorResult:
        exact = estimator.FastEstimator(num_threads=num_threads)
        values = exact.expectation_values(self.circuit, observables, parameter_values)
        metadata: list[list[dict[str, Any]]] = [[{} for _ in row] for row in values]
        count = shot_count(shots, "shots")
        if count is not None:
            squares = exact.expectation_values(self.circuit, list(map(square, observables)), parameter_values)
            variances = np.maximum(squares - values**2, 0.0)
            values = np.random.default_rng(seed).normal(values, np.sqrt(variances / count))
            metadata = [[{"shots": shots, "variance": float(variance)} for variance in row] for row in variances]
        return FastEstimatorResult(values, metadata)
