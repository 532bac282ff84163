"""``qtm evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..applications.classifier import load_classifier, predict
from ..applications.training import seed_of_split
from .errors import WRONG_ARGUMENT, one_line_errors
from .options import Data, DataOption, FolderOption, ThreadsOption, images_of, path
from .run_folder import MODEL
from .screen import console, say
from .threads import threads_for_the_engine


def evaluate(
    model_file: Annotated[
        Path,
        typer.Argument(parser=path, metavar="MODEL", help="What 'qtm train digits' saved: model.pt, or its folder."),
    ],
    data: DataOption = Data.digits,
    data_dir: FolderOption = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**32 - 1, help="Seed of the split; default: that of the training.")
    ] = None,
    threads: ThreadsOption = 0,
) -> None:
    """Test accuracy of a saved classifier, on the images that it was not trained on."""
    with one_line_errors(), threads_for_the_engine(threads) as num_threads:
        if model_file.is_dir():
            model_file = model_file / MODEL
        model, settings = load_classifier(model_file, num_threads)
        with one_line_errors(WRONG_ARGUMENT):
            seed = seed_of_split(settings, seed)
        images = images_of(data, data_dir, seed)
        correct = int((predict(model, images.test_pixels) == images.test_labels).sum())
        total = len(images.test_labels)
        console.print(f"test accuracy {correct / total:.1%} ({correct} of {total})", style="bold", highlight=False)
        say(f"{images.name}, split with seed {seed}; none of these images was used in training")
