"""The gradient of version 1.0, which is given its circuit at construction."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

from ._reading import compat
from ._reading.observables import Observables
from .primitives.gradient import FastReverseEstimatorGradient

__all__ = ["FastEstimatorGradientResult", "FastReverseGradientEstimator"]

warnings.warn(
    "qiskit_torch_module.fast_gradients is a name of version 1.0; FastReverseEstimatorGradient of qiskit_torch_module "
    "takes the circuit with every call",
    DeprecationWarning,
    stacklevel=2,
)


@dataclass(frozen=True)
class FastEstimatorGradientResult:
    """Gradients (B, M, P), and metadata of the call."""

    gradients: npt.NDArray[np.float64]
    metadata: dict[str, Any]


class FastReverseGradientEstimator:
    """Gradients of the expectation values of one circuit, with the interface of version 1.0.

    Args:
        circuit: Unitary circuit.
        derivative_type: As for `FastReverseEstimatorGradient`; "real" alone gives plain gradients.
    """

    def __init__(self, circuit: QuantumCircuit, derivative_type: Any = "real") -> None:
        self.circuit = circuit
        self.derivative_type = derivative_type

    def run(
        self,
        observables: Observables,
        parameter_values: npt.ArrayLike | None = None,
        parameters: Iterable[Parameter] | None = None,
        **options: Any,
    ) -> Any:
        """Starts a job whose ``result()`` is a `FastEstimatorGradientResult`.

        Args:
            observables: One or several.
            parameter_values: Shape (B, P) or (P,), in the order of ``circuit.parameters``.
            parameters: With respect to which, in this order; None: all.
            options: ``num_threads``.

        Raises:
            TypeError, ValueError: as `FastReverseEstimatorGradient.jacobian`.
        """
        return compat.submitted(partial(self._run, **options), observables, parameter_values, parameters)

    def _run(
        self,
        observables: Observables,
        parameter_values: npt.ArrayLike | None,
        parameters: Iterable[Parameter] | None,
        num_threads: int = 0,
    ) -> FastEstimatorGradientResult:
        listed = list(self.circuit.parameters if parameters is None else parameters)
        gradient = FastReverseEstimatorGradient(self.derivative_type, num_threads=num_threads)
        jacobian = gradient.jacobian(self.circuit, observables, parameter_values, listed)
        return FastEstimatorGradientResult(jacobian, {"parameters": listed, "derivative_type": self.derivative_type})
