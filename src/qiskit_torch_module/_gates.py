"""The native gates: what each is made of. One record serves compiler, documentation and tests.

Everything comes down to Pauli rotations exp(-i angle/2 P) and to CX, SWAP and X, which only relabel basis states; all
other gates are taken apart by Qiskit's own definitions. A global phase is kept where it depends on an angle, because
imaginary derivatives see it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np
import qiskit.circuit.library as library
from qiskit.circuit import CircuitInstruction, ControlledGate
from qiskit.synthesis import LieTrotter, SuzukiTrotter

from ._compat import DiagonalGate, is_plain_gate
from ._polynomial import Polynomial

# A step: a Pauli word in capitals ("X", "ZZ", ...: a rotation about it, letter i on qubit i of the step), "cx", "swap"
# or "x" (a relabelling), or "phase" (a factor exp(i angle)); on which of the gate's qubits; by which angle.
Step = tuple[str, tuple[int, ...], Polynomial]

# A diagonal on k qubits is a product of 2^k - 1 rotations; beyond this Qiskit's definition takes over.
MAX_DIAGONAL_QUBITS = 8

_NO_ANGLE = Polynomial()


@dataclass(frozen=True)
class Gate:
    """A native gate.

    Attributes:
        class_name: Its class in ``qiskit.circuit.library``.
        num_qubits: Number of qubits; None: any, and ``steps`` takes it first.
        num_angles: Number of angles, the parameters of the gate.
        steps: Its steps in order of time, from its angles.
    """

    class_name: str
    num_qubits: int | None
    num_angles: int
    steps: Callable[..., list[Step]]

    def matches(self, operation: Any) -> bool:
        """Whether a gate of this name is really the one of the library, all its controls closed."""
        if isinstance(operation, CircuitInstruction):
            return True
        gate_class: Any = getattr(library, self.class_name, ())
        if not isinstance(operation, gate_class):
            return False
        if isinstance(operation, ControlledGate) and operation.ctrl_state != (1 << operation.num_ctrl_qubits) - 1:
            return False
        if self.num_qubits is None and operation.num_qubits > MAX_DIAGONAL_QUBITS:
            return False
        return len(operation.params) == self.num_angles


def _rx(angle: Polynomial, qubit: int = 0) -> Step:
    return ("X", (qubit,), angle)


def _ry(angle: Polynomial, qubit: int = 0) -> Step:
    return ("Y", (qubit,), angle)


def _rz(angle: Polynomial, qubit: int = 0) -> Step:
    return ("Z", (qubit,), angle)


def _phase(angle: Polynomial) -> Step:
    return ("phase", (), angle)


def _fixed(angle: float) -> Polynomial:
    return Polynomial.constant(angle)


def _h(qubit: int = 0) -> list[Step]:
    return [_rz(_fixed(pi), qubit), _ry(_fixed(pi / 2), qubit)]


def _u(theta: Polynomial, phi: Polynomial, lam: Polynomial) -> list[Step]:
    return [_rz(lam), _ry(theta), _rz(phi), _phase(0.5 * (phi + lam))]


def _controlled(letter: str) -> Callable[[Polynomial], list[Step]]:
    """exp(-i angle/2 |1><1| P) = exp(-i angle/4 P) exp(i angle/4 Z P)."""
    return lambda angle: [(letter, (1,), 0.5 * angle), ("Z" + letter, (0, 1), -0.5 * angle)]


def _word(letters: str) -> Callable[[Polynomial], list[Step]]:
    return lambda angle: [(letters, tuple(range(len(letters))), angle)]


def _multi_controlled_phase(num_qubits: int, angle: Polynomial) -> list[Step]:
    """diag(1, ..., 1, exp(i angle)): |1...1><1...1| is the mean over all products of -Z."""
    scale = 2.0 / (1 << num_qubits)
    steps = [_phase(0.5 * scale * angle)]
    for subset in range(1, 1 << num_qubits):
        qubits = tuple(q for q in range(num_qubits) if subset >> q & 1)
        sign = 1.0 if len(qubits) % 2 else -1.0
        steps.append(("Z" * len(qubits), qubits, sign * scale * angle))
    return steps


def _multi_controlled_x(num_qubits: int) -> list[Step]:
    target = num_qubits - 1
    return [*_h(target), *_multi_controlled_phase(num_qubits, _fixed(pi)), *_h(target)]


_CX: Step = ("cx", (0, 1), _NO_ANGLE)
_X: Step = ("x", (0,), _NO_ANGLE)

GATES: dict[str, Gate] = {
    "id": Gate("IGate", 1, 0, lambda: []),
    "x": Gate("XGate", 1, 0, lambda: [_X]),
    "y": Gate("YGate", 1, 0, lambda: [_rz(_fixed(pi)), _X]),
    "z": Gate("ZGate", 1, 0, lambda: [_rz(_fixed(pi))]),
    "h": Gate("HGate", 1, 0, _h),
    "s": Gate("SGate", 1, 0, lambda: [_rz(_fixed(pi / 2))]),
    "sdg": Gate("SdgGate", 1, 0, lambda: [_rz(_fixed(-pi / 2))]),
    "t": Gate("TGate", 1, 0, lambda: [_rz(_fixed(pi / 4))]),
    "tdg": Gate("TdgGate", 1, 0, lambda: [_rz(_fixed(-pi / 4))]),
    "sx": Gate("SXGate", 1, 0, lambda: [_rx(_fixed(pi / 2))]),
    "sxdg": Gate("SXdgGate", 1, 0, lambda: [_rx(_fixed(-pi / 2))]),
    "rx": Gate("RXGate", 1, 1, lambda angle: [_rx(angle)]),
    "ry": Gate("RYGate", 1, 1, lambda angle: [_ry(angle)]),
    "rz": Gate("RZGate", 1, 1, lambda angle: [_rz(angle)]),
    "p": Gate("PhaseGate", 1, 1, lambda angle: [_rz(angle), _phase(0.5 * angle)]),
    "u1": Gate("U1Gate", 1, 1, lambda angle: [_rz(angle), _phase(0.5 * angle)]),
    "u2": Gate("U2Gate", 1, 2, lambda phi, lam: _u(_fixed(pi / 2), phi, lam)),
    "u3": Gate("U3Gate", 1, 3, _u),
    "u": Gate("UGate", 1, 3, _u),
    "r": Gate("RGate", 1, 2, lambda theta, phi: [_rz(-phi), _rx(theta), _rz(phi)]),
    "cx": Gate("CXGate", 2, 0, lambda: [_CX]),
    "cy": Gate("CYGate", 2, 0, lambda: [_rz(_fixed(-pi / 2), 1), _CX, _rz(_fixed(pi / 2), 1)]),
    "cz": Gate("CZGate", 2, 0, lambda: _multi_controlled_phase(2, _fixed(pi))),
    "cp": Gate("CPhaseGate", 2, 1, lambda angle: _multi_controlled_phase(2, angle)),
    "cu1": Gate("CU1Gate", 2, 1, lambda angle: _multi_controlled_phase(2, angle)),
    "crx": Gate("CRXGate", 2, 1, _controlled("X")),
    "cry": Gate("CRYGate", 2, 1, _controlled("Y")),
    "crz": Gate("CRZGate", 2, 1, _controlled("Z")),
    "swap": Gate("SwapGate", 2, 0, lambda: [("swap", (0, 1), _NO_ANGLE)]),
    "dcx": Gate("DCXGate", 2, 0, lambda: [_CX, ("cx", (1, 0), _NO_ANGLE)]),
    "rxx": Gate("RXXGate", 2, 1, _word("XX")),
    "ryy": Gate("RYYGate", 2, 1, _word("YY")),
    "rzz": Gate("RZZGate", 2, 1, _word("ZZ")),
    "rzx": Gate("RZXGate", 2, 1, _word("ZX")),
    "ccz": Gate("CCZGate", 3, 0, lambda: _multi_controlled_phase(3, _fixed(pi))),
    "ccx": Gate("CCXGate", 3, 0, lambda: _multi_controlled_x(3)),
    "mcx": Gate("MCXGate", None, 0, _multi_controlled_x),
    "mcphase": Gate("MCPhaseGate", None, 1, _multi_controlled_phase),
}

# Operations that leave the state as it is.
IDLE = frozenset({"barrier", "delay"})


def operation_of(instruction: CircuitInstruction) -> Any:
    """The operation of an instruction; for native gates the instruction itself, which has the same name and parameters.

    Qiskit 2 makes an object for a gate of the library only where one asks for it, and that takes time.
    """
    gate = GATES.get(instruction.name) if is_plain_gate(instruction) else None
    return instruction.operation if gate is None or gate.num_qubits is None else instruction


def is_standard(operation: Any) -> bool:
    """Whether name and parameters of an operation say what it does: a native gate, or nothing at all."""
    gate = GATES.get(operation.name)
    return operation.name in IDLE or (gate is not None and gate.matches(operation))


def steps_of(operation: Any, polynomial: Callable[[Any], Polynomial]) -> list[Step] | None:
    """Steps of an operation that is taken natively; None where its definition has to serve.

    Args:
        operation: An instruction of a circuit.
        polynomial: Reads an angle.
    """
    gate = GATES.get(operation.name)
    if gate is not None and gate.matches(operation):
        angles = [polynomial(angle) for angle in operation.params]
        return gate.steps(*angles) if gate.num_qubits is not None else gate.steps(operation.num_qubits, *angles)
    if isinstance(operation, DiagonalGate) and operation.num_qubits <= MAX_DIAGONAL_QUBITS:
        return _diagonal(np.angle(np.asarray(operation.params, dtype=complex)))
    if isinstance(operation, library.PauliEvolutionGate):
        return _evolution(operation, polynomial)
    return None


def _diagonal(angles: np.ndarray[Any, np.dtype[np.float64]]) -> list[Step]:
    """diag(exp(i angles)): its Walsh-Hadamard coefficients are the angles of rotations about products of Z."""
    num_qubits = int(angles.size).bit_length() - 1
    spectrum = angles.reshape((2,) * num_qubits)
    for axis in range(num_qubits):
        first, second = np.take(spectrum, 0, axis), np.take(spectrum, 1, axis)
        spectrum = np.stack([first + second, first - second], axis)
    flat = spectrum.reshape(-1) / angles.size
    words = [tuple(q for q in range(num_qubits) if mask >> q & 1) for mask in range(angles.size)]
    return [
        ("Z" * len(qubits), qubits, _fixed(-2.0 * float(coefficient)))
        for qubits, coefficient in zip(words[1:], flat[1:], strict=True)
    ]


def _evolution(operation: Any, polynomial: Callable[[Any], Polynomial]) -> list[Step] | None:
    """The product formula of a ``PauliEvolutionGate``, rotation by rotation, where Qiskit tells it (from 1.3 on)."""
    synthesis = operation.synthesis
    told = isinstance(synthesis, (LieTrotter, SuzukiTrotter)) and hasattr(synthesis, "expand")
    if not told or synthesis.atomic_evolution is not None:
        return None
    terms = synthesis.expand(operation)
    if not all(set(letters) <= set("IXYZ") for letters, _, _ in terms):
        return None
    return [_rotation(letters, qubits, polynomial(angle)) for letters, qubits, angle in terms]


def _rotation(letters: str, qubits: Sequence[int], angle: Polynomial) -> Step:
    kept = [(letter, qubit) for letter, qubit in zip(letters, qubits, strict=True) if letter != "I"]
    if not kept:
        return _phase(-0.5 * angle)
    return ("".join(letter for letter, _ in kept), tuple(qubit for _, qubit in kept), angle)
