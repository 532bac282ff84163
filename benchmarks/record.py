"""What was measured, as files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def write(folder: Path, name: str, results: dict[str, Any], markdown: str) -> list[Path]:
    """Writes the numbers as JSON and the page about them; returns the paths of both."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers, page = folder / f"{name}.json", folder / f"{name}.md"
    numbers.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    page.write_text(markdown, encoding="utf-8")
    return [numbers, page]
