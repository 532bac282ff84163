"""Natural gradients by simultaneous perturbation: a metric from four fidelities a step."""

from __future__ import annotations

import statistics

import torch
from torch.func import functional_call, vmap

from .._core.arguments import finite_number, flag, whole_number
from ..modules.module import QuantumModule
from .copied import Copied
from .models import Closure, as_states, generator_on_cpu, require_closure
from .perturbation import Place, perturbation_of, signs

_REMEMBERED = 5


class QNSPSA(Copied):
    """Natural gradient descent that estimates gradient and metric by simultaneous perturbation.

    Step k estimates the Fubini-Study metric, -1/2 of the Hessian of the fidelity with the present state, along two
    random directions of signs s and t, as ``-dF / (8 eps^2) (s t^T + t s^T)`` with ``dF = F(w + eps (s + t)) - F(w +
    eps s) - F(w + eps (t - s)) + F(w - eps s)``. What is used is the mean M of the estimates so far, the first of which
    is the identity, made positive: ``(sqrt(M M) + regularization) / (1 + regularization)``.

    The states for all fidelities come from one native call. The loss is the closure's, and may be sampled. Where the
    metric is all but singular, steps are long: what keeps training stable are blocking and regularization.

    Source: Gacon et al., "Simultaneous Perturbation Stochastic Approximation of the Quantum Fisher Information",
    Quantum 5, 567 (2021), arXiv:2103.09232.

    Args:
        model: Its sets that require gradients are trained.
        lr: Learning rate.
        perturbation: How far from the parameters losses and fidelities are computed.
        regularization: Added to the metric.
        blocking: A step that raises the loss by more than twice the standard deviation of its last five values is not
            taken; this takes one value of the loss more.
        samples: Directions that a step averages over; each takes two values of the loss and five states.
        input: Of the model, where its circuit has one, shape (..., input_size): the metric is the mean over its rows.
        generator: Of the random signs: a generator of PyTorch on the CPU, or a seed; None: the global one, which
            ``torch.manual_seed`` seeds.

    Raises:
        TypeError: an argument is of the wrong kind.
        ValueError: an argument is out of bounds, or no set requires gradients.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> model = qtm.QuantumModule(circuit, x, w, seed_init=0)
        >>> generator = torch.Generator().manual_seed(0)
        >>> qnspsa = qtm.optim.QNSPSA(
        ...     model, lr=0.1, input=torch.zeros(1, 2), generator=generator
        ... )
        >>> loss = qnspsa.step(lambda: model(torch.zeros(1, 2)).sum())
    """

    def __init__(
        self,
        model: QuantumModule,
        lr: float = 0.01,
        perturbation: float = 0.01,
        regularization: float = 0.01,
        blocking: bool = True,
        samples: int = 1,
        input: torch.Tensor | None = None,
        generator: torch.Generator | int | None = None,
    ) -> None:
        if not isinstance(model, QuantumModule):
            raise TypeError(
                f"model: expected a QuantumModule, got {type(model).__name__}; in front of hybrid models there is "
                "NaturalGradient"
            )
        if (input is None) != (model.input_size == 0):
            rows = f"shape (..., {model.input_size}), over whose rows the metric is averaged"
            expected = rows if model.input_size else "none, as the circuit has no encoding parameters"
            raise ValueError(f"input: expected {expected}, got {'none' if input is None else 'one'}")
        self._regularization = finite_number(regularization, "regularization", 0.0)
        self._blocking = flag(blocking, "blocking")
        self._samples = whole_number(samples, "samples", 1)
        self._generator, self._input = generator_on_cpu(generator), input
        sets = zip(model.variational_names, model.variational_, strict=True)
        self._named = {name: one for name, one in sets if one.requires_grad}
        if not self._named:
            names = ", ".join(map(repr, model.variational_names))
            got = (
                f"none of {names}; call requires_grad_() of those to be trained"
                if names
                else "no set; give variational_params"
            )
            raise ValueError(f"model: expected at least one variational set that requires gradients, got {got}")
        self._states = as_states(model)
        defaults = {
            "lr": finite_number(lr, "lr", 0.0),
            "perturbation": perturbation_of(perturbation),
            "step": 0,
            "losses": (),
            "metric": None,  # in the group, as what is in `state` is rounded to the dtype of the parameters when loaded
        }
        super().__init__(list(self._named.values()), defaults)

    def step(self, closure: Closure | None = None) -> torch.Tensor:  # type: ignore[override]
        """One step.

        Args:
            closure: Returns the loss, as a tensor of one number; it needs no ``backward()``, and is called twice for
                each sample, and once for blocking.

        Returns:
            The mean of these values of the loss, a float64 tensor.

        Raises:
            TypeError: there is no closure, or it returns no number.
            ValueError: the loss is not finite, or no single number; the parameters are as before.
        """
        closure = require_closure(closure, "QNSPSA")
        (group,) = self.param_groups
        parameters, width = group["params"], group["perturbation"]
        place, total = Place(parameters), torch.zeros(())
        slope = torch.zeros(sum(one.numel() for one in parameters), dtype=torch.float64)
        seconds, firsts = [], []
        for _ in range(self._samples):
            first, second = (signs(parameters, self._generator) for _ in range(2))
            difference, mean = place.difference(closure, [width * one for one in first])
            total = total + mean / self._samples
            firsts.append(_joined(first))
            seconds.append(_joined(second))
            slope += difference.cpu() / (width * self._samples) * firsts[-1]
        metric = self._updated(self._estimate(torch.stack(firsts), torch.stack(seconds), width))
        step = -torch.linalg.solve(metric, group["lr"] * slope)
        pieces = torch.split(step, [one.numel() for one in parameters])
        moves = [piece.reshape(one.shape).to(one) for one, piece in zip(parameters, pieces, strict=True)]
        if not self._blocking or place.loss(closure, moves) <= self._highest(total.item()):
            with torch.no_grad():
                for one, move in zip(parameters, moves, strict=True):
                    one += move
        return total

    def _highest(self, loss: float) -> float:
        """The loss up to which a step is taken."""
        (group,) = self.param_groups
        group["losses"] = (*group["losses"], loss)[-_REMEMBERED:]
        return float(loss + 2 * statistics.pstdev(group["losses"]))

    def _estimate(self, first: torch.Tensor, second: torch.Tensor, width: float) -> torch.Tensor:
        """The mean over pairs of directions (S, P) of what each says of the metric, (P, P)."""
        moves = torch.stack([first + second, first, second - first, -first]) * width
        fidelities = self._fidelities(moves.reshape(-1, moves.shape[-1])).reshape(4, len(first))
        change = fidelities[0] - fidelities[1] - fidelities[2] + fidelities[3]
        outer = torch.einsum("s,si,sj->ij", change / (-8 * width**2 * len(first)), first, second)
        return outer + outer.T

    def _fidelities(self, moves: torch.Tensor) -> torch.Tensor:
        """With the present state, of the states at so far from it, (K, P): shape (K,), the mean over the input."""
        origin = _joined(list(self._named.values()))
        rows = torch.cat([origin[None], origin + moves])
        sizes = [one.numel() for one in self._named.values()]
        input = None if self._input is None else self._input.detach().to("cpu", torch.float64)

        def states(row: torch.Tensor) -> torch.Tensor:
            others = dict(zip(self._named, torch.split(row, sizes), strict=True))
            found: torch.Tensor = functional_call(self._states, others, () if input is None else (input,))
            return found

        with torch.no_grad():
            found = vmap(states)(rows).reshape(len(rows), -1, self._states.output_size)
            overlaps = torch.einsum("bi,kbi->kb", found[0].conj(), found[1:])
            fidelities: torch.Tensor = overlaps.abs().square().mean(1)
            return fidelities

    def _updated(self, estimate: torch.Tensor) -> torch.Tensor:
        """The positive metric after another estimate."""
        (group,) = self.param_groups
        count = group["step"]
        before = torch.eye(len(estimate), dtype=torch.float64) if group["metric"] is None else group["metric"]
        mean = (before * (count + 1) + estimate) / (count + 2)
        group["step"], group["metric"] = count + 1, mean
        values, vectors = torch.linalg.eigh(mean)
        positive = vectors * values.abs() @ vectors.T
        identity = torch.eye(len(mean), dtype=torch.float64)
        used: torch.Tensor = (positive + self._regularization * identity) / (1 + self._regularization)
        return used


def _joined(tensors: list[torch.Tensor]) -> torch.Tensor:
    return torch.cat([one.detach().reshape(-1).to("cpu", torch.float64) for one in tensors])
