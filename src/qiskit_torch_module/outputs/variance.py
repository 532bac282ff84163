"""How much an observable varies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from .._core.sizes import counted
from .._core.torch_internals import constant_when_compiled
from .._program.output import Output
from .._reading.observables import sums_of_argument
from .._reading.paulis import PauliSums
from .columns import num_qubits_of_observable
from .paulis import Part, applied, qubits_in, read_as, renumbered
from .qubits import num_qubits_of


@dataclass(frozen=True)
class Variance(Output):
    """<O^2> - <O>^2 of an observable: 0 where the state is an eigenstate.

    Args:
        observable: One of those that `QuantumModule` takes: a Pauli label, a Qiskit operator, a mapping, a matrix.

    Raises:
        TypeError: another kind.
        ValueError: it is not Hermitian, or acts on other qubits than the circuit has.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> state = qtm.QuantumModule(
        ...     circuit, x, w, observables=qtm.outputs.Variance("ZZ"), seed_init=0
        ... )
        >>> state(torch.zeros(3, 2)).shape
        torch.Size([3])
    """

    observable: PauliSums | Any

    is_traceable = True

    def __post_init__(self) -> None:
        if not isinstance(self.observable, PauliSums):
            sums = sums_of_argument(
                "observable", [self.observable], num_qubits_of_observable(self.observable), places=None
            )
            object.__setattr__(self, "observable", sums)
        if self.observable.num_observables != 1:
            raise ValueError(f"observable: expected one, got {self.observable.num_observables}")

    def __repr__(self) -> str:
        one = self.observable
        return f"Variance(<{counted(one.num_strings, 'Pauli string')} on {counted(one.num_qubits, 'qubit')}>)"

    def shape(self, num_qubits: int) -> tuple[int, ...]:
        """Shape (): one number."""
        if self.observable.num_qubits != num_qubits:
            raise ValueError(
                f"observable: expected one on {counted(num_qubits, 'qubit')}, as the circuit has, got "
                f"{self.observable.num_qubits}"
            )
        return ()

    def qubits_read(self) -> frozenset[int]:
        """Those that the observable acts on."""
        return qubits_in(self.observable)

    def renumbered(self, places: Mapping[int, int]) -> Variance:
        """Of the observable on qubits at other places."""
        return replace(self, observable=renumbered(self.observable, places))

    def workspace(self, num_qubits: int) -> int:
        """What the observable makes of the state, part by part."""
        return 4 << num_qubits

    @constant_when_compiled
    def _parts(self) -> tuple[tuple[float, ...], tuple[Part, ...]]:
        return read_as(self.observable)

    def read(self, state: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        """``|(O - <O>) state|^2``: no difference of large numbers."""
        (constant,), parts = self._parts()
        made = applied(num_qubits_of(state), constant, parts, state)
        mean = (state.conj() * made).real.sum(1, keepdim=True)
        rest = made - mean * state
        return (rest * rest.conj()).real.sum(1)
