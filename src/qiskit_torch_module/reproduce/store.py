"""What was measured, kept task by task, so that an interrupted run goes on where it stopped."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch

from .. import _engine
from .._version import __version__

# The result of a task, as plain values; {"error": ...} or {"skipped": ...} where there is nothing to report.
Result = dict[str, Any]


@dataclass(frozen=True)
class Task:
    """One measurement.

    Attributes:
        key: Its name in the results.
        run: From all results so far to this one.
    """

    key: str
    run: Callable[[Mapping[str, Result]], Result]


@dataclass(frozen=True)
class Settings:
    """What a user chose.

    Attributes:
        folder: Where results are kept.
        environments: Folder of the rivals' virtual environments.
        data: Folder with the files of MNIST; None: the digits that ship with scikit-learn.
        quick: Minutes instead of hours.
        labels: Of the systems that take part; none: all.
        limit: A system whose step took longer (s) gets no larger work.
        timeout: Longest run of a system at one point (s), compilation included.
        seconds: How long a call is repeated, at least (s).
    """

    folder: Path
    environments: Path
    data: Path | None = None
    quick: bool = False
    labels: tuple[str, ...] = ()
    limit: float = 20.0
    timeout: float = 300.0
    seconds: float = 1.0

    @property
    def longest(self) -> float:
        """How long a call is repeated at most (s); systems that are slow get a fourth."""
        return 20 * self.seconds

    def chooses(self, label: str) -> bool:
        """Whether a system takes part."""
        return not self.labels or label in self.labels


def machine() -> dict[str, Any]:
    """The machine that measures."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text().splitlines()
        model = next((line.split(":", 1)[1].strip() for line in lines if "model name" in line), model)
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "version": __version__,
        "instruction_set": _engine.instruction_set(),
    }


def described(results: Mapping[str, Any]) -> str:
    """Date and machine of results, in a line for tables."""
    about = results["machine"]
    return (
        f"{results.get('date', 'not measured')}, {about['processor']}, {about['threads']} threads, "
        f"{about['instruction_set']}, {about['system']}, PyTorch {about['torch']}"
        + (" (quick: few points and short runs)" if results.get("quick") else "")
    )


class Store:
    """A file of results.

    Raises:
        ValueError: the file has results of another machine, or quick and full ones would be mixed.
    """

    def __init__(self, path: Path, *, quick: bool) -> None:
        self.path = path
        self.results: dict[str, Any] = {"machine": machine(), "quick": quick, "points": {}}
        if path.exists():
            self.results = json.loads(path.read_text(encoding="utf-8"))
            self._require_same(quick)

    def _require_same(self, quick: bool) -> None:
        if self.results["quick"] != quick:
            raise ValueError(f"{self.path}: expected {'quick' if quick else 'full'} results; choose another folder")
        before, now = self.results["machine"], machine()
        for name in ("processor", "cores", "instruction_set", "threads"):
            if before[name] != now[name]:
                raise ValueError(
                    f"{self.path} was measured with {name} {before[name]!r}, here it is {now[name]!r}; "
                    "choose another folder"
                )

    def missing(self, tasks: Sequence[Task]) -> list[Task]:
        """Those without a result."""
        return [task for task in tasks if task.key not in self.results["points"]]

    def measure(self, tasks: Sequence[Task]) -> Iterator[tuple[str, Result]]:
        """Runs what is missing; every result is on disk before the next task starts."""
        points = self.results["points"]
        for task in self.missing(tasks):
            result = task.run(points)
            now = datetime.now(timezone.utc)
            points[task.key] = {**result, "measured": now.isoformat(timespec="seconds")}
            self.results["date"] = now.strftime("%Y-%m-%d")
            write_whole(self.path, json.dumps(self.results, indent=1) + "\n")
            yield task.key, points[task.key]


def write_whole(path: Path, text: str) -> None:
    """Writes a file or leaves it as it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def plain(value: float) -> str:
    """A number for a table: three digits, from a thousand on the whole number, and never an exponent of ten."""
    return f"{value:,.0f}" if value >= 999.5 else f"{value:.3g}"


def factor(value: float) -> str:
    """By how much one is faster than another, to three digits."""
    return f"{plain(float(f'{value:.3g}'))}×"
