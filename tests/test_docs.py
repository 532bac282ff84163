"""What the pages claim."""

import re
from pathlib import Path

import pytest
import torch

from qiskit_torch_module import _engine, set_memory_budget
from qiskit_torch_module._simulation import choose

ROOT = Path(__file__).parent.parent
NEEDS = {"from_pennylane.md": ["pennylane"], "from_qiskit_machine_learning.md": ["qiskit_machine_learning"]}


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_every_test_named_on_a_page_exists(page):
    for name in re.findall(r"`(test_\w+\.py(?:::\w+)+)`", page.read_text()):
        file, *path = name.split("::")
        source = (ROOT / "tests" / file).read_text()
        for part in path:
            assert re.search(rf"^\s*(class|def) {part}\b", source, re.MULTILINE), f"{page.name} names {name}"


@pytest.mark.filterwarnings("ignore")  # other libraries' own
@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_the_python_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(choose, "_known", choose.known())  # what a page registers is known to it alone
    for module in NEEDS.get(page.name, ()):
        pytest.importorskip(module)
    before, threads, scope = _engine.memory_budget(), torch.get_num_threads(), {"print": lambda *_: None}
    try:
        for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL):
            exec(block, scope)
    finally:
        set_memory_budget(before)
        torch.set_num_threads(threads)


def test_every_page_is_in_a_table_of_contents():
    index = (ROOT / "docs" / "index.md").read_text()
    for page in (ROOT / "docs").glob("*.md"):
        assert page.stem == "index" or re.search(rf"^{page.stem}$", index, re.MULTILINE), page.name
