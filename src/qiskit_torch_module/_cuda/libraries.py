"""Where shared libraries of CUDA are: brought by PyTorch, by a package, or installed on the machine."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

# Newest first, as far as they are out; those that come later are found by PyTorch's version.
_MAJORS = (13, 12, 11)


class MissingLibraryError(RuntimeError):
    """A library of CUDA that is not here, or too old."""


def majors(of_pytorch: str | None) -> list[int]:
    """Major versions of CUDA, best first: that of PyTorch, which the driver is known to serve.

    Args:
        of_pytorch: ``torch.version.cuda``, such as "12.8"; None: PyTorch was built without CUDA.
    """
    first = [] if of_pytorch is None else [int(of_pytorch.partition(".")[0])]
    return [*first, *(major for major in _MAJORS if major not in first)]


def nvrtc_names(major: int, windows: bool = sys.platform == "win32") -> tuple[str, ...]:
    """What the compiler's library is called; on Windows, and of CUDA 11, by the first version that is compatible."""
    if windows:
        return (f"nvrtc64_{major}2_0.dll" if major == 11 else f"nvrtc64_{major}0_0.dll",)
    return ("libnvrtc.so.11.2",) if major == 11 else (f"libnvrtc.so.{major}",)


def folders() -> list[Path]:
    """Folders of Python packages, then of the CUDA toolkit, where libraries may lie."""
    roots = [Path(root) for name in ("nvidia", "torch") for root in _package(name)]
    found = [folder for root in roots for folder in _within(root)]
    for variable in ("CUDA_HOME", "CUDA_PATH"):
        if toolkit := os.environ.get(variable):
            found += [Path(toolkit, name) for name in ("lib64", "lib", "bin", "bin/x64")]
    return [folder for folder in found if folder.is_dir()]


def _package(name: str) -> Sequence[str]:
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):  # a package that is broken, or made by hand
        return ()
    return () if spec is None or spec.submodule_search_locations is None else list(spec.submodule_search_locations)


def _within(root: Path) -> Iterator[Path]:
    """Of PyTorch ``lib``; of nvidia's packages ``cuda_nvrtc/lib`` up to CUDA 12 and ``cu13/lib`` from 13 on."""
    if root.name == "torch":
        yield root / "lib"
        return
    for package in ("cuda_nvrtc", *(f"cu{major}" for major in _MAJORS)):
        yield from (root / package / name for name in ("lib", "bin", "bin/x86_64", "lib/x64"))


def candidates(names: Sequence[str], places: Sequence[Path]) -> Iterator[str]:
    """Paths of files of these names, then the bare names, which the system looks up."""
    yield from (str(folder / name) for name in names for folder in places if (folder / name).is_file())
    yield from names


def opened(candidates: Iterator[str], what: str, remedy: str) -> tuple[ctypes.CDLL, str]:
    """The first library that can be opened, and by which name.

    Raises:
        MissingLibraryError: none can; it says what was tried.
    """
    faults = []
    for name in candidates:
        try:
            return ctypes.CDLL(name), name
        except OSError as error:
            faults.append(str(error) if name in str(error) else f"{name}: {error}")
    raise MissingLibraryError(f"{what}: expected one of its libraries, found none ({'; '.join(faults)}); {remedy}")


def declare(library: ctypes.CDLL, signatures: Mapping[str, list[type]]) -> None:
    """Says what functions take; all give a number, which is 0 where they succeed.

    Raises:
        MissingLibraryError: one is not there.
    """
    try:
        for name, arguments in signatures.items():
            getattr(library, name).argtypes, getattr(library, name).restype = arguments, ctypes.c_int
    except AttributeError as error:
        raise MissingLibraryError(
            f"{library._name}: expected that of CUDA 11.2 or newer ({error}); update it"
        ) from None
