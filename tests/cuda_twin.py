"""The kernels for GPUs on the CPU: built by a C++ compiler, the threads of a block run one after the other."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np

from qiskit_torch_module._cuda.launches import Launch, Plan, Pointers
from qiskit_torch_module._cuda.sources import KERNELS, source

COMPILER = os.environ.get("CXX") or next((name for name in ("g++", "c++", "clang++") if shutil.which(name)), None)
if sys.platform == "win32":  # other flags, another way to load what they build
    COMPILER = None
FLAGS = ("-std=c++20", "-O1", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror")
# More of them, such as those of sanitizers.
FLAGS += tuple(os.environ.get("QTM_TWIN_FLAGS", "").split())

# Runs all blocks of a launch. Shared memory is of the size that was asked for, and NaN when a block begins.
_RUN = """
#include <algorithm>
#include <numeric>
extern "C" int qtm_run(const char* name, int blocks, int threads, long shared_bytes, const void* arguments, int backwards) {
    using Kernel = void (*)(const Arguments&, const Block&);
    const std::pair<const char*, Kernel> kernels[] = {KERNELS};
    for (const auto& [known, kernel] : kernels) {
        if (std::strcmp(known, name) != 0) continue;
        std::vector<int> order(static_cast<size_t>(threads));
        std::iota(order.begin(), order.end(), 0);
        if (backwards) std::reverse(order.begin(), order.end());
        for (int number = 0; number < blocks; ++number) {
            const int block = backwards ? blocks - 1 - number : number;
            char* shared = new char[static_cast<size_t>(shared_bytes)];
            std::memset(shared, 0xFF, static_cast<size_t>(shared_bytes));
            kernel(*static_cast<const Arguments*>(arguments), Block{block, threads, order, shared});
            delete[] shared;
        }
        return 0;
    }
    return 1;
}
extern "C" int qtm_size_of_arguments() { return sizeof(Arguments); }
"""


def text() -> str:
    """The kernels, and what runs them."""
    includes = "".join(f"#include <{name}>\n" for name in ("cmath", "cstddef", "cstring", "utility", "vector"))
    names = ", ".join(f'{{"qtm_{name}", qtm_{name}}}' for name in KERNELS)
    return includes + source() + _RUN.replace("KERNELS", names)


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="qtm-twin-")


# Where warps matter to the compiler of a GPU alone, or how many threads there are at most.
_OF_GPUS = ("QTM_WITHIN_WARP", "QTM_MOST_THREADS")


def _key(defines: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, value) for name, value in defines.items() if name not in _OF_GPUS))


def start_building(defines: Mapping[str, str]) -> None:
    """Begins to build what `library` waits for."""
    _build(_key(defines))


@cache
def _build(defines: tuple[tuple[str, str], ...]) -> tuple[Path, subprocess.Popen[bytes]]:
    return _start("-".join(value for _, value in defines), text(), defines)


def _start(stem: str, code: str, defines: Iterable[tuple[str, str]]) -> tuple[Path, subprocess.Popen[bytes]]:
    folder = Path(_folder().name)
    path, built = folder / f"{stem}.cpp", folder / f"{stem}.so"
    path.write_text(code)
    options = [f"-D{name}={value}" for name, value in (*defines, ("QTM_TWIN", "1"))]
    return built, subprocess.Popen([str(COMPILER), *FLAGS, *options, str(path), "-o", str(built)])


def _opened(built: Path, process: subprocess.Popen[bytes]) -> ctypes.CDLL:
    assert process.wait() == 0
    return ctypes.CDLL(str(built))


@cache
def _library(defines: tuple[tuple[str, str], ...]) -> ctypes.CDLL:
    return _opened(*_build(defines))


def mutants(defines: Mapping[str, str]) -> Iterator[ctypes.CDLL]:
    """Twins that each lack one barrier: a phase and the one right after it are one."""
    code = text()
    phases = [(found.start(), _end(code, found.end())) for found in re.finditer(r"QTM_(GROUP_)?PHASE \{", code)]
    for number, ((begin, end), (after, last)) in enumerate(pairwise(phases)):
        if code[end:after].isspace():
            first, second = (code[code.index("{", start) : stop] for start, stop in ((begin, end), (after, last)))
            mutant = f"{code[:begin]}QTM_PHASE {{ {first} {second} }}{code[last:]}"
            yield _opened(*_start(f"mutant-{number}", mutant, _key(defines)))


def _end(code: str, place: int) -> int:
    """Behind the brace that closes the one before a place."""
    depth = 1
    while depth:
        depth += {"{": 1, "}": -1}.get(code[place], 0)
        place += 1
    return place


def library(defines: Mapping[str, str]) -> ctypes.CDLL:
    """The kernels, with `qtm_run` and `qtm_size_of_arguments`."""
    return _library(_key(defines))


def launch(plan: Plan, launches: list[Launch], backwards: bool = False) -> None:
    """Runs launches one after the other; with ``backwards``, the last block comes first, and its last thread."""
    twin = library(plan.defines)
    for one in launches:
        assert one.threads % 32 == 0
        assert one.threads <= int(plan.defines["QTM_MOST_THREADS"])
        assert one.shared_bytes <= plan.card.shared_bytes_per_block
        assert len(one.arguments) == twin.qtm_size_of_arguments()
        failed = twin.qtm_run(
            one.kernel.encode(),
            one.blocks,
            one.threads,
            ctypes.c_long(one.shared_bytes),
            one.arguments,
            int(backwards),
        )
        assert not failed, one.kernel


class Twin:
    """Values and gradients of a plan in the memory of the CPU: what a runner does on a GPU."""

    def __init__(self, plan: Plan, backwards: bool = False) -> None:
        self.plan, self.backwards = plan, backwards
        self.dtype = np.float64 if plan.layout.is_double else np.float32
        self.flag = np.zeros(1, dtype=np.int32)
        # Whatever is in it: NaN.
        self._workspace = np.full(plan.workspace_bytes, 0xFF, dtype=np.uint8)
        self._tape = np.full(plan.tape_bytes, 0xFF, dtype=np.uint8)

    def _pointers(self, **arrays: np.ndarray) -> Pointers:
        arrays |= {
            "constants": self.plan.constants,
            "workspace": self._workspace,
            "tape": self._tape,
            "flag": self.flag,
        }
        return Pointers(**{name: array.ctypes.data for name, array in arrays.items()})

    def _array(self, array: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(array, dtype=self.dtype)

    def values(self, inputs: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Shape (B, numbers that are read)."""
        self.inputs, self.weights = self._array(inputs), self._array(weights)
        values = np.full((self.plan.batch, self.plan.layout.circuit.num_values), np.nan, dtype=self.dtype)
        pointers = self._pointers(inputs=self.inputs, weights=self.weights, values=values)
        launch(self.plan, self.plan.values(pointers), self.backwards)
        return values

    def gradients(self, cotangent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """With respect to inputs and weights, after `values`."""
        cotangent = self._array(cotangent)
        of_inputs, of_weights = np.full_like(self.inputs, np.nan), np.full_like(self.weights, np.nan)
        pointers = self._pointers(
            inputs=self.inputs,
            weights=self.weights,
            cotangent=cotangent,
            input_gradient=of_inputs,
            weight_gradient=of_weights,
        )
        launch(self.plan, self.plan.gradients(pointers), self.backwards)
        return of_inputs, of_weights
