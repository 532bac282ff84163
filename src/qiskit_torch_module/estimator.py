"""Expectation values as a Qiskit primitive."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

from . import _compat
from ._cache import cached_program
from ._observables import Observables
from ._parameters import parameter_list
from ._program import Program
from ._triples import grouped

Columns = Mapping[Parameter, Any]


def program_and_rows(
    circuit: QuantumCircuit, observables: Observables, parameter_values: npt.ArrayLike | Columns | None
) -> tuple[Program, npt.NDArray[np.float64]]:
    """A program whose inputs are all parameters of the circuit, and their values as rows (B, P).

    Args:
        circuit: Circuit with P parameters.
        observables: As for `QuantumModule`.
        parameter_values: Shape (B, P) or (P,), in the order of ``circuit.parameters``; or a mapping from parameter (or
            sequence of parameters, such as a ``ParameterVector``) to its column or columns; None for P = 0.

    Raises:
        ValueError: the wrong shape, or a mapping that leaves a parameter out.
    """
    if isinstance(parameter_values, Mapping):
        parameters, rows = _columns(parameter_values)
    else:
        parameters = list(circuit.parameters) if isinstance(circuit, QuantumCircuit) else []
        rows = np.asarray([[]] if parameter_values is None else parameter_values, dtype=np.float64)
        rows = rows.reshape(1, -1) if rows.ndim < 2 else rows
    if rows.ndim != 2 or rows.shape[1] != len(parameters):
        raise ValueError(
            f"parameter_values: expected shape (batch, {len(parameters)}), one column for each parameter, "
            f"got {rows.shape}"
        )
    return cached_program(circuit, observables, parameters), np.ascontiguousarray(rows)


def _columns(values: Columns) -> tuple[list[Parameter], npt.NDArray[np.float64]]:
    parameters: list[Parameter] = []
    columns: list[npt.NDArray[np.float64]] = []
    for key, value in values.items():
        listed = parameter_list(key, "parameter_values")
        block = np.asarray(value, dtype=np.float64)
        block = block.reshape(-1, 1) if isinstance(key, Parameter) else np.atleast_2d(block)
        if block.shape[1] != len(listed):
            raise ValueError(f"parameter_values[{key}]: expected {len(listed)} columns, got shape {block.shape}")
        parameters += listed
        columns.append(block)
    if not columns:
        return [], np.empty((1, 0))
    size = max(len(block) for block in columns)
    if any(len(block) not in (1, size) for block in columns):
        raise ValueError(f"parameter_values: expected columns of one length, got {[len(block) for block in columns]}")
    return parameters, np.concatenate([np.broadcast_to(block, (size, block.shape[1])) for block in columns], axis=1)


class FastEstimator(_compat.BaseEstimatorV2):  # type: ignore[misc]
    """Exact expectation values from the native engine, in complex128: all observables from one state.

    `expectation_values` takes and gives arrays. `run` makes it an estimator primitive: V2 (a sequence of PUBs) from
    Qiskit 1.0 on, and the V1 call ``run(circuits, observables, parameter_values)`` where Qiskit still has V1. A PUB
    whose circuit holds a reset, and so has no single final state, is handed to Qiskit's ``StatevectorEstimator``.

    Args:
        default_precision: Standard deviation of the simulated sampling noise where a PUB gives none; 0: exact.
        seed: Seed or generator of that noise.
        num_threads: Threads; 0: as ``torch.get_num_threads()``.
    """

    def __init__(
        self,
        *,
        default_precision: float = 0.0,
        seed: int | np.random.Generator | None = None,
        num_threads: int = 0,
    ) -> None:
        if not 0.0 <= default_precision < np.inf:
            raise ValueError(f"default_precision: expected a finite number, at least 0, got {default_precision}")
        self.default_precision = default_precision
        self.seed = seed
        self.num_threads = num_threads

    def expectation_values(
        self,
        circuit: QuantumCircuit,
        observables: Observables,
        parameter_values: npt.ArrayLike | Columns | None = None,
    ) -> npt.NDArray[np.float64]:
        """Expectation values (B, M) of M observables for B rows of parameter values.

        Args:
            circuit: Unitary circuit with P parameters.
            observables: As for `QuantumModule`.
            parameter_values: Shape (B, P) or (P,), in the order of ``circuit.parameters``; or a mapping from parameter
                or ``ParameterVector`` to columns.

        Raises:
            TypeError: an argument is of the wrong kind.
            ValueError: an argument cannot be used; the message names it and a remedy.
        """
        program, rows = program_and_rows(circuit, observables, parameter_values)
        inputs, _ = program.with_derived_columns(torch.from_numpy(rows), torch.empty(0, dtype=torch.float64))
        return program.engine.values(inputs.numpy(), np.empty(0), self.num_threads or torch.get_num_threads())

    def run(
        self,
        pubs: Any,
        observables: Any = None,
        parameter_values: Any = None,
        *,
        precision: float | None = None,
    ) -> Any:
        """Starts a job.

        Args:
            pubs: V2: a sequence of (circuit, observables[, parameter values[, precision]]). V1: circuits.
            observables: V1 only: one observable for each circuit.
            parameter_values: V1 only: one row of values for each circuit.
            precision: V2 only: for PUBs without a precision of their own.

        Returns:
            A job whose ``result()`` is a ``PrimitiveResult`` (V2) or an ``EstimatorResult`` (V1).

        Raises:
            TypeError: a V1 call where Qiskit has no V1 primitives, or a V2 call where it has no V2 primitives.
        """
        if observables is not None:
            if _compat.EstimatorResult is None:
                raise TypeError("run: Qiskit 2 has no V1 primitives; pass PUBs: run([(circuit, observables, values)])")
            return _compat.submitted(self._run_v1, pubs, observables, parameter_values)
        if _compat.EstimatorPub is None:
            raise TypeError("run: this Qiskit has no V2 primitives; call run(circuits, observables, parameter_values)")
        chosen = self.default_precision if precision is None else precision
        return _compat.submitted(self._run_v2, [_compat.EstimatorPub.coerce(pub, chosen) for pub in pubs])

    def _run_v2(self, pubs: Iterable[Any]) -> Any:
        return _compat.PrimitiveResult([self._run_pub(pub) for pub in pubs], metadata={"version": 2})

    def _run_pub(self, pub: Any) -> Any:
        if any(instruction.operation.name == "reset" for instruction in pub.circuit.data):
            # Resets are random: no single state to evaluate. Qiskit draws one for every element.
            stochastic = _compat.StatevectorEstimator(seed=self.seed)
            return stochastic.run([pub]).result()[0]
        # Observables and parameter values broadcast against each other; each row is evaluated once, for all distinct
        # observables.
        rows = pub.parameter_values.as_array(pub.circuit.parameters)
        rows = rows.reshape(pub.parameter_values.size, pub.circuit.num_parameters)
        row_index = np.arange(len(rows)).reshape(pub.parameter_values.shape)
        sums: dict[Any, int] = {}
        sum_index = np.empty(pub.observables.shape, dtype=int)
        for index in np.ndindex(pub.observables.shape):
            sum_index[index] = sums.setdefault(tuple(pub.observables[index].items()), len(sums))
        row_index, sum_index = np.broadcast_arrays(row_index, sum_index)
        if row_index.size == 0:
            values = np.zeros(row_index.shape)
        else:
            values = self.expectation_values(pub.circuit, [dict(one) for one in sums], rows)[row_index, sum_index]
        if pub.precision:
            values = np.asarray(np.random.default_rng(self.seed).normal(values, pub.precision))
        data = _compat.estimates(values, np.zeros(values.shape))
        metadata = {"target_precision": pub.precision, "circuit_metadata": pub.circuit.metadata}
        return _compat.PubResult(data, metadata=metadata)

    def _run_v1(self, circuits: Any, observables: Any, parameter_values: Any) -> Any:
        groups = grouped(circuits, observables, parameter_values)
        values = np.empty(sum(len(group.positions) for group in groups))
        for group in groups:
            found = self.expectation_values(group.circuit, group.observables, group.rows)
            values[group.positions] = found[group.row_index, group.observable_index]
        return _compat.EstimatorResult(values, [{} for _ in values])
