"""``python benchmarks``: what the engine takes by itself: limits, passes, memory, derivatives, workloads, others.

The figures and tables of the paper, with the rivals, are ``qtm reproduce``.
"""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from typing import Annotated

sys.path.insert(0, str(Path(__file__).parent))

import busy
import cores
import costs
import derivatives
import jacobians
import kernel
import kernels
import memory
import passes
import shots
import typer
import workloads
from rich.console import Console

BENCHMARKS = {
    "kernel": kernel.write,
    "passes": passes.write,
    "memory": memory.write,
    "costs": costs.write,
    "jacobians": jacobians.write,
    "derivatives": derivatives.write,
    "kernels": kernels.write,
    "workloads": workloads.write,
    "busy": busy.write,
    "cores": cores.write,
    "shots": shots.write,
}
RESULTS = Path(__file__).parent / "results"

Name = Enum("Name", {name: name for name in [*BENCHMARKS, "all"]})  # type: ignore[misc]


def main(
    name: Annotated[Name, typer.Argument(help="What to measure.")],
    folder: Annotated[Path, typer.Option(help="Where results are kept.")] = RESULTS,
    quick: Annotated[bool, typer.Option("--quick", help="Few points.")] = False,
) -> None:
    """Measures, and writes JSON, a table and, where it helps, a plot."""
    console = Console()
    for one in BENCHMARKS if name.value == "all" else [name.value]:
        console.rule(one)
        for path in BENCHMARKS[one](folder, console, quick=quick):
            console.print("wrote", path, highlight=False)


if __name__ == "__main__":
    typer.run(main)
