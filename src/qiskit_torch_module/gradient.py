"""Gradients of expectation values as arrays."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

from ._observables import Observables
from ._parameters import parameter_list
from .estimator import Columns, program_and_rows


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
