"""Training of the digit classifier: its history, and everything needed to resume it where it stopped."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from ..modules.checkpoint import Checkpoint, progress_and_states
from ..modules.module import QuantumModule
from .classifier import predict
from .images import Images


@dataclass
class History:
    """What happened in training: one entry for each update, and (update, accuracy) pairs on the test set."""

    loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    test_accuracy: list[tuple[int, float]] = field(default_factory=list)
    seconds: float = 0.0
    interrupted: bool = False


@dataclass(frozen=True)
class Settings:
    """What a resumed run must have in common with its beginning."""

    data: str
    seed: int
    batch_size: int
    learning_rate: float


class OtherSettingsError(ValueError):
    """A run is to go on with settings that it did not have."""


def batches(images: Images, batch_size: int, epochs: int, seed: int) -> Iterator[tuple[int, torch.Tensor]]:
    """Pairs (epoch, indices of a batch); every epoch is a fresh shuffle, and its incomplete last batch is left out."""
    generator = torch.Generator().manual_seed(seed)
    size = min(batch_size, len(images.train_labels))
    for epoch in range(epochs):
        order = torch.randperm(len(images.train_labels), generator=generator)
        for first in range(0, len(order) - size + 1, size):
            yield epoch, order[first : first + size]


def num_batches(images: Images, batch_size: int, epochs: int) -> int:
    """How many batches `batches` yields."""
    size = len(images.train_labels)
    return epochs * (size // min(batch_size, size))


def _nothing(history: History) -> None:
    """What is done after an update by default."""


class Training:
    """Adam on the cross-entropy of the softmax over the outputs.

    Args:
        model: The classifier, trained in place.
        images: For training and testing.
        learning_rate: Adam's.
    """

    def __init__(self, model: QuantumModule, images: Images, learning_rate: float) -> None:
        self.model, self.images = model, images
        (self._weights,) = model.variational_
        self.optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate, amsgrad=True)
        self.history = History()
        self._checkpoints: dict[Path, Checkpoint] = {}

    def run(
        self,
        updates: Iterator[tuple[int, torch.Tensor]],
        clock: Callable[[], float],
        on_update: Callable[[History], Any] = _nothing,
        stops: Callable[[], bool] = lambda: False,
    ) -> History:
        """Takes the updates that are still to be done, until it is told to stop; no update is cut in half.

        Args:
            updates: All batches of the run, from its beginning.
            clock: Seconds.
            on_update: Called after every update.
            stops: Whether to stop, asked after every update.
        """
        history, last_epoch = self.history, 0
        done, start = len(history.loss), clock() - history.seconds
        for number, (epoch, batch) in enumerate(updates):
            if number < done:
                last_epoch = epoch
                continue
            if epoch > last_epoch:
                self._test()
                last_epoch = epoch
            self._update(batch)
            history.seconds = clock() - start
            on_update(history)
            if stops():
                history.interrupted = True
                break
        self._test()
        return history

    def _update(self, batch: torch.Tensor) -> None:
        self.optimizer.zero_grad()
        output = self.model(self.images.train_pixels[batch])
        labels = self.images.train_labels[batch]
        loss = torch.nn.functional.cross_entropy(output, labels)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.history.loss.append(loss.item())
        self.history.accuracy.append(float((output.argmax(dim=1) == labels).double().mean()))

    def _test(self) -> None:
        right = predict(self.model, self.images.test_pixels) == self.images.test_labels
        self.history.test_accuracy.append((len(self.history.loss), float(right.double().mean())))

    def save(self, path: Path, settings: Settings) -> None:
        """Writes weights, history and optimizer to one file, atomically.

        Raises:
            OSError: the file cannot be written.
            ValueError: the weights are not finite; an older file stays as it is.
        """
        weights = self._weights.detach()
        if not torch.isfinite(weights).all():
            raise ValueError("the weights are not finite any more; train again with a smaller --lr")
        self._checkpoint(path).save(history=asdict(self.history), settings=asdict(settings))

    def _checkpoint(self, path: Path) -> Checkpoint:
        if path not in self._checkpoints:
            self._checkpoints[path] = Checkpoint(path, self.model, self.optimizer)
        return self._checkpoints[path]

    def resume(self, path: Path, settings: Settings) -> None:
        """Goes back to where `save` was called: what follows is what would have followed there.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the file is damaged.
            OtherSettingsError: the run it holds had other settings.
        """
        progress = progress_and_states(path)["progress"]
        if not isinstance(progress.get("settings"), dict) or not isinstance(progress.get("history"), dict):
            raise ValueError(f"{path} holds no training run to go on with; train again, in another folder")
        for name, value in asdict(settings).items():
            if progress["settings"].get(name) != value:
                raise OtherSettingsError(
                    f"{path} was trained with {name} {progress['settings'].get(name)!r}, now it is {value!r}; go on "
                    "with what it was, or train again in another folder"
                )
        self._checkpoint(path).load()
        history = History(**progress["history"])
        history.test_accuracy = [(int(update), float(share)) for update, share in history.test_accuracy]
        history.interrupted = False
        # The last test was that of an end that is no longer the end; where an epoch begins it is repeated.
        if history.test_accuracy and history.test_accuracy[-1][0] == len(history.loss):
            history.test_accuracy.pop()
        self.history = history


def seed_of_split(settings: Mapping[str, Any], given: int | None) -> int:
    """The seed of the split between the images a classifier was trained on and others.

    Args:
        settings: What the classifier was trained with.
        given: What the user wants; None: what it was trained with.

    Raises:
        ValueError: another one is given: images of the training set would be among those of the test.
    """
    trained = settings.get("seed")
    if not isinstance(trained, int):  # a file of the older format
        return given or 0
    if given not in (None, trained):
        raise ValueError(
            f"--seed: the model was trained with seed {trained}, and with {given} it would be tested on images it was "
            "trained on; leave --seed out"
        )
    return trained


class Keeper:
    """Saves a run while it goes on, so seldom that this takes at most a tenth of the time.

    Args:
        save: Writes the file.
        clock: Seconds.

    Attributes:
        failure: Why the last attempt failed; None: it did not.
    """

    PAUSE = 10  # times as long as it took to save

    def __init__(self, save: Callable[[], None], clock: Callable[[], float]) -> None:
        self._save, self._clock = save, clock
        self._next = -math.inf
        self.failure: Exception | None = None

    def offer(self) -> None:
        """Saves, if it is time. A failed attempt is repeated: a full disk does not end training."""
        begin = self._clock()
        if begin >= self._next:
            self.save()
            end = self._clock()
            self._next = end + self.PAUSE * (end - begin)

    def save(self) -> bool:
        """Saves now; False: it failed."""
        try:
            self._save()
            self.failure = None
        except (OSError, ValueError) as error:
            self.failure = error
        return self.failure is None
