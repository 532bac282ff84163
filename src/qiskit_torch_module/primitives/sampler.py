"""Shots as a Qiskit primitive."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from qiskit import QuantumCircuit
from qiskit.result import QuasiDistribution

from .._core.arguments import flag, noise_seed, whole_number
from .._reading import compat
from .._simulation.draws import Streams
from .batches import batches
from .bits import Shots, require_room_for_bits, require_room_for_tables
from .measured import Measured, measured_work, measured_works
from .pairs import Pairs, pairs
from .pubs import AT_ONCE, amount, readable
from .refusals import CircuitRefusedError, position_named
from .rows import Columns, parameters_and_rows
from .settings import PrimitiveSettings

_PUB = "a circuit or (circuit[, parameter values[, shots]])"
_DEFAULT_SHOTS = 1024  # as in Qiskit's own sampler


class _UnaskedPub(compat.SamplerPub or object):  # type: ignore[misc]
    """A PUB of which nobody said how many shots it takes."""


class FastSampler(PrimitiveSettings, compat.BaseSamplerV2):  # type: ignore[misc]
    """Outcomes of the measurements at the end of circuits, drawn from exact probabilities of the native engine.

    `run` makes it a sampler primitive: V2 (a sequence of PUBs) from Qiskit 1.0 on, and the V1 call
    ``run(circuits, parameter_values)`` where Qiskit still has V1: there, results are probabilities, or frequencies if
    a number of shots is asked for. `probabilities` takes and gives arrays.

    With the same seed, shots are those of Qiskit's ``StatevectorSampler``, one by one: a whole number starts the same
    stream for every element of every PUB, so that elements differ by their probabilities alone; a generator goes on
    from element to element. (Where a qubit is measured into bits of no register alone, Qiskit leaves it out, and draws
    other shots of the same distribution.) Resets of qubits that gates have acted on, classical control and measurements
    that are not final are refused.

    Subclasses may override ``_run(pubs)`` and ``_run_pub(pub)`` (V2) and
    ``_run(circuits, parameter_values, **options)`` (V1) as in Qiskit's own samplers.

    Args:
        default_shots: Number of shots where neither the call nor the PUB gives one; None: 1024.
        seed: Seed or generator of the shots; None: others each time.
        num_threads: Threads; 0: as ``torch.get_num_threads()``.
        exact: True: the bits of a V2 result are drawn as ever, but ``get_counts`` and ``get_int_counts`` give, for each
            outcome, the number of shots times its exact probability, which need not be whole: networks and algorithms
            that divide these counts by the number of shots compute exact values. False: counts are those of the bits.
            None: exact counts only where nobody asks for shots, neither ``default_shots`` nor ``seed`` nor the call nor
            the PUB, as with the sampler that ``SamplerQNN`` makes for itself.
        exact_evolution: As for `FastEstimator`.
        options: Default options of V1 calls: ``shots`` and ``seed``.

    Raises:
        TypeError: an argument is of the wrong kind.
        ValueError: an argument cannot be used, such as a number of shots that is not positive.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> circuit.measure_all()
        >>> sampler = qtm.FastSampler(seed=0)
        >>> sampler.probabilities(circuit, np.zeros((3, 10))).shape
        (3, 4)
        >>> job = sampler.run([(circuit, np.zeros(10))], shots=100)
        >>> job.result()[0].data.meas.num_shots
        100
    """

    def __init__(
        self,
        *,
        default_shots: int | None = None,
        seed: int | np.random.Generator | None = None,
        num_threads: int = 0,
        exact: bool | None = None,
        exact_evolution: bool = False,
        options: dict[str, Any] | None = None,
    ) -> None:
        self._default_shots: int | None = None
        if default_shots is not None:
            self.default_shots = default_shots
        self.seed = seed
        self.num_threads = num_threads
        self.exact = exact
        self.exact_evolution = flag(exact_evolution, "exact_evolution")
        if options and compat.SamplerResult is None:
            raise TypeError(f"options: Qiskit 2 has no V1 primitives; give default_shots and seed, got {options!r}")
        self.options = compat.Options(**(options or {}))

    @property
    def default_shots(self) -> int:
        """Number of shots where neither the call nor the PUB gives one."""
        return _DEFAULT_SHOTS if self._default_shots is None else self._default_shots

    @default_shots.setter
    def default_shots(self, value: int) -> None:
        self._default_shots = whole_number(value, "default_shots", 1)

    def _settings(self) -> dict[str, Any]:
        return {"default_shots": self._default_shots, **super()._settings()}

    def probabilities(
        self, circuit: QuantumCircuit, parameter_values: npt.ArrayLike | Columns | None = None
    ) -> npt.NDArray[np.float64]:
        """Exact probabilities (B, 2^k) of all numbers that k classical bits can hold, for B rows of parameter values.

        Args:
            circuit: Circuit that ends with measurements into k classical bits, the first of which is the lowest.
            parameter_values: As for `FastEstimator.expectation_values`.

        Raises:
            TypeError: an argument is of the wrong kind.
            ValueError: an argument cannot be used; the message names it and a remedy.
        """
        order, rows = parameters_and_rows(circuit, parameter_values)
        work = measured_work(circuit, self.exact_evolution, order)
        work.require_measurements()
        return work.spread(work.probabilities(rows, self.num_threads))

    def run(
        self,
        pubs: Any = None,
        parameter_values: Any = None,
        *,
        shots: Any = None,
        circuits: Any = None,
        **options: Any,
    ) -> Any:
        """Starts a job.

        Args:
            pubs: V2: a sequence of circuits or (circuit[, parameter values[, shots]]). V1: circuits.
            parameter_values: V1 only: one row of values for each circuit. A call without them is a V2 call where Qiskit
                has V2 primitives.
            shots: V2: for PUBs without a number of their own. V1: how many are drawn; None: exact probabilities.
            circuits: V1 only: another name of the first argument.
            options: V1 only: ``seed``.

        Returns:
            A job whose ``result()`` is a ``PrimitiveResult`` (V2), which has one ``BitArray`` for each classical
            register, or a ``SamplerResult`` (V1).

        Raises:
            TypeError: an argument is of the wrong kind; a V1 call where Qiskit has no V1 primitives.
            ValueError: an argument cannot be used; the bits of all shots do not fit the memory budget.
        """
        alone = isinstance(pubs, QuantumCircuit) and compat.SamplerResult is not None
        if parameter_values is not None or circuits is not None or alone or compat.SamplerPub is None:
            asked = options if shots is None else {"shots": shots, **options}
            return self._run_pairs(pubs if circuits is None else circuits, parameter_values, asked)
        if options:
            raise TypeError(f"run: {sorted(options)}: options of V1 calls only; PUBs take a number of shots")
        listed = list(pubs) if isinstance(pubs, QuantumCircuit) else pubs  # whose instructions Qiskit refuses
        coerced = [self._coerced(pub, shots) for pub in readable(listed, _PUB)]
        if any(not pub.circuit.cregs for pub in coerced):
            warnings.warn(
                "One of your circuits has no output classical registers and so the result will be empty. Did you mean "
                "to add measurement instructions?",
                UserWarning,
                stacklevel=2,
            )
        require_room_for_bits(coerced)
        work = amount(coerced) + sum(pub.parameter_values.size * pub.shots for pub in coerced)
        return compat.submitted(self._run, coerced, at_once=work < AT_ONCE)

    def _coerced(self, pub: Any, shots: Any) -> Any:
        if shots is None and self._default_shots is None and self.seed is None:
            own = compat.SamplerPub.coerce(pub)
            if own.shots is None:
                return _UnaskedPub(own.circuit, own.parameter_values, self.default_shots, validate=False)
        return compat.SamplerPub.coerce(pub, self.default_shots if shots is None else shots)

    def _has_exact_counts(self, pub: Any) -> bool:
        return isinstance(pub, _UnaskedPub) if self.exact is None else self.exact

    def _run_pairs(self, circuits: Any, parameter_values: Any, options: dict[str, Any]) -> Any:
        if compat.SamplerResult is None:
            raise TypeError("run: Qiskit 2 has no V1 primitives; pass PUBs: run([(circuit, values)])")
        checked = pairs(circuits, parameter_values)
        chosen = {**vars(self.options), **options}
        return self._run(checked.circuits, checked.rows, **chosen)

    def _run(self, pubs: Any, parameter_values: Any = None, **options: Any) -> Any:
        """V2: the result of PUBs, in the thread of a job. V1: a job."""
        if parameter_values is not None:
            checked = pairs(pubs, parameter_values)
            works = measured_works(checked.circuits, "circuits", self.exact_evolution)
            for position, circuit in enumerate(checked.circuits):
                _require_every_bit(works[id(circuit)], position)
            small = checked.amount < AT_ONCE
            return compat.submitted(self._result_of_pairs, checked, works, options, at_once=small)
        if type(self)._run_pub is FastSampler._run_pub:
            return compat.primitive_result(self._results(pubs))
        return compat.primitive_result([self._run_pub(pub) for pub in pubs])

    def _run_pub(self, pub: Any) -> Any:
        return self._results([pub])[0]

    def _results(self, pubs: Sequence[Any]) -> list[Any]:
        """The results of PUBs; the rows of all that share a circuit are evaluated together."""
        works = measured_works([pub.circuit for pub in pubs], "pubs", self.exact_evolution)
        exact = [self._has_exact_counts(pub) for pub in pubs]
        require_room_for_tables([pub for pub, is_exact in zip(pubs, exact, strict=True) if is_exact], works)
        shots = [Shots(works[id(pub.circuit)], pub, is_exact) for pub, is_exact in zip(pubs, exact, strict=True)]
        streams = Streams(self.seed)
        for position, first, block in batches(pubs, works, self.num_threads):
            for row, probabilities in enumerate(block, first):
                shots[position].draw(row, probabilities, streams)
        return [one.result() for one in shots]

    def _result_of_pairs(self, checked: Pairs, works: Mapping[int, Measured], options: dict[str, Any]) -> Any:
        shots = None if options.get("shots") is None else whole_number(options["shots"], "shots", 1)
        seed = self.seed if options.get("seed") is None else noise_seed(options["seed"], "seed")
        found: dict[int, dict[int, float]] = {}
        for group in checked.groups():
            work = works[id(group.circuit)]
            with position_named("circuits", group.positions[0], len(checked.circuits)):
                probabilities = work.probabilities(group.rows, self.num_threads)  # first, as it looks for room
            numbers = work.numbers_of(np.arange(work.outcomes.count))
            order = np.argsort(numbers)
            # To as many digits as Qiskit's own sampler, which leaves out what is 0 then.
            table = probabilities[:, order].round(16)
            for position, row in zip(group.positions, table[group.row_index], strict=True):
                some = np.flatnonzero(row)
                found[position] = dict(zip(numbers[order[some]].tolist(), row[some].tolist(), strict=True))
        listed = [found[position] for position in range(len(found))]
        if shots is not None:
            generator = np.random.default_rng(seed)
            listed = [_frequencies(one, shots, generator) for one in listed]
        metadata = [{} if shots is None else {"shots": shots} for _ in listed]
        return compat.SamplerResult([QuasiDistribution(one, shots=shots) for one in listed], metadata)


if compat.BaseSamplerV1 is not None:
    compat.BaseSamplerV1.register(FastSampler)  # algorithms of its time ask for one


def _require_every_bit(work: Measured, position: int) -> None:
    """Checks that a circuit of a V1 call measures into all of its bits.

    Raises:
        CircuitRefusedError: it does not.
    """
    unused = [bit for bit, qubit in enumerate(work.measurements.bits) if qubit is None]
    if unused:
        raise CircuitRefusedError(
            f"circuits[{position}]: expected a measurement at the end into each classical bit, got none into {unused}; "
            "leave these bits out"
        )


def _frequencies(probabilities: dict[int, float], shots: int, generator: np.random.Generator) -> dict[int, float]:
    """How often each outcome is drawn, in parts of all shots; those that are not are left out."""
    values = np.fromiter(probabilities.values(), dtype=float)
    counts = generator.multinomial(shots, values / max(1.0, values.sum()))
    return {number: count / shots for number, count in zip(probabilities, counts.tolist(), strict=True) if count}
