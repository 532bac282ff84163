"""The command line, ``qtm``."""

from __future__ import annotations

import importlib.util
import os
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from itertools import islice
from pathlib import Path
from typing import IO, Annotated, Any, NoReturn, cast

from ._core.extras import how_to_install

try:
    import matplotlib  # noqa: F401
    import rich  # noqa: F401
    import sklearn
    import typer
except ModuleNotFoundError as error:  # the base package does without them
    sys.exit(f"qtm needs the package '{error.name}'; {how_to_install('demo')}")

import numpy as np
import qiskit
import torch
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from . import __version__, _engine
from ._command_line.gpus import gpu_rows
from ._command_line.output import Output, silence
from ._command_line.run_folder import CURVE, HISTORY, MODEL, RunFolder, rescue_folder
from ._command_line.signals import Ending, ending_signals
from .applications.classifier import digit_classifier, load_classifier, predict
from .applications.images import NUM_CLASSES, Images, load_digits, load_mnist
from .applications.training import History, Keeper, Settings, Training, batches, num_batches, seed_of_split
from .modules.module import QuantumModule
from .reproduce import store
from .reproduce.experiments import EXPERIMENTS, Run
from .reproduce.systems import SYSTEMS, labels_of


def _flag(option: Any) -> Any:
    """An option that is a flag, without its type in the help."""
    if option is not None:
        option.metavar = ""
    return option


class Command(typer.core.TyperCommand):
    """One command."""

    def get_help_option(self, ctx: Any) -> Any:
        """--help."""
        return _flag(super().get_help_option(ctx))


class Group(typer.core.TyperGroup):
    """Several commands."""

    def get_help_option(self, ctx: Any) -> Any:
        """--help."""
        return _flag(super().get_help_option(ctx))


class Commands(Group):
    """Commands whose errors take one line."""

    def main(self, *arguments: Any, **options: Any) -> Any:
        """Runs the command line."""
        standalone_mode = options.get("standalone_mode", True)
        options["standalone_mode"] = False
        try:
            code = super().main(*arguments, **options)
        except typer.Abort:
            code = _INTERRUPTED
        except OSError as error:  # of help, which Typer prints by itself
            code = 1
            silence(sys.stdout)
            _say_problem(_text(error) if error.filename is not None else f"standard output: {error.strerror}")
        except Exception as error:  # Typer has classes of its own for what Click calls a ClickException
            if not hasattr(error, "format_message"):
                raise
            code = getattr(error, "exit_code", 2)
            _say_error(error)
        if not standalone_mode:
            return code
        status = code if isinstance(code, int) else 0
        sys.exit(status or _status_of_output())


def _status_of_output() -> int:
    """0 if what was printed has arrived, or nobody reads it any more; else says why not."""
    for output in (cast("Output", one.file) for one in (console, listing)):
        output.flush()
        failure, output.failure = output.failure, None
        if failure is not None:
            _say_problem(f"standard output: {failure.strerror}")
            return 1
    return 0


def _say_error(error: Any) -> None:
    if type(error).__name__ == "NoArgsIsHelpError":
        console.out(error.format_message(), highlight=False, end="")  # empty where Typer has shown it
        return
    context: Any = getattr(error, "ctx", None)
    where = f"; see '{context.command_path} --help'" if context is not None else ""
    message = " ".join(error.format_message().split()).rstrip(".").replace("Value error, ", "")  # newer Typers
    _say_problem(f"{message}{where}")


app = typer.Typer(help="Train quantum circuits with PyTorch.", no_args_is_help=True, add_completion=False, cls=Commands)
train_app = typer.Typer(help="Train a model.", no_args_is_help=True, cls=Group)
app.add_typer(train_app, name="train")


def _console(*streams: str, **options: Any) -> Console:
    made = Console(file=cast("IO[str]", Output(*streams)), **options)
    if made.width < 1:  # COLUMNS=0, by which rich writes nothing at all
        made.width = 80
    return made


console = _console("stdout", "stderr")  # results, which are not lost
listing = _console("stdout")  # what may be asked for again
errors = _console("stderr", soft_wrap=True)

_INTERRUPTED = 130  # what a shell reports for a program ended by Ctrl-C: 128 and the number of the signal
_WHOLE_TABLE = 1000  # columns that any table finds room in
_MANY = 10**9  # more updates, threads or images than that are a typing error
_LARGEST_RATE = 1000  # Adam's steps are as long as its rate, and angles repeat every 4 pi


def _print_version(asked: bool) -> None:
    if asked:
        listing.print(f"qiskit-torch-module {__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", metavar="", callback=_print_version, is_eager=True, help="Print the version and end."
        ),
    ] = False,
) -> None:
    """Train quantum circuits with PyTorch."""


class Data(str, Enum):
    """Which digits."""

    digits = "digits"
    mnist = "mnist"


DataOption = Annotated[Data, typer.Option(help="digits: ships with scikit-learn; mnist: IDX files in --data-dir.")]


def _path(given: str | Path) -> Path:
    """A path that has a name: an empty one, as of a variable that was never set, would be the folder one is in."""
    if not str(given):
        raise typer.BadParameter("expected a name, got ''; give one, such as . for the folder you are in")
    return Path(given)


_A_PATH: dict[str, Any] = {"parser": _path, "metavar": "PATH"}
FolderOption = Annotated[Path | None, typer.Option(**_A_PATH, help="Folder with the IDX files of MNIST (.gz or not).")]
SeedOption = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed of split, initial weights and shuffling.")]
ThreadsOption = Annotated[
    int, typer.Option(min=0, max=1024, help="Threads, at most one for each processor; 0: as many as PyTorch uses.")
]


@contextmanager
def _one_line_errors() -> Iterator[None]:
    try:
        yield
    except MemoryError as error:
        _fail("out of memory; give it more, or less to do", error)
    except (OSError, ValueError) as error:
        _fail(_text(error), error)


def _text(error: Exception) -> str:
    """What an error says, without a number of the operating system."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def _say(message: str) -> None:
    """Prints a line of text as it is, however long."""
    console.print(message, highlight=False, markup=False, soft_wrap=True)


def _say_problem(message: str) -> None:
    errors.print(f"[red]Error:[/red] {escape(' '.join(message.split()))}", highlight=False)


def _fail(message: str, cause: Exception | None = None) -> NoReturn:
    _say_problem(message)
    raise typer.Exit(1) from cause


def _load(data: Data, folder: Path | None, seed: int) -> Images:
    if data is Data.digits and folder is not None:
        raise ValueError("--data-dir goes with --data mnist; the digits ship with scikit-learn")
    return load_digits(seed) if data is Data.digits else load_mnist(folder, seed)


@app.command(cls=Command)
def info() -> None:
    """Print versions, the instruction set in use, threads, and who computes on a GPU."""
    with _one_line_errors():
        used = f"{_engine.instruction_set()} (of {', '.join(_engine.instruction_sets())})"
    table = Table(show_header=False, box=None)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("qiskit-torch-module", __version__)
    table.add_row("qiskit", qiskit.__version__)
    table.add_row("torch", torch.__version__)
    table.add_row("numpy", np.__version__)
    table.add_row("scikit-learn", sklearn.__version__)
    table.add_row("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    table.add_row("instruction set", used)
    table.add_row("threads", str(torch.get_num_threads()))
    table.add_row("memory budget", f"{_engine.memory_budget() / 2**30:.1f} GiB")
    with _one_line_errors():
        for name, text in gpu_rows().items():
            table.add_row(name, text)
    listing.print(table, highlight=False)


@train_app.command("digits", cls=Command)
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
    output: Annotated[Path, typer.Option(**_A_PATH, help="Folder for model, history and learning curve.")] = Path(
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
    with _one_line_errors(), _threads_for_the_engine(threads) as num_threads:
        if not 0.0 < lr <= _LARGEST_RATE:  # NaN neither
            raise ValueError(f"--lr: expected a positive learning rate, at most {_LARGEST_RATE}, got {lr:g}; try 0.02")
        images = _load(data, data_dir, seed)
        total, asked = num_batches(images, batch_size, epochs), f"--epochs {epochs}"
        if max_updates is not None and max_updates < total:
            total, asked = max_updates, f"--max-updates {max_updates}"
        folder = RunFolder(output, total)
        run = Training(digit_classifier(num_threads, seed), images, lr)
        settings = Settings(images.name, seed, batch_size, lr)
        with ending_signals() as ending:
            _say(
                f"{images.name}: {len(images.train_labels)} images for training, {len(images.test_labels)} for "
                f"testing; {run.model.circuit.num_qubits} qubits, {run.model.num_trainable_parameters} weights"
            )
            _begin(run, folder, settings, resume, total, asked)
            keeper = Keeper(lambda: run.save(folder.model, settings), time.perf_counter)
            updates = islice(batches(images, batch_size, epochs, seed), total)
            _train_with_progress(run, updates, total, keeper, ending)
            failure = _save(run, folder, settings)
            _print_result(run.model, images, run.history)
            if failure is None:
                _say(f"saved to {output}: {MODEL}, {HISTORY}, {CURVE}")
    if failure is not None:
        _fail(failure)
    if ending.number is not None:
        raise typer.Exit(128 + ending.number)


@contextmanager
def _threads_for_the_engine(threads: int) -> Iterator[int]:
    """How many threads the engine takes; PyTorch keeps to one meanwhile.

    PyTorch gives a softmax over ten classes and the Adam of 220 weights to a team of OpenMP, which spins: next to busy
    processes each of these waits for time slices, tens of milliseconds, where the work takes some microseconds.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield min(threads or before, os.cpu_count() or 1)
    finally:
        torch.set_num_threads(before)


def _begin(run: Training, folder: RunFolder, settings: Settings, resume: bool, total: int, asked: str) -> None:
    """Resumes the run where it stopped, or keeps the model of an earlier run before it is overwritten."""
    has_run = folder.model.exists()
    if resume and has_run:
        run.resume(folder.model, settings)
        done = len(run.history.loss)
        if done < total:
            _say(f"going on after {done} of {total} updates")
        else:
            _say(f"nothing left to train: {done} updates are done, and {asked} asks for {total}; raise it to go on")
    elif resume:
        _say(f"{folder.path} holds no run to go on with; starting a new one")
    elif has_run:
        _say(f"the model of the earlier run is kept as {folder.set_aside()}")


def _save(run: Training, folder: RunFolder, settings: Settings) -> str | None:
    """Writes the files of the run, if necessary to another folder; returns what to say in that case."""
    title = f"{settings.data}, seed {settings.seed}: test accuracy {100 * run.history.test_accuracy[-1][1]:.1f} %"
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
        folder.write(run, settings, title)
        return None
    except OSError as error:
        failure = f"could not save to {_text(error)}"
    try:
        other = RunFolder(rescue_folder(), len(run.history.loss))
        other.write(run, settings, title)
    except OSError as error:
        return f"{failure}; nor to another folder, {_text(error)}"
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
                _say(f"could not save yet: {keeper.failure}; training goes on")

        run.run(updates, time.perf_counter, on_update, ending)


def _learnt(history: History) -> str:
    """Loss and accuracy of the last updates, on training images; nothing before the first."""
    loss, accuracy = history.loss[-15:], history.accuracy[-15:]
    return f"loss {np.mean(loss):.3f}  training accuracy {np.mean(accuracy):.0%}" if loss else ""


def _print_result(model: QuantumModule, images: Images, history: History) -> None:
    if history.interrupted:
        _say(f"interrupted after {len(history.loss)} updates; what was learnt so far is kept, and --resume goes on")
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


@app.command(cls=Command)
def evaluate(
    model_file: Annotated[
        Path,
        typer.Argument(parser=_path, metavar="MODEL", help="What 'qtm train digits' saved: model.pt, or its folder."),
    ],
    data: DataOption = Data.digits,
    data_dir: FolderOption = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**32 - 1, help="Seed of the split; default: that of the training.")
    ] = None,
    threads: ThreadsOption = 0,
) -> None:
    """Test accuracy of a saved classifier, on the images that it was not trained on."""
    with _one_line_errors(), _threads_for_the_engine(threads) as num_threads:
        if model_file.is_dir():
            model_file = model_file / MODEL
        model, settings = load_classifier(model_file, num_threads)
        seed = seed_of_split(settings, seed)
        images = _load(data, data_dir, seed)
        correct = int((predict(model, images.test_pixels) == images.test_labels).sum())
        total = len(images.test_labels)
        console.print(f"test accuracy {correct / total:.1%} ({correct} of {total})", style="bold", highlight=False)
        _say(f"{images.name}, split with seed {seed}; none of these images was used in training")


Experiment = Enum("Experiment", {name: name for name in [*EXPERIMENTS, "all"]})  # type: ignore[misc]


@app.command(cls=Command)
def reproduce(
    name: Annotated[Experiment, typer.Argument(help="Figure or table of the paper; one: single samples; or all.")],
    quick: Annotated[
        bool, typer.Option("--quick", metavar="", help="Few points and short runs: minutes instead of hours.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(**_A_PATH, help="Folder for results, tables and plots; an interrupted run goes on there."),
    ] = None,
    envs: Annotated[
        Path, typer.Option(**_A_PATH, help="Folder of the rivals' virtual environments ('qtm rivals').")
    ] = Path(".rivals"),
    data_dir: Annotated[
        Path | None, typer.Option(**_A_PATH, help="MNIST for tab2; default: scikit-learn's digits.")
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Name of a system, or a part of it; may be given again. Default: all."),
    ] = None,
    limit: Annotated[
        float, typer.Option(min=0.0, help="Longest step (s) after which a system gets no larger work.")
    ] = 20.0,
    timeout: Annotated[float, typer.Option(min=1.0, help="Longest run of a system at a point (s).")] = 300.0,
    seconds: Annotated[float, typer.Option(min=0.0, help="How long a call is repeated, at least (s).")] = 1.0,
) -> None:
    """Measure the tables and figures of Meyer et al., arXiv:2404.06314, on this machine.

    Writes JSON, a Markdown table and a plot for each. Rivals take part where their environments are there.
    """
    folder = output or Path("qtm-results-quick" if quick else "qtm-results")
    with _one_line_errors():
        labels = labels_of(only or ())
        settings = store.Settings(folder, envs, data_dir, quick, labels, limit, timeout, seconds)
        for experiment in EXPERIMENTS if name.value == "all" else [name.value]:
            _reproduce(experiment, settings)


def _reproduce(name: str, settings: store.Settings) -> None:
    experiment = EXPERIMENTS[name]
    console.rule(f"{name}: {escape(experiment.title)}")
    for package in experiment.needs:
        if importlib.util.find_spec(package) is None:
            _say(f"left out: it needs '{package}'; {how_to_install('reproduce')}")
            return
    run = Run(name, settings)
    if run.absent:
        absent = ", ".join(run.absent)
        _say(f"left out, no environment in {settings.environments} ('qtm rivals' says how): {absent}")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    try:
        with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as progress:
            task = progress.add_task(name, total=len(run.missing))
            for key, result in run.measure():
                progress.update(task, advance=1)
                _say(f"{experiment.named(key)}: {_outcome(result)}")
    except KeyboardInterrupt:
        console.print("interrupted; the same command goes on from here")
        raise typer.Exit(_INTERRUPTED) from None
    finally:
        for path in run.write():
            _say(f"wrote {path}")


def _outcome(result: store.Result) -> str:
    if "error" in result or "skipped" in result:
        return str(result.get("error") or f"left out, {result['skipped']}")
    if "step" in result:
        return f"{np.median(result['step']['times']):.3g} ms"
    return f"{result['seconds']:.1f} s"


@app.command(cls=Command)
def rivals() -> None:
    """Print the commands that make the rivals' virtual environments for 'qtm reproduce'."""
    for name, system in {system.environment: system for system in SYSTEMS if system.environment}.items():
        packages = " ".join(f"'{requirement}'" for requirement in system.requirements.split())
        made = f"{system.interpreter} -m venv .rivals/{name}"
        listing.out(f"{made} && .rivals/{name}/bin/pip install {packages}", highlight=False)


if __name__ == "__main__":
    app()
