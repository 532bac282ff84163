"""What the pages claim."""

import re
import runpy
from pathlib import Path

import pytest
import torch

from qiskit_torch_module._simulation import choose

ROOT = Path(__file__).parent.parent
PAGES = sorted([*(ROOT / "docs").glob("*.md"), *(ROOT / "docs").glob("api/*.md")])
OUTPUTS = runpy.run_path(str(ROOT / "docs" / "make_outputs.py"))
NEEDS = {"from_pennylane.md": ["pennylane"], "from_qiskit_machine_learning.md": ["qiskit_machine_learning"]}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_test_named_on_a_page_exists(page):
    for name in re.findall(r"`(test_\w+\.py(?:::\w+)+)`", page.read_text()):
        file, *path = name.split("::")
        source = (ROOT / "tests" / file).read_text()
        for part in path:
            assert re.search(rf"^\s*(class|def) {part}\b", source, re.MULTILINE), f"{page.name} names {name}"


@pytest.mark.filterwarnings("ignore")  # other libraries' own
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_python_of_a_page_runs_and_prints_what_the_page_shows(page, tmp_path, monkeypatch, own_budget):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(choose, "_known", choose.known())  # what a page registers is known to it alone
    for module in NEEDS.get(page.name, ()):
        pytest.importorskip(module)
    threads = torch.get_num_threads()
    try:
        for source, shown, printed in OUTPUTS["runs"](page.read_text(encoding="utf-8")):
            remedy = f"python docs/make_outputs.py docs/{page.name}"
            assert OUTPUTS["agree"](shown, printed), f"{source}prints:\n{printed}{remedy}"
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize(
    ("shown", "printed", "expected"),
    [
        ("", "", True),
        ("", "1", False),
        ("a 1.00\n  b\n", "a 1.01 b\n", True),
        ("a 1.00 b", "a 1.20 b", False),
        ("... b", "a b", True),
        ("... b", "a b c", False),
        ("a ...", "a b c", True),
        ("a\n... b ...\nd", "a x b 3 d", True),
        ("a ... c", "a b", False),
    ],
)
def test_what_is_shown_agrees_with_what_is_printed_up_to_digits_and_dots(shown, printed, expected):
    assert OUTPUTS["agree"](shown, printed) == expected


def code_of(page: Path) -> list[str]:
    """Lines that a page shows as code, those of included programs too."""
    text = page.read_text(encoding="utf-8")
    lines = []
    for kind, options, body in re.findall(r"^```(\S*)(.*?)\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE):
        if kind == "{literalinclude}":
            source = (page.parent / options.strip()).read_text(encoding="utf-8")
            name = re.search(r":pyobject: (\w+)", body)[1]
            lines += re.search(rf"^def {name}\b.*?(?=^\S|\Z)", source, re.DOTALL | re.MULTILINE)[0].splitlines()
        elif not kind.startswith("{") or kind == "{code-block}":
            lines += body.splitlines()
    outside = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    return lines + [line[4:] for line in outside.splitlines() if line.startswith("    ")]


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda page: page.name)
def test_code_is_no_wider_than_a_page(page):
    assert [line for line in code_of(page) if len(line) > OUTPUTS["WIDTH"]] == []


def anchors_of(page: Path) -> set[str]:
    """What a link may point to on a page: its headings, as GitHub and Sphinx name them, and its labels."""
    text = page.read_text(encoding="utf-8")
    for included in re.findall(r"^```\{include\} (\S+)", text, re.MULTILINE):
        text += (page.parent / included).read_text(encoding="utf-8")
    text = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    slugs = [re.sub(r"[^\w\- ]", "", title.lower()) for title in re.findall(r"^#+ (.*)$", text, re.MULTILINE)]
    return {slug.strip().replace(" ", "-") for slug in slugs} | {*re.findall(r"^\((\S+)\)=$", text, re.MULTILINE)}


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    text = re.sub(r"^```(?!\{).*?^```|`[^`\n]+`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    links = re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", text)
    links += re.findall(r"^:(?:link|img-top|file): (\S+)", text, re.MULTILINE)
    links += re.findall(r' (?:src|srcset)="(\S+?)"', text)
    for link in links:
        name, _, anchor = link.replace(".html", ".md").partition("#")
        target = (page.parent / name).resolve() if name else page
        target = target if target.exists() else target.with_name(f"{target.name}.md")  # as cards name pages
        assert target.exists(), f"{page.name} links to {link}"
        assert not anchor or anchor in anchors_of(target), f"{page.name} links to {link}: {sorted(anchors_of(target))}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_of_included_texts_lead_from_the_page(page):
    """Sphinx follows them from the page that includes, unless `relative-docs` says how they begin."""
    text = page.read_text(encoding="utf-8")
    for name, options in re.findall(r"^```\{include\} (\S+)\n((?::.*\n)*)", text, re.MULTILINE):
        included = page.parent / name
        begin = re.search(r"^:relative-docs: (\S+)$", options, re.MULTILINE)
        links = r"(?<!!)\[[^\]]*\]\((?!https?:|mailto:|#)([^)\s]+)\)"
        for link in re.findall(links, included.read_text(encoding="utf-8")):
            assert link.startswith(begin[1] if begin else "a page"), f"{page.name} includes {name}, with {link}"
            target, _, anchor = link.partition("#")
            assert not anchor or anchor in anchors_of((included.parent / target).resolve()), f"{name} links to {link}"


READMES = [*(ROOT / "src").rglob("README.md"), ROOT / "README.md"]


@pytest.mark.parametrize("page", [*PAGES, *READMES], ids=lambda page: f"{page.parent.name}/{page.name}")
def test_no_expectation_value_is_taken_for_markup(page):
    text = re.sub(
        r"^```.*?^```|``[^`]+``|`[^`]+`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )
    assert re.findall(r"<[A-Z]\w*>", text) == [], f"{page.name}: write ⟨Z⟩, since pages do not show <Z>"


def test_every_page_is_in_a_table_of_contents():
    index = (ROOT / "docs" / "index.md").read_text()
    for page in (ROOT / "docs").glob("*.md"):
        assert page.stem == "index" or re.search(rf"^{page.stem}$", index, re.MULTILINE), page.name
