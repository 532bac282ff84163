"""Pauli observables and other numbers that are read from one state, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from qiskit import QuantumCircuit

from .._core.sizes import counted
from .._core.torch_internals import constant_when_compiled
from .._program.evolution import Evolution
from .._program.output import Output, require_output
from .._reading.observables import sums_of_argument
from .._reading.paulis import PauliSums
from .paulis import Part, no_sums, qubits_in, read_as, renumbered, values
from .qubits import num_qubits_of


@dataclass(frozen=True)
class Columns(Output):
    """A column for each observable of a list in which some are outputs.

    Attributes:
        paulis: Sums of Paulis, on the qubits of the circuit.
        outputs: All others, each of them a number.
        order: Where each column is among those of `paulis`, followed by `outputs`.
    """

    paulis: PauliSums
    outputs: tuple[Output, ...]
    order: tuple[int, ...]

    def __repr__(self) -> str:
        named = [f"{counted(self.paulis.num_observables, 'sum')} of Paulis", *map(repr, self.outputs)]
        return f"Columns({', '.join(named)})"

    def __post_init__(self) -> None:
        if sorted(self.order) != list(range(self.paulis.num_observables + len(self.outputs))):
            raise ValueError("observables: expected a place for each of several outputs")

    @property
    def is_traceable(self) -> bool:  # type: ignore[override]
        """If all of them are."""
        return all(output.is_traceable for output in self.outputs)

    @property
    def circuits(self) -> tuple[QuantumCircuit, ...]:  # type: ignore[override]
        """Those of all of them, in order."""
        return tuple([circuit for output in self.outputs for circuit in output.circuits])

    @property
    def evolutions(self) -> tuple[Evolution, ...]:  # type: ignore[override]
        """And what they are compiled to."""
        return tuple([evolution for output in self.outputs for evolution in output.evolutions])

    def qubits_read(self) -> frozenset[int] | None:
        """Those of all of them."""
        read = qubits_in(self.paulis)
        for output in self.outputs:
            qubits = output.qubits_read()
            if qubits is None:
                return None
            read |= qubits
        return read

    def renumbered(self, places: Mapping[int, int]) -> Columns:
        """The same on qubits at other places."""
        outputs = tuple([output.renumbered(places) for output in self.outputs])
        return replace(self, paulis=renumbered(self.paulis, places), outputs=outputs)

    def compiled(self, evolutions: Sequence[Evolution]) -> Columns:
        """The same with all circuits compiled."""
        remaining = iter(evolutions)
        outputs = [one.compiled([next(remaining) for _ in one.circuits]) for one in self.outputs]
        return replace(self, outputs=tuple(outputs))

    def shape(self, num_qubits: int) -> tuple[int, ...]:
        """Shape (M,)."""
        if self.paulis.num_qubits != num_qubits:
            raise ValueError(
                f"observables: expected {counted(num_qubits, 'qubit')} as in the circuit, got "
                f"{self.paulis.num_qubits}; pad them with identities (apply_layout or tensor)"
            )
        for output in self.outputs:
            shape = output.shape(num_qubits)
            if shape != ():
                raise ValueError(
                    f"observables: expected outputs that are one number each in a list, got {output} of shape {shape}; "
                    "give it by itself"
                )
        return (len(self.order),)

    def workspace(self, num_qubits: int) -> float:
        """What the largest of them takes."""
        paulis = 3 << num_qubits if self.paulis.num_observables else 0
        return len(self.order) + max([paulis, *(output.workspace(num_qubits) for output in self.outputs)])

    @constant_when_compiled
    def _parts(self) -> tuple[tuple[float, ...], tuple[Part, ...]]:
        return read_as(self.paulis)

    def read(self, state: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        """Each of them, put in order."""
        columns, rest = [], others
        for output in self.outputs:
            count = len(output.evolutions)
            columns.append(output.read(state, *rest[:count])[:, None])
            rest = rest[count:]
        if self.paulis.num_observables:
            columns.insert(0, values(num_qubits_of(state), *self._parts(), state.real, state.imag))
        found = torch.cat(columns, 1)
        if self.order == tuple(range(len(self.order))):
            return found
        return found[:, torch.tensor(self.order, device=state.device)]


def is_mixed(observables: Any) -> bool:
    """Whether these are several, and some of them outputs."""
    return isinstance(observables, (list, tuple)) and any(map(_is_output, observables))


def _is_output(observable: Any) -> bool:
    return isinstance(observable, Output) or (isinstance(observable, type) and issubclass(observable, Output))


def settled(observables: Any, num_qubits: int) -> Any:
    """Observables in which all outputs know of how many qubits the circuit is; others as they are.

    Raises:
        TypeError: an output is a class, or not hashable.
    """
    if is_mixed(observables):
        return [settled(one, num_qubits) for one in observables]
    require_output(observables)
    return observables.settled(num_qubits) if isinstance(observables, Output) else observables


def as_output(observables: Any, num_qubits: int) -> Any:
    """A list in which some observables are outputs as one output; all else as it is.

    Raises:
        TypeError, ValueError: one of them is wrong, or is not one number.
    """
    if not is_mixed(observables):
        return observables
    is_output = [isinstance(one, Output) for one in observables]
    pauli_places = [place for place, other in enumerate(is_output) if not other]
    paulis = [observables[place] for place in pauli_places]
    places = np.empty(len(observables), dtype=int)
    places[np.argsort(is_output, kind="stable")] = np.arange(len(observables))
    return Columns(  # type: ignore[abstract]  # dataclasses add the hash
        sums_of_argument("observables", paulis, num_qubits, places=pauli_places) if paulis else no_sums(num_qubits),
        tuple([one for one in observables if isinstance(one, Output)]),
        tuple(places.tolist()),
    )


def num_qubits_of_observable(observable: Any) -> int:
    """On how many qubits an observable acts.

    Raises:
        TypeError: that is not known.
        ValueError: it stands for several.
    """
    if isinstance(observable, Mapping) and observable:
        observable = next(iter(observable))
    if isinstance(observable, str):
        if not set(observable).isdisjoint("dtvu"):  # 'individualZ', 'tensoredZ', which no label looks like
            raise ValueError(
                f"observable: expected one observable, written out, such as 'ZZI', got {observable!r}, which is known "
                "of a circuit alone"
            )
        return len(observable)
    if isinstance(getattr(observable, "num_qubits", None), (int, np.integer)):
        return int(observable.num_qubits)
    shape = getattr(observable, "shape", ())
    if not isinstance(shape, tuple) or len(shape) != 2:
        is_class = isinstance(observable, type)
        raise TypeError(
            "observable: expected a Pauli label, a Qiskit operator, a mapping from Pauli label to coefficient or a "
            f"matrix, got {f'the class {observable.__name__}' if is_class else type(observable).__name__}"
        )
    return max(1, int(shape[0]).bit_length() - 1)
