"""Errors of the command line, each as one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import typer

from .screen import console, say_problem

WRONG_ARGUMENT = 2  # also what Typer ends with
INTERRUPTED = 130  # what a shell reports for a program ended by Ctrl-C: 128 and the number of the signal


@contextmanager
def one_line_errors(status: int = 1) -> Iterator[None]:
    """What fails inside because of what the user gave, or of the machine, is said in one line and ends the command.

    Args:
        status: Of the command, then.

    Raises:
        Exit: such an error was raised inside.
    """
    try:
        yield
    except MemoryError as error:
        fail("out of memory; give it more, or less to do", error, status)
    except (OSError, ValueError) as error:
        fail(text_of(error), error, status)


def fail(message: str, cause: Exception | None = None, status: int = 1) -> NoReturn:
    """Says what failed, and ends the command.

    Raises:
        Exit: always, with this status.
    """
    say_problem(message)
    raise typer.Exit(status) from cause


def text_of(error: Exception) -> str:
    """What an error says, without a number of the operating system."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def say_error(error: Any) -> None:
    """Says what Typer found wrong with the arguments, and whose help tells more."""
    if type(error).__name__ == "NoArgsIsHelpError":
        console.out(error.format_message(), highlight=False, end="")  # empty where Typer has shown it
        return
    context: Any = getattr(error, "ctx", None)
    where = f"; see '{context.command_path} --help'" if context is not None else ""
    message = " ".join(error.format_message().split()).rstrip(".").replace("Value error, ", "")  # newer Typers
    say_problem(f"{message}{where}")
