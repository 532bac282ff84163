"""A circuit as plain data, and back, the same in every version of Qiskit.

Gates are named where all versions know them; others are written as what they are made of. QPY, Qiskit's own format, is
not used: it loses gates and angles in some releases, evaluates expressions in others, and only newer ones read it.

A blueprint is a text, JSON (ASCII), and matrices, arrays of complex128. The text is a body, ``{"name", "num_qubits",
"phase", "data"}``, with ``"registers"`` (rows of name and size; none: loose qubits), ``"metadata"`` and
``"definitions"``: bodies of gates, each after those that it holds. The data of a body are rows in order of time:

    [name, qubits, angles...]                   a gate that `named_gates` knows
    [place of a definition, qubits]             a gate made of others
    ["rotation " + Pauli letters, qubits, angle]    letter i on qubit i
    ["unitary", qubits, place of a matrix]      likewise "diagonal"; "columns": of qubits of which the last are in |0>
    ["hamiltonian", qubits, place of a matrix, time]
    ["amplitudes", qubits, angles...]           a state that they encode
    ["barrier", qubits], ["reset", qubits], ["delay", qubits, duration, unit]

An angle is a number, the place of a parameter, or the nodes of an expression (`formulas.Nodes`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import qiskit
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

from .._core.strict_json import parsed_json
from .cannot_build import CannotBuildError
from .circuit_reader import Reader, list_of_circuit
from .circuit_writer import Writer
from .kinds import WIDEST

_BODY = {"name", "num_qubits", "phase", "data"}


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
    writer = Writer(parameters)
    plain = {
        **writer.body(circuit),
        "registers": _registers(circuit),
        "metadata": _metadata(circuit),
        "definitions": writer.definitions,
    }
    text = json.dumps(plain, allow_nan=False, separators=(",", ":"))
    return {"text": text.encode("ascii"), "matrices": writer.matrices}


def _metadata(circuit: QuantumCircuit) -> Any:
    try:
        return json.loads(json.dumps(circuit.metadata or None, allow_nan=False))
    except (TypeError, ValueError):  # any objects
        return None


def _registers(circuit: QuantumCircuit) -> list[list[Any]]:
    if [bit for register in circuit.qregs for bit in register] != list(circuit.qubits):
        return []  # loose or shared qubits
    return [[register.name, register.size] for register in circuit.qregs]


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
    reader = Reader(parameters, plain["matrices"], WIDEST + len(plain["text"]))
    for body in list_of_circuit(content["definitions"]):
        _expect_names(body, _BODY)
        reader.define(body)
    circuit = reader.circuit(content, _registers_of(content["registers"], content["num_qubits"]))
    if isinstance(content["metadata"], dict):
        circuit.metadata = content["metadata"]
    return circuit


def _expect_names(content: Any, names: set[str]) -> None:
    if not isinstance(content, dict) or content.keys() != names:
        raise ValueError(f"circuit: expected {', '.join(sorted(names))}")


def _registers_of(plain: Any, num_qubits: Any) -> list[tuple[str, int]]:
    registers = []
    for row in list_of_circuit(plain):
        if (
            len(list_of_circuit(row)) != 2
            or type(row[0]) is not str
            or type(row[1]) is not int
            or not 0 < row[1] <= WIDEST
        ):
            raise ValueError("circuit: expected names and sizes of registers")
        registers.append((row[0], row[1]))
    if registers and sum(size for _, size in registers) != num_qubits:
        raise ValueError("circuit: registers of another number of qubits")
    return registers
