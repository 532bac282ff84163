"""Files of the older format, archives of PyTorch: read only where that can neither run code nor exhaust memory."""

from __future__ import annotations

import codecs
import pickletools
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from .container import Contents

MAGIC = b"PK\x03\x04"

# All names in those files. PyTorch reads what the files are made of, and knows more names.
_GLOBALS = {
    "torch._utils _rebuild_tensor_v2",
    "torch FloatStorage",
    "torch DoubleStorage",
    "torch LongStorage",
    "collections OrderedDict",
    "_codecs encode",
}
_TUPLES = {"TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"}
# Tuples of tuples take twice as long to hash with each level.
_MOST_REPEATED_TUPLES = 16


# The kind of a file that another program wrote.
FOREIGN = "file of another program"
# Advice for files that this package did not write.
OF_PYTORCH = "if torch.save wrote it, read it with torch.load and give a model its weights with load_state_dict"


def is_old(path: Path) -> bool:
    """Whether a file is of the older format."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def read_old(path: Path, trusted: bool) -> Contents:
    """What a file of the older format holds.

    Args:
        path: A zip archive.
        trusted: It is from a source that may run code here.

    Raises:
        ValueError: the file is damaged, or this release of PyTorch cannot read it safely.
    """
    _require_archive_of_pytorch(path)
    if not trusted:
        try:
            _require_safe(path)
        except ValueError as error:
            raise ValueError(f"{error} ({OF_PYTORCH})") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch warns of old formats; an error of ours follows
            with _bytes_allowed():
                content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # foreign bytes can fail in any way
        raise ValueError(f"it is a damaged archive, or none that this package wrote ({OF_PYTORCH})") from error
    if not isinstance(content, dict) or type(content.get("kind")) is not str or content.get("version") != 1:
        return Contents(FOREIGN, {}, content)
    kind = content.pop("kind")
    del content["version"]
    return Contents(kind, {}, content)


def _require_archive_of_pytorch(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"it is a damaged archive: {error}") from error
    if not any(name.endswith("data.pkl") for name in names):
        raise ValueError("it is a zip archive, of neither this package nor PyTorch")


@contextmanager
def _bytes_allowed() -> Iterator[None]:
    """Lets PyTorch before 2.6 read the bytes in those files: later ones do so by themselves."""
    before = torch.serialization.get_safe_globals()
    torch.serialization.add_safe_globals([codecs.encode])
    try:
        yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)


def _require_safe(path: Path) -> None:
    release = tuple(int(part) for part in torch.__version__.split(".")[:2])
    if release < (2, 6):
        raise ValueError(
            f"it is of the older format, an archive of PyTorch, and PyTorch {torch.__version__} can be made to run "
            "code by such a file (CVE-2025-32434); update PyTorch to 2.6 or later, or say trusted=True if you wrote it "
            "yourself"
        )
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if sum(entry.file_size for entry in entries) > path.stat().st_size or any(
                entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size for entry in entries
            ):
                raise ValueError("it was packed again, with compression; expected the file as it was written")
            pickles = [entry for entry in entries if entry.filename.endswith(".pkl")]
            if len(pickles) != 1 or len({entry.filename for entry in entries}) != len(entries):
                raise ValueError("it is no archive that this package wrote")
            content = archive.read(pickles[0])
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"it is a damaged archive: {error}") from error
    _require_plain(content)


def _require_plain(content: bytes) -> None:
    """Looks through the steps of a pickle without executing any."""
    tuples, repeated, previous = set(), 0, ""
    try:
        for number, (opcode, argument, _) in enumerate(pickletools.genops(content)):
            if opcode.name in ("STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4"):
                raise ValueError(f"step {number} is a {opcode.name}, which this package does not write")
            if opcode.name == "GLOBAL" and argument not in _GLOBALS:
                raise ValueError(f"it names {str(argument)[:100]}, which this package does not write")
            if opcode.name in ("BINPUT", "LONG_BINPUT") and previous in _TUPLES:
                tuples.add(argument)
            repeated += opcode.name in ("BINGET", "LONG_BINGET") and argument in tuples
            previous = opcode.name
    except ValueError as error:
        raise ValueError(f"it is damaged, from another program, or malicious: {error}") from error
    if repeated > _MOST_REPEATED_TUPLES:
        raise ValueError("it is damaged, from another program, or malicious: tuples within tuples")
