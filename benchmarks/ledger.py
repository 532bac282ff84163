"""What ``python benchmarks`` measures, by name: every module writes its results, and the page about them."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import busy
import cores
import costs
import derivatives
import geometry
import gpu
import jacobians
import kernel
import kernels
import memory
import migration
import passes
import shallow
import shots
import torch
import workloads
from rich.console import Console

# In the order of their cost: what is short comes first.
MODULES: dict[str, ModuleType] = {
    "gpu": gpu,  # nothing where there is none
    "memory": memory,
    "cores": cores,
    "shots": shots,
    "shallow": shallow,
    "migration": migration,
    "workloads": workloads,
    "passes": passes,
    "geometry": geometry,
    "busy": busy,
    "kernel": kernel,
    "jacobians": jacobians,
    "costs": costs,
    "kernels": kernels,
    "derivatives": derivatives,
}


def write(name: str, folder: Path, console: Console, **options: Any) -> list[Path]:
    """Measures one of them, and leaves PyTorch the threads that it had: the next one is to have them, too."""
    threads = torch.get_num_threads()
    try:
        written: list[Path] = MODULES[name].write(folder, console, **options)
        return written
    finally:
        torch.set_num_threads(threads)
