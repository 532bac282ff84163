"""What the pages claim."""

import re
from pathlib import Path

import pytest

from qiskit_torch_module import _engine, set_memory_budget

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_every_test_named_on_a_page_exists(page):
    for name in re.findall(r"`(test_\w+\.py(?:::\w+)+)`", page.read_text()):
        file, *path = name.split("::")
        source = (ROOT / "tests" / file).read_text()
        for part in path:
            assert re.search(rf"^\s*(class|def) {part}\b", source, re.MULTILINE), f"{page.name} names {name}"


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_the_python_of_a_page_runs(page):
    before, scope = _engine.memory_budget(), {"print": lambda *_: None}
    try:
        for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL):
            exec(block, scope)
    finally:
        set_memory_budget(before)
