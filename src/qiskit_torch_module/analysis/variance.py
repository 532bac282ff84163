"""How large gradients are where training starts."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from .._core.arguments import whole_number
from .._core.shown import Result
from ..modules.initial import Initial
from .axes import axes_of, ink_of
from .family import Real, drawn, family_of, model_of


@dataclass(frozen=True, eq=False, repr=False)
class GradientVariance(Result):
    """What `gradient_variance` finds.

    Attributes:
        value: The variance of the derivative of an output by a weight, averaged over the weights.
        standard_error: Of the value.
        num_qubits: Of the circuit.
        variances: By each weight, shape (W,).
        gradients: Of all samples, shape (samples, W).

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> model = qtm.QuantumModule(circuit, x, w, seed_init=0)
        >>> found = qtm.analysis.gradient_variance(model, samples=50)
        >>> found.variances.shape
        (8,)
    """

    value: float
    standard_error: float
    num_qubits: int
    variances: Real = field(repr=False)
    gradients: Real = field(repr=False)

    def plot(self, axes: Any = None) -> Any:
        """The variance by each weight; returns the axes (None: the current ones of matplotlib)."""
        axes = axes_of(axes)
        axes.semilogy(self.variances, ".")
        axes.axhline(self.value, color=ink_of(axes), label=f"mean {self.value:.2g} ± {self.standard_error:.1g}")
        axes.set(xlabel="weight", ylabel="variance of the derivative")
        axes.grid(alpha=0.3, which="both")
        axes.legend()
        return axes


def gradient_variance(
    model: Any,
    samples: int = 1000,
    *,
    output: int = 0,
    input: Any = None,
    initial: Initial | None = None,
    generator: torch.Generator | int | None = None,
) -> GradientVariance:
    """The variance of derivatives at random weights: one that falls exponentially with qubits is a barren plateau.

    All samples are one batch, forward and back. `qiskit_torch_module.plots.gradient_variance` draws it against the
    number of qubits of several models.

    Source: McClean, Boixo, Smelyanskiy, Babbush and Neven, "Barren plateaus in quantum neural network training
    landscapes", Nature Communications 9, 4812 (2018), arXiv:1803.11173.

    Args:
        model: A `QuantumModule`; or a ``QuantumCircuit``, whose first output is Z of its first qubit.
        samples: Number of random weights.
        output: Which output of the model, if it has several.
        input: An input, shape (input_size,), at which the model stays; None: inputs are uniform from 0 to 2 pi.
        initial: How weights are drawn, as `variational_params_initial` of `QuantumModule`; None: as the model starts.
        generator: Of random numbers: a generator of PyTorch, or a seed; None: the global one.

    Returns:
        The mean with its standard error, and the variances by each weight.

    Raises:
        TypeError: an argument is of the wrong kind, or the output is complex.
        ValueError: a number is not positive, there is no such output, or the circuit has no weights.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> model = qtm.QuantumModule(circuit, x, w, seed_init=0)
        >>> found = qtm.analysis.gradient_variance(model, samples=50)
        >>> found.value > found.standard_error
        True
    """
    samples = whole_number(samples, "samples", 2)
    own = model_of(model)
    output = whole_number(output, "output", 0, own.output_size - 1)
    family = family_of(own)
    if not family.num_weights:
        raise ValueError("model: expected weights, got inputs alone; give them as variational_params")
    rows, found = drawn(family, samples, initial, input, generator), []
    for part in family.parts(rows, states=2):
        values = family.model(part.requires_grad_()).flatten(1)[:, output]
        if values.is_complex():
            raise TypeError(f"model: expected real outputs, got {own.observables}, whose gradient is not one number")
        found.append(torch.autograd.grad(values.sum(), part)[0][:, family.num_inputs :])
    gradients = torch.cat(found).numpy()
    variances = gradients.var(0, ddof=1)
    spread = ((gradients - gradients.mean(0)) ** 2).mean(1)  # of each sample; weights depend on each other
    error = float(np.std(spread, ddof=1)) / math.sqrt(samples)
    return GradientVariance(float(variances.mean()), error, family.num_qubits, variances, gradients)
