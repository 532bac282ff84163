"""What is printed of a classifier that was trained."""

from __future__ import annotations

import torch
from rich.table import Table

from ..applications.classifier import predict
from ..applications.images import NUM_CLASSES, Images
from ..applications.training import History
from ..modules.module import QuantumModule
from .screen import console, say

_WHOLE_TABLE = 1000  # columns that any table finds room in


def print_result(model: QuantumModule, images: Images, history: History) -> None:
    """Prints how often each digit was taken for each, and the accuracy, on images that were not trained on."""
    if history.interrupted:
        say(f"interrupted after {len(history.loss)} updates; what was learnt so far is kept, and --resume goes on")
    predicted = predict(model, images.test_pixels)
    confusion = torch.zeros(NUM_CLASSES, NUM_CLASSES, dtype=torch.int64)
    confusion.index_put_((images.test_labels, predicted), torch.tensor(1), accumulate=True)
    table = Table(title="confusion matrix (test set)", title_style="")
    table.add_column("true \\ predicted", justify="right")
    for label in range(NUM_CLASSES):
        table.add_column(str(label), justify="right", min_width=3)
    for label, row in enumerate(confusion.tolist()):
        cells = [f"[bold]{count}[/bold]" if index == label else str(count or "") for index, count in enumerate(row)]
        table.add_row(str(label), *cells)
    # On narrow screens lines go on in the next one: columns that are cut off would be lost.
    whole = console.measure(table, options=console.options.update(width=_WHOLE_TABLE)).maximum
    table.width = whole if whole > console.width else None
    console.print(table, crop=False, no_wrap=True, overflow="ignore")
    correct = int(confusion.diagonal().sum())
    console.print(
        f"test accuracy {correct / len(predicted):.1%} ({correct} of {len(predicted)}) after {len(history.loss)} "
        f"updates in {history.seconds:.1f} s",
        style="bold",
        highlight=False,
    )
