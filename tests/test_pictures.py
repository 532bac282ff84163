"""How pictures look: colours that everybody can tell apart, on light and on dark pages."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest

from qiskit_torch_module._core.pictures import COLORS, INK, MUTED, ON_DARK, dark_variant, decimal, on_dark, picture
from qiskit_torch_module.reproduce import figures, looks, systems

ROOT = Path(__file__).parent.parent
PICTURES = sorted(
    path
    for folder in ("docs", "benchmarks/results")
    for path in (ROOT / folder).glob("*.svg")
    if "-dark" not in path.name
)
PAGES = {"light": ("#ffffff", dict(zip(ON_DARK, ON_DARK, strict=True))), "dark": ("#131416", ON_DARK)}
# How those see who lack one kind of cones, as linear maps of light (Machado, Oliveira and Fernandes, IEEE Transactions on
# Visualization and Computer Graphics 15, 1291 (2009)).
SIGHTS = {
    "all cones": np.eye(3),
    "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "no blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def light_of(color):
    values = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def contrast(first, second):
    """As the Web Content Accessibility Guidelines define it."""
    dark, bright = sorted(float(light_of(one) @ [0.2126, 0.7152, 0.0722]) for one in (first, second))
    return (bright + 0.05) / (dark + 0.05)


def seen(color, sight):
    """In CIELAB."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = to_xyz @ np.clip(np.array(sight) @ light_of(color), 0, 1) / [0.9505, 1, 1.089]
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("page", PAGES)
def test_colours_stand_out(page):
    background, colors = PAGES[page]
    assert contrast(colors[INK], background) > 10
    assert contrast(colors[MUTED], background) > 4.5
    assert min(contrast(colors[one], background) for one in COLORS) > 3


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("sight", SIGHTS)
def test_colours_can_be_told_apart(page, sight):
    found = [seen(PAGES[page][1][one], SIGHTS[sight]) for one in (INK, *COLORS)]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(found, 2)) > 14


def test_every_system_has_a_look_of_its_own():
    every = {*systems.SYSTEMS, *(one for figure in figures.FIGURES.values() for one in figure.systems)}
    labels = sorted({one.label for one in every})
    marks = [(looks.look_of(label)["color"], looks.look_of(label)["marker"]) for label in labels]
    assert len(set(marks)) == len(marks)
    assert MUTED not in [color for color, _ in marks], "a system without a look: reproduce/looks.py"
    assert looks.in_order(labels)[0] == systems.PROJECT.label


@pytest.mark.filterwarnings("ignore")  # matplotlib's own
def test_a_picture_is_drawn_once_for_light_and_dark_pages(tmp_path):
    def draw(path):
        with picture(path, 1, 2, height=2) as (_, (left, right)):
            left.plot([1, 2], [1e-3, 1e3])
            left.set(yscale="log", xlabel="$x$")
            decimal(left.yaxis)
            right.plot([1, 2], "#123456")
        return path.read_bytes()

    light = draw(tmp_path / "one.svg").decode()
    dark = (tmp_path / "one-dark.svg").read_text(encoding="utf-8")
    assert dark == on_dark(light) != light
    assert "#123456" in dark
    assert not set(ON_DARK) & set(re.findall("#[0-9a-f]{6}", dark))
    assert draw(tmp_path / "one.svg").decode() == light
    assert draw(tmp_path / "one.png").startswith(b"\x89PNG")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one-dark.svg", "one.png", "one.svg"]


@pytest.mark.parametrize("count", [0.001, 1, 2000])
def test_numbers_along_an_axis_are_decimals(count):
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    axes.set_xscale("log")
    decimal(axes.xaxis, [count])
    assert axes.xaxis.get_major_formatter()(count) == {0.001: "0.001", 1: "1", 2000: "2,000"}[count]


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.name)
def test_pictures_in_the_repository_have_a_dark_variant(path):
    drawn = path.read_text(encoding="utf-8")
    assert dark_variant(path).read_text(encoding="utf-8") == on_dark(drawn)


def test_pictures_of_pages_are_drawings():
    assert not [path.name for path in (ROOT / "docs").glob("*.png")]
