"""Programs that were compiled before, found again by the content of circuit and observables."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import CircuitInstruction, Parameter, ParameterExpression
from qiskit.quantum_info import SparsePauliOp

from .._core.collector import without_collections
from .._core.timing import Stopwatch
from .._reading.compat import SparseObservable, num_parameters
from .._reading.gates import plain_gate
from .._reading.observables import Observables, pauli_sums
from .._reading.operations import (
    MAX_OPERATIONS,
    Amplitudes,
    Bound,
    Circuits,
    Dense,
    Matrix,
    Steps,
    TooManyError,
    array_key,
    reading,
)
from .._reading.parameter_expressions import read
from .compile import compile_program
from .output import Output
from .passes import current_passes
from .program import Program

MAX_PROGRAMS = 128
# Of matrices in programs; their engines have them as well.
_MOST_DENSE_BYTES = 64 << 20

_programs: OrderedDict[Hashable, Program] = OrderedDict()
_lock = threading.Lock()


@without_collections
def cached_program(
    circuit: QuantumCircuit,
    observables: Observables | Output,
    encoding: Sequence[Parameter],
    variational: Sequence[Sequence[Parameter]] = (),
) -> Program:
    """What `compile_program` makes of the same arguments, now or before.

    Circuits are compared gate by gate, so that one changed in place is a new one.

    Raises:
        TypeError, ValueError: as `compile_program`.
    """
    sums, stopwatch = None, Stopwatch()
    try:
        observables_key = _observables_key(observables)
        if observables_key is None and not isinstance(observables, Output):  # matrices and the like take long: once
            sums = pauli_sums(observables, circuit.num_qubits)
            observables_key = sums
            stopwatch.stage(f"{sums.num_observables:,} observables read")
        key = (
            _content(circuit),
            observables_key,
            tuple(encoding),
            tuple(map(tuple, variational)),
            current_passes(),
        )
    except TooManyError:
        raise
    except (AttributeError, TypeError, ValueError):
        return compile_program(circuit, observables, encoding, variational)  # says what is wrong
    with _lock:
        program = _programs.get(key)
        if program is not None:
            _programs.move_to_end(key)
            return program
    program = compile_program(circuit, observables, encoding, variational, sums, stopwatch)
    with _lock:
        _programs[key] = program
        while len(_programs) > 1 and (len(_programs) > MAX_PROGRAMS or _dense_bytes() > _MOST_DENSE_BYTES):
            _programs.popitem(last=False)
    return program


def _dense_bytes() -> int:
    return sum(program.evolution.dense_bytes for program in _programs.values())


class _Content:
    """Stands for what a nested circuit holds: the same object for the same content, as long as somebody has it."""

    __slots__ = ("__weakref__",)


_contents: WeakValueDictionary[tuple[Hashable, ...], _Content] = WeakValueDictionary()


def _interned(content: tuple[Hashable, ...]) -> _Content:
    with _lock:
        found = _contents.get(content)
        if found is None:
            found = _contents[content] = _Content()
        return found


def _content(circuit: QuantumCircuit) -> tuple[Hashable, ...]:
    """What a circuit holds, as a flat tuple in which each nested circuit, read once, is one entry.

    Raises:
        TooManyError: with all repetitions there are too many operations.
    """
    known: dict[int, tuple[_Opened, _Content]] = {}
    opened = [_Opened(circuit)]
    while True:
        top = opened[-1]
        inner = top.advance(known)
        if inner is not None:
            opened.append(_Opened(inner))
            continue
        content = tuple(top.content)
        opened.pop()
        if not opened:
            return content
        known[id(top.circuit)] = (top, _interned(content))  # with the circuit, lest its id is used again


class _Opened:
    """A circuit that is being read: one list for all, since a tuple for each gate is twice the collector's work.

    Attributes:
        circuit: The circuit.
        content: What it holds.
        num_operations: Its operations, those inside of others included.
    """

    def __init__(self, circuit: QuantumCircuit) -> None:
        self.circuit = circuit
        self.content: list[Hashable] = [circuit.num_qubits, _angle(circuit.global_phase)]
        self.num_operations = len(circuit.data)
        self._position = {bit: index for index, bit in enumerate(circuit.qubits)}
        self._instructions = iter(circuit.data)
        self._parts: Iterator[QuantumCircuit] = iter(())
        self._part: QuantumCircuit | None = None

    def advance(self, known: Mapping[int, tuple[_Opened, _Content]]) -> QuantumCircuit | None:
        """Goes on to the next nested circuit that is not known yet; None: the end."""
        while True:
            while self._part is not None:
                if id(self._part) not in known:
                    return self._part
                part, content = known[id(self._part)]
                self.content.append(content)
                self.num_operations += 1 + part.num_operations
                if self.num_operations > MAX_OPERATIONS:
                    raise TooManyError
                self._part = next(self._parts, None)
            for instruction in self._instructions:
                self._add(instruction)
                if self._part is not None:
                    break
            else:
                return None

    def _add(self, instruction: CircuitInstruction) -> None:
        qubits = [self._position[bit] for bit in instruction.qubits]
        gate = plain_gate(instruction)
        if gate is not None:
            self.content += [instruction.name, *map(_angle, instruction.params), *qubits]
            return
        found = reading(instruction.operation, qubits)
        if found is None:
            return
        if isinstance(found, Circuits):
            self._parts = iter(found.circuits)
            self._part = next(self._parts, None)
            self.content += ["circuits", found.fresh]
        elif isinstance(found, (Dense, Steps)):
            self.content += map(_angle, found.key)
        elif isinstance(found, Amplitudes):
            self.content += ["amplitudes", *map(_angle, found.amplitudes)]
        elif isinstance(found, Bound):  # its code may answer differently the next time: never found again
            self.content.append(object())
        elif isinstance(found, Matrix):
            self.content += ["matrix", found.matrix.shape, array_key(found.matrix)]
        else:
            self.content.append("reset")
        self.content += qubits


def _angle(angle: Any) -> Hashable:
    if isinstance(angle, ParameterExpression) and not isinstance(angle, Parameter):
        return read(angle) if num_parameters(angle) else complex(angle)
    return float(angle) if isinstance(angle, np.generic) else angle


def _observables_key(observables: Observables | Output) -> Hashable | None:
    """What stands for observables that need no conversion to be compared; None: they do."""
    if isinstance(observables, (str, Output)):
        return observables
    if isinstance(observables, (SparsePauliOp, *_SPARSE)):
        observables = [observables]
    if not isinstance(observables, Sequence):
        return None
    keys = tuple([_key_of_one(one) for one in observables])
    return None if None in keys else keys


_SPARSE = () if SparseObservable is None else (SparseObservable,)


def _key_of_one(observable: Any) -> Hashable | None:
    if isinstance(observable, str):
        return observable
    if isinstance(observable, SparsePauliOp):
        return _sum_key(observable)
    if isinstance(observable, dict):
        return ("labels", *observable.items())
    if isinstance(observable, _SPARSE):
        parts = (observable.coeffs, observable.bit_terms, observable.indices, observable.boundaries)
        return (observable.num_qubits, *(np.array(part).tobytes() for part in parts))
    return None


def _sum_key(observable: SparsePauliOp) -> Hashable:
    paulis = observable.paulis
    coefficients = np.asarray(observable.coeffs)
    if coefficients.dtype == object:
        return id(observable)  # has parameters: refused
    return (paulis.num_qubits, paulis.x.tobytes(), paulis.z.tobytes(), paulis.phase.tobytes(), coefficients.tobytes())
