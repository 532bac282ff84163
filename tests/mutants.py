"""Mutants: changes a comparison or a whole number in a validator or the planner, and asks whether a test notices.

    python tests/mutants.py --sample 60

prints those that no test noticed, and fails where too many of them are in validators: there, what survives is a limit
without a test. In the planner, half of them make no difference: a block of another size, or a layer that is not
absorbed, gives the same results; they are to be read. Mutation
frameworks for Python start the tests anew for each mutant or leave limits in tables alone, and none sees C++.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
ENGINE, PACKAGE = Path("src/engine"), Path("src/qiskit_torch_module")

# What is checked before anything runs, and what is derived from it; each with the tests that watch it.
UNITS = ("test_checks", "test_sweeps")
CHECKS = [ENGINE / name for name in ("require.hpp", "checks.cpp")]
ENGINE_TESTS = ("test_dense.py", "test_halves.py", "test_unjoined.py", "test_engine.py")
PLANNER = [ENGINE / name for name in ("plan.cpp", "sweeps.cpp", "phases.cpp", "steps.cpp")]
TEXT_TESTS = ("test_portable.py",)
TEXTS = [
    PACKAGE / "_storage" / name
    for name in ("fields.py", "formulas.py", "kinds.py", "portable.py", "records.py", "soundness.py")
]

SECONDS = 600  # a mutant that takes longer never ends; the first build of the engine takes minutes

_SILENT = {
    ".py": re.compile(r'"""[\s\S]*?"""|#[^\n]*|"(?:\\.|[^"\\\n])*"'),
    ".cpp": re.compile(r"//[^\n]*|#include[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])'"),
}
_SILENT[".hpp"] = _SILENT[".cpp"]
# The formatters put spaces around comparisons, and none around the brackets of templates.
_CHANGED = re.compile(r"(?<= )(?:[<>]=?|[=!]=)(?= )|(?<![\w.])\d+(?![\w.])")
_OTHER = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "=="}


@dataclass(frozen=True)
class Mutant:
    """One change in one file."""

    path: Path
    begin: int
    end: int
    text: str

    def apply(self, source: str) -> str:
        return source[: self.begin] + self.text + source[self.end :]

    def shown(self, source: str) -> str:
        number = source.count("\n", 0, self.begin) + 1
        line = source.splitlines()[number - 1].strip()
        return f"{self.path}:{number}: {source[self.begin : self.end]} -> {self.text}   {line}"


def mutants_of(path: Path, source: str) -> Iterator[Mutant]:
    """Every comparison with its limit on the other side, every whole number one larger."""
    code = _SILENT[path.suffix].sub(lambda found: re.sub(r"[^\n]", " ", found[0]), source)
    for found in _CHANGED.finditer(code):
        text = _OTHER.get(found[0]) or str(int(found[0]) + 1)
        yield Mutant(path, *found.span(), text)


def passes(command: list[str], folder: Path, **environment: str) -> bool:
    """Whether a command comes to a good end, in time."""
    try:
        done = subprocess.run(
            command, cwd=folder, env={**os.environ, **environment}, capture_output=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


class Copy:
    """A copy of the sources, in which mutants live and are judged: first by what answers soonest."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("src", "tests"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("_engine*", "__pycache__"))
        for name in ("CMakeLists.txt", "pyproject.toml"):
            shutil.copy(ROOT / name, folder)
        installed = importlib.util.find_spec("qiskit_torch_module")
        if installed is None or installed.origin is None:
            raise SystemExit("qiskit_torch_module is not installed: its engine serves the tests of what is not C++")
        for module in Path(installed.origin).parent.glob("_engine*"):
            shutil.copy(module, folder / PACKAGE)

    def notices(self, path: Path) -> bool:
        """Whether a test fails that watches a file."""
        if path in TEXTS:
            return not self.pytest(TEXT_TESTS)
        if not self.built(self.folder / "tests" / "engine", "units", UNITS):
            return True
        if not all(passes([str(self.folder / "units" / name)], self.folder) for name in UNITS):
            return True
        return path in PLANNER and not self.engine_passes()

    def engine_passes(self) -> bool:
        """Whether the tests of the whole engine pass, built for one instruction set."""
        import nanobind

        options = ["-DQTM_INSTRUCTION_SETS=baseline", f"-Dnanobind_DIR={nanobind.cmake_dir()}"]
        if not self.built(self.folder, "build", ("_engine",), *options, f"-DPython_EXECUTABLE={sys.executable}"):
            return False
        for module in (self.folder / "build").glob("_engine*.so"):
            shutil.copy(module, self.folder / PACKAGE)
        return self.pytest(ENGINE_TESTS)

    def built(self, sources: Path, build: str, targets: tuple[str, ...], *options: str) -> bool:
        """Whether it compiles; without optimisation, and indices out of range end the program."""
        folder = self.folder / build
        if not (folder / "build.ninja").exists():
            flags = ["-DCMAKE_BUILD_TYPE=None", "-DCMAKE_CXX_FLAGS=-D_GLIBCXX_ASSERTIONS"]
            command = ["cmake", "-S", str(sources), "-B", str(folder), "-G", "Ninja", *flags, *options]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return passes(["ninja", "-C", str(folder), *targets], self.folder)

    def pytest(self, tests: tuple[str, ...]) -> bool:
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *(f"tests/{t}" for t in tests)]
        return passes(command, self.folder, PYTHONPATH=str(self.folder / "src"), PYTHONDONTWRITEBYTECODE="1")

    def survives(self, mutant: Mutant) -> bool:
        """Whether no test notices it."""
        path = self.folder / mutant.path
        source = path.read_text()
        path.write_text(mutant.apply(source))
        try:
            return not self.notices(mutant.path)
        finally:
            path.write_text(source)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sample", type=int, default=60, help="how many mutants (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=int(time.time()) // 86400, help="which ones; a new day, others")
    parser.add_argument("--minutes", type=float, default=12, help="no mutant begins later (default: %(default)s)")
    parser.add_argument(
        "--survivors",
        type=float,
        default=0.3,
        help="the largest share in validators, beside two (default: %(default)s)",
    )
    parser.add_argument("files", nargs="*", type=Path, help="only these")
    options = parser.parse_args()

    sources = {path: (ROOT / path).read_text() for path in options.files or CHECKS + PLANNER + TEXTS}
    mutants = [mutant for path, source in sources.items() for mutant in mutants_of(path, source)]
    sample = random.Random(options.seed).sample(mutants, min(options.sample, len(mutants)))
    survivors: list[Mutant] = []
    tried: list[Mutant] = []
    end = time.monotonic() + 60 * options.minutes
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy = Copy(Path(folder))
        for path in {mutant.path for mutant in sample}:
            if copy.notices(path):
                raise SystemExit(f"the tests of {path} fail without any mutant: run them first")
        for mutant in sample:
            if time.monotonic() > end:
                break
            tried.append(mutant)
            if copy.survives(mutant):
                survivors.append(mutant)
                print(mutant.shown(sources[mutant.path]), flush=True)
    print(f"{len(survivors)} of {len(tried)} mutants survived ({len(mutants)} in all, seed {options.seed})")
    judged, lived = (sum(mutant.path not in PLANNER for mutant in some) for some in (tried, survivors))
    print(f"in validators {lived} of {judged}")
    return int(lived > 2 + options.survivors * judged)


if __name__ == "__main__":
    sys.exit(main())
