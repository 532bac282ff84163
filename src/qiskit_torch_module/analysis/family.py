"""A circuit as a family of states: all of its parameters are columns of a batch, and drawn at random.

One native call computes as many members as fit into `MOST_AMPLITUDES` of memory, or its share of a small budget.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from qiskit import QuantumCircuit

from .._core.arguments import tensor_of
from .._simulation.room import require_bytes
from .._simulation.states import states_at_once
from ..modules.initial import Initial, initial_values, is_single, random_numbers
from ..modules.module import QuantumModule

Real = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Family:
    """A model whose weights are columns of its input, behind its inputs; in double precision.

    Attributes:
        given: The model that it was made of.
        model: The one that computes.
        num_inputs, num_weights: How many columns are inputs, and weights.
    """

    given: QuantumModule
    model: QuantumModule
    num_inputs: int
    num_weights: int

    @property
    def num_qubits(self) -> int:
        """Of the circuit."""
        return int(self.given._num_qubits)

    def parts(self, rows: torch.Tensor, states: int = 1) -> Iterator[torch.Tensor]:
        """Rows (S, columns) in parts that fit into memory, if each takes so many states."""
        yield from torch.split(rows, states_at_once(len(rows), max(1, states) << self.num_qubits))


def model_of(given: Any) -> QuantumModule:
    """A module, or that of a circuit all of whose parameters are weights.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(given, QuantumCircuit):
        return QuantumModule(given, None, given.parameters, seed_init=0)
    if isinstance(given, QuantumModule):
        return given
    inner = getattr(given, "quantum_module", None)
    remedy = "; give its quantum_module" if isinstance(inner, QuantumModule) else ""
    raise TypeError(f"model: expected a QuantumModule or a QuantumCircuit, got {type(given).__name__}{remedy}")


def family_of(given: Any, observables: Any = None) -> Family:
    """The family of a module or circuit.

    Args:
        given: The module or circuit.
        observables: What is read; None: what the module reads.

    Raises:
        TypeError: it is neither.
        ValueError: it has no parameters.
    """
    own = model_of(given)
    weights = [parameter for one in own.variational_parameters for parameter in one]
    columns = [*own.encoding_parameters, *weights]
    if not columns:
        raise ValueError(
            "model: expected a circuit with parameters, got one without any, which is always the same; there is "
            "nothing to average over"
        )
    read = own.observables if observables is None else observables
    model = QuantumModule(own.circuit, columns, None, observables=read).double()
    model.load_state_dict(own.state_dict(), strict=False)  # coefficients of trained observables
    return Family(own, model.requires_grad_(False), len(own.encoding_parameters), len(weights))


def weights_of(model: QuantumModule, samples: int, initial: Initial | None) -> torch.Tensor:
    """Random weights (samples, W): by `initial`, or as the module starts its own."""
    size = model.num_trainable_parameters
    require_room(samples, size)
    if initial is None:
        return _stacked(samples, size, lambda: torch.cat([values for _, values in model._initial_values()]))
    if not is_single(initial):
        raise TypeError(f"initial: expected one start for all weights, got a sequence of several: {initial!r}")
    if callable(initial):
        return _stacked(samples, size, lambda: initial_values(initial, size, "initial"))
    if isinstance(initial, (str, tuple)) and any(isinstance(part, str) for part in (initial, *initial[:1])):
        return initial_values(initial, samples * size, "initial").double().reshape(samples, size)
    raise TypeError(
        "initial: expected how weights are drawn, such as 'uniform', ('normal', {'std': 0.1}) or a function that fills "
        "a vector, got values, of which there is nothing to average over"
    )


def _stacked(samples: int, size: int, draw: Callable[[], torch.Tensor]) -> torch.Tensor:
    rows = torch.empty(samples, size, dtype=torch.float64)
    for row in range(samples):
        rows[row] = draw()
    return rows


def require_room(samples: int, width: int, argument: str = "samples") -> None:
    """Checks that random members of so many columns fit the memory budget, and a copy.

    Raises:
        ValueError: they do not.
    """
    require_bytes(16 * samples * width, f"{argument}: {width:,} parameters of {samples:,} samples", "draw fewer")


def inputs_of(family: Family, samples: int, input: Any) -> torch.Tensor:
    """Inputs (samples, N): the one that is given, or uniformly random ones from 0 to 2 pi."""
    width = family.num_inputs
    if input is None:
        return 2.0 * np.pi * torch.rand(samples, width, dtype=torch.float64)
    row = tensor_of(input, torch.float64).detach()
    if row.shape != (width,):
        raise ValueError(
            f"input: expected one input of shape ({width},), or None for random ones, got shape {tuple(row.shape)}"
        )
    return row.expand(samples, width)


def drawn(
    family: Family, samples: int, initial: Initial | None, input: Any, generator: torch.Generator | int | None
) -> torch.Tensor:
    """Random members (samples, columns) of a family."""
    require_room(samples, family.num_inputs + family.num_weights)
    with random_numbers(generator):
        weights = weights_of(family.given, samples, initial) if family.num_weights else torch.empty(samples, 0)
        return torch.cat([inputs_of(family, samples, input), weights.double()], 1)


def computed(family: Family, rows: torch.Tensor, function: Callable[[torch.Tensor], torch.Tensor]) -> Real:
    """What a function makes of the values of each part of the rows, put together."""
    with torch.no_grad():
        parts = [function(family.model(part)) for part in family.parts(rows)]
    array: Real = torch.cat(parts).numpy()
    return array
