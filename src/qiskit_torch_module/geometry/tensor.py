"""The quantum geometric tensor, and the quantum Fisher information."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch

from .._differentiation.tangents import MOST_AMPLITUDES
from .._engine import memory_budget
from .point import Point, require_one_of

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
    """
    return 4.0 * _metric(model, input, structure, reduction, sets, is_real=True)


def _metric(model: Any, input: Any, structure: str, reduction: str, sets: Any, is_real: bool) -> torch.Tensor:
    require_one_of(structure, "structure", ("full", "block", "diagonal"))
    require_one_of(reduction, "reduction", ("mean", "none"))
    point = Point.of(model, input, sets)
    if reduction == "mean":
        point.require_samples()
    return _Metric(point, structure, reduction == "mean", is_real).entries()


class _Metric:
    """The tensor of a point, computed part by part.

    Args:
        point: The point.
        structure: Which entries.
        is_mean: Over all samples, or of each.
        is_real: The real part alone.
    """

    def __init__(self, point: Point, structure: str, is_mean: bool, is_real: bool) -> None:
        self._point, self._structure, self._is_mean, self._is_real = point, structure, is_mean, is_real

    def entries(self) -> torch.Tensor:
        """All of them, for each sample or on average."""
        point, count = self._point, len(self._point.columns)
        lead = () if self._is_mean else (len(point.inputs),)
        dtype = point.inputs.dtype if self._is_real else point.complex_dtype
        found = torch.zeros(*lead, count, count, dtype=dtype, device=point.inputs.device)
        first = 0
        groups = [range(count)] if self._structure == "full" else []
        if not groups:
            for chosen in point.chosen:
                groups.append(range(first, first := first + len(chosen)))
        for group in filter(len, groups):
            self._fill(
                found[..., group[0] : group[-1] + 1, group[0] : group[-1] + 1], [point.columns[i] for i in group]
            )
        if self._is_mean:
            return found / len(point.inputs)
        return found.reshape(*point.lead, count, count)

    def _fill(self, found: torch.Tensor, columns: Sequence[int]) -> None:
        """Entries between some weights; added up over samples if the mean is wanted."""
        parts, at_once = self._parts(columns)
        for begin in range(0, len(self._point.inputs), at_once):
            samples = slice(begin, begin + at_once)
            own = found if self._is_mean else found[samples]
            for index, rows in enumerate(parts):
                left = self._moves(samples, columns[rows])
                if self._structure == "diagonal":
                    diagonal = torch.diagonal(own, dim1=-2, dim2=-1)[..., rows]
                    diagonal += self._summed(left.abs().square().sum(2).T)
                    continue
                own[..., rows, rows] += self._products(left, left)
                for others in parts[index + 1 :]:
                    products = self._products(left, self._moves(samples, columns[others]))
                    own[..., rows, others] += products
                    own[..., others, rows] += products.mH

    def _parts(self, columns: Sequence[int]) -> tuple[list[slice], int]:
        """Weights that are moved together, and how many samples are."""
        amplitudes = self._point.runners.program.output_size
        budget, size = memory_budget(), self._point.state_bytes
        most = int(budget // (4 * size))  # two parts, each while it is made
        if most < 1:
            raise ValueError(
                f"model: the geometry of its states takes at least {4 * size / 2**30:.3g} GiB, more than the memory "
                f"budget of {budget / 2**30:.3g} GiB; use fewer qubits"
            )
        if len(columns) <= 2 * most:  # one part
            most = len(columns)
        parts = [slice(first, min(first + most, len(columns))) for first in range(0, len(columns), most)]
        return parts, max(1, MOST_AMPLITUDES // (min(most, len(columns)) * amplitudes))

    def _moves(self, samples: slice, columns: Sequence[int]) -> torch.Tensor:
        """Derivatives of states (P, B, N), without their parts along the states themselves, which are phases."""
        found = self._point.tangents(samples, columns)
        states, slopes = found.states[:, None], found.slopes.transpose(0, 1)
        slopes.baddbmm_(slopes @ states.mH, states, alpha=-1)
        return found.slopes

    def _products(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        """<left_k|right_l>, shape (B, K, L), or (K, L) for the sum."""
        if self._is_real:
            left, right = (torch.view_as_real(one).flatten(2) for one in (left, right))
        left = left.conj()
        if self._is_mean:
            return left.flatten(1) @ right.flatten(1).T
        return left.transpose(0, 1) @ right.permute(1, 2, 0)

    def _summed(self, values: torch.Tensor) -> torch.Tensor:
        """Of samples, if the mean is wanted."""
        return values.sum(0) if self._is_mean else values
