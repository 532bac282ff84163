"""A progress bar over the epochs of a fit, if one is asked for: in a notebook, or by rich in a terminal."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from .._core.notebook import NotebookBar, in_notebook


class Progress:
    """A bar with the losses, or nothing.

    Args:
        total: Epochs, at most.
        shown: Whether there is a bar.
    """

    def __init__(self, total: int, shown: bool) -> None:
        self._total = total
        self._note = NotebookBar("training", total) if shown and in_notebook() else None
        self._bar: Any = _bar() if shown and self._note is None else None
        self._task: Any = None

    def __enter__(self) -> Progress:
        if self._bar is not None:
            self._bar.start()
            self._task = self._bar.add_task("training", total=self._total, loss="")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._note is not None:
            self._note.stop(max(self._note.done, 1) if kind is None else None)
        if self._bar is not None:
            if kind is None:  # training may end before its last epoch
                self._bar.update(self._task, total=max(int(self._bar.tasks[0].completed), 1))
            self._bar.stop()

    def advance(self, loss: float, validation: float | None) -> None:
        """Another epoch is done."""
        held_out = "" if validation is None else f"  validation {validation:.3f}"
        if self._note is not None:
            self._note.advance(f"loss {loss:.3f}{held_out}")
        if self._bar is not None:
            self._bar.update(self._task, advance=1, loss=f"loss {loss:.3f}{held_out}")


def _bar() -> Any:
    try:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )
        from rich.progress import (
            Progress as Bar,
        )
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "progress: the bar needs the package 'rich'; pip install rich, or set progress=False", name="rich"
        ) from error
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[loss]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Bar(*columns, console=Console(stderr=True))
