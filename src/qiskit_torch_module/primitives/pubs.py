"""V2 calls: PUBs, each a circuit with arrays of observables and parameter values that broadcast against each other."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt
from qiskit import QuantumCircuit

from .refusals import position_named
from .rows import Evaluate, with_a_qubit

# A job that asks for fewer amplitudes and shots is done sooner than a thread could start.
AT_ONCE = 1 << 14


@dataclass
class _Task:
    """PUBs of one circuit with the same rows: each row is evaluated once, for all distinct observables.

    Attributes:
        sums: Distinct observables, and their positions.
        places: For each PUB its position in the call, and for each of its elements the row and the observable.
    """

    circuit: QuantumCircuit
    rows: npt.NDArray[np.float64]
    sums: dict[tuple[tuple[str, Any], ...], int] = field(default_factory=dict)
    places: list[tuple[int, npt.NDArray[np.int_], npt.NDArray[np.int_]]] = field(default_factory=list)

    def add(self, position: int, pub: Any) -> None:
        row_index = np.arange(len(self.rows)).reshape(pub.parameter_values.shape)
        sum_index = np.empty(pub.observables.shape, dtype=int)
        for index in np.ndindex(pub.observables.shape):
            sum_index[index] = self.sums.setdefault(tuple(pub.observables[index].items()), len(self.sums))
        rows, sums = np.broadcast_arrays(row_index, sum_index)
        self.places.append((position, rows, sums))

    def values(self, evaluate: Evaluate) -> npt.NDArray[np.float64]:
        """Of each row and each distinct observable."""
        if self.circuit.num_qubits:
            return evaluate(self.circuit, [dict(terms) for terms in self.sums], self.rows)
        widened = [{f"I{label}": factor for label, factor in terms} for terms in self.sums]
        return evaluate(with_a_qubit(self.circuit), widened, self.rows)


def pub_values(evaluate: Evaluate, pubs: Sequence[Any]) -> list[npt.NDArray[np.float64]]:
    """The exact values of each PUB, in the shape that its observables and parameter values broadcast to."""
    tasks: dict[Hashable, _Task] = {}
    names: dict[int, tuple[str, ...]] = {}
    for position, pub in enumerate(pubs):
        rows = pub_rows(pub, names)
        task = tasks.setdefault((id(pub.circuit), rows.shape, rows.tobytes()), _Task(pub.circuit, rows))
        task.add(position, pub)
    values: dict[int, npt.NDArray[np.float64]] = {}
    for task in tasks.values():
        table = np.zeros((len(task.rows), len(task.sums)))
        if table.size:
            with position_named("pubs", task.places[0][0], len(pubs)):
                table = task.values(evaluate)
        for position, row_index, sum_index in task.places:
            values[position] = np.asarray(table[row_index, sum_index])  # of no dimension: a scalar otherwise
    return [values[position] for position in range(len(pubs))]


def readable(pubs: Any, form: str) -> Iterator[Any]:
    """PUBs, each of a type that Qiskit can read, so that it can say itself what is wrong with it.

    Args:
        pubs: What was given.
        form: What a PUB looks like, for errors.

    Raises:
        TypeError: no sequence, or one of something else.
    """
    expected = f"run: expected a sequence of PUBs, each {form}"
    if not isinstance(pubs, Iterable):
        raise TypeError(f"{expected}, got {pubs!r}")
    for position, pub in enumerate(pubs):
        if pub is None or isinstance(pub, (str, Real)):
            raise TypeError(f"{expected}, got {pub!r} at position {position}")
        yield pub


def amount(pubs: Sequence[Any]) -> int:
    """Amplitudes of all states that PUBs ask for."""
    return int(sum(pub.parameter_values.size << pub.circuit.num_qubits for pub in pubs))


def pub_rows(pub: Any, names: dict[int, tuple[str, ...]]) -> npt.NDArray[np.float64]:
    """Parameter values as rows in the order of ``circuit.parameters``.

    Args:
        pub: A PUB.
        names: Names of the parameters of circuits that have come up before.
    """
    circuit, values = pub.circuit, pub.parameter_values
    order = names.get(id(circuit))
    if order is None:
        order = names[id(circuit)] = tuple(parameter.name for parameter in circuit.parameters)
    data = values.data
    array = data[order] if len(data) == 1 and order in data else values.as_array(circuit.parameters)
    return np.asarray(array, dtype=np.float64).reshape(values.size, len(order))
