"""What can be reproduced, by the name of the paper's figure or table."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import ablation, digits, figures, learning, report, table1
from .store import Result, Settings, Store, Task
from .systems import System, taking_part


@dataclass(frozen=True)
class Experiment:
    """One figure or table.

    Attributes:
        title: What it shows.
        tasks: All its measurements.
        text: The page about results, which lie at a path without its ending.
        draw: Draws them to a path.
        systems: Those that are measured.
        needs: Packages beyond those of the command line.
        file: Name of its results, if it is not that of the experiment.
        point: What the keys of its tasks say, before and after " @ ", in words.
    """

    title: str
    tasks: Callable[[Settings], list[Task]]
    text: Callable[[Mapping[str, Any], Path], str]
    draw: Callable[[Mapping[str, Any], Path], None]
    systems: tuple[System, ...] = ()
    needs: tuple[str, ...] = ()
    file: Callable[[], str] | None = None
    point: str = "{}, seed {}"

    def named(self, key: str) -> str:
        """What a task measures, in words."""
        what, _, at = key.partition(" @ ")
        if not at:
            return what
        return f"{what}, {_KINDS[at]}" if at in _KINDS else self.point.format(what, at)


_KINDS = {"time": "time of an update", "act": "acting", "update": "updating"}
_POINTS = {"qubits": "{}, {} qubits", "depth": "{}, depth {}"}


def _figure(name: str) -> Experiment:
    return Experiment(
        figures.FIGURES[name].title,
        functools.partial(figures.tasks, name),
        functools.partial(report.text, name),
        functools.partial(report.draw, name),
        figures.FIGURES[name].systems,
        point=_POINTS[figures.FIGURES[name].axis],
    )


EXPERIMENTS = {
    "fig1": _figure("fig1"),
    "fig2": _figure("fig2"),
    "one": _figure("one"),
    "tab1": Experiment(
        "Several observables",
        table1.tasks,
        table1.text,
        table1.draw,
        table1.SYSTEMS,
        point="{}, observables: {}",
    ),
    "tab2": Experiment("Digits: time and accuracy", digits.tasks, digits.text, digits.draw, digits.SYSTEMS),
    "fig3": Experiment(
        "CartPole: learning curves",
        learning.learning_tasks,
        learning.learning_text,
        learning.draw_learning,
        needs=("gymnasium",),
    ),
    "tab3": Experiment(
        "CartPole: time per step", learning.time_tasks, learning.time_text, learning.draw_times, learning.SYSTEMS
    ),
    "fig4": Experiment(
        "Threads, instruction sets, machines",
        ablation.tasks,
        ablation.text,
        ablation.draw,
        file=ablation.file_name,
        point=_POINTS["qubits"],
    ),
}


def written(name: str, results: Mapping[str, Any], folder: Path, *, draws: bool = True) -> list[Path]:
    """Writes the page of an experiment to a folder, and its picture, which the page refers to."""
    experiment, table, drawing = EXPERIMENTS[name], folder / f"{name}.md", folder / f"{name}.svg"
    table.write_text(experiment.text(results, drawing.with_suffix("")), encoding="utf-8")
    if not draws:
        return [table]
    experiment.draw(results, drawing)
    return [table, drawing]


class Run:
    """An experiment with its results so far."""

    def __init__(self, name: str, settings: Settings) -> None:
        self.name, self.experiment = name, EXPERIMENTS[name]
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
        return written(self.name, results, self._stem.parent) if results["points"] else []
