"""Tables and plots of run times against a size."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .._core.pictures import decimal, picture
from .figures import FIGURES, Figure
from .looks import color_of, in_order, look_of
from .store import Result, described, factor, plain
from .systems import DOUBLE, PROJECT, PROJECT_DOUBLE, QISKIT, SINGLE, SYSTEMS, System, backward, median, quantile

Points = dict[str, dict[int, Result]]
# From a point and the share of a quantile to milliseconds.
_Of = Callable[[Result, float], float]

_MEASURES = {"step": "A training step", "forward": "Forward alone"}
# This package, then who stands beside it; tables that are wider than a page are read by nobody.
_GROUPS = {
    "": (PROJECT, *SINGLE),
    ", in double precision": (PROJECT_DOUBLE, *DOUBLE),
    ", what Qiskit's users have": (PROJECT, *QISKIT),
}


def by_system(results: Mapping[str, Any]) -> Points:
    """Points that were measured, by system and value."""
    points: Points = {}
    for point in results["points"].values():
        if "error" not in point and "skipped" not in point:
            points.setdefault(point["system"], {})[point["value"]] = point
    return points


def text(name: str, results: Mapping[str, Any], stem: Path) -> str:
    """The Markdown page of a figure."""
    figure, points = FIGURES[name], by_system(results)
    values = sorted({value for by_value in points.values() for value in by_value})
    lines = [
        f"# {figure.title}",
        "",
        f"{described(results)}. The reference circuit, {fixed(figure, points)}. Tables: milliseconds for a batch, "
        "medians; in brackets how many times as long as this package. ~: of a few samples, scaled up, by systems that "
        "take them one by one. The picture: milliseconds per sample, the time of a batch divided by its size"
        f"{_steps_of_batches(points)}. The paper: {figure.paper}.",
        "",
        f"![{figure.title}]({stem.name}.svg)",
    ]
    for measure, title in _MEASURES.items():
        for suffix, group in _GROUPS.items():
            systems = [system for system in group if system.label in points]
            if len(systems) > 1 or systems == [PROJECT_DOUBLE]:
                lines += ["", f"## {title}{suffix}", "", *_table(figure.axis, values, systems, points, measure)]
    lines += notes(results["points"], _taking_part(figure, points))
    if figure.left_out:
        lines += ["", f"Left out, or not measured at every size: {figure.left_out}."]
    return "\n".join(lines) + "\n"


def _taking_part(figure: Figure, points: Points) -> list[System]:
    """Those of the figure, and those that have results nevertheless."""
    return [system for system in SYSTEMS if system in figure.systems or system.label in points]


def _batches(points: Points) -> dict[int, int]:
    """The size of the batch by value; nothing where it is the same throughout."""
    found = {value: point["batch"] for by_value in points.values() for value, point in by_value.items()}
    return found if len(set(found.values())) > 1 else {}


def _steps_of_batches(points: Points) -> str:
    return ", so that curves jump where the batch becomes smaller" if _batches(points) else ""


def fixed(figure: Figure, points: Points) -> str:
    """What all points have in common, and which batch goes with which value."""
    ours = points.get(PROJECT.label, {})
    specs = [point["spec"] for point in ours.values()]
    said = [
        f"{name} {specs[0][name]}" if name == "depth" else f"{specs[0][name]} {name}"
        for name in ("qubits", "depth")
        if specs and name != figure.axis
    ]
    batches = itertools.groupby(sorted(ours), key=lambda value: ours[value]["batch"])
    parts = [(batch, list(group)) for batch, group in batches]
    if len(parts) == 1:
        said.append(f"batch {parts[0][0]}")
    else:
        said += [f"batch {batch} at {_range(group)} {figure.axis}" for batch, group in parts]
    return ", ".join(said)


def _range(values: Sequence[int]) -> str:
    return str(values[0]) if len(values) == 1 else f"{values[0]} to {values[-1]}"


def _table(axis: str, values: Sequence[int], systems: Sequence[System], points: Points, measure: str) -> list[str]:
    def of(label: str, value: int) -> float | None:
        point = points.get(label, {}).get(value)
        return None if point is None else median(point, measure)

    return rows_of(axis, values, systems, of, points, with_factors=True, batches=_batches(points))


def rows_of(
    axis: str,
    values: Sequence[int],
    systems: Sequence[System],
    of: Callable[[str, int], float | None],
    points: Points,
    *,
    with_factors: bool = False,
    batches: Mapping[int, int] | None = None,
) -> list[str]:
    """A table with sizes as rows and systems as columns; a dash where nothing was measured; a column of batches."""
    heads = [axis, *(["batch"] if batches else []), *(system.short for system in systems)]
    lines = ["| " + " | ".join(heads) + " |", "|" + " ---: |" * len(heads)]
    for value in values:
        ours = of(systems[0].label, value)
        cells = [str(batches[value])] if batches else []
        for system in systems:
            time = of(system.label, value)
            if time is None:
                cells.append("–")
                continue
            cell = shown(points[system.label][value], time)
            if with_factors and system is not systems[0] and ours is not None:
                cell += f" ({factor(time / ours)})"
            cells.append(cell)
        lines.append(f"| {value} | " + " | ".join(cells) + " |")
    return lines


def shown(point: Result, milliseconds: float) -> str:
    """A time of a point, to three digits; ~ where it was scaled up."""
    return f"{'~' if 'scaled_by' in point else ''}{plain(float(f'{milliseconds:.3g}'))}"


def notes(points: Mapping[str, Result], systems: Sequence[System]) -> list[str]:
    """Why there are dashes: a line for each system."""
    lines = []
    for system in systems:
        missing: dict[str, list[int]] = {}
        for point in points.values():
            if point.get("system") == system.label and ("error" in point or "skipped" in point):
                missing.setdefault(_reason(point, missing), []).append(point["value"])
        for reason, values in missing.items():
            lines.append(f"- {system.label}, {', '.join(map(str, values))}: {reason}")
        if not any(point.get("system") == system.label for point in points.values()):
            lines.append(f"- {system.label}: not there when this was measured")
    return ["", "–, not measured:", "", *lines] if lines and points else []


def _reason(point: Result, before: dict[str, list[int]]) -> str:
    """Why a point was not measured; what is skipped has the reason of a smaller one."""
    if "error" in point:
        return str(point["error"])
    if point["skipped"] == "as the smaller one":  # so older files of results have it
        return next(reversed(before), "not tried, as a smaller one was not")
    if point["skipped"].startswith("a smaller one"):
        return f"not tried, as {point['skipped']}"
    return f"not tried, as a smaller one failed: {point['skipped']}"


def draw(name: str, results: Mapping[str, Any], path: Path) -> None:
    """The picture of a figure."""
    figure, points = FIGURES[name], by_system(results)
    values = sorted({value for curve in points.values() for value in curve})
    # Three panels leave a place for the legend.
    with picture(path, 2, 2, height=6.4, sharex=True, sharey=True) as (_, axes):
        for axis, (title, of) in zip(axes.flat, _PANELS, strict=False):
            for system in in_order(points):
                _curve(axis, system, points[system], of)
            axis.set(title=title, yscale="log")
            axis.tick_params(labelbottom=True)
            decimal(axis.xaxis, values)
            decimal(axis.yaxis)
        for axis in axes[:, 0]:
            axis.set_ylabel("milliseconds per sample")
        for axis in axes.flat[1:3]:
            axis.set_xlabel(figure.axis)
        handles, labels = axes.flat[0].get_legend_handles_labels()
        axes.flat[-1].axis("off")
        axes.flat[-1].legend(
            handles, labels, loc="center", fontsize=9, title="median; band: 10 % to 90 %", alignment="left"
        )


def _curve(axis: Any, system: str, curve: Mapping[int, Result], of: _Of) -> None:
    values = sorted(curve)
    low, middle, high = ([of(curve[v], share) / curve[v]["batch"] for v in values] for share in (0.1, 0.5, 0.9))
    axis.plot(values, middle, **look_of(system))
    axis.fill_between(values, low, high, color=color_of(system), alpha=0.2, linewidth=0)


_PANELS: tuple[tuple[str, _Of], ...] = (
    ("(a) training step", lambda point, share: quantile(point, "step", share)),
    ("(b) forward", lambda point, share: quantile(point, "forward", share)),
    ("(c) backward", backward),
)
