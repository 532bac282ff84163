"""Epochs of Adam on weighted losses, until they stop falling."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..modules.module import QuantumModule
from .progress import Progress

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Samples:
    """What is learnt from.

    Attributes:
        inputs: Shape (N, features).
        targets: Shape (N, ...).
        weights: Shape (N,), or None: all weigh the same.
    """

    inputs: torch.Tensor
    targets: torch.Tensor
    weights: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.inputs)

    def at(self, rows: Any) -> Samples:
        """Some of them."""
        rows = torch.as_tensor(rows)
        return Samples(self.inputs[rows], self.targets[rows], None if self.weights is None else self.weights[rows])

    @property
    def mean_weight(self) -> float:
        """The mean of the weights."""
        return 1.0 if self.weights is None else self.weights.mean().item()


@dataclass(frozen=True)
class Patience:
    """When to stop.

    Attributes:
        epochs: At most so many.
        tolerance: By how much a loss must fall to count.
        without_change: After so many epochs without that, training ends.
    """

    epochs: int
    tolerance: float
    without_change: int


class Training:
    """A model with its optimizer.

    Args:
        model: Trained in place.
        loss: Of outputs and targets, one number for each sample.
        learning_rate: Adam's.
        weight_decay: Adam's, of parameters that are no angles.
        batch_size: Samples of an update, at most.
        random: Shuffles.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        loss: Loss,
        learning_rate: float,
        weight_decay: float,
        batch_size: int,
        random: np.random.RandomState,
    ) -> None:
        self.model, self.loss, self.random = model, loss, random
        self.batch_size = batch_size
        quantum = [one for part in model.modules() if isinstance(part, QuantumModule) for one in part.parameters()]
        own = set(quantum)
        groups = [
            {"params": quantum, "weight_decay": 0.0},  # angles that are 0 are no simpler than others
            {"params": [one for one in model.parameters() if one not in own], "weight_decay": weight_decay},
        ]
        self.optimizer = torch.optim.AdamW([group for group in groups if group["params"]], lr=learning_rate)

    def run(self, samples: Samples, held_out: Samples | None, patience: Patience, shown: bool) -> Iterator[float]:
        """Losses, one for each epoch; or for each epoch that of what is held out, whose best weights are kept."""
        best, since, kept = math.inf, 0, None
        with Progress(patience.epochs, shown) as progress:
            for _ in range(patience.epochs):
                loss = self.epoch(samples)
                validation = None if held_out is None else self.evaluated(held_out)
                progress.advance(loss, validation)
                watched = loss if validation is None else validation
                since = 0 if watched < best - patience.tolerance else since + 1
                if watched < best:
                    best = watched
                    kept = None if held_out is None else _copied(self.model)
                yield loss if validation is None else validation
                if since >= patience.without_change:
                    break
        if kept is not None:
            self.model.load_state_dict(kept)

    def epoch(self, samples: Samples) -> float:
        """Updates with all samples once, in random order; the mean loss before each.

        Raises:
            ValueError: the loss is not finite any more.
        """
        order, total, mean = torch.from_numpy(self.random.permutation(len(samples))), 0.0, samples.mean_weight
        for rows in torch.split(order, self.batch_size):
            self.optimizer.zero_grad()
            loss = self._loss(samples.at(rows), mean)
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            total += loss.item() * len(rows)
        if not math.isfinite(total):
            raise ValueError(
                "learning_rate: expected one with which the loss stays finite, got another; use a smaller one"
            )
        return total / len(samples)

    def evaluated(self, samples: Samples) -> float:
        """The loss, without an update."""
        with torch.no_grad():
            return self._loss(samples, samples.mean_weight).item()

    def _loss(self, samples: Samples, mean_weight: float) -> torch.Tensor:
        losses = self.loss(self.model(samples.inputs), samples.targets)
        if samples.weights is not None:
            losses = losses * samples.weights / mean_weight
        return losses.mean()


def _copied(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}
