"""What a field of a text may hold: numbers, texts, arrays and rows of such, as plain data and back, or refused."""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

# Raised whenever what older releases wrote or read changes.
VERSION = 4

# Far more than any circuit needs, and little enough to be evaluated.
MAX_STEPS = 1 << 20
# Qubits of a circuit, most of them idle: far more than can be simulated.
WIDEST = 1 << 14
_LONGEST_TEXT = 1 << 20
_MOST_ENTRIES = 1 << 40  # of an array along one dimension


@dataclass
class Source:
    """What is read: the version of the text, and how many steps the evaluation of its expressions may still take."""

    version: int = VERSION
    steps: int = MAX_STEPS


class Kind(Protocol):
    """What a field may hold: as plain data, and back. ``where`` names the field in errors."""

    def write(self, value: Any) -> Any: ...

    def read(self, plain: Any, where: str, source: Source) -> Any: ...


@dataclass(frozen=True)
class Integer:
    """From one number to another, both included."""

    low: int
    high: int

    def write(self, value: Any) -> int:
        return int(value)

    def read(self, plain: Any, where: str, source: Source) -> int:
        if type(plain) is not int or not self.low <= plain <= self.high:
            raise ValueError(f"{where}: expected an integer from {self.low} to {self.high}, got {shown(plain)}")
        return plain


@dataclass(frozen=True)
class Number:
    """Finite; written with as many digits as it takes to come back exactly."""

    def write(self, value: Any) -> float:
        return float(value)

    def read(self, plain: Any, where: str, source: Source) -> float:
        if type(plain) is not float or not math.isfinite(plain):
            raise ValueError(f"{where}: expected a finite number, got {shown(plain)}")
        return plain


@dataclass(frozen=True)
class Truth:
    """True or false, and no number instead."""

    def write(self, value: Any) -> bool:
        return bool(value)

    def read(self, plain: Any, where: str, source: Source) -> bool:
        if type(plain) is not bool:
            raise ValueError(f"{where}: expected true or false, got {shown(plain)}")
        return plain


@dataclass(frozen=True)
class Text:
    """Cut where it is very long: such texts only stand in error messages."""

    def write(self, value: Any) -> str:
        return str(value)[:_LONGEST_TEXT].encode("utf-8", "replace").decode("utf-8")

    def read(self, plain: Any, where: str, source: Source) -> str:
        if type(plain) is not str or len(plain) > _LONGEST_TEXT:
            raise ValueError(f"{where}: expected text, got {shown(plain)}")
        plain.encode("utf-8")  # raises where it holds half a character
        return plain


@dataclass(frozen=True)
class Many:
    """A tuple, all of one kind."""

    kind: Kind

    def write(self, value: Any) -> list[Any]:
        return [self.kind.write(item) for item in value]

    def read(self, plain: Any, where: str, source: Source) -> tuple[Any, ...]:
        return tuple([self.kind.read(item, where, source) for item in listed(plain, where)])


@dataclass(frozen=True)
class Optional:
    """Of a kind, or None."""

    kind: Kind

    def write(self, value: Any) -> Any:
        return None if value is None else self.kind.write(value)

    def read(self, plain: Any, where: str, source: Source) -> Any:
        return None if plain is None else self.kind.read(plain, where, source)


@dataclass(frozen=True)
class Array:
    """A NumPy array of fixed dtype and number of dimensions: its bytes in little-endian order, read only."""

    dtype: str
    ndim: int

    @property
    def _written(self) -> np.dtype[Any]:
        return np.dtype(self.dtype).newbyteorder("<")

    def write(self, value: Any) -> list[Any]:
        array = np.ascontiguousarray(value, dtype=self._written)
        if array.ndim != self.ndim:
            raise ValueError(f"expected an array of {self.ndim} dimensions, got shape {array.shape}")
        return [list(array.shape), base64.b64encode(array.tobytes()).decode("ascii")]

    def read(self, plain: Any, where: str, source: Source) -> Any:
        items = listed(plain, where)
        if len(items) != 2 or type(items[1]) is not str:
            raise ValueError(f"{where}: expected shape and bytes of an array, got {shown(plain)}")
        shape = Many(Integer(0, _MOST_ENTRIES)).read(items[0], f"{where}.shape", source)
        data = base64.b64decode(items[1], validate=True)
        if len(shape) != self.ndim or math.prod(shape) * self._written.itemsize != len(data):
            raise ValueError(f"{where}: expected bytes for {self.ndim} dimensions {shape}, got {len(data)}")
        array = np.frombuffer(data, self._written).reshape(shape).astype(self.dtype, copy=False)
        if not np.all(np.isfinite(array)):
            raise ValueError(f"{where}: expected finite numbers")
        return array


@dataclass(frozen=True)
class Numbers:
    """Bytes that hold finite float64, little-endian."""

    def write(self, value: Any) -> str:
        return base64.b64encode(value).decode("ascii")

    def read(self, plain: Any, where: str, source: Source) -> bytes:
        if type(plain) is not str:
            raise ValueError(f"{where}: expected numbers in base64, got {shown(plain)}")
        data = base64.b64decode(plain, validate=True)
        if len(data) % 8 or not np.all(np.isfinite(np.frombuffer(data, "<f8"))):
            raise ValueError(f"{where}: expected bytes of finite numbers, got {len(data)}")
        return data


def listed(plain: Any, where: str) -> list[Any]:
    """What should be a list.

    Raises:
        ValueError: it is none.
    """
    if type(plain) is not list:
        raise ValueError(f"{where}: expected a list, got {shown(plain)}")
    return plain


def shown(plain: Any) -> str:
    """Foreign content in an error message, no longer than a line."""
    if isinstance(plain, (list, dict)):
        return f"{type(plain).__name__} of {len(plain)}"
    text = repr(plain) if not isinstance(plain, int) or abs(plain) < 1 << 64 else "a huge number"
    return text if len(text) <= 60 else f"{text[:60]}..."
