"""How much the states of a circuit are entangled on average."""

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
from .family import Real, computed, drawn, family_of, model_of


@dataclass(frozen=True, eq=False, repr=False)
class EntanglingCapability(Result):
    """What `entangling_capability` finds.

    Attributes:
        value: The mean of the Meyer-Wallach measure: 0 for product states, 1 at most.
        standard_error: Of the value.
        num_qubits: Of the circuit.
        measures: Of all samples, shape (samples,).

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> model = qtm.QuantumModule(circuit, x, w, seed_init=0)
        >>> found = qtm.analysis.entangling_capability(
        ...     model, samples=50, input=torch.zeros(2)
        ... )
        >>> found.measures.shape
        (50,)
    """

    value: float
    standard_error: float
    num_qubits: int
    measures: Real = field(repr=False)

    @property
    def of_random_states(self) -> float:
        """The mean over all states (Haar), (N - 2) / (N + 1) in N dimensions."""
        dimension = 2.0**self.num_qubits
        return (dimension - 2.0) / (dimension + 1.0)

    def plot(self, axes: Any = None) -> Any:
        """A histogram of the measure; returns the axes (None: the current ones of matplotlib)."""
        axes = axes_of(axes)
        axes.hist(self.measures, bins=50, range=(0.0, 1.0), weights=np.full(len(self.measures), 1 / len(self.measures)))
        axes.axvline(self.value, ymax=0.7, color=ink_of(axes), label="mean")
        axes.axvline(self.of_random_states, ymax=0.7, color="gray", linestyle=":", label="random states (Haar)")
        title = f"mean {self.value:.3f} ± {self.standard_error:.1g}"
        axes.set(xlabel="Meyer-Wallach measure", ylabel="share of samples", xlim=(0, 1), title=title)
        axes.margins(y=0.4)  # for the legend
        axes.legend(loc="upper left")
        return axes


def entangling_capability(
    model: Any,
    samples: int = 5000,
    *,
    input: Any = None,
    initial: Initial | None = "uniform",
    generator: torch.Generator | int | None = None,
) -> EntanglingCapability:
    """The Meyer-Wallach measure of a circuit's states, averaged over its parameters.

    It is Q = 2 (1 - mean of Tr rho^2 over all one-qubit states), 1 minus the mean of the squared lengths of their Bloch
    vectors, which are expectation values: no state is kept.

    Source: Sim, Johnson and Aspuru-Guzik, arXiv:1905.10876; Meyer and Wallach, "Global entanglement in multiparticle
    systems", Journal of Mathematical Physics 43, 4273 (2002), arXiv:quant-ph/0108104.

    Args:
        model: A `QuantumModule`, whose inputs are parameters, too; or a ``QuantumCircuit``.
        samples: Number of random members.
        input: An input, shape (input_size,), at which the model stays; None: inputs are uniform from 0 to 2 pi.
        initial: How weights are drawn, as `variational_params_initial` of `QuantumModule`; None: as the model starts.
        generator: Of random numbers: a generator of PyTorch, or a seed; None: the global one.

    Returns:
        The value with its standard error, and the measures of all samples.

    Raises:
        TypeError: an argument is of the wrong kind.
        ValueError: a number is not positive, or the circuit has no parameters.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> model = qtm.QuantumModule(circuit, x, w, seed_init=0)
        >>> found = qtm.analysis.entangling_capability(
        ...     model, samples=50, input=torch.zeros(2)
        ... )
        >>> 0 <= found.value <= 1
        True
    """
    samples = whole_number(samples, "samples", 2)
    own = model_of(model)
    num_qubits = own.circuit.num_qubits
    vectors = ["I" * (num_qubits - 1 - q) + letter + "I" * q for q in range(num_qubits) for letter in "XYZ"]
    family = family_of(own, vectors)
    rows = drawn(family, samples, initial, input, generator)
    lengths = computed(family, rows, lambda values: values.square().sum(1))
    measures = np.clip(1.0 - lengths / num_qubits, 0.0, 1.0)
    error = float(measures.std(ddof=1)) / math.sqrt(samples)
    return EntanglingCapability(float(measures.mean()), error, num_qubits, measures)
