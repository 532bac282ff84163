"""Programs that were compiled before, found again by the content of circuit and observables."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Sequence
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import CircuitInstruction, Parameter, ParameterExpression
from qiskit.quantum_info import SparsePauliOp

from .._core.collector import without_collections
from .._core.sizes import counted
from .._core.timing import Stopwatch
from .._reading.compat import SparseObservable, num_parameters
from .._reading.gates import Gate
from .._reading.observables import Observables, pauli_sums
from .._reading.operations import (
    Amplitudes,
    Bound,
    Circuits,
    Dense,
    Matrix,
    Reading,
    Steps,
    TooManyError,
    array_key,
)
from .._reading.parameter_expressions import read
from .._reading.walk import Walk
from .compile import compile_program
from .evolution import Evolution
from .output import Output, require_output
from .passes import current_passes
from .program import Program

MAX_PROGRAMS = 128
# Limit of the matrices in all programs; their engines hold them as well.
_MOST_DENSE_BYTES = 64 << 20

_programs: OrderedDict[Hashable, Program] = OrderedDict()
# What circuits do, as long as a program has it: whoever asks for other observables need not compile it again, nor look
# for its layers and its symmetries.
_evolutions: WeakValueDictionary[Hashable, Evolution] = WeakValueDictionary()
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
    require_output(observables)
    sums, stopwatch = None, Stopwatch()
    try:
        observables_key = _observables_key(observables)
        if observables_key is None and not isinstance(observables, Output):  # matrices and the like take long: once
            sums = pauli_sums(observables, circuit.num_qubits)
            observables_key = sums
            stopwatch.stage(f"{counted(sums.num_observables, 'observable')} read")
        circuit_key = (_content(circuit), tuple(encoding), tuple(map(tuple, variational)), current_passes())
        key = (circuit_key, observables_key)
    except TooManyError:
        raise
    except (AttributeError, TypeError, ValueError):
        return compile_program(circuit, observables, encoding, variational)  # says what is wrong
    with _lock:
        program = _programs.get(key)
        if program is not None:
            _programs.move_to_end(key)
            return program
        is_alone = not (isinstance(observables, Output) and observables.circuits)
        evolution = _evolutions.get(circuit_key) if is_alone else None
    program = compile_program(circuit, observables, encoding, variational, sums, stopwatch, evolution)
    with _lock:
        _programs[key] = program
        if program.expectation_values is not None:
            _evolutions.setdefault(circuit_key, program.evolution)
        while len(_programs) > 1 and (len(_programs) > MAX_PROGRAMS or _dense_bytes() > _MOST_DENSE_BYTES):
            _programs.popitem(last=False)
    return program


def _dense_bytes() -> int:
    evolutions = {id(program.evolution): program.evolution for program in _programs.values()}
    return sum(evolution.dense_bytes for evolution in evolutions.values())


class _Content:
    """Stands for what a nested circuit holds: one object for the same content, as long as something refers to it."""

    __slots__ = ("__weakref__",)


_contents: WeakValueDictionary[tuple[Hashable, ...], _Content] = WeakValueDictionary()


def _interned(content: tuple[Hashable, ...]) -> _Content:
    with _lock:
        interned = _contents.get(content)
        if interned is None:
            interned = _contents[content] = _Content()
        return interned


def _content(circuit: QuantumCircuit) -> tuple[Hashable, ...]:
    """What a circuit holds, as a flat tuple in which each nested circuit, read once, is one entry.

    Raises:
        TooManyError: with all repetitions there are too many operations.
    """
    listing = _Listing()
    listing.over(circuit)
    return tuple(listing.content)


class _Listing(Walk):
    """Lists what a circuit holds: one list for each, since a tuple for each gate is twice the work for the collector.

    Attributes:
        content: That of the circuit that is open.
    """

    def __init__(self) -> None:
        self.content: list[Hashable] = []
        self._around: list[tuple[list[Hashable], int]] = []  # contents of the circuits around, operations before
        # Content and number of operations by identity; with the circuit, so that its identity is not used again.
        self._known: dict[int, tuple[QuantumCircuit, _Content, int]] = {}

    def enter(self, circuit: QuantumCircuit, on: Sequence[int]) -> Sequence[int] | None:
        known = self._known.get(id(circuit))
        if known is not None:
            self.content.append(known[1])
            self.count(known[2])
            return None
        self._around.append((self.content, self.num_operations))
        self.content = [circuit.num_qubits, _angle(circuit.global_phase)]
        return range(circuit.num_qubits)

    def leave(self, circuit: QuantumCircuit) -> None:
        around, operations_before = self._around.pop()
        if not self._around:
            return
        content = _interned(tuple(self.content))
        self._known[id(circuit)] = circuit, content, self.num_operations - operations_before
        around.append(content)
        self.content = around

    def gate(self, gate: Gate, instruction: CircuitInstruction, qubits: list[int]) -> None:
        self.content += [instruction.name, *map(_angle, instruction.params), *qubits]

    def operation(self, kind: Reading, operation: Any, qubits: list[int]) -> Iterable[QuantumCircuit] | None:
        if isinstance(kind, Circuits):
            self.content += ["circuits", kind.fresh, *qubits]
            return kind.circuits
        if isinstance(kind, (Dense, Steps)):
            self.content += map(_angle, kind.key)
        elif isinstance(kind, Amplitudes):
            self.content += ["amplitudes", *map(_angle, kind.amplitudes)]
        elif isinstance(kind, Bound):  # its code may answer differently the next time: never found again
            self.content.append(object())
        elif isinstance(kind, Matrix):
            self.content += ["matrix", kind.matrix.shape, array_key(kind.matrix)]
        else:
            self.content.append("reset")
        self.content += qubits
        return None


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
    keys = tuple([_observable_key(observable) for observable in observables])
    return None if None in keys else keys


_SPARSE = () if SparseObservable is None else (SparseObservable,)


def _observable_key(observable: Any) -> Hashable | None:
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
