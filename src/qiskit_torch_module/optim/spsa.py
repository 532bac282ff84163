"""Simultaneous perturbation: gradients from two values of the loss, whatever the number of parameters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from .._core.arguments import finite_number, whole_number
from .copied import Copied
from .models import Closure, generator_on_cpu, require_closure
from .perturbation import Place, perturbation_of, signs


class SPSA(Copied):
    """Gradient descent by simultaneous perturbation, for losses that are sampled or have no gradient.

    Step k moves by ``-lr_k g``, where ``g = (L(w + c_k s) - L(w - c_k s)) / (2 c_k) s`` for random signs s, with
    ``lr_k = lr / (k + 1 + stability)**lr_decay`` and ``c_k = perturbation / (k + 1)**perturbation_decay``, k from 0 on.

    Source: Spall, "Implementation of the simultaneous perturbation algorithm for stochastic optimization", IEEE
    Transactions on Aerospace and Electronic Systems 34, 817 (1998).

    Args:
        params: A model, whose parameters that require gradients are trained, as for the other optimisers here; or
            parameters, or groups of them, each with its own `lr` and `perturbation`.
        lr: Length of the first step, but for `stability`.
        perturbation: How far from the parameters the loss is computed.
        samples: Directions that a step averages over; each takes two values of the loss.
        lr_decay, perturbation_decay: Exponents by which both fall; 0: they do not.
        stability: Keeps the first steps short; a tenth of the number of steps is usual.
        generator: Of the random signs: a generator of PyTorch on the CPU, or a seed; None: the global one, which
            ``torch.manual_seed`` seeds.

    Raises:
        TypeError: an argument is of the wrong kind.
        ValueError: an argument is out of bounds.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> model = qtm.QuantumModule(circuit, x, w, seed_init=0)
        >>> spsa = qtm.optim.SPSA(
        ...     model.parameters(), lr=0.1, generator=torch.Generator().manual_seed(0)
        ... )
        >>> loss = spsa.step(lambda: model(torch.zeros(1, 2)).sum())
    """

    def __init__(
        self,
        params: torch.nn.Module | Iterable[Any],
        lr: float = 0.1,
        perturbation: float = 0.1,
        samples: int = 1,
        lr_decay: float = 0.602,
        perturbation_decay: float = 0.101,
        stability: float = 0.0,
        generator: torch.Generator | int | None = None,
    ) -> None:
        defaults = {
            "lr": finite_number(lr, "lr", 0.0),
            "perturbation": perturbation_of(perturbation),
            "lr_decay": finite_number(lr_decay, "lr_decay", -1.0),
            "perturbation_decay": finite_number(perturbation_decay, "perturbation_decay", -1.0),
            "stability": finite_number(stability, "stability", -1.0),
            "step": 0,
        }
        self._samples = whole_number(samples, "samples", 1)
        self._generator = generator_on_cpu(generator)
        super().__init__(_listed(params), defaults)

    def step(self, closure: Closure | None = None) -> torch.Tensor:  # type: ignore[override]
        """One step.

        Args:
            closure: Returns the loss, as a tensor of one number; it needs no ``backward()``, and is called twice for
                each sample.

        Returns:
            The mean of these values of the loss, a float64 tensor.

        Raises:
            TypeError: there is no closure, or it returns no number.
            ValueError: the loss is not finite, or no single number; the parameters are as before.
        """
        closure = require_closure(closure, "SPSA")
        groups = [(group, one) for group in self.param_groups for one in group["params"]]
        parameters = [one for _, one in groups]
        place = Place(parameters)
        width = [group["perturbation"] / (group["step"] + 1) ** group["perturbation_decay"] for group, _ in groups]
        slopes = [torch.zeros_like(one) for one in parameters]
        total = torch.zeros(())
        for _ in range(self._samples):
            directions = signs(parameters, self._generator)
            moves = [c * direction for c, direction in zip(width, directions, strict=True)]
            difference, mean = place.difference(closure, moves)
            total = total + mean / self._samples
            for slope, c, direction in zip(slopes, width, directions, strict=True):
                slope += (difference / (c * self._samples)).to(slope) * direction
        with torch.no_grad():
            for (group, one), slope in zip(groups, slopes, strict=True):
                one -= group["lr"] / (group["step"] + 1 + group["stability"]) ** group["lr_decay"] * slope
        for group in self.param_groups:
            group["step"] += 1  # where state_dict finds it
        return total


def _listed(params: Any) -> Any:
    """Those of a model, or what PyTorch takes."""
    if not isinstance(params, torch.nn.Module):
        return params
    found = [one for one in params.parameters() if one.requires_grad]
    if not found:
        raise ValueError(
            "params: expected a model with parameters that require gradients, got one without any; call "
            "requires_grad_() of those to be trained"
        )
    return found
