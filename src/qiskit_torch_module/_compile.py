"""From a Qiskit circuit, observables and the order of parameters to a `Program`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

from ._compat import is_conditioned
from ._gates import GATES, IDLE
from ._observables import Observables, PauliString, pauli_sums
from ._parameters import variable_indices
from ._polynomial import Polynomial, polynomial
from ._program import PauliTerm, Program
from ._schedule import Rotation, X, Y, Z

MAX_QUBITS = 30

# What cannot be part of a unitary circuit, and what to do about it.
_REFUSED = {
    "measure": "remove it with circuit.remove_final_measurements(); observables replace measurements",
    "reset": "start from |0...0> without it; every circuit starts there",
    "initialize": "it resets qubits; prepare the state with gates, e.g. StatePreparation",
    "if_else": "classical control is not supported; unroll it",
    "for_loop": "classical control is not supported; unroll it",
    "while_loop": "classical control is not supported; unroll it",
    "switch_case": "classical control is not supported; unroll it",
}


class _Frame:
    """The CX, SWAP and X gates so far, as the Paulis they turn X and Z of every qubit into.

    Pushed behind all rotations, such gates only relabel basis states: X of a qubit becomes X^flip, Z becomes
    (-1)^negative Z^sign.
    """

    def __init__(self, num_qubits: int) -> None:
        self.flip = [1 << qubit for qubit in range(num_qubits)]
        self.sign = [1 << qubit for qubit in range(num_qubits)]
        self.negative = [False] * num_qubits

    def apply(self, name: str, qubits: Sequence[int]) -> None:
        if name == "x":
            self.negative[qubits[0]] ^= True
        elif name == "cx":
            control, target = qubits
            self.flip[control] ^= self.flip[target]
            self.sign[target] ^= self.sign[control]
            self.negative[target] ^= self.negative[control]
        else:
            first, second = qubits
            self.flip[first], self.flip[second] = self.flip[second], self.flip[first]
            self.sign[first], self.sign[second] = self.sign[second], self.sign[first]
            self.negative[first], self.negative[second] = self.negative[second], self.negative[first]

    def signs(self, qubits: Sequence[int]) -> tuple[int, bool]:
        """The product of Z on the qubits: its mask, and whether it is negative."""
        mask, negative = 0, False
        for qubit in qubits:
            mask ^= self.sign[qubit]
            negative ^= self.negative[qubit]
        return mask, negative

    def rotation(self, name: str, qubits: Sequence[int], angle: Polynomial) -> Rotation:
        mask, negative = self.signs(qubits)
        if name == "rz":
            return Rotation(Z, 0, mask, -angle if negative else angle)
        if name == "ry":
            return Rotation(Y, self.flip[qubits[0]], mask, -angle if negative else angle)
        return Rotation(X, self.flip[qubits[0]], mask, angle)

    def pauli(self, observable: int, string: PauliString) -> PauliTerm:
        flip = 0
        for qubit in string.x:
            flip ^= self.flip[qubit]
        mask, negative = self.signs(string.z)
        # A product of Y contributes i each: real or imaginary part, and a sign (see src/engine/observable.hpp).
        num_y = len(set(string.x) & set(string.z))
        negative ^= (num_y + 1) // 2 % 2 == 1
        return PauliTerm(observable, flip, mask, -string.coefficient if negative else string.coefficient)


def compile_program(
    circuit: QuantumCircuit,
    observables: Observables,
    encoding: Sequence[Parameter],
    variational: Sequence[Sequence[Parameter]],
) -> Program:
    """Compiles a circuit for the engine.

    Args:
        circuit: Unitary circuit without measurements.
        observables: As for `QuantumModule`.
        encoding: Parameters that take a value for each sample, in the order of the input columns.
        variational: Sets of parameters shared by the batch, in the order of the weights.

    Raises:
        TypeError: an argument is of the wrong kind.
        ValueError: an operation, angle, observable or parameter cannot be used; the message names it.
    """
    if not isinstance(circuit, QuantumCircuit):
        raise TypeError(f"circuit: expected a qiskit QuantumCircuit, got {type(circuit).__name__}")
    if not 1 <= circuit.num_qubits <= MAX_QUBITS:
        raise ValueError(f"circuit: expected 1 to {MAX_QUBITS} qubits, got {circuit.num_qubits}")
    variables = variable_indices(circuit, encoding, variational)
    frame = _Frame(circuit.num_qubits)
    rotations = []
    for name, qubits, angle in _steps(circuit, list(range(circuit.num_qubits)), variables):
        if name in ("rx", "ry", "rz"):
            rotations.append(frame.rotation(name, qubits, angle))
        else:
            frame.apply(name, qubits)
    sums = pauli_sums(observables, circuit.num_qubits)
    terms = [frame.pauli(index, string) for index, sum_ in enumerate(sums) for string in sum_]
    constants = [0.0] * len(sums)
    for term in terms:
        if term.x == 0 and term.z == 0:
            constants[term.observable] += term.coefficient
    return Program(
        num_qubits=circuit.num_qubits,
        num_inputs=len(encoding),
        num_weights=len(variables) - len(encoding),
        rotations=tuple(rotations),
        observable_constants=tuple(constants),
        observable_terms=tuple(term for term in terms if term.x or term.z),
    )


def _steps(
    circuit: QuantumCircuit, qubits: Sequence[int], variables: Mapping[Parameter, int]
) -> Iterator[tuple[str, tuple[int, ...], Polynomial]]:
    """Native steps of a circuit that sits on the given qubits, in order of time."""
    position = dict(zip(circuit.qubits, qubits, strict=True))
    for instruction in circuit.data:
        operation = instruction.operation
        on = [position[bit] for bit in instruction.qubits]
        if operation.name in IDLE:
            continue
        _refuse(operation, on)
        gate = GATES.get(operation.name)
        if gate is not None and (len(on), len(operation.params)) == (gate.num_qubits, gate.num_angles):
            angles = [polynomial(angle, variables, operation.name) for angle in operation.params]
            for name, which, angle in gate.steps(*angles):
                yield name, tuple(on[i] for i in which), angle
        else:
            yield from _steps(_definition(operation, on), on, variables)


def _refuse(operation: Any, qubits: Sequence[int]) -> None:
    if operation.name in _REFUSED:
        raise ValueError(f"circuit: '{operation.name}' on qubits {list(qubits)}: {_REFUSED[operation.name]}")
    if is_conditioned(operation) or getattr(operation, "num_clbits", 0) > 0:
        raise ValueError(
            f"circuit: '{operation.name}' on qubits {list(qubits)} uses classical bits; only unitary gates are "
            "supported, remove or unroll it"
        )


def _definition(operation: Any, qubits: Sequence[int]) -> QuantumCircuit:
    definition = getattr(operation, "definition", None)
    if definition is None:
        raise ValueError(
            f"circuit: gate '{operation.name}' on qubits {list(qubits)} is not supported: it is neither native "
            f"({', '.join(sorted(GATES))}) nor has it a definition; decompose it with qiskit.transpile first"
        )
    return definition
