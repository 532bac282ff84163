"""What each class of a program has in a text: a line for every field, with the version of the format that brought it.

A test walks over the fields of all classes and finds one that has no line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .._core.schema import MAX_QUBITS
from .._program.blocks import AmplitudeBlock
from .._program.dense import Diagonal, Matrix, VirtualQubits
from .._program.evolution import Evolution
from .._program.layers import Rotation
from .._program.output import ExpectationValues, Output, State
from .._program.passes import PASS_NAMES, Passes
from .._reading.expressions import Derived
from .._reading.paulis import PauliSums, PauliTerms
from ..outputs.columns import Columns
from ..outputs.entropy import Entropy
from ..outputs.fidelity import Fidelity, Target
from ..outputs.overlap import WithEvolution
from ..outputs.probabilities import Classes, Probabilities
from ..outputs.reduced import DensityMatrix, Purity
from ..outputs.variance import Variance
from .formulas import Nodes, PolynomialRows
from .kinds import WIDEST, Array, Integer, Many, Number, Numbers, Optional, Source, Text, Truth, listed, shown
from .records import Field, Record

_COUNT = Integer(0, (1 << 31) - 1)
_MASK = Integer(0, (1 << MAX_QUBITS) - 1)
_QUBITS = Many(Integer(0, WIDEST - 1))


@dataclass(frozen=True)
class Block:
    """A block that is plain data."""

    def write(self, value: Any) -> Any:
        if not isinstance(value, AmplitudeBlock):
            raise ValueError(
                f"{value.name} is evaluated by code of its own, which no file holds; give it a definition made of "
                "gates that take its parameters as they are, or save model.state_dict() and build the module anew"
            )
        return AMPLITUDES.write(value)

    def read(self, plain: Any, where: str, source: Source) -> Any:
        return AMPLITUDES.read(plain, where, source)


@dataclass(frozen=True)
class NamedOutput:
    """An output of this package: its name and its fields."""

    def write(self, value: Any) -> list[Any]:
        for name, output in OUTPUTS.items():
            if type(value) is output.record:
                return [name, output.write(value)]
        raise ValueError(
            f"observables: only sums of Paulis and outputs of qtm.outputs can be written, not {value!r}; save the "
            "state_dict()"
        )

    def read(self, plain: Any, where: str, source: Source) -> Output:
        items = listed(plain, where)
        if len(items) != 2 or type(items[0]) is not str or items[0] not in OUTPUTS:
            raise ValueError(f"{where}: expected the name of an output and its fields, got {shown(plain)}")
        try:
            output: Output = OUTPUTS[items[0]].read(items[1], where, source)
        except TypeError as error:  # by the output itself
            raise ValueError(f"{where}: {error}") from None
        return output


ROTATION = Record(
    Rotation,
    {
        "axis": Field(Integer(0, 2)),
        "x": Field(_MASK),
        "z": Field(_MASK),
        "angle": Field(PolynomialRows()),
    },
)
VIRTUAL_QUBITS = Record(
    VirtualQubits,
    {
        "flips": Field(Many(_MASK)),
        "signs": Field(Many(_MASK)),
        "negatives": Field(Many(Truth())),
    },
)
MATRIX = Record(
    Matrix,
    {
        "place": Field(_COUNT),
        "qubits": Field(VIRTUAL_QUBITS),
        "columns": Field(Integer(1, 1 << MAX_QUBITS)),
        "entries": Field(Numbers()),
    },
)
DIAGONAL = Record(
    Diagonal,
    {
        "place": Field(_COUNT),
        "qubits": Field(VIRTUAL_QUBITS),
        "energies": Field(Numbers()),
        "angle": Field(PolynomialRows()),
    },
)
DERIVED = Record(Derived, {"expression": Field(Nodes()), "angle": Field(Text())})
AMPLITUDES = Record(AmplitudeBlock, {"arguments": Field(Many(PolynomialRows())), "name": Field(Text())})
# Passes that the first version did not have.
_PASSES_SINCE = {"symmetry_reduction": 3, "unjoined_halves": 4}
PASSES = Record(Passes, {name: Field(Truth(), _PASSES_SINCE.get(name, 1)) for name in PASS_NAMES}, is_named=True)
EVOLUTION = Record(
    Evolution,
    {
        "num_qubits": Field(Integer(1, MAX_QUBITS)),
        "num_inputs": Field(_COUNT),
        "num_weights": Field(_COUNT),
        "rotations": Field(Many(ROTATION)),
        "phase": Field(PolynomialRows()),
        "frame": Field(Optional(VIRTUAL_QUBITS), since=2),
        "derived_inputs": Field(Many(DERIVED)),
        "derived_weights": Field(Many(DERIVED)),
        "num_relabellings": Field(_COUNT),
        "passes": Field(PASSES),
        "matrices": Field(Many(MATRIX)),
        "diagonals": Field(Many(DIAGONAL)),
        "input_blocks": Field(Many(Block())),
        "weight_blocks": Field(Many(Block())),
    },
    is_named=True,
)

PAULI_TERMS = Record(
    PauliTerms,
    {
        "observable": Field(Array("int32", 1)),
        "x": Field(Array("uint32", 1)),
        "z": Field(Array("uint32", 1)),
        "coefficient": Field(Array("float64", 1)),
    },
)
OBSERVABLES = Record(
    ExpectationValues,
    {"constants": Field(Many(Number())), "terms": Field(PAULI_TERMS)},
    is_named=True,
)
PAULI_SUMS = Record(
    PauliSums,
    {
        "num_qubits": Field(Integer(1, WIDEST)),
        "num_observables": Field(_COUNT),
        "observable": Field(Array("int32", 1)),
        "x": Field(Array("uint8", 2)),
        "z": Field(Array("uint8", 2)),
        "coefficient": Field(Array("float64", 1)),
    },
)
CLASSES = Record(Classes, {"numbers": Field(Array("int64", 1))})
TARGET = Record(Target, {"amplitudes": Field(Array("complex128", 1))})


_OUTPUT_FIELDS: Mapping[type, Mapping[str, Field]] = {
    State: {},
    Probabilities: {
        "qubits": Field(Optional(_QUBITS)),
        "interpret": Field(Optional(CLASSES)),
        "output_shape": Field(Optional(Many(_COUNT))),
    },
    DensityMatrix: {"qubits": Field(_QUBITS)},
    Purity: {"qubits": Field(_QUBITS)},
    Entropy: {"qubits": Field(_QUBITS), "alpha": Field(Number()), "base": Field(Number())},
    Fidelity: {"target": Field(TARGET)},
    WithEvolution: {"evolution": Field(EVOLUTION)},
    Variance: {"observable": Field(PAULI_SUMS)},
    Columns: {
        "paulis": Field(PAULI_SUMS),
        "outputs": Field(Many(NamedOutput())),
        "order": Field(Many(_COUNT)),
    },
}
# By the names that texts have for them.
OUTPUTS: Mapping[str, Record] = {
    kind.__name__: Record(kind, fields, is_named=True) for kind, fields in _OUTPUT_FIELDS.items()
}
