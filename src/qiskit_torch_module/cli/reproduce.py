"""``qtm reproduce``."""

from __future__ import annotations

import importlib.util
from enum import Enum
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from .._core.extras import how_to_install
from ..reproduce import store
from ..reproduce.experiments import EXPERIMENTS, Run
from ..reproduce.systems import labels_of
from .errors import INTERRUPTED, WRONG_ARGUMENT, one_line_errors
from .options import A_PATH
from .screen import console, say

Experiment = Enum("Experiment", {name: name for name in [*EXPERIMENTS, "all"]})  # type: ignore[misc]


def reproduce(
    name: Annotated[Experiment, typer.Argument(help="Figure or table of the paper; one: single samples; or all.")],
    quick: Annotated[
        bool, typer.Option("--quick", metavar="", help="Few points and short runs: minutes instead of hours.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(**A_PATH, help="Folder for results, tables and plots; an interrupted run goes on there."),
    ] = None,
    envs: Annotated[
        Path, typer.Option(**A_PATH, help="Folder of the rivals' virtual environments ('qtm rivals').")
    ] = Path(".rivals"),
    data_dir: Annotated[
        Path | None, typer.Option(**A_PATH, help="MNIST for tab2; default: scikit-learn's digits.")
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
    with one_line_errors():
        with one_line_errors(WRONG_ARGUMENT):
            labels = labels_of(only or ())
        settings = store.Settings(folder, envs, data_dir, quick, labels, limit, timeout, seconds)
        for experiment in EXPERIMENTS if name.value == "all" else [name.value]:
            _reproduce(experiment, settings)


def _reproduce(name: str, settings: store.Settings) -> None:
    experiment = EXPERIMENTS[name]
    console.rule(f"{name}: {escape(experiment.title)}")
    for package in experiment.needs:
        if importlib.util.find_spec(package) is None:
            say(f"left out: it needs '{package}'; {how_to_install('reproduce')}")
            return
    run = Run(name, settings)
    if run.absent:
        absent = ", ".join(run.absent)
        say(f"left out, no environment in {settings.environments} ('qtm rivals' says how): {absent}")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    try:
        with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as progress:
            task = progress.add_task(name, total=len(run.missing))
            for key, result in run.measure():
                progress.update(task, advance=1)
                say(f"{experiment.named(key)}: {_outcome(result)}")
    except KeyboardInterrupt:
        console.print("interrupted; the same command goes on from here")
        raise typer.Exit(INTERRUPTED) from None
    finally:
        for path in run.write():
            say(f"wrote {path}")


def _outcome(result: store.Result) -> str:
    if "error" in result or "skipped" in result:
        return str(result.get("error") or f"left out, {result['skipped']}")
    if "step" in result:
        return f"{np.median(result['step']['times']):.3g} ms"
    return f"{result['seconds']:.1f} s"
