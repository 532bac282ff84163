"""A progress bar in a notebook: an element of HTML that is written anew, without scripts or widgets."""

from __future__ import annotations

import html
import sys
import time
from typing import Any

_PAUSE = 0.1  # seconds between two pictures


def in_notebook() -> bool:
    """Whether output goes to a notebook: whoever runs there has imported IPython."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return shell is not None and "IPKernelApp" in getattr(shell, "config", {})


class NotebookBar:
    """How much of some work is done.

    Args:
        what: Which work.
        total: In steps.
    """

    def __init__(self, what: str, total: int) -> None:
        from IPython.display import HTML, display

        self._what, self._total, self._done, self._text = what, total, 0, ""
        self._html, self._begin, self._shown = HTML, time.perf_counter(), 0.0
        self._handle: Any = display(HTML(self._picture()), display_id=True)

    def advance(self, text: str) -> None:
        """Another step is done; what to say of it."""
        self._done, self._text = self._done + 1, text
        now = time.perf_counter()
        if now - self._shown >= _PAUSE:
            self._shown = now
            self._draw()

    def stop(self, total: int | None = None) -> None:
        """The last picture; how many steps there were in the end, if they were fewer."""
        self._total = self._total if total is None else total
        self._draw()

    @property
    def done(self) -> int:
        """How many steps are done."""
        return self._done

    def _draw(self) -> None:
        self._handle.update(self._html(self._picture()))

    def _picture(self) -> str:
        seconds = time.perf_counter() - self._begin
        left = (self._total - self._done) * seconds / max(self._done, 1)
        time_left = f", {left:.0f} s left" if 0 < self._done < self._total else ""
        return (
            "<div style='display: flex; gap: 10px; align-items: center; color: inherit; font-size: 13px;'>"
            f"<span>{html.escape(self._what)}</span>"
            f"<progress value='{self._done}' max='{self._total}' style='width: 240px;'></progress>"
            f"<span style='font-family: monospace;'>{self._done}/{self._total}</span>"
            f"<span>{html.escape(self._text)}</span><span style='opacity: 0.7;'>{seconds:.1f} s{time_left}</span></div>"
        )
