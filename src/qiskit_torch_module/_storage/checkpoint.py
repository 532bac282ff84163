"""Checkpoints: a file holds exactly what was to be saved, or is not written at all; reading it runs no code."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from .._core.files import named, replace_file, require_regular
from . import old_files
from .container import Contents, ForeignError, decoded, encoded

# The function that reads each kind of file.
_READERS = {
    "quantum module": "qiskit_torch_module.load",
    "checkpoint": "qiskit_torch_module.Checkpoint, or with 'qtm evaluate' if 'qtm train' wrote it",
    "digit classifier": "'qtm evaluate'",  # of the older format
}
# How a pickle begins: PyTorch wrote pickles before it wrote archives.
_PICKLE = b"\x80"


def write_checkpoint(path: Path, kind: str, content: dict[str, Any]) -> None:
    """Writes plain data with tensors, reads it back, and only then replaces an older file of that name.

    Args:
        path: The file; folders above it are made. See `replace_file` for modes, owners and links.
        kind: What it holds, by the name that `read_checkpoint` is given.
        content: None, truth values, numbers, strings, bytes, tensors (they come back on the CPU), NumPy arrays, and
            lists, tuples and dictionaries with keys of text or integers of such, e.g. ``optimizer.state_dict()``.

    Raises:
        OSError: the file cannot be written; the message names it. An older one is left as it was.
        TypeError: something in the content cannot be written; the message says where. Nothing is written.
    """
    pieces = encoded(kind, content)

    def write(file: BinaryIO) -> None:
        for piece in pieces:
            file.write(piece)

    def verify(name: Path) -> None:
        with name.open("rb") as file:
            read = decoded(file)
        if encoded(read.kind, read.content) != pieces:
            raise OSError(f"{path}: what was read back is not what was written; nothing was saved")

    replace_file(path, write, verify)


def read_checkpoint(path: Path, kind: str | Sequence[str], trusted: bool = False) -> dict[str, Any]:
    """What `write_checkpoint` wrote under that kind, in this format or the older one.

    Args:
        path: The file.
        kind: What it should be, or all that it may be, the usual one first.
        trusted: The file is from a source that may run code here; needed for the older format with an old PyTorch.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: it cannot be read, or is no regular file.
        ValueError: the file is damaged, of another kind, or from another version; the message names it.
    """
    with named(path):
        if not path.exists():
            raise FileNotFoundError(f"{path} is no file; expected one saved by this package")
        require_regular(path)
        with path.open("rb") as file:
            contents = _contents_of(path, file, trusted)
    kinds = [kind] if isinstance(kind, str) else kind
    if contents.kind not in kinds or not isinstance(contents.content, dict):
        raise ValueError(
            f"{path} is no {kinds[0]} but a {contents.kind[:100]}{_versions(contents)}; {_remedy(contents.kind)}"
        )
    return contents.content


def _remedy(kind: str) -> str:
    if kind == old_files.FOREIGN:
        return old_files.OF_PYTORCH
    return f"read it with {_READERS[kind]}" if kind in _READERS else "update qiskit-torch-module"


def _versions(contents: Contents) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in contents.written_with.items())
    return f", written with {versions[:300]}" if versions else ""


def _contents_of(path: Path, file: BinaryIO, trusted: bool) -> Contents:
    try:
        if file.read(len(old_files.MAGIC)) == old_files.MAGIC:
            return old_files.read_old(path, trusted)
        return decoded(file)
    except ForeignError:
        file.seek(0)
        remedy = f" ({old_files.OF_PYTORCH})" if file.read(len(_PICKLE)) == _PICKLE else ""
        raise ValueError(f"{path} is damaged or no checkpoint; expected a file saved by this package{remedy}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"{path} cannot be read: {error or 'too large for the memory'}") from error
