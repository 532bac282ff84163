"""Results of samplers: one array of bits for each classical register."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .._reading import compat
from .._reading.measurements import Register
from .._simulation.draws import Streams, drawn
from .._simulation.room import require_bytes
from .measured import Measured

Array = npt.NDArray[np.float64]


class ExactBitArray(compat.BitArray):  # type: ignore[misc]
    """Bits that were drawn, with counts that were not: the number of shots times the exact probability.

    Slices of shots and of bits, and what is concatenated, are drawn bits like any others.
    """

    def __init__(
        self, array: npt.NDArray[np.uint8], probabilities: Array, work: Measured, sources: Sequence[int | None]
    ) -> None:
        super().__init__(array, len(sources))
        self._probabilities = probabilities  # (*shape, outcomes)
        self._work, self._sources = work, tuple(sources)  # which qubit is measured into each bit

    def get_int_counts(self, loc: Any = None) -> dict[int, float]:
        """The number of shots times the probability of each number; of all positions together if none is given.

        Where there is but one, any position is that: networks without parameters ask for the first.
        """
        chosen = self._probabilities if loc is None or not self.shape else self._probabilities[loc]
        rows = chosen.reshape(-1, chosen.shape[-1])
        # Half is half: not to more digits than there are.
        expected = self.num_shots * (rows / rows.sum(1, keepdims=True)).round(15).sum(0)
        possible = np.flatnonzero(expected)
        numbers = self._work.numbers_of(possible, self._sources)
        counts: dict[int, float] = {}
        for number, count in zip(numbers.tolist(), expected[possible].tolist(), strict=True):
            counts[number] = counts.get(number, 0.0) + count
        return counts

    def get_counts(self, loc: Any = None) -> dict[str, float]:
        """The same with strings of bits as keys."""
        return {format(number, f"0{self.num_bits}b"): count for number, count in self.get_int_counts(loc).items()}

    def __getitem__(self, indices: Any) -> Any:
        found = super().__getitem__(indices)
        listed = indices if isinstance(indices, tuple) else (indices,)
        if sum(index is not None and index is not Ellipsis for index in listed) > self.ndim:
            return found  # of some shots
        return self._like(found, self._probabilities[indices])

    def reshape(self, *shape: Any) -> Any:
        """As ``BitArray.reshape``; counts stay exact where it leaves shots as they are."""
        found = super().reshape(*shape)
        if found.num_shots != self.num_shots:
            return found
        return self._like(found, self._probabilities.reshape(*found.shape, -1))

    def transpose(self, *axes: Any) -> Any:
        """As ``BitArray.transpose``."""
        places = np.arange(self._probabilities[..., 0].size).reshape(self.shape).transpose(*axes)
        flat = self._probabilities.reshape(places.size, -1)
        return self._like(super().transpose(*axes), flat[places])

    def _like(self, bits: Any, probabilities: Array) -> ExactBitArray:
        return ExactBitArray(bits.array, probabilities, self._work, self._sources)

    def joined(self, others: Sequence[ExactBitArray], bits: Any) -> ExactBitArray:
        """Those of several registers together, of the same outcomes; the first one has the lowest bits."""
        sources = [source for part in (self, *others) for source in part._sources]
        return ExactBitArray(bits.array, self._probabilities, self._work, sources)


class ExactPubResult(compat.SamplerPubResult):  # type: ignore[misc]
    """The result of a PUB with counts that are exact."""

    def join_data(self, names: Iterable[str] | None = None) -> Any:
        """As ``SamplerPubResult.join_data``, with counts that are exact."""
        listed = None if names is None else list(names)
        bits, data = super().join_data(listed), self.data
        first, *others = [data[name] for name in (listed or data)]
        return first.joined(others, bits)


def require_room_for_bits(pubs: Sequence[Any]) -> None:
    """Checks that the bits of PUBs fit the memory budget.

    Raises:
        ValueError: they do not.
    """
    size = sum(
        pub.parameter_values.size * pub.shots * sum(-(-len(register) // 8) for register in pub.circuit.cregs)
        for pub in pubs
    )
    most = max((pub.shots for pub in pubs), default=0)
    require_bytes(size, f"shots: the bits of {most:,} shots", "draw fewer, take exact `probabilities`")


def require_room_for_tables(pubs: Sequence[Any], works: Mapping[int, Measured]) -> None:
    """Checks that all probabilities of PUBs whose counts are exact fit the memory budget.

    Raises:
        ValueError: they do not.
    """
    size = sum(8 * pub.parameter_values.size * works[id(pub.circuit)].outcomes.count for pub in pubs)
    require_bytes(size, "pubs: their exact counts", "draw with exact=False, or give fewer at once")


class Shots:
    """Those of one PUB, collected row by row.

    Args:
        work: The circuit, compiled.
        pub: The PUB.
        exact: Whether counts are exact.
    """

    def __init__(self, work: Measured, pub: Any, exact: bool) -> None:
        self._work, self._pub = work, pub
        registers, size = work.measurements.registers, pub.parameter_values.size
        self._arrays = [
            np.zeros((size, pub.shots, -(-len(register.bits) // 8)), dtype=np.uint8) for register in registers
        ]
        self._writers = [work.writer(work.measurements.sources(register), size * pub.shots) for register in registers]
        self._probabilities = np.empty((size, work.outcomes.count)) if exact else None

    def draw(self, row: int, probabilities: Array, streams: Streams) -> None:
        """Draws a row; nothing where nothing is measured, as in Qiskit, whose streams stay the same then."""
        if self._probabilities is not None:
            self._probabilities[row] = probabilities
        if not self._work.measurements.qubits:
            return
        for chunk, outcomes in drawn(probabilities, self._pub.shots, streams):
            for array, write in zip(self._arrays, self._writers, strict=True):
                write(outcomes, array[row, chunk])

    def result(self) -> Any:
        """The result of the PUB."""
        shape = self._pub.shape
        fields = {
            register.name: self._bits(array.reshape(*shape, *array.shape[1:]), register)
            for register, array in zip(self._work.measurements.registers, self._arrays, strict=True)
        }
        kind = compat.SamplerPubResult if self._probabilities is None else ExactPubResult
        return kind(compat.data_bin(shape, fields), metadata=compat.sampler_metadata(self._pub))

    def _bits(self, array: npt.NDArray[np.uint8], register: Register) -> Any:
        if self._probabilities is None:
            return compat.BitArray(array, len(register.bits))
        sources = self._work.measurements.sources(register)
        return ExactBitArray(array, self._probabilities.reshape(*self._pub.shape, -1), self._work, sources)
