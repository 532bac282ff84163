"""Tells the user, in the log, what takes long before the first value."""

from __future__ import annotations

import logging
import time

# Work of this many seconds or more is logged.
SLOW = 1.0

# What users who have waited want to know.
_NOT_AGAIN = "not again in this process for the same circuit, observables and parameters"

_log = logging.getLogger("qiskit_torch_module")


class Stopwatch:
    """Measures work stage by stage; if it took long, the log says so, and what took how long of it.

    As a warning, since the user waits and does not know why, but from `logging`: those from `warnings` become errors
    where tests ask for it, and whether work is slow differs from run to run.
    """

    def __init__(self) -> None:
        self._begin = self._last = time.perf_counter()
        self._stages: list[str] = []

    def stage(self, text: str) -> None:
        """Names what has been done since the last stage; the log adds how many seconds that took."""
        now = time.perf_counter()
        self._stages.append(f"{text} in {now - self._last:.1f} s")
        self._last = now

    def stop(self, work: str) -> None:
        """Ends the work.

        Args:
            work: What it was, as the beginning of a sentence.
        """
        seconds = time.perf_counter() - self._begin
        if seconds >= SLOW:
            _log.warning("%s took %.1f s (%s); %s", work, seconds, ", ".join(self._stages), _NOT_AGAIN)
