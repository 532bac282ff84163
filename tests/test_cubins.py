"""Compiled kernels on the disk: compiled once, by whichever process, and never damaged ones."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from cuda_fakes import fake, needs_compiler
from qiskit_torch_module._cuda import cubins
from qiskit_torch_module._cuda.cubins import cubin, folder
from qiskit_torch_module._cuda.nvrtc import CompilationError, Source, nvrtc

SOURCE = Source("one kernel", {"a": "one header"})
pytestmark = needs_compiler


@pytest.fixture
def count(tmp_path, monkeypatch):
    """How often the stand-in for NVRTC has compiled."""
    counts = tmp_path / "counts"
    monkeypatch.setenv("QTM_NVRTC", str(fake("nvrtc")))
    monkeypatch.setenv("QTM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FAKE_NVRTC_COUNTS", str(counts))
    nvrtc.cache_clear()
    yield lambda: len(counts.read_text()) if counts.exists() else 0
    nvrtc.cache_clear()


def made(source=SOURCE, architecture=80, options=("-DA=1",)):
    return cubin(nvrtc(), source, architecture, options)


def kept():
    return sorted(Path(os.environ["QTM_CACHE"]).iterdir())


def test_compiled_once(count):
    assert made() == made() == b"kernels.cu: one kernel [a: one header] --gpu-architecture=sm_80 -DA=1"
    assert count() == 1
    assert len(kept()) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"source": Source("another kernel", SOURCE.headers)},
        {"source": Source(SOURCE.text, {"a": "another header"})},
        {"source": Source(SOURCE.text, {"b": "one header"})},
        {"architecture": 90},
        {"options": ("-DA=2",)},
        {"options": ("-DA=1", "-DB")},
        {"options": ()},
    ],
)
def test_whatever_differs_is_compiled_by_itself(count, other):
    first = made()
    assert made(**other) != first
    assert count() == 2
    assert made() == first
    assert count() == 2


def test_another_version_of_nvrtc_compiles_again(count, monkeypatch):
    made()
    monkeypatch.setattr(nvrtc(), "version", (13, 0))
    made()
    assert count() == 2


def damaged(content):
    yield b""
    yield content[:-1]
    yield content + b"x"
    yield content[:20] + bytes([content[20] ^ 1]) + content[21:]
    yield content[:-1] + bytes([content[-1] ^ 128])
    yield b"x" + content[1:]
    yield content.replace(b"cubin 1", b"cubin 2")
    yield bytes(len(content))


@pytest.mark.parametrize("which", range(8))
def test_what_is_damaged_is_compiled_again(count, which):
    whole = made()
    [path] = kept()
    content = path.read_bytes()
    path.write_bytes(list(damaged(content))[which])
    assert made() == whole
    assert count() == 2
    assert path.read_bytes() == content  # mended
    assert made() == whole
    assert count() == 2


def test_a_folder_in_its_place_is_no_reason_to_fail(count):
    whole = made()
    [path] = kept()
    path.unlink()
    path.mkdir()
    with pytest.warns(RuntimeWarning, match="compiled kernels are not kept.*QTM_CACHE"):
        assert made() == whole


def test_a_folder_that_cannot_be_written(count, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("QTM_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.warns(RuntimeWarning, match="each process compiles its own.*'off'"):
        assert made() == made()
    assert count() == 2


def test_nothing_is_kept_when_it_is_off(count, monkeypatch):
    monkeypatch.setenv("QTM_CACHE", "off")
    assert made() == made()
    assert count() == 2


def test_what_does_not_compile_is_not_kept(count):
    for _ in range(2):
        with pytest.raises(CompilationError):
            made(Source("#error", {}))
    assert count() == 2
    assert not Path(os.environ["QTM_CACHE"]).exists()


@pytest.mark.parametrize(
    ("system", "variables", "expected"),
    [
        ("linux", {}, "home/.cache/qiskit-torch-module"),
        ("linux", {"XDG_CACHE_HOME": "xdg"}, "xdg/qiskit-torch-module"),
        ("linux", {"XDG_CACHE_HOME": "xdg", "QTM_CACHE": "own"}, "own"),
        ("linux", {"LOCALAPPDATA": "local"}, "home/.cache/qiskit-torch-module"),
        ("win32", {"LOCALAPPDATA": "local"}, "local/qiskit-torch-module"),
        ("win32", {}, "home/.cache/qiskit-torch-module"),
    ],
)
def test_where_they_are_kept(monkeypatch, system, variables, expected):
    for name in ("QTM_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(cubins.sys, "platform", system)
    monkeypatch.setattr(Path, "home", lambda: Path("home"))
    assert folder() == Path(expected)


def test_a_user_without_a_home_has_no_cache(monkeypatch):
    def home():
        raise RuntimeError("no home")

    monkeypatch.delenv("QTM_CACHE", raising=False)
    monkeypatch.setattr(Path, "home", home)
    assert folder() is None


def test_the_umask_decides_who_reads_them(count):
    made()
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(kept()[0].stat().st_mode) == 0o666 & ~mask


# Without PyTorch, which takes seconds to load: of the compiler only the version is asked for here.
PROCESS = """
import sys, types
torch = types.ModuleType("torch"); torch.version = types.SimpleNamespace(cuda=None); sys.modules["torch"] = torch
package = types.ModuleType("qiskit_torch_module"); package.__path__ = [sys.argv[1]]
sys.modules["qiskit_torch_module"] = package
from qiskit_torch_module._cuda.cubins import cubin
from qiskit_torch_module._cuda.nvrtc import Source, nvrtc
sys.stdin.read(1)  # until all are ready
for turn in range(20):
    source = Source("kernel %d" % turn, {})
    assert cubin(nvrtc(), source, 80, []) == b"kernels.cu: kernel %d --gpu-architecture=sm_80" % turn
"""


def test_many_processes_share_them(count):
    package = Path(cubins.__file__).parent.parent
    command = [sys.executable, "-c", PROCESS, package]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(6)]
    for process in processes:
        process.stdin.write(b"x")
        process.stdin.flush()
    for process in processes:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors.decode()
    assert len(kept()) == 20
    assert 20 <= count() <= 120
