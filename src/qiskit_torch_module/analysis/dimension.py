"""How many of a model's weights count, as its Fisher information has it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from .._core.arguments import finite_number, tensor_of, whole_number
from .._core.shown import Result
from .._simulation.states import MOST_AMPLITUDES
from ..geometry.classical import information_roots
from ..geometry.jacobian import jacobian_by_inputs
from ..modules.initial import Initial, random_numbers
from ..modules.module import QuantumModule
from ..outputs import Probabilities
from .axes import axes_of, ink_of
from .family import Family, Real, family_of, weights_of

# From which kappa on it is drawn.
_LEAST_DRAWN = 10.0


@dataclass(frozen=True, eq=False, repr=False)
class EffectiveDimension(Result):
    """What `effective_dimension` finds.

    Attributes:
        value: The effective dimension, which for many data is the rank of the Fisher information.
        standard_error: Of the value, by the jackknife.
        num_data: For so many data.
        gamma: The constant of the bound.
        eigenvalues: Of the Fisher information at each sample, ascending; shape (samples, W).

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> state = qtm.QuantumModule(
        ...     circuit, x, w, observables=qtm.outputs.Probabilities(), seed_init=0
        ... )
        >>> found = qtm.analysis.effective_dimension(
        ...     state, 1000, torch.rand(10, 2), samples=5
        ... )
        >>> found.eigenvalues.shape
        (5, 8)
    """

    value: float
    standard_error: float
    num_data: int
    gamma: float
    eigenvalues: Real = field(repr=False)

    @property
    def num_weights(self) -> int:
        """How many weights there are."""
        return int(self.eigenvalues.shape[1])

    @property
    def normalized(self) -> float:
        """The value as a share of the number of weights."""
        return self.value / self.num_weights

    def at(self, num_data: int) -> EffectiveDimension:
        """The same for another number of data, without computing the Fisher information again.

        Raises:
            ValueError: there are too few data.
        """
        return _dimension(self.eigenvalues, num_data, self.gamma)

    def plot(self, axes: Any = None) -> Any:
        """The share of the weights against the number of data; returns the axes (None: the current of matplotlib)."""
        axes = axes_of(axes)
        # With fewer data, kappa is near 1, and the logarithm that is divided by near 0.
        least = _least_data(self.gamma / _LEAST_DRAWN)
        most = max(self.num_data, 1000 * least)
        found = [self.at(int(n)) for n in np.unique(np.geomspace(least, most, 60).astype(int))]
        numbers = np.array([one.num_data for one in found])
        values, errors = (np.array([getattr(one, name) for one in found]) for name in ("value", "standard_error"))
        axes.semilogx(numbers, values / self.num_weights)
        low, high = ((values + sign * errors) / self.num_weights for sign in (-1, 1))
        axes.fill_between(numbers, low, high, alpha=0.3, label="± standard error")
        axes.plot([self.num_data], [self.normalized], ".", color=ink_of(axes))
        axes.set(xlabel="number of data", ylabel=f"effective dimension / {self.num_weights} weights")
        axes.grid(alpha=0.3)
        axes.legend(loc="upper center")
        return axes


def effective_dimension(
    model: QuantumModule,
    num_data: int,
    inputs: Any = None,
    *,
    samples: int = 100,
    gamma: float = 1.0,
    initial: Initial | None = "uniform",
    generator: torch.Generator | int | None = None,
) -> EffectiveDimension:
    """The effective dimension of a model that gives probabilities.

    With the Fisher information F of its W weights, averaged over the inputs and scaled so that its trace is W on
    average over the weights, and kappa = gamma n / (2 pi log n) for n data, it is

        2 log( mean over weights of sqrt det(1 + kappa F) ) / log kappa.

    The Fisher information is exact: that of all outcomes, sum of grad p grad p^T / p.

    Source: Abbas, Sutter, Zoufal, Lucchi, Figalli and Woerner, "The power of quantum neural networks", Nature
    Computational Science 1, 403 (2021), arXiv:2011.00027.

    Args:
        model: A `QuantumModule` whose output is `qiskit_torch_module.outputs.Probabilities`, of outcomes or of classes.
        num_data: The number n of data.
        inputs: Inputs (B, input_size) to average over; None where the model has none.
        samples: Number of random weights.
        gamma: A constant of the bound, above 0 and at most 1.
        initial: How weights are drawn, as `variational_params_initial` of `QuantumModule`; None: as the model starts.
        generator: Of random numbers: a generator of PyTorch, or a seed; None: the global one.

    Returns:
        The value with its standard error, and the eigenvalues of the Fisher information.

    Raises:
        TypeError: an argument is of the wrong kind, or the output is no probabilities.
        ValueError: a number is out of range, there are too few data for kappa to be above 1, inputs have the wrong
            shape, or there are no weights on which an output depends.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> state = qtm.QuantumModule(
        ...     circuit, x, w, observables=qtm.outputs.Probabilities(), seed_init=0
        ... )
        >>> found = qtm.analysis.effective_dimension(
        ...     state, 1000, torch.rand(10, 2), samples=5
        ... )
        >>> 0 < found.value <= 8
        True
    """
    if not isinstance(model, QuantumModule):
        raise TypeError(f"model: expected a QuantumModule, got {type(model).__name__}")
    if not isinstance(model.observables, Probabilities):
        raise TypeError(
            "model: expected one with probabilities, of which there is a Fisher information, got "
            f"observables={model.observables!r:.100}; make it with observables=qtm.outputs.Probabilities(...)"
        )
    samples, gamma = whole_number(samples, "samples", 2), finite_number(gamma, "gamma", 0.0)
    if gamma > 1.0:
        raise ValueError(f"gamma: expected a number above 0 and at most 1, got {gamma:g}")
    _kappa(num_data, gamma)
    if not model.num_trainable_parameters:
        raise ValueError("model: expected weights, got none; give variational_params")
    family = family_of(model)
    data = _data(inputs, family.num_inputs)
    with random_numbers(generator):
        weights = weights_of(family.given, samples, initial)
    parts = torch.split(weights, _size(family, data))
    eigenvalues = np.concatenate([_eigenvalues(family, data, part) for part in parts])
    if not eigenvalues.sum() > 0.0:
        raise ValueError("model: expected probabilities that depend on the weights, got ones that do not")
    return _dimension(eigenvalues, num_data, gamma)


def _data(inputs: Any, width: int) -> torch.Tensor:
    if inputs is None and width == 0:
        return torch.empty(1, 0, dtype=torch.float64)
    if inputs is None:
        raise ValueError(f"inputs: expected shape (..., {width}), got None; give the inputs to average over")
    data = tensor_of(inputs, torch.float64, argument="inputs").detach()
    if data.ndim == 0 or data.shape[-1] != width or not data.numel():
        raise ValueError(f"inputs: expected shape (..., {width}), got {tuple(data.shape)}")
    return data.reshape(-1, width)


def _size(family: Family, data: torch.Tensor) -> int:
    """For how many weights derivatives of all probabilities, or states of all data, fit into memory at once."""
    one = len(data) * max(4 << family.num_qubits, family.num_weights * family.model.output_size)
    return max(1, 4 * MOST_AMPLITUDES // one)


def _eigenvalues(family: Family, data: torch.Tensor, weights: torch.Tensor) -> Real:
    """Of the Fisher information (W, W), averaged over the data, at each of the weights; shape (samples, W)."""
    rows = torch.cat([data.repeat(len(weights), 1), weights.repeat_interleave(len(data), 0)], 1)
    columns = range(family.num_inputs, family.num_inputs + family.num_weights)
    roots = information_roots(*jacobian_by_inputs(family.model, rows, columns))
    flat = roots.reshape(len(weights), -1, family.num_weights)
    information = flat.mT @ flat / len(data)
    values: Real = torch.linalg.eigvalsh(information).clamp(min=0.0).numpy()
    return values


def _kappa(num_data: int, gamma: float) -> float:
    """Gamma n / (2 pi log n).

    Raises:
        TypeError, ValueError: no number of data, or too few for it to be above 1.
    """
    num_data = whole_number(num_data, "num_data", 2)
    kappa = gamma * num_data / (2.0 * math.pi * math.log(num_data))
    if kappa <= 1.0 or num_data < _least_data(gamma):
        raise ValueError(
            f"num_data: expected at least {_least_data(gamma)}, from which on gamma n / (2 pi log n) is above 1 for "
            f"gamma = {gamma:g}, got {num_data}"
        )
    return kappa


def _least_data(gamma: float) -> int:
    number = 3
    while gamma * number <= 2.0 * math.pi * math.log(number):
        number = max(number + 1, math.floor(2.0 * math.pi * math.log(number) / gamma))
    return number


def _dimension(eigenvalues: Real, num_data: int, gamma: float) -> EffectiveDimension:
    kappa = _kappa(num_data, gamma)
    samples, traces = len(eigenvalues), eigenvalues.sum(1)
    value = _value(eigenvalues, traces, kappa, np.ones(samples, dtype=bool))
    left_out = [_value(eigenvalues, traces, kappa, np.arange(samples) != i) for i in range(samples)]
    error = math.sqrt((samples - 1) / samples * float(((np.array(left_out) - np.mean(left_out)) ** 2).sum()))
    return EffectiveDimension(value, error, int(num_data), gamma, eigenvalues)


def _value(eigenvalues: Real, traces: Real, kappa: float, chosen: Any) -> float:
    trace = float(traces[chosen].mean())
    if trace == 0.0:
        return 0.0
    logarithms = 0.5 * np.log1p(kappa * eigenvalues.shape[1] / trace * eigenvalues[chosen]).sum(1)
    most = logarithms.max()
    return float(2.0 * (most + np.log(np.exp(logarithms - most).mean())) / math.log(kappa))
