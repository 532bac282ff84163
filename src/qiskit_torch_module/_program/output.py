"""What is read from the final state of a circuit."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from .._core.schema import TermArrays
from .._core.shown import Shown
from .._reading.paulis import PauliTerms

if TYPE_CHECKING:
    import torch

    from .evolution import Evolution
    from .halves import Index


class Output(Shown, Hashable, ABC):
    """What is read from the final state: a value, equal to others of the same content, as frozen dataclasses are.

    Attributes:
        is_traceable: Whether ``torch.compile`` may look into `read`: it uses functions of PyTorch alone. What is not
            traceable runs as it is, between compiled parts.
        circuits: Other circuits of the same parameters, whose final states it reads, too.
        evolutions: And what they are compiled to.

    Example:
        >>> @dataclass(frozen=True)
        ... class Ground(qtm.outputs.Output):
        ...     def shape(self, num_qubits):
        ...         return ()
        ...     def read(self, state):  # (B, 2**n), complex
        ...         return state[:, 0].abs().square()
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> model = qtm.QuantumModule(circuit, x, w, observables=Ground(), seed_init=0)
        >>> model(torch.zeros(3, 2)).shape
        torch.Size([3])
    """

    is_traceable: ClassVar[bool] = False
    circuits: ClassVar[tuple[Any, ...]] = ()
    evolutions: ClassVar[tuple[Any, ...]] = ()

    @abstractmethod
    def shape(self, num_qubits: int) -> tuple[int, ...]:
        """Shape of what is read from one sample of a circuit of so many qubits.

        Raises:
            ValueError: there is nothing to read, such as a qubit that the circuit does not have.
        """

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    @abstractmethod
    def read(self, state: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        """Reads states by differentiable functions of PyTorch: (B, 2^n) amplitudes to ``(B, *shape)``.

        Args:
            state: complex64 or complex128, normalised, its global phase that of the circuit; Qiskit's order, in which
                qubit 0 is the lowest bit of an index.
            others: Those of `evolutions`.
        """

    def workspace(self, num_qubits: int) -> float:
        """How many complex numbers reading one sample takes in memory, besides its state.

        What would exceed the memory budget is refused, before anything is computed.
        """
        return math.prod(self.shape(num_qubits))

    def measured(self, qubits: Sequence[int]) -> Output:
        """The same for a circuit that ends with measurements of these qubits, in the order of the classical bits."""
        return self

    def settled(self, num_qubits: int) -> Output:
        """The same for a circuit of so many qubits: as plain data, if it was given by something else."""
        return self

    def is_of_outcomes(self, num_qubits: int) -> bool:
        """Whether it is the probability of every basis state of so many qubits, which engines read by themselves."""
        return False

    def qubits_read(self) -> frozenset[int] | None:
        """The qubits that matter, where all others are in ``|0>``; None: all."""
        return None

    def renumbered(self, places: Mapping[int, int]) -> Output:
        """The same for a state without some qubits that do not matter; the place of each that is left."""
        return self

    def compiled(self, evolutions: Sequence[Evolution]) -> Output:
        """The same with its circuits compiled."""
        return self


def require_output(observables: Any) -> None:
    """Checks that an output, if one is given, is a value.

    Raises:
        TypeError: it is a class, not hashable, or one of a sequence, which `QuantumModule` takes for one output.
    """
    if isinstance(observables, type) and issubclass(observables, Output):
        raise TypeError(
            f"observables: expected an output, got the class {observables.__name__}; give {observables.__name__}(...)"
        )
    if isinstance(observables, (list, tuple)) and any(isinstance(observable, Output) for observable in observables):
        raise TypeError(
            "observables: expected expectation values alone, got a sequence with an output; QuantumModule reads it"
        )
    if isinstance(observables, Output):
        try:
            hash(observables)
        except TypeError as error:
            name = type(observables).__name__
            raise TypeError(
                f"observables: expected an output that is hashable, got {name} ({error}); make it a frozen dataclass, "
                "of fields that are hashable"
            ) from None


@dataclass(frozen=True)
class State(Output):
    """The final state: complex amplitudes (2^n,) of n qubits, with the global phase of the circuit.

    In Qiskit's order, qubit 0 the lowest bit of an index, they are those of ``qiskit.quantum_info.Statevector``. They
    are complex64 where parameters are float32, complex128 where they are float64; the gradient of a real loss L with
    respect to them is PyTorch's, dL/dRe + i dL/dIm.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> state = qtm.QuantumModule(
        ...     circuit, x, w, observables=qtm.outputs.State(), seed_init=0
        ... )
        >>> amplitudes = state(torch.zeros(3, 2))
        >>> amplitudes.shape, amplitudes.dtype
        (torch.Size([3, 4]), torch.complex64)
    """

    def __hash__(self) -> int:
        return hash(State)

    def shape(self, num_qubits: int) -> tuple[int, ...]:
        """Shape (2^n,)."""
        return (1 << num_qubits,)

    def workspace(self, num_qubits: int) -> float:
        """None: it is the state."""
        return 0

    def read(self, state: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        """The states as they are."""
        return state


@dataclass(frozen=True)
class ExpectationValues:
    """Those of sums of Paulis, on the basis states of an evolution (before its frame).

    Attributes:
        constants: What the identity contributes to each of M observables.
        terms: All other terms.
    """

    constants: tuple[float, ...]
    terms: PauliTerms

    @staticmethod
    def none() -> ExpectationValues:
        """Those of no observable."""
        return ExpectationValues((), PauliTerms.none())

    def shape(self, num_qubits: int) -> tuple[int, ...]:
        """Shape (M,)."""
        return (len(self.constants),)

    def moved(self, index: Index) -> ExpectationValues:
        """The same by another index of basis states."""
        return ExpectationValues(self.constants, self.terms.moved(index.flips, index.parities))


def distinct(output: ExpectationValues) -> tuple[ExpectationValues, npt.NDArray[np.float64]] | None:
    """Those of T distinct terms and what each of M observables takes of them, (M, T), if these are fewer: T < M.

    The identity is the last of them, where an observable has a part of it.
    """
    terms, constants = output.terms, np.array(output.constants)
    keys = terms.x.astype(np.uint64) << np.uint64(32) | terms.z
    _, first, term = np.unique(keys, return_index=True, return_inverse=True)
    count, has_identity = len(first), bool(constants.any())
    if count + has_identity >= len(constants):
        return None
    coefficients = np.zeros((len(constants), count + has_identity))
    np.add.at(coefficients, (terms.observable, term), terms.coefficient)
    if has_identity:
        coefficients[:, count] = constants
    own = PauliTerms(np.arange(count, dtype=np.int32), terms.x[first], terms.z[first], np.ones(count))
    return ExpectationValues((0.0,) * count + (1.0,) * has_identity, own), coefficients


def grouped(terms: PauliTerms) -> TermArrays:
    """Terms by the bits they flip, and there the real before the imaginary ones (see src/engine/observable.hpp)."""
    group = 2 * terms.x.astype(np.int64) + terms.is_imaginary
    order = np.argsort(group, kind="stable")
    group, terms = group[order], terms.at(order)
    flips = np.unique(group // 2)
    begins = np.searchsorted(group, np.stack([2 * flips, 2 * flips + 1], axis=1).ravel())
    return {
        "flip_mask": flips.astype(np.uint32),
        "flip_term_begin": np.append(begins, len(terms)).astype(np.int32),
        "pauli_z": terms.z,
        "pauli_coefficient": terms.coefficient,
        "pauli_observable": terms.observable,
    }
