"""Gradients of expectation values as arrays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

from . import _compat
from ._observables import Observables
from ._parameters import parameter_list
from ._triples import grouped
from .estimator import Columns, program_and_rows


@dataclass(frozen=True)
class EstimatorGradientResult:
    """Gradients and metadata, one entry for each circuit of a call; and the options of the call."""

    gradients: list[npt.NDArray[np.float64]]
    metadata: list[dict[str, Any]]
    options: dict[str, Any]


class FastReverseEstimatorGradient:
    """Exact gradients of expectation values by the adjoint method, in complex128.

    Source: Jones and Gacon, arXiv:2009.02823; extended to many observables by Meyer et al., arXiv:2404.06314.

    Args:
        num_threads: Threads; 0: as ``torch.get_num_threads()``.
    """

    def __init__(self, *, num_threads: int = 0) -> None:
        self.num_threads = num_threads

    def jacobian(
        self,
        circuit: QuantumCircuit,
        observables: Observables,
        parameter_values: npt.ArrayLike | Columns | None = None,
        parameters: Iterable[Parameter] | None = None,
    ) -> npt.NDArray[np.float64]:
        """Gradients (B, M, P) of M observables for B rows of parameter values.

        Args:
            circuit: Unitary circuit.
            observables: As for `QuantumModule`.
            parameter_values: As for `FastEstimator.expectation_values`.
            parameters: The P parameters to differentiate with respect to, in this order; None: all of
                ``circuit.parameters``.

        Raises:
            TypeError: an argument is of the wrong kind.
            ValueError: an argument cannot be used, or a parameter is not in the circuit.
        """
        program, rows = program_and_rows(circuit, observables, parameter_values)
        columns = _columns_of(circuit, parameter_values, parameters)
        wanted = np.zeros(program.num_inputs, dtype=bool)
        wanted[columns] = True
        batch, num_observables = len(rows), program.num_observables
        jacobian = np.zeros((batch, num_observables, len(columns)))
        threads = self.num_threads or torch.get_num_threads()
        for observable in range(num_observables if wanted.any() else 0):
            cotangent = np.zeros((batch, num_observables))
            cotangent[:, observable] = 1.0
            gradient, _ = program.engine.vector_jacobian_product(rows, np.empty(0), cotangent, wanted, threads)
            if gradient is not None:
                jacobian[:, observable] = gradient[:, columns]
        return jacobian

    def run(
        self,
        circuits: Any,
        observables: Any,
        parameter_values: Any,
        parameters: Sequence[Iterable[Parameter] | None] | None = None,
        **options: Any,
    ) -> Any:
        """Starts a job, with the interface of the gradient classes that ``EstimatorQNN`` and ``VQE`` take.

        Args:
            circuits: One circuit for each gradient.
            observables: One observable for each gradient.
            parameter_values: One row of values for each gradient, in the order of ``circuit.parameters``.
            parameters: For each gradient, the parameters to differentiate with respect to, in this order; None: all of
                them, in the order of ``circuit.parameters``.
            options: Passed on to the result; exact simulation takes none.

        Returns:
            A job whose ``result()`` is an `EstimatorGradientResult`.
        """
        return _compat.submitted(self._run, circuits, observables, parameter_values, parameters, options)

    def _run(
        self, circuits: Any, observables: Any, parameter_values: Any, parameters: Any, options: dict[str, Any]
    ) -> EstimatorGradientResult:
        groups = grouped(circuits, observables, parameter_values)
        gradients: dict[int, npt.NDArray[np.float64]] = {}
        metadata: dict[int, dict[str, Any]] = {}
        for group in groups:
            order = list(group.circuit.parameters)
            wanted = [list((parameters and parameters[i]) or order) for i in group.positions]
            union = list(dict.fromkeys(parameter for one in wanted for parameter in one))
            found = self.jacobian(group.circuit, group.observables, group.rows, union)
            for position, row, observable, one in zip(
                group.positions, group.row_index, group.observable_index, wanted, strict=True
            ):
                gradients[position] = found[row, observable, [union.index(parameter) for parameter in one]]
                metadata[position] = {"parameters": one}
        positions = sorted(gradients)
        return EstimatorGradientResult([gradients[i] for i in positions], [metadata[i] for i in positions], options)


def _columns_of(
    circuit: QuantumCircuit, parameter_values: npt.ArrayLike | Columns | None, parameters: Iterable[Parameter] | None
) -> list[int]:
    if isinstance(parameter_values, dict):
        order = [one for key in parameter_values for one in parameter_list(key, "parameter_values")]
    else:
        order = list(circuit.parameters)
    position = {parameter: index for index, parameter in enumerate(order)}
    chosen = list(circuit.parameters) if parameters is None else parameter_list(parameters, "parameters")
    unknown = [parameter.name for parameter in chosen if parameter not in position]
    if unknown:
        raise ValueError(f"parameters: {unknown} are not in the circuit; choose from circuit.parameters")
    return [position[parameter] for parameter in chosen]
