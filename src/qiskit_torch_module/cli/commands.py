"""All commands of ``qtm``; each is a function in a file of its name."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Annotated

from .._core.extras import how_to_install

# The base package does without them. Only looked for: to import all of them takes longer than most commands.
if missing := [name for name in ("matplotlib", "rich", "sklearn", "typer") if find_spec(name) is None]:
    sys.exit(f"qtm needs the package '{missing[0]}'; {how_to_install('demo')}")

import typer

from .._version import __version__
from .evaluate import evaluate
from .groups import Command, Commands, Group
from .info import info
from .reproduce import reproduce
from .rivals import rivals
from .screen import listing
from .train import train_digits

app = typer.Typer(help="Train quantum circuits with PyTorch.", no_args_is_help=True, add_completion=False, cls=Commands)
train_app = typer.Typer(help="Train a model.", no_args_is_help=True, cls=Group)


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


app.add_typer(train_app, name="train")
train_app.command("digits", cls=Command)(train_digits)
for command in (info, evaluate, reproduce, rivals):  # as --help lists them
    app.command(cls=Command)(command)
