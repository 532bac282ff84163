"""How well the states of a circuit cover all states there are."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from .._core.arguments import whole_number
from .._core.shown import Result
from .._program.output import State
from .._simulation.room import require_bytes
from ..modules.initial import Initial
from .axes import axes_of, ink_of
from .family import Real, drawn, family_of, require_room


@dataclass(frozen=True, eq=False, repr=False)
class Expressibility(Result):
    """What `expressibility` finds.

    Attributes:
        value: The Kullback-Leibler divergence from the fidelities of random states, in nats; 0: as random states.
        standard_error: Of the value.
        bias: By how much the value is too large on average, as there are finitely many pairs.
        num_qubits: Of the circuit.
        fidelities: Of all pairs, shape (pairs,).
        bins: Of the histograms.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> model = qtm.QuantumModule(circuit, x, w, seed_init=0)
        >>> generator = torch.Generator().manual_seed(0)
        >>> found = qtm.analysis.expressibility(
        ...     model, pairs=200, input=torch.zeros(2), generator=generator
        ... )
        >>> found.num_qubits, found.fidelities.shape
        (2, (200,))
    """

    value: float
    standard_error: float
    bias: float
    num_qubits: int
    fidelities: Real = field(repr=False)
    bins: int

    def plot(self, axes: Any = None) -> Any:
        """Both histograms, as shares of each bin; returns the axes (None: the current ones of matplotlib)."""
        axes = axes_of(axes)
        edges = np.linspace(0.0, 1.0, self.bins + 1)
        shares = _counts(self.fidelities, self.bins) / len(self.fidelities)
        axes.stairs(shares, edges, fill=True, alpha=0.5, label="circuit")
        axes.stairs(
            np.exp(_log_haar(self.num_qubits, self.bins)), edges, color=ink_of(axes), label="random states (Haar)"
        )
        title = f"divergence {self.value:.3g} ± {self.standard_error:.1g}"
        axes.margins(y=0.4)  # for the legend
        axes.set(xlabel="fidelity of two states", ylabel="share of pairs", title=title)
        axes.legend(loc="upper right")
        return axes


def expressibility(
    model: Any,
    pairs: int = 5000,
    *,
    bins: int = 75,
    input: Any = None,
    initial: Initial | None = "uniform",
    generator: torch.Generator | int | None = None,
) -> Expressibility:
    """The divergence of the fidelities of a circuit's states from those of random states.

    Pairs of states with random parameters have fidelities whose histogram p is held against that of Haar-random
    states of N dimensions, (N - 1) (1 - F)^(N - 2): the value is the sum of p log(p / Haar). Small: the circuit is
    expressive. It depends on the number of bins, so compare values of the same number.

    Source: Sim, Johnson and Aspuru-Guzik, "Expressibility and entangling capability of parameterized quantum circuits
    for hybrid quantum-classical algorithms", Advanced Quantum Technologies 2, 1900070 (2019), arXiv:1905.10876.

    Args:
        model: A `QuantumModule`, whose inputs are parameters, too; or a ``QuantumCircuit``.
        pairs: Number of pairs.
        bins: Of both histograms.
        input: An input, shape (input_size,), at which the model stays; None: inputs are uniform from 0 to 2 pi.
        initial: How weights are drawn, as `variational_params_initial` of `QuantumModule`; None: as the model starts.
        generator: Of random numbers: a generator of PyTorch, or a seed; None: the global one.

    Returns:
        The value with its standard error, and what it was computed from.

    Raises:
        TypeError: an argument is of the wrong kind.
        ValueError: a number is not positive, or the circuit has no parameters.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> model = qtm.QuantumModule(circuit, x, w, seed_init=0)
        >>> generator = torch.Generator().manual_seed(0)
        >>> found = qtm.analysis.expressibility(
        ...     model, pairs=200, input=torch.zeros(2), generator=generator
        ... )
        >>> found.value > 0
        True
    """
    pairs, bins = whole_number(pairs, "pairs", 2), whole_number(bins, "bins", 2)
    require_bytes(32 * bins, f"bins: histograms of {bins:,} bins", "use fewer")
    family = family_of(model, State())
    require_room(2 * pairs, family.num_inputs + family.num_weights, "pairs")
    rows = drawn(family, 2 * pairs, initial, input, generator).reshape(pairs, -1)  # both of a pair side by side
    found = []
    with torch.no_grad():
        for part in family.parts(rows, states=2):
            first, second = family.model(part.reshape(len(part), 2, -1)).unbind(1)
            found.append((first.conj() * second).sum(1).abs().square())
    fidelities = torch.cat(found).clamp(max=1.0).numpy()
    return Expressibility(*_divergence(fidelities, family.num_qubits, bins), family.num_qubits, fidelities, bins)


def _counts(fidelities: Real, bins: int) -> Real:
    return np.histogram(fidelities, bins, (0.0, 1.0))[0].astype(float)


def _log_haar(num_qubits: int, bins: int) -> Real:
    """Logarithms of the shares of random states in each bin, which may be far below all floating-point numbers."""
    power = 2.0**num_qubits - 1.0
    edges = np.linspace(0.0, 1.0, bins + 1)
    rest = (1.0 - edges[1:]) / (1.0 - edges[:-1])
    return power * np.log1p(-edges[:-1]) + np.log1p(-(rest**power))


def _divergence(fidelities: Real, num_qubits: int, bins: int) -> tuple[float, float, float]:
    """The divergence of a histogram from that of random states, its standard error, and its bias.

    Where the circuit is as random states are, n times the divergence is half of a chi-squared number, as many degrees
    of freedom as bins but one: its mean is the bias, its variance the second order, twice which the first has already.
    """
    count = len(fidelities)
    shares = _counts(fidelities, bins) / count
    occupied = shares > 0.0
    shares, degrees = shares[occupied], int(np.count_nonzero(occupied)) - 1
    surprise = np.log(shares) - _log_haar(num_qubits, bins)[occupied]
    value = float(shares @ surprise)
    second = degrees / (2.0 * count**2)
    first = float(shares @ (surprise - value) ** 2) / count - 2.0 * second
    return max(value, 0.0), math.sqrt(max(first, 0.0) + second), degrees / (2.0 * count)
