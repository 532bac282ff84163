"""Where CUDA's libraries are looked for, and the compiler: a stand-in, and NVRTC itself where it is installed."""

import ctypes
import re
from pathlib import Path

import pytest

from cuda_fakes import fake, needs_compiler
from qiskit_torch_module._cuda import libraries
from qiskit_torch_module._cuda import nvrtc as room
from qiskit_torch_module._cuda.libraries import MissingLibraryError, candidates, majors, nvrtc_names, opened
from qiskit_torch_module._cuda.nvrtc import CompilationError, Nvrtc, Source, nvrtc

KERNEL = Source(
    '#include "sizes.cuh"\nextern "C" __global__ void qtm_one(const Sizes sizes) { sizes.numbers[threadIdx.x] = QTM_REAL(1); }',
    {"sizes.cuh": "struct Sizes { QTM_REAL* numbers; };"},
    "one.cuh",
)


@pytest.fixture(autouse=True)
def forgotten():
    nvrtc.cache_clear()
    yield
    nvrtc.cache_clear()


@pytest.fixture(scope="module")
def real():
    """NVRTC of a package or of PyTorch."""
    nvrtc.cache_clear()
    try:
        return nvrtc()
    except MissingLibraryError as error:
        pytest.skip(str(error))


@pytest.fixture
def stand_in(monkeypatch):
    monkeypatch.setenv("QTM_NVRTC", str(fake("nvrtc")))
    return nvrtc


@pytest.mark.parametrize(
    ("of_pytorch", "expected"),
    [(None, [13, 12, 11]), ("12.8", [12, 13, 11]), ("13.0", [13, 12, 11]), ("14.1", [14, 13, 12, 11])],
)
def test_the_version_of_pytorch_comes_first(of_pytorch, expected):
    assert majors(of_pytorch) == expected


@pytest.mark.parametrize(
    ("major", "windows", "name"),
    [
        (11, False, "libnvrtc.so.11.2"),
        (12, False, "libnvrtc.so.12"),
        (13, False, "libnvrtc.so.13"),
        (11, True, "nvrtc64_112_0.dll"),
        (12, True, "nvrtc64_120_0.dll"),
        (13, True, "nvrtc64_130_0.dll"),
    ],
)
def test_names(major, windows, name):
    assert nvrtc_names(major, windows) == (name,)


@pytest.mark.parametrize(
    "place",
    [
        "nvidia/cuda_nvrtc/lib",
        "nvidia/cu13/lib",
        "nvidia/cu12/bin",
        "nvidia/cu13/bin/x86_64",
        "torch/lib",
        "toolkit/lib64",
    ],
)
def test_folders_that_are_searched(place, tmp_path, monkeypatch):
    (tmp_path / place).mkdir(parents=True)
    monkeypatch.setattr(
        libraries, "_package", lambda name: [str(tmp_path / name)] if (tmp_path / name).is_dir() else []
    )
    monkeypatch.setenv("CUDA_HOME", str(tmp_path / "toolkit"))
    monkeypatch.delenv("CUDA_PATH", raising=False)
    assert tmp_path / place in libraries.folders()


def test_files_come_before_names_that_the_system_looks_up(tmp_path):
    (tmp_path / "b.so").touch()
    assert list(candidates(["a.so", "b.so"], [tmp_path])) == [str(tmp_path / "b.so"), "a.so", "b.so"]


def test_what_was_tried_is_said(tmp_path):
    (tmp_path / "broken.so").write_bytes(b"no library")
    with pytest.raises(MissingLibraryError, match=r"^it: expected one of .*broken\.so.*missing\.so.*; do that$"):
        opened(candidates(["broken.so", "missing.so"], [tmp_path]), "it", "do that")


def test_a_variable_names_the_library(tmp_path, monkeypatch):
    monkeypatch.setenv("QTM_NVRTC", str(tmp_path / "none.so"))
    with pytest.raises(MissingLibraryError, match="as QTM_NVRTC says.*none.so.*or unset it"):
        nvrtc()


@needs_compiler
def test_the_stand_in_gives_back_what_it_was_given(stand_in):
    compiler = stand_in()
    assert (compiler.path, compiler.version) == (str(fake("nvrtc")), (12, 8))
    assert compiler.architectures == (75, 80, 86, 90)
    made = compiler.compile(KERNEL, 90, ["-DQTM_REAL=float"])
    assert made.cubin.decode() == (
        f"one.cuh: {KERNEL.text} [sizes.cuh: {KERNEL.headers['sizes.cuh']}] --gpu-architecture=sm_90 -DQTM_REAL=float"
    )
    assert made.log == "2 options"


@needs_compiler
@pytest.mark.parametrize(
    ("capability", "architecture"), [((7, 5), 75), ((8, 0), 80), ((8, 6), 86), ((8, 9), 86), ((9, 0), 90)]
)
def test_the_nearest_architecture_that_a_card_runs(stand_in, capability, architecture):
    assert stand_in().architecture_for(capability) == architecture


@needs_compiler
@pytest.mark.parametrize("capability", [(7, 0), (10, 0), (12, 0)])
def test_cards_that_it_does_not_know(stand_in, capability):
    with pytest.raises(
        CompilationError, match=rf"compute capability {capability[0]}\.0, got version 12\.8 .*7\.5 to 9\.0"
    ):
        stand_in().architecture_for(capability)


@needs_compiler
@pytest.mark.parametrize("call", ["nvrtcVersion", "nvrtcCreateProgram", "nvrtcCompileProgram", "nvrtcGetCUBINSize"])
def test_every_failure_has_its_name(stand_in, monkeypatch, call):
    monkeypatch.setenv("FAKE_NVRTC_FAILS", call)
    with pytest.raises(CompilationError, match=r"NVRTC.*\(NVRTC_ERROR_OUT_OF_MEMORY\)"):
        stand_in().compile(KERNEL, 80)


@needs_compiler
def test_the_log_says_what_does_not_compile(stand_in):
    with pytest.raises(
        CompilationError, match=r"^NVRTC: x\.cu does not compile for sm_80 \(NVRTC_ERROR_COMPILATION\): 1 options$"
    ):
        stand_in().compile(Source("#error", {}, "x.cu"), 80)


@needs_compiler
def test_a_library_that_is_too_old():
    with pytest.raises(MissingLibraryError, match="expected that of CUDA 11.2 or newer.*nvrtc.*update it"):
        Nvrtc(ctypes.CDLL(str(fake("driver"))), "here")


@pytest.mark.parametrize("architecture", [80, 90, 100, 120])
@pytest.mark.parametrize("number", ["float", "double"])
def test_nvrtc_compiles_without_a_gpu(real, architecture, number):
    made = real.compile(KERNEL, architecture, [f"-DQTM_REAL={number}", "--std=c++20", "--ptxas-options=-v"])
    assert made.cubin.startswith(b"\x7fELF")
    assert b"qtm_one" in made.cubin
    assert re.search(r"Used \d+ registers", made.log)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("no code", [], r"NVRTC_ERROR_COMPILATION.*one\.cuh\(1\): error"),
        ('#include "nowhere.cuh"', [], r"NVRTC_ERROR_COMPILATION.*nowhere\.cuh"),
        ("", ["--no-such-option"], "NVRTC_ERROR_INVALID_OPTION.*no-such-option"),
    ],
)
def test_nvrtc_says_what_is_wrong(real, text, options, message):
    with pytest.raises(CompilationError, match=f"(?s){message}"):
        real.compile(Source(text, {}, "one.cuh"), 80, options)


def test_nvrtc_is_one_of_a_file_or_of_the_system(real):
    assert Path(real.path).name in {name for major in majors(None) for name in nvrtc_names(major)}
    assert room.VARIABLE == "QTM_NVRTC"
