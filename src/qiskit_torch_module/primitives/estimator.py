"""Expectation values as a Qiskit primitive."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from qiskit import QuantumCircuit

from .._core.arguments import flag, noise_precision, noise_seed, shot_count
from .._program.cache import cached_program
from .._program.program import require_sums
from .._reading import compat
from .._reading.exponentials import exact_evolutions
from .._reading.observables import Observables
from .._reading.operations import ResetError
from .._simulation.columns import explained, with_derived_columns
from .._simulation.engines import engine_of
from .._simulation.threads import engine_threads
from .pubs import AT_ONCE, amount, pub_values, readable
from .refusals import parameters_named, position_named
from .rows import Columns, parameters_and_rows
from .settings import PrimitiveSettings
from .triples import Triples, triples, values_and_squares

_PUB = "(circuit, observables[, parameter values[, precision]])"


class FastEstimator(PrimitiveSettings, compat.BaseEstimatorV2):  # type: ignore[misc]
    """Exact expectation values from the native engine, in complex128: all observables from one state.

    `expectation_values` takes and gives arrays. `run` makes it an estimator primitive: V2 (a sequence of PUBs) from
    Qiskit 1.0 on, and the V1 call ``run(circuits, observables, parameter_values)`` where Qiskit still has V1. A PUB
    whose circuit resets qubits that gates have acted on, and so has no single final state, is handed to Qiskit's
    ``StatevectorEstimator``.

    Subclasses may override ``_run(pubs)`` and ``_run_pub(pub)`` (V2) and
    ``_run(circuits, observables, parameter_values, **options)`` (V1) as in Qiskit's own estimators.

    Args:
        default_precision: Standard deviation of the simulated sampling noise where a PUB gives none; 0: exact.
        seed: Seed or generator of that noise.
        num_threads: Threads; 0: as ``torch.get_num_threads()``.
        exact: True: exact values, whatever precision or number of shots a call asks for. False: noise of the precision
            that a call asks for, as in Qiskit's ``StatevectorEstimator``. None: such noise only where
            ``default_precision`` or ``seed`` is given. (``EstimatorQNN`` asks for 0.0156 unless told otherwise.)
        exact_evolution: A ``PauliEvolutionGate`` acts as exp(-i t H) of its whole sum, by way of its matrix (at most 10
            qubits), as in Qiskit's ``StatevectorEstimator`` from 2.2 on. False: as the product formula of its
            ``synthesis``, which is what its definition says and what hardware runs.
        options: Default options of V1 calls: ``shots`` and ``seed``.

    Raises:
        TypeError: an argument is of the wrong kind.
        ValueError: an argument cannot be used.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> estimator = qtm.FastEstimator()
        >>> rows = np.zeros((3, circuit.num_parameters))
        >>> estimator.expectation_values(circuit, ["ZZ", "XI"], rows).shape
        (3, 2)
        >>> estimator.run([(circuit, ["ZZ", "XI"], rows[0])]).result()[0].data.evs.shape
        (2,)
    """

    def __init__(
        self,
        *,
        default_precision: float = 0.0,
        seed: int | np.random.Generator | None = None,
        num_threads: int = 0,
        exact: bool | None = None,
        exact_evolution: bool = False,
        options: dict[str, Any] | None = None,
    ) -> None:
        self.default_precision = default_precision
        self.seed = seed
        self.num_threads = num_threads
        self.exact = exact
        self.exact_evolution = flag(exact_evolution, "exact_evolution")
        if options and compat.EstimatorResult is None:
            raise TypeError(f"options: Qiskit 2 has no V1 primitives; give default_precision and seed, got {options!r}")
        self.options = compat.Options(**(options or {}))

    @property
    def default_precision(self) -> float:
        """Standard deviation of the noise where neither the call nor the PUB gives one."""
        return self._default_precision

    @default_precision.setter
    def default_precision(self, value: float) -> None:
        self._default_precision = noise_precision(value, "default_precision")

    def _settings(self) -> dict[str, Any]:
        return {"default_precision": self.default_precision, **super()._settings()}

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
        parameters, rows = parameters_and_rows(circuit, parameter_values)
        with exact_evolutions(self.exact_evolution):
            program = cached_program(circuit, observables, parameters)
        require_sums(program)
        evolution = program.evolution
        with parameters_named(evolution):
            inputs, _ = with_derived_columns(evolution, torch.from_numpy(rows), torch.empty(0, dtype=torch.float64))
            try:
                return engine_of(program).values(inputs.numpy(), np.empty(0), engine_threads(self.num_threads))
            except ValueError as error:
                raise explained(evolution, error, inputs, inputs.new_empty(0)) from None

    def run(
        self,
        pubs: Any = None,
        observables: Any = None,
        parameter_values: Any = None,
        *,
        precision: float | None = None,
        circuits: Any = None,
        **options: Any,
    ) -> Any:
        """Starts a job.

        Args:
            pubs: V2: a sequence of (circuit, observables[, parameter values[, precision]]). V1: circuits.
            observables: V1 only: one observable for each circuit.
            parameter_values: V1 only: one row of values for each circuit.
            precision: V2 only: for PUBs without a precision of their own.
            circuits: V1 only: another name of the first argument.
            options: V1 only: ``shots`` (None: exact values) and ``seed``.

        Returns:
            A job whose ``result()`` is a ``PrimitiveResult`` (V2) or an ``EstimatorResult`` (V1).

        Raises:
            TypeError: an argument is of the wrong kind; a V1 call where Qiskit has no V1 primitives, or a V2 call where
                it has no V2 primitives.
            ValueError: an argument cannot be used.
        """
        if observables is not None or circuits is not None:
            return self._run_triples(pubs if circuits is None else circuits, observables, parameter_values, options)
        if options:
            raise TypeError(f"run: {sorted(options)}: options of V1 calls only; PUBs take a precision")
        if compat.EstimatorPub is None:
            raise TypeError("run: this Qiskit has no V2 primitives; call run(circuits, observables, parameter_values)")
        wanted = self.default_precision if precision is None else precision
        coerced = [_checked(compat.EstimatorPub.coerce(pub, wanted)) for pub in readable(pubs, _PUB)]
        return compat.submitted(self._run, coerced, at_once=amount(coerced) < AT_ONCE)

    def _run_triples(self, circuits: Any, observables: Any, parameter_values: Any, options: dict[str, Any]) -> Any:
        if compat.EstimatorResult is None:
            raise TypeError("run: Qiskit 2 has no V1 primitives; pass PUBs: run([(circuit, observables, values)])")
        if observables is None:
            raise TypeError("run: expected observables, one for each circuit, got None")
        checked = triples(circuits, observables, parameter_values)
        chosen = {**vars(self.options), **options}
        return self._run(checked.circuits, checked.observables, checked.rows, **chosen)

    def _run(self, pubs: Any, observables: Any = None, parameter_values: Any = None, **options: Any) -> Any:
        """V2: the result of PUBs, in the thread of a job. V1: a job."""
        if observables is not None:
            checked = triples(pubs, observables, parameter_values)
            return compat.submitted(self._result_of_triples, checked, options, at_once=checked.amount < AT_ONCE)
        if type(self)._run_pub is FastEstimator._run_pub:
            return compat.primitive_result(self._results(pubs))
        return compat.primitive_result([self._run_pub(pub) for pub in pubs])

    def _run_pub(self, pub: Any) -> Any:
        return self._results([pub])[0]

    def _results(self, pubs: Sequence[Any]) -> list[Any]:
        """The results of PUBs; those of one circuit and the same parameter values share states."""
        try:
            values = pub_values(self.expectation_values, pubs)
        except ResetError:
            return [self._drawn(pubs[0])] if len(pubs) == 1 else self._one_by_one(pubs)
        return [self._result(pub, array) for pub, array in zip(pubs, values, strict=True)]

    def _one_by_one(self, pubs: Sequence[Any]) -> list[Any]:
        results = []
        for position, pub in enumerate(pubs):
            with position_named("pubs", position, len(pubs)):
                results += self._results([pub])
        return results

    def _result(self, pub: Any, values: npt.NDArray[np.float64]) -> Any:
        if pub.precision and self._is_noisy:
            values = np.asarray(np.random.default_rng(self.seed).normal(values, pub.precision))
        data = compat.estimates(values, np.zeros(values.shape))
        return compat.PubResult(data, metadata=compat.pub_metadata(pub))

    @property
    def _is_noisy(self) -> bool:
        if self.exact is None:
            return self.default_precision > 0.0 or self.seed is not None
        return not self.exact

    def _drawn(self, pub: Any) -> Any:
        """Resets are random: no single state to evaluate. Qiskit draws one for every element."""
        if not self._is_noisy:
            pub = compat.EstimatorPub(pub.circuit, pub.observables, pub.parameter_values, 0.0, validate=False)
        return compat.StatevectorEstimator(seed=self.seed).run([pub]).result()[0]

    def _result_of_triples(self, checked: Triples, options: dict[str, Any]) -> Any:
        shots = None if self.exact else shot_count(options.get("shots"), "shots")
        seed = self.seed if options.get("seed") is None else noise_seed(options["seed"], "seed")
        try:
            values, squares = values_and_squares(self.expectation_values, checked, shots is not None)
        except ResetError:  # as above
            return compat.drawn_triples(checked.circuits, checked.observables, checked.rows, shots, seed)
        if shots is None:
            return compat.EstimatorResult(values, [{} for _ in values])
        variances = np.maximum(squares - values**2, 0.0)
        noisy = np.random.default_rng(seed).normal(values, np.sqrt(variances / shots))
        return compat.EstimatorResult(noisy, [{"variance": variance, "shots": shots} for variance in variances])


def _checked(pub: Any) -> Any:
    """A PUB whose precision is checked; Qiskit has refused negative ones."""
    if pub.precision is not None:
        noise_precision(pub.precision, "precision")
    return pub
