"""One colour and one marker for a system, in all pictures that it is in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .._core.pictures import BLUE, BROWN, GREEN, INK, MUTED, ORANGE, PURPLE, SKY
from .systems import (
    AER,
    LIGHTNING,
    PENNYLANE,
    PROJECT,
    PROJECT_DOUBLE,
    PROJECT_SEQUENTIAL,
    QML_REVERSE,
    QML_SHIFT,
    QML_SPSA,
    QULACS,
    TENSORCIRCUIT,
    TENSORFLOW_QUANTUM,
    VERSION_1,
)

# Colour, marker, line. What belongs together has a colour in common.
_LOOKS = {
    PROJECT.label: (INK, "o", "-"),
    PROJECT_DOUBLE.label: (INK, "d", "--"),
    PROJECT_SEQUENTIAL.label: (INK, ".", ":"),
    TENSORCIRCUIT.label: (BLUE, "s", "-"),
    PENNYLANE.label: (GREEN, "^", "-"),
    TENSORFLOW_QUANTUM.label: (SKY, "P", "-"),
    LIGHTNING.label: (GREEN, "p", "--"),
    QULACS.label: (BROWN, "h", "-"),
    VERSION_1.label: (ORANGE, "D", "-"),
    QML_REVERSE.label: (PURPLE, "X", "-"),
    QML_SHIFT.label: (PURPLE, "<", "--"),
    QML_SPSA.label: (PURPLE, ">", ":"),
    AER.label: (ORANGE, "*", "--"),
    "baseline": (BROWN, "v", "-"),
    "avx2": (BLUE, "s", "-"),
    "avx512": (INK, "o", "-"),
    "neon": (GREEN, "^", "-"),
}


def in_order(labels: Iterable[str]) -> list[str]:
    """Labels in the order of legends: this package first."""
    places = {label: place for place, label in enumerate(_LOOKS)}
    return sorted(labels, key=lambda label: places.get(label, len(places)))


def color_of(label: str) -> str:
    """The colour of a system, or of an instruction set."""
    return _LOOKS.get(label, (MUTED,))[0]


def look_of(label: str) -> dict[str, Any]:
    """How a system, or an instruction set, is drawn: arguments of `axes.plot`, its label among them."""
    color, marker, line = _LOOKS.get(label, (MUTED, ".", "-"))
    width = 2.6 if label == PROJECT.label else 1.5
    return {"color": color, "marker": marker, "linestyle": line, "linewidth": width, "label": label}
