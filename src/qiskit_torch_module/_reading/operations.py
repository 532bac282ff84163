"""What an operation is: decided by its class and in this one place. Its name, which anyone may choose, is only shown.

A gate of the user's own is what its matrix or its definition says, as for Qiskit's simulators.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from qiskit import QuantumCircuit
from qiskit.circuit import Barrier, Delay, Gate, Instruction, Measure, Parameter, ParameterExpression, Reset
from qiskit.circuit import library as circuit_library

from .compat import (
    CONTROL_FLOW,
    BoxOp,
    DiagonalGate,
    ForLoopOp,
    HamiltonianGate,
    Initialize,
    UnitaryGate,
    is_conditioned,
)
from .controls import Annotation, annotation, has_parameters
from .definitions import alone, evolution_of_matrix, preparation, synthesised
from .exponentials import exponential
from .gates import GATES, MAX_DIAGONAL_QUBITS, Step, diagonal_steps, evolution_terms, native_gate, rotation_step
from .matrices import is_dense

# Arrays up to this size stand for themselves.
_MOST_KEY_BYTES = 1 << 12

# A gate of the user's own that has both a definition and a matrix is applied as its matrix up to this size.
_MAX_MATRIX_QUBITS = 6

_CONTROL = "classical control is not supported; put the gates of the branch that is meant into the circuit instead"


# Operations of a circuit, those inside of others included.
MAX_OPERATIONS = 2_000_000


class ResetError(ValueError):
    """A reset of qubits that gates have acted on, after which no single state describes them."""


class TooManyError(ValueError):
    """More operations than `MAX_OPERATIONS`."""

    def __init__(self) -> None:
        super().__init__(
            f"circuit: expected at most {MAX_OPERATIONS} operations, those inside of others included, got more; split "
            "it, or build it from fewer repetitions"
        )


@dataclass(frozen=True)
class Steps:
    """Taken natively: steps from a function that reads angles; ``key`` says all that they depend on."""

    key: tuple[Any, ...]
    steps: Callable[[Callable[[Any], Any]], list[Step]]


@dataclass(frozen=True)
class Circuits:
    """Does what these circuits do one after the other; if ``fresh``, on qubits in |0> only."""

    circuits: Iterable[QuantumCircuit]
    fresh: bool = False


@dataclass(frozen=True)
class Matrix:
    """A matrix of shape (2^k, 2^k), little-endian as everything in Qiskit; whether it is unitary is not known yet."""

    matrix: npt.NDArray[np.complex128]


@dataclass(frozen=True)
class Dense:
    """Applied as it is where its qubits allow it (`dense_operation`); ``key`` says all that it depends on."""

    key: tuple[Any, ...]


@dataclass(frozen=True)
class Amplitudes:
    """Makes, of qubits in |0>, a state of amplitudes with parameters, divided by their norm."""

    amplitudes: tuple[Any, ...]


@dataclass(frozen=True)
class Bound:
    """Can be evaluated only once its parameters are numbers."""


@dataclass(frozen=True)
class ResetQubits:
    """Puts its qubits into |0>."""


Reading = Steps | Circuits | Matrix | Dense | Amplitudes | Bound | ResetQubits | None


def reading(operation: Any, qubits: Sequence[int]) -> Reading:
    """What an operation on the given qubits is; None: it leaves the state as it is.

    Raises:
        ValueError: it is not unitary, or Qiskit cannot evaluate it; the message names operation, qubits and remedy.
    """
    if isinstance(operation, (Barrier, Delay)):
        return None
    _refuse(operation, qubits)
    gate = native_gate(operation)
    if gate is not None:
        return Steps((gate.class_name, operation.num_qubits, *operation.params), lambda read: gate.of(operation, read))
    if isinstance(operation, Reset):
        return ResetQubits()
    if isinstance(operation, Initialize):
        return Circuits((preparation(operation),), fresh=True)
    if isinstance(operation, UnitaryGate):
        return Matrix(np.asarray(operation.params[0], dtype=complex))
    if isinstance(operation, DiagonalGate) and operation.num_qubits <= MAX_DIAGONAL_QUBITS:
        entries = np.asarray(operation.params, dtype=complex)
        return Steps(("diagonal", *operation.params), lambda _: diagonal_steps(np.angle(entries)))
    exact = exponential(operation, qubits)
    if exact is not None:
        return Circuits((alone(exact),))
    if isinstance(operation, circuit_library.PauliEvolutionGate):
        terms = evolution_terms(operation)
        if terms is not None:
            return Steps(
                ("rotations", *(part for term in terms for part in term)),
                lambda read: [rotation_step(letters, on, read(angle)) for letters, on, angle in terms],
            )
    if is_dense(operation):
        state = getattr(operation, "ctrl_state", None)
        return Dense((type(operation).__name__, operation.num_qubits, state, *map(_dense_key, operation.params)))
    if isinstance(operation, HamiltonianGate) and isinstance(operation.params[1], ParameterExpression):
        hamiltonian = np.asarray(operation.params[0], dtype=complex)
        return Circuits((evolution_of_matrix(hamiltonian, operation.params[1]),))
    if isinstance(operation, (BoxOp, ForLoopOp)):
        return Circuits(_bodies(operation, qubits))
    if _is_encoding(operation):
        return Amplitudes(tuple(operation.params))
    annotated = annotation(operation)
    if annotated is not None:
        simpler = _of_annotation(annotated)
        if simpler is not None:
            return simpler
    return of_its_own(operation, qubits)


def _is_encoding(operation: Any) -> bool:
    """Whether it is the instruction behind ``raw_feature_vector`` of qiskit-machine-learning, with free parameters."""
    kind = type(operation)
    is_theirs = kind.__name__ == "ParameterizedInitialize" and kind.__module__.startswith("qiskit_machine_learning.")
    return is_theirs and has_parameters(operation) and not any(isinstance(param, complex) for param in operation.params)


def _of_annotation(annotated: Annotation) -> Steps | Circuits | None:
    base = annotated.base
    steps = annotated.steps()
    if steps is not None:
        key = (type(base).__name__, base.num_qubits, *base.params)
        return Steps(("controlled", annotated.num_controls, annotated.state, *key), steps)
    circuits = annotated.circuits()
    return None if circuits is None else Circuits(circuits)


def of_its_own(operation: Any, qubits: Sequence[int]) -> Circuits | Matrix | Bound:
    """By definition or by matrix. Qiskit's simulators look for a matrix first; for its own gates both are the same."""
    theirs = getattr(operation, "base_class", type(operation)).__module__
    if theirs.partition(".")[0] != "qiskit" and operation.num_qubits <= _MAX_MATRIX_QUBITS:
        matrix = _matrix(operation)
        if matrix is not None:
            return Matrix(matrix)
    why: Exception | None = None
    circuit = None
    try:
        circuit = _definition(operation)
        if circuit is None or circuit.num_qubits != operation.num_qubits:
            circuit = synthesised(operation)
    except Exception as error:  # foreign code may raise anything
        why = error
    if circuit is not None:
        return Circuits((circuit,))
    matrix = _matrix(operation)
    if matrix is not None:
        return Matrix(matrix)
    if has_parameters(operation) and (why is not None or _may_have_matrix(operation)):
        return Bound()
    raise ValueError(_unknown(operation, qubits, why)) from why


def _may_have_matrix(operation: Any) -> bool:
    return hasattr(operation, "__array__") or type(operation) not in (Gate, Instruction)


def _definition(operation: Any) -> QuantumCircuit | None:
    """Its definition, tried on a copy: one that fails halfway would leave half of it behind."""
    if getattr(operation, "_definition", None) is None and type(operation) not in (Gate, Instruction):
        _ = getattr(copy.copy(operation), "definition", None)
    return getattr(operation, "definition", None)


def _matrix(operation: Any) -> npt.NDArray[np.complex128] | None:
    for name in ("to_matrix", "__array__"):
        try:
            return np.asarray(getattr(operation, name)(), dtype=np.complex128)
        except Exception:  # it has none, or none without numbers; foreign code may raise anything
            continue
    return None


def array_key(array: npt.NDArray[Any]) -> bytes:
    """Stands for the content of an array; of a large one, a digest, which is quickly compared and takes no room."""
    content = np.ascontiguousarray(array)
    if content.nbytes <= _MOST_KEY_BYTES:
        return content.tobytes()
    return hashlib.sha256(content.data, usedforsecurity=False).digest()


def _dense_key(param: Any) -> Any:
    return array_key(param) if isinstance(param, np.ndarray) else param


def _bodies(operation: Any, qubits: Sequence[int]) -> Iterator[QuantumCircuit]:
    if isinstance(operation, BoxOp):
        yield operation.blocks[0]
        return
    values, parameter, body = operation.params
    if not isinstance(values, (range, tuple, list)) or not (parameter is None or isinstance(parameter, Parameter)):
        raise ValueError(f"{_named(operation, qubits)}: {_CONTROL}: its bounds are known only when it runs")
    if len(values) * (1 + len(body.data)) > MAX_OPERATIONS:
        raise TooManyError
    for value in values:
        yield body if parameter not in body.parameters else body.assign_parameters({parameter: value})


def _refuse(operation: Any, qubits: Sequence[int]) -> None:
    if isinstance(operation, Measure) and not is_conditioned(operation):
        raise ValueError(
            f"{_named(operation, qubits)}: remove it; circuit.remove_final_measurements() removes those at the end, "
            "which observables replace; one in the middle makes a circuit random, and no single state describes that; "
            "one inside of an instruction is seen to be at the end after circuit.decompose()"
        )
    if isinstance(operation, CONTROL_FLOW):
        raise ValueError(f"{_named(operation, qubits)}: {_CONTROL}")
    # A circuit that became an instruction may have classical bits; what it holds decides.
    uses_bits = getattr(operation, "num_clbits", 0) > 0 and type(operation) is not Instruction
    if is_conditioned(operation) or (uses_bits and not isinstance(operation, (BoxOp, ForLoopOp))):
        raise ValueError(
            f"{_named(operation, qubits)} uses classical bits; only unitary gates are supported, remove or unroll it"
        )


def _named(operation: Any, qubits: Sequence[int]) -> str:
    return f"circuit: '{operation.name}' on qubits {list(qubits)}"


def _unknown(operation: Any, qubits: Sequence[int], why: Exception | None) -> str:
    if why is not None:
        return (
            f"{_named(operation, qubits)}: Qiskit cannot say what it is made of ({type(why).__name__}: {why}); give "
            "it a definition or a matrix, or replace it by gates"
        )
    if not isinstance(operation, Gate) and isinstance(operation, Instruction):
        return (
            f"{_named(operation, qubits)} is not a unitary gate (a noise channel, or an instruction of one simulator); "
            "remove it: circuits are simulated without noise"
        )
    return (
        f"circuit: gate '{operation.name}' on qubits {list(qubits)} is not supported: it is neither native "
        f"({', '.join(sorted(GATES))}) nor has it a definition or a matrix; give it one (definition, __array__), "
        "or, where Qiskit knows one, let qiskit.transpile(circuit, basis_gates=['u', 'cx']) take it apart"
    )
