"""What results are drawn on. Needs matplotlib."""

from __future__ import annotations

from typing import Any


def axes_of(axes: Any) -> Any:
    """The axes that are given, or the current ones of matplotlib."""
    from matplotlib import pyplot

    return pyplot.gca() if axes is None else axes


def ink_of(axes: Any) -> Any:
    """The colour of text on these axes, which stands out on any background."""
    return axes.xaxis.label.get_color()
