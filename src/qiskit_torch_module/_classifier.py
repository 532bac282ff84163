"""The full-quantum classifier of digits (Meyer et al., arXiv:2404.06314, Table II) and its training."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from ._checkpoint import read_checkpoint, write_checkpoint
from ._images import NUM_CLASSES, SIDE, Images
from .circuits import incremental_data_uploading
from .module import QuantumModule

_KIND = "digit classifier"


def digit_classifier(num_threads: int = 0, seed: int | None = None) -> QuantumModule:
    """10 qubits, depth 10, 220 weights: <Z> of qubit c is the logit of class c, for a softmax over the classes."""
    circuit, features, weights = incremental_data_uploading(NUM_CLASSES, SIDE * SIDE // NUM_CLASSES)
    return QuantumModule(
        circuit,
        features,
        weights,
        variational_params_names="weights",
        seed_init=seed,
        num_threads_forward=num_threads,
        num_threads_backward=num_threads,
    )


@dataclass
class History:
    """What happened in training: one entry for each update, and (update, accuracy) pairs on the test set."""

    loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    test_accuracy: list[tuple[int, float]] = field(default_factory=list)
    seconds: float = 0.0
    interrupted: bool = False


def predict(model: QuantumModule, pixels: torch.Tensor) -> torch.Tensor:
    """Most probable class of every image."""
    with torch.no_grad():
        labels: torch.Tensor = model(pixels).argmax(dim=1)
    return labels


def _test_accuracy(model: QuantumModule, images: Images) -> float:
    return float((predict(model, images.test_pixels) == images.test_labels).double().mean())


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


def train(
    model: QuantumModule,
    images: Images,
    updates: Iterator[tuple[int, torch.Tensor]],
    learning_rate: float,
    on_update: Callable[[History], Any],
    clock: Callable[[], float],
) -> History:
    """Adam on the cross-entropy of the softmax over the outputs; Ctrl-C ends it after the update under way."""
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate, amsgrad=True)
    history, last_epoch, start = History(), 0, clock()
    with _interruptible() as interrupted:
        for epoch, batch in updates:
            if epoch > last_epoch:
                history.test_accuracy.append((len(history.loss), _test_accuracy(model, images)))
                last_epoch = epoch
            optimizer.zero_grad()
            output = model(images.train_pixels[batch])
            labels = images.train_labels[batch]
            loss = torch.nn.functional.cross_entropy(output, labels)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            history.loss.append(loss.item())
            history.accuracy.append(float((output.argmax(dim=1) == labels).double().mean()))
            history.seconds = clock() - start
            on_update(history)
            if interrupted.is_set():
                history.interrupted = True
                break
    history.test_accuracy.append((len(history.loss), _test_accuracy(model, images)))
    return history


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """An event that Ctrl-C sets, so that no update is cut in half; a second Ctrl-C interrupts as usual."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return

    def on_interrupt(number: int, frame: Any) -> None:
        if event.is_set():
            raise KeyboardInterrupt
        event.set()

    previous = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, previous)


def save_classifier(path: Path, model: QuantumModule, history: History) -> None:
    """Writes weights and history to one file, atomically."""
    write_checkpoint(path, _KIND, {"weights": model.state_dict(), "history": asdict(history)})


def load_classifier(path: Path, num_threads: int = 0) -> QuantumModule:
    """The classifier that `save_classifier` wrote.

    Raises:
        ValueError: the file is damaged or of another kind.
    """
    model = digit_classifier(num_threads)
    model.load_state_dict(read_checkpoint(path, _KIND)["weights"])
    return model
