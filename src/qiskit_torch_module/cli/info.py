"""``qtm info``."""

from __future__ import annotations

import platform

import numpy as np
import qiskit
import torch
from rich.table import Table

from .. import _engine
from .._core.sizes import said_bytes
from .._version import __version__
from .errors import one_line_errors
from .gpus import gpu_rows
from .screen import listing


def info() -> None:
    """Print versions, the instruction set in use, threads, and who computes on a GPU."""
    import sklearn

    with one_line_errors():
        used = f"{_engine.instruction_set()} (of {', '.join(_engine.instruction_sets())})"
    table = Table(show_header=False, box=None)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("qiskit-torch-module", __version__)
    table.add_row("qiskit", qiskit.__version__)
    table.add_row("torch", torch.__version__)
    table.add_row("numpy", np.__version__)
    table.add_row("scikit-learn", sklearn.__version__)
    table.add_row("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    table.add_row("instruction set", used)
    table.add_row("threads", str(torch.get_num_threads()))
    table.add_row("memory budget", said_bytes(_engine.memory_budget()))
    with one_line_errors():
        for name, text in gpu_rows().items():
            table.add_row(name, text)
    listing.print(table, highlight=False)
