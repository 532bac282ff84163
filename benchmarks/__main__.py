"""``python benchmarks``: measures, checks, and writes tables and plots."""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from typing import Annotated

sys.path.insert(0, str(Path(__file__).parent))

import kernel
import passes
import report
import typer
from figures import FIGURES, collect, median
from rich.console import Console
from systems import SYSTEMS

app = typer.Typer(add_completion=False, help=__doc__)
console = Console()
ENGINE = {"kernel": kernel.write, "passes": passes.write}
RESULTS = Path(__file__).parent / "results"

Name = Enum("Name", {name: name for name in [*FIGURES, "kernel", "passes", "all"]})  # type: ignore[misc]


@app.command()
def run(
    name: Annotated[Name, typer.Argument(help="What to measure.")],
    envs: Annotated[Path, typer.Option(help="Folder of the rivals' virtual environments.")] = Path(".rivals"),
    folder: Annotated[Path, typer.Option(help="Where results are kept; an interrupted run goes on.")] = RESULTS,
    only: Annotated[list[str] | None, typer.Option(help="Parts of the labels of systems; default: all.")] = None,
    quick: Annotated[bool, typer.Option(help="Few points.")] = False,
    limit: Annotated[float, typer.Option(help="Longest step (s) after which a system gets no larger work.")] = 20.0,
    timeout: Annotated[float, typer.Option(help="Longest run of a system at a point (s).")] = 300.0,
) -> None:
    """Measures one figure or table, or all."""
    for one in [*FIGURES, *ENGINE] if name.value == "all" else [name.value]:
        console.rule(one)
        if one in ENGINE:
            written = ENGINE[one](folder, console, quick=quick)
        else:
            for key, point in collect(
                one, folder, envs, quick=quick, limit=limit, timeout=timeout, labels=tuple(only or ())
            ):
                measure = FIGURES[one].measures[-1]
                console.print(key, point.get("error") or f"{median(point, measure):.3g} ms", highlight=False)
            written = report.write(one, folder)
        for path in written:
            console.print("wrote", path, highlight=False)


@app.command()
def environments() -> None:
    """Prints the commands that make the rivals' virtual environments."""
    for name, requirements in {one.environment: one.requirements for one in SYSTEMS if one.environment}.items():
        packages = " ".join(f"'{one}'" for one in requirements.split())
        print(f"python -m venv .rivals/{name} && .rivals/{name}/bin/pip install {packages}")


if __name__ == "__main__":
    app()
