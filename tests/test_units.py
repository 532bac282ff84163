"""The unit tests of the engine, built and run; its headers, each of which stands alone; and mutants of its checks."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from conftest import NIGHTLY

TESTS = Path(__file__).parent / "engine"
ENGINE = TESTS.parent.parent / "src" / "engine"
COMPILER = os.environ.get("CXX") or next((name for name in ("c++", "g++", "clang++") if shutil.which(name)), None)

pytestmark = pytest.mark.skipif(COMPILER is None, reason="needs a C++ compiler")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    if shutil.which("cmake") is None:
        pytest.skip("needs CMake")
    folder = tmp_path_factory.mktemp("units")
    for command in (
        ["cmake", "-S", TESTS, "-B", folder, f"-DCMAKE_CXX_COMPILER={COMPILER}"],
        ["cmake", "--build", folder, "--parallel", "2"],
    ):
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.parametrize("name", sorted(path.stem for path in TESTS.glob("test_*.cpp")))
def test_unit(built, name):
    done = subprocess.run([built / name], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def schema(tmp_path_factory):
    """The folder of the header that the build makes."""
    folder = tmp_path_factory.mktemp("schema")
    source = ENGINE.parent / "qiskit_torch_module" / "_core" / "schema.py"
    subprocess.run([sys.executable, ENGINE / "make_schema.py", source, folder / "schema.hpp"], check=True)
    return folder


# Kernel bodies build on one another, in a namespace that one file opens for all of them, or for some.
BODIES = {
    name
    for path in (ENGINE / "isa").glob("*.hpp")
    for name in re.findall(r'"\.\./(.+)"', path.read_text().partition("clang-format off")[2])
}
HEADERS = sorted(path.relative_to(ENGINE).as_posix() for path in ENGINE.rglob("*.hpp") if path.name not in BODIES)


def test_every_header_stands_alone(schema):
    nanobind = pytest.importorskip("nanobind")
    folders = [schema, ENGINE, sysconfig.get_paths()["include"], nanobind.include_dir()]
    flags = ["-std=c++20", "-fsyntax-only", *(f"-I{folder}" for folder in folders), "-x", "c++", "-"]

    def fault(name):
        done = subprocess.run([COMPILER, *flags], input=f'#include "{name}"\n', capture_output=True, text=True)
        return name if done.returncode else None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        assert not [name for name in pool.map(fault, HEADERS) if name]


# Comparisons and conditions of what checks arrays, one by one turned into another.
CHANGES = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==", "&&": "||", "||": "&&"}
CHECKS = {
    "checks.cpp": (),
    "require.hpp": (),
    "steps.cpp": ("void Steps::check_sizes", "// Flips of the qubits reach"),
    # What is read of halves that stay apart is made by the compiler in `test_unjoined.py`.
    "plan.cpp": ("void Plan::check_halves", "void Plan::check_words"),
}


def mutants():
    for name, marks in CHECKS.items():
        text = (ENGINE / name).read_text()
        begin, end = map(text.index, marks) if marks else (text.index("namespace qtm"), len(text))
        for found in re.finditer(r" (<|<=|>|>=|==|!=|&&|\|\|) ", text[begin:end]):
            line = text.rfind("\n", 0, begin + found.start()) + 1
            if any(mark in text[line : begin + found.start()] for mark in ("for (", "//")):
                continue
            at = begin + found.start(1)
            mutant = text[:at] + CHANGES[found[1]] + text[at + len(found[1]) :]
            yield pytest.param(name, mutant, id=f"{name}:{text[:at].count(chr(10)) + 1}:{at - line}")


CHECKED_WITH = ("plan", "checks", "sweeps", "phases", "energies", "steps")


def compiled(source, target, *folders):
    command = [COMPILER, "-std=c++20", "-O0", "-c", *(f"-I{folder}" for folder in folders), source, "-o", target]
    subprocess.run(command, check=True)
    return target


@pytest.fixture(scope="module")
def objects(schema, tmp_path_factory):
    """What the checks are tested with, compiled."""
    folder = tmp_path_factory.mktemp("objects")
    sources = {name: ENGINE / f"{name}.cpp" for name in CHECKED_WITH} | {"test": TESTS / "test_checks.cpp"}
    return {name: compiled(source, folder / f"{name}.o", schema, ENGINE) for name, source in sources.items()}


@pytest.mark.skipif(not NIGHTLY, reason="takes minutes")
@pytest.mark.parametrize(("name", "mutant"), list(mutants()))
def test_no_mutant_of_a_check_survives(name, mutant, schema, objects, tmp_path):
    folder = tmp_path / "engine"
    shutil.copytree(ENGINE, folder)
    (folder / name).write_text(mutant)
    stem = name.partition(".")[0]
    changed = [stem] if stem in CHECKED_WITH else ["plan", "checks", "steps"]  # a header
    made = {one: compiled(folder / f"{one}.cpp", tmp_path / f"{one}.o", schema, folder) for one in changed}
    subprocess.run([COMPILER, *(objects | made).values(), "-o", tmp_path / "checks"], check=True)
    assert subprocess.run([tmp_path / "checks"], capture_output=True).returncode != 0
