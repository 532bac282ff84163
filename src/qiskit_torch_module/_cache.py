"""Programs that were compiled before, found again by the content of circuit and observables."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterExpression
from qiskit.quantum_info import SparsePauliOp

from ._collector import without_collections
from ._compat import expression_steps
from ._compile import compile_program
from ._definitions import definition
from ._gates import is_standard, operation_of
from ._matrices import is_dense
from ._observables import Observables, pauli_sums
from ._passes import current_passes
from ._program import Program

MAX_PROGRAMS = 128

_programs: OrderedDict[Hashable, Program] = OrderedDict()
_lock = threading.Lock()


@without_collections
def cached_program(
    circuit: QuantumCircuit,
    observables: Observables,
    encoding: Sequence[Parameter],
    variational: Sequence[Sequence[Parameter]] = (),
) -> Program:
    """What `compile_program` makes of the same arguments, now or before.

    Circuits are compared gate by gate, so that one changed in place is a new one.

    Raises:
        TypeError, ValueError: as `compile_program`.
    """
    sums = None
    try:
        observables_key = _observables_key(observables)
        if observables_key is None:  # matrices and the like take long: once
            sums = pauli_sums(observables, circuit.num_qubits)
            observables_key = tuple(map(tuple, sums))
        key = (
            _content(circuit),
            observables_key,
            tuple(encoding),
            tuple(map(tuple, variational)),
            current_passes(),
        )
    except (AttributeError, TypeError, ValueError):
        return compile_program(circuit, observables, encoding, variational)  # says what is wrong
    with _lock:
        program = _programs.get(key)
        if program is not None:
            _programs.move_to_end(key)
            return program
    program = compile_program(circuit, observables, encoding, variational, sums)
    with _lock:
        _programs[key] = program
        if len(_programs) > MAX_PROGRAMS:
            _programs.popitem(last=False)
    return program


def _content(circuit: QuantumCircuit) -> Hashable:
    position = {bit: index for index, bit in enumerate(circuit.qubits)}
    content = [len(position), _angle(circuit.global_phase)]
    for instruction in circuit.data:  # all in one tuple: a tuple for each is twice the work of Python's collector
        content += _operation(operation_of(instruction))
        content += [position[bit] for bit in instruction.qubits]
    return tuple(content)


def _operation(operation: Any) -> tuple[Hashable, ...]:
    if is_standard(operation):
        return (operation.name, *map(_angle, operation.params))
    if getattr(operation, "num_clbits", 0):
        return (operation.name, id(operation))  # refused
    if is_dense(operation):
        return (type(operation), operation.num_qubits, *map(_dense_param, operation.params))
    return (operation.name, _content(definition(operation, [])))


def _dense_param(param: Any) -> Hashable:
    return param.tobytes() if isinstance(param, np.ndarray) else _angle(param)


def _angle(angle: Any) -> Hashable:
    if isinstance(angle, ParameterExpression) and not isinstance(angle, Parameter):
        return tuple(expression_steps(angle))  # Qiskit's own hash fails for some (2.6)
    return float(angle) if isinstance(angle, np.generic) else angle


def _observables_key(observables: Observables) -> Hashable | None:
    """What stands for observables that need no conversion to be compared; None: they do."""
    if isinstance(observables, str):
        return observables
    if isinstance(observables, SparsePauliOp):
        observables = [observables]
    if isinstance(observables, Sequence):
        if all(isinstance(one, str) for one in observables):
            return tuple(observables)
        if all(isinstance(one, SparsePauliOp) for one in observables):
            return tuple(_sum_key(one) for one in observables)
        if all(isinstance(one, dict) for one in observables):
            return tuple(tuple(one.items()) for one in observables)
    return None


def _sum_key(observable: SparsePauliOp) -> Hashable:
    paulis = observable.paulis
    coefficients = np.asarray(observable.coeffs)
    if coefficients.dtype == object:
        return id(observable)  # has parameters: refused
    return (paulis.num_qubits, paulis.x.tobytes(), paulis.z.tobytes(), paulis.phase.tobytes(), coefficients.tobytes())
