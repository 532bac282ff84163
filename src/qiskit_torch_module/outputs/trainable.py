"""Observables whose coefficients are trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from .._core.shown import Shown
from .._program.output import Output
from .._reading.observables import operators_of, sums_of_argument
from .._reading.paulis import PauliSums
from .columns import settled


@dataclass(frozen=True, eq=False)
class Trainable(Shown):
    """A sum of observables with coefficients that are trained: one number for each sample, sum_k c_k <P_k>.

    The coefficients are an ``nn.Parameter`` of the module, under a name of their own: they may have a learning rate of
    their own, and are part of its ``state_dict`` and of saved models. May stand in a list with other observables.

    Args:
        paulis: An operator, each of whose Pauli terms gets a coefficient; or a sequence of observables, or
            "individualZ", each of which gets one.
        initial: How the coefficients start, as `variational_params_initial` of `QuantumModule`: explicit values,
            "constant", ("normal", {"std": 0.1}), a function; None: the coefficients of the operator, or 1 for each
            observable of a sequence.
        name: Name of the parameter; None: "coefficients", with numbers from 0 on if there are several.

    Raises:
        TypeError: an argument is of the wrong kind.
        ValueError: a name that is no identifier; when the module is made, what cannot be an observable of it, and the
            wrong number of values.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> weighted = qtm.outputs.Trainable(["ZI", "IZ", "XX"], name="shares")
        >>> model = qtm.QuantumModule(
        ...     circuit, x, w, observables=[weighted, "ZZ"], seed_init=0
        ... )
        >>> model(torch.zeros(3, 2)).shape, model.shares.shape
        (torch.Size([3, 2]), torch.Size([3]))
    """

    paulis: PauliSums | Any
    initial: Any = None
    name: str | None = None

    def __post_init__(self) -> None:
        if self.name is not None and not (isinstance(self.name, str) and self.name.isidentifier()):
            raise ValueError(f"name: expected an identifier or None, got {self.name!r}")
        listed = self.paulis if isinstance(self.paulis, (list, tuple)) else [self.paulis]
        kinds = (Output, Trainable)
        if any(isinstance(one, kinds) or (isinstance(one, type) and issubclass(one, kinds)) for one in listed):
            raise TypeError("paulis: expected observables, got an output; give it beside the trainable sum, in a list")

    def settled(self, num_qubits: int) -> Trainable:
        """The same for a circuit of so many qubits: its observables as sums of Paulis."""
        given = self.paulis
        if isinstance(given, PauliSums):
            return self
        sums, initial = sums_of_argument("paulis", given, num_qubits), self.initial
        if sums.num_observables == 1 and (isinstance(given, str) or not isinstance(given, Sequence)):
            initial = sums.coefficient.tolist() if initial is None else initial
            count = sums.num_strings
            sums = PauliSums(num_qubits, count, np.arange(count, dtype=np.int32), sums.x, sums.z, np.ones(count))
        if sums.num_observables == 0:
            raise ValueError("paulis: expected at least one Pauli term, got an operator that is zero")
        return replace(self, paulis=sums, initial="constant" if initial is None else initial)

    @property
    def size(self) -> int:
        """How many coefficients it has, once it is settled."""
        return int(self.paulis.num_observables)

    def __repr__(self) -> str:
        count = f"{self.size} sums of Paulis" if isinstance(self.paulis, PauliSums) else repr(self.paulis)
        return f"Trainable({count}, name={self.name!r})"


@dataclass(frozen=True)
class Sums:
    """How columns are made of what is read: as they are, or as sums with coefficients.

    Attributes:
        sizes: How many numbers each part takes.
        trained: Which coefficients each part is added up with; -1: it stays as it is.
    """

    sizes: tuple[int, ...]
    trained: tuple[int, ...]

    @property
    def num_columns(self) -> int:
        """How many columns there are."""
        return sum(size if which < 0 else 1 for size, which in zip(self.sizes, self.trained, strict=True))

    def of(self, values: torch.Tensor, coefficients: Sequence[torch.Tensor]) -> torch.Tensor:
        """Columns (B, M) from what is read (B, sum of all sizes)."""
        columns = []
        for part, which in zip(torch.split(values, list(self.sizes), 1), self.trained, strict=True):
            if which >= 0:
                part = (part * coefficients[which].to(part.dtype)).sum(1, keepdim=True)
            columns.append(part)
        return columns[0] if len(columns) == 1 else torch.cat(columns, 1)


def trained_in(observables: Any) -> list[Trainable]:
    """Sums with trained coefficients, in order."""
    listed = observables if isinstance(observables, (list, tuple)) else [observables]
    return [one for one in listed if isinstance(one, Trainable)]


def names_of(trained: Sequence[Trainable]) -> list[str]:
    """Names of their parameters."""
    stem = "coefficients"
    return [one.name or (stem if len(trained) == 1 else f"{stem}_{number}") for number, one in enumerate(trained)]


def with_coefficients(observables: Any, coefficients: Sequence[torch.Tensor]) -> Any:
    """Observables in which sums are operators, with these coefficients; others as they are."""
    if isinstance(observables, Trainable):
        listed: list[Any] = [_operator(observables, coefficients[0])]
        return listed
    trained = trained_in(observables)
    if not trained:
        return observables
    operators = iter([_operator(one, values) for one, values in zip(trained, coefficients, strict=True)])
    return [next(operators) if isinstance(one, Trainable) else one for one in observables]


def _operator(one: Trainable, coefficients: torch.Tensor) -> Any:
    values = coefficients.detach().double().cpu().tolist()
    parts = operators_of(one.paulis)
    return type(parts[0]).sum([value * part for value, part in zip(values, parts, strict=True)])


def known(observables: Any, num_qubits: int) -> Any:
    """Observables in which all outputs and sums know of how many qubits the circuit is (`columns.settled`).

    Raises:
        TypeError, ValueError: one of them is wrong.
    """
    if isinstance(observables, Trainable):
        return observables.settled(num_qubits)
    if trained_in(observables):
        return [known(one, num_qubits) for one in observables]
    return settled(observables, num_qubits)


def taken_apart(observables: Any) -> tuple[Any, Sums | None]:
    """What is read in place of observables of which some are sums, and how their columns are made of that.

    None: nothing is a sum.
    """
    if not trained_in(observables):
        return observables, None
    read: list[Any] = []
    sizes: list[int] = []
    trained: list[int] = []
    for one in observables if isinstance(observables, (list, tuple)) else [observables]:
        if isinstance(one, Trainable):
            read += operators_of(one.paulis)
            sizes.append(one.size)
            trained.append(max(trained, default=-1) + 1)
        else:
            read.append(one)
            sizes.append(1)
            trained.append(-1)
    return read, Sums(*_merged(sizes, trained))


def _merged(sizes: Sequence[int], trained: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """With neighbours that stay as they are taken together."""
    parts: list[tuple[int, int]] = []
    for size, which in zip(sizes, trained, strict=True):
        if which < 0 and parts and parts[-1][1] < 0:
            parts[-1] = parts[-1][0] + size, -1
        else:
            parts.append((size, which))
    return tuple([size for size, _ in parts]), tuple([which for _, which in parts])
