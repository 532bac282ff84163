"""What is printed on pages and was measured: every number has one source, a file in ``benchmarks/results``.

A page includes it by name, and shows it between two comments, which no reader sees:

    takes <!--=kernels rows/2/seconds/matrix ms-->77 ms<!--/--> for 2,000 samples

``python docs/make_tables.py`` writes what stands between them; a test says where it is not what it should be. A name is

- a file of ``benchmarks/results`` without its ending, the way to a value in it, and how it is written (`FORMATS`), or
- one of `DERIVED` (``derived.py``), which says what several values come to, and its arguments.

What holds spaces stands in quotation marks: "rows/2/seconds/matrix, float64".

The opening comment of a number must not stand at the beginning of a line (Markdown would take the line for HTML). What
is longer than a line, a table or a list, stands in lines of its own, apart from the comments.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from typing import Any

from derived import DERIVED, results

from qiskit_torch_module.reproduce.store import factor, plain

FORMATS: dict[str, Callable[[Any], str]] = {
    "": lambda value: plain(value),
    "text": str,
    "whole": lambda value: f"{value:,.0f}",
    "ms": lambda seconds: f"{plain(1e3 * seconds)} ms",
    "s": lambda seconds: f"{plain(seconds)} s",
    "us": lambda seconds: f"{plain(1e6 * seconds)} µs",
    "ms-as-is": lambda milliseconds: f"{plain(milliseconds)} ms",
    "s-of-ms": lambda milliseconds: f"{plain(1e-3 * milliseconds)} s",
    "times": lambda value: f"{plain(float(f'{value:.2g}'))} times",
    "factor": factor,
    "percent": lambda share: f"{100 * share:.0f} %",
}

_MARKED = re.compile(r"(<!--=([^>]*?)-->)(.*?)(<!--/-->)", re.DOTALL)


def value_at(name: str, way: str) -> Any:
    """A value of a file of results; the way to it is keys and positions between slashes."""
    found = results(name)
    for key in way.split("/"):
        found = found[int(key)] if isinstance(found, list) else found[key]
    return found


def text_of(name: str) -> str:
    """What a page shows under a name.

    Raises:
        ValueError: there is no such name, file, value or format.
    """
    first, *rest = shlex.split(name)
    try:
        if first in DERIVED:
            return DERIVED[first](*rest)
        way, kind = (*rest, "")[:2]
        return FORMATS[kind](value_at(first, way))
    except (KeyError, IndexError, TypeError, ValueError, OSError) as error:
        raise ValueError(
            f"<!--={name}--> names no number: {type(error).__name__} {error}"
        ) from error


def filled(page: str) -> str:
    """A page with all numbers as they are."""

    def fill(match: re.Match[str]) -> str:
        text = text_of(match[2].strip())
        shown = f"\n\n{text.strip()}\n\n" if "\n" in match[3] else text
        return f"{match[1]}{shown}{match[4]}"

    return _MARKED.sub(fill, page)


def without_numbers(page: str) -> str:
    """A page without what is filled in."""
    return _MARKED.sub("", page)
