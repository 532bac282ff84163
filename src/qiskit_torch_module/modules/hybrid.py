"""A quantum layer between two linear ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

from .._core.arguments import tensor_of, whole_number
from .._program.origins import first_not_finite
from .._reading.parameters import parameter_list
from .._simulation.choose import AUTO
from .._simulation.method import Method, Spending
from .initial import Initial, seeded
from .inputs import one_of
from .module import QuantumModule
from .shown import html_of_layers


class HybridModule(torch.nn.Module):
    """Linear layer, `QuantumModule` with <Z> of every qubit, linear layer; differentiable end to end.

    Args:
        circuit: Unitary circuit on n qubits.
        encoding_params: Parameters that take the outputs of the first linear layer, in this order.
        variational_params: As for `QuantumModule`, like the arguments that are not listed here.
        input_size: Width of the input.
        output_size: Width of the output.
        variational_params_names: Names of the sets.
        variational_params_initial: How each set starts.
        seed_init: Seed for the initial values of all three layers; the global random state is left as it was.
        num_threads_forward: Threads for values; 0: as ``torch.get_num_threads()``.
        num_threads_backward: Threads for gradients, likewise.
        method: The method that computes the quantum layer, as for `QuantumModule`.

    Raises:
        TypeError: an argument is of the wrong kind.
        ValueError: an argument cannot be used, or there are no encoding parameters.

    Source: Meyer et al., "Qiskit-Torch-Module: Fast Prototyping of Quantum Neural Networks", arXiv:2404.06314.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> model = qtm.HybridModule(
        ...     circuit, x, w, input_size=4, output_size=3, seed_init=0
        ... )
        >>> model(torch.rand(5, 4)).shape
        torch.Size([5, 3])
    """

    def __init__(
        self,
        circuit: QuantumCircuit,
        encoding_params: Iterable[Parameter],
        variational_params: Iterable[Any] | None,
        input_size: int,
        output_size: int,
        variational_params_names: Sequence[str] | str | None = None,
        variational_params_initial: Initial | Sequence[Initial] = "uniform",
        seed_init: int | None = None,
        num_threads_forward: int = 0,
        num_threads_backward: int = 0,
        method: str | Method = AUTO,
    ) -> None:
        super().__init__()
        encoding = parameter_list(encoding_params, "encoding_params")
        if not encoding:
            raise ValueError(
                "encoding_params: expected at least one, for the outputs of the first linear layer, got none"
            )
        input_size, output_size = _width(input_size, "input_size"), _width(output_size, "output_size")
        with seeded(seed_init):
            self.preprocessing = torch.nn.Linear(input_size, len(encoding))
            self.quantum = QuantumModule(
                circuit,
                encoding,
                variational_params,
                variational_params_names,
                variational_params_initial,
                num_threads_forward=num_threads_forward,
                num_threads_backward=num_threads_backward,
                method=method,
            )
            self.postprocessing = torch.nn.Linear(self.quantum.output_size, output_size)

    def forward(self, input: Any = None, input_tensor: Any = None) -> torch.Tensor:
        """Output of the three layers.

        Args:
            input: Shape (..., input_size); lists (also of tensors), NumPy arrays and other dtypes take the dtype of the
                first layer.
            input_tensor: What version 1.0 called the input.

        Returns:
            Shape (..., output_size).

        Raises:
            TypeError: the input does not hold real numbers.
            ValueError: it has the wrong width, or a value that is not finite.
        """
        input = one_of(input, input_tensor)
        encoded = self._encoded(input)
        if torch.compiler.is_compiling():
            hidden = self.quantum(encoded)
        else:
            try:
                hidden = self.quantum(encoded)
            except ValueError as error:
                raise self._explained(error, input, encoded) from None
        output: torch.Tensor = self.postprocessing(hidden)
        return output

    def cost(self, input: Any) -> Spending:
        """What a call with this input sends to a device, and the ``backward`` after it: as `QuantumModule.cost`."""
        return self.quantum.cost(self._encoded(input))

    def _encoded(self, input: Any) -> torch.Tensor:
        """What the first layer makes of the input."""
        weight = self.preprocessing.weight
        if not isinstance(input, torch.Tensor):
            input = tensor_of(input, weight.dtype, weight.device)
        elif input.dtype is not weight.dtype and not torch.is_autocast_enabled(input.device.type):
            input = input.to(weight.dtype)
        if input.ndim == 0 or input.shape[-1] != self.input_size:
            raise ValueError(f"input: expected shape (..., {self.input_size}), got {tuple(input.shape)}")
        encoded: torch.Tensor = self.preprocessing(input)
        return encoded

    def _explained(self, error: ValueError, input: Any, encoded: torch.Tensor) -> ValueError:
        """An error of the quantum layer that is about what the first layer gives, in terms of what that was given."""
        if not str(error).startswith("inputs: expected finite"):
            return error
        own = self.preprocessing.weight
        given = input if isinstance(input, torch.Tensor) else tensor_of(input, own.dtype, own.device)
        if (place := first_not_finite(given)) is not None:
            return ValueError(f"input: expected finite values, got {place}; clean the data, e.g. with torch.nan_to_num")
        remedy = "keep the input small, e.g. by scaling it"
        if not all(bool(torch.isfinite(parameter).all()) for parameter in self.preprocessing.parameters()):
            remedy = (
                "its weights are not finite, while the input is: look for an update with a gradient that is not "
                "finite, or take a smaller learning rate"
            )
        return ValueError(f"preprocessing: expected finite outputs, got {first_not_finite(encoded)}; {remedy}")

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *arguments: Any) -> None:
        _rename_entries_of_version_1(state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *arguments)

    def _repr_html_(self) -> str:
        """For notebooks."""
        return html_of_layers(self, self.quantum)

    @property
    def quantum_module(self) -> QuantumModule:
        """The quantum layer."""
        return self.quantum

    @property
    def pre_parameters_(self) -> Iterator[torch.nn.Parameter]:
        """Weight and bias of the first linear layer."""
        return self.preprocessing.parameters()

    @property
    def quantum_parameters_(self) -> list[torch.nn.Parameter]:
        """The trainable sets of the quantum layer."""
        return self.quantum.variational_

    @property
    def post_parameters_(self) -> Iterator[torch.nn.Parameter]:
        """Weight and bias of the last linear layer."""
        return self.postprocessing.parameters()

    @property
    def num_trainable_parameters_quantum(self) -> int:
        """Number of trainable parameters of the quantum layer."""
        return self.quantum.num_trainable_parameters

    @property
    def num_trainable_parameters_classical(self) -> int:
        """Number of trainable parameters of the two linear layers."""
        layers = (self.preprocessing, self.postprocessing)
        return sum(parameter.numel() for layer in layers for parameter in layer.parameters() if parameter.requires_grad)

    @property
    def num_trainable_parameters(self) -> int:
        """Number of trainable parameters of all layers."""
        return self.num_trainable_parameters_quantum + self.num_trainable_parameters_classical

    @property
    def input_size(self) -> int:
        """Width of the input."""
        return self.preprocessing.in_features

    @property
    def output_size(self) -> int:
        """Width of the output."""
        return self.postprocessing.out_features


# No machine has room for a wider layer.
_MOST_WIDTH = 1 << 31


def _width(size: Any, argument: str) -> int:
    try:
        width = whole_number(size, argument, 1)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{argument}: expected a positive whole number, got {size!r}") from error
    if width > _MOST_WIDTH:
        raise ValueError(f"{argument}: expected a positive whole number, at most {_MOST_WIDTH:,}, got {width:,}")
    return width


# What version 1.0 called the layers.
_LAYERS = {"_preprocessing.": "preprocessing.", "_quantum_module.": "quantum.", "_postprocessing.": "postprocessing."}


def _rename_entries_of_version_1(state: dict[str, Any], prefix: str) -> None:
    """Gives the entries of a state dict of version 1.0 the names they have now.

    Version 1.0 gave <Z> of the last qubit first: the last layer takes its inputs in the other order.
    """
    for key in list(state):
        for old, new in _LAYERS.items():
            if key.startswith(prefix + old):
                value = state.pop(key)
                is_mixing = key == f"{prefix}_postprocessing.weight"
                state[prefix + new + key[len(prefix + old) :]] = value.flip(1) if is_mixing else value
