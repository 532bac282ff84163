"""What was measured, as files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from qiskit_torch_module.reproduce.store import write_whole


def write(folder: Path, name: str, results: dict[str, Any], markdown: str) -> list[Path]:
    """Writes the page about results and, last, the numbers as JSON, which say that it is done; returns both paths."""
    numbers, page = folder / f"{name}.json", folder / f"{name}.md"
    write_whole(page, markdown)
    write_whole(numbers, json.dumps(results, indent=1) + "\n")
    return [numbers, page]
