"""``python benchmarks``: what the engine takes by itself: limits, passes, memory, derivatives, a GPU, others.

The figures and tables of the paper, with the rivals, are ``qtm reproduce``; ``python benchmarks/anew.py`` is both.
"""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from typing import Annotated

sys.path.insert(0, str(Path(__file__).parent))

import ledger
import typer
from rich.console import Console

RESULTS = Path(__file__).parent / "results"

Name = Enum("Name", {name: name for name in [*ledger.MODULES, "all"]})  # type: ignore[misc]


def main(
    name: Annotated[Name, typer.Argument(help="What to measure.")],
    folder: Annotated[Path, typer.Option(help="Where results are kept.")] = RESULTS,
    quick: Annotated[bool, typer.Option("--quick", help="Few points.")] = False,
    twin: Annotated[bool, typer.Option("--twin", help="Of gpu: its kernels on the CPU, tiny circuits.")] = False,
) -> None:
    """Measures, and writes JSON, a table and, where it helps, a plot."""
    console = Console()
    for one in ledger.MODULES if name.value == "all" else [name.value]:
        console.rule(one)
        options = {"twin": twin} if one == "gpu" else {}
        for path in ledger.write(one, folder, console, quick=quick, **options):
            console.print("wrote", path, highlight=False)


if __name__ == "__main__":
    typer.run(main)
