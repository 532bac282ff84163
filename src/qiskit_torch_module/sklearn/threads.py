"""Threads of PyTorch while the engine has some."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_lock = threading.Lock()
_users = 0
_before = 1


@contextmanager
def threads_for_the_engine(count: int) -> Iterator[int]:
    """How many threads the engine takes, 0: as PyTorch; PyTorch keeps to one meanwhile.

    PyTorch gives small layers and losses to a team of OpenMP, which spins: next to busy processes each of these waits
    for time slices. Fits in several threads may overlap; the last to end puts the number back.
    """
    global _users, _before
    with _lock:
        if _users == 0:
            _before = torch.get_num_threads()
            torch.set_num_threads(1)
        _users += 1
        threads = count or _before
    try:
        yield threads
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                torch.set_num_threads(_before)
