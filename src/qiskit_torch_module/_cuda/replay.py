"""Launches that are made once and repeated, with other addresses each time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from .device import Device
from .launches import Launch, Pointers

Words = npt.NDArray[np.uint64]

_WORD, _ALIGNMENT = 8, 16  # bytes


class Replay:
    """The launches of a plan for one batch size: a call writes the addresses of tensors into them and launches them.

    Where addresses lie in the arguments, and how far behind the beginning of a tensor, is found by making the launches
    with two sets of invented addresses; a third set proves it.

    Args:
        device: Which launches.
        defines: With which its kernels are compiled.
        made: Makes the launches; they may depend on addresses in nothing but words of their arguments, each of which is
            an address plus a constant.
        present: Names of the fields of `Pointers` that calls give, in their order; the others are 0.

    Raises:
        RuntimeError: launches depend on addresses in another way.
    """

    def __init__(
        self,
        device: Device,
        defines: Mapping[str, str],
        made: Callable[[Pointers], Sequence[Launch]],
        present: Sequence[str],
    ) -> None:
        self._lock = threading.Lock()
        first, second, third = _invented(len(present))
        launches, others, again = (
            made(Pointers(**dict(zip(present, addresses.tolist(), strict=True))))
            for addresses in (first, second, third)
        )
        self._words, starts = _joined(launches)
        self._places, self._sources, self._offsets = _addresses(self._words, _joined(others)[0], first, second)
        self._write(third)
        if not np.array_equal(self._words, _joined(again)[0]) or _shapes(again) != _shapes(launches):
            raise RuntimeError("launches depend on addresses in more than words of their arguments")
        address = self._words.ctypes.data
        self._launchers = [
            device.launcher(launch, address + _WORD * start, defines)
            for launch, start in zip(launches, starts, strict=True)
        ]

    def __call__(self, addresses: Sequence[int], stream: int) -> None:
        """Launches all, one after the other, with the addresses of what is present."""
        given = np.array(addresses, dtype=np.uint64)
        with self._lock:  # threads may share a model, and the arguments are read while they are launched
            self._write(given)
            for launch in self._launchers:
                launch(stream)

    def __len__(self) -> int:
        return len(self._launchers)

    def _write(self, addresses: Words) -> None:
        self._words[self._places] = addresses[self._sources] + self._offsets


def _invented(count: int) -> Words:
    """Three sets of addresses, aligned, whose sums and differences all differ."""
    return np.random.default_rng(0).integers(1 << 32, 1 << 48, size=(3, count), dtype=np.uint64) << np.uint64(8)


def _shapes(launches: Sequence[Launch]) -> list[tuple[str, int, int, int, int]]:
    return [(one.kernel, one.blocks, one.threads, one.shared_bytes, len(one.arguments)) for one in launches]


def _joined(launches: Sequence[Launch]) -> tuple[Words, list[int]]:
    """The arguments of all launches, one behind the other, and where each begins, in words."""
    starts, parts, end = [], [], 0
    for launch in launches:
        padded = launch.arguments + bytes(-len(launch.arguments) % _ALIGNMENT)
        starts.append(end // _WORD)
        parts.append(padded)
        end += len(padded)
    words = np.empty(end // _WORD, dtype=np.uint64)
    words.view(np.uint8)[:] = np.frombuffer(b"".join(parts), dtype=np.uint8)
    return words, starts


def _addresses(one: Words, other: Words, first: Words, second: Words) -> tuple[npt.NDArray[np.intp], Words, Words]:
    """Places of words that are addresses, which address each is made of, and what is added to it."""
    if one.shape != other.shape:
        raise RuntimeError("launches depend on addresses in their number or size")
    places = np.flatnonzero(one != other)
    moved, differences = other[places] - one[places], second - first
    sources = np.array([_found(int(difference), differences) for difference in moved], dtype=np.uint64)
    return places, sources, one[places] - first[sources]


def _found(difference: int, differences: Words) -> int:
    [matching] = np.nonzero(differences == difference)
    if len(matching) != 1:
        raise RuntimeError("launches depend on addresses in words that are no sum of an address and a constant")
    return int(matching[0])
