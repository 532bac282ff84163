"""Probabilities of outcomes, and of classes of outcomes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from .._core.arguments import whole_number
from .._program.output import Output
from .._reading.paulis import OfArrays
from .qubits import num_qubits_of, outcomes, qubits_of, require_within
from .squares import squares

# Outcomes of more qubits than any state in memory has are not interpreted one by one.
_MOST_INTERPRETED = 28


@dataclass(frozen=True, eq=False)
class Classes(OfArrays):
    """The class of each of 2^k outcomes: an index into the classes, of which the last dimension changes fastest."""

    numbers: npt.NDArray[np.int64]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return self.numbers.astype(self.numbers.dtype if dtype is None else dtype)

    def __repr__(self) -> str:
        return np.array2string(self.numbers, separator=", ", threshold=8)


@dataclass(frozen=True)
class Probabilities(Output):
    """Probabilities of the outcomes of some qubits, or of classes of outcomes.

    Shape (2^k,) for k qubits, as ``qiskit.quantum_info.Statevector.probabilities(qubits)`` has them: the first qubit is
    the lowest bit of an outcome. With `interpret`, shape `output_shape`.

    Args:
        qubits: Which qubits are measured, in this order; None: those that the circuit measures at its end, in the order
            of its classical bits, or all of a circuit that measures nothing.
        interpret: The class of each outcome: a function of an outcome, which is called once for each of the 2^k when
            the output or the module is made, and returns a number, or a tuple or array of numbers, one for each
            dimension of `output_shape`; or an array of what it would return.
        output_shape: How many classes there are, in each dimension; None: one more than the largest that occurs.

    Raises:
        TypeError: an argument is of the wrong kind.
        ValueError: a qubit twice, or one that the circuit does not have; a class out of range, whose outcome is named.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> state = qtm.QuantumModule(
        ...     circuit, x, w, observables=qtm.outputs.Probabilities(), seed_init=0
        ... )
        >>> probabilities = state(torch.zeros(3, 2))
        >>> probabilities.shape
        torch.Size([3, 4])
        >>> torch.allclose(probabilities.sum(1), torch.ones(3))
        True
    """

    qubits: tuple[int, ...] | None = None
    interpret: Callable[[int], Any] | Classes | Any = None
    output_shape: tuple[int, ...] | None = None

    is_traceable = True

    def __post_init__(self) -> None:
        if self.qubits is not None:
            object.__setattr__(self, "qubits", qubits_of(self.qubits))
        if self.output_shape is not None:
            object.__setattr__(self, "output_shape", _shape_of(self.output_shape))
        if self.interpret is None or (callable(self.interpret) and self.qubits is None):
            return
        classes, shape = _classes(self.interpret, self.qubits, self.output_shape)
        object.__setattr__(self, "interpret", classes)
        object.__setattr__(self, "output_shape", shape)

    def measured(self, qubits: Sequence[int]) -> Probabilities:
        """Of the measured qubits, unless some are named; one that is measured into several bits is read once."""
        if self.qubits is not None:
            return self
        distinct = tuple(dict.fromkeys(qubits))
        if len(distinct) == len(qubits):
            return replace(self, qubits=distinct)
        size = 1 << len(qubits)
        places = [distinct.index(qubit) for qubit in qubits]
        numbers = [_gathered(outcome, places) for outcome in range(1 << len(_few(distinct)))]
        if self.interpret is None:
            self._require_size(size)
            return replace(self, qubits=distinct, interpret=numbers, output_shape=(size,))
        if not isinstance(self.interpret, Classes):
            return replace(self, qubits=distinct, interpret=[self.interpret(number) for number in numbers])
        _require_count(self.interpret, size)
        return replace(self, qubits=distinct, interpret=Classes(self.interpret.numbers[numbers]))

    def settled(self, num_qubits: int) -> Probabilities:
        """With all outcomes interpreted."""
        if self.interpret is None or isinstance(self.interpret, Classes):
            return self
        return replace(replace(self, qubits=tuple(range(num_qubits))), qubits=None)

    def _found(self, num_qubits: int) -> Classes:
        classes = self.settled(num_qubits).interpret
        assert isinstance(classes, Classes)
        return classes

    def shape(self, num_qubits: int) -> tuple[int, ...]:
        """Shape (2^k,) or `output_shape`."""
        if self.qubits is not None:
            require_within(self.qubits, num_qubits)
        size = 1 << (num_qubits if self.qubits is None else len(self.qubits))
        if self.interpret is None:
            self._require_size(size)
            return (size,)
        _require_count(self._found(num_qubits), size)
        shape = self.settled(num_qubits).output_shape
        assert shape is not None
        return shape

    def _require_size(self, size: int) -> None:
        if self.output_shape not in (None, (size,)):
            raise ValueError(
                f"output_shape: expected ({size},), as there are so many outcomes, got {self.output_shape}; give "
                "interpret to put them into classes"
            )

    def is_of_outcomes(self, num_qubits: int) -> bool:
        """Of all qubits in their order, unless outcomes are put into classes."""
        return self.interpret is None and self.qubits in (None, tuple(range(num_qubits)))

    def qubits_read(self) -> frozenset[int] | None:
        """Those that are named."""
        return None if self.qubits is None else frozenset(self.qubits)

    def renumbered(self, places: Mapping[int, int]) -> Probabilities:
        """Of the same qubits at other places."""
        assert self.qubits is not None
        return replace(self, qubits=tuple([places[qubit] for qubit in self.qubits]))

    def workspace(self, num_qubits: int) -> int:
        """Squares of all amplitudes."""
        return (1 << num_qubits) + math.prod(self.shape(num_qubits))

    def read(self, state: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        """Squares of amplitudes, added up."""
        num_qubits = num_qubits_of(state)
        found = squares(state)
        qubits = tuple(range(num_qubits)) if self.qubits is None else self.qubits
        if qubits != tuple(range(num_qubits)):
            found = _added_up(found, outcomes(num_qubits, qubits), 1 << len(qubits))
        if self.interpret is None:
            return found
        shape = self.shape(num_qubits)
        numbers = torch.from_numpy(self._found(num_qubits).numbers.copy())
        return _added_up(found, numbers, math.prod(shape)).reshape(state.shape[0], *shape)


def _added_up(values: torch.Tensor, places: torch.Tensor, size: int) -> torch.Tensor:
    """Values (B, N) at their places (N,) among so many."""
    return values.new_zeros(values.shape[0], size).index_add(1, places.to(values.device), values)


def _require_count(classes: Classes, size: int) -> None:
    count = len(classes.numbers)
    if count != size:
        raise ValueError(f"interpret: expected a class for each of {size} outcomes of the circuit, got {count}")


def _gathered(outcome: int, places: Sequence[int]) -> int:
    """The number whose bits are those of an outcome at these places, the lowest first."""
    return sum((outcome >> place & 1) << bit for bit, place in enumerate(places))


def _shape_of(given: Any) -> tuple[int, ...]:
    sizes = given if isinstance(given, Iterable) else [given]
    shape = tuple([whole_number(size, "output_shape", 1) for size in sizes])
    if not shape:
        raise ValueError("output_shape: expected at least one dimension, got none")
    return shape


def _classes(
    interpret: Any, qubits: Sequence[int] | None, shape: tuple[int, ...] | None
) -> tuple[Classes, tuple[int, ...]]:
    """The class of each outcome, and the shape of the classes."""
    if isinstance(interpret, Classes):
        return _sound(interpret, shape)
    if callable(interpret):
        interpret = [interpret(outcome) for outcome in range(1 << len(_few(qubits)))]
    rows = _rows(interpret)
    count = len(rows)
    if count.bit_count() != 1 or (qubits is not None and count != 1 << len(qubits)):
        expected = "a power of two" if qubits is None else f"{1 << len(qubits)}"
        raise ValueError(f"interpret: expected a class for each outcome, {expected} of them, got {count}")
    if shape is None:
        shape = tuple((rows.max(0) + 1).tolist())
    if rows.shape[1] != len(shape):
        raise ValueError(
            f"interpret: expected {len(shape)} numbers for each outcome, as output_shape is {shape}, got "
            f"{rows.shape[1]}; give one for each dimension of output_shape"
        )
    wrong = np.flatnonzero(((rows < 0) | (rows >= np.array(shape))).any(1))
    if len(wrong):
        outcome, number = int(wrong[0]), rows[wrong[0]].tolist()
        raise ValueError(
            f"interpret: expected classes within output_shape {shape}, got {number[0] if len(number) == 1 else number} "
            f"for outcome {outcome} ({outcome:0{count.bit_length() - 1}b})"
        )
    return Classes(np.ravel_multi_index(tuple(rows.T), shape).astype(np.int64)), shape


def _few(qubits: Sequence[int] | None) -> Sequence[int]:
    assert qubits is not None
    if len(qubits) > _MOST_INTERPRETED:
        raise ValueError(
            f"interpret: expected a function of at most {_MOST_INTERPRETED} qubits, got {len(qubits)}; name the qubits "
            "it depends on"
        )
    return qubits


def _rows(given: Any) -> npt.NDArray[np.int64]:
    """Classes (2^k, d) as they are given: integers, or one for each of d dimensions."""
    try:
        rows = np.asarray(given)
    except ValueError:  # of different lengths
        rows = np.empty(0, dtype=object)
    if rows.dtype.kind not in "iub" or rows.ndim not in (1, 2) or rows.size == 0:
        raise TypeError(
            "interpret: expected a function that gives a whole number, or as many for each outcome as output_shape has "
            f"dimensions, or an array of these, got {_odd_one(given)}"
        )
    return rows.astype(np.int64).reshape(len(rows), -1)


def _odd_one(given: Any) -> str:
    """What is wrong with classes: the first one that is no whole number, or no sequence of so many."""
    if not isinstance(given, (list, tuple)):
        return repr(given) if not isinstance(given, np.ndarray) else f"shape {given.shape} of {given.dtype}"
    for outcome, number in enumerate(given):
        one = np.asarray(number)
        if one.dtype.kind not in "iub" or one.shape != np.shape(given[0]) or one.ndim > 1:
            return f"{number!r} for outcome {outcome}"
    return repr(given)


def _sound(classes: Classes, shape: tuple[int, ...] | None) -> tuple[Classes, tuple[int, ...]]:
    """Classes that were found before, and their shape."""
    numbers = classes.numbers
    if numbers.ndim != 1 or len(numbers).bit_count() != 1 or shape is None:
        raise ValueError("interpret: expected classes of a power of two of outcomes, and their output_shape")
    if numbers.min() < 0 or numbers.max() >= math.prod(shape):
        raise ValueError(f"interpret: expected classes within output_shape {shape}")
    return classes, shape
