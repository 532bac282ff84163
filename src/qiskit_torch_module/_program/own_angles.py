"""A circuit in which every rotation whose angle varies has an angle of its own: what devices are given.

It is the circuit as it was written, so that it is as deep on a device as that one: gates without parameters stay as
they are, CX gates between rotations stay where they are, and gates with parameters become the rotations that they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from qiskit import QuantumCircuit
from qiskit.circuit import Barrier, CircuitInstruction, Delay, Parameter, library

from .._reading.compat import UnitaryGate
from .._reading.controls import has_parameters
from .._reading.gates import ROTATION_GATES, Gate, Step
from .._reading.matrices import DenseOperation, DenseStep
from .._reading.measurements import without_measurements
from .._reading.operations import Matrix, Reading
from .compile import Steps
from .evolution import Evolution
from .reader import Reader

_RELABELLINGS: dict[str, Any] = {"cx": library.CXGate, "swap": library.SwapGate, "x": library.XGate}


@dataclass(frozen=True)
class OwnAngles:
    """A circuit whose angles are plain parameters, one for each rotation that varies.

    Attributes:
        circuit: On the qubits that gates act on.
        parameters: Its parameters.
        rotations: For each of them the rotation of the evolution whose angle it is,
        signs: and 1 or -1, by which that is multiplied.
        places: For each qubit of the original circuit the qubit that it is in the end; None: it is in |0>.
    """

    circuit: QuantumCircuit
    parameters: tuple[Parameter, ...]
    rotations: tuple[int, ...]
    signs: tuple[float, ...]
    places: tuple[int | None, ...]


def own_angles(evolution: Evolution) -> OwnAngles:
    """The circuit that an evolution was compiled from, with an angle for each rotation.

    Raises:
        ValueError: the circuit is not known, or is another one by now.
    """
    if (fault := unknown_circuit(evolution)) is not None:
        raise ValueError(fault)
    assert evolution.origins is not None
    given = evolution.circuit
    circuit, _ = without_measurements(given.built() if hasattr(given, "built") else given)
    drawing = _Drawing(evolution.origins.variables, circuit.num_qubits)
    drawing.over(circuit)
    lines = sorted(drawing.live)
    place = {line: index for index, line in enumerate(lines)}
    steps, signs = Steps(len(lines), evolution.passes), []
    for step in drawing.settled():
        before = len(steps.rotations)
        steps.add(step, [place[line] for line in _lines(step)])
        varying = [rotation for rotation in steps.rotations[before:] if rotation.angle.degree > 0]
        signs += [1.0 if rotation.angle == step[2] else -1.0 for rotation in varying]  # type: ignore[index]
    rotations = [number for number, rotation in enumerate(evolution.rotations) if rotation.angle.degree > 0]
    found = [(one.axis, one.x, one.z) for one in steps.rotations if one.angle.degree > 0]
    known = [(evolution.rotations[n].axis, evolution.rotations[n].x, evolution.rotations[n].z) for n in rotations]
    if found != known:
        raise ValueError(
            "circuit: its gates are not those that the model was compiled from; build the model from its circuit again"
        )
    own, parameters = drawing.drawn(lines)
    assert len(parameters) == len(rotations)
    places = tuple([place.get(line) for line in drawing.line])
    return OwnAngles(own, parameters, tuple(rotations), tuple(signs), places)


def unknown_circuit(evolution: Evolution) -> str | None:
    """Why there is no circuit of an evolution, if there is none."""
    if evolution.circuit is None or evolution.origins is None or evolution.frame is None:
        return "the model comes from a file that does not hold its circuit; build the model from the circuit again"
    return None


@dataclass(frozen=True)
class _Open:
    """A gate of Qiskit's that is taken apart while the circuit is read, and stays as it is when that is done.

    Attributes:
        operation: The gate.
        on: Its lines.
        depth: How deep the circuit is that holds it.
        begin: How much was met before it.
        line: Lines of all qubits before it.
    """

    operation: Any
    on: Sequence[int]
    depth: int
    begin: int
    line: Sequence[int]


def _is_standard(operation: Any) -> bool:
    """Whether it is a gate that Qiskit's transpiler knows for itself, as devices may."""
    kind = getattr(operation, "base_class", type(operation))
    return bool(kind.__module__.startswith("qiskit.circuit.library.standard_gates."))


def _lines(step: Step | DenseStep) -> Sequence[int]:
    return step[1] if isinstance(step, tuple) else step.qubits


class _Drawing(Reader):
    """Reads a circuit, and keeps what it met: operations without parameters, and steps of the others."""

    def __init__(self, variables: Any, num_qubits: int) -> None:
        super().__init__(variables, num_qubits)
        self._met: list[tuple[Any, Sequence[int]] | Step | DenseOperation] = []
        self._depth = 0  # of the circuit that is open
        self._open: _Open | None = None

    def enter(self, circuit: QuantumCircuit, on: Sequence[int]) -> Sequence[int]:
        self._depth += 1
        return super().enter(circuit, on)

    def leave(self, circuit: QuantumCircuit) -> None:
        self._depth -= 1
        whole = self._open
        if whole is None or self._depth > whole.depth:
            return
        self._open = None
        # Swaps with a qubit in |0> may have become other lines.
        if len(self._met) > whole.begin and self.line == whole.line:
            self._met[whole.begin :] = [(whole.operation, whole.on)]

    def gate(self, gate: Gate, instruction: CircuitInstruction, qubits: list[int]) -> None:
        before, lines = len(self._steps), self._lines_of(qubits)
        super().gate(gate, instruction, qubits)
        self._meet(before, instruction.operation, lines)

    def operation(self, kind: Reading, operation: Any, qubits: list[int]) -> Iterable[QuantumCircuit] | None:
        before, lines = len(self._steps), self._lines_of(qubits)
        inside = super().operation(kind, operation, qubits)
        if inside is None:
            self._meet(before, UnitaryGate(kind.matrix) if isinstance(kind, Matrix) else operation, lines)
        elif self._open is None and _is_standard(operation) and not has_parameters(operation):
            self._open = _Open(operation, lines, self._depth, len(self._met), [*self.line])
        return inside

    def idle(self, operation: Any, qubits: list[int]) -> None:
        self._met.append((operation, self._lines_of(qubits)))

    def _lines_of(self, qubits: Sequence[int]) -> list[int]:
        return [self.line[qubit] for qubit in qubits]

    def _meet(self, before: int, operation: Any, lines: Sequence[int]) -> None:
        """What has become steps: an operation with parameters as these, any other as it is.

        A product formula is no more than its steps: some simulators take it for the exponential of the whole sum.
        """
        if has_parameters(operation) or isinstance(operation, library.PauliEvolutionGate):
            self._met += self._steps[before:]
        elif len(self._steps) > before:
            self._met.append((operation, lines))

    def drawn(self, lines: Sequence[int]) -> tuple[QuantumCircuit, tuple[Parameter, ...]]:
        """What was met as a circuit on these lines, then on others that operations need, and its parameters."""
        met = [*self._all_met()]
        idle = {line for operation, on in met if not _is_idle(operation) for line in on} - set(lines)
        place = {line: index for index, line in enumerate([*lines, *sorted(idle)])}
        circuit = QuantumCircuit(max(1, len(place)))
        parameters: list[Parameter] = []
        for operation, on in met:
            places = [place[line] for line in on if line in place]
            if isinstance(operation, tuple):
                name, _, angle = operation
                if angle.degree > 0:
                    parameters.append(Parameter(f"a{len(parameters):06}"))  # sorted by name
                _rotate(circuit, name, places, parameters[-1] if angle.degree > 0 else angle.constant_value)
            elif places:
                circuit.append(type(operation)(len(places)) if _is_barrier(operation) else operation, places)
        return circuit, tuple(parameters)

    def _all_met(self) -> Iterable[tuple[Any, Sequence[int]]]:
        for one in self._met:
            if isinstance(one, DenseOperation):
                inner = _Drawing({}, len(one.qubits))
                inner.angles, inner.phases = self.angles, self.phases
                inner.live.update(inner.line)  # so that each keeps its line
                inner.over(one.circuit())
                for operation, on in inner._all_met():
                    yield operation, [one.qubits[line] for line in on]
            elif len(one) == 2:
                yield one
            else:
                yield one, one[1]


def _is_barrier(operation: Any) -> bool:
    return isinstance(operation, Barrier)


def _is_idle(operation: Any) -> bool:
    return _is_barrier(operation) or isinstance(operation, Delay)


def _rotate(circuit: QuantumCircuit, name: str, qubits: Sequence[int], angle: Any) -> None:
    """Appends a native step; a rotation about a long word is one about Z between a ladder of CX gates and back."""
    if name in _RELABELLINGS:
        circuit.append(_RELABELLINGS[name](), qubits)
        return
    if name == "XZ":
        name, qubits = "ZX", qubits[::-1]
    if name in ROTATION_GATES:
        circuit.append(ROTATION_GATES[name](angle), qubits)
        return
    ladder = QuantumCircuit(circuit.num_qubits)
    for letter, qubit in zip(name, qubits, strict=True):
        if letter == "Y":
            ladder.sdg(qubit)
        if letter != "Z":
            ladder.h(qubit)
    for first, second in pairwise(qubits):
        ladder.cx(first, second)
    circuit.compose(ladder, inplace=True)
    circuit.rz(angle, qubits[-1])
    circuit.compose(ladder.inverse(), inplace=True)
