"""How far what a model gives moves with its parameters: the classical Fisher information, the tangent kernel."""

from __future__ import annotations

from typing import Any, Literal

import torch

from .jacobian import jacobian
from .point import require_one_of

# How far the sum of probabilities may be from 1, in units of the last place.
_ULPS = 1e4
# Amplitudes of so many are zero but for rounding, as are derivatives of their squares.
_ULPS_OF_ZERO = 64.0

Likelihood = Literal["probabilities", "logits", "gaussian"]


def classical_fisher_information(
    model: Any,
    input: Any = None,
    reduction: Literal["mean", "none"] = "mean",
    *,
    likelihood: Likelihood = "probabilities",
) -> torch.Tensor:
    """The Fisher information of what a model gives: how much one draw from it tells about its parameters.

    For probabilities p_y of the outcomes y, F_kl = sum_y p_y (d_k log p_y) (d_l log p_y). It is at most the quantum
    Fisher information, whatever is measured. Outcomes of probability 0, up to rounding, add nothing.

    Args:
        model: A `QuantumModule`, or any ``torch.nn.Module`` that takes rows, a `HybridModule` among them.
        input: As for the model.
        reduction: "mean": that over all samples; "none": one for each.
        likelihood: What the model gives: "probabilities" of outcomes, as of `outputs.Probabilities`; "logits", of which
            the softmax is taken; "gaussian": means of normal distributions of variance 1, F = J^T J.

    Returns:
        Shape (P, P), or (..., P, P) for reduction "none", for all P parameters, flat, in the order of
        ``model.parameters()``; real. Without a graph.

    Raises:
        TypeError: no module, or it gives no real numbers.
        ValueError: an argument cannot be used; the model has no parameters; there are no samples to take the mean of;
            what it gives are no probabilities.

    Source: Abbas et al., arXiv:2011.00027, Eq. (3).

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> state = qtm.QuantumModule(
        ...     circuit, x, w, observables=qtm.outputs.Probabilities(), seed_init=0
        ... )
        >>> qtm.geometry.classical_fisher_information(state, torch.zeros(3, 2)).shape
        torch.Size([8, 8])
    """
    require_one_of(reduction, "reduction", ("mean", "none"))
    require_one_of(likelihood, "likelihood", ("probabilities", "logits", "gaussian"))
    values, slopes, lead = jacobian(model, input)
    if reduction == "mean" and not len(values):
        raise ValueError("input: expected a sample to take the mean of, got an empty batch; leave it out")
    roots = information_roots(values, slopes, likelihood)
    if reduction == "none":
        return (roots.mT @ roots).reshape(*lead, *roots.shape[2:] * 2)
    flat = roots.flatten(0, 1)
    return flat.mT @ flat / len(values)


def information_roots(values: torch.Tensor, slopes: torch.Tensor, likelihood: str = "probabilities") -> torch.Tensor:
    """Matrices A (B, M, P) of which A^T A is the Fisher information of each sample.

    Args:
        values: What a model gives, (B, M).
        slopes: Its derivatives, (B, M, P).
        likelihood: What it is, as for `classical_fisher_information`.

    Raises:
        ValueError: these are no probabilities.
    """
    if likelihood == "probabilities":
        _require_probabilities(values)
        least = (_ULPS_OF_ZERO * torch.finfo(values.dtype).eps) ** 2
        return slopes * torch.where(values > least, values, torch.inf).rsqrt()[:, :, None]
    if likelihood == "logits":
        # The covariance diag(p) - p p^T of outcomes, as a square.
        share = values.softmax(1)[:, :, None]
        return share.sqrt() * (slopes - (share * slopes).sum(1, keepdim=True))
    return slopes


def _require_probabilities(values: torch.Tensor) -> None:
    tolerance = _ULPS * torch.finfo(values.dtype).eps
    sums = values.sum(1)
    if bool((values < -tolerance).any()) or bool(((sums - 1.0).abs() > tolerance).any()):
        raise ValueError(
            "model: expected probabilities, at least 0 and 1 in all, got others; read qtm.outputs.Probabilities(), or "
            "say likelihood='logits' or likelihood='gaussian'"
        )


def neural_tangent_kernel(
    model: Any, input: Any = None, other: Any = None, *, outputs: Literal["sum", "none"] = "sum"
) -> torch.Tensor:
    """The empirical neural tangent kernel: products of the gradients of a model at two samples.

    K_ij = sum_mp J_imp J_jmp for what the model gives, m, and its parameters, p: how much a step for one sample moves
    what the model gives for another.

    Args:
        model: As for `classical_fisher_information`.
        input: N samples, as for the model.
        other: N' samples; None: the same.
        outputs: "sum": over all that the model gives; "none": of each with each.

    Returns:
        Shape (N, N'), or (N, N', M, M') for outputs "none"; real. Without a graph.

    Raises:
        TypeError, ValueError: as `classical_fisher_information`.

    Source: Jacot et al., arXiv:1806.07572; for quantum circuits Liu et al., arXiv:2111.04225.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> model = qtm.QuantumModule(circuit, x, w, seed_init=0)
        >>> qtm.geometry.neural_tangent_kernel(
        ...     model, torch.rand(3, 2), torch.rand(5, 2)
        ... ).shape
        torch.Size([3, 5])
    """
    require_one_of(outputs, "outputs", ("sum", "none"))
    _, left, _ = jacobian(model, input)
    right = left if other is None else jacobian(model, other)[1]
    if outputs == "sum":
        return left.flatten(1) @ right.flatten(1).T
    return torch.einsum("imp,jnp->ijmn", left, right)
