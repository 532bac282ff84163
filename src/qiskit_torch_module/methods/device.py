"""A circuit as a device takes it: transpiled once, with the observables moved to where its qubits have gone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.quantum_info import PauliList, SparsePauliOp
from qiskit.transpiler.preset_passmanagers import generate_preset_pass_manager

from .._program.compile import compile_program
from .._program.frame import sums_on_qubits
from .._program.own_angles import OwnAngles, own_angles
from .._program.program import Program
from .._reading import compat
from .._reading.angles import Angles
from .._reading.controls import has_parameters
from .._reading.paulis import unpacked
from .._simulation.engines import engine_of
from .estimators import Answer

_OPTIMIZATION_LEVEL = 2
# The same circuit each time, so that what was sent before is known again.
_SEED = 0

# What was made of a circuit of up to so many qubits is compared with it, at so many points.
_MOST_COMPARED, _POINTS = 12, 2
# As parts of the sum of the sizes of all coefficients: pass managers may approximate, but not this much.
_TOLERANCE = 0.05

_REMEDY = (
    "leave pass_manager out, or give qiskit.transpiler.generate_preset_pass_manager(optimization_level=2, backend=...)"
)


@dataclass(frozen=True)
class DeviceCircuit:
    """What is sent for a program.

    Attributes:
        circuit: Its angles are plain parameters.
        factors: Makes values of these from the angles of all rotations of the program, shape (P, R),
        offsets: and these are added, shape (P,).
        observables: Those that are not constant, on all qubits of the circuit.
        varying: Their numbers among all M observables of the program.
        constants: What the identity contributes to each of those, shape (M,).
        num_groups: How many measurements of a circuit tell all observables: those of a group commute qubit by qubit.
    """

    circuit: QuantumCircuit
    factors: npt.NDArray[np.float64]
    offsets: npt.NDArray[np.float64]
    observables: tuple[SparsePauliOp, ...]
    varying: tuple[int, ...]
    constants: npt.NDArray[np.float64]
    num_groups: int

    def whole(self, answer: Answer) -> Answer:
        """Values of all observables of the program, the constant ones among them."""
        values = np.tile(self.constants, (len(answer.values), 1))
        errors, varying = np.zeros_like(values), [*self.varying]
        values[:, varying] += answer.values
        errors[:, varying] = answer.errors
        return Answer(values, errors)

    def rows(self, angles: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Values of the parameters (K, P) for the angles (K, R) of all rotations, from -2 pi to 2 pi."""
        rows = angles @ self.factors.T + self.offsets
        wide: npt.NDArray[np.float64] = np.where(np.abs(rows) > 2 * np.pi, np.remainder(rows, 4 * np.pi), rows)
        return np.where(wide > 2 * np.pi, wide - 4 * np.pi, wide)


def device_circuit(program: Program, backend: Any = None, pass_manager: Any = None) -> DeviceCircuit:
    """What is sent for a program that reads expectation values.

    Args:
        program: The program.
        backend: Where it is to run; None: anything that takes any circuit.
        pass_manager: Makes the circuit one for the device; None: one of Qiskit's, if there is a backend.

    Raises:
        ValueError: the circuit has too many qubits, or the pass manager made one of it that is not for the device.
    """
    output = program.expectation_values
    assert output is not None
    own = own_angles(program.evolution)
    sums = sums_on_qubits(program.evolution.known_frame, output)
    kept = [qubit for qubit, place in enumerate(own.places) if place is not None]
    places: Sequence[Any] = [own.places[qubit] for qubit in kept]
    has_x, has_z = (
        _moved(unpacked(masks, sums.num_qubits)[:, kept], places, own.circuit.num_qubits) for masks in (sums.x, sums.z)
    )
    target = getattr(backend, "target", None)
    _require_room(own.circuit, target)
    made = own.circuit
    if pass_manager is None and backend is not None:
        pass_manager = generate_preset_pass_manager(
            _OPTIMIZATION_LEVEL, backend, approximation_degree=1.0, seed_transpiler=_SEED
        )
    if pass_manager is not None:
        made = pass_manager.run(own.circuit)
        places = _final_places(made, own.circuit)
        has_x, has_z = (_moved(bits, places, made.num_qubits) for bits in (has_x, has_z))
    if target is not None:
        _require_basis(made, target)
    circuit, factors, offsets = _with_plain_angles(made, own, len(program.evolution.rotations))
    varying = tuple(np.unique(sums.observable).tolist())
    observables = tuple([_operator(has_x, has_z, sums.coefficient, sums.observable == number) for number in varying])
    found = DeviceCircuit(
        circuit, factors, offsets, observables, varying, np.array(output.constants), _num_groups(has_x, has_z)
    )
    if pass_manager is not None:
        _require_same(program, found)
    return found


def _moved(bits: npt.NDArray[np.bool_], places: Sequence[Any], num_qubits: int) -> npt.NDArray[np.bool_]:
    moved = np.zeros((len(bits), num_qubits), dtype=bool)
    moved[:, places] = bits
    return moved


def _operator(has_x: Any, has_z: Any, coefficient: Any, chosen: Any) -> SparsePauliOp:
    return SparsePauliOp(PauliList.from_symplectic(has_z[chosen], has_x[chosen]), coefficient[chosen])


def _num_groups(has_x: npt.NDArray[np.bool_], has_z: npt.NDArray[np.bool_]) -> int:
    if not len(has_x):
        return 0
    distinct = np.unique(np.concatenate([has_z, has_x], 1), axis=0)
    has_z, has_x = np.split(distinct, 2, axis=1)
    return len(PauliList.from_symplectic(has_z, has_x).group_commuting(qubit_wise=True))


def _require_room(circuit: QuantumCircuit, target: Any) -> None:
    most = getattr(target, "num_qubits", None)
    if most is not None and circuit.num_qubits > most:
        raise ValueError(
            f"circuit: expected gates on at most {most} qubits, as many as the device has, got gates on "
            f"{circuit.num_qubits}; use a larger device, or fewer qubits"
        )


def _final_places(made: Any, given: QuantumCircuit) -> list[int]:
    """Where each qubit of a circuit is at the end of what a pass manager made of it."""
    if not isinstance(made, QuantumCircuit):
        raise TypeError(f"pass_manager: expected a QuantumCircuit from its run(), got {type(made).__name__}; {_REMEDY}")
    places = compat.final_places(made, given.num_qubits)
    if places is not None:
        return places
    if made.num_qubits != given.num_qubits:
        raise ValueError(
            f"pass_manager: it made a circuit of {made.num_qubits} qubits of one of {given.num_qubits}, and lost the "
            f"layout, which says where each of them is; {_REMEDY}"
        )
    return [*range(given.num_qubits)]


def _require_basis(circuit: QuantumCircuit, target: Any) -> None:
    place = {bit: index for index, bit in enumerate(circuit.qubits)}
    for instruction in circuit.data:
        name, qubits = instruction.operation.name, tuple(place[bit] for bit in instruction.qubits)
        if not getattr(instruction.operation, "_directive", False) and not target.instruction_supported(name, qubits):
            basis = ", ".join(sorted(target.operation_names))
            raise ValueError(
                f"pass_manager: it made a circuit with '{name}' on qubits {list(qubits)}, where the device has no such "
                f"gate (it knows {basis}); {_REMEDY}"
            )


def _with_plain_angles(
    circuit: QuantumCircuit, own: OwnAngles, num_rotations: int
) -> tuple[QuantumCircuit, npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The circuit with a plain parameter for each of its angles, and how these follow from those of rotations.

    Transpilers shift angles and add them up; devices, and simulators that bind many values, want plain parameters.
    """
    angles = Angles({parameter: number for number, parameter in enumerate(own.parameters)})
    known: dict[Any, Parameter] = {}
    plain = circuit.copy_empty_like()
    plain.global_phase = 0.0  # nobody sees it, and it may hold the angles that were given
    for instruction in circuit.data:
        operation = instruction.operation
        if has_parameters(operation):
            operation = operation.to_mutable() if hasattr(operation, "to_mutable") else operation.copy()
            read = [angles.polynomial(angle, operation.name) for angle in operation.params]
            operation.params = [
                known.setdefault(angle, Parameter(f"a{len(known):06}")) if angle.degree else angle.constant_value
                for angle in read
            ]
            operation._definition = None  # that of the old angles
            instruction = instruction.replace(operation=operation)
        plain._append(instruction)
    if angles.derived or any(angle.degree > 1 for angle in known):
        raise ValueError(f"pass_manager: it made angles that are more than sums of the given ones; {_REMEDY}")
    factors, offsets = np.zeros((len(known), num_rotations)), np.zeros(len(known))
    for row, angle in enumerate(known):
        offsets[row] = angle.constant_value
        for variables, coefficient in angle.terms:
            for variable in variables:
                factors[row, own.rotations[variable]] = coefficient * own.signs[variable]
    return plain, factors, offsets


def _require_same(program: Program, found: DeviceCircuit) -> None:
    """Compares values of what was made with those of the program, where that takes no time.

    A pass manager may lose the layout, or leave another one than its circuit has: all values are wrong then.
    """
    if program.evolution.num_qubits > _MOST_COMPARED or not found.observables:
        return
    parameters = [*found.circuit.parameters]
    try:
        made = compile_program(found.circuit, list(found.observables), parameters, ())
    except ValueError:  # a gate that only the device knows
        return
    if made.evolution.num_qubits > _MOST_COMPARED:
        return
    apart = program.apart
    own = np.random.default_rng(0).uniform(-np.pi, np.pi, (_POINTS, apart.evolution.num_inputs))
    angles = np.zeros((_POINTS, len(program.evolution.rotations)))
    angles[:, [n for n, one in enumerate(program.evolution.rotations) if one.angle.degree > 0]] = own
    varying = [*found.varying]
    wanted = engine_of(apart).values(own, np.empty(0), 1)[:, varying] - found.constants[varying]
    got = engine_of(made).values(found.rows(angles), np.empty(0), 1)
    sizes = np.array([np.abs(observable.coeffs).sum() for observable in found.observables])
    if (np.abs(got - wanted) > _TOLERANCE * sizes).any():
        raise ValueError(
            "pass_manager: the circuit that it made, and the layout that this has, give other values than the circuit "
            f"it was given; {_REMEDY}"
        )
