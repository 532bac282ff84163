"""What the Python blocks of a page print, written behind them, and the SVG files that they save, put beside the page.

    python docs/make_outputs.py docs/first_model.md ...

A block of text directly behind a block of Python is its output. There, ``...`` stands for anything, line breaks do not
count, what ``explain`` says of the machine neither, and numbers may be off by one part in twenty:
``tests/test_docs.py`` runs the pages and compares.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

WIDTH = 80
BLOCK = re.compile(
    r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?",
    re.DOTALL | re.MULTILINE,
)
_OF_THE_MACHINE = re.compile(
    r"^(values of a sample|its gradients|engine|batch|kets|memory|method \w+) {2,}.*\n(?: {4}.*\n)*",
    re.MULTILINE,
)
_NUMBER = re.compile(r"[-+]?\d[\d,]*\.?\d*(?:e[-+]?\d+)?")


def runs(text: str) -> Iterator[tuple[str, str, str]]:
    """Runs the blocks of a page, one after the other: source, what the page shows as printed, and what is."""
    scope: dict[str, object] = {}
    for block in BLOCK.finditer(text):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(block[1], scope)
        yield block[1], block[2] or "", printed.getvalue()


def agree(shown: str, printed: str) -> bool:
    """Whether a page shows what is printed."""
    shown, printed = (
        _OF_THE_MACHINE.sub("", text) for text in (shown, printed)
    )
    words = printed.split()
    *pieces, last = [
        piece.split() for piece in re.split(r"(?:^|\s)\.\.\.(?=\s|$)", shown)
    ]
    for number, piece in enumerate(pieces):
        starts = range(len(words) - len(piece) + 1) if number else range(1)
        found = [i for i in starts if _alike(piece, words[i : i + len(piece)])]
        if not found:
            return False
        words = words[found[0] + len(piece) :]
    return _alike(last, words[len(words) - len(last) :] if pieces else words)


def _alike(shown: list[str], printed: list[str]) -> bool:
    return len(shown) == len(printed) and all(map(_same, shown, printed))


def _same(shown: str, printed: str) -> bool:
    if _NUMBER.sub("#", shown) != _NUMBER.sub("#", printed):
        return False
    pairs = zip(_NUMBER.findall(shown), _NUMBER.findall(printed), strict=True)
    return all(
        abs(a - b) <= 0.05 * abs(a) + 1e-6
        for a, b in (map(_value, pair) for pair in pairs)
    )


def _value(number: str) -> float:
    return float(number.replace(",", ""))


def written(text: str) -> str:
    """The page with what its blocks print; what agrees stays as it is."""
    printed = iter([*runs(text)])

    def block(match: re.Match[str]) -> str:
        source, shown, now = next(printed)
        if not agree(shown, now):
            lines = [
                textwrap.wrap(line, WIDTH, subsequent_indent="    ") or [""]
                for line in now.splitlines()
            ]
            shown = "".join(f"{line}\n" for parts in lines for line in parts)
        return f"```python\n{source}```\n" + (
            f"\n```text\n{shown}```\n" if shown else ""
        )

    return BLOCK.sub(block, text)


if __name__ == "__main__":
    import matplotlib

    from qiskit_torch_module._core.pictures import (
        dark_variant,
        on_dark,
        style,
    )

    for page in [Path(name).resolve() for name in sys.argv[1:]]:
        with (
            tempfile.TemporaryDirectory() as folder,
            matplotlib.rc_context(style()),
        ):
            os.chdir(folder)
            page.write_text(
                written(page.read_text(encoding="utf-8")), encoding="utf-8"
            )
            for drawn in Path(folder).glob("*.svg"):
                drawing = drawn.read_text(encoding="utf-8")
                path = page.with_name(drawn.name)
                path.write_text(drawing, encoding="utf-8")
                dark_variant(path).write_text(
                    on_dark(drawing), encoding="utf-8"
                )
