"""The fidelity of the states of two samples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

from .._program.output import State
from .._simulation.choose import AUTO
from .._simulation.method import Method
from ..modules.initial import Initial
from .kernel import Kernel
from .overlaps import fidelities, fidelity_tile


@dataclass(frozen=True)
class SimulatedState(State):
    """The state of the qubits that gates act on: all others are in |0>, and change no overlap."""

    def __repr__(self) -> str:
        return "<state of the simulated qubits>"

    def __hash__(self) -> int:
        return hash(SimulatedState)

    def qubits_read(self) -> frozenset[int]:
        """None but those that are simulated."""
        return frozenset()

    def renumbered(self, places: Mapping[int, int]) -> SimulatedState:
        """All of them, wherever they are."""
        return self


class FidelityKernel(Kernel):
    """The fidelity kernel ``|<psi(x)|psi(y)>|^2`` of the states that a feature map makes of samples.

    Every sample's state is computed once, all of them in one native call, and the matrix is one product of complex
    matrices, of which half is computed where samples are compared with themselves. In complex64 for float32 parameters
    and samples, in complex128 for float64, which `evaluate` uses throughout. `state_dict`, ``.to()`` and ``torch.func``
    work as for every module; ``save(kernel.quantum, path)`` and ``FidelityKernel.from_module(load(path))`` keep it
    in a file.

    Args:
        feature_map: Unitary circuit; measurements at its end are left out.
        encoding_params: Parameters that take the columns of samples, in this order.
        variational_params: Trainable parameters: one sequence, or a sequence of sets; None: there are none.
        variational_params_names: Names of the sets, as for `QuantumModule`.
        variational_params_initial: How each set starts, as for `QuantumModule`.
        seed_init: Seed for the initial values; the global random state is left as it was.
        num_threads_forward: Threads for states; 0: as ``torch.get_num_threads()``. Products of matrices are PyTorch's.
        num_threads_backward: Threads for gradients with respect to states, likewise.
        method: What computes, as for `QuantumModule`.

    Raises:
        TypeError: an argument is of the wrong kind.
        ValueError: an argument cannot be used, or there are no encoding parameters.

    Source: Havlíček et al., "Supervised learning with quantum-enhanced feature spaces", arXiv:1804.11326.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> kernel = qtm.kernels.FidelityKernel(circuit, x, w, seed_init=0)
        >>> kernel(torch.rand(3, 2), torch.rand(5, 2)).shape
        torch.Size([3, 5])
    """

    _diagonal = 1.0
    _numbers = 2

    def __init__(
        self,
        feature_map: QuantumCircuit,
        encoding_params: Iterable[Parameter],
        variational_params: Iterable[Any] | None = None,
        variational_params_names: Sequence[str] | str | None = None,
        variational_params_initial: Initial | Sequence[Initial] = "uniform",
        seed_init: int | None = None,
        num_threads_forward: int = 0,
        num_threads_backward: int = 0,
        method: str | Method = AUTO,
    ) -> None:
        super().__init__(
            SimulatedState(),
            feature_map,
            encoding_params,
            variational_params,
            variational_params_names,
            variational_params_initial,
            seed_init,
            num_threads_forward,
            num_threads_backward,
            method,
        )

    def features(self, x: Any) -> torch.Tensor:
        """States of samples: complex amplitudes (N, 2^n) of the n qubits that gates act on; differentiable.

        Raises:
            TypeError, ValueError: as `forward`.
        """
        states: torch.Tensor = self.quantum(self._samples(x, None)[0])
        return states

    def _matrix(self, features: torch.Tensor, others: torch.Tensor | None) -> torch.Tensor:
        return fidelities(features, others)

    def _tile(self, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
        return fidelity_tile(rows, columns)
