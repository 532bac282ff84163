"""One point of a figure or a table: measured once, wherever it is shown."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from .runners.workload import Spec
from .store import Result, Settings, Task
from .systems import System, checked, median, spec_of

# Files with such points.
_FILES = ("fig1.json", "fig2.json", "one.json", "tab1.json", "fig4-*.json")


@dataclass(frozen=True)
class Point:
    """What one system does.

    Attributes:
        system: Who.
        spec: The whole work.
        value: Where it stands in the figure.
        key: Its name in the results.
    """

    system: System
    spec: Spec
    value: int
    key: str


def timed(point: Point, smaller: str | None, reference: str, settings: Settings) -> Task:
    """A measurement.

    Args:
        point: What is measured.
        smaller: Key of the next smaller point of the system; where that failed or took long, this one is left out.
        reference: Key of the point of this package, with which results must agree.
        settings: What a user chose.
    """
    return Task(point.key, _run(point, smaller, reference, settings))


def _run(
    point: Point, smaller: str | None, reference: str, settings: Settings
) -> Callable[[Mapping[str, Result]], Result]:
    def run(done: Mapping[str, Result]) -> Result:
        about = {"system": point.system.label, "value": point.value, "batch": point.spec.batch}
        before = done.get(smaller, {}) if smaller is not None else {}
        if "error" in before or "skipped" in before:
            return {**about, "skipped": before.get("skipped", before.get("error"))}
        if before and median(before, "step") / before.get("scaled_by", 1) > 1e3 * settings.limit:
            return {**about, "skipped": f"a smaller one took longer than {settings.limit:g} s"}
        there = _measured_before(settings.folder, point)
        if there is not None:
            return {**there, **about}
        return {**about, **checked(point.system, point.spec, settings, done.get(reference, {}))}

    return run


def _measured_before(folder: Path, point: Point) -> Result | None:
    """The same work by the same system, in the results of another figure: a number that is shown twice is one."""
    wanted = spec_of(point.system, point.spec).work
    for found in _points(folder):
        same = found["system"] == point.system.label and found["batch"] == point.spec.batch
        if same and {**Spec(0).work, **found["spec"]}.items() >= wanted.items():
            return found
    return None


def _points(folder: Path) -> Iterator[Result]:
    for pattern in _FILES:
        for path in sorted(folder.glob(pattern)):
            points = json.loads(path.read_text(encoding="utf-8"))["points"].values()
            yield from (point for point in points if "spec" in point and "step" in point)
