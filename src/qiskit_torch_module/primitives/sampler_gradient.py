"""Gradients of the probabilities of outcomes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

from .._core.arguments import flag
from .._reading import compat
from .._simulation.outcomes import slopes
from .gradient import columns_of, wanted_parameters
from .measured import Measured, measured_work, measured_works
from .pairs import Pairs, pairs
from .pubs import AT_ONCE
from .refusals import position_named
from .rows import Columns, parameters_and_rows
from .settings import GradientSettings


@dataclass(frozen=True)
class SamplerGradientResult:
    """Gradients and metadata, one entry for each circuit of a call; its options.

    Attributes:
        gradients: For each circuit, for each parameter, the derivatives of the probabilities of all outcomes that have
            one; an outcome is the number that is written into all classical bits.
        metadata: For each circuit its parameters.
        options: Those of the call.
        shots: None: gradients are exact.
    """

    gradients: list[list[dict[int, float]]]
    metadata: list[dict[str, Any]]
    options: Any
    shots: int | None = None


class FastReverseSamplerGradient(GradientSettings):
    """Exact gradients of the probabilities of measured outcomes by the native engine, in complex128.

    Outcomes go back through the circuit one by one, as with the adjoint method for observables, or parameters forward,
    whichever are fewer.

    Args:
        num_threads: Threads; 0: as ``torch.get_num_threads()``.
        exact_evolution: As for `FastEstimator`.

    Raises:
        TypeError, ValueError: an argument cannot be used.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> circuit.measure_all()
        >>> gradient = qtm.FastReverseSamplerGradient()
        >>> gradient.jacobian(circuit, np.zeros((3, 10)), parameters=w).shape
        (3, 4, 8)
    """

    def __init__(self, *, num_threads: int = 0, exact_evolution: bool = False) -> None:
        self.num_threads = num_threads
        self.exact_evolution = flag(exact_evolution, "exact_evolution")
        self._default_options = compat.Options()

    def jacobian(
        self,
        circuit: QuantumCircuit,
        parameter_values: npt.ArrayLike | Columns | None = None,
        parameters: Iterable[Parameter] | None = None,
    ) -> npt.NDArray[np.float64]:
        """Gradients (B, 2^k, P) of the probabilities of all numbers that k classical bits can hold.

        Args:
            circuit: Circuit that ends with measurements into k classical bits.
            parameter_values: As for `FastEstimator.expectation_values`.
            parameters: The P parameters to differentiate with respect to, in this order; None: all of
                ``circuit.parameters``.

        Raises:
            TypeError: an argument is of the wrong kind.
            ValueError: an argument cannot be used, or a parameter is not in the circuit.
        """
        order, rows = parameters_and_rows(circuit, parameter_values)
        columns = columns_of(circuit, order, parameters)
        work = measured_work(circuit, self.exact_evolution, order)
        work.require_measurements()
        derivatives = self._derivatives(work, rows, columns)
        return work.spread(derivatives.swapaxes(1, 2)).swapaxes(1, 2)

    def run(
        self,
        circuits: Any,
        parameter_values: Any,
        parameters: Sequence[Iterable[Parameter] | None] | None = None,
        *,
        shots: Any = None,
        **options: Any,
    ) -> Any:
        """Starts a job, with the interface of the gradient classes that ``SamplerQNN`` takes.

        Args:
            circuits: One circuit for each gradient, which ends with measurements into all of its classical bits.
            parameter_values: One row of values for each gradient, in the order of ``circuit.parameters``.
            parameters: For each gradient, the parameters to differentiate with respect to, in this order; None: all of
                them, in the order of ``circuit.parameters``.
            shots: Any: gradients are exact.
            options: Passed on to the result; exact simulation takes none.

        Returns:
            A job whose ``result()`` is a `SamplerGradientResult`.

        Raises:
            TypeError: an argument is of the wrong kind.
            ValueError: different numbers of arguments, a circuit that cannot be sampled, or a parameter that is not in
                its circuit.
        """
        checked = pairs(circuits, parameter_values)
        for index, circuit in enumerate(checked.circuits):
            if not circuit.parameters:
                raise ValueError(
                    f"circuits[{index}]: expected parameters to differentiate by, got a circuit without any"
                )
        wanted = wanted_parameters(checked.circuits, parameters)
        chosen = compat.Options(**{**vars(self._default_options), **options})
        return compat.submitted(self._run, checked, wanted, chosen, at_once=checked.amount < AT_ONCE)

    def _run(self, checked: Pairs, wanted: list[list[Parameter]], options: Any) -> SamplerGradientResult:
        works = measured_works(checked.circuits, "circuits", self.exact_evolution)
        gradients: dict[int, list[dict[int, float]]] = {}
        for group in checked.groups():
            work, order = works[id(group.circuit)], list(group.circuit.parameters)
            union = list(dict.fromkeys(parameter for i in group.positions for parameter in wanted[i]))
            place = {parameter: index for index, parameter in enumerate(union)}
            with position_named("circuits", group.positions[0], len(wanted)):
                derivatives = self._derivatives(work, group.rows, columns_of(group.circuit, order, union))
            numbers = work.numbers_of(np.arange(work.outcomes.count)).tolist()
            for position, row in zip(group.positions, group.row_index, strict=True):
                chosen = [place[parameter] for parameter in wanted[position]]
                gradients[position] = [_nonzero(numbers, derivatives[row, :, index]) for index in chosen]
        metadata = [{"parameters": parameters} for parameters in wanted]
        return SamplerGradientResult([gradients[i] for i in range(len(wanted))], metadata, options)

    def _derivatives(self, work: Measured, rows: npt.NDArray[np.float64], columns: Sequence[int]) -> Any:
        return slopes(work.program, work.outcomes, torch.from_numpy(rows), columns, self.num_threads)


def _nonzero(numbers: Sequence[int], derivatives: npt.NDArray[np.float64]) -> dict[int, float]:
    return {number: slope for number, slope in zip(numbers, derivatives.tolist(), strict=True) if slope}
