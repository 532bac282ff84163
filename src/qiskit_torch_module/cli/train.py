"""``qtm train digits``."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ..applications.classifier import digit_classifier
from ..applications.images import Images
from ..applications.training import History, Keeper, OtherSettingsError, Settings, Training, batches, num_batches
from ..modules.module import QuantumModule
from .errors import WRONG_ARGUMENT, fail, one_line_errors, text_of
from .options import A_PATH, Data, DataOption, FolderOption, SeedOption, ThreadsOption, images_of
from .result import print_result
from .run_folder import CURVE, HISTORY, MODEL, RunFolder, rescue_folder
from .screen import console, say
from .signals import Ending, ending_signals
from .threads import threads_for_the_engine

_MANY = 10**9  # more updates or images than that are a typing error
_LARGEST_RATE = 1000  # Adam's steps are as long as its rate, and angles repeat every 4 pi


def train_digits(
    data: DataOption = Data.digits,
    data_dir: FolderOption = None,
    seed: SeedOption = 0,
    epochs: Annotated[int, typer.Option(min=1, max=_MANY, help="Passes through the training set.")] = 9,
    max_updates: Annotated[
        int | None, typer.Option(min=1, max=_MANY, help="Stop after so many updates (the paper: 250).")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, max=_MANY, help="Images in an update.")] = 48,
    lr: Annotated[float, typer.Option(help="Learning rate of Adam.")] = 0.02,
    threads: ThreadsOption = 0,
    output: Annotated[Path, typer.Option(**A_PATH, help="Folder for model, history and learning curve.")] = Path(
        "qtm-digits"
    ),
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", metavar="", help="Go on with the run that --output holds; give the same --epochs again."
        ),
    ] = False,
) -> None:
    """Train a full-quantum classifier of handwritten digits: 10 qubits, depth 10, 220 weights.

    Incremental data-uploading and softmax over <Z> of every qubit, as in Table II of Meyer et al., arXiv:2404.06314.
    As <Z> is between -1 and 1, the loss stays near 2.2 while the accuracy rises.
    The model is saved again and again; Ctrl-C and SIGTERM end training early, and --resume goes on from there.
    """
    with one_line_errors(), threads_for_the_engine(threads) as num_threads:
        if not 0.0 < lr <= _LARGEST_RATE:  # NaN neither
            expected = f"a positive learning rate, at most {_LARGEST_RATE}"
            fail(f"--lr: expected {expected}, got {lr:g}; try 0.02", status=WRONG_ARGUMENT)
        images = images_of(data, data_dir, seed)
        total, asked = _asked(num_batches(images, batch_size, epochs), epochs, max_updates)
        folder = RunFolder(output, total)
        run = Training(digit_classifier(num_threads, seed), images, lr)
        settings = Settings(images.name, seed, batch_size, lr)
        with ending_signals() as ending:
            _say_what_is_trained(run.model, images)
            _begin(run, folder, settings, resume, total, asked)
            updates = islice(batches(images, batch_size, epochs, seed), total)
            keeper = Keeper(lambda: run.save(folder.model, settings), time.perf_counter)
            _train_with_progress(run, updates, total, keeper, ending)
            failure = _save(run, folder, settings)
            print_result(run.model, images, run.history)
            if failure is None:
                say(f"saved to {output}: {MODEL}, {HISTORY}, {CURVE}")
    if failure is not None:
        fail(failure)
    if ending.number is not None:
        raise typer.Exit(128 + ending.number)


def _asked(updates: int, epochs: int, max_updates: int | None) -> tuple[int, str]:
    """How many updates there are to be, and the option that says so; ``updates`` are those of all epochs."""
    if max_updates is not None and max_updates < updates:
        return max_updates, f"--max-updates {max_updates}"
    return updates, f"--epochs {epochs}"


def _say_what_is_trained(model: QuantumModule, images: Images) -> None:
    say(
        f"{images.name}: {len(images.train_labels)} images for training, {len(images.test_labels)} for testing; "
        f"{model.circuit.num_qubits} qubits, {model.num_trainable_parameters} weights"
    )


def _begin(run: Training, folder: RunFolder, settings: Settings, resume: bool, total: int, asked: str) -> None:
    """Resumes the run where it stopped, or keeps the model of an earlier run before it is overwritten."""
    has_run = folder.model.exists()
    if resume and has_run:
        try:
            run.resume(folder.model, settings)
        except OtherSettingsError as error:
            fail(str(error), error, WRONG_ARGUMENT)
        done = len(run.history.loss)
        if done < total:
            say(f"going on after {done} of {total} updates")
        else:
            say(f"nothing left to train: {done} updates are done, and {asked} asks for {total}; raise it to go on")
    elif resume:
        say(f"{folder.path} holds no run to go on with; starting a new one")
    elif has_run:
        say(f"the model of the earlier run is kept as {folder.set_aside()}")


def _save(run: Training, folder: RunFolder, settings: Settings) -> str | None:
    """Writes the files of the run, if necessary to another folder; returns what to say in that case."""
    title = f"{settings.data}, seed {settings.seed}: test accuracy {100 * run.history.test_accuracy[-1][1]:.1f} %"
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
        folder.write(run, settings, title)
        return None
    except OSError as error:
        failure = f"could not save to {text_of(error)}"
    try:
        other = RunFolder(rescue_folder(), len(run.history.loss))
        other.write(run, settings, title)
    except OSError as error:
        return f"{failure}; nor to another folder, {text_of(error)}"
    return f"{failure}; saved to {other.path} instead"


def _train_with_progress(
    run: Training, updates: Iterator[tuple[int, torch.Tensor]], total: int, keeper: Keeper, ending: Ending
) -> None:
    columns = (
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[learnt]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    before = len(run.history.loss)
    with Progress(*columns, console=console, disable=before >= total) as progress:
        task = progress.add_task("training", total=total, completed=before, learnt=_learnt(run.history))

        def on_update(history: History) -> None:
            progress.update(task, advance=1, learnt=_learnt(history))
            failed = keeper.failure is not None
            keeper.offer()
            if keeper.failure is not None and not failed:
                say(f"could not save yet: {keeper.failure}; training goes on")

        run.run(updates, time.perf_counter, on_update, ending)


def _learnt(history: History) -> str:
    """Loss and accuracy of the last updates, on training images; nothing before the first."""
    loss, accuracy = history.loss[-15:], history.accuracy[-15:]
    return f"loss {np.mean(loss):.3f}  training accuracy {np.mean(accuracy):.0%}" if loss else ""
