"""The network of version 1.0 between circuit and module: arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

from .._reading.measurements import without_measurements
from .._reading.observables import Observables
from ..outputs.trainable import with_coefficients
from ..primitives.estimator import FastEstimator
from ..primitives.gradient import FastReverseEstimatorGradient
from .module import QuantumModule

__all__ = ["QNN"]


class QNN:
    """Expectation values and gradients of a parameterised circuit, with the interface of version 1.0.

    `QuantumModule` does the same for tensors; ``model.qnn`` has this interface.

    Args:
        circuit: Unitary circuit.
        encoding_params: Parameters that take data, or None.
        variational_params: One sequence of trainable parameters, or a sequence of sets.
        observables: As for `QuantumModule`.
        num_threads_forward: Threads for values; 0: as ``torch.get_num_threads()``.
        num_threads_backward: Threads for gradients, likewise.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> model = qtm.QuantumModule(circuit, x, w, seed_init=0)
        >>> values = model.qnn.forward([[0.1, 0.2]], model.variational.tolist())
        >>> values.shape, values.dtype
        ((1, 2), dtype('float64'))
    """

    def __init__(
        self,
        circuit: QuantumCircuit,
        encoding_params: Iterable[Parameter] | None,
        variational_params: Iterable[Any] | None,
        observables: Observables = "individualZ",
        num_threads_forward: int = 0,
        num_threads_backward: int = 0,
    ) -> None:
        self._model = QuantumModule(
            circuit,
            encoding_params,
            variational_params,
            variational_params_initial="constant",
            observables=observables,
            num_threads_forward=num_threads_forward,
            num_threads_backward=num_threads_backward,
        )

    @classmethod
    def of(cls, model: QuantumModule) -> QNN:
        """The network within a module: they share circuit, observables and numbers of threads."""
        network = cls.__new__(cls)
        network._model = model
        return network

    def forward(self, encoding_data: Any, variational_weights: Any) -> npt.NDArray[np.float64]:
        """Expectation values (B, M).

        Args:
            encoding_data: Shape (B, N) or (N,); None where there are no encoding parameters.
            variational_weights: All weights in one sequence, or one sequence for each set.
        """
        estimator = FastEstimator(num_threads=self._model.num_threads_forward)
        return estimator.expectation_values(
            self._unmeasured(), self._observed(), self._columns(encoding_data, variational_weights)
        )

    def backward(
        self,
        encoding_data: Any,
        variational_weights: Any,
        encoding_gradients: bool = False,
        variational_gradients: Sequence[bool] | bool = True,
    ) -> tuple[npt.NDArray[np.float64] | None, Any]:
        """Gradients (B, M, N) with respect to the inputs, and (B, M, W) with respect to all weights.

        Args:
            encoding_data: As for `forward`.
            variational_weights: As for `forward`.
            encoding_gradients: Whether those with respect to the inputs are wanted; else None.
            variational_gradients: Whether those with respect to the weights are; a sequence of flags gives a list with
                one entry for each set, None where it is not wanted.
        """
        inputs, sets = self._model.encoding_parameters, self._model.variational_parameters
        is_single = isinstance(variational_gradients, bool)
        flags = (
            [variational_gradients] * len(sets) if isinstance(variational_gradients, bool) else variational_gradients
        )
        if len(flags) != len(sets):
            raise ValueError(f"variational_gradients: expected one flag for all or {len(sets)}, got {len(flags)}")
        chosen = [parameter_set for parameter_set, is_wanted in zip(sets, flags, strict=True) if is_wanted]
        wanted = [inputs, *chosen] if encoding_gradients else chosen
        if not wanted:
            raise ValueError("encoding_gradients, variational_gradients: expected some to be wanted, got none")
        gradient = FastReverseEstimatorGradient(num_threads=self._model.num_threads_backward)
        columns = self._columns(encoding_data, variational_weights)
        jacobian = gradient.jacobian(
            self._unmeasured(),
            self._observed(),
            columns,
            [parameter for parameter_set in wanted for parameter in parameter_set],
        )
        parts = iter(np.split(jacobian, np.cumsum([len(parameter_set) for parameter_set in wanted])[:-1], axis=2))
        first = next(parts) if encoding_gradients else None
        if is_single:
            return first, (np.concatenate(list(parts), axis=2) if variational_gradients else None)
        return first, [next(parts) if is_wanted else None for is_wanted in flags]

    def _unmeasured(self) -> QuantumCircuit:
        """The circuit without measurements at its end, which observables replace."""
        return without_measurements(self._model.circuit)[0]

    def _observed(self) -> Any:
        """Observables; those whose coefficients are trained with the present ones."""
        return with_coefficients(self._model.observables, self._model._coefficients())

    def _columns(self, encoding_data: Any, variational_weights: Any) -> dict[Parameter, Any]:
        inputs, sets = self._model.encoding_parameters, self._model.variational_parameters
        is_flat = isinstance(variational_weights, torch.Tensor) or not len(variational_weights)
        if is_flat or np.ndim(variational_weights[0]) == 0:
            weights = np.asarray(variational_weights, dtype=np.float64)
        else:
            weights = np.concatenate([np.asarray(values, dtype=np.float64) for values in variational_weights])
        rows = np.atleast_2d(np.asarray([] if encoding_data is None else encoding_data, dtype=np.float64))
        if rows.shape[1] != len(inputs):
            raise ValueError(f"encoding_data: expected shape (batch, {len(inputs)}), got {rows.shape}")
        listed = [parameter for parameter_set in sets for parameter in parameter_set]
        if weights.shape != (len(listed),):
            raise ValueError(f"variational_weights: expected {len(listed)} in all, got shape {weights.shape}")
        columns = {parameter: rows[:, index] for index, parameter in enumerate(inputs)}
        return columns | {parameter: [value] for parameter, value in zip(listed, weights, strict=True)}

    def circuit(self) -> QuantumCircuit:
        """The circuit."""
        return self._model.circuit

    def parameters(self) -> tuple[list[Parameter], list[list[Parameter]]]:
        """Encoding parameters, and the sets of variational ones."""
        return self.input_parameters(), self.trainable_parameters()

    def input_parameters(self) -> list[Parameter]:
        """Encoding parameters."""
        return self._model.encoding_parameters

    def trainable_parameters(self) -> list[list[Parameter]]:
        """Sets of variational parameters."""
        return self._model.variational_parameters

    def num_parameters(self) -> tuple[int, list[int]]:
        """Numbers of encoding parameters, and of variational ones in each set."""
        return self.num_input_parameters(), self.num_trainable_parameters()

    def num_input_parameters(self) -> int:
        """Number of encoding parameters."""
        return len(self.input_parameters())

    def num_trainable_parameters(self) -> list[int]:
        """Numbers of variational parameters in each set."""
        return [len(parameter_set) for parameter_set in self.trainable_parameters()]

    def observables(self) -> Observables:
        """The observables as they were given."""
        return self._model.observables

    def num_observables(self) -> int:
        """Number of observables."""
        return self._model.output_size

    def num_threads_forward(self) -> int:
        """Threads for values; 0: as ``torch.get_num_threads()``."""
        return self._model.num_threads_forward

    def num_threads_backward(self) -> int:
        """Threads for gradients; 0: as ``torch.get_num_threads()``."""
        return self._model.num_threads_backward

    def set_num_threads_forward(self, num_threads_forward: int) -> None:
        """Sets the threads for values."""
        self._model.set_num_threads_forward(num_threads_forward)

    def set_num_threads_backward(self, num_threads_backward: int) -> None:
        """Sets the threads for gradients."""
        self._model.set_num_threads_backward(num_threads_backward)
