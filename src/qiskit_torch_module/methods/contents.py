"""What a job asks for, as bytes that are the same in every process; and who is asked, in words."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from numbers import Integral, Real
from typing import Any

import numpy as np
from qiskit import QuantumCircuit
from qiskit.quantum_info import Pauli, SparsePauliOp

from .._core.sizes import counted
from .._reading.compat import SparseObservable
from .._storage.blueprint import blueprint

# What these hold changes from session to session, and no result depends on it.
_PASSING = {"environment", "id", "max_execution_time"}
_DEEPEST = 16
# Circuits whose digests are kept: more than a job sends again and again.
MOST_CIRCUITS = 256


@dataclass(frozen=True)
class Content:
    """A job.

    Attributes:
        digest: SHA-256 of circuits, observables, parameter values and precisions; neither names nor identities of
            parameters, nor the order of terms, nor metadata count.
        words: What it holds, for people.
    """

    digest: bytes
    words: str


class Contents:
    """Reads jobs. Circuits are read once: whoever sends them does not change them any more.

    Every model on an estimator has circuits of its own: the latest are kept.
    """

    def __init__(self) -> None:
        # By identity, the latest last; with the circuit, so that no other has its identity.
        self._digests: OrderedDict[int, tuple[QuantumCircuit, bytes]] = OrderedDict()

    def __call__(self, pubs: Iterable[Sequence[Any]]) -> Content:
        """The content of a job.

        Args:
            pubs: For each its circuit, observables (labels, sums of Paulis, mappings from labels to coefficients, or
                arrays of such), parameter values in the order of ``circuit.parameters`` and, optionally, precision.

        Raises:
            ValueError: a circuit holds what cannot be written down.
            TypeError: an observable is of another kind.
        """
        digest, words = hashlib.sha256(), []
        for circuit, observables, values, *rest in pubs:
            array = np.ascontiguousarray(values, dtype="<f8")
            observed = _written_observables(observables)
            precision = rest[0] if rest else None
            said = [observed, list(array.shape), None if precision is None else float(precision).hex()]
            for piece in (self._of_circuit(circuit), json.dumps(said).encode("ascii"), array.tobytes()):
                digest.update(len(piece).to_bytes(8, "little") + piece)
            noise = "" if precision is None else f", precision {float(precision):g}"
            values_of = f"{counted(_count(observed), 'observable')}, {list(array.shape)} parameter values"
            words.append(f"{counted(circuit.num_qubits, 'qubit')}, {values_of}{noise}")
        return Content(digest.digest(), f"{len(words)} PUB{'s' * (len(words) != 1)} ({_shortened(words)})")

    def _of_circuit(self, circuit: QuantumCircuit) -> bytes:
        known = self._digests.get(id(circuit))
        if known is None:
            try:
                plain = blueprint(circuit, list(circuit.parameters))
            except Exception as error:  # gates are the code of others
                raise ValueError(
                    f"journal: circuit '{circuit.name}' cannot be written down, so that its answer could be found "
                    f"again ({error}); send it without a journal"
                ) from error
            known = self._digests[id(circuit)] = (circuit, _digest_of_blueprint(plain))
        self._digests.move_to_end(id(circuit))
        if len(self._digests) > MOST_CIRCUITS:
            self._digests.popitem(last=False)
        return known[1]


def _shortened(words: Sequence[str]) -> str:
    return "; ".join([*words[:2], "..."] if len(words) > 3 else words)


def _digest_of_blueprint(plain: Mapping[str, Any]) -> bytes:
    top = json.loads(plain["text"])
    for body in (top, *top["definitions"]):
        body.pop("name", None)  # numbered, process by process
    for name in ("metadata", "registers"):
        del top[name]
    digest = hashlib.sha256(json.dumps(top, sort_keys=True).encode("ascii"))
    for matrix in plain["matrices"]:
        digest.update(repr(matrix.shape).encode("ascii") + np.ascontiguousarray(matrix, dtype="<c16").tobytes())
    return digest.digest()


def _written_observables(given: Any) -> Any:
    """Labels with coefficients, sorted; lists of those for arrays."""
    terms = _terms(given)
    if terms is not None:
        return {"sum": sorted(terms)}
    if hasattr(given, "tolist"):  # an array
        given = given.tolist()
    if isinstance(given, Iterable):
        return [_written_observables(one) for one in given]
    raise TypeError(f"journal: expected observables as labels or sums of Paulis, got {type(given).__name__}")


def _terms(given: Any) -> list[list[Any]] | None:
    """The terms of one observable; None: it is none."""
    if isinstance(given, str):
        return [[given, _hex(1.0)]]
    if isinstance(given, Mapping):
        return [[str(label), _hex(factor)] for label, factor in given.items()]
    if isinstance(given, Pauli):
        return [[given.to_label().lstrip("+-i"), _hex((-1j) ** given.phase)]]
    if isinstance(given, SparsePauliOp):
        return [[label, _hex(factor)] for label, factor in given.to_list()]
    if SparseObservable is not None and isinstance(given, SparseObservable):
        return [[label, list(qubits), _hex(factor)] for label, qubits, factor in given.to_sparse_list()]
    return None


def _count(written: Any) -> int:
    return sum(map(_count, written)) if isinstance(written, list) else 1


def _hex(number: Any) -> str:
    value = complex(number)
    return f"{value.real.hex()} {value.imag.hex()}"


def who_answers(estimator: Any) -> dict[str, Any]:
    """Class, backend and options of an estimator, as far as they can be read, as plain data.

    Left out are times and tags, which change from session to session; objects are known by their class and name.
    """
    backend = getattr(estimator, "_backend", None)
    return {
        "class": _name_of(type(estimator)),
        "backend": None if backend is None else _named(backend),
        "options": _plain(getattr(estimator, "options", None), 0),
        "precision": _plain(getattr(estimator, "default_precision", None), 0),
    }


def _plain(value: Any, depth: int) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return repr(float(value))
    if isinstance(value, complex):
        return repr(value)
    if isinstance(value, Enum):
        return value.name
    if depth < _DEEPEST:
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        elif type(getattr(value, "__dict__", None)) is dict and type(value).__name__ == "Options":
            value = vars(value).get("_fields", vars(value))
        if isinstance(value, np.ndarray):
            value = value.tolist()
        if isinstance(value, Mapping):
            return {
                str(key): _plain(one, depth + 1)
                for key, one in sorted(value.items(), key=lambda item: str(item[0]))
                if key not in _PASSING and not str(key).startswith("_")
            }
        if isinstance(value, (list, tuple)):
            return [_plain(one, depth + 1) for one in value]
        if hasattr(value, "to_dict") and not isinstance(value, type):
            return [_name_of(type(value)), _digest_of_dict(value)]
    return _named(value)


def _named(value: Any) -> list[str | None]:
    name = getattr(value, "name", None)
    if callable(name) and not isinstance(value, type):  # backends of version 1
        name = name()
    return [_name_of(type(value)), name if isinstance(name, str) else None]


def _digest_of_dict(value: Any) -> str:
    """Such as a model of noise: too long to be shown."""
    try:
        return hashlib.sha256(json.dumps(_plain(value.to_dict(), 1), sort_keys=True).encode()).hexdigest()[:16]
    except Exception:  # the code of others
        return "?"


def _name_of(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
