"""What can be reproduced, by the name of the paper's figure or table."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import ablation, digits, figures, learning, report
from .store import Result, Settings, Store, Task
from .systems import System, taking_part


@dataclass(frozen=True)
class Experiment:
    """One figure or table.

    Attributes:
        title: What it shows.
        tasks: All its measurements.
        report: Writes table and plot of results to a path without its ending.
        systems: Those that are measured.
        needs: Packages beyond those of the command line.
        file: Name of its results, if it is not that of the experiment.
        point: What the keys of its tasks say, before and after " @ ", in words.
    """

    title: str
    tasks: Callable[[Settings], list[Task]]
    report: Callable[[Mapping[str, Any], Path], list[Path]]
    systems: tuple[System, ...] = ()
    needs: tuple[str, ...] = ()
    file: Callable[[], str] | None = None
    point: str = "{}, seed {}"

    def named(self, key: str) -> str:
        """What a task measures, in words."""
        what, _, at = key.partition(" @ ")
        if not at:
            return what
        return (
            f"{what}, {_KINDS[at]}" if at in _KINDS else self.point.format(what, at).replace(" 1 threads", " 1 thread")
        )


_KINDS = {"time": "time of an update", "act": "acting", "update": "updating"}
_POINTS = {"qubits": "{}, {} qubits", "depth": "{}, depth {}", "observables": "{}, observables: {}"}


def _figure(name: str) -> Experiment:
    return Experiment(
        figures.FIGURES[name].title,
        functools.partial(figures.tasks, name),
        functools.partial(report.write, name),
        figures.FIGURES[name].systems,
        point=_POINTS[figures.FIGURES[name].axis],
    )


EXPERIMENTS = {
    "fig1": _figure("fig1"),
    "fig2": _figure("fig2"),
    "tab1": _figure("tab1"),
    "tab2": Experiment("Digits: time and accuracy", digits.tasks, digits.report, digits.SYSTEMS),
    "fig3": Experiment(
        "CartPole: learning curves",
        learning.learning_tasks,
        learning.learning_report,
        needs=("gymnasium",),
        point="{}, seeds from {}",
    ),
    "tab3": Experiment("CartPole: time per step", learning.time_tasks, learning.time_report, learning.SYSTEMS),
    "fig4": Experiment(
        "Threads, instruction sets, machines",
        ablation.tasks,
        ablation.report,
        file=ablation.file_name,
        point="{} threads, {} qubits",
    ),
}


class Run:
    """An experiment with its results so far."""

    def __init__(self, name: str, settings: Settings) -> None:
        self.experiment = EXPERIMENTS[name]
        self._stem = settings.folder / (self.experiment.file() if self.experiment.file else name)
        present = taking_part(self.experiment.systems, settings)
        self.absent = [
            system.label
            for system in self.experiment.systems
            if system not in present and settings.chooses(system.label)
        ]
        self._tasks = self.experiment.tasks(settings)
        self._store = Store(self._stem.with_name(f"{self._stem.name}.json"), quick=settings.quick)

    @property
    def missing(self) -> Sequence[Task]:
        """What is still to be measured."""
        return self._store.missing(self._tasks)

    def measure(self) -> Iterator[tuple[str, Result]]:
        """Measures what is missing; keys and results as they come."""
        return self._store.measure(self._tasks)

    def write(self) -> list[Path]:
        """Writes table and plot of the results so far; nothing if there are none."""
        results = self._store.results
        return self.experiment.report(results, self._stem) if results["points"] else []
