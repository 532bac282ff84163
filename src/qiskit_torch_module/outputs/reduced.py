"""Reduced states of some qubits: their density matrix, and how pure it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch

from .._program.output import Output
from .qubits import num_qubits_of, places, qubits_of, require_within


@dataclass(frozen=True)
class OfQubits(Output):
    """What is read from the reduced state of some qubits.

    Args:
        qubits: Which qubits, the first of which is the lowest bit of an index.

    Raises:
        TypeError: no sequence of whole numbers.
        ValueError: none, one twice, or one that the circuit does not have.
    """

    qubits: tuple[int, ...]

    is_traceable = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "qubits", qubits_of(self.qubits))

    def shape(self, num_qubits: int) -> tuple[int, ...]:
        """Shape (): one number."""
        require_within(self.qubits, num_qubits)
        return ()

    def qubits_read(self) -> frozenset[int]:
        """These."""
        return frozenset(self.qubits)

    def renumbered(self, places: Mapping[int, int]) -> OfQubits:
        """Of the same qubits at other places."""
        return replace(self, qubits=tuple([places[qubit] for qubit in self.qubits]))

    def workspace(self, num_qubits: int) -> int:
        """The state as a matrix, and the smaller of the density matrices of the qubits and of all others."""
        smaller = min(len(self.qubits), num_qubits - len(self.qubits))
        return (1 << num_qubits) + (1 << 2 * smaller)

    def smaller(self, num_qubits: int) -> tuple[int, ...]:
        """These qubits, or all others if those are fewer: the spectra are the same, but for zeros."""
        rest = tuple([qubit for qubit in range(num_qubits) if qubit not in self.qubits])
        return rest if len(rest) < len(self.qubits) else self.qubits


def density_matrix(state: torch.Tensor, qubits: tuple[int, ...]) -> torch.Tensor:
    """Density matrices (B, 2^k, 2^k) of k qubits in states (B, 2^n)."""
    matrix = state[:, places(num_qubits_of(state), qubits).to(state.device)]
    return matrix @ matrix.mH


@dataclass(frozen=True)
class DensityMatrix(OfQubits):
    """The density matrix of some qubits: complex, shape (2^k, 2^k).

    That of ``qiskit.quantum_info.partial_trace`` over all other qubits, if the qubits ascend.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> state = qtm.QuantumModule(
        ...     circuit, x, w, observables=qtm.outputs.DensityMatrix([0]), seed_init=0
        ... )
        >>> matrix = state(torch.zeros(3, 2))
        >>> matrix.shape, matrix.dtype
        (torch.Size([3, 2, 2]), torch.complex64)
    """

    def shape(self, num_qubits: int) -> tuple[int, ...]:
        """Shape (2^k, 2^k)."""
        require_within(self.qubits, num_qubits)
        return (1 << len(self.qubits),) * 2

    def workspace(self, num_qubits: int) -> int:
        """The state as a matrix, and the density matrix."""
        return (1 << num_qubits) + (1 << 2 * len(self.qubits))

    def read(self, state: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        """A product of matrices."""
        return density_matrix(state, self.qubits)


@dataclass(frozen=True)
class Purity(OfQubits):
    """Tr rho^2 of the reduced state of some qubits: 1 where they are not entangled with the others, at least 1/2^k.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> state = qtm.QuantumModule(
        ...     circuit, x, w, observables=qtm.outputs.Purity([0]), seed_init=0
        ... )
        >>> purity = state(torch.zeros(3, 2))
        >>> purity.shape, bool((purity >= 0.5).all())
        (torch.Size([3]), True)
    """

    def read(self, state: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        """Squares of the entries of the density matrix, added up."""
        density = density_matrix(state, self.smaller(num_qubits_of(state)))
        return (density * density.conj()).real.sum((1, 2))
