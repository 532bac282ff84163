"""Parameter values as rows, whatever they were given as, and which column belongs to which parameter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, Qubit

from .._reading.parameters import loop_parameters, parameter_list, quoted

Columns = Mapping[Parameter, Any]

# Values for a circuit, observables and rows of values: shape (rows, observables).
Evaluate = Callable[[QuantumCircuit, list[Any], npt.NDArray[np.float64]], npt.NDArray[np.float64]]


def parameters_and_rows(
    circuit: QuantumCircuit, parameter_values: npt.ArrayLike | Columns | None
) -> tuple[list[Parameter], npt.NDArray[np.float64]]:
    """The P parameters in the order of the columns, and their values as rows (B, P).

    Args:
        circuit: Circuit with P parameters.
        parameter_values: Shape (B, P) or (P,), in the order of ``circuit.parameters``; or a mapping from parameter (or
            sequence of parameters, such as a ``ParameterVector``) to its column or columns; None for P = 0.

    Raises:
        TypeError: not a circuit, values that are not real numbers, or keys that are not parameters.
        ValueError: the wrong shape, or no values for some parameters.
    """
    if not isinstance(circuit, QuantumCircuit):
        raise TypeError(f"circuit: expected a qiskit QuantumCircuit, got {type(circuit).__name__}")
    if isinstance(parameter_values, Mapping):
        parameters, rows = _columns(parameter_values)
        _require_all(circuit, parameters)
    else:
        parameters = list(circuit.parameters)
        rows = real_array([[]] if parameter_values is None else parameter_values, "parameter_values")
        rows = rows.reshape(1, -1) if rows.ndim < 2 else rows
    if rows.ndim != 2 or rows.shape[1] != len(parameters):
        raise ValueError(
            f"parameter_values: expected shape (batch, {len(parameters)}), one column for each parameter, "
            f"got {rows.shape}"
        )
    return parameters, np.ascontiguousarray(rows)


def with_a_qubit(circuit: QuantumCircuit) -> QuantumCircuit:
    """A circuit without qubits with an idle one added: Qiskit's estimators evaluate such circuits too."""
    widened = circuit.copy()
    widened.add_bits([Qubit()])
    return widened


def real_array(values: Any, argument: str) -> npt.NDArray[np.float64]:
    """Values as an array of float64.

    Raises:
        TypeError: not real numbers.
        ValueError: rows of different lengths.
    """
    if isinstance(values, np.ndarray) and values.dtype == np.float64:
        return values
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{argument}: expected rows of one length, got {values!r}") from error
    if array.dtype.kind == "O":  # numbers to Python, such as a bound ParameterExpression
        try:
            array = np.array([float(number) for number in array.flat], dtype=np.float64).reshape(array.shape)
        except (TypeError, ValueError) as error:
            raise TypeError(f"{argument}: expected real numbers, got {values!r}") from error
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{argument}: expected real numbers, got {values!r}")
    return np.asarray(array, dtype=np.float64)


def _require_all(circuit: QuantumCircuit, parameters: list[Parameter]) -> None:
    missing = circuit.parameters - set(parameters) - loop_parameters(circuit)
    if missing:
        names = [parameter.name for parameter in circuit.parameters if parameter in missing]  # elements by their index
        raise ValueError(
            f"parameter_values: expected a column for every parameter of the circuit, got none for {quoted(names)}"
        )


def _columns(values: Columns) -> tuple[list[Parameter], npt.NDArray[np.float64]]:
    parameters: list[Parameter] = []
    columns: list[npt.NDArray[np.float64]] = []
    for key, value in values.items():
        listed = parameter_list(key, "parameter_values")
        block = real_array(value, f"parameter_values[{key}]")
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
