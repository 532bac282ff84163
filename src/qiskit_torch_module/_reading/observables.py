"""Observables of every accepted kind, as Hermitian sums of Pauli strings."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from qiskit.quantum_info import Operator, Pauli, PauliList, SparsePauliOp
from qiskit.quantum_info.operators.base_operator import BaseOperator

from .._core.sizes import counted
from .compat import SparseObservable
from .decompose import is_sparse, matrix_pauli_sum, matrix_strings
from .labels import CODES, codes_of, count_strings, has_projectors, on_zero, strings_of
from .paulis import BYTES_OF_STRING, PHASES, PauliString, PauliSums, Strings, packed, unpacked

__all__ = ["MAX_TERMS", "Observables", "PauliString", "PauliSums", "matrix_pauli_sum", "pauli_sums"]

Observables: TypeAlias = Any  # see `pauli_sums`

# All observables together become at most this many Pauli strings.
MAX_TERMS = 1 << 26


def pauli_sums(observables: Observables, num_qubits: int, idle: Callable[[], Sequence[int]] = tuple) -> PauliSums:
    """The Pauli strings of all observables.

    Args:
        observables: "individualZ" (Z of qubit 0, 1, ...), "tensoredZ" (Z on all qubits at once), or one or a sequence
            of: a Pauli label such as "ZZI" (qubit 0 is the rightmost letter), a ``Pauli``, ``SparsePauliOp``,
            ``SparseObservable``, ``Operator`` or other Qiskit operator, a mapping from label to coefficient, a
            dense or SciPy sparse matrix of shape (2^n, 2^n). A ``PauliList`` is a sequence.
        num_qubits: Number of qubits of the circuit.
        idle: Tells which qubits are known to be in |0>, where projectors are numbers instead of two Pauli strings each.

    Raises:
        TypeError: not one of these kinds.
        ValueError: wrong size, not Hermitian, not a Pauli label, an empty sequence, or too many Pauli strings.
    """
    if isinstance(observables, str) and observables in _NAMES:
        signs = np.eye(num_qubits, dtype=bool) if observables == "individualZ" else np.ones((1, num_qubits), dtype=bool)
        z, count = packed(signs), len(signs)
        return PauliSums(num_qubits, count, np.arange(count, dtype=np.int32), np.zeros_like(z), z, np.ones(count))
    if isinstance(observables, PauliList):
        observables = list(observables)
    if isinstance(observables, _KINDS) or is_sparse(observables):
        observables = [observables]
    if not isinstance(observables, Sequence):
        raise TypeError(
            f"observables: expected 'individualZ', 'tensoredZ', {_EXPECTED}, or a sequence of them, "
            f"got {type(observables).__name__}"
        )
    if len(observables) == 0:
        raise ValueError("observables: expected at least one, got none; 'individualZ' is Z of every qubit")
    return _Reader(num_qubits, idle).sums(observables)


def sums_of_argument(
    argument: str,
    operators: Observables,
    num_qubits: int,
    as_in: str = "the circuit",
    places: Sequence[int] | None = (),
) -> PauliSums:
    """As `pauli_sums`, where errors speak of another argument.

    Args:
        argument: What they call it.
        operators: As for `pauli_sums`.
        num_qubits: Number of qubits.
        as_in: What has so many.
        places: Where the operators are in the argument, if there are others between them; None: it is the only one.
    """

    def named(match: re.Match[str]) -> str:
        if places is None or match[1] is None:
            return argument
        return f"{argument}[{places[int(match[1])] if places else match[1]}]"

    try:
        return pauli_sums(operators, num_qubits)
    except (TypeError, ValueError) as error:
        message = re.sub(r"\Aobservables(?:\[(\d+)\])?", named, str(error)).replace("in the circuit", f"in {as_in}", 1)
        raise type(error)(message) from error


def operators_of(sums: PauliSums) -> list[SparsePauliOp]:
    """Each observable as an operator, which `pauli_sums` reads as it was."""
    bits = [unpacked(masks, sums.num_qubits) for masks in (sums.z, sums.x)]
    begins = np.searchsorted(sums.observable, np.arange(sums.num_observables + 1)).tolist()
    return [
        SparsePauliOp(PauliList.from_symplectic(bits[0][begin:end], bits[1][begin:end]), sums.coefficient[begin:end])
        if end > begin
        else SparsePauliOp.from_sparse_list([("", [], 0.0)], num_qubits=sums.num_qubits)
        for begin, end in itertools.pairwise(begins)
    ]


_KINDS: tuple[Any, ...] = (str, Mapping, BaseOperator, np.ndarray)  # beside sparse matrices
if SparseObservable is not None:
    _KINDS = (*_KINDS, SparseObservable)
# For texts that are words.
_OTHERS = "; other outputs are objects: observables=qtm.outputs.Probabilities(), qtm.outputs.State(), ..."
_EXPECTED = (
    "a Pauli label, a Qiskit operator such as SparsePauliOp, a mapping from Pauli label to coefficient or a matrix"
)
# What stands for a list, and how it is written out on three qubits.
_NAMES = {"individualZ": "'IIZ', 'IZI', 'ZII'", "tensoredZ": "'ZZZ'"}
_LABEL = re.compile("[IXYZ]+")
_LABEL_WITH_PROJECTORS = re.compile("[" + re.escape("".join(CODES)) + "]+")


class _Reader:
    """Reads observables on `num_qubits` qubits, neighbours of one kind together."""

    def __init__(self, num_qubits: int, idle: Callable[[], Sequence[int]]) -> None:
        self.num_qubits = num_qubits
        self._idle = idle
        self._num_strings = 0.0

    def sums(self, observables: Sequence[Any]) -> PauliSums:
        parts: list[Strings] = []
        for read, group in itertools.groupby(enumerate(observables), lambda pair: self._reader(pair[1])):
            parts += [_hermitian(part) for part in read(list(group))]
        columns = zip(*[(part.observable, part.x, part.z, part.coefficient.real) for part in parts], strict=True)
        return PauliSums(self.num_qubits, len(observables), *[np.concatenate(column) for column in columns])

    def _reader(self, observable: Any) -> Callable[[Sequence[tuple[int, Any]]], list[Strings]]:
        if isinstance(observable, SparsePauliOp):
            return self._operators
        if isinstance(observable, Pauli):
            return self._paulis
        if self._is_labelled(observable):
            return self._labels
        return self._others

    def _is_labelled(self, observable: Any) -> bool:
        """Whether all its labels are what they should be; others are read one by one, to say what is wrong."""
        if isinstance(observable, str):
            return len(observable) == self.num_qubits and _LABEL.fullmatch(observable) is not None
        return (
            isinstance(observable, Mapping)
            and len(observable) > 0
            and all(
                isinstance(label, str)
                and len(label) == self.num_qubits
                and _LABEL_WITH_PROJECTORS.fullmatch(label)
                and isinstance(value, (int, float, complex, np.number))
                for label, value in observable.items()
            )
        )

    def _labels(self, numbered: Sequence[tuple[int, Any]]) -> list[Strings]:
        labels: list[str] = []
        coefficients: list[complex] = []
        counts: list[int] = []
        for _, observable in numbered:
            labels += [observable] if isinstance(observable, str) else observable.keys()
            coefficients += [1.0] if isinstance(observable, str) else observable.values()
            counts.append(1 if isinstance(observable, str) else len(observable))
        owners = np.repeat(_indices(numbered), counts)
        return self._products(owners, codes_of(labels, self.num_qubits), np.asarray(coefficients, dtype=complex))

    def _products(
        self, owners: npt.NDArray[np.int32], codes: npt.NDArray[np.uint8], coefficients: npt.NDArray[np.complex128]
    ) -> list[Strings]:
        if has_projectors(codes):
            codes, coefficients = on_zero(codes, coefficients, list(self._idle()))
        self._expect(count_strings(codes))
        return [strings_of(owners, codes, coefficients)]

    def _paulis(self, numbered: Sequence[tuple[int, Pauli]]) -> list[Strings]:
        for index, pauli in numbered:
            self._require_qubits(index, pauli.num_qubits)
        self._expect(len(numbered))
        x = packed(np.stack([pauli.x for _, pauli in numbered]))
        z = packed(np.stack([pauli.z for _, pauli in numbered]))
        return [Strings(_indices(numbered), x, z, PHASES[[pauli.phase for _, pauli in numbered]], is_distinct=True)]

    def _operators(self, numbered: Sequence[tuple[int, SparsePauliOp]]) -> list[Strings]:
        for index, operator in numbered:
            self._require_qubits(index, operator.num_qubits)
        coefficients = np.concatenate([_numbers(index, operator.coeffs) for index, operator in numbered])
        self._expect(len(coefficients))
        paulis = [operator.paulis for _, operator in numbered]
        x, z = packed(np.concatenate([part.x for part in paulis])), packed(np.concatenate([part.z for part in paulis]))
        phases = np.concatenate([part.phase for part in paulis])
        owners = np.repeat(_indices(numbered), [len(part) for part in paulis])
        is_distinct = len(owners) == len(numbered)
        return [Strings(owners, x, z, coefficients * PHASES[phases], is_distinct)]

    def _others(self, numbered: Sequence[tuple[int, Any]]) -> list[Strings]:
        return [strings for index, observable in numbered for strings in self._other(index, observable)]

    def _other(self, index: int, observable: Any) -> list[Strings]:
        if isinstance(observable, (str, Mapping)):
            observable = _labelled(index, observable)
        if isinstance(observable, SparsePauliOp):
            return self._operators([(index, observable)])
        if SparseObservable is not None and isinstance(observable, SparseObservable):
            self._require_qubits(index, observable.num_qubits)
            codes = _codes_of_sparse(observable)
            owners = np.full(len(codes), index, dtype=np.int32)
            return self._products(owners, codes, np.array(observable.coeffs, dtype=complex))
        if isinstance(observable, BaseOperator):
            observable = Operator(observable).data
        if not (isinstance(observable, _KINDS) or is_sparse(observable)):
            raise TypeError(f"observables[{index}]: expected {_EXPECTED}, got {type(observable).__name__}")
        num_qubits, x, z, coefficients = matrix_strings(observable, f"observables[{index}]")
        self._require_qubits(index, num_qubits)
        self._expect(len(coefficients))
        return [Strings(np.full(len(x), index, dtype=np.int32), x, z, coefficients, is_distinct=True)]

    def _require_qubits(self, index: int, num_qubits: int) -> None:
        if num_qubits != self.num_qubits:
            raise ValueError(
                f"observables[{index}]: expected {counted(self.num_qubits, 'qubit')} as in the circuit, got "
                f"{num_qubits}; {remedy_of_width(self.num_qubits, num_qubits)}"
            )

    def _expect(self, num_strings: float) -> None:
        """Refuses what would take too much memory, before it does."""
        self._num_strings += num_strings
        if self._num_strings > MAX_TERMS:
            raise ValueError(
                f"observables: expected at most {MAX_TERMS} Pauli strings in all, got {self._num_strings:.3g}, which "
                f"take {self._num_strings * BYTES_OF_STRING:.3g} bytes; give fewer observables, or fewer projectors"
            )


def remedy_of_width(expected: int, got: int) -> str:
    """What to do with an observable of another number of qubits than its circuit."""
    if got > expected:
        return "leave out the qubits that the circuit lacks"
    return "pad it with identities (I in a label; apply_layout or tensor of an operator)"


def _indices(numbered: Sequence[tuple[int, Any]]) -> npt.NDArray[np.int32]:
    return np.array([index for index, _ in numbered], dtype=np.int32)


def _numbers(index: int, coefficients: Any) -> npt.NDArray[np.complex128]:
    try:
        return np.asarray(coefficients, dtype=complex)
    except TypeError as error:
        raise ValueError(f"observables[{index}]: expected numbers as coefficients; bind its parameters") from error


def _hermitian(strings: Strings) -> Strings:
    """The same with equal strings added up, and without those that are zero.

    Raises:
        ValueError: an observable has coefficients that are not finite, or not real.
    """
    unusual = strings.observable[~np.isfinite(strings.coefficient)]
    if len(unusual) > 0:
        coefficients = strings.coefficient[strings.observable == unusual[0]][:5].tolist()
        raise ValueError(f"observables[{unusual[0]}]: expected finite coefficients, got {coefficients}")
    strings = strings.merged()
    sizes = np.abs(strings.coefficient)
    begins = np.flatnonzero(np.diff(strings.observable, prepend=-1))
    largest = np.maximum.reduceat(sizes, begins) if len(begins) > 0 else sizes
    largest = np.repeat(largest, np.diff(begins, append=len(sizes)))
    unusual = strings.observable[np.abs(strings.coefficient.imag) > 1e-12 * largest]
    if len(unusual) > 0:
        raise ValueError(
            f"observables[{unusual[0]}]: expected a Hermitian operator (equal to its conjugate transpose: real Pauli "
            "coefficients), got one that is not; split it as A = (A + A^dagger)/2 + i (A - A^dagger)/(2i) into two "
            "observables"
        )
    kept = strings.coefficient.real != 0.0
    if kept.all():
        return strings
    return Strings(
        strings.observable[kept], strings.x[kept], strings.z[kept], strings.coefficient[kept], is_distinct=True
    )


def _labelled(index: int, observable: Any) -> Any:
    """Unusual labels, or a mapping from them to coefficients."""
    if isinstance(observable, str) and observable in _NAMES:
        raise ValueError(
            f"observables[{index}]: expected a Pauli label of I, X, Y, Z, got {observable!r}, which is known alone, in "
            f"place of a list; write it out, such as {_NAMES[observable]} on three qubits"
        )
    try:
        if not isinstance(observable, Mapping):
            return SparsePauliOp(observable)
        if SparseObservable is not None and set("".join(map(str, observable))) - set("IXYZ"):
            return SparseObservable.from_list(list(observable.items()))
        return SparsePauliOp(list(observable.keys()), list(observable.values()))
    except Exception as error:
        if isinstance(observable, Mapping):
            raise ValueError(
                f"observables[{index}]: expected a mapping from Pauli labels, a letter for each qubit, to numbers, "
                f"such as {{'ZZ': 0.5, 'XI': 1.0}}, got {observable!r}"
            ) from error
        raise ValueError(
            f"observables[{index}]: expected a Pauli label of I, X, Y, Z (or, in place of a list, "
            "'individualZ', 'tensoredZ'), "
            f"got {observable!r}{_OTHERS if isinstance(observable, str) and not observable.isupper() else ''}"
        ) from error


_LETTERS = {"ZERO": "0", "ONE": "1", "PLUS": "+", "MINUS": "-", "RIGHT": "r", "LEFT": "l"}


def _codes_of_sparse(observable: Any) -> npt.NDArray[np.uint8]:
    """Letters of the terms of a ``SparseObservable``, see `_labels.CODES`; shape (T, num_qubits)."""
    code_of_bit = np.zeros(256, dtype=np.uint8)
    for bit in SparseObservable.BitTerm:
        code_of_bit[int(bit)] = CODES[_LETTERS.get(bit.name, bit.name)]
    bits, begins = np.array(observable.bit_terms, dtype=np.uint8), np.array(observable.boundaries, dtype=np.int64)
    codes = np.zeros((len(begins) - 1, observable.num_qubits), dtype=np.uint8)
    codes[np.repeat(np.arange(len(codes)), np.diff(begins)), np.array(observable.indices, dtype=int)] = code_of_bit[
        bits
    ]
    return codes
