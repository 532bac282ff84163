"""Who takes the threads while a classifier is trained or evaluated."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def threads_for_the_engine(threads: int) -> Iterator[int]:
    """How many threads the engine takes; PyTorch keeps to one meanwhile.

    PyTorch gives a softmax over ten classes and the Adam of 220 weights to a team of OpenMP, which spins: next to busy
    processes each of these waits for time slices, tens of milliseconds, where the work takes some microseconds.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield min(threads or before, os.cpu_count() or 1)
    finally:
        torch.set_num_threads(before)
