"""How values show themselves in a notebook: tables without scripts, in the colours of the page, light or dark."""

from __future__ import annotations

import dataclasses
import html
import inspect
import math
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

_LONGEST = 120  # characters of a value
_MOST = 8  # entries of a sequence
_GREY = "rgba(128, 128, 128, 0.35)"  # seen on white and on black
_CELL = "text-align: left; vertical-align: top; padding: 2px 10px; border: none; background: none; font-size: 13px;"
_CODE = "margin: 4px 0; overflow-x: auto; font-size: 12px; line-height: 1.2; background: none; color: inherit;"
_NARROWEST = 1e-9  # a multiple of pi, in radians

Rows = Iterable[tuple[str, str]]


def in_short(value: Any) -> str:
    """A value in a few characters: of arrays and tensors their dtype and shape."""
    if _is_array(value):
        return f"{str(value.dtype).removeprefix('torch.')}, shape {tuple(value.shape)}"
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (float, np.floating)):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return _listed([f"{name}: {in_short(one)}" for name, one in value.items()])
    if isinstance(value, (list, tuple)):
        return _listed([in_short(one) for one in value])
    text = "none" if value is None else value if isinstance(value, str) else repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _is_array(value: Any) -> bool:
    return hasattr(value, "dtype") and bool(getattr(value, "shape", ())) and not isinstance(value, Shown)


def _listed(parts: list[str]) -> str:
    return ", ".join(parts[:_MOST]) + (f", … ({len(parts)} in all)" if len(parts) > _MOST else "")


def angle(radians: float) -> str:
    """An angle as a multiple of pi, where it is a simple one: "π/2", "-3π/4", "0.3"."""
    part = Fraction(radians / math.pi).limit_denominator(16) if math.isfinite(radians) else Fraction(0)
    if not part or abs(float(part) * math.pi - radians) > _NARROWEST * max(1.0, abs(radians)):
        return f"{radians:.6g}"
    number = {1: "", -1: "-"}.get(part.numerator, str(part.numerator))
    return f"{number}π" + (f"/{part.denominator}" if part.denominator > 1 else "")


def card(title: str, rows: Rows, more: str = "") -> str:
    """A table of names and values below a title, and HTML that stands below it."""
    lines = [
        f"<tr style='background: none;'><th scope='row' style='{_CELL} font-weight: normal; opacity: 0.7;"
        f" white-space: nowrap;'>{html.escape(name)}</th><td style='{_CELL}'>{html.escape(text)}</td></tr>"
        for name, text in rows
    ]
    return (
        f"<div style='color: inherit; border: 1px solid {_GREY}; border-radius: 6px; padding: 8px 4px;"
        " display: inline-block; max-width: 100%; overflow-x: auto; font-size: 13px; line-height: 1.4;'>"
        f"<div style='font-weight: bold; padding: 0 10px 4px;'>{html.escape(title)}</div>"
        f"<table style='border-collapse: collapse; margin: 0; border: none;'>{''.join(lines)}</table>{more}</div>"
    )


def folded(title: str, text: str) -> str:
    """Text that a click shows, as it is."""
    return (
        f"<details style='padding: 4px 10px;'><summary style='cursor: pointer;'>{html.escape(title)}</summary>"
        f"<pre style='{_CODE}'>{html.escape(text)}</pre></details>"
    )


def first_words(one: object) -> str:
    """The first sentence of what documents the class of a value."""
    return " ".join((inspect.getdoc(type(one)) or "").split("\n\n")[0].replace("`", "").split())


def called(one: object, *subjects: str, **settings: Any) -> str:
    """A value in a line, as a call: its class, what it is of, and those settings that are not the default ones."""
    defaults = inspect.signature(type(one).__init__).parameters
    changed = [
        f"{name}={value if isinstance(value, np.random.Generator) else repr(value)}"  # whose repr has its address
        for name, value in settings.items()
        if name not in defaults or value != defaults[name].default
    ]
    return f"{type(one).__name__}({', '.join([*subjects, *changed])})"


class Shown:
    """What shows itself as a table in a notebook."""

    def _shown_rows(self) -> Rows:
        """Names and values: what it is, in the first sentence of its documentation."""
        return [("", first_words(self))]

    def _repr_html_(self) -> str:
        """For notebooks."""
        return card(in_short(self), self._shown_rows())


class Result(Shown):
    """A dataclass of results, which may hold large arrays: shown by their shapes."""

    def __repr__(self) -> str:
        parts = [f"{one.name}={_inside(self, one.name)}" for one in dataclasses.fields(self) if one.repr]  # type: ignore[arg-type]
        return f"{type(self).__name__}({', '.join(parts)})"

    def _shown_rows(self) -> Rows:
        values = {one.name: getattr(self, one.name) for one in dataclasses.fields(self)}  # type: ignore[arg-type]
        error = values.pop("standard_error", None)
        for name, value in values.items():
            text = in_short(value)
            yield name.replace("_", " "), f"{text} ± {error:.2g}" if name == "value" and error is not None else text

    def _repr_html_(self) -> str:
        return card(type(self).__name__, self._shown_rows())


def _inside(one: object, name: str) -> str:
    value = getattr(one, name)
    if _is_array(value):
        return f"<{in_short(value)}>"
    return in_short(value) if isinstance(value, (float, np.floating)) else repr(value)
