"""The unit tests of the engine, built and run."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

TESTS = Path(__file__).parent / "engine"
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
