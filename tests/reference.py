"""A dense, slow, obvious simulator: the judge of the fast one. Multiplies every gate's matrix into the state."""

from __future__ import annotations

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterExpression
from qiskit.quantum_info import Operator, SparsePauliOp


def assigned(circuit: QuantumCircuit, values: dict[Parameter, float]) -> QuantumCircuit:
    """The circuit with values for its parameters, every angle bound at once.

    ``assign_parameters`` binds one parameter after the other, and Qiskit 2.1 to 2.5 make 0 of (1 + t) - (1 - t).
    """
    bound = QuantumCircuit(circuit.num_qubits, global_phase=_number(circuit.global_phase, values))
    for instruction in circuit.data:
        operation = instruction.operation
        if any(isinstance(one, ParameterExpression) for one in operation.params):
            operation = operation.copy()
            operation.params = [_number(one, values) for one in operation.params]
        bound.append(operation, [circuit.find_bit(bit).index for bit in instruction.qubits])
    return bound


def _number(angle, values):
    if not isinstance(angle, ParameterExpression):
        return angle
    return complex(angle.bind({one: values[one] for one in angle.parameters})).real


def state(circuit: QuantumCircuit) -> np.ndarray:
    """State vector of a circuit without free parameters, applied to |0...0>; shape (2^n,)."""
    n = circuit.num_qubits
    psi = np.zeros((2,) * n, dtype=complex)
    psi[(0,) * n] = 1.0
    for instruction in circuit.data:
        if instruction.operation.name in ("barrier", "delay"):
            continue
        qubits = [circuit.find_bit(bit).index for bit in instruction.qubits]
        k = len(qubits)
        matrix = Operator(instruction.operation).data.reshape((2,) * 2 * k)
        # Axis of qubit q is n - 1 - q (little-endian); the gate's first qubit is its last axis.
        axes = [n - 1 - q for q in reversed(qubits)]
        psi = np.tensordot(matrix, psi, axes=(range(k, 2 * k), axes))
        psi = np.moveaxis(psi, range(k), axes)
    return psi.reshape(-1)


def expectation_values(circuit: QuantumCircuit, observables: list[SparsePauliOp]) -> np.ndarray:
    """Expectation value of every observable; shape (M,)."""
    psi = state(circuit)
    return np.array([np.vdot(psi, observable.to_matrix() @ psi).real for observable in observables])


def batch_values(circuit, observables, columns, rows) -> np.ndarray:
    """Values (B, M): `columns` are parameters, `rows` their values (B, len(columns))."""
    return np.array(
        [
            expectation_values(circuit.assign_parameters(dict(zip(columns, row, strict=True))), observables)
            for row in np.asarray(rows, dtype=float)
        ]
    )


def opened_values(circuit, observables, columns, rows) -> np.ndarray:
    """The same of a circuit with evolutions, which would be taken for matrices to exponentiate."""
    return batch_values(circuit.decompose(["PauliEvolution"]), observables, columns, rows)


def central_differences(function, point: np.ndarray, step: float = 0.02, order: int = 5) -> np.ndarray:
    """Derivative of `function` with respect to each entry of `point`: shape (P, ...), exact to step^(2 order)."""
    k = np.arange(1, order + 1)
    factorials = np.cumprod([1.0, *range(1, 2 * order + 1)])
    weights = (-1.0) ** (k + 1) * factorials[order] ** 2 / (k * factorials[order - k] * factorials[order + k])
    derivatives = []
    for shift in np.eye(len(point)) * step:
        differences = [function(point + i * shift) - function(point - i * shift) for i in k]
        derivatives.append(sum(w * d for w, d in zip(weights, differences, strict=True)) / step)
    return np.array(derivatives)
