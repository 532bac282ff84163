"""Fields of results are shown with the types that users import, not with where these are defined."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

from sphinx.application import Sphinx

import qiskit_torch_module

_PACKAGE = qiskit_torch_module.__name__
_ROOMS = ("", ".methods", ".outputs", ".explain", ".optim", ".analysis")
_ARRAY = re.compile(
    r"numpy\.ndarray\[tuple\[[^\]]*\], numpy\.dtype\[([^\]]*)\]\]"
)
_OWN = re.compile(rf"~?\b{_PACKAGE}(?:\.\w+)+\b")


def _public(name: re.Match[str]) -> str:
    """Where a class stands in the reference, shown by its name alone."""
    last = name[0].rpartition(".")[2]
    for room in _ROOMS:
        if hasattr(import_module(_PACKAGE + room), last):
            return f"~{_PACKAGE}{room}.{last}"
    return last


def _shortened(
    app: Sphinx,
    what: str,
    name: str,
    thing: Any,
    options: Any,
    lines: list[str],
) -> None:
    signature = rf"{name.rpartition('.')[2]}\(.*\) -> "
    if lines and re.match(
        signature, lines[0]
    ):  # compiled functions begin with theirs
        del lines[0]
    for number, line in enumerate(lines):
        if line.startswith(":vartype "):
            kind, colon, types = line.partition(": ")
            types = _ARRAY.sub(r"~numpy.typing.NDArray[\1]", types)
            lines[number] = kind + colon + _OWN.sub(_public, types)


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect(
        "autodoc-process-docstring", _shortened, priority=900
    )  # behind napoleon, which makes fields
    return {"parallel_read_safe": True}
