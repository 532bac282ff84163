"""Commands, and groups of them, as Typer runs them and shows their help."""

from __future__ import annotations

import sys
from typing import Any

import typer

from .errors import INTERRUPTED, say_error, text_of
from .output import silence
from .screen import say_problem, status_of_output


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
            code = INTERRUPTED
        except OSError as error:  # of help, which Typer prints by itself
            code = 1
            silence(sys.stdout)
            say_problem(text_of(error) if error.filename is not None else f"standard output: {error.strerror}")
        except Exception as error:  # Typer has classes of its own for what Click calls a ClickException
            if not hasattr(error, "format_message"):
                raise
            code = getattr(error, "exit_code", 2)
            say_error(error)
        if not standalone_mode:
            return code
        status = code if isinstance(code, int) else 0
        sys.exit(status or status_of_output())
