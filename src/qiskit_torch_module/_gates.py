"""The native gates: what each is made of, up to a global phase. One record serves compiler, documentation and tests.

Everything comes down to rotations exp(-i angle/2 P), with P one of X, Y, Z on a qubit or a product of Z on several,
and to CX, SWAP and X, which only relabel basis states. Other gates are taken apart by Qiskit's own definitions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import pi

from ._polynomial import Polynomial

# A step names what to do ("rx", "ry", "rz", "cx", "swap", "x"), on which of the gate's qubits, by which angle.
Step = tuple[str, tuple[int, ...], Polynomial]

_NO_ANGLE = Polynomial()


@dataclass(frozen=True)
class Gate:
    """A native gate: Qiskit's name, how many qubits and angles it takes, and its steps in order of time."""

    name: str
    num_qubits: int
    num_angles: int
    steps: Callable[..., list[Step]]


def _rx(angle: Polynomial, qubit: int = 0) -> Step:
    return ("rx", (qubit,), angle)


def _ry(angle: Polynomial, qubit: int = 0) -> Step:
    return ("ry", (qubit,), angle)


def _rz(angle: Polynomial, *qubits: int) -> Step:
    return ("rz", qubits or (0,), angle)


def _fixed(angle: float) -> Polynomial:
    return Polynomial.constant(angle)


def _h(qubit: int) -> list[Step]:
    return [_rz(_fixed(pi), qubit), _ry(_fixed(pi / 2), qubit)]


def _u(theta: Polynomial, phi: Polynomial, lam: Polynomial) -> list[Step]:
    return [_rz(lam), _ry(theta), _rz(phi)]


def _cp(lam: Polynomial) -> list[Step]:
    # diag(1, 1, 1, exp(i lam)) = exp(i lam/4 (1 - Z)(1 - Z))
    return [_rz(0.5 * lam, 0), _rz(0.5 * lam, 1), _rz(-0.5 * lam, 0, 1)]


def _zz_in_basis(
    before: Callable[[int], list[Step]], after: Callable[[int], list[Step]], *qubits: int
) -> Callable[[Polynomial], list[Step]]:
    """exp(-i angle/2 P Q) from exp(-i angle/2 Z Z) by a change of basis on some of the qubits."""

    def steps(angle: Polynomial) -> list[Step]:
        enter = [step for qubit in qubits for step in before(qubit)]
        leave = [step for qubit in qubits for step in after(qubit)]
        return [*enter, _rz(angle, 0, 1), *leave]

    return steps


_CX: Step = ("cx", (0, 1), _NO_ANGLE)
_X: Step = ("x", (0,), _NO_ANGLE)

_RECORDS = [
    Gate("id", 1, 0, lambda: []),
    Gate("x", 1, 0, lambda: [_X]),
    Gate("y", 1, 0, lambda: [_rz(_fixed(pi)), _X]),
    Gate("z", 1, 0, lambda: [_rz(_fixed(pi))]),
    Gate("h", 1, 0, lambda: _h(0)),
    Gate("s", 1, 0, lambda: [_rz(_fixed(pi / 2))]),
    Gate("sdg", 1, 0, lambda: [_rz(_fixed(-pi / 2))]),
    Gate("t", 1, 0, lambda: [_rz(_fixed(pi / 4))]),
    Gate("tdg", 1, 0, lambda: [_rz(_fixed(-pi / 4))]),
    Gate("sx", 1, 0, lambda: [_rx(_fixed(pi / 2))]),
    Gate("sxdg", 1, 0, lambda: [_rx(_fixed(-pi / 2))]),
    Gate("rx", 1, 1, lambda angle: [_rx(angle)]),
    Gate("ry", 1, 1, lambda angle: [_ry(angle)]),
    Gate("rz", 1, 1, lambda angle: [_rz(angle)]),
    Gate("p", 1, 1, lambda angle: [_rz(angle)]),
    Gate("u1", 1, 1, lambda angle: [_rz(angle)]),
    Gate("u2", 1, 2, lambda phi, lam: _u(_fixed(pi / 2), phi, lam)),
    Gate("u3", 1, 3, _u),
    Gate("u", 1, 3, _u),
    Gate("r", 1, 2, lambda theta, phi: [_rz(-phi), _rx(theta), _rz(phi)]),
    Gate("cx", 2, 0, lambda: [_CX]),
    Gate("cy", 2, 0, lambda: [_rz(_fixed(-pi / 2), 1), _CX, _rz(_fixed(pi / 2), 1)]),
    Gate("cz", 2, 0, lambda: _cp(_fixed(pi))),
    Gate("cp", 2, 1, _cp),
    Gate("cu1", 2, 1, _cp),
    Gate("crz", 2, 1, lambda angle: [_rz(0.5 * angle, 1), _rz(-0.5 * angle, 0, 1)]),
    Gate("swap", 2, 0, lambda: [("swap", (0, 1), _NO_ANGLE)]),
    Gate("dcx", 2, 0, lambda: [_CX, ("cx", (1, 0), _NO_ANGLE)]),
    Gate("rzz", 2, 1, lambda angle: [_rz(angle, 0, 1)]),
    Gate("rxx", 2, 1, _zz_in_basis(_h, _h, 0, 1)),
    Gate("rzx", 2, 1, _zz_in_basis(_h, _h, 1)),
    Gate(
        "ryy",
        2,
        1,
        _zz_in_basis(lambda q: [_rx(_fixed(pi / 2), q)], lambda q: [_rx(_fixed(-pi / 2), q)], 0, 1),
    ),
]

GATES: dict[str, Gate] = {gate.name: gate for gate in _RECORDS}

# Operations that leave the state as it is.
IDLE = frozenset({"barrier", "delay", "global_phase"})
