"""Observables of a model as plain data, and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from qiskit.circuit import Parameter

from .._program.output import Output, State
from .._reading.measurements import without_measurements
from .._reading.observables import operators_of, pauli_sums
from .._reading.paulis import PauliSums
from .._storage.blueprint import SavedCircuit, blueprint, circuit_of
from .._storage.portable import read_output, written_output
from ..outputs.columns import as_output, is_mixed
from ..outputs.fidelity import Fidelity
from ..outputs.overlap import Overlap
from ..outputs.trainable import Trainable, taken_apart, trained_in

_SUMS = {"observable": "int32", "x": "uint8", "z": "uint8", "coefficient": "float64"}
_STATE = "state"  # in place of observables; not a Pauli label
# Keys of mappings: to another output, to a list in which some observables are outputs or trained, to a trained one, and
# to the other circuit of an overlap.
_OUTPUT, _COLUMNS, _TRAINED, _OVERLAP = "output", "columns", "trained", "overlap"


def written_observables(
    given: Any, num_qubits: int, parameters: Sequence[Parameter], idle: Callable[[], Sequence[int]]
) -> Any:
    """Labels as they are, everything else as sums of Paulis: bits of X and Z of every term, and coefficients.

    Args:
        given: As `QuantumModule` keeps them.
        num_qubits: Number of qubits of the circuit.
        parameters: Those of the module, by whose places circuits name them.
        idle: Tells which qubits are known to be in |0>.

    Raises:
        ValueError: an output is none of this package.
    """
    if is_mixed(given) or (isinstance(given, (list, tuple)) and trained_in(given)):
        return {_COLUMNS: [written_observables(one, num_qubits, parameters, idle) for one in given]}
    if isinstance(given, Trainable):
        sums, initial = given.paulis, written_initial(given.initial, "constant")
        return {_TRAINED: [_arrays(sums), sums.num_observables, initial, given.name]}
    if isinstance(given, State):
        return _STATE
    if isinstance(given, Overlap):
        return {_OVERLAP: _written_other(given.other, parameters)}
    if isinstance(given, Output):
        return {_OUTPUT: written_output(given)}
    if isinstance(given, str):
        return given
    if isinstance(given, Sequence) and all(isinstance(label, str) for label in given):
        return list(given)
    return _arrays(pauli_sums(given, num_qubits, idle))


def read_observables(plain: Any, num_qubits: int, count: int, parameters: Sequence[Parameter]) -> Any:
    """What `written_observables` wrote.

    Args:
        plain: As it was written.
        num_qubits: Number of qubits of the circuit.
        count: How many numbers the program reads.
        parameters: Those of the module.

    Raises:
        ValueError: it is damaged.
    """
    if type(plain) is not dict or len(plain) != 1 or _COLUMNS not in plain:
        return _read(plain, num_qubits, count, parameters)
    if type(plain[_COLUMNS]) is not list:
        raise ValueError("expected a list of observables")
    listed = [_read(one, num_qubits, 1, parameters) for one in plain[_COLUMNS]]
    return [one[0] if isinstance(one, list) and len(one) == 1 else one for one in listed]


def require_fit(observables: Any, num_qubits: int, shape: tuple[int, ...]) -> None:
    """Checks that a program of this shape reads what is given.

    Raises:
        ValueError: it does not.
    """
    read, sums = taken_apart(observables)
    output = as_output(read, num_qubits)
    read_shape = output.shape(num_qubits) if isinstance(output, Output) else None
    if read_shape not in (None, shape) or (sums is not None and (sum(sums.sizes),) != shape):
        raise ValueError(f"observables that are not those of a program that reads shape {shape}")


def written_initial(initial: Any, default: str) -> Any:
    """How parameters start; a function, which is code, is not written."""
    if isinstance(initial, tuple) and len(initial) == 2 and isinstance(initial[1], Mapping):
        return (initial[0], dict(initial[1]))
    return default if callable(initial) and not isinstance(initial, torch.Tensor) else initial


def _arrays(sums: PauliSums) -> dict[str, Any]:
    return {name: getattr(sums, name) for name in _SUMS}


def _written_other(other: Any, parameters: Sequence[Parameter]) -> Any:
    """The other circuit of an overlap, or a state."""
    if isinstance(other, Fidelity):
        return written_output(other)
    return other.plain if isinstance(other, SavedCircuit) else blueprint(without_measurements(other)[0], parameters)


def _read(plain: Any, num_qubits: int, count: int, parameters: Sequence[Parameter]) -> Any:
    if plain == _STATE:
        return State()
    if isinstance(plain, str):
        return plain
    if isinstance(plain, list):
        if len(plain) != count or not all(type(label) is str for label in plain):
            raise ValueError(f"expected {count} observables")
        return plain
    if type(plain) is not dict:
        raise ValueError("expected observables as labels or arrays")
    if plain.keys() == {_OUTPUT}:
        return read_output(plain[_OUTPUT])
    if plain.keys() == {_OVERLAP}:
        other = plain[_OVERLAP]
        if not isinstance(other, list):
            circuit_of(other, parameters)  # raises where it is damaged
            return Overlap(SavedCircuit(other, "", tuple(parameters), num_qubits))
        state = read_output(other)
        if not isinstance(state, Fidelity):
            raise ValueError("expected a circuit or a state")
        return Overlap(state.target)
    if plain.keys() == {_TRAINED}:
        return _read_trained(plain[_TRAINED], num_qubits)
    return operators_of(_read_sums(plain, num_qubits, count))


def _read_trained(plain: Any, num_qubits: int) -> Trainable:
    if type(plain) is not list or len(plain) != 4 or type(plain[0]) is not dict or type(plain[1]) is not int:
        raise ValueError("expected a sum of observables whose coefficients are trained")
    sums, count, initial, name = plain
    if not 0 < count <= len(sums.get("coefficient", ())):
        raise ValueError(f"expected a coefficient for each of {count} observables")
    return Trainable(_read_sums(sums, num_qubits, count), initial, name)


def _read_sums(plain: dict[str, Any], num_qubits: int, count: int) -> PauliSums:
    if plain.keys() != _SUMS.keys():
        raise ValueError("expected observables as labels or arrays")
    shapes = {"x": (-(-num_qubits // 8),), "z": (-(-num_qubits // 8),)}
    for name, dtype in _SUMS.items():
        shape = (len(plain["coefficient"]), *shapes.get(name, ()))
        if not isinstance(plain[name], np.ndarray) or plain[name].dtype != dtype or plain[name].shape != shape:
            raise ValueError(f"observables: expected {name} as an array of {dtype}, shape {shape}")
    owner, coefficients = plain["observable"], plain["coefficient"]
    if not np.all(np.isfinite(coefficients)) or np.any(np.diff(owner) < 0) or np.any((owner < 0) | (owner >= count)):
        raise ValueError(f"observables: expected finite coefficients of {count} observables, one after the other")
    return PauliSums(num_qubits, count, owner, plain["x"], plain["z"], coefficients)
