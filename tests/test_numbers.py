"""Every number that was measured is printed as its file of results has it, wherever it is printed."""

import importlib.util
import json
import re
import sys
from pathlib import Path

import pytest

from qiskit_torch_module.reproduce.runners.workload import Spec
from qiskit_torch_module.reproduce.systems import median

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"

pytestmark = pytest.mark.skipif(not RESULTS.is_dir(), reason="not in the repository")


@pytest.fixture(scope="module")
def make():
    pytest.importorskip("rich")
    spec = importlib.util.spec_from_file_location("make_tables", ROOT / "docs" / "make_tables.py")
    module = importlib.util.module_from_spec(spec)
    before = list(sys.path)
    spec.loader.exec_module(module)
    yield module
    sys.path[:] = before


def test_pages_show_what_the_results_say(make):
    assert make.stale() == [], "python docs/make_tables.py"


def test_tables_are_made_from_the_files_of_results(make, tmp_path):
    for path in RESULTS.glob("*.json"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    for path in make.tables(tmp_path, draws=False):
        assert (RESULTS / path.name).read_text() == path.read_text(), f"{path.name}: python docs/make_tables.py"


@pytest.mark.parametrize(
    "name", ["fig1 nowhere", "nothing step", "fig1 points furlongs", "step 5", "kernels rows/99", "ides"]
)
def test_a_name_that_names_nothing_is_refused(make, name):
    with pytest.raises(ValueError, match=f"<!--={name}--> names no number"):
        make.numbers.text_of(name)


def test_derived_numbers_are_not_called_like_files(make):
    assert not {path.stem for path in RESULTS.glob("*.json")} & set(make.derived.DERIVED)


def test_numbers_are_filled_in(make):
    name, shown = "kernels rows/0/samples whole", make.numbers.text_of("kernels rows/0/samples whole")
    assert make.numbers.filled(f"of <!--={name}-->1<!--/--> samples") == f"of <!--={name}-->{shown}<!--/--> samples"
    assert make.numbers.filled(f"<!--={name}-->\n\n<!--/-->") == f"<!--={name}-->\n\n{shown}\n\n<!--/-->"


def test_no_line_begins_with_a_number_that_is_included(make):
    for path in make.pages():
        for line in path.read_text(encoding="utf-8").splitlines():
            assert not re.match(r"<!--=.*?-->.", line), f"{path.name}: Markdown takes this line for HTML: {line[:60]}"


def test_the_same_work_of_the_same_system_has_one_time():
    found = {}
    for path in sorted(RESULTS.glob("*.json")):
        results = json.loads(path.read_text())
        for key, point in (results.get("points") or {}).items() if "fig" in path.name else ():
            if "spec" in point and "step" in point:
                work = json.dumps({**Spec(0).work, **{k: v for k, v in point["spec"].items() if k in Spec(0).work}})
                name = (results["machine"]["processor"], point["system"], point["batch"], work)
                time = median(point, "step")
                assert found.setdefault(name, time) == time, f"{path.name}: {key} was measured twice"


# Pages whose measured numbers all come from files of results.
CHECKED = (
    "README.md",
    "docs/index.md",
    "docs/results.md",
    "docs/reproduce.md",
    "docs/performance.md",
    "docs/kernels.md",
    "docs/gradients.md",
    "docs/from_qiskit_machine_learning.md",
    "docs/pytorch.md",
    "docs/shots.md",
    "docs/hardware.md",
    "docs/gates.md",
    "docs/geometry.md",
    "docs/optimisers.md",
    "docs/outputs.md",
    "docs/outputs_at_work.md",
    "docs/analysis.md",
    "docs/limits.md",
    "docs/what_it_brings.md",
)
_MEASURED = re.compile(
    r"(?:~|about )?\d[\d,.]*(?:\s(?:ms|µs|us|s|seconds|minutes|hours|times (?:as|faster|slower))\b|×)"
)


def prose(make, path):
    """A page without what is included and without code."""
    text = make.numbers.without_numbers(path.read_text(encoding="utf-8"))
    return re.sub(r"```.*?```|^    .*?$|`[^`\n]*`", "", text, flags=re.DOTALL | re.MULTILINE)


# Numbers that no file of results has: limits that the code, or PyTorch, keeps to.
TOLD = {
    "docs/performance.md": {"2 ms", "10 ms"},
}


@pytest.mark.parametrize("page", CHECKED)
def test_measured_numbers_are_included_by_name(make, page):
    found = set(_MEASURED.findall(prose(make, ROOT / page))) - TOLD.get(page, set())
    assert not found, f"include them by name (CONTRIBUTING.md, 'Numbers on pages'): {sorted(found)}"


def test_what_the_pages_claim_in_words_is_so(make):
    numbers = make.derived
    two = numbers.digits.totals(numbers.results("tab2")["points"])
    hours = two["qiskit-machine-learning, reverse"] / 3600
    assert hours > 2, "README: what took hours"
    assert next(iter(two.values())) < 60, "README: takes seconds"
    ours = numbers._figure("fig1")["qiskit-torch-module"]
    assert max(point["step"]["first"] for point in ours.values()) < 300, "README: milliseconds before the first step"
    engine = next(iter(numbers.results("kernel")["sets"].values()))[0]
    assert engine["qubits"] == 4
    assert 2 * engine["gradient_ms"] < median(ours[4], "step"), "README: at 4 qubits most of the time is PyTorch's own"
    row, third = numbers.results("derivatives")["rows"][0], "f''' in a loss"
    assert row["plain"][third]["steps"] < row["native"][third]["steps"], "gradients: plain PyTorch is the faster one"


@pytest.mark.parametrize(
    ("busy", "said"),
    [
        ([2.0, 1.0], "All 2 rows meet both."),
        ([2.6, 1.0], "Of 2 rows, none miss the first, to one thread, and 1 misses the second, to the quiet machine."),
        ([3.1, 3.2], "Of 2 rows, 2 miss the first, to one thread, and 2 miss the second, to the quiet machine."),
    ],
)
def test_a_busy_machine_says_how_many_rows_miss_what_is_wanted(make, busy, said):
    cases = [{"quiet": {"default": 1.0}, "busy": {"default": time, "one": 2.5}} for time in busy]
    assert make.ledger()["busy"]._missed(cases).startswith(said)
