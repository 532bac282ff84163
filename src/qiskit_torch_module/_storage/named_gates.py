"""Gates that blueprints know by name: in every version of Qiskit, or built here where a version has them not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qiskit.circuit import library

from .._reading.gates import GATES, are_controls_closed
from .cannot_build import CannotBuildError

# Native gates, and those of Qiskit's library: class, number of qubits and of angles.
_KNOWN: dict[str, tuple[str, int | None, int]] = {
    **{name: (gate.class_name, gate.num_qubits, gate.num_angles) for name, gate in GATES.items()},
    "ch": ("CHGate", 2, 0),
    "cs": ("CSGate", 2, 0),
    "csdg": ("CSdgGate", 2, 0),
    "csx": ("CSXGate", 2, 0),
    "cu": ("CUGate", 2, 4),
    "cu3": ("CU3Gate", 2, 3),
    "iswap": ("iSwapGate", 2, 0),
    "ecr": ("ECRGate", 2, 0),
    "cswap": ("CSwapGate", 3, 0),
    "rccx": ("RCCXGate", 3, 0),
    "xx_minus_yy": ("XXMinusYYGate", 2, 2),
    "xx_plus_yy": ("XXPlusYYGate", 2, 2),
}
# Known by name only in some releases of Qiskit, or there with another number of qubits.
_OF_ANY_SIZE: dict[str, Callable[..., Any]] = {
    "mcx": lambda num_qubits: library.MCXGate(num_qubits - 1),
    "mcphase": lambda num_qubits, angle: library.MCPhaseGate(angle, num_qubits - 1),
}


def is_known(operation: Any) -> bool:
    """Whether an operation of Qiskit is written by its name."""
    name, num_qubits, num_angles = _KNOWN.get(operation.name, ("", 0, 0))
    if getattr(operation, "base_class", type(operation)) is not getattr(library, name, None):
        of_size = operation.name == "mcx" and type(operation).__name__ in ("C3XGate", "C4XGate")
        return of_size and are_controls_closed(operation)
    fits = num_qubits in (None, operation.num_qubits) and len(operation.params) == num_angles
    return fits and are_controls_closed(operation)


def require_known(name: Any, num_qubits: int, num_angles: int) -> None:
    """Checks what should be the name of a gate of so many qubits and angles.

    Raises:
        ValueError: there is none.
    """
    _, size, count = _KNOWN.get(name, ("", -1, 0)) if type(name) is str else ("", -1, 0)
    if size not in (None, num_qubits) or num_angles != count or num_qubits == 0:
        raise ValueError(f"circuit: expected a known gate, its qubits and its angles, got {str(name)[:40]!r}")


def known_gate(name: str, num_qubits: int, angles: list[Any]) -> Any:
    """The gate of a name that `require_known` has let through.

    Raises:
        CannotBuildError: this version of Qiskit does not have it.
    """
    if name in _OF_ANY_SIZE:
        return _OF_ANY_SIZE[name](num_qubits, *angles)
    gate_class = getattr(library, _KNOWN[name][0], None)
    if gate_class is None:
        raise CannotBuildError(f"it has no gate '{name}'")
    return gate_class(*angles)
