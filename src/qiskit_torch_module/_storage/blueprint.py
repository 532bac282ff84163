"""A circuit as plain data, and back, the same in every version of Qiskit.

Gates are named where all versions know them; others are written as what they are made of. QPY, Qiskit's own format, is
not used: it loses gates and angles in some releases, evaluates expressions in others, and only newer ones read it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import qiskit
from qiskit import QuantumCircuit, QuantumRegister
from qiskit.circuit import (
    Barrier,
    CircuitInstruction,
    ControlledGate,
    Delay,
    Gate,
    Instruction,
    Parameter,
    ParameterExpression,
    Reset,
    library,
)
from qiskit.circuit.exceptions import CircuitError
from qiskit.quantum_info import SparsePauliOp

from .._core.strict_json import parsed_json
from .._reading.angles import Angles
from .._reading.compat import DiagonalGate, HamiltonianGate, UnitaryGate
from .._reading.expressions import renamed
from .._reading.gates import GATES, Step
from .._reading.gates import Gate as NativeGate
from .._reading.matrices import MatrixStep, dense_operation
from .._reading.operations import Amplitudes, Circuits, Dense, Matrix, Reading, ResetQubits, Steps, of_its_own
from .._reading.parameter_expressions import read
from .._reading.polynomials import Polynomial
from .._reading.walk import Walk
from .portable import require_expression, written_expression

# Far more qubits than a circuit that can be simulated has, most of them idle.
MAX_QUBITS = 1 << 14
# Operations inside of gates with parameters, which Qiskit copies wherever it puts them.
MAX_COPIES = 1 << 14
_LONGEST_NAME = 1 << 12

# Gates of Qiskit that are known by name, besides the native ones: class, number of qubits and of angles.
_KNOWN: dict[str, tuple[str, int | None, int]] = {
    **{name: (gate.class_name, gate.num_qubits, gate.num_angles) for name, gate in GATES.items()},
    "ch": ("CHGate", 2, 0),
    "cs": ("CSGate", 2, 0),
    "csdg": ("CSdgGate", 2, 0),
    "csx": ("CSXGate", 2, 0),
    "cu": ("CUGate", 2, 4),
    "cu3": ("CU3Gate", 2, 3),
    "iswap": ("iSwapGate", 2, 0),
    "ecr": ("ECRGate", 2, 0),
    "cswap": ("CSwapGate", 3, 0),
    "rccx": ("RCCXGate", 3, 0),
    "xx_minus_yy": ("XXMinusYYGate", 2, 2),
    "xx_plus_yy": ("XXPlusYYGate", 2, 2),
}
# Known by name only in some releases of Qiskit, or there with another number of qubits.
_OF_ANY_SIZE: dict[str, Callable[..., Any]] = {
    "mcx": lambda num_qubits: library.MCXGate(num_qubits - 1),
    "mcphase": lambda num_qubits, angle: library.MCPhaseGate(angle, num_qubits - 1),
}


_ROTATIONS = {
    "X": library.RXGate,
    "Y": library.RYGate,
    "Z": library.RZGate,
    "XX": library.RXXGate,
    "YY": library.RYYGate,
    "ZZ": library.RZZGate,
    "ZX": library.RZXGate,
}


class CannotBuildError(Exception):
    """This version of Qiskit has no way to write the circuit down; nothing is wrong with it."""


@dataclass(frozen=True)
class SavedCircuit:
    """A circuit that is built when somebody wants to see it.

    Attributes:
        plain: As `blueprint` made it; None: there is none.
        why: Why there is none.
        parameters: Those of the circuit, in the order in which they are numbered.
        num_qubits: Number of qubits.
    """

    plain: dict[str, Any] | None
    why: str
    parameters: tuple[Parameter, ...]
    num_qubits: int

    def built(self) -> QuantumCircuit:
        """The circuit.

        Raises:
            RuntimeError: there is none, or this version of Qiskit cannot express it.
            ValueError: it is damaged.
        """
        why = self.why
        try:
            if self.plain is not None:
                circuit = circuit_of(self.plain, self.parameters)
                if circuit.num_qubits != self.num_qubits or not set(circuit.parameters) <= set(self.parameters):
                    raise ValueError("circuit: of other qubits or parameters than the program")
                return circuit
        except CannotBuildError as error:
            why = f"Qiskit {qiskit.__version__} cannot express it: {error}"
        raise RuntimeError(
            f"circuit: the file that this module comes from holds only what the circuit was compiled to: {why}; values "
            "and gradients are right; to get the circuit, build it again"
        )


def blueprint(circuit: QuantumCircuit, parameters: Sequence[Parameter]) -> dict[str, Any]:
    """A circuit as bytes and matrices.

    Args:
        circuit: Any that can be compiled.
        parameters: Its parameters, by whose places they are named.

    Raises:
        ValueError: an operation is neither known by name nor made of others.
    """
    writer = _Writer(parameters)
    top = writer.body(circuit)
    try:
        metadata = json.loads(json.dumps(circuit.metadata or None, allow_nan=False))
    except (TypeError, ValueError):  # any objects
        metadata = None
    plain = {
        **top,
        "registers": _registers(circuit),
        "metadata": metadata,
        "definitions": writer.definitions,
    }
    text = json.dumps(plain, allow_nan=False, separators=(",", ":"))
    return {"text": text.encode("ascii"), "matrices": writer.matrices}


def _registers(circuit: QuantumCircuit) -> list[list[Any]]:
    if [bit for register in circuit.qregs for bit in register] != list(circuit.qubits):
        return []  # loose or shared qubits
    return [[register.name, register.size] for register in circuit.qregs]


class _Writer(Walk):
    """Writes down what a circuit holds, one row for each operation; circuits inside of it become definitions.

    Attributes:
        definitions: Bodies of circuits, each of them after those that it holds.
        matrices: Those that rows refer to by position.
    """

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self._place = {parameter: place for place, parameter in enumerate(parameters)}
        self.definitions: list[dict[str, Any]] = []
        self.matrices: list[npt.NDArray[np.complex128]] = []
        self._open: list[dict[str, Any]] = []  # bodies of the circuits that are entered, the innermost one last
        self._angles = Angles(self._place)
        self._index: dict[str, int] = {}  # of definitions by content, and of matrices

    def body(self, circuit: QuantumCircuit) -> dict[str, Any]:
        self.over(circuit)
        return self._open.pop()

    def enter(self, circuit: QuantumCircuit, on: Sequence[int]) -> Sequence[int]:
        self._open.append(
            {
                "name": circuit.name[:_LONGEST_NAME],
                "num_qubits": circuit.num_qubits,
                "phase": self._angle(circuit.global_phase),
                "data": [],
            }
        )
        return range(circuit.num_qubits)

    def gate(self, gate: NativeGate, instruction: CircuitInstruction, qubits: list[int]) -> None:
        self._put([instruction.name, qubits, *map(self._angle, instruction.params)])

    def idle(self, operation: Any, qubits: list[int]) -> None:
        if isinstance(operation, Barrier):
            self._put(["barrier", qubits])
        else:
            is_number = isinstance(operation.duration, (int, float)) and operation.unit in _UNITS
            self._put(["delay", qubits, *((operation.duration, operation.unit) if is_number else (0, "dt"))])

    def operation(self, kind: Reading, operation: Any, qubits: list[int]) -> Iterable[QuantumCircuit] | None:
        row = self._row_of_class(operation, qubits)
        if row is None and isinstance(kind, Dense):
            matrix = self._columns(operation, qubits)
            if matrix is None:
                kind = of_its_own(operation, qubits)
            else:
                row = ["columns", qubits, self._matrix(matrix)]
        if row is None and isinstance(kind, Circuits):
            return self._defined(kind.circuits, operation, qubits)
        self._put(row or self._row_of_kind(kind, operation, qubits))
        return None

    def _put(self, row: list[Any]) -> None:
        self._open[-1]["data"].append(row)

    def _row_of_class(self, operation: Any, qubits: list[int]) -> list[Any] | None:
        """The row of a gate that has a name here."""
        if _is_known(operation):
            return [operation.name, qubits, *map(self._angle, operation.params)]
        if type(operation) is DiagonalGate:
            return ["diagonal", qubits, self._matrix(np.asarray(operation.params, dtype=np.complex128))]
        if type(operation) in (UnitaryGate, HamiltonianGate):
            matrix, *time = operation.params
            plain = self._matrix(np.asarray(matrix, dtype=np.complex128))
            return ["hamiltonian" if time else "unitary", qubits, plain, *map(self._angle, time)]
        return None

    def _row_of_kind(self, kind: Reading, operation: Any, qubits: list[int]) -> list[Any]:
        """The row of an operation that is written as the compiler reads it."""
        if isinstance(kind, ResetQubits):
            return ["reset", qubits]
        if isinstance(kind, Matrix):
            return ["unitary", qubits, self._matrix(kind.matrix)]
        if isinstance(kind, Amplitudes):
            return ["amplitudes", qubits, *map(self._angle, kind.amplitudes)]
        if isinstance(kind, Steps):
            steps = kind.steps(self._reads(operation.name))
            return [self._define(self._body_of_steps(steps, operation.num_qubits), operation.name), qubits]
        raise ValueError(f"gate '{operation.name}' is not known")

    def _defined(
        self, circuits: Iterable[QuantumCircuit], operation: Any, qubits: list[int]
    ) -> Iterator[QuantumCircuit]:
        """Walks over the circuits of an operation, one after the other, and adds a definition that holds them."""
        bodies = []
        for circuit in circuits:
            yield circuit
            bodies.append(self._open.pop())
        if len(bodies) != 1:
            everywhere = list(range(operation.num_qubits))
            data = [[self._define(body, body["name"]), everywhere] for body in bodies]
            bodies = [{"num_qubits": operation.num_qubits, "phase": 0.0, "data": data}]
        self._put([self._define(bodies[0], operation.name), qubits])

    def _columns(self, operation: Any, qubits: list[int]) -> npt.NDArray[np.complex128] | None:
        """What an operation makes of qubits of which the last ones may have to be in |0>: 2^k rows."""
        dense = dense_operation(operation, qubits, [True] * len(qubits), self._reads(operation.name))
        steps = [] if dense is None else [step for step in dense.steps if isinstance(step, MatrixStep)]
        return steps[0].matrix if len(steps) == 1 else None

    def _reads(self, gate: str) -> Callable[[Any], Polynomial]:
        return lambda angle: self._angles.polynomial(angle, gate)

    def _define(self, body: dict[str, Any], name: str) -> int:
        body["name"] = name[:_LONGEST_NAME]
        key = json.dumps(body)
        if key not in self._index:
            self._index[key] = len(self.definitions)
            self.definitions.append(body)
        return self._index[key]

    def _body_of_steps(self, steps: Sequence[Step], num_qubits: int) -> dict[str, Any]:
        phase = Polynomial.sum(angle for name, _, angle in steps if name == "phase")
        data = [
            [name, list(on)] if not name.isupper() else [f"rotation {name}", list(on), self._angle_of(angle)]
            for name, on, angle in steps
            if name != "phase"
        ]
        return {"num_qubits": num_qubits, "phase": self._angle_of(phase), "data": data}

    def _matrix(self, matrix: npt.NDArray[np.complex128]) -> int:
        key = f"{matrix.shape} {matrix.tobytes().hex()}"
        if key not in self._index:
            self._index[key] = len(self.matrices)
            self.matrices.append(matrix)
        return self._index[key]

    def _angle(self, angle: Any) -> Any:
        """A number, the place of a parameter, or the nodes of an expression."""
        if isinstance(angle, Parameter):
            return self._place[angle]
        if isinstance(angle, ParameterExpression) and angle.parameters:
            angle_read = read(angle)
            places = [self._place[parameter] for parameter in angle_read.parameters]
            return written_expression(renamed(angle_read.expression, places))
        return float(np.real(complex(angle)))

    def _angle_of(self, polynomial: Polynomial) -> Any:
        """The same for what the compiler reads an angle as."""
        nodes: list[Any] = []

        def place_of(node: Any) -> int:
            nodes.append(node)
            return len(nodes) - 1

        def variable(index: int) -> int:
            if index < len(self._place):
                return place_of(["variable", index])
            inner, begin = written_expression(self._angles.derived[index - len(self._place)].expression), len(nodes)
            nodes.extend(_moved(node, begin) for node in inner)
            return len(nodes) - 1

        terms = []
        for variables, coefficient in polynomial.terms:
            factors = [variable(index) for index in variables]
            if coefficient != 1.0 or not factors:
                factors.insert(0, place_of(coefficient))
            terms.append(factors[0] if len(factors) == 1 else place_of(["mul", *factors]))
        if len(terms) > 1:
            place_of(["add", *terms])
        if len(nodes) == 1:
            return nodes[0] if isinstance(nodes[0], float) else nodes[0][1]
        return nodes or 0.0


def _moved(node: Any, by: int) -> Any:
    if not isinstance(node, list) or node[0] == "variable":
        return node
    return [node[0], *(place + by for place in node[1:])]


def _is_known(operation: Any) -> bool:
    name, num_qubits, num_angles = _KNOWN.get(operation.name, ("", 0, 0))
    if getattr(operation, "base_class", type(operation)) is not getattr(library, name, None):
        return operation.name == "mcx" and type(operation).__name__ in ("C3XGate", "C4XGate") and _is_closed(operation)
    fits = num_qubits in (None, operation.num_qubits) and len(operation.params) == num_angles
    return fits and _is_closed(operation)


def _is_closed(operation: Any) -> bool:
    return not isinstance(operation, ControlledGate) or operation.ctrl_state == (1 << operation.num_ctrl_qubits) - 1


def circuit_of(plain: Any, parameters: Sequence[Parameter]) -> QuantumCircuit:
    """The circuit that `blueprint` wrote; no code is run, and sizes are checked first.

    Raises:
        ValueError: it is damaged.
        CannotBuildError: this version of Qiskit cannot express one of its angles or gates.
    """
    if not isinstance(plain, dict) or plain.keys() != {"text", "matrices"} or type(plain["text"]) is not bytes:
        raise ValueError("circuit: expected text and matrices")
    content = parsed_json(plain["text"].decode("ascii"))
    _expect_names(content, {*_BODY, "registers", "metadata", "definitions"})
    reader = _Reader(parameters, plain["matrices"], MAX_QUBITS + len(plain["text"]))
    for body in _list(content["definitions"]):
        _expect_names(body, _BODY)
        reader.define(body)
    circuit = reader.circuit(content, _registers_of(content["registers"], content["num_qubits"]))
    if isinstance(content["metadata"], dict):
        circuit.metadata = content["metadata"]
    return circuit


_BODY = {"name", "num_qubits", "phase", "data"}


def _expect_names(content: Any, names: set[str]) -> None:
    if not isinstance(content, dict) or content.keys() != names:
        raise ValueError(f"circuit: expected {', '.join(sorted(names))}")


def _list(plain: Any) -> list[Any]:
    if type(plain) is not list:
        raise ValueError("circuit: expected a list")
    return plain


def _registers_of(plain: Any, num_qubits: Any) -> list[tuple[str, int]]:
    registers = []
    for row in _list(plain):
        if len(_list(row)) != 2 or type(row[0]) is not str or type(row[1]) is not int or not 0 < row[1] <= MAX_QUBITS:
            raise ValueError("circuit: expected names and sizes of registers")
        registers.append((row[0], row[1]))
    if registers and sum(size for _, size in registers) != num_qubits:
        raise ValueError("circuit: registers of another number of qubits")
    return registers


class _Reader:
    def __init__(self, parameters: Sequence[Parameter], matrices: Any, num_qubits: int) -> None:
        self._parameters = parameters
        self._matrices = _list(matrices)
        self._qubits_left = num_qubits
        self._copies_left = MAX_COPIES
        self._gates: list[Any] = []
        self._expressions: dict[str, Any] = {}
        self._num_copies: list[int] = []  # operations that are copied where the gate is put

    def define(self, body: Mapping[str, Any]) -> None:
        copied_before = self._copies_left
        inner = self.circuit(body, [])
        gate = _as_gate(inner)
        try:
            QuantumCircuit(inner.num_qubits).append(gate, range(inner.num_qubits))
        except AttributeError:  # by its name, Qiskit takes it for a gate of its own
            gate.name = f"{gate.name} of gates"
        self._gates.append(gate)
        inside = copied_before - self._copies_left + len(inner.data)
        self._num_copies.append(inside if len(inner.parameters) > 0 else 0)

    def circuit(self, body: Mapping[str, Any], registers: Sequence[tuple[str, int]]) -> QuantumCircuit:
        name, num_qubits = body["name"], body["num_qubits"]
        if type(name) is not str or len(name) > _LONGEST_NAME:
            raise ValueError("circuit: expected a name")
        if type(num_qubits) is not int or not 0 <= num_qubits <= min(MAX_QUBITS, self._qubits_left):
            raise ValueError(f"circuit: expected up to {MAX_QUBITS} qubits")
        self._qubits_left -= num_qubits
        circuit = _empty(name, num_qubits, registers)
        circuit.global_phase = self._angle(body["phase"])
        bits = circuit.qubits
        for row in _list(body["data"]):
            operation, qubits = self._operation(_list(row), num_qubits)
            if type(row[0]) is int:
                circuit.append(operation, qubits)  # a copy, where it has parameters
            else:
                circuit._append(CircuitInstruction(operation, [bits[qubit] for qubit in qubits]))
        return circuit

    def _operation(self, row: list[Any], num_qubits: int) -> tuple[Any, list[int]]:
        if len(row) < 2:
            raise ValueError("circuit: expected an operation and its qubits")
        what, qubits, *rest = row
        if any(type(qubit) is not int or not 0 <= qubit < num_qubits for qubit in _list(qubits)):
            raise ValueError(f"circuit: expected qubits below {num_qubits}")
        if len(set(qubits)) != len(qubits):
            raise ValueError("circuit: an operation that takes a qubit twice")
        if type(what) is int:
            return self._defined(what, qubits, rest), qubits
        if what in ("barrier", "reset", "delay"):
            return _not_unitary(what, len(qubits), rest), qubits
        if what == "unitary" and len(rest) == 1:
            return UnitaryGate(self._matrix(rest[0], (1 << len(qubits),) * 2)), qubits
        if what == "amplitudes" and len(rest) == 1 << len(qubits):
            return _encoding([self._angle(amplitude) for amplitude in rest]), qubits
        if what == "columns" and len(rest) == 1:
            return _from_columns(self._matrix(rest[0], None), len(qubits)), qubits
        if what == "hamiltonian" and len(rest) == 2:
            return HamiltonianGate(self._matrix(rest[0], (1 << len(qubits),) * 2), self._angle(rest[1])), qubits
        if what == "diagonal" and len(rest) == 1:
            return DiagonalGate(self._matrix(rest[0], (1 << len(qubits),)).tolist()), qubits
        if type(what) is str and what.startswith("rotation ") and len(rest) == 1:
            return _rotation(what[9:], len(qubits), self._angle(rest[0])), qubits
        return self._known(what, qubits, rest), qubits

    def _defined(self, index: int, qubits: list[int], rest: list[Any]) -> Any:
        if not 0 <= index < len(self._gates) or rest or self._gates[index].num_qubits != len(qubits):
            raise ValueError("circuit: a gate that is not defined, or on another number of qubits")
        self._copies_left -= self._num_copies[index]
        if self._copies_left < 0:
            raise ValueError(f"circuit: gates within gates of more than {MAX_COPIES} operations")
        return self._gates[index]

    def _matrix(self, index: Any, shape: tuple[int, ...] | None) -> Any:
        if type(index) is not int or not 0 <= index < len(self._matrices):
            raise ValueError("circuit: a matrix that is not there")
        matrix = self._matrices[index]
        if not isinstance(matrix, np.ndarray) or matrix.dtype != np.complex128 or shape not in (None, matrix.shape):
            raise ValueError("circuit: expected a complex matrix for the qubits of a gate")
        return matrix

    def _known(self, name: Any, qubits: list[int], angles: list[Any]) -> Any:
        class_name, num_qubits, num_angles = _KNOWN.get(name, ("", -1, 0)) if type(name) is str else ("", -1, 0)
        if num_qubits not in (None, len(qubits)) or len(angles) != num_angles or not qubits:
            raise ValueError(f"circuit: expected a known gate, its qubits and its angles, got {str(name)[:40]!r}")
        read = [self._angle(angle) for angle in angles]
        if name in _OF_ANY_SIZE:
            return _OF_ANY_SIZE[name](len(qubits), *read)
        gate_class = getattr(library, class_name, None)
        if gate_class is None:
            raise CannotBuildError(f"it has no gate '{name}'")
        return gate_class(*read)

    def _angle(self, plain: Any) -> Any:
        if type(plain) is float and math.isfinite(plain):
            return plain
        if type(plain) is int and 0 <= plain < len(self._parameters):
            return self._parameters[plain]
        key = str(plain)
        if key not in self._expressions:
            self._expressions[key] = self._expression(plain)
        return self._expressions[key]

    def _expression(self, plain: Any) -> Any:
        require_expression(plain)
        try:
            return _built(plain, self._parameters)
        except (AttributeError, TypeError, CircuitError) as error:
            raise CannotBuildError(f"its parameter expressions lack a function ({error})") from error


def _as_gate(circuit: QuantumCircuit) -> Any:
    """A circuit as a gate, or, if it holds resets and the like, as an instruction."""
    is_unitary = all(isinstance(instruction.operation, Gate) for instruction in circuit.data)
    if len(circuit.parameters) > 0:
        return circuit.to_gate() if is_unitary else circuit.to_instruction()
    # Without parameters nothing in it ever changes, and Qiskit would copy it with all that it holds, by recursion.
    size = circuit.num_qubits
    gate = Gate(circuit.name, size, []) if is_unitary else Instruction(circuit.name, size, 0, [])
    gate.definition = circuit
    return gate


def _from_columns(matrix: npt.NDArray[np.complex128], num_qubits: int) -> Any:
    if matrix.ndim != 2 or matrix.shape[0] != 1 << num_qubits or not 0 < matrix.shape[1] <= matrix.shape[0]:
        raise ValueError("circuit: expected columns of a matrix for the qubits of a gate")
    if matrix.shape[1] == matrix.shape[0]:
        return UnitaryGate(matrix)
    if matrix.shape[1] == 1:
        return library.StatePreparation(matrix[:, 0])
    return library.Isometry(matrix, 0, 0)


def _encoding(amplitudes: list[Any]) -> Any:
    try:
        from qiskit_machine_learning.circuit.library.raw_feature_vector import ParameterizedInitialize
    except ImportError as error:
        raise CannotBuildError("raw feature vectors need the package qiskit-machine-learning") from error
    made: Any = ParameterizedInitialize
    return made(amplitudes)


_UNITS = ("dt", "s", "ms", "us", "ns", "ps")


def _not_unitary(what: str, num_qubits: int, rest: list[Any]) -> Any:
    if what == "barrier" and not rest:
        return Barrier(num_qubits)
    if what == "reset" and num_qubits == 1 and not rest:
        return Reset()
    if what == "delay" and num_qubits == 1 and len(rest) == 2 and type(rest[0]) in (int, float) and rest[1] in _UNITS:
        return Delay(*rest)
    raise ValueError(f"circuit: {what} on {num_qubits} qubits, of {len(rest)} arguments")


def _rotation(letters: str, num_qubits: int, angle: Any) -> Any:
    """exp(-i angle/2 P): letter i on qubit i."""
    if len(letters) != num_qubits or not letters or not set(letters) <= set("XYZ"):
        raise ValueError("circuit: expected a letter X, Y or Z for every qubit of a rotation")
    if letters in _ROTATIONS:
        return _ROTATIONS[letters](angle)
    return library.PauliEvolutionGate(SparsePauliOp(letters[::-1]), 0.5 * angle)


def _empty(name: str, num_qubits: int, registers: Sequence[tuple[str, int]]) -> QuantumCircuit:
    if registers:
        try:
            return QuantumCircuit(*(QuantumRegister(size, name) for name, size in registers), name=name)
        except CircuitError:  # a name that this version does not take
            pass
    return QuantumCircuit(num_qubits, name=name)


# A few nodes may stand for an endless expression, and powers of powers for endless digits.
_MOST_STEPS = 1 << 16
_HIGHEST_POWER = 1 << 10

_FUNCTIONS = {"asin": "arcsin", "acos": "arccos", "atan": "arctan"}


def _built(nodes: Sequence[Any], parameters: Sequence[Parameter]) -> Any:
    """A ``ParameterExpression`` from nodes."""
    values: list[Any] = []
    steps: list[int] = []
    powers: list[int] = []
    for node in nodes:
        name, *places = node if isinstance(node, list) else ("number",)
        if name == "variable":
            if places[0] >= len(parameters):
                raise ValueError(f"circuit: expected parameters below {len(parameters)}")
            places, value = [], parameters[places[0]]
        elif name == "number":
            value = node
        elif not any(isinstance(values[place], ParameterExpression) for place in places):
            raise ValueError("circuit: expected a parameter in every operation of an expression")
        else:
            value = None
        steps.append(1 + sum(steps[place] for place in places))
        powers.append(max((powers[place] for place in places), default=1))
        if steps[-1] > _MOST_STEPS:
            raise ValueError(f"circuit: an expression of more than {_MOST_STEPS} steps")
        if value is None and name == "pow":
            base, exponent = (values[place] for place in places)
            value, powers[-1] = _power(base, exponent, powers[-1])
        elif value is None:
            value = _applied(name, [values[place] for place in places])
        values.append(value)
    return values[-1]


def _applied(name: str, operands: Sequence[Any]) -> Any:
    value, *others = operands
    if not others:
        return abs(value) if name == "abs" else getattr(value, _FUNCTIONS.get(name, name))()
    for other in others:
        if name == "add":
            value = value + other
        elif name == "sub":
            value = value - other
        elif name == "mul":
            value = value * other
        else:
            value = value / other
    return value


def _power(base: Any, exponent: Any, power: int) -> tuple[Any, int]:
    """A power, and the highest one in it; small whole exponents stay whole, as people write them."""
    size = abs(exponent) if isinstance(exponent, float) else 0.5
    whole = size.is_integer() and 0 < size * power <= _HIGHEST_POWER
    if whole:
        exponent, power = int(exponent), power * int(size)
    if hasattr(ParameterExpression, "__pow__"):
        return base**exponent, power
    # Before Qiskit 1.0:
    if whole:
        product = base
        for _ in range(int(size) - 1):
            product = product * base
        return product if exponent > 0 else 1.0 / product, power
    if isinstance(base, float) and base > 0.0:
        return (exponent * math.log(base)).exp(), power
    raise CannotBuildError(f"its parameter expressions have no power {exponent}")
