"""From a Qiskit circuit, observables and the order of parameters to a `Program`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import pi

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

from .._core.timing import Stopwatch
from .._reading.matrices import DenseStep, MatrixStep
from .._reading.observables import Observables, pauli_sums
from .._reading.parameters import variable_indices
from .._reading.paulis import MASKS_AT_ONCE, PauliSums, PauliTerms, parity, unpacked
from .._reading.polynomials import Polynomial
from .dense import Diagonal, Matrix, VirtualQubits, energy_bytes, matrix_bytes
from .passes import current_passes
from .program import Program, with_derived
from .reader import Reader
from .schedule import Rotation, X, Y, Z

# Qubits that gates act on; all others stay in |0> and cost nothing.
MAX_QUBITS = 30


@dataclass(frozen=True)
class _EnginePauli:
    """sign * X^x Z^z on the basis states of the engine, times i where that makes it Hermitian."""

    x: int
    z: int
    sign: float

    @property
    def is_imaginary(self) -> bool:
        return (self.x & self.z).bit_count() % 2 == 1


class _Frame:
    """The CX, SWAP and X gates so far, as the Paulis they turn X and Z of every qubit into.

    Pushed behind all rotations, such gates only relabel basis states: X of a qubit becomes X^flip, Z becomes
    (-1)^negative Z^sign.
    """

    def __init__(self, num_qubits: int) -> None:
        self.flip = [1 << qubit for qubit in range(num_qubits)]
        self.sign = [1 << qubit for qubit in range(num_qubits)]
        self.negative = [False] * num_qubits

    def relabel(self, name: str, qubits: Sequence[int]) -> None:
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

    def pauli(self, letters: str, qubits: Sequence[int]) -> _EnginePauli:
        """What a product of Paulis has become: letter i on qubit i."""
        flips = [qubit for letter, qubit in zip(letters, qubits, strict=True) if letter != "Z"]
        signed = [qubit for letter, qubit in zip(letters, qubits, strict=True) if letter != "X"]
        x = 0
        for qubit in flips:
            x ^= self.flip[qubit]
        z, negative = self.signs(signed)
        # Each Y is i X Z, and X, Z of different qubits commute: i^(number of Y) X^x Z^z, and i or 1 is left of it.
        negative ^= letters.count("Y") % 4 in (2, 3)
        return _EnginePauli(x, z, -1.0 if negative else 1.0)

    def rotations(self, letters: str, qubits: Sequence[int], angle: Polynomial) -> list[Rotation]:
        """exp(-i angle/2 P) of a product of Paulis."""
        pauli = self.pauli(letters, qubits)
        angle = angle * pauli.sign
        if pauli.x == 0:
            return [Rotation(Z, 0, pauli.z, angle)]
        if pauli.is_imaginary:
            return [Rotation(Y, pauli.x, pauli.z, angle)]
        # A Z that anticommutes with the flip: that of its first qubit.
        own, _ = self.signs([next(q for letter, q in zip(letters, qubits, strict=True) if letter != "Z")])
        if pauli.z == 0:
            return [Rotation(X, pauli.x, own, angle)]
        # X^x Z^z is the Y of the virtual qubit (x, z ^ own), turned by a quarter about own.
        quarter = Polynomial.constant(pi / 2)
        return [
            Rotation(Z, 0, own, quarter),
            Rotation(Y, pauli.x, pauli.z ^ own, angle),
            Rotation(Z, 0, own, -quarter),
        ]

    def virtual(self, qubits: Sequence[int]) -> VirtualQubits:
        """What the qubits have become."""
        return VirtualQubits(
            tuple(self.flip[qubit] for qubit in qubits),
            tuple(self.sign[qubit] for qubit in qubits),
            tuple(self.negative[qubit] for qubit in qubits),
        )

    def terms(self, sums: PauliSums, places: Sequence[int | None]) -> PauliTerms:
        """What Pauli strings have become (see `pauli`), given which qubit each of theirs is here.

        None: it is not simulated, and in |0>, so that Z is 1 and X and Y are 0.
        """
        # Those that are not simulated as if they did nothing: their X and Y are looked for below.
        flips = np.array([0 if place is None else self.flip[place] for place in places], dtype=np.uint32)
        signs = np.array([0 if place is None else self.sign[place] for place in places], dtype=np.uint32)
        negatives = np.array([place is not None and self.negative[place] for place in places])
        idle = np.array([place is None for place in places])
        x, z = np.empty(sums.num_strings, dtype=np.uint32), np.empty(sums.num_strings, dtype=np.uint32)
        negative, vanishes = np.empty(sums.num_strings, dtype=bool), np.empty(sums.num_strings, dtype=bool)
        for begin in range(0, sums.num_strings, MASKS_AT_ONCE):
            part = slice(begin, begin + MASKS_AT_ONCE)
            has_x, has_z = unpacked(sums.x[part], sums.num_qubits), unpacked(sums.z[part], sums.num_qubits)
            x[part] = np.bitwise_xor.reduce(has_x * flips, axis=1)
            z[part] = np.bitwise_xor.reduce(has_z * signs, axis=1)
            num_y = np.count_nonzero(has_x & has_z, axis=1)
            negative[part] = np.logical_xor.reduce(has_z & negatives, axis=1) ^ (num_y & 2 != 0)
            vanishes[part] = (has_x & idle).any(axis=1)
        # i X^x Z^z has the opposite sign of the imaginary part (see src/engine/observable.hpp).
        negative ^= parity(x & z)
        terms = PauliTerms(sums.observable, x, z, np.where(negative, -sums.coefficient, sums.coefficient))
        return terms.at(~vanishes) if vanishes.any() else terms


def compile_program(
    circuit: QuantumCircuit,
    observables: Observables,
    encoding: Sequence[Parameter],
    variational: Sequence[Sequence[Parameter]],
    sums: PauliSums | None = None,
    stopwatch: Stopwatch | None = None,
) -> Program:
    """Compiles a circuit for the engine.

    Args:
        circuit: Unitary circuit without measurements.
        observables: As for `QuantumModule`.
        encoding: Parameters that take a value for each sample, in the order of the input columns.
        variational: Sets of parameters shared by the batch, in the order of the weights.
        sums: The observables as `pauli_sums` makes them, where that is done.
        stopwatch: That has measured what was done before, and stops here.

    Raises:
        TypeError: an argument is of the wrong kind.
        ValueError: an operation, angle, observable or parameter cannot be used; the message names it.
    """
    if not isinstance(circuit, QuantumCircuit):
        raise TypeError(f"circuit: expected a qiskit QuantumCircuit, got {type(circuit).__name__}")
    if circuit.num_qubits < 1:
        raise ValueError("circuit: expected at least one qubit, got 0")
    stopwatch = stopwatch or Stopwatch()
    variables = variable_indices(circuit, encoding, variational)
    reader = Reader(variables, circuit.num_qubits)
    reader.read(circuit)
    lines = sorted(reader.live)
    if len(lines) > MAX_QUBITS:
        raise ValueError(
            f"circuit: expected gates on 1 to {MAX_QUBITS} qubits, got gates on {len(lines)} of {circuit.num_qubits}"
        )
    place = {line: index for index, line in enumerate(lines)}
    frame = _Frame(len(lines))
    rotations: list[Rotation] = []
    folds, num_relabellings = current_passes().permutation_folding, 0
    matrices: list[Matrix] = []
    diagonals: list[Diagonal] = []
    for step in reader.settled():
        if isinstance(step, DenseStep):
            at = len(rotations) + len(matrices) + len(diagonals)
            on = frame.virtual([place[line] for line in step.qubits])
            if isinstance(step, MatrixStep):
                matrices.append(Matrix(at, on, step.matrix.shape[1], matrix_bytes(step.matrix)))
            else:
                diagonals.append(Diagonal(at, on, energy_bytes(step.energies), step.angle))
            continue
        name, lines_of, angle = step
        qubits = [place[line] for line in lines_of]
        if name not in ("cx", "swap", "x"):
            rotations += frame.rotations(name, qubits, angle)
        elif folds:
            frame.relabel(name, qubits)
            num_relabellings += 1
        else:
            for letters, pair, constant in _as_rotations(name, qubits):
                rotations += frame.rotations(letters, pair, Polynomial.constant(constant))
    stopwatch.stage(f"{len(circuit.data):,} gates read as {len(rotations):,} rotations")
    if sums is None:
        sums = pauli_sums(
            observables, circuit.num_qubits, lambda: [i for i, line in enumerate(reader.line) if line not in place]
        )
    terms = frame.terms(sums, [place.get(line) for line in reader.line])
    is_identity = (terms.x | terms.z) == 0
    constants = np.bincount(
        terms.observable[is_identity], weights=terms.coefficient[is_identity], minlength=sums.num_observables
    )
    stopwatch.stage(f"{sums.num_strings:,} Pauli strings of {sums.num_observables:,} observables rewritten")
    program = with_derived(
        Program(
            num_qubits=max(1, len(lines)),
            num_inputs=len(encoding),
            num_weights=len(variables) - len(encoding),
            rotations=tuple(rotations),
            phase=Polynomial.sum(reader.phases),
            observable_constants=tuple(constants.tolist()),
            observable_terms=terms.at(~is_identity),
            num_relabellings=num_relabellings,
            matrices=tuple(matrices),
            diagonals=tuple(diagonals),
        ),
        reader.angles.derived,
        reader.blocks,
    )
    program.set_origins(variables, reader.angles.given)
    stopwatch.stop(f"compiling a circuit of {circuit.num_qubits} qubits")
    return program


def _as_rotations(name: str, qubits: Sequence[int]) -> Iterator[tuple[str, Sequence[int], float]]:
    """X, CX and SWAP as rotations of Pauli words, up to a constant phase: CX is exp(i pi/4 (1 - Z)(1 - X))."""
    if name == "x":
        yield "X", qubits, pi
        return
    control, target = qubits
    pairs = [(control, target)] if name == "cx" else [(control, target), (target, control), (control, target)]
    for first, second in pairs:
        yield from (("Z", [first], pi / 2), ("X", [second], pi / 2), ("ZX", [first, second], -pi / 2))
