"""Drawings of "How it works": ``python docs/make_pictures.py``, written beside the pages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.patches import Circle, FancyArrowPatch, Rectangle

from qiskit_torch_module._core.pictures import (
    BLUE,
    GREEN,
    GRID,
    INK,
    MUTED,
    ORANGE,
    PURPLE,
    picture,
)

DOCS = Path(__file__).parent
WORDS = ("XYZ", "ZYX", "YYY")  # of the rotations after the ring, qubit 0 first
RING = ((0, 1), (1, 2), (2, 0))


def empty(axis: Any, width: float, height: float, top: float = 0) -> None:
    """Axes for a drawing: one unit is as long across as up, y runs down."""
    axis.set(xlim=(0, width), ylim=(height, top), aspect="equal")
    axis.axis("off")


def box(
    axis: Any, x: float, y: float, text: str, color: str, **look: Any
) -> None:
    """A gate on a wire."""
    options = {"width": 0.8, "height": 0.8, **look}
    width, height = options["width"], options["height"]
    axis.add_patch(
        Rectangle(
            (x - width / 2, y - height / 2),
            width,
            height,
            facecolor=GRID,
            edgecolor=color,
            linewidth=2,
            linestyle=look.get("line", "-"),
            zorder=3,
        )
    )
    axis.text(
        x,
        y,
        text,
        ha="center",
        va="center_baseline",
        size=10,
        color=INK,
        zorder=4,
    )


def wires(axis: Any, end: float, begin: float = 0.7) -> None:
    """Three of them, named."""
    for qubit in range(3):
        axis.plot([begin, end], [qubit, qubit], color=MUTED, linewidth=1)
        axis.text(begin - 0.15, qubit, f"$q_{qubit}$", ha="right", va="center")


def cnot(
    axis: Any, x: float, control: int, target: int, color: str = INK
) -> None:
    """A dot, a line, and a circle with a cross."""
    axis.plot([x, x], [control, target], color=color, linewidth=1.4, zorder=3)
    axis.plot(x, control, "o", color=color, markersize=6, zorder=3)
    ring = Circle(
        (x, target),
        0.22,
        facecolor="none",
        edgecolor=color,
        linewidth=1.4,
        zorder=3,
    )
    axis.add_patch(ring)
    axis.plot(
        [x - 0.22, x + 0.22], [target] * 2, color=color, linewidth=1.4, zorder=3
    )
    axis.plot(
        [x, x],
        [target - 0.22, target + 0.22],
        color=color,
        linewidth=1.4,
        zorder=3,
    )


def under(axis: Any, begin: float, end: float, text: str) -> None:
    """What columns are."""
    axis.plot([begin, end], [2.65] * 2, color=MUTED, linewidth=1)
    axis.text((begin + end) / 2, 2.8, text, ha="center", va="top", size=10)


def words(axis: Any, x: float, color: str, **look: Any) -> None:
    """A layer of three words, each on all wires."""
    for place, word in enumerate(WORDS):
        axis.plot([x + place] * 2, [0, 2], color=color, linewidth=1.4, zorder=2)
        for qubit, letter in enumerate(word):
            box(axis, x + place, qubit, letter, color, **look)


def frames() -> None:
    """The circuit as it is written, and as it is run."""
    with picture(DOCS / "how_frames.svg", 2, 1, height=4.4) as (_, axes):
        top, bottom = axes
        for axis, title in (
            (top, "as it is written"),
            (bottom, "as it is run"),
        ):
            empty(axis, 13.2, 3.4, -0.5)
            axis.set_title(title, loc="left")
            wires(axis, 13.1)
            for qubit in range(3):
                box(axis, 1.4, qubit, "RY", BLUE)
        for place, (control, target) in enumerate(RING):
            cnot(top, 2.6 + 0.8 * place, control, target)
        for qubit in range(3):
            box(top, 5.5, qubit, "RZ", ORANGE)
            box(top, 6.5, qubit, "RY", BLUE)
            first, second = sorted(RING[qubit])
            x = 7.7 + 0.8 * qubit
            top.plot([x, x], [first, second], "o-", color=PURPLE, markersize=6)
            box(top, 10.5, qubit, "RY", BLUE)
            box(top, 12.2, qubit, "$Z$", INK)
        under(top, 1.0, 1.8, "layer 1")
        under(top, 2.3, 4.5, "ring of CNOTs")
        under(top, 5.1, 6.9, "data, layer 2")
        under(top, 7.4, 9.6, "RZZ")
        under(top, 10.1, 10.9, "layer 3")
        under(top, 11.8, 12.6, "read")
        words(bottom, 2.7, GREEN)
        box(bottom, 5.9, 1, "phase", PURPLE, height=2.8)
        bottom.texts[-1].set_rotation(90)
        words(bottom, 7.1, MUTED, line=":")
        for place, (control, target) in enumerate(RING):
            cnot(bottom, 10.5 + 0.8 * place, control, target, MUTED)
        under(bottom, 1.0, 1.8, "product")
        under(bottom, 2.2, 5.2, "layer 2: runs")
        under(bottom, 5.5, 6.3, "RZZ")
        under(bottom, 6.6, 9.6, "part of what is read")
        under(bottom, 10.1, 12.5, "only renames")


def halves() -> None:
    """A matrix as a sum of four products."""
    with picture(DOCS / "how_halves.svg", height=1.5) as (_, axis):
        empty(axis, 20, 5, 0.7)

        def rectangle(
            x: float, y: float, width: float, height: float, color: str
        ) -> None:
            place = Rectangle((x, y), width, height, facecolor=color)
            axis.add_patch(place)

        rectangle(1, 1, 3, 3, BLUE)
        axis.text(2.5, 2.5, "$\\psi_{ji}$", color="white", **MIDDLE)
        axis.text(2.5, 4.6, "32 × 32", **MIDDLE)
        axis.text(5, 2.5, "=", **MIDDLE)
        for c in range(4):
            x = 6 + 3.6 * c
            rectangle(x, 1, 0.4, 3, GREEN)
            rectangle(x + 0.7, 1, 2, 0.4, ORANGE)
            axis.text(x + 1.4, 4.6, f"$c = {c}$", **MIDDLE)
            if c < 3:
                axis.text(x + 3.1, 2.5, "+", **MIDDLE)
        axis.text(6.9, 2.3, "low", color=ORANGE, ha="left", va="center")
        axis.text(6.9, 3.3, "high", color=GREEN, ha="left", va="center")


MIDDLE = {"ha": "center", "va": "center"}


def arrow(
    axis: Any, begin: Sequence[float], end: Sequence[float], color: str
) -> None:
    """From a point to another."""
    axis.add_patch(
        FancyArrowPatch(
            begin,
            end,
            arrowstyle="-|>",
            mutation_scale=14,
            color=color,
            linewidth=1.8,
            shrinkA=0,
            shrinkB=0,
        )
    )


def gradient() -> None:
    """One way forward, one way back."""
    with picture(DOCS / "how_gradient.svg", height=2.2) as (_, axis):
        empty(axis, 13, 4.4)
        stations = [
            (1.9, "layer 1", "$\\partial w_0 \\ldots w_2$"),
            (4.4, "layer 2", "$\\partial x_0 \\ldots w_5$"),
            (6.9, "phase", "$\\partial w_6 \\ldots w_8$"),
            (9.6, "measure", "$\\partial w_9 \\ldots w_{11}$"),
        ]
        places = [0.2, *(x for x, _, _ in stations)]
        for before, (x, name, found) in zip(places, stations, strict=False):
            left = before + (0.95 if before > 1 else 0.1)
            arrow(axis, (left, 1), (x - 0.95, 1), BLUE)
            box(axis, x, 1, name, INK, width=1.7)
            box(axis, x, 3.2, found, ORANGE, width=1.9)
            if before > 1:
                arrow(axis, (x - 1.0, 3.2), (before + 1.0, 3.2), ORANGE)
        axis.text(0.2, 0.4, "$|000\\rangle$", ha="left", va="center")
        arrow(axis, (10.55, 1), (11.6, 1), BLUE)
        axis.text(11.7, 1, "$\\langle O_m\\rangle$", ha="left", va="center")
        axis.plot([12.2, 12.2], [1.5, 3.2], color=MUTED, linestyle=":")
        axis.text(12.05, 2.3, "loss,\n$c_m$", ha="right", va="center")
        arrow(axis, (12.2, 3.2), (10.6, 3.2), ORANGE)
        axis.text(5.7, 0.2, "ket forward", color=BLUE, **MIDDLE)
        axis.text(5.7, 4.2, "ket and bra back", color=ORANGE, **MIDDLE)


def lanes() -> None:
    """Amplitudes as rows, samples as columns."""
    with picture(DOCS / "how_lanes.svg", height=3) as (_, axis):
        empty(axis, 19, 9.4)
        for row in range(8):
            name = f"$|{row:03b}\\rangle$"
            axis.text(1.7, row + 1.5, name, ha="right", va="center", size=10)
            for sample in range(8):
                color = BLUE if row == 2 else "none"
                cell = Rectangle(
                    (2 + sample, row + 1),
                    1,
                    1,
                    facecolor=color,
                    edgecolor=GRID,
                    linewidth=1,
                )
                axis.add_patch(cell)
        axis.text(6, 0.5, "samples of the batch", **MIDDLE)
        axis.text(
            10.6, 3.5, "one register:", color=BLUE, ha="left", va="center"
        )
        axis.text(
            10.6, 4.6, "an amplitude of 8 samples", ha="left", va="center"
        )
        axis.text(
            10.6,
            6.5,
            "a gate on any qubit:\nwhole rows, no shuffling",
            ha="left",
            va="center",
        )


# Rows of the picture of the design: boxes with what they say below, and the
# folders that they are in.
FLOORS = (
    (
        ("QuantumCircuit", "and order of parameters"),
        ("observables", "or another output"),
        "",
    ),
    (
        ("Evolution", "rotations, frame: a value"),
        ("Output", "what is read: a value"),
        "_reading\n_program",
    ),
    (("method", "cost, or refusal"), "_simulation"),
    (
        ("native engine", "a runner in C++"),
        ("plain PyTorch", "a runner for any output"),
        "src/engine\n_simulation",
    ),
    (
        ("autograd", "over runners"),
        ("primitives", "Qiskit V1 and V2"),
        "_differentiation\nprimitives",
    ),
    (
        ("QuantumModule", "HybridModule"),
        ("FastEstimator", "and its gradients"),
        "modules\nprimitives",
    ),
)


def design() -> None:
    """One way from a circuit to modules and primitives."""
    with picture(DOCS / "design.svg", height=5.6) as (_, axis):
        empty(axis, 14.6, 12.6)
        above: list[float] = []
        for row, (*boxes, folders) in enumerate(FLOORS):
            y, color = 0.9 + 2.1 * row, (BLUE, GREEN, GREEN, ORANGE, PURPLE)
            places = [2.8, 8.4] if len(boxes) == 2 else [5.6]
            for x, (name, about) in zip(places, boxes, strict=True):
                shape = {"width": 4.9, "height": 1.35}
                box(axis, x, y, "", (*color, BLUE)[row], **shape)
                look = {"size": 11, "weight": "bold", "zorder": 4}
                axis.text(x, y - 0.25, name, **MIDDLE, **look)
                axis.text(x, y + 0.33, about, size=9, zorder=4, **MIDDLE)
            for x in places:
                for before in above if row in (2, 3, 4) else [x] * (row > 0):
                    arrow(axis, (before, y - 1.4), (x, y - 0.72), MUTED)
            axis.text(11.3, y, folders, va="center", size=9, color=MUTED)
            above = places


if __name__ == "__main__":
    for draw in (frames, halves, gradient, lanes, design):
        draw()
