"""The native gates: what each is made of. One record serves compiler, documentation and tests.

Everything comes down to Pauli rotations exp(-i angle/2 P) and to CX, SWAP and X, which only relabel basis states; all
other gates are taken apart by Qiskit's own definitions. Global phases are kept: states and imaginary derivatives show
them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np
import qiskit.circuit.library as library
from qiskit.circuit import CircuitInstruction, ControlledGate
from qiskit.synthesis import LieTrotter, SuzukiTrotter

from .compat import is_plain_gate
from .polynomials import Polynomial

# A step: a Pauli word in capitals ("X", "ZZ", ...: a rotation about it, letter i on qubit i of the step), "cx", "swap"
# or "x" (a relabelling), or "phase" (a factor exp(i angle)); on which of the gate's qubits; by which angle.
Step = tuple[str, tuple[int, ...], Polynomial]

# A diagonal on k qubits is a product of 2^k - 1 rotations; beyond this Qiskit's definition takes over.
MAX_DIAGONAL_QUBITS = 8

# Rotations that Qiskit has gates for, by their Pauli words; of "XZ" and the like, its qubits the other way round.
ROTATION_GATES: Mapping[str, Any] = {
    "X": library.RXGate,
    "Y": library.RYGate,
    "Z": library.RZGate,
    "XX": library.RXXGate,
    "YY": library.RYYGate,
    "ZZ": library.RZZGate,
    "ZX": library.RZXGate,
}

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
        """Whether a gate of this class is taken natively: all its controls closed, and not too many of them."""
        if not are_controls_closed(operation):
            return False
        if self.num_qubits is None and operation.num_qubits > MAX_DIAGONAL_QUBITS:
            return False
        return len(operation.params) == self.num_angles

    def of(self, operation: Any, read: Callable[[Any], Polynomial]) -> list[Step]:
        """Steps of an operation (or an instruction of a circuit), its angles read by a function."""
        angles = [read(angle) for angle in operation.params]
        return self.steps(*angles) if self.num_qubits is not None else self.steps(operation.num_qubits, *angles)


def are_controls_closed(operation: Any) -> bool:
    """Whether an operation acts where all its controls are 1, if it has any."""
    return not isinstance(operation, ControlledGate) or operation.ctrl_state == (1 << operation.num_ctrl_qubits) - 1


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


def _power_of_z(angle: float) -> list[Step]:
    """diag(1, exp(i angle))."""
    return [_rz(_fixed(angle)), _phase(_fixed(angle / 2))]


def _power_of_x(angle: float) -> list[Step]:
    """The same between |+> and |->."""
    return [_rx(_fixed(angle)), _phase(_fixed(angle / 2))]


def _h(qubit: int = 0) -> list[Step]:
    return [_rz(_fixed(pi), qubit), _ry(_fixed(pi / 2), qubit), _phase(_fixed(pi / 2))]


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
    "y": Gate("YGate", 1, 0, lambda: [_rz(_fixed(pi)), _X, _phase(_fixed(pi))]),
    "z": Gate("ZGate", 1, 0, lambda: _power_of_z(pi)),
    "h": Gate("HGate", 1, 0, _h),
    "s": Gate("SGate", 1, 0, lambda: _power_of_z(pi / 2)),
    "sdg": Gate("SdgGate", 1, 0, lambda: _power_of_z(-pi / 2)),
    "t": Gate("TGate", 1, 0, lambda: _power_of_z(pi / 4)),
    "tdg": Gate("TdgGate", 1, 0, lambda: _power_of_z(-pi / 4)),
    "sx": Gate("SXGate", 1, 0, lambda: _power_of_x(pi / 2)),
    "sxdg": Gate("SXdgGate", 1, 0, lambda: _power_of_x(-pi / 2)),
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

_BY_CLASS = {getattr(library, gate.class_name, None): gate for gate in GATES.values()}


def plain_gate(instruction: CircuitInstruction) -> Gate | None:
    """The record of an instruction that Qiskit itself holds as a gate of its library, without making an object of it.

    Qiskit 2 makes an object for such a gate only when it is asked for, and that takes time.
    """
    gate = GATES.get(instruction.name) if is_plain_gate(instruction) else None
    return None if gate is None or gate.num_qubits is None else gate


def native_gate(operation: Any) -> Gate | None:
    """The record of a gate that is taken natively, by its class: a gate of the user's own may have any name."""
    gate = _BY_CLASS.get(getattr(operation, "base_class", type(operation)))
    return gate if gate is not None and gate.matches(operation) else None


def diagonal_steps(angles: np.ndarray[Any, np.dtype[np.float64]]) -> list[Step]:
    """diag(exp(i angles)): its Walsh-Hadamard coefficients are the angles of rotations about products of Z."""
    num_qubits = int(angles.size).bit_length() - 1
    spectrum = angles.reshape((2,) * num_qubits)
    for axis in range(num_qubits):
        first, second = np.take(spectrum, 0, axis), np.take(spectrum, 1, axis)
        spectrum = np.stack([first + second, first - second], axis)
    flat = spectrum.reshape(-1) / angles.size
    words = [tuple(q for q in range(num_qubits) if mask >> q & 1) for mask in range(angles.size)]
    rotations: list[Step] = [
        ("Z" * len(qubits), qubits, _fixed(-2.0 * float(coefficient)))
        for qubits, coefficient in zip(words[1:], flat[1:], strict=True)
    ]
    return [*rotations, _phase(_fixed(float(flat[0])))]


def evolution_terms(operation: Any) -> list[tuple[str, tuple[int, ...], Any]] | None:
    """The product formula of a ``PauliEvolutionGate``: letters, qubits and angle of each rotation in turn.

    None: Qiskit does not tell it (before 1.3), or there is none.
    """
    synthesis = operation.synthesis
    told = isinstance(synthesis, (LieTrotter, SuzukiTrotter)) and hasattr(synthesis, "expand")
    if not told or synthesis.atomic_evolution is not None:
        return None
    terms = [(letters, tuple(qubits), angle) for letters, qubits, angle in synthesis.expand(operation)]
    return terms if all(set(letters) <= set("IXYZ") for letters, _, _ in terms) else None


def rotation_step(letters: str, qubits: Sequence[int], angle: Polynomial) -> Step:
    """exp(-i angle/2 P) of a Pauli word with or without identities."""
    kept = [(letter, qubit) for letter, qubit in zip(letters, qubits, strict=True) if letter != "I"]
    if not kept:
        return _phase(-0.5 * angle)
    return ("".join(letter for letter, _ in kept), tuple(qubit for _, qubit in kept), angle)
