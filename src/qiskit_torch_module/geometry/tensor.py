"""The quantum geometric tensor, and the quantum Fisher information."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch

from .._differentiation.metric import Metric
from .point import point_of, require_one_of, require_samples

Structure = Literal["full", "block", "diagonal"]
Reduction = Literal["mean", "none"]


def quantum_geometric_tensor(
    model: Any,
    input: Any = None,
    structure: Structure = "full",
    reduction: Reduction = "mean",
    *,
    sets: str | Sequence[str] | None = None,
) -> torch.Tensor:
    """How the states of a model move with its weights, up to a global phase.

    For weights w_k and states psi,

        Q_kl = <d_k psi | d_l psi> - <d_k psi | psi> <psi | d_l psi>.

    Its real part is the Fubini-Study metric, a quarter of the quantum Fisher information; its imaginary part is half of
    the Berry curvature, with a sign. Derivatives are exact: any gate, any expression; weights that occur several times
    come with all their cross terms.

    Args:
        model: A `QuantumModule`. What it reads from its states does not matter.
        input: As for the model; shape (..., input_size).
        structure: "full"; "block": only what weights of one set have with each other; "diagonal": only what each has
            with itself. All other entries are 0.
        reduction: "mean": that over all samples; "none": one for each.
        sets: Names of those of ``model.variational_names`` that are wanted, in this order; None: all, also those that
            are not trained (``requires_grad=False``).

    Returns:
        Shape (P, P), or (..., P, P) for reduction "none", for the P weights in the order of ``model.parameters()``.
        Dtype complex64, or complex128 where weights or input are float64. Without a graph.

    Raises:
        TypeError: the model is no `QuantumModule`, or the input is of the wrong kind.
        ValueError: an argument cannot be used; the model has no weights, or estimates; there are no samples to take
            the mean of; states do not fit the memory budget (the message says how much they take).

    Source: Provost and Vallee, Commun. Math. Phys. 76, 289 (1980); Stokes et al., arXiv:1909.02108.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> model = qtm.QuantumModule(circuit, x, w, seed_init=0)
        >>> tensor = qtm.geometry.quantum_geometric_tensor(model, torch.zeros(3, 2))
        >>> tensor.shape, tensor.dtype
        (torch.Size([8, 8]), torch.complex64)
    """
    return _metric(model, input, structure, reduction, sets, is_real=False)


def fisher_information(
    model: Any,
    input: Any = None,
    structure: Structure = "full",
    reduction: Reduction = "mean",
    *,
    sets: str | Sequence[str] | None = None,
) -> torch.Tensor:
    """The quantum Fisher information of the weights: four times the real part of `quantum_geometric_tensor`.

    No measurement finds out more about the weights. Arguments and errors are those of `quantum_geometric_tensor`.

    Returns:
        Shape (P, P), or (..., P, P) for reduction "none"; real. It takes half of the time of the tensor.

    Source: Meyer, arXiv:2103.15191.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> model = qtm.QuantumModule(circuit, x, w, seed_init=0)
        >>> qtm.geometry.fisher_information(
        ...     model, torch.zeros(3, 2), reduction="none"
        ... ).shape
        torch.Size([3, 8, 8])
    """
    return 4.0 * _metric(model, input, structure, reduction, sets, is_real=True)


def _metric(model: Any, input: Any, structure: str, reduction: str, sets: Any, is_real: bool) -> torch.Tensor:
    require_one_of(structure, "structure", ("full", "block", "diagonal"))
    require_one_of(reduction, "reduction", ("mean", "none"))
    point, lead = point_of(model, input, sets)
    if reduction == "mean":
        require_samples(lead)
        return Metric(point, structure, is_mean=True, is_real=is_real).entries()
    found = Metric(point, structure, is_real=is_real).entries()
    return found.reshape(*lead, *found.shape[1:])
