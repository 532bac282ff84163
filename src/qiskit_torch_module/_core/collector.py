"""Suspends Python's garbage collector while code makes many objects and no garbage."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_lock = threading.Lock()
_inside = 0
_was_enabled = False


def without_collections(function: Callable[P, T]) -> Callable[P, T]:
    """Calls a function with the collector suspended; its garbage is collected afterwards, as usual.

    A full collection, with Qiskit and PyTorch in memory, takes three times as long as compiling a circuit of 1000
    gates, and finds nothing. All threads share the collector: it is enabled again when the last of them has finished,
    unless it was disabled before.
    """

    @wraps(function)
    def suspended(*args: P.args, **kwargs: P.kwargs) -> T:
        _enter()
        try:
            return function(*args, **kwargs)
        finally:
            _leave()

    return suspended


def _enter() -> None:
    global _inside, _was_enabled
    with _lock:
        if _inside == 0:
            _was_enabled = gc.isenabled()
            gc.disable()
        _inside += 1


def _leave() -> None:
    global _inside
    with _lock:
        _inside -= 1
        if _inside == 0 and _was_enabled:
            gc.enable()
