"""Operations with parameters under annotated controls, which Qiskit 1.1 to 1.4 takes apart only once they have numbers.

What acts as exp(-i angle/2 P) acts, where some qubits are in a state s, as exp(-i angle/2 |s><s| P), and |s><s| is a
mean of products of Z, all of which commute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import pi
from typing import Any

from qiskit import QuantumCircuit
from qiskit.circuit import Barrier, ParameterExpression
from qiskit.circuit.library import PauliEvolutionGate

from .compat import AnnotatedOperation, ControlModifier, GlobalPhaseGate, InverseModifier, PowerModifier
from .exponentials import has_exact_evolutions
from .gates import MAX_DIAGONAL_QUBITS, Step, native_gate
from .polynomials import Polynomial


def has_parameters(operation: Any) -> bool:
    """Whether some of its parameters are free."""
    params = getattr(operation, "params", ())
    return any(isinstance(param, ParameterExpression) and param.parameters for param in params)


class Annotation:
    """The modifiers of an annotated operation as one power of one operation under controls: they commute.

    Attributes:
        base: What is modified.
        power: How often it acts, a whole number; negative: its inverse does.
        num_controls: Number of controls, the first qubits.
        state: In which of their states it acts.
    """

    def __init__(self, operation: Any) -> None:
        self.base: Any = operation
        modifiers: list[Any] = []
        while isinstance(self.base, AnnotatedOperation):
            self.base, modifiers = self.base.base_op, [*self.base.modifiers, *modifiers]
        self.power: float = 1
        self.num_controls = self.state = 0
        for modifier in modifiers:
            if isinstance(modifier, ControlModifier):  # the outer ones come first
                self.state = self.state << modifier.num_ctrl_qubits | modifier.ctrl_state
                self.num_controls += modifier.num_ctrl_qubits
            elif isinstance(modifier, PowerModifier):
                self.power *= modifier.power
            elif isinstance(modifier, InverseModifier):
                self.power = -self.power

    def steps(self) -> Callable[[Callable[[Any], Polynomial]], list[Step]] | None:
        """Steps from a function that reads angles; None: its base is not native, or it is no single gate."""
        base = self.base
        if self.power != 1:
            return None
        if isinstance(base, GlobalPhaseGate):
            return lambda read: self._controlled([("phase", (), read(base.params[0]))])
        gate = native_gate(base)
        return None if gate is None else lambda read: self._controlled(gate.of(base, read))

    def _controlled(self, steps: Iterable[Step]) -> list[Step]:
        return [part for step in steps for part in _controlled(_shifted(step, self.num_controls), self._signs)]

    @property
    def _signs(self) -> Sequence[float]:
        """Of Z of each control where it is in the state."""
        return [-1.0 if self.state >> control & 1 else 1.0 for control in range(self.num_controls)]

    def circuits(self) -> Sequence[QuantumCircuit] | None:
        """Circuits of simpler operations, also annotated ones; None: Qiskit cannot take it apart either."""
        if self.power not in (1, -1):
            times = abs(int(self.power))
            sign = 1 if self.power > 0 else -1
            return [self._circuit([(self.base, range(self.base.num_qubits))], sign)] * times
        if native_gate(self.base) is not None:
            return [self._circuit([(self.base.inverse(), range(self.base.num_qubits))])]
        definition = getattr(self.base, "definition", None)
        if definition is None:
            return None
        inner = [(step.operation, [definition.find_bit(bit).index for bit in step.qubits]) for step in definition.data]
        if definition.global_phase:
            inner.append((GlobalPhaseGate(definition.global_phase), []))
        # Not the definition of its inverse: that of a product formula is another product.
        return [self._circuit(inner[:: int(self.power)], int(self.power))]

    def _circuit(self, operations: Sequence[tuple[Any, Sequence[int]]], power: int = 1) -> QuantumCircuit:
        """Powers of operations on qubits of the base, all of them under the controls."""
        circuit = QuantumCircuit(self.num_controls + self.base.num_qubits)
        for operation, qubits in operations:
            if not isinstance(operation, Barrier):
                on = [*range(self.num_controls), *(self.num_controls + qubit for qubit in qubits)]
                circuit.append(self._annotated(operation, power), on)
        return circuit

    def _annotated(self, operation: Any, power: int) -> Any:
        if isinstance(operation, GlobalPhaseGate):
            operation, power = GlobalPhaseGate(power * operation.params[0]), 1
        elif not has_parameters(operation):
            operation = operation if power == 1 else operation.inverse()
            return operation.control(self.num_controls, ctrl_state=self.state) if self.num_controls else operation
        modifiers = [InverseModifier()] if power == -1 else []
        if self.num_controls:
            modifiers.append(ControlModifier(self.num_controls, self.state))
        return AnnotatedOperation(operation, modifiers) if modifiers else operation


def annotation(operation: Any) -> Annotation | None:
    """The annotation of an operation with parameters, where its controls are few; None: it is something else."""
    if not isinstance(operation, AnnotatedOperation):
        return None
    if operation.num_qubits > MAX_DIAGONAL_QUBITS:
        return None
    annotated = Annotation(operation)
    if isinstance(annotated.base, PauliEvolutionGate) and has_exact_evolutions():
        return None
    if annotated.power != int(annotated.power):
        return None
    return annotated if has_parameters(annotated.base) or isinstance(annotated.base, GlobalPhaseGate) else None


def _shifted(step: Step, count: int) -> Step:
    name, qubits, angle = step
    return (name, tuple(count + qubit for qubit in qubits), angle)


def _controlled(step: Step, signs: Sequence[float]) -> list[Step]:
    """A step where the first qubits, whose Z have these signs, are in a state."""
    name, qubits, angle = step
    controls = tuple(range(len(signs)))
    if name == "swap":
        first, second = qubits
        cx: Step = ("cx", qubits, angle)
        return [cx, *_controlled(("cx", (second, first), angle), signs), cx]
    if name == "cx":
        controls, signs, qubits = (*controls, qubits[0]), (*signs, -1.0), qubits[1:]
    if name in ("x", "cx"):  # exp(-i pi/2 (X - 1))
        half = Polynomial.constant(pi)
        return [*_projected("X", qubits, half, controls, signs), *_projected("", (), -half, controls, signs)]
    if name == "phase":
        return _projected("", (), -2.0 * angle, controls, signs)
    return _projected(name, qubits, angle, controls, signs)


def _projected(
    letters: str, qubits: Sequence[int], angle: Polynomial, controls: Sequence[int], signs: Sequence[float]
) -> list[Step]:
    """exp(-i angle/2 |s><s| P)."""
    steps: list[Step] = []
    for subset in range(1 << len(controls)):
        chosen = [i for i in range(len(controls)) if subset >> i & 1]
        scale = 1.0 / (1 << len(controls))
        for i in chosen:
            scale *= signs[i]
        word = "Z" * len(chosen) + letters
        on = (*(controls[i] for i in chosen), *qubits)
        steps.append((word, on, scale * angle) if word else ("phase", (), -0.5 * scale * angle))
    return steps
