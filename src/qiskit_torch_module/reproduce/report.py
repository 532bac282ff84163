"""Tables and plots of run times against a size."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .._core.pictures import decimal, picture
from .figures import FIGURES, Figure
from .looks import color_of, in_order, look_of
from .store import Result, described, factor, not_measured, plain
from .systems import PROJECT, median, quantile

Points = dict[str, dict[int, Result]]
# From a point and the share of a quantile to milliseconds.
_Of = Callable[[Result, float], float]


def by_system(results: Mapping[str, Any]) -> Points:
    """Points that were measured, by system and value."""
    points: Points = {}
    for point in results["points"].values():
        if "error" not in point and "skipped" not in point:
            points.setdefault(point["system"], {})[point["value"]] = point
    return points


def write(name: str, results: Mapping[str, Any], stem: Path) -> list[Path]:
    """The Markdown table and the plot of a figure."""
    table, picture = stem.with_suffix(".md"), stem.with_suffix(".svg")
    table.write_text(_markdown(FIGURES[name], results, picture.name), encoding="utf-8")
    _plot(name, results, picture)
    return [table, picture]


def _markdown(figure: Figure, results: Mapping[str, Any], picture: str) -> str:
    points = by_system(results)
    values = sorted({value for by_value in points.values() for value in by_value})
    ours = points.get(PROJECT.label, {})
    lines = [
        f"# {figure.title}",
        "",
        f"{described(results)}. Milliseconds for a batch, median; in brackets the factor over this package. ~: scaled "
        f"up from one sample. The paper: {figure.paper}.",
        "",
        f"![{figure.title}]({picture})",
    ]
    for measure in figure.measures:
        lines += ["", f"## {measure}", "", f"| {figure.axis} | " + " | ".join(map(str, values)) + " |"]
        lines.append("| --- |" + " ---: |" * len(values))
        for system, by_value in points.items():
            cells = [_cell(by_value.get(value), ours.get(value), measure, system) for value in values]
            lines.append(f"| {system} | " + " | ".join(cells) + " |")
    lines += not_measured(results["points"])
    return "\n".join(lines) + "\n"


def _cell(point: Result | None, ours: Result | None, measure: str, system: str) -> str:
    if point is None:
        return ""
    time = median(point, measure)
    text = f"{'~' if 'scaled_by' in point else ''}{plain(time)}"
    if ours is None or system == PROJECT.label:
        return text
    return f"{text} ({factor(time / median(ours, measure))})"


def _plot(name: str, results: Mapping[str, Any], path: Path) -> None:
    figure, points = FIGURES[name], by_system(results)
    panels, values = _panels(figure.measures), sorted({value for curve in points.values() for value in curve})
    # Three panels leave a place for the legend; a single one has it below.
    rows, columns = (2, 2) if len(panels) > 1 else (1, 1)
    with picture(path, rows, columns, height=2.9 * rows + (rows == 1), sharex=True, sharey=True, squeeze=False) as (
        drawing,
        axes,
    ):
        for axis, (title, of) in zip(axes.flat, panels, strict=False):
            for system in in_order(points):
                _curve(axis, system, points[system], of)
            axis.set(title=title, yscale="log")
            axis.tick_params(labelbottom=True)
            if name == "tab1":
                axis.set_xscale("log", base=2)
            decimal(axis.xaxis, values)
            decimal(axis.yaxis)
        for axis in axes[:, 0]:
            axis.set_ylabel("milliseconds per sample")
        for axis in axes.flat[: len(panels)][-columns:]:
            axis.set_xlabel(figure.axis)
        handles, labels = axes.flat[0].get_legend_handles_labels()
        about = {"title": "median; band: 10 % to 90 %", "alignment": "left"}
        if len(panels) < axes.size:
            axes.flat[-1].axis("off")
            axes.flat[-1].legend(handles, labels, loc="center", fontsize=9, **about)
        else:
            drawing.legend(handles, labels, loc="outside lower center", ncols=2, **about)


def _curve(axis: Any, system: str, curve: Mapping[int, Result], of: _Of) -> None:
    values = sorted(curve)
    low, middle, high = ([of(curve[v], share) / curve[v]["batch"] for v in values] for share in (0.1, 0.5, 0.9))
    axis.plot(values, middle, **look_of(system))
    axis.fill_between(values, low, high, color=color_of(system), alpha=0.2, linewidth=0)


def _backward(point: Result, share: float) -> float:
    """A step less a forward pass; where they are nearly equal, a share of the step."""
    step = quantile(point, "step", share)
    return max(0.1 * step, step - median(point, "forward"))


def _panels(measures: tuple[str, ...]) -> list[tuple[str, _Of]]:
    """Title and a function of point and quantile."""
    if measures == ("jacobian",):
        return [("all gradients", lambda point, share: quantile(point, "jacobian", share))]
    return [
        ("(a) forward", lambda point, share: quantile(point, "forward", share)),
        ("(b) backward", _backward),
        ("(c) training step", lambda point, share: quantile(point, "step", share)),
    ]
