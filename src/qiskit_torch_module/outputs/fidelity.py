"""How close the state is to another one that does not change."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from qiskit import QuantumCircuit
from qiskit.exceptions import QiskitError
from qiskit.quantum_info import DensityMatrix, Statevector

from .._core.sizes import counted
from .._program.compile import compile_evolution
from .._program.output import Output
from .._reading.measurements import without_measurements
from .._reading.paulis import OfArrays

# By how much norms may be off that were computed in double and in single precision.
_LOOSE, _TIGHT = 1e-4, 1e-9


@dataclass(frozen=True, eq=False)
class Target(OfArrays):
    """Amplitudes (2^n,) of a state, of norm 1."""

    amplitudes: npt.NDArray[np.complex128]

    def __repr__(self) -> str:
        return f"<state of {counted(len(self.amplitudes).bit_length() - 1, 'qubit')}>"

    def like(self, state: torch.Tensor) -> torch.Tensor:
        """As a tensor, of the dtype and device of states."""
        return torch.from_numpy(self.amplitudes.copy()).to(state)


def target_of(given: Any) -> Target:
    """A state as it is given: a ``Statevector``, amplitudes, or a circuit without parameters that prepares it.

    Raises:
        TypeError: none of these.
        ValueError: no state of qubits, a norm other than 1, amplitudes that are not finite, a circuit with parameters.
    """
    if isinstance(given, Target):
        amplitudes, tolerance = given.amplitudes, _LOOSE
    else:
        amplitudes, tolerance = _amplitudes(given)
    size = amplitudes.size
    if amplitudes.ndim != 1 or size < 2 or size.bit_count() != 1:
        raise ValueError(f"target: expected 2^n amplitudes of n qubits, got shape {amplitudes.shape}")
    norm = float(np.linalg.norm(amplitudes))
    if not math.isfinite(norm):
        raise ValueError("target: expected finite amplitudes")
    if abs(norm - 1.0) > tolerance:
        raise ValueError(f"target: expected a state of norm 1, got norm {norm:.10g}; divide it by its norm")
    return Target(amplitudes)


def _amplitudes(given: Any) -> tuple[npt.NDArray[np.complex128], float]:
    """Those of a state, and by how much its norm may be off."""
    if isinstance(given, QuantumCircuit):
        if given.parameters:
            names = ", ".join(parameter.name for parameter in list(given.parameters)[:3])
            raise ValueError(
                f"target: expected a circuit without parameters, got one with {names}; assign_parameters binds them"
            )
        try:
            given, _ = without_measurements(given)
            compile_evolution(given, (), ())  # says what is not unitary; Qiskit would draw what a reset leaves
            given = Statevector(given)
        except ValueError as error:
            raise ValueError(f"target: expected a unitary circuit, {str(error).removeprefix('circuit: ')}") from error
        except QiskitError as error:
            raise ValueError(f"target: expected a unitary circuit, {error.message}") from error
    if isinstance(given, DensityMatrix):
        raise TypeError(
            "target: expected a Statevector, amplitudes or a QuantumCircuit, got a DensityMatrix, which may be mixed; "
            "of a pure one give its to_statevector(), to a mixed one compare outputs.DensityMatrix(qubits)"
        )
    if isinstance(given, Statevector):
        given = given.data
    if isinstance(given, torch.Tensor):
        given = given.detach().cpu().resolve_conj().numpy()
    try:
        array = np.asarray(given)
        amplitudes = array.astype(np.complex128)
    except (TypeError, ValueError):
        array = np.empty(0, dtype=object)
    if array.dtype.kind not in "biufc":
        raise TypeError(
            f"target: expected a Statevector, amplitudes or a QuantumCircuit, got {type(given).__name__} {given!r}"[
                :300
            ]
        )
    return amplitudes, _TIGHT if array.dtype.itemsize >= (16 if array.dtype.kind == "c" else 8) else _LOOSE


@dataclass(frozen=True)
class Fidelity(Output):
    """``|<target|state>|^2``: 1 where the state is the target, up to a phase.

    Args:
        target: A ``Statevector``, 2^n amplitudes (an array, a tensor or a list), or a circuit without parameters,
            whose measurements at the end do not count; of norm 1.

    Raises:
        TypeError: the target is none of these.
        ValueError: the target has another norm, which the message tells, other qubits than the circuit, or parameters.

    Example:
        >>> bell = torch.tensor([1, 0, 0, 1]) / 2**0.5
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> state = qtm.QuantumModule(
        ...     circuit, x, w, observables=qtm.outputs.Fidelity(bell), seed_init=0
        ... )
        >>> state(torch.zeros(3, 2)).shape
        torch.Size([3])
    """

    target: Target | Any

    is_traceable = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "target", target_of(self.target))

    def shape(self, num_qubits: int) -> tuple[int, ...]:
        """Shape (): one number."""
        size = len(self.target.amplitudes)
        if size != 1 << num_qubits:
            raise ValueError(
                f"target: expected a state of {counted(num_qubits, 'qubit')}, as the circuit has, got one of "
                f"{size.bit_length() - 1}"
            )
        return ()

    def read(self, state: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        """A product of vectors."""
        overlap = state @ self.target.like(state).conj()
        return (overlap * overlap.conj()).real
