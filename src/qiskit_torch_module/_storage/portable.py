"""A compiled circuit as text, for files and exported graphs: read without running code, and refused where it is wrong.

What a field may hold stands in one table, `_FIELDS`. A new field is a new line there, with the version that brought it;
a test walks over the fields of all classes and finds one that has none.
"""

from __future__ import annotations

import base64
import itertools
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from .._core.schema import MAX_QUBITS
from .._core.strict_json import parsed_json
from .._program.blocks import AmplitudeBlock
from .._program.dense import Diagonal, Matrix, VirtualQubits
from .._program.evolution import Evolution, angles_of
from .._program.gf2 import is_odd
from .._program.layers import Rotation, Z
from .._program.output import ExpectationValues, Output, State
from .._program.passes import PASS_NAMES, Passes
from .._program.program import Program, require_shape
from .._reading.expressions import OPERATION_NAMES, Derived, Expression, Node, variables_in
from .._reading.paulis import PauliSums, PauliTerms
from .._reading.polynomials import MAX_DEGREE, Polynomial
from ..outputs.columns import Columns
from ..outputs.entropy import Entropy
from ..outputs.fidelity import Fidelity, Target
from ..outputs.overlap import WithEvolution
from ..outputs.probabilities import Classes, Probabilities
from ..outputs.reduced import DensityMatrix, Purity
from ..outputs.variance import Variance

# Raised whenever what older releases wrote or read changes.
VERSION = 4

# Far more than any circuit needs, and little enough to be evaluated.
MAX_STEPS = 1 << 20
# Parameters that cancel take no room in the text, so their number is limited.
MAX_UNUSED = 1 << 16
_LONGEST_TEXT = 1 << 20

_FORMAT = "qiskit-torch-module program"


def to_text(program: Program) -> str:
    """A program as text (ASCII), which `from_text` reads in any later release.

    Raises:
        ValueError: the program holds something that cannot be written, such as a number that is not finite.
    """
    content = {"format": _FORMAT, "version": VERSION, "program": _Whole().write(program)}
    return json.dumps(content, allow_nan=False, separators=(",", ":"))


def from_text(text: str) -> Program:
    """The program that `to_text` wrote: no code is run, and memory is bounded by the length of the text.

    Raises:
        ValueError: the text is damaged, no program, or from a newer version; the message says where and what.
    """
    try:
        return _program(parsed_json(text), len(text))
    except ValueError as error:
        raise ValueError(f"compiled program as text: {error}") from error


def _program(content: Any, length: int) -> Program:
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise ValueError(f"expected the format '{_FORMAT}'")
    version = _Integer(1, 1 << 30).read(content.get("version"), "version", _Reading(VERSION, 0))
    if version > VERSION:
        raise ValueError(
            f"it has version {version}, this release reads versions up to {VERSION}; update qiskit-torch-module"
        )
    if content.keys() != {"format", "version", "program"}:
        raise ValueError(f"expected format, version and program, got {sorted(content)}")
    program: Program = _Whole().read(content["program"], "program", _Reading(version, MAX_STEPS + length))
    _require_sound(program, length)
    return program


@dataclass
class _Reading:
    """Version of the text, and how many steps the evaluation of its expressions may still take."""

    version: int
    steps: int


class _Kind(Protocol):
    """What a field may hold: as plain data, and back. ``where`` names the field in errors."""

    def write(self, value: Any) -> Any: ...

    def read(self, plain: Any, where: str, reading: _Reading) -> Any: ...


@dataclass(frozen=True)
class _Integer:
    low: int
    high: int

    def write(self, value: Any) -> int:
        return int(value)

    def read(self, plain: Any, where: str, reading: _Reading) -> int:
        if type(plain) is not int or not self.low <= plain <= self.high:
            raise ValueError(f"{where}: expected an integer from {self.low} to {self.high}, got {_shown(plain)}")
        return plain


@dataclass(frozen=True)
class _Number:
    """Finite; written with as many digits as it takes to come back exactly."""

    def write(self, value: Any) -> float:
        return float(value)

    def read(self, plain: Any, where: str, reading: _Reading) -> float:
        if type(plain) is not float or not math.isfinite(plain):
            raise ValueError(f"{where}: expected a finite number, got {_shown(plain)}")
        return plain


@dataclass(frozen=True)
class _Truth:
    def write(self, value: Any) -> bool:
        return bool(value)

    def read(self, plain: Any, where: str, reading: _Reading) -> bool:
        if type(plain) is not bool:
            raise ValueError(f"{where}: expected true or false, got {_shown(plain)}")
        return plain


@dataclass(frozen=True)
class _Text:
    """Cut where it is very long: such texts only stand in error messages."""

    def write(self, value: Any) -> str:
        return str(value)[:_LONGEST_TEXT].encode("utf-8", "replace").decode("utf-8")

    def read(self, plain: Any, where: str, reading: _Reading) -> str:
        if type(plain) is not str or len(plain) > _LONGEST_TEXT:
            raise ValueError(f"{where}: expected text, got {_shown(plain)}")
        plain.encode("utf-8")  # raises where it holds half a character
        return plain


@dataclass(frozen=True)
class _Many:
    """A tuple, all of one kind."""

    kind: _Kind

    def write(self, value: Any) -> list[Any]:
        return [self.kind.write(item) for item in value]

    def read(self, plain: Any, where: str, reading: _Reading) -> tuple[Any, ...]:
        return tuple([self.kind.read(item, where, reading) for item in _list(plain, where)])


@dataclass(frozen=True)
class _Optional:
    """Of a kind, or None."""

    kind: _Kind

    def write(self, value: Any) -> Any:
        return None if value is None else self.kind.write(value)

    def read(self, plain: Any, where: str, reading: _Reading) -> Any:
        return None if plain is None else self.kind.read(plain, where, reading)


@dataclass(frozen=True)
class _Array:
    """A NumPy array of fixed dtype and number of dimensions: its bytes in little-endian order, read only."""

    dtype: str
    ndim: int

    def write(self, value: Any) -> list[Any]:
        array = np.ascontiguousarray(value, dtype=np.dtype(self.dtype).newbyteorder("<"))
        if array.ndim != self.ndim:
            raise ValueError(f"expected an array of {self.ndim} dimensions, got shape {array.shape}")
        return [list(array.shape), base64.b64encode(array.tobytes()).decode("ascii")]

    def read(self, plain: Any, where: str, reading: _Reading) -> Any:
        items = _list(plain, where)
        if len(items) != 2 or type(items[1]) is not str:
            raise ValueError(f"{where}: expected shape and bytes of an array, got {_shown(plain)}")
        shape = _Many(_Integer(0, 1 << 40)).read(items[0], f"{where}.shape", reading)
        data = base64.b64decode(items[1], validate=True)
        dtype = np.dtype(self.dtype).newbyteorder("<")
        if len(shape) != self.ndim or math.prod(shape) * dtype.itemsize != len(data):
            raise ValueError(f"{where}: expected bytes for {self.ndim} dimensions {shape}, got {len(data)}")
        array = np.frombuffer(data, dtype).reshape(shape).astype(self.dtype, copy=False)
        if not np.all(np.isfinite(array)):
            raise ValueError(f"{where}: expected finite numbers")
        return array


@dataclass(frozen=True)
class _Numbers:
    """Bytes that hold finite float64, little-endian."""

    def write(self, value: Any) -> str:
        return base64.b64encode(value).decode("ascii")

    def read(self, plain: Any, where: str, reading: _Reading) -> bytes:
        if type(plain) is not str:
            raise ValueError(f"{where}: expected numbers in base64, got {_shown(plain)}")
        data = base64.b64decode(plain, validate=True)
        if len(data) % 8 or not np.all(np.isfinite(np.frombuffer(data, "<f8"))):
            raise ValueError(f"{where}: expected bytes of finite numbers, got {len(data)}")
        return data


@dataclass(frozen=True)
class _Polynomial:
    """Rows (coefficient, variable, ...), as they stand in ``Polynomial.terms``."""

    def write(self, value: Any) -> list[Any]:
        return [[float(coefficient), *map(int, variables)] for variables, coefficient in value.terms]

    def read(self, plain: Any, where: str, reading: _Reading) -> Polynomial:
        terms = []
        for row in _list(plain, where):
            if type(row) is not list or not 1 <= len(row) <= MAX_DEGREE + 1:
                raise ValueError(f"{where}: expected a coefficient and up to {MAX_DEGREE} variables, got {_shown(row)}")
            coefficient, *variables = row
            if type(coefficient) is not float or not math.isfinite(coefficient) or coefficient == 0.0:
                raise ValueError(f"{where}: expected a finite coefficient other than 0, got {_shown(coefficient)}")
            if any(type(index) is not int or index < 0 for index in variables) or variables != sorted(variables):
                raise ValueError(f"{where}: expected variables in ascending order, got {_shown(variables)}")
            terms.append((tuple(variables), coefficient))
        if any(first[0] >= second[0] for first, second in itertools.pairwise(terms)):
            raise ValueError(f"{where}: expected every product of variables once, in ascending order")
        return Polynomial(tuple(terms))


_UNARY = OPERATION_NAMES - {"add", "sub", "mul", "div", "pow"}
_MANY = frozenset({"add", "mul"})


@dataclass(frozen=True)
class _Expression:
    """Nodes, each after those it is made of, which it names by their place; the last one is the expression."""

    def write(self, value: Any) -> list[Any]:
        if any(isinstance(node, tuple) and node[0] == "opaque" for node in value):
            raise ValueError(
                "an angle that only Qiskit's ParameterExpression.bind can evaluate cannot be written; write it with "
                "functions of ParameterExpression, or pickle the module in the same version of Qiskit"
            )
        return [list(node) if isinstance(node, tuple) else node for node in value]

    def read(self, plain: Any, where: str, reading: _Reading) -> Expression:
        nodes = _list(plain, where)
        reading.steps -= len(nodes)
        if not nodes or reading.steps < 0:
            raise ValueError(f"{where}: expected 1 to {MAX_STEPS} steps of expressions")
        return tuple([self._node(node, place, where) for place, node in enumerate(nodes)])

    def _node(self, node: Any, place: int, where: str) -> Node:
        if type(node) is float and math.isfinite(node):
            return node
        name, *operands = _list(node, where) or [None]
        if any(type(operand) is not int or operand < 0 for operand in operands):
            raise ValueError(f"{where}: expected places of operands, got {_shown(operands)}")
        if name == "variable" and len(operands) == 1:
            return ("variable", operands[0])
        if type(name) is not str or name not in OPERATION_NAMES:
            raise ValueError(f"{where}: unknown operation {_shown(name)}")
        if not (len(operands) == 1 if name in _UNARY else len(operands) == 2 or (name in _MANY and len(operands) > 2)):
            raise ValueError(f"{where}: '{name}' of {len(operands)} operands")
        if any(operand >= place for operand in operands):
            raise ValueError(f"{where}: expected operands before '{name}', got {_shown(operands)}")
        return (name, *operands)


@dataclass(frozen=True)
class Field:
    """What a field holds, and the version of the format that brought it; older texts give it its default."""

    kind: _Kind
    since: int = 1


@dataclass(frozen=True)
class _Record:
    """An object of a class of `_FIELDS`: by name where there is one of it, in a row where there are many."""

    record: type

    def write(self, value: Any) -> Any:
        if type(value) is not self.record:
            raise ValueError(f"expected a {self.record.__name__}, got {type(value).__name__}")
        written = {name: field.kind.write(getattr(value, name)) for name, field in _FIELDS[self.record].items()}
        return written if self.record in _BY_NAME else list(written.values())

    def read(self, plain: Any, where: str, reading: _Reading) -> Any:
        known = {name: field for name, field in _FIELDS[self.record].items() if field.since <= reading.version}
        if self.record not in _BY_NAME:
            row = _list(plain, where)
            plain = dict(zip(known, row, strict=True)) if len(row) == len(known) else row
        if not isinstance(plain, dict) or plain.keys() != known.keys():
            raise ValueError(f"{where}: expected {', '.join(known)}, got {_shown(plain)}")
        return self.record(
            **{name: field.kind.read(plain[name], f"{where}.{name}", reading) for name, field in known.items()}
        )


_MASK = _Integer(0, (1 << MAX_QUBITS) - 1)


@dataclass(frozen=True)
class _Block:
    """A block that is plain data."""

    def write(self, value: Any) -> Any:
        if not isinstance(value, AmplitudeBlock):
            raise ValueError(
                f"{value.name} is evaluated by code of its own, which no file holds; give it a definition made of "
                "gates that take its parameters as they are, or save model.state_dict() and build the module anew"
            )
        return _Record(AmplitudeBlock).write(value)

    def read(self, plain: Any, where: str, reading: _Reading) -> Any:
        return _Record(AmplitudeBlock).read(plain, where, reading)


@dataclass(frozen=True)
class _Output:
    """An output of this package: its name and its fields."""

    def write(self, value: Any) -> list[Any]:
        for name, kind in _OUTPUTS.items():
            if type(value) is kind:
                return [name, _Record(kind).write(value)]
        raise ValueError(
            f"observables: only sums of Paulis and outputs of qtm.outputs can be written, not {value!r}; save the "
            "state_dict()"
        )

    def read(self, plain: Any, where: str, reading: _Reading) -> Output:
        items = _list(plain, where)
        if len(items) != 2 or type(items[0]) is not str or items[0] not in _OUTPUTS:
            raise ValueError(f"{where}: expected the name of an output and its fields, got {_shown(plain)}")
        try:
            output: Output = _Record(_OUTPUTS[items[0]]).read(items[1], where, reading)
        except TypeError as error:  # by the output itself
            raise ValueError(f"{where}: {error}") from None
        return output


@dataclass(frozen=True)
class _Whole:
    """A program: the fields of its evolution, and those of its observables under names of their own.

    No observables: it reads the state, or another output, which is then there by itself.
    """

    def write(self, value: Program) -> Any:
        output = value.output if isinstance(value.output, ExpectationValues) else ExpectationValues.none()
        observables = _Record(ExpectationValues).write(output)
        renamed = {_OBSERVABLE + name: written for name, written in observables.items()}
        content = {**_Record(Evolution).write(value.evolution), **renamed}
        if isinstance(value.output, Output) and not isinstance(value.output, State):
            content[_OTHER] = _Output().write(value.output)
        return content

    def read(self, plain: Any, where: str, reading: _Reading) -> Program:
        parts: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
        for name, value in plain.items() if isinstance(plain, dict) else ():
            parts[name.startswith(_OBSERVABLE)][name.removeprefix(_OBSERVABLE)] = value
        other = parts[0].pop(_OTHER, None)
        evolution, output = (
            _Record(kind).read(part, where, reading)
            for kind, part in zip((Evolution, ExpectationValues), parts, strict=True)
        )
        if other is None:
            return Program(evolution, output if output.constants else State())
        if output.constants:
            raise ValueError(f"{where}: expected observables or another output, got both")
        return Program(evolution, _Output().read(other, f"{where}.{_OTHER}", reading))


_OBSERVABLE, _OTHER = "observable_", "output"
_COUNT = _Integer(0, (1 << 31) - 1)
_WIDEST = 1 << 14  # qubits of a circuit, most of them idle
_QUBITS = _Many(_Integer(0, _WIDEST - 1))

# Passes that the first version did not have.
_PASSES_SINCE = {"symmetry_reduction": 3, "unjoined_halves": 4}

_FIELDS: Mapping[type, Mapping[str, Field]] = {
    Rotation: {
        "axis": Field(_Integer(0, 2)),
        "x": Field(_MASK),
        "z": Field(_MASK),
        "angle": Field(_Polynomial()),
    },
    VirtualQubits: {
        "flips": Field(_Many(_MASK)),
        "signs": Field(_Many(_MASK)),
        "negatives": Field(_Many(_Truth())),
    },
    Matrix: {
        "place": Field(_COUNT),
        "qubits": Field(_Record(VirtualQubits)),
        "columns": Field(_Integer(1, 1 << MAX_QUBITS)),
        "entries": Field(_Numbers()),
    },
    Diagonal: {
        "place": Field(_COUNT),
        "qubits": Field(_Record(VirtualQubits)),
        "energies": Field(_Numbers()),
        "angle": Field(_Polynomial()),
    },
    PauliTerms: {
        "observable": Field(_Array("int32", 1)),
        "x": Field(_Array("uint32", 1)),
        "z": Field(_Array("uint32", 1)),
        "coefficient": Field(_Array("float64", 1)),
    },
    Derived: {
        "expression": Field(_Expression()),
        "angle": Field(_Text()),
    },
    Passes: {name: Field(_Truth(), _PASSES_SINCE.get(name, 1)) for name in PASS_NAMES},
    Evolution: {
        "num_qubits": Field(_Integer(1, MAX_QUBITS)),
        "num_inputs": Field(_COUNT),
        "num_weights": Field(_COUNT),
        "rotations": Field(_Many(_Record(Rotation))),
        "phase": Field(_Polynomial()),
        "frame": Field(_Optional(_Record(VirtualQubits)), since=2),
        "derived_inputs": Field(_Many(_Record(Derived))),
        "derived_weights": Field(_Many(_Record(Derived))),
        "num_relabellings": Field(_COUNT),
        "passes": Field(_Record(Passes)),
        "matrices": Field(_Many(_Record(Matrix))),
        "diagonals": Field(_Many(_Record(Diagonal))),
        "input_blocks": Field(_Many(_Block())),
        "weight_blocks": Field(_Many(_Block())),
    },
    ExpectationValues: {
        "constants": Field(_Many(_Number())),
        "terms": Field(_Record(PauliTerms)),
    },
    AmplitudeBlock: {
        "arguments": Field(_Many(_Polynomial())),
        "name": Field(_Text()),
    },
    State: {},
    Classes: {"numbers": Field(_Array("int64", 1))},
    Probabilities: {
        "qubits": Field(_Optional(_QUBITS)),
        "interpret": Field(_Optional(_Record(Classes))),
        "output_shape": Field(_Optional(_Many(_COUNT))),
    },
    DensityMatrix: {"qubits": Field(_QUBITS)},
    Purity: {"qubits": Field(_QUBITS)},
    Entropy: {"qubits": Field(_QUBITS), "alpha": Field(_Number()), "base": Field(_Number())},
    Target: {"amplitudes": Field(_Array("complex128", 1))},
    Fidelity: {"target": Field(_Record(Target))},
    PauliSums: {
        "num_qubits": Field(_Integer(1, _WIDEST)),
        "num_observables": Field(_COUNT),
        "observable": Field(_Array("int32", 1)),
        "x": Field(_Array("uint8", 2)),
        "z": Field(_Array("uint8", 2)),
        "coefficient": Field(_Array("float64", 1)),
    },
    Variance: {"observable": Field(_Record(PauliSums))},
    WithEvolution: {"evolution": Field(_Record(Evolution))},
    Columns: {
        "paulis": Field(_Record(PauliSums)),
        "outputs": Field(_Many(_Output())),
        "order": Field(_Many(_COUNT)),
    },
}
# Outputs by the names that texts have for them.
_OUTPUTS: Mapping[str, type] = {
    kind.__name__: kind
    for kind in (State, Probabilities, DensityMatrix, Purity, Entropy, Fidelity, WithEvolution, Variance, Columns)
}
_BY_NAME = frozenset({Evolution, ExpectationValues, Passes, *_OUTPUTS.values()})


def _require_sound(program: Program, length: int) -> None:
    """Checks what no field shows by itself.

    Raises:
        ValueError: the parts of the program do not belong together.
    """
    evolution, output = program.evolution, program.expectation_values
    _require_sound_evolution(evolution, length)
    if output is not None:
        return _require_terms(output, evolution.num_qubits)
    if any(one.evolution.frame is None for one in (program, *program.others)):
        raise ValueError("a state in an order that is not known")
    for other in program.others:
        _require_sound_evolution(other.evolution, length)
        if (other.evolution.num_inputs, other.evolution.num_weights) != (evolution.num_inputs, evolution.num_weights):
            raise ValueError("another circuit of other inputs and weights")
    _require_sums(program.output)
    try:
        require_shape(program)
    except TypeError as error:
        raise ValueError(str(error)) from None


def _require_sound_evolution(evolution: Evolution, length: int) -> None:
    if evolution.num_inputs + evolution.num_weights > length + MAX_UNUSED:
        sizes = f"{evolution.num_inputs} inputs and {evolution.num_weights} weights"
        raise ValueError(f"{sizes}, most of which nothing uses")
    _require_masks(evolution)
    _require_dense(evolution)
    _require_frame(evolution)
    num_parameters = evolution.num_inputs + evolution.num_weights
    for derived in (*evolution.derived_inputs, *evolution.derived_weights):
        _require_below(variables_in(derived.expression), num_parameters, f"expression of {derived.angle[:100]}")
    if any(i < evolution.num_inputs for derived in evolution.derived_weights for i in variables_in(derived.expression)):
        raise ValueError("a derived weight depends on inputs")
    num_variables = evolution.num_all_inputs + evolution.num_all_weights
    _require_blocks(evolution)
    for angle in angles_of(evolution):
        _require_below((i for variables, _ in angle.terms for i in variables), num_variables, "angle")


def _require_blocks(evolution: Evolution) -> None:
    inputs = range(evolution.num_inputs + len(evolution.derived_inputs))
    weights = range(
        evolution.num_all_inputs, evolution.num_all_inputs + evolution.num_weights + len(evolution.derived_weights)
    )
    for blocks, allowed in ((evolution.input_blocks, (*inputs, *weights)), (evolution.weight_blocks, tuple(weights))):
        for block in blocks:
            count = len(block.arguments)
            if count.bit_count() != 1 or not 2 <= count <= 1 << evolution.num_qubits:
                raise ValueError(f"a state of {count} amplitudes on {evolution.num_qubits} qubits")
            variables = {i for angle in block.arguments for factors, _ in angle.terms for i in factors}
            if not variables <= set(allowed):
                raise ValueError("amplitudes of variables that are no inputs or weights")


def _require_sums(output: Any) -> None:
    """Checks the sums of Paulis that an output reads from the state of all qubits."""
    if isinstance(output, Columns):
        _require_strings(output.paulis)
        for one in output.outputs:
            _require_sums(one)
    elif isinstance(output, Variance):
        _require_strings(output.observable)


def _require_strings(sums: PauliSums) -> None:
    count, shape = len(sums.observable), (len(sums.observable), -(-sums.num_qubits // 8))
    if sums.x.shape != shape or sums.z.shape != shape or sums.coefficient.shape != (count,):
        raise ValueError("Pauli strings of which parts are missing")
    owners = sums.observable
    if np.any(np.diff(owners) < 0) or np.any((owners < 0) | (owners >= sums.num_observables)):
        raise ValueError("a Pauli string of an observable that there is not")


def _require_masks(evolution: Evolution) -> None:
    end = 1 << evolution.num_qubits
    for rotation in evolution.rotations:
        # Z acts by its parity alone; the X of any other axis flips what its Z tells apart.
        is_right = rotation.x == 0 if rotation.axis == Z else is_odd(rotation.x & rotation.z)
        if not is_right or not 0 < rotation.z < end or rotation.x >= end:
            raise ValueError(f"a rotation about axis {rotation.axis} of the masks {rotation.x} and {rotation.z}")


def _require_terms(output: ExpectationValues, num_qubits: int) -> None:
    terms, end = output.terms, 1 << num_qubits
    if not len(terms.observable) == len(terms.x) == len(terms.z) == len(terms.coefficient):
        raise ValueError("Pauli terms of which parts are missing")
    masks = terms.x | terms.z
    if np.any(masks == 0) or np.any(masks >= end):
        raise ValueError(f"a Pauli term of no mask, or of one beyond {num_qubits} qubits")
    if np.any(terms.observable < 0) or np.any(terms.observable >= len(output.constants)):
        raise ValueError("a Pauli term of an observable that there is not")


def _require_frame(evolution: Evolution) -> None:
    if evolution.frame is None:
        return
    qubits = zip(evolution.frame.flips, evolution.frame.signs, evolution.frame.negatives, strict=True)
    live = [qubit for qubit in qubits if any(qubit)]
    if not live:
        return
    flips, signs, negatives = zip(*live, strict=True)
    VirtualQubits(flips, signs, negatives).require_sound(evolution.num_qubits)


def _require_dense(evolution: Evolution) -> None:
    dense: list[Matrix | Diagonal] = [*evolution.matrices, *evolution.diagonals]
    places = {step.place for step in dense}
    if len(places) != len(dense) or any(place >= len(evolution.rotations) + len(dense) for place in places):
        raise ValueError("places of matrices and diagonals that occur twice or lie beyond the last step")
    for step in dense:
        step.qubits.require_sound(evolution.num_qubits)
        size = len(step.entries) // step.columns if isinstance(step, Matrix) else 2 * len(step.energies)
        if size != 16 << len(step.qubits):
            raise ValueError(f"a matrix or diagonal on {len(step.qubits)} qubits of {size} bytes a column")
    for matrix in evolution.matrices:
        if matrix.columns.bit_count() != 1 or matrix.columns > 1 << len(matrix.qubits):
            raise ValueError(f"a matrix on {len(matrix.qubits)} qubits of {matrix.columns} columns")


def _require_below(indices: Iterator[int], end: int, where: str) -> None:
    index = max(indices, default=-1)
    if index >= end:
        raise ValueError(f"{where}: variable {index}, where there are {end}")


def _list(plain: Any, where: str) -> list[Any]:
    if type(plain) is not list:
        raise ValueError(f"{where}: expected a list, got {_shown(plain)}")
    return plain


def _shown(plain: Any) -> str:
    """Foreign content in an error message, no longer than a line."""
    if isinstance(plain, (list, dict)):
        return f"{type(plain).__name__} of {len(plain)}"
    text = repr(plain) if not isinstance(plain, int) or abs(plain) < 1 << 64 else "a huge number"
    return text if len(text) <= 60 else f"{text[:60]}..."


def written_expression(expression: Expression) -> list[Any]:
    """An expression as plain data: its nodes, each after those it is made of, which it names by their place."""
    return _Expression().write(expression)


def require_expression(plain: Any) -> None:
    """Checks what `written_expression` wrote.

    Raises:
        ValueError: it is not an expression, or takes too many steps.
    """
    _Expression().read(plain, "expression", _Reading(VERSION, MAX_STEPS))


def written_output(output: Output) -> list[Any]:
    """An output as plain data.

    Raises:
        ValueError: it is none of this package.
    """
    return _Output().write(output)


def read_output(plain: Any) -> Output:
    """The output that `written_output` wrote.

    Raises:
        ValueError: it is damaged.
    """
    return _Output().read(plain, "output", _Reading(VERSION, MAX_STEPS))
