"""What the pages claim."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_every_test_named_on_a_page_exists(page):
    for name in re.findall(r"`(test_\w+\.py(?:::\w+)+)`", page.read_text()):
        file, *path = name.split("::")
        source = (ROOT / "tests" / file).read_text()
        for part in path:
            assert re.search(rf"^\s*(class|def) {part}\b", source, re.MULTILINE), f"{page.name} names {name}"
