"""NVRTC, NVIDIA's compiler as a library: CUDA C++ becomes a cubin, on machines without a GPU, too.

PyTorch brings it where it was built for CUDA; else the package nvidia-cuda-nvrtc, or a toolkit. See
https://docs.nvidia.com/cuda/nvrtc.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import torch

from .libraries import candidates, declare, folders, majors, nvrtc_names, opened

# A library, in place of those that are found.
VARIABLE = "QTM_NVRTC"

_Handle = ctypes.c_void_p
_Handles = ctypes.POINTER(_Handle)
_Texts = ctypes.POINTER(ctypes.c_char_p)
_Integers = ctypes.POINTER(ctypes.c_int)
_Sizes = ctypes.POINTER(ctypes.c_size_t)
_SIGNATURES: dict[str, list[type]] = {
    "nvrtcVersion": [_Integers, _Integers],
    "nvrtcGetNumSupportedArchs": [_Integers],
    "nvrtcGetSupportedArchs": [_Integers],
    "nvrtcCreateProgram": [_Handles, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int, _Texts, _Texts],
    "nvrtcCompileProgram": [_Handle, ctypes.c_int, _Texts],
    "nvrtcGetProgramLogSize": [_Handle, _Sizes],
    "nvrtcGetProgramLog": [_Handle, ctypes.c_char_p],
    "nvrtcGetCUBINSize": [_Handle, _Sizes],
    "nvrtcGetCUBIN": [_Handle, ctypes.c_char_p],
    "nvrtcDestroyProgram": [_Handles],
    "nvrtcGetErrorString": [ctypes.c_int],
}
_SHOWN_OF_LOG = 4000


class CompilationError(RuntimeError):
    """NVRTC refused: what it was given, or to work at all."""


@dataclass(frozen=True)
class Source:
    """What is compiled.

    Attributes:
        text: CUDA C++.
        headers: Texts that it includes, by name.
        name: By which messages call it.
    """

    text: str
    headers: Mapping[str, str]
    name: str = "kernels.cu"


@dataclass(frozen=True)
class Compiled:
    """What comes out.

    Attributes:
        cubin: Code for one architecture, an ELF file.
        log: Warnings; with ``--ptxas-options=-v`` registers, spills and shared memory of every kernel.
    """

    cubin: bytes
    log: str


class Nvrtc:
    """The compiler.

    Args:
        library: Opened.
        path: Where it was found.

    Attributes:
        path: Where it was found.
        version: Such as (13, 0).
        architectures: Those that it compiles for, as 80 for compute capability 8.0, ascending.

    Raises:
        MissingLibraryError: it is too old.
    """

    def __init__(self, library: ctypes.CDLL, path: str) -> None:
        self.path, self._library = path, library
        declare(library, _SIGNATURES)
        library.nvrtcGetErrorString.restype = ctypes.c_char_p
        major, minor, count = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
        self._call("nvrtcVersion", ctypes.byref(major), ctypes.byref(minor))
        self.version = major.value, minor.value
        self._call("nvrtcGetNumSupportedArchs", ctypes.byref(count))
        known = (ctypes.c_int * count.value)()
        self._call("nvrtcGetSupportedArchs", known)
        self.architectures: tuple[int, ...] = tuple(sorted(known))

    def architecture_for(self, capability: tuple[int, int]) -> int:
        """The architecture whose code a card runs best: its own, or an older one of the same major version.

        Raises:
            CompilationError: NVRTC knows none that the card runs.
        """
        card = 10 * capability[0] + capability[1]
        fitting = [one for one in self.architectures if one // 10 == capability[0] and one <= card]
        if not fitting:
            first, *_, last = (f"{one // 10}.{one % 10}" for one in self.architectures)
            raise CompilationError(
                f"NVRTC: expected one for compute capability {capability[0]}.{capability[1]}, got version "
                f"{self.version[0]}.{self.version[1]} ({self.path}), which knows {first} to {last}; install a PyTorch "
                "that is built for this card"
            )
        return fitting[-1]

    def compile(self, source: Source, architecture: int, options: Sequence[str] = ()) -> Compiled:
        """Code for one architecture.

        Args:
            source: What is compiled.
            architecture: Such as 90.
            options: Further ones, such as "-DQTM_REAL=float".

        Raises:
            CompilationError: the source does not compile, an option is unknown, or memory is short.
        """
        with self._program(source) as program:
            arguments = _texts([f"--gpu-architecture=sm_{architecture}", *options])
            answer = self._library.nvrtcCompileProgram(program, len(arguments), arguments)
            raw = self._read(program, "nvrtcGetProgramLogSize", "nvrtcGetProgramLog")
            log = raw.rstrip(b"\0").decode(errors="replace")
            if answer:
                shown = log.strip()[:_SHOWN_OF_LOG] or "it says no more"
                raise CompilationError(
                    f"NVRTC: {source.name} does not compile for sm_{architecture} ({self._named(answer)}): {shown}"
                )
            return Compiled(self._read(program, "nvrtcGetCUBINSize", "nvrtcGetCUBIN"), log)

    @contextmanager
    def _program(self, source: Source) -> Iterator[ctypes.c_void_p]:
        program, names, texts = _Handle(), _texts(source.headers), _texts(source.headers.values())
        content, name = source.text.encode(), source.name.encode()
        self._call("nvrtcCreateProgram", ctypes.byref(program), content, name, len(names), texts, names)
        try:
            yield program
        finally:
            self._library.nvrtcDestroyProgram(ctypes.byref(program))

    def _read(self, program: ctypes.c_void_p, size_of: str, content_of: str) -> bytes:
        size = ctypes.c_size_t()
        self._call(size_of, program, ctypes.byref(size))
        content = ctypes.create_string_buffer(size.value)
        self._call(content_of, program, content)
        return content.raw

    def _call(self, name: str, *arguments: object) -> None:
        if answer := getattr(self._library, name)(*arguments):
            raise CompilationError(f"NVRTC: {name} of {self.path} failed ({self._named(answer)})")

    def _named(self, answer: int) -> str:
        name: bytes | None = self._library.nvrtcGetErrorString(answer)
        return f"error {answer}" if name is None else name.decode(errors="replace")


def _texts(texts: Iterable[str]) -> ctypes.Array[ctypes.c_char_p]:
    encoded = [text.encode() for text in texts]
    return (ctypes.c_char_p * len(encoded))(*encoded)


@lru_cache(maxsize=1)
def nvrtc() -> Nvrtc:
    """The compiler of this machine: of ``QTM_NVRTC``, of the major version of PyTorch's CUDA, or the newest one.

    Raises:
        MissingLibraryError: there is none, or it is too old.
    """
    remedy = "install a PyTorch that is built for CUDA, or nvidia-cuda-nvrtc from PyPI"
    if path := os.environ.get(VARIABLE):
        return Nvrtc(*opened(iter([path]), f"NVRTC, as {VARIABLE} says", "give the path of libnvrtc, or unset it"))
    names = [name for major in majors(torch.version.cuda) for name in nvrtc_names(major)]
    return Nvrtc(*opened(candidates(names, folders()), "NVRTC", remedy))
