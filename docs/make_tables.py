"""All that pages show of results, from the files in ``benchmarks/results`` alone: ``python docs/make_tables.py``.

Tables and pictures beside the results, and every number and table that README and pages include by name (``numbers_of_pages.py``
says how). ``--from FOLDER`` takes over new results first.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "docs"), str(ROOT / "benchmarks")]

import derived  # noqa: E402
import make_speed  # noqa: E402
import numbers_of_pages as numbers  # noqa: E402

from qiskit_torch_module.reproduce.experiments import EXPERIMENTS, written  # noqa: E402

RESULTS = derived.RESULTS


def ledger() -> dict[str, object]:
    """The modules of ``benchmarks`` by the names of their results."""
    import ledger

    return dict(ledger.MODULES)


def tables(folder: Path, *, draws: bool) -> Iterator[Path]:
    """Writes the page of every file of results in a folder, and its picture."""
    for name in EXPERIMENTS:
        found = sorted(folder.glob(f"{name}*.json"))
        if found:
            yield from written(
                name,
                json.loads(found[0].read_text(encoding="utf-8")),
                folder,
                draws=draws,
            )
    for name, module in ledger().items():
        path = folder / f"{name}.json"
        if path.exists():
            measured = json.loads(path.read_text(encoding="utf-8"))
            path.with_suffix(".md").write_text(
                module.markdown(measured), encoding="utf-8"
            )
            yield path.with_suffix(".md")
            if draws and hasattr(module, "draw"):
                module.draw(measured, path.with_suffix(".svg"))
                yield path.with_suffix(".svg")


def pages() -> list[Path]:
    """Those that may include numbers."""
    return [
        ROOT / "README.md",
        ROOT / "benchmarks" / "README.md",
        *sorted((ROOT / "docs").glob("**/*.md")),
    ]


def stale() -> list[Path]:
    """Pages that show something else than the results."""
    texts = {path: path.read_text(encoding="utf-8") for path in pages()}
    return [
        path for path, text in texts.items() if numbers.filled(text) != text
    ]


def main() -> None:
    """Takes results over, writes everything."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument(
        "--from",
        dest="source",
        type=Path,
        help="folder of new results, which replace the old ones",
    )
    source = parser.parse_args().source
    if source is not None:
        for path in sorted(source.glob("*.json")):
            shutil.copyfile(path, RESULTS / path.name)
            print("took", path.name)
    for path in tables(RESULTS, draws=True):
        print("wrote", path.relative_to(ROOT))
    make_speed.draw(ROOT / "docs" / "speed.svg")
    for path in pages():
        text = path.read_text(encoding="utf-8")
        if (new := numbers.filled(text)) != text:
            path.write_text(new, encoding="utf-8")
            print("wrote", path.relative_to(ROOT))


if __name__ == "__main__":
    main()
