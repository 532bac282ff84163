"""How pictures look, wherever they are drawn: one width, one size of type, and few colours. Needs matplotlib.

Colours can be told apart by people who see red, green or blue weakly, and stand out on white as on black. An SVG is
written twice: as it was drawn, for light pages, and with other colours, for dark ones.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Lines and text; lines of reference; the grid.
INK, MUTED, GRID = "#24292f", "#6e7781", "#d0d7de"
BLUE, ORANGE, GREEN, PURPLE, SKY, BROWN = "#0062c8", "#d07a12", "#1a8258", "#9d3d84", "#399bd7", "#7e5100"
COLORS = (BLUE, ORANGE, GREEN, PURPLE, SKY, BROWN)

ON_DARK = {
    INK: "#e6edf3",
    MUTED: "#9198a1",
    GRID: "#3d444d",
    BLUE: "#3b7fe0",
    ORANGE: "#e0892b",
    GREEN: "#3fd68f",
    PURPLE: "#c46aa8",
    SKY: "#86ccff",
    BROWN: "#917a4b",
}

WIDTH = 6.4
"""Inches: as wide as a column of text, so that type keeps its size; a telephone shows it at half of that."""


def style() -> Any:
    from cycler import cycler

    return {
        "font.size": 11,
        "figure.titlesize": 11,
        "axes.titlesize": 11,
        "axes.labelsize": 11,
        "xtick.labelsize": 10,
        "ytick.labelsize": 10,
        "legend.fontsize": 10,
        "legend.frameon": False,
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.titlecolor": INK,
        "axes.edgecolor": MUTED,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": GRID,
        "grid.linewidth": 0.6,
        "lines.linewidth": 1.8,
        "lines.markersize": 5,
        "axes.prop_cycle": cycler(color=COLORS),
        "figure.facecolor": "none",
        "axes.facecolor": "none",
        "svg.fonttype": "path",  # the same letters everywhere
        "svg.hashsalt": "qiskit-torch-module",  # the same file whenever the same is drawn
    }


@contextmanager
def picture(
    path: str | Path, rows: int = 1, columns: int = 1, *, height: float = 3.8, **options: Any
) -> Iterator[tuple[Any, Any]]:
    """A figure in the style of this package's pages, written to a file when the block ends.

    Args:
        path: Where to. Of an SVG the variant for dark pages is written beside it: loss.svg, loss-dark.svg. Any other
            ending that matplotlib knows gives one file on white.
        rows: Of panels; 0: none yet, and no axes.
        columns: Of panels.
        height: Of all of them, in inches; the width is that of a page.
        options: For `matplotlib.figure.Figure.subplots`.

    Yields:
        The figure, and its axes as `Figure.subplots` gives them.

    Example:
        >>> with qtm.plots.picture("loss.svg") as (figure, axes):
        ...     _ = axes.plot([2.3, 1.9, 1.6])
        >>> Path("loss-dark.svg").exists()
        True
    """
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(style()):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        yield figure, figure.subplots(rows, columns, **options) if rows else None
        _save(figure, Path(path))


def _save(figure: Any, path: Path) -> None:
    if path.suffix != ".svg":
        figure.savefig(path, dpi=200, facecolor="white")
        return
    drawn = io.StringIO()
    figure.savefig(drawn, format="svg", metadata=dict.fromkeys(("Creator", "Date")))
    path.write_text(drawn.getvalue(), encoding="utf-8")
    dark_variant(path).write_text(on_dark(drawn.getvalue()), encoding="utf-8")


def dark_variant(path: Path) -> Path:
    """The file beside an SVG that dark pages show."""
    return path.with_name(f"{path.stem}-dark{path.suffix}")


def on_dark(drawing: str) -> str:
    """An SVG in the colours of dark pages; colours that are none of the style's stay."""
    return re.sub(r"#[0-9a-f]{6}\b", lambda match: ON_DARK.get(match[0], match[0]), drawing)


def decimal(axis: Any, ticks: Any = None) -> None:
    """Numbers as people write them along an axis, 0.1 or 2,000, and not as powers of ten.

    Args:
        axis: `axes.xaxis` or `axes.yaxis`, after what is drawn.
        ticks: Where; None: wherever matplotlib puts them; along few decades of a logarithm at 1, 2 and 5, too.
    """
    from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

    low, high = axis.get_view_interval()
    if ticks is not None:
        axis.set_major_locator(FixedLocator(list(ticks)))
        axis.set_minor_locator(NullLocator())
    elif axis.get_scale() == "log" and high < _FEW_DECADES * low:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.12g}"))
    axis.set_minor_formatter(NullFormatter())


_FEW_DECADES = 200.0
