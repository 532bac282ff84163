"""Compiled kernels, kept on the disk: NVRTC is asked once for each source, set of options and architecture.

Files appear whole or not at all and carry a digest, so that any number of processes may share the folder; what was
damaged is compiled again. The folder may be removed at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from .._core.files import replace_file
from .nvrtc import Nvrtc, Source

# The folder, in place of the usual one; "off": nothing is kept.
VARIABLE = "QTM_CACHE"
_MAGIC = b"qtm cubin 1\n"
_DIGEST_SIZE = 32
_FOLDER = "qiskit-torch-module"


def folder() -> Path | None:
    """Where cubins are kept: ``QTM_CACHE``, or a folder in the user's cache; None: nowhere."""
    given = os.environ.get(VARIABLE)
    if given == "off":
        return None
    if given:
        return Path(given)
    try:
        home = Path.home()
    except RuntimeError:  # a user without one
        return None
    windows = os.environ.get("LOCALAPPDATA") if sys.platform == "win32" else None
    root = windows or os.environ.get("XDG_CACHE_HOME") or home / ".cache"
    return Path(root, _FOLDER)


def cubin(nvrtc: Nvrtc, source: Source, architecture: int, options: Sequence[str]) -> bytes:
    """Code for one architecture, from the disk or from NVRTC.

    Raises:
        CompilationError: as `Nvrtc.compile`.
    """
    place = folder()
    path = None if place is None else place / f"{_key(nvrtc, source, architecture, options)}.cubin"
    if path is not None and (kept := _read(path)) is not None:
        return kept
    made = nvrtc.compile(source, architecture, options).cubin
    if path is not None:
        _keep(path, made)
    return made


def _key(nvrtc: Nvrtc, source: Source, architecture: int, options: Sequence[str]) -> str:
    what = [source.text, sorted(source.headers.items()), list(options), nvrtc.version, architecture]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()


def _read(path: Path) -> bytes | None:
    """A file's content; None: there is none, or it is not what was written."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    start = len(_MAGIC) + _DIGEST_SIZE
    digest, payload = content[len(_MAGIC) : start], content[start:]
    is_whole = content.startswith(_MAGIC) and hashlib.sha256(payload).digest() == digest
    return payload if is_whole else None


def _keep(path: Path, content: bytes) -> None:
    whole = _MAGIC + hashlib.sha256(content).digest() + content

    def write(file: BinaryIO) -> None:
        file.write(whole)

    def verify(written: Path) -> None:
        if _read(written) != content:
            raise OSError("what was written is not what is read")

    try:
        replace_file(path, write, verify)
    except OSError as error:
        warnings.warn(
            f"compiled kernels are not kept, each process compiles its own ({error}); set {VARIABLE} to a folder that "
            "can be written, or to 'off'",
            RuntimeWarning,
            stacklevel=2,
        )
