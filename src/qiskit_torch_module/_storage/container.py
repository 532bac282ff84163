r"""The format of all files of this package: plain data with tensors, read without running code.

    qiskit-torch-module file 2\n    name and version of the format
    8 bytes, little-endian         length of the structure
    structure                      JSON (ASCII): kind, what it was written with, content
    blobs                          bytes of tensors and byte strings, one after the other, little-endian
    32 bytes                       SHA-256 of everything before it

A later version may change what is between the first line and the checksum, but not these two.

In the content, lists, strings, numbers, true, false and null stand for themselves; an object with one name stands for
anything else: ``{"dict": {...}}``, ``{"items": [[key, value], ...]}``, ``{"tuple": [...]}``, ``{"float": "nan"}``,
``{"tensor": [dtype, shape]}``, ``{"array": [dtype, shape]}``, ``{"bytes": length}``. Blobs come in the order in which
the content names them.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import qiskit
import torch

from .._core.strict_json import parsed_json
from .._version import __version__

VERSION = 2

MAGIC = b"qiskit-torch-module file "
_FIRST_LINE = re.compile(re.escape(MAGIC) + rb"([1-9][0-9]{0,8})\n")
_LENGTH_BYTES = 8
_DIGEST_BYTES = hashlib.sha256().digest_size
_CHUNK_BYTES = 1 << 20

MAX_DEPTH = 64
MAX_INTEGER_BITS = 1024

# The name of each dtype, and the integers that its bytes are written as.
_DTYPES: dict[str, tuple[torch.dtype, str]] = {
    "float16": (torch.float16, "<i2"),
    "bfloat16": (torch.bfloat16, "<i2"),
    "float32": (torch.float32, "<i4"),
    "float64": (torch.float64, "<i8"),
    "complex64": (torch.complex64, "<i4"),
    "complex128": (torch.complex128, "<i8"),
    "int8": (torch.int8, "<i1"),
    "int16": (torch.int16, "<i2"),
    "int32": (torch.int32, "<i4"),
    "int64": (torch.int64, "<i8"),
    "uint8": (torch.uint8, "<i1"),
    "bool": (torch.bool, "<i1"),
}
_NAMES = {dtype: name for name, (dtype, _) in _DTYPES.items()}
_INTEGERS = {"<i1": torch.int8, "<i2": torch.int16, "<i4": torch.int32, "<i8": torch.int64}


class ForeignError(ValueError):
    """The file is none of this format, or damaged at its very beginning."""


@dataclass(frozen=True)
class Contents:
    """What a file holds.

    Attributes:
        kind: What the content is.
        written_with: Name and version of the packages that wrote it.
        content: The plain data.
    """

    kind: str
    written_with: dict[str, str]
    content: Any


def encoded(kind: str, content: Any) -> list[bytes]:
    """The bytes of a file, in pieces.

    Args:
        kind: What the content is.
        content: None, truth values, numbers, strings, bytes, tensors on any device, NumPy arrays, and lists, tuples and
            dictionaries of such.

    Raises:
        TypeError: something in the content is of another type; the message says where.
        ValueError: it is nested too deeply, or an integer is too large.
    """
    blobs: list[bytes] = []
    structure = {
        "kind": kind,
        "written_with": {"qiskit-torch-module": __version__, "qiskit": qiskit.__version__, "torch": torch.__version__},
        "content": _plain(content, "content", blobs, 0),
    }
    text = json.dumps(structure, allow_nan=False, separators=(",", ":")).encode("ascii")
    pieces = [MAGIC + b"%d\n" % VERSION, len(text).to_bytes(_LENGTH_BYTES, "little"), text, *blobs]
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return [*pieces, digest.digest()]


def decoded(file: BinaryIO) -> Contents:
    """What a file contains; sizes are checked before memory is allocated.

    Raises:
        ForeignError: the file is none of this format, or damaged at its very beginning.
        ValueError: the file is damaged, of another version of the format, or holds what this package does not write.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    first_line = _FIRST_LINE.match(file.read(64))
    if first_line is None:
        raise ForeignError("its first line is not that of a file of this package")
    begin = first_line.end()
    if size < begin + _LENGTH_BYTES + _DIGEST_BYTES or not _digest_fits(file, size - _DIGEST_BYTES):
        raise ValueError("it is damaged, its checksum does not fit its content")
    version = int(first_line[1])
    if version != VERSION:
        advice = "update qiskit-torch-module" if version > VERSION else "no release of this package wrote such files"
        raise ValueError(f"it is of version {version} of the format, this release reads version {VERSION}; {advice}")
    file.seek(begin)
    length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
    num_blob_bytes = size - _DIGEST_BYTES - _LENGTH_BYTES - begin - length
    if num_blob_bytes < 0:
        raise ValueError("its structure is longer than the file")
    structure = parsed_json(file.read(length).decode("ascii"))
    if not isinstance(structure, dict) or structure.keys() != {"kind", "written_with", "content"}:
        raise ValueError("expected kind, written_with and content")
    kind, written_with = structure["kind"], structure["written_with"]
    if (
        type(kind) is not str
        or type(written_with) is not dict
        or any(type(x) is not str for x in written_with.values())
    ):
        raise ValueError("expected texts for kind and versions")
    reader = _Reader(file, num_blob_bytes)
    content = reader.value(structure["content"], 0)
    if reader.num_bytes_left != 0:
        raise ValueError(f"{reader.num_bytes_left} bytes that nothing refers to")
    return Contents(kind, written_with, content)


def _digest_fits(file: BinaryIO, end: int) -> bool:
    file.seek(0)
    digest, left = hashlib.sha256(), end
    while left > 0:
        chunk = file.read(min(left, _CHUNK_BYTES))
        if not chunk:
            return False
        digest.update(chunk)
        left -= len(chunk)
    return file.read(_DIGEST_BYTES + 1) == digest.digest()


def _plain(value: Any, where: str, blobs: list[bytes], depth: int) -> Any:
    """A value as JSON can hold it; bytes go to the blobs."""
    if depth > MAX_DEPTH:
        raise ValueError(f"{where[:200]}: expected at most {MAX_DEPTH} levels of lists and dictionaries")
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        if value.bit_length() > MAX_INTEGER_BITS:
            raise ValueError(f"{where}: expected an integer of at most {MAX_INTEGER_BITS} bits")
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"float": repr(float(value))}
    if type(value) is list:
        return [_plain(item, f"{where}[{i}]", blobs, depth + 1) for i, item in enumerate(value)]
    if type(value) in (tuple, torch.Size):
        return {"tuple": [_plain(item, f"{where}[{i}]", blobs, depth + 1) for i, item in enumerate(value)]}
    if isinstance(value, dict):
        return _plain_dict(value, where, blobs, depth + 1)
    return _plain_bytes(value, where, blobs)


def _plain_dict(value: dict[Any, Any], where: str, blobs: list[bytes], depth: int) -> dict[str, Any]:
    for key in value:
        if type(key) not in (str, int):
            raise TypeError(f"{where}: expected texts or integers as keys, got {type(key).__name__}")
    if all(type(key) is str for key in value):
        return {"dict": {key: _plain(item, f"{where}[{key!r}]", blobs, depth) for key, item in value.items()}}
    items = [[_plain(k, where, blobs, depth), _plain(v, f"{where}[{k!r}]", blobs, depth)] for k, v in value.items()]
    return {"items": items}


def _plain_bytes(value: Any, where: str, blobs: list[bytes]) -> dict[str, Any]:
    if isinstance(value, (bytes, bytearray)):
        blobs.append(bytes(value))
        return {"bytes": len(value)}
    tag, tensor = "tensor", value
    if isinstance(value, np.ndarray) and value.dtype.name in _DTYPES:
        tag, tensor = "array", torch.from_numpy(np.array(value, dtype=value.dtype.newbyteorder("=")))
    if not isinstance(tensor, torch.Tensor) or tensor.layout != torch.strided or tensor.dtype not in _NAMES:
        shown = f"{type(value).__name__} of {value.dtype}" if hasattr(value, "dtype") else type(value).__name__
        raise TypeError(
            f"{where}: expected plain values, lists, tuples, dictionaries or dense tensors of {', '.join(_DTYPES)}, "
            f"got {shown}"
        )
    blobs.append(_bytes_of(tensor))
    return {tag: [_NAMES[tensor.dtype], list(tensor.shape)]}


def _bytes_of(tensor: torch.Tensor) -> bytes:
    dense = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous().reshape(-1)
    if dense.is_complex():
        dense = torch.view_as_real(dense).reshape(-1)
    code = _DTYPES[_NAMES[tensor.dtype]][1]
    return dense.view(_INTEGERS[code]).numpy().astype(code, copy=False).tobytes()


class _Reader:
    """Values from plain data, and their bytes from the blobs."""

    def __init__(self, file: BinaryIO, num_blob_bytes: int) -> None:
        self._file = file
        self.num_bytes_left = num_blob_bytes

    def value(self, plain: Any, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise ValueError("nested too deeply")
        if isinstance(plain, list):
            return [self.value(item, depth + 1) for item in plain]
        if not isinstance(plain, dict):
            if isinstance(plain, float) and not math.isfinite(plain):
                raise ValueError("expected finite numbers, got one beyond the range")
            return plain
        if len(plain) != 1:
            raise ValueError(f"expected an object of one name, got {len(plain)}")
        (tag, inner), *_ = plain.items()
        if tag == "dict" and isinstance(inner, dict):
            return {key: self.value(item, depth + 1) for key, item in inner.items()}
        if tag == "items" and isinstance(inner, list):
            return dict(self._pairs(inner, depth + 1))
        if tag == "tuple" and isinstance(inner, list):
            return tuple([self.value(item, depth + 1) for item in inner])
        if tag == "float" and inner in ("nan", "inf", "-inf"):
            return float(inner)
        if tag == "bytes":
            return bytes(self._blob(inner))
        if tag in ("tensor", "array"):
            tensor = self._tensor(inner)
            return tensor if tag == "tensor" else tensor.numpy()
        raise ValueError(f"an object of unknown kind {tag[:30]!r}")

    def _pairs(self, plain: list[Any], depth: int) -> Iterator[tuple[Any, Any]]:
        keys = set()
        for pair in plain:
            if not isinstance(pair, list) or len(pair) != 2 or type(pair[0]) not in (str, int) or pair[0] in keys:
                raise ValueError("expected pairs of a distinct key and a value")
            keys.add(pair[0])
            yield pair[0], self.value(pair[1], depth)

    def _tensor(self, plain: Any) -> torch.Tensor:
        if not isinstance(plain, list) or len(plain) != 2 or not isinstance(plain[1], list):
            raise ValueError("expected dtype and shape of a tensor")
        name, shape = plain
        if type(name) is not str or name not in _DTYPES or len(shape) > MAX_DEPTH:
            raise ValueError("a tensor of unknown dtype or too many dimensions")
        if any(type(extent) is not int or not 0 <= extent < 1 << 48 for extent in shape):
            raise ValueError("expected sizes of a tensor as integers from 0")
        dtype, code = _DTYPES[name]
        size = math.prod(shape)
        data = self._blob(size * dtype.itemsize)
        if dtype == torch.bool and size > 0 and np.frombuffer(data, np.uint8).max() > 1:
            raise ValueError("a truth value other than 0 and 1")
        if size == 0:
            if math.prod(extent for extent in shape if extent > 0) >= 1 << 48:
                raise ValueError("an empty tensor of huge extents")
            return torch.zeros(shape, dtype=dtype)
        integers = torch.from_numpy(np.frombuffer(data, dtype=code).astype(code[1:], copy=False))
        return integers.view(dtype).reshape(shape)

    def _blob(self, length: Any) -> bytearray:
        if type(length) is not int or not 0 <= length <= self.num_bytes_left:
            raise ValueError(f"bytes beyond the {self.num_bytes_left} that are left")
        self.num_bytes_left -= length
        data = bytearray(length)
        if self._file.readinto(data) != length:  # type: ignore[attr-defined]
            raise ValueError("the file ends early")
        return data
