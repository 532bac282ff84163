"""Estimators of Qiskit, of both versions and whoever made them: what they are, and what they are given."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from qiskit import QuantumCircuit

from .._reading import compat

_EXPECTED = "estimator: expected an estimator of Qiskit, such as StatevectorEstimator() or EstimatorV2(mode=backend)"


@dataclass(frozen=True)
class Pub:
    """A circuit at K rows of angles and M observables: one broadcast PUB.

    Attributes:
        circuit: What the device runs.
        observables: M of them, each a ``SparsePauliOp`` on all of its qubits.
        rows: Values of its parameters, in their order, shape (K, P).
    """

    circuit: QuantumCircuit
    observables: Sequence[Any]
    rows: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Answer:
    """What came back for a `Pub`.

    Attributes:
        values: Shape (K, M).
        errors: Their standard errors, shape (K, M); NaN where the estimator does not tell.
    """

    values: npt.NDArray[np.float64]
    errors: npt.NDArray[np.float64]


def require_estimator(estimator: Any) -> None:
    """Checks that an object is an estimator.

    Raises:
        TypeError: it is a class, a sampler, a backend, or something else.
    """
    if isinstance(estimator, type):
        raise TypeError(f"{_EXPECTED}, got the class {estimator.__name__}; give {estimator.__name__}(...)")
    if is_v2(estimator) or _is_v1(estimator):
        return
    name = type(estimator).__name__
    if "Sampler" in name:
        raise TypeError(f"{_EXPECTED}, got a sampler, {name}; give the estimator of the same package")
    if hasattr(estimator, "target") or hasattr(estimator, "configuration"):
        raise TypeError(f"{_EXPECTED}, got a backend, {name}; give BackendEstimatorV2(backend=...) of it")
    if "Estimator" in name:
        raise TypeError(f"{_EXPECTED}, got {name}, of an interface that this Qiskit does not have; give an EstimatorV2")
    raise TypeError(f"{_EXPECTED}, got {name}")


def is_v2(estimator: Any) -> bool:
    """Whether it takes PUBs."""
    return compat.EstimatorPub is not None and isinstance(estimator, compat.BaseEstimatorV2)


def _is_v1(estimator: Any) -> bool:
    return compat.BaseEstimatorV1 is not None and isinstance(estimator, compat.BaseEstimatorV1)


def backend_of(estimator: Any) -> Any:
    """The backend that an estimator runs on; None: it has none, or does not tell."""
    for name in ("backend", "_backend"):
        found = getattr(estimator, name, None)
        if callable(found) and not hasattr(found, "run"):
            found = found()
        if found is not None:
            return found
    return None


def samples(estimator: Any) -> bool:
    """Whether it is known to sample, whatever the precision that it is asked for."""
    theirs = type(estimator).__module__.partition(".")[0] == "qiskit_ibm_runtime"
    return theirs or isinstance(estimator, compat.BACKEND_ESTIMATORS)


def own_precision(estimator: Any) -> float:
    """The precision that an estimator has by default, as far as it tells; 0: exact, or not told."""
    options = getattr(estimator, "options", None)
    for holder, name in ((options, "default_precision"), (estimator, "default_precision")):
        told = getattr(holder, name, None)
        if isinstance(told, (int, float)):
            return float(told)
    shots = getattr(options, "shots", None) or getattr(options, "default_shots", None)
    if isinstance(shots, int) and shots > 0:
        return float(shots**-0.5)
    return 1 / 64 if samples(estimator) else 0.0


def shots_of(precision: float) -> int:
    """How often a circuit runs for a precision."""
    return math.ceil(1.0 / precision**2) if precision > 0.0 else 0


def sent(estimator: Any, pubs: Sequence[Pub], precision: float | None) -> Any:
    """A job that is sent.

    Raises:
        Exception: whatever the estimator raises.
    """
    if is_v2(estimator):
        return estimator.run([_written(pub, precision) for pub in pubs])
    options = {} if precision is None else {"shots": shots_of(precision) or None}
    circuits: list[Any] = []
    observables: list[Any] = []
    rows: list[list[float]] = []
    for pub in pubs:
        for row in pub.rows.tolist():
            circuits += [pub.circuit] * len(pub.observables)
            observables += pub.observables
            rows += [row] * len(pub.observables)
    return estimator.run(circuits, observables, rows, **options)


def _written(pub: Pub, precision: float | None) -> tuple[Any, ...]:
    """As V2 estimators take it: M observables against (K, 1) rows."""
    rows = pub.rows[:, None] if pub.rows.shape[1] else None
    return (pub.circuit, list(pub.observables), rows, *([] if precision is None else [precision]))


def read(result: Any, pubs: Sequence[Pub]) -> list[Answer]:
    """What the result of a job says of each PUB.

    Raises:
        ValueError: values are not finite.
    """
    answers = [*(_read_v1 if hasattr(result, "values") else _read_v2)(result, pubs)]
    if not all(np.isfinite(answer.values).all() for answer in answers):
        raise ValueError("estimator: expected finite values, and got others; look at the job, and try again")
    return answers


def _read_v2(result: Any, pubs: Sequence[Pub]) -> Iterator[Answer]:
    for pub, one in zip(pubs, result, strict=True):
        yield _answer(pub, one.data.evs, getattr(one.data, "stds", None))


def _read_v1(result: Any, pubs: Sequence[Pub]) -> Iterator[Answer]:
    errors = np.array([_error(metadata) for metadata in result.metadata])
    begin = 0
    for pub in pubs:
        part = slice(begin, begin + len(pub.rows) * len(pub.observables))
        yield _answer(pub, np.asarray(result.values)[part], errors[part])
        begin = part.stop


def _error(metadata: dict[str, Any]) -> float:
    if "variance" not in metadata:
        return 0.0
    return math.sqrt(max(0.0, metadata["variance"]) / metadata["shots"]) if metadata.get("shots") else math.nan


def _answer(pub: Pub, values: Any, errors: Any) -> Answer:
    shape = len(pub.rows), len(pub.observables)

    def table(given: Any) -> npt.NDArray[np.float64]:
        if given is None:
            return np.full(shape, np.nan)
        array = np.real(np.asarray(given)).astype(np.float64)
        return np.array(np.broadcast_to(array.reshape(-1, shape[1]) if array.ndim < 2 else array, shape))

    return Answer(table(values), table(errors))
