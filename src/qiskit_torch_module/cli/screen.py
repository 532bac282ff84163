"""What the command line writes to, and the lines that it says."""

from __future__ import annotations

from typing import IO, Any, cast

from rich.console import Console
from rich.markup import escape

from .output import Output


def console_on(*streams: str, **options: Any) -> Console:
    """A console that writes to the first of these streams that takes it; the names are attributes of ``sys``."""
    made = Console(file=cast("IO[str]", Output(*streams)), **options)
    if made.width < 1:  # COLUMNS=0, by which rich writes nothing at all
        made.width = 80
    return made


console = console_on("stdout", "stderr")  # results, which are not lost
listing = console_on("stdout")  # what may be asked for again
errors = console_on("stderr", soft_wrap=True)


def say(message: str) -> None:
    """Prints a line of text as it is, however long."""
    console.print(message, highlight=False, markup=False, soft_wrap=True)


def say_problem(message: str) -> None:
    """Prints an error, as one line."""
    errors.print(f"[red]Error:[/red] {escape(' '.join(message.split()))}", highlight=False)


def status_of_output() -> int:
    """0 if what was printed has arrived, or nobody reads it any more; else says why not."""
    for output in (cast("Output", one.file) for one in (console, listing)):
        output.flush()
        failure, output.failure = output.failure, None
        if failure is not None:
            say_problem(f"standard output: {failure.strerror}")
            return 1
    return 0
