"""Libraries in place of CUDA's, for machines without a GPU: what they are called with can be looked at."""

import ctypes
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

SOURCES = Path(__file__).parent / "cuda"
COMPILER = os.environ.get("CC") or next((name for name in ("cc", "gcc", "clang") if shutil.which(name)), None)

needs_compiler = pytest.mark.skipif(
    COMPILER is None or sys.platform != "linux", reason="needs a C compiler, and libraries as Linux has them"
)


@functools.cache
def folder():
    made = tempfile.TemporaryDirectory(prefix="qtm-fakes-")
    return made  # kept, so that it is removed when the process ends


@functools.cache
def fake(name):
    """The path of a library."""
    path = Path(folder().name, f"{name}.so")
    command = [COMPILER, "-shared", "-fPIC", "-O1", SOURCES / f"{name}.c", "-o", path]
    subprocess.run(command, check=True)
    return path


class FakeDriver:
    """The library in place of libcuda, and what it was called with."""

    def __init__(self):
        self.library = ctypes.CDLL(str(fake("driver")))
        self.library.fake_calls.restype = ctypes.c_char_p
        self.library.fake_argument.restype = ctypes.POINTER(ctypes.c_ubyte)
        self.library.fake_reset.argtypes = [ctypes.c_size_t]
        self.reset()

    def reset(self, size=8):
        self.size = size
        self.library.fake_reset(size)

    def fail(self, name, number=2):
        self.library.fake_fail(name.encode(), number)

    @property
    def calls(self):
        return self.library.fake_calls().decode().splitlines()

    @property
    def argument(self):
        """What the last kernel was launched with."""
        return bytes(self.library.fake_argument()[: self.size])
