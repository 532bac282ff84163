"""From a Qiskit circuit, observables and the order of parameters to a `Program`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import pi

from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

from .._core.sizes import counted
from .._core.timing import Stopwatch
from .._reading.gates import Step
from .._reading.matrices import DenseStep, MatrixStep
from .._reading.observables import Observables, pauli_sums
from .._reading.parameters import variable_indices
from .._reading.paulis import PauliSums
from .._reading.polynomials import Polynomial
from .dense import Diagonal, Matrix, energy_bytes, matrix_bytes
from .evolution import Evolution, with_derived
from .frame import Frame, expectation_values_in
from .layers import Rotation
from .output import Output
from .passes import Passes, current_passes
from .program import Program, require_shape
from .reader import Reader

# Qubits that gates act on; all others stay in |0> and cost nothing.


def compile_program(
    circuit: QuantumCircuit,
    observables: Observables | Output,
    encoding: Sequence[Parameter],
    variational: Sequence[Sequence[Parameter]],
    sums: PauliSums | None = None,
    stopwatch: Stopwatch | None = None,
    evolution: Evolution | None = None,
) -> Program:
    """Compiles a circuit for the engine.

    Args:
        circuit: Unitary circuit without measurements.
        observables: As for `QuantumModule`.
        encoding: Parameters that take a value for each sample, in the order of the input columns.
        variational: Sets of parameters shared by the batch, in the order of the weights.
        sums: The observables as `pauli_sums` makes them, where that is done.
        stopwatch: That has measured what was done before, and stops here.
        evolution: What `compile_evolution` makes of the circuit, where that is done.

    Raises:
        TypeError: an argument is of the wrong kind.
        ValueError: an operation, angle, observable or parameter cannot be used; the message names it.
    """
    if not isinstance(circuit, QuantumCircuit):
        raise TypeError(f"circuit: expected a qiskit QuantumCircuit, got {type(circuit).__name__}")
    if circuit.num_qubits < 1:
        raise ValueError("circuit: expected at least one qubit, got 0")
    stopwatch = stopwatch or Stopwatch()
    others = observables.circuits if isinstance(observables, Output) else ()
    if evolution is None:
        evolution = compile_evolution(circuit, encoding, variational, stopwatch, others)
    if isinstance(observables, Output):
        evolutions = [compile_evolution(other, encoding, variational, None, (circuit, *others)) for other in others]
        read = observables.settled(circuit.num_qubits).compiled(evolutions)
        require_shape(Program(evolution, read))
        program = _without_idle(evolution, read)
        stopwatch.stop(f"compiling a circuit of {counted(circuit.num_qubits, 'qubit')}")
        return program
    frame = evolution.frame
    assert frame is not None
    if sums is None:
        idle = [index for index, flip in enumerate(frame.flips) if not flip]
        sums = pauli_sums(observables, circuit.num_qubits, lambda: idle)
    output = expectation_values_in(frame, sums)
    stopwatch.stage(
        f"{counted(sums.num_strings, 'Pauli string')} of {counted(sums.num_observables, 'observable')} rewritten"
    )
    stopwatch.stop(f"compiling a circuit of {counted(circuit.num_qubits, 'qubit')}")
    return Program(evolution, output)


def _without_idle(evolution: Evolution, output: Output) -> Program:
    """The program of the qubits that are simulated or read: others are in |0>, and no part of the states it reads."""
    frame, read = evolution.known_frame, output.qubits_read()
    if read is None:
        return Program(evolution, output)
    kept = [qubit for qubit, flip in enumerate(frame.flips) if flip or qubit in read]
    if len(kept) == len(frame):
        return Program(evolution, output)
    places = {qubit: place for place, qubit in enumerate(kept)}
    return Program(evolution.on(kept), output.renumbered(places))


def compile_evolution(
    circuit: QuantumCircuit,
    encoding: Sequence[Parameter],
    variational: Sequence[Sequence[Parameter]],
    stopwatch: Stopwatch | None = None,
    others: Sequence[QuantumCircuit] = (),
) -> Evolution:
    """What a circuit does to its state; arguments and errors are those of `compile_program`.

    Others are circuits that may use parameters which this one does not.
    """
    variables = variable_indices(circuit, encoding, variational, others)
    reader = Reader(variables, circuit.num_qubits)
    reader.over(circuit)
    lines = sorted(reader.live)
    place = {line: index for index, line in enumerate(lines)}
    steps = Steps(len(lines), current_passes())
    for step in reader.settled():
        steps.add(step, [place[line] for line in (step.qubits if isinstance(step, DenseStep) else step[1])])
    if stopwatch is not None:
        stopwatch.stage(f"{counted(len(circuit.data), 'gate')} read as {counted(len(steps.rotations), 'rotation')}")
    evolution = with_derived(
        Evolution(
            num_qubits=max(1, len(lines)),
            num_inputs=len(encoding),
            num_weights=len(variables) - len(encoding),
            rotations=tuple(steps.rotations),
            phase=Polynomial.sum([*reader.phases, Polynomial.constant(steps.phase)]),
            frame=steps.frame.of([place.get(line) for line in reader.line]),
            num_relabellings=steps.num_relabellings,
            passes=steps.passes,
            matrices=tuple(steps.matrices),
            diagonals=tuple(steps.diagonals),
        ),
        reader.angles.derived,
        reader.blocks,
    )
    evolution.set_origins(variables, reader.angles.given)
    return evolution


class Steps:
    """Native steps as they become those of an evolution.

    Attributes:
        passes: What the compiler does.
        frame: The gates folded so far.
        num_relabellings: How many those are.
        phase: A factor exp(i phase) of the rest.
        rotations, matrices, diagonals: All others.
    """

    def __init__(self, num_qubits: int, passes: Passes) -> None:
        self.passes, self.frame, self.num_relabellings, self.phase = passes, Frame(num_qubits), 0, 0.0
        self.rotations: list[Rotation] = []
        self.matrices: list[Matrix] = []
        self.diagonals: list[Diagonal] = []

    def add(self, step: Step | DenseStep, qubits: Sequence[int]) -> None:
        """Adds a step on simulated qubits."""
        if isinstance(step, DenseStep):
            place = len(self.rotations) + len(self.matrices) + len(self.diagonals)
            on = self.frame.virtual(qubits)
            if isinstance(step, MatrixStep):
                self.matrices.append(Matrix(place, on, step.matrix.shape[1], matrix_bytes(step.matrix)))
            else:
                self.diagonals.append(Diagonal(place, on, energy_bytes(step.energies), step.angle))
            return
        name, _, angle = step
        if name not in ("cx", "swap", "x"):
            self.rotations += self.frame.rotations(name, qubits, angle)
        elif self.passes.permutation_folding:
            self.frame.relabel(name, qubits)
            self.num_relabellings += 1
        else:
            parts = [*_as_rotations(name, qubits)]
            self.phase += pi / 2 if name == "x" else pi / 4 * (len(parts) // 3)
            for letters, pair, constant in parts:
                self.rotations += self.frame.rotations(letters, pair, Polynomial.constant(constant))


def _as_rotations(name: str, qubits: Sequence[int]) -> Iterator[tuple[str, Sequence[int], float]]:
    """X, CX and SWAP as rotations, up to a phase: X is exp(i pi/2 (1 - X)), CX exp(i pi/4 (1 - Z)(1 - X))."""
    if name == "x":
        yield "X", qubits, pi
        return
    control, target = qubits
    pairs = [(control, target)] if name == "cx" else [(control, target), (target, control), (control, target)]
    for first, second in pairs:
        yield from (("Z", [first], pi / 2), ("X", [second], pi / 2), ("ZX", [first, second], -pi / 2))
