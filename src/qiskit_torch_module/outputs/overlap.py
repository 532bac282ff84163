"""How close the state of a circuit is to that of another one, which has parameters, too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from qiskit import QuantumCircuit

from .._core.sizes import counted
from .._program.evolution import Evolution
from .._program.output import Output
from .._reading.definitions import copied
from .._reading.measurements import without_measurements
from .fidelity import Fidelity


@dataclass(frozen=True, eq=False)
class Overlap(Output):
    """``|<other|state>|^2`` of the states of two circuits, or of a circuit and a state.

    Both circuits take their values from the inputs and weights of the module, and each uses those it has: kernels
    ``|<V(y)|U(x)>|^2``, distances between a circuit and its compressed form. Differentiable with respect to both.

    Args:
        other: A circuit, whose parameters are among those of the module; or a state, as for `Fidelity`.

    Raises:
        TypeError: neither a circuit nor a state.
        ValueError: a state of norm other than 1; when the module is made, other qubits than those of its circuit.

    Example:
        >>> bell = QuantumCircuit(2)
        >>> _ = bell.h(0), bell.cx(0, 1)
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> state = qtm.QuantumModule(
        ...     circuit, x, w, observables=qtm.outputs.Overlap(bell), seed_init=0
        ... )
        >>> overlap = state(torch.zeros(3, 2))
        >>> overlap.shape, bool((overlap <= 1).all())
        (torch.Size([3]), True)
    """

    other: QuantumCircuit | Fidelity | Any

    is_traceable = True

    def __post_init__(self) -> None:
        given = self.other
        if isinstance(given, QuantumCircuit):
            given = copied(given)  # later changes by the caller are no part of it
        elif not hasattr(given, "built"):  # by which a circuit in a file is known
            given = Fidelity(given)  # type: ignore[abstract]  # dataclasses add the hash
        object.__setattr__(self, "other", given)

    @property
    def circuit(self) -> QuantumCircuit | None:
        """The other circuit, or None where the other is a state."""
        if isinstance(self.other, Fidelity):
            return None
        return self.other if isinstance(self.other, QuantumCircuit) else self.other.built()

    @property
    def circuits(self) -> tuple[QuantumCircuit, ...]:  # type: ignore[override]
        """The other circuit, without the measurements at its end."""
        return () if self.circuit is None else (without_measurements(self.circuit)[0],)

    def compiled(self, evolutions: Sequence[Evolution]) -> Output:
        """Of what the circuit is compiled to."""
        if isinstance(self.other, Fidelity):
            return self.other
        return WithEvolution(*evolutions)  # type: ignore[abstract]  # dataclasses add the hash

    def shape(self, num_qubits: int) -> tuple[int, ...]:
        """Shape (): one number."""
        if isinstance(self.other, Fidelity):
            return self.other.shape(num_qubits)
        _require_qubits(self.other.num_qubits, num_qubits)
        return ()

    def read(self, state: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        """A product of vectors."""
        return self.other.read(state) if isinstance(self.other, Fidelity) else _overlap(state, *others)

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        if isinstance(self.other, Fidelity):
            return f"Overlap({self.other.target!r})"
        return f"Overlap(<circuit of {counted(self.other.num_qubits, 'qubit')}>)"


@dataclass(frozen=True)
class WithEvolution(Output):
    """The overlap with the state of another evolution of the same variables."""

    evolution: Evolution

    is_traceable = True

    @property
    def evolutions(self) -> tuple[Evolution, ...]:  # type: ignore[override]
        """The other one."""
        return (self.evolution,)

    def shape(self, num_qubits: int) -> tuple[int, ...]:
        """Shape (): one number."""
        _require_qubits(len(self.evolution.known_frame), num_qubits)
        return ()

    def workspace(self, num_qubits: int) -> int:
        """The other state, and both of them multiplied."""
        return 2 << num_qubits

    def read(self, state: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        """A product of vectors."""
        return _overlap(state, *others)

    def __repr__(self) -> str:
        return f"Overlap(<circuit of {counted(len(self.evolution.known_frame), 'qubit')}>)"


def _overlap(state: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    overlap = (other.conj() * state).sum(1)
    return (overlap * overlap.conj()).real


def _require_qubits(own: int, num_qubits: int) -> None:
    if own != num_qubits:
        raise ValueError(
            f"other: expected a circuit of {counted(num_qubits, 'qubit')}, as the module has, got one of {own}"
        )
