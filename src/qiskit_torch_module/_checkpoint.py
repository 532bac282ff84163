"""Files that hold what was learnt: written whole or not at all, read without running any code."""

from __future__ import annotations

import os
import tempfile
import warnings
from pathlib import Path
from typing import Any

import torch

_VERSION = 1


def write_checkpoint(path: Path, kind: str, content: dict[str, Any]) -> None:
    """Writes tensors and plain values; a kill in the middle leaves an older file of that name whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            torch.save({"kind": kind, "version": _VERSION, **content}, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink()
        raise


def read_checkpoint(path: Path, kind: str) -> dict[str, Any]:
    """What `write_checkpoint` wrote under that kind.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, of another kind, or from a newer version.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is no file; expected one saved by this package")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch warns of old formats; an error of ours follows
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # foreign bytes can fail in any way
        raise ValueError(f"{path} is damaged or no checkpoint; expected a file saved by this package") from error
    if not isinstance(content, dict) or content.get("kind") != kind:
        raise ValueError(f"{path} is no {kind}; expected one saved as such by this package")
    if content.get("version", 0) > _VERSION:
        raise ValueError(f"{path} was written by a newer version of qiskit-torch-module; update the package")
    return content
