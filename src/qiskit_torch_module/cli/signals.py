"""Signals that ask a process to end, noted instead of obeyed at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Ending:
    """Whether the process was asked to end.

    Attributes:
        number: The first signal that did; None: none did.
    """

    def __init__(self) -> None:
        self.number: int | None = None

    def __call__(self) -> bool:
        """Whether a signal asked the process to end."""
        return self.number is not None

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        """The handler: takes note and interrupts nothing; later signals change nothing."""
        if self.number is None:
            self.number = number


@contextmanager
def ending_signals() -> Iterator[Ending]:
    """While inside, Ctrl-C, SIGTERM and SIGHUP only take note; what is ignored (``nohup``) stays ignored.

    Outside of the main thread, where Python allows no handlers, signals do what they did before.
    """
    ending, previous = Ending(), {}
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # Windows has no SIGHUP
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) not in (signal.SIG_IGN, None):
                previous[number] = signal.signal(number, ending.on_signal)
    try:
        yield ending
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
