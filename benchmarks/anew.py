"""Everything measured anew on one machine in one go: ``python benchmarks/anew.py FOLDER``.

The paper's figures and tables, then the ledger; short runs, so that all of it is a matter of minutes, and rivals that
need longer get a dash with the reason. What is in the folder already is kept, so that the same command goes on after an
interruption. ``python docs/make_tables.py --from FOLDER`` then makes the pages.

Learning curves (Fig. 3) are no times, and are left as they are: ``qtm reproduce fig3 --output FOLDER``.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

sys.path.insert(0, str(Path(__file__).parent))

import ledger
import typer
from rich.console import Console

from qiskit_torch_module.reproduce.experiments import EXPERIMENTS, Run
from qiskit_torch_module.reproduce.store import Settings

LEFT = ("fig3",)


def _paper(settings: Settings, until: float, console: Console) -> Iterator[str]:
    """What is left of the paper when time is over."""
    for name in EXPERIMENTS:
        if name in LEFT:
            continue
        run = Run(name, settings)
        console.rule(f"{name}: {len(run.missing)} to measure")
        measuring, begin = run.measure(), time.monotonic()
        while run.missing and time.monotonic() < until:
            key, result = next(measuring)
            said = result.get("error") or result.get("skipped") or "measured"
            console.print(f"{time.monotonic() - begin:6.0f} s  {key}: {said}", markup=False, highlight=False)
        if run.missing:
            yield f"{name}: {len(run.missing)} points"


def _ledger(folder: Path, quick: bool, until: float, console: Console) -> Iterator[str]:
    """What is left of the ledger when time is over."""
    for name in ledger.MODULES:
        if (folder / f"{name}.json").exists():
            continue
        if time.monotonic() > until:
            yield name
            continue
        console.rule(name)
        begin = time.monotonic()
        try:
            ledger.write(name, folder, console, quick=quick)
        except Exception as error:  # the others are worth measuring all the same
            yield f"{name}, {type(error).__name__}: {error}"
        console.print(f"{time.monotonic() - begin:.0f} s", highlight=False)


def main(
    folder: Annotated[Path, typer.Argument(help="Where results are kept.")],
    envs: Annotated[Path, typer.Option(help="Folder of the rivals' virtual environments.")] = Path(".rivals"),
    data_dir: Annotated[Path | None, typer.Option(help="MNIST; default: scikit-learn's digits.")] = None,
    minutes: Annotated[float, typer.Option(help="Nothing starts after so long.")] = 60.0,
    seconds: Annotated[float, typer.Option(help="How long a call is repeated at least (s).")] = 0.3,
    limit: Annotated[float, typer.Option(help="A system whose step took longer (s) gets no larger work.")] = 6.0,
    timeout: Annotated[float, typer.Option(help="Longest run of a system at a point (s).")] = 90.0,
    quick: Annotated[bool, typer.Option("--quick", help="Few points.")] = False,
) -> None:
    """Measures what is missing, and says what is left."""
    console, until = Console(width=120), time.monotonic() + 60 * minutes
    folder.mkdir(parents=True, exist_ok=True)
    settings = Settings(folder, envs, data_dir, quick, (), limit, timeout, seconds)
    # The ledger has its share of the time, and the paper what is left.
    list(_paper(settings, until - 60 * 0.35 * minutes, console))
    left = [*_ledger(folder, quick, until, console), *_paper(settings, until, console)]
    console.print("left: " + "; ".join(left) if left else "complete", highlight=False)


if __name__ == "__main__":
    typer.run(main)
