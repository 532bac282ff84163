"""Shots: outcomes that are drawn from their probabilities, and the bits that they write."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

# Shots that are drawn at once: they stay in the cache.
CHUNK = 1 << 15
# A table of places has so many entries for each outcome, and takes as long as so many draws for each entry.
_ENTRIES_OF_OUTCOME = 32
_LEAST_DRAWS_OF_ENTRY = 2
_MOST_ENTRIES = 1 << 20


class Streams:
    """Uniform numbers in [0, 1), in chunks, as ``Statevector.sample_memory`` of Qiskit draws them.

    Args:
        seed: A whole number starts the same stream each time; a generator goes on; None: another stream.
    """

    def __init__(self, seed: int | np.random.Generator | None) -> None:
        self._seed = seed
        is_number = not (seed is None or isinstance(seed, np.random.Generator))
        self._generator = None if is_number else np.random.default_rng(seed)
        self._start = np.empty(0)  # of the stream of a whole number

    def __call__(self, count: int) -> Iterator[Array]:
        """So many numbers."""
        if self._generator is None and count <= CHUNK:
            if len(self._start) < count:
                self._start = np.random.default_rng(self._seed).random(count)
            yield self._start[:count]
            return
        generator = self._generator or np.random.default_rng(self._seed)
        for begin in range(0, count, CHUNK):
            yield generator.random(min(CHUNK, count - begin))


def inversion(probabilities: Array, count: int) -> Callable[[Array], npt.NDArray[np.intp]]:
    """What makes uniform numbers outcomes, by inversion of the distribution function.

    The same for the same numbers as ``numpy.random.Generator.choice``, on which Qiskit's samplers build, but faster
    where many are drawn: a table says for most numbers at once where they fall (Chen and Asau, "On generating random
    variates from an empirical distribution", 1974).

    Args:
        probabilities: Of each outcome; their sum need not be 1 to the last digit.
        count: How many will be drawn.
    """
    ends = np.cumsum(probabilities)
    ends /= ends[-1]
    entries = min(_ENTRIES_OF_OUTCOME << (len(ends) - 1).bit_length(), _MOST_ENTRIES)
    if count < _LEAST_DRAWS_OF_ENTRY * entries:
        return lambda uniform: ends.searchsorted(uniform, side="right")
    edges = np.arange(entries + 1) / entries  # exact, as their number is a power of two
    table = ends.searchsorted(edges[:-1], side="right")
    table[table != ends.searchsorted(edges[1:], side="left")] = -1  # an end is within

    def outcomes(uniform: Array) -> npt.NDArray[np.intp]:
        found = table.take((uniform * entries).astype(np.intp))
        within = np.flatnonzero(found < 0)
        found[within] = ends.searchsorted(uniform[within], side="right")
        return found

    return outcomes


def drawn(
    probabilities: Array, count: int, streams: Callable[[int], Iterator[Array]]
) -> Iterator[tuple[slice, npt.NDArray[np.intp]]]:
    """So many outcomes in chunks, each with its place among all of them.

    Args:
        probabilities: As for `inversion`.
        count: How many are drawn.
        streams: Gives so many uniform numbers in chunks, as `Streams`.
    """
    outcomes_of, begin = inversion(probabilities, count), 0
    for uniform in streams(count):
        yield slice(begin, begin + len(uniform)), outcomes_of(uniform)
        begin += len(uniform)


def packed(
    outcomes: npt.NDArray[np.integer], sources: Sequence[int | None], place: Mapping[int, int]
) -> npt.NDArray[np.uint8]:
    """The bytes of classical bits, as ``BitArray`` holds them: shape (..., bytes), the highest bits in the first byte.

    Args:
        outcomes: Any shape.
        sources: For each bit, the lowest first, its qubit; None: it is 0.
        place: For each qubit that can be 1, which bit of an outcome it is.
    """
    num_bytes = -(-len(sources) // 8)
    array = np.zeros((*outcomes.shape, num_bytes), dtype=np.uint8)
    for bit, qubit in enumerate(sources):
        if qubit is not None and qubit in place:
            ones = (outcomes >> place[qubit] & 1).astype(np.uint8)
            array[..., num_bytes - 1 - bit // 8] |= ones << np.uint8(bit % 8)
    return array


def look_up(table: npt.NDArray[np.uint8], outcomes: npt.NDArray[np.intp], to: npt.NDArray[np.uint8]) -> None:
    """Writes rows of a table (count, bytes) for outcomes (N,) to an array (N, bytes)."""
    num_bytes = table.shape[1]
    if num_bytes in (1, 2, 4, 8):  # as one number each
        numbers, places = table.view(f"u{num_bytes}").ravel(), to.view(f"u{num_bytes}").ravel()
        numbers.take(outcomes, out=places, mode="clip")
    else:
        table.take(outcomes, axis=0, out=to, mode="clip")
