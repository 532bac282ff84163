"""The command line, ``qtm``."""

from __future__ import annotations

import importlib.util
import json
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import Enum
from itertools import islice
from pathlib import Path
from typing import Annotated

try:
    import matplotlib  # noqa: F401
    import rich  # noqa: F401
    import sklearn
    import typer
except ModuleNotFoundError as error:  # the base package does not need them
    sys.exit(f"qtm needs the package '{error.name}'; install it with: pip install 'qiskit-torch-module[demo]'")

import numpy as np
import qiskit
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from . import __version__, _engine
from ._classifier import (
    History,
    batches,
    digit_classifier,
    load_classifier,
    num_batches,
    predict,
    save_classifier,
    train,
)
from ._images import NUM_CLASSES, Images, load_digits, load_mnist
from .module import QuantumModule
from .plots import plot_learning_curve
from .reproduce.experiments import EXPERIMENTS, Run
from .reproduce.store import Result, Settings
from .reproduce.systems import SYSTEMS

app = typer.Typer(help="Train quantum circuits with PyTorch.", no_args_is_help=True, add_completion=False)
train_app = typer.Typer(help="Train a model.", no_args_is_help=True)
app.add_typer(train_app, name="train")
console = Console()

_INTERRUPTED = 130  # what a shell reports for a program ended by Ctrl-C


class Data(str, Enum):
    """Which digits."""

    digits = "digits"
    mnist = "mnist"


DataOption = Annotated[Data, typer.Option(help="digits: ships with scikit-learn; mnist: IDX files in --data-dir.")]
FolderOption = Annotated[Path | None, typer.Option(help="Folder with the IDX files of MNIST (.gz or not).")]
SeedOption = Annotated[int, typer.Option(min=0, help="Seed of split, initial weights and shuffling.")]
ThreadsOption = Annotated[int, typer.Option(min=0, help="Threads; 0: as many as PyTorch uses.")]


@contextmanager
def _one_line_errors() -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        Console(stderr=True).print(f"[red]Error:[/red] {error}", highlight=False, soft_wrap=True)
        raise typer.Exit(1) from error


def _load(data: Data, folder: Path | None, seed: int) -> Images:
    if data is Data.digits and folder is not None:
        raise ValueError("--data-dir goes with --data mnist; the digits ship with scikit-learn")
    return load_digits(seed) if data is Data.digits else load_mnist(folder, seed)


@app.command()
def info() -> None:
    """Print versions, the instruction set in use, and threads."""
    table = Table(show_header=False, box=None)
    table.add_row("qiskit-torch-module", __version__)
    table.add_row("qiskit", qiskit.__version__)
    table.add_row("torch", torch.__version__)
    table.add_row("numpy", np.__version__)
    table.add_row("scikit-learn", sklearn.__version__)
    table.add_row("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    table.add_row("instruction set", f"{_engine.instruction_set()} (of {', '.join(_engine.instruction_sets())})")
    table.add_row("threads", str(torch.get_num_threads()))
    table.add_row("memory budget", f"{_engine.memory_budget() / 2**30:.1f} GiB")
    console.print(table, highlight=False)


@train_app.command("digits")
def train_digits(
    data: DataOption = Data.digits,
    data_dir: FolderOption = None,
    seed: SeedOption = 0,
    epochs: Annotated[int, typer.Option(min=1, help="Passes through the training set.")] = 9,
    max_updates: Annotated[int | None, typer.Option(min=1, help="Stop after so many updates (the paper: 250).")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Images in an update.")] = 48,
    lr: Annotated[float, typer.Option(min=0.0, help="Learning rate of Adam.")] = 0.02,
    threads: ThreadsOption = 0,
    output: Annotated[Path, typer.Option(help="Folder for model, history and learning curve.")] = Path("qtm-digits"),
) -> None:
    """Train a full-quantum classifier of handwritten digits: 10 qubits, depth 10, 220 weights.

    Incremental data-uploading and softmax over <Z> of every qubit, as in Table II of Meyer et al., arXiv:2404.06314.
    Ctrl-C ends training early and keeps what was learnt.
    """
    with _one_line_errors():
        if lr == 0.0:
            raise ValueError("--lr: expected a positive learning rate, got 0; try 0.02")
        images = _load(data, data_dir, seed)
        output.mkdir(parents=True, exist_ok=True)
        if threads > 0:
            torch.set_num_threads(threads)
        model = digit_classifier(threads, seed)
        console.print(
            f"{images.name}: {len(images.train_labels)} images for training, {len(images.test_labels)} for testing; "
            f"{model.circuit.num_qubits} qubits, {model.num_trainable_parameters} weights",
            highlight=False,
        )
        history = _train_with_progress(model, images, batch_size, epochs, max_updates, lr, seed)
        save_classifier(output / "model.pt", model, history)
        (output / "history.json").write_text(json.dumps(asdict(history)))
        test_accuracy = history.test_accuracy[-1][1]
        title = f"{images.name}, seed {seed}: test accuracy {100 * test_accuracy:.1f} %"
        plot_learning_curve(history, title, output / "learning_curve.png")
        _print_result(model, images, history)
        console.print(f"saved to {output}: model.pt, history.json, learning_curve.png", highlight=False)
    if history.interrupted:
        raise typer.Exit(_INTERRUPTED)


def _train_with_progress(
    model: QuantumModule,
    images: Images,
    batch_size: int,
    epochs: int,
    max_updates: int | None,
    learning_rate: float,
    seed: int,
) -> History:
    columns = (
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.3f}  accuracy {task.fields[accuracy]:.0%}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    total = num_batches(images, batch_size, epochs)
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("training", total=min(total, max_updates or total), loss=float("nan"), accuracy=0.0)

        def show(history: History) -> None:
            recent = slice(-15, None)
            progress.update(
                task,
                advance=1,
                loss=float(np.mean(history.loss[recent])),
                accuracy=float(np.mean(history.accuracy[recent])),
            )

        updates = islice(batches(images, batch_size, epochs, seed), max_updates)
        return train(model, images, updates, learning_rate, show, time.perf_counter)


def _print_result(model: QuantumModule, images: Images, history: History) -> None:
    if history.interrupted:
        console.print(f"interrupted after {len(history.loss)} updates; what was learnt so far is kept", highlight=False)
    predicted = predict(model, images.test_pixels)
    confusion = torch.zeros(NUM_CLASSES, NUM_CLASSES, dtype=torch.int64)
    confusion.index_put_((images.test_labels, predicted), torch.tensor(1), accumulate=True)
    table = Table(title="confusion matrix (test set)", title_style="")
    table.add_column("true \\ predicted", justify="right")
    for label in range(NUM_CLASSES):
        table.add_column(str(label), justify="right")
    for label, row in enumerate(confusion.tolist()):
        cells = [f"[bold]{count}[/bold]" if index == label else str(count or "") for index, count in enumerate(row)]
        table.add_row(str(label), *cells)
    console.print(table)
    correct = int(confusion.diagonal().sum())
    console.print(
        f"test accuracy {correct / len(predicted):.1%} ({correct} of {len(predicted)}) after {len(history.loss)} "
        f"updates in {history.seconds:.1f} s",
        style="bold",
        highlight=False,
    )


@app.command()
def evaluate(
    model_file: Annotated[Path, typer.Argument(metavar="MODEL", help="model.pt that 'qtm train digits' saved.")],
    data: DataOption = Data.digits,
    data_dir: FolderOption = None,
    seed: SeedOption = 0,
    threads: ThreadsOption = 0,
) -> None:
    """Test accuracy of a saved classifier (give the seed it was trained with: it decides the split)."""
    with _one_line_errors():
        model = load_classifier(model_file, threads)
        images = _load(data, data_dir, seed)
        correct = int((predict(model, images.test_pixels) == images.test_labels).sum())
        total = len(images.test_labels)
        console.print(f"test accuracy {correct / total:.1%} ({correct} of {total})", style="bold", highlight=False)


Experiment = Enum("Experiment", {name: name for name in [*EXPERIMENTS, "all"]})  # type: ignore[misc]


@app.command()
def reproduce(
    name: Annotated[Experiment, typer.Argument(help="Figure or table of the paper, or all.")],
    quick: Annotated[
        bool, typer.Option("--quick", help="Few points and short runs: minutes instead of hours.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option(help="Folder for results, tables and plots; an interrupted run goes on there.")
    ] = None,
    envs: Annotated[Path, typer.Option(help="Folder of the rivals' virtual environments ('qtm rivals').")] = Path(
        ".rivals"
    ),
    data_dir: Annotated[Path | None, typer.Option(help="MNIST for tab2; default: scikit-learn's digits.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="Part of the label of a system; default: all.")] = None,
    limit: Annotated[float, typer.Option(help="Longest step (s) after which a system gets no larger work.")] = 20.0,
    timeout: Annotated[float, typer.Option(help="Longest run of a system at a point (s).")] = 300.0,
) -> None:
    """Measure the tables and figures of Meyer et al., arXiv:2404.06314, on this machine.

    Writes JSON, a Markdown table and a plot for each. Rivals take part where their environments are there.
    """
    folder = output or Path("qtm-results-quick" if quick else "qtm-results")
    settings = Settings(folder, envs, data_dir, quick, tuple(only or ()), limit, timeout)
    with _one_line_errors():
        for one in EXPERIMENTS if name.value == "all" else [name.value]:
            _reproduce(one, settings)


def _reproduce(name: str, settings: Settings) -> None:
    experiment = EXPERIMENTS[name]
    console.rule(f"{name}: {experiment.title}")
    for package in experiment.needs:
        if importlib.util.find_spec(package) is None:
            console.print(f"left out: it needs '{package}'; pip install 'qiskit-torch-module[reproduce]'")
            return
    run = Run(name, settings)
    if run.absent:
        absent = ", ".join(run.absent)
        console.print(
            f"left out, no environment in {settings.environments} ('qtm rivals' says how): {absent}", highlight=False
        )
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    try:
        with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as progress:
            task = progress.add_task(name, total=len(run.missing))
            for key, result in run.measure():
                progress.update(task, advance=1)
                progress.console.print(f"{key}: {_outcome(result)}", highlight=False)
    except KeyboardInterrupt:
        console.print("interrupted; the same command goes on from here")
        raise typer.Exit(_INTERRUPTED) from None
    finally:
        for path in run.write():
            console.print("wrote", path, highlight=False)


def _outcome(result: Result) -> str:
    if "error" in result or "skipped" in result:
        return str(result.get("error") or f"left out, {result['skipped']}")
    for measure in ("step", "jacobian"):
        if measure in result:
            times = result[measure]
            median = np.median(times["times"]) if isinstance(times, dict) else times
            return f"{median:.3g} ms"
    return f"{result['seconds']:.1f} s"


@app.command()
def rivals() -> None:
    """Print the commands that make the rivals' virtual environments for 'qtm reproduce'."""
    for name, requirements in {one.environment: one.requirements for one in SYSTEMS if one.environment}.items():
        packages = " ".join(f"'{one}'" for one in requirements.split())
        print(f"python -m venv .rivals/{name} && .rivals/{name}/bin/pip install {packages}")


if __name__ == "__main__":
    app()
