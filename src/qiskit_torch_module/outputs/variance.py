"""How much an observable varies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from .._core.torch_internals import constant_when_compiled
from .._program.output import ExpectationValues, Output
from .columns import expectation_values, num_qubits_of_observable
from .paulis import Part, applied, parts_of
from .qubits import num_qubits_of


@dataclass(frozen=True)
class Observable:
    """One observable, as a sum of Paulis on so many qubits."""

    num_qubits: int
    values: ExpectationValues

    def __repr__(self) -> str:
        return f"<{len(self.values.terms)} Pauli strings on {self.num_qubits} qubits>"


@dataclass(frozen=True)
class Variance(Output):
    """<O^2> - <O>^2 of an observable: 0 where the state is an eigenstate.

    Args:
        observable: One of those that `QuantumModule` takes: a Pauli label, a Qiskit operator, a mapping, a matrix.

    Raises:
        TypeError: another kind.
        ValueError: it is not Hermitian, or acts on other qubits than the circuit has.
    """

    observable: Observable | Any

    is_traceable = True

    def __post_init__(self) -> None:
        if not isinstance(self.observable, Observable):
            num_qubits = num_qubits_of_observable(self.observable)
            found = Observable(num_qubits, expectation_values([self.observable], num_qubits))
            object.__setattr__(self, "observable", found)
        if len(self.observable.values.constants) != 1:
            raise ValueError(f"observable: expected one, got {len(self.observable.values.constants)}")

    def shape(self, num_qubits: int) -> tuple[int, ...]:
        """Shape (): one number."""
        if self.observable.num_qubits != num_qubits:
            raise ValueError(
                f"observable: expected one on {num_qubits} qubits, as the circuit has, got {self.observable.num_qubits}"
            )
        return ()

    def workspace(self, num_qubits: int) -> int:
        """What the observable makes of the state, part by part."""
        return 4 << num_qubits

    @constant_when_compiled
    def _parts(self) -> tuple[Part, ...]:
        return parts_of(self.observable.values)

    def read(self, state: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        """|(O - <O>) state|^2: no difference of large numbers."""
        (constant,) = self.observable.values.constants
        made = applied(num_qubits_of(state), constant, self._parts(), state)
        mean = (state.conj() * made).real.sum(1, keepdim=True)
        rest = made - mean * state
        return (rest * rest.conj()).real.sum(1)
