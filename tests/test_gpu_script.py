"""The program for a GPU that is lent runs in full without one."""

import json
import sys
from pathlib import Path

import pytest
import torch
from rich.console import Console

from cuda_twin import COMPILER

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    before = set(sys.modules)
    import gpu

    yield gpu
    for name in set(sys.modules) - before:  # its neighbours have common names
        if str(BENCHMARKS) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.mark.skipif(COMPILER is None, reason="needs a C++ compiler")
def test_all_of_it_on_the_twin(script, tmp_path):
    paths = script.write(tmp_path, Console(quiet=True), quick=False, twin=True)
    assert [path.name for path in paths] == ["gpu-twin.json", "gpu-twin.md"]
    found = json.loads(paths[0].read_text())
    assert len(found["parity"]) >= 10
    assert all(row["holds"] for row in (*found["parity"], *found["citizen"]))
    # Of the largest circuit, halves pay in float64.
    assert "a sum of 4 products" in found["parity"][-1]["kernels"]
    assert all("no halves" in row["kernels"] for row in found["parity"][:-1])
    for row in found["times"]:
        assert {script.KERNELS, script.CPU} <= set(row["milliseconds"])
        assert all(isinstance(time, float) for time in row["milliseconds"].values())
    assert set(found["sanitizer"]) == {"memcheck", "racecheck", "synccheck"}
    page = paths[1].read_text()
    assert "12 of 12 hold" in page
    assert "times have no meaning" in page


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_is_left_out(script, tmp_path):
    assert script.write(tmp_path, Console(quiet=True), quick=True) == []


def test_what_does_not_hold_is_seen(script):
    rows = [
        {"what": "one", "dtype": "float32", "apart": 1e-7, "holds": True},
        {"what": "two", "dtype": "float32", "apart": 0.5, "holds": False},
        {"what": "three", "holds": False, "error": "ValueError: no"},
    ]
    text = "\n".join(script._checks("Title", rows))
    assert "1 of 3 hold; float32 5.0e-01 apart at most." in text
    assert "**two** float32: 0.5" in text
    assert "**three** : ValueError: no" in text


@pytest.mark.parametrize(
    ("found", "expected", "apart"),
    [([1.0, 2.0], [1.0, 2.5], 0.2), ([0.1], [0.2], 0.1), ([float("nan")], [0.0], float("inf")), ([], [], 0.0)],
)
def test_distances(script, found, expected, apart):
    checks = script.gpu_checks
    assert checks.distance([torch.tensor(found)], [torch.tensor(expected)]) == pytest.approx(apart)


def test_a_step_that_fails_says_why(script):
    def made():
        raise RuntimeError("no memory")

    where = script.Where(None, "cpu", (), ())
    assert script._median(made, where, 0.0) == "RuntimeError: no memory"
