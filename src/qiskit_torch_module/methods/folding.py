"""Folding: the noise of gates on several qubits, amplified by doing, undoing and doing them again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import Barrier, Parameter, ParameterExpression

from .device import DeviceCircuit


def folded(
    sent: DeviceCircuit, factor: float, supports: Callable[[str, Sequence[int]], bool]
) -> tuple[DeviceCircuit, float]:
    """A circuit that does the same with more noise: each gate G on several qubits becomes G G^-1 G, or longer.

    These gates make nearly all of the noise on devices. Where a factor is no odd number, as many of them as are needed
    are folded once more, spread evenly over the circuit. Barriers keep what runs the circuit from undoing it.

    Args:
        sent: The circuit.
        factor: By how much their noise is to be amplified, at least 1.
        supports: Whether the device has a gate, by its name and qubits.

    Returns:
        The circuit, and the factor it has: the nearest that there is.

    Raises:
        ValueError: there are no such gates, or none that undo them on the device.

    Source: Giurgica-Tiron et al., arXiv:2005.10921.
    """
    circuit = sent.circuit
    place = {bit: index for index, bit in enumerate(circuit.qubits)}
    steps = [*circuit]
    number = sum(_folds(step.operation) for step in steps)
    if number == 0:
        raise ValueError(
            "circuit: expected gates on two qubits, whose noise can be amplified, got none; leave ZeroNoise out"
        )
    times, more = divmod(round(number * (factor - 1) / 2), number)
    made, inverses, met = circuit.copy_empty_like(), _Inverses(sent), 0
    for step in steps:
        made.append(step)
        if not _folds(step.operation):
            continue
        qubits = [place[bit] for bit in step.qubits]
        extra = (met + 1) * more // number - met * more // number
        met += 1
        for _ in range(times + extra):
            inverse = inverses(step.operation)
            if not supports(inverse.name, qubits):
                raise ValueError(
                    f"circuit: '{step.operation.name}' is undone by '{inverse.name}', which the device does not have "
                    f"on qubits {qubits}; transpile to gates that are their own inverses, such as cx, cz or ecr"
                )
            for gate in (Barrier(len(qubits)), inverse, Barrier(len(qubits)), step.operation):
                made.append(gate, qubits)
    return inverses.sent_with(made), 1 + 2 * (times + more / number)


def _folds(operation: Any) -> bool:
    return operation.num_qubits > 1 and operation.num_clbits == 0 and not getattr(operation, "_directive", False)


class _Inverses:
    """Gates that undo others; what their angles are is a plain parameter again."""

    def __init__(self, sent: DeviceCircuit) -> None:
        self._sent = sent
        self._row = {parameter: row for row, parameter in enumerate(sent.circuit.parameters)}
        self._made: dict[tuple[Parameter, float, float], Parameter] = {}

    def __call__(self, operation: Any) -> Any:
        inverse = operation.inverse()
        if not any(isinstance(angle, ParameterExpression) for angle in inverse.params):
            return inverse
        inverse = inverse.to_mutable() if hasattr(inverse, "to_mutable") else inverse.copy()
        inverse.params = [self._plain(angle) for angle in inverse.params]
        inverse._definition = None  # that of the angles before
        return inverse

    def _plain(self, angle: Any) -> Any:
        if not isinstance(angle, ParameterExpression) or not angle.parameters:
            return angle
        (parameter,) = angle.parameters
        at_0, at_1 = (float(angle.bind({parameter: value})) for value in (0.0, 1.0))
        # Sorted by name, they come behind the others, in this order.
        return self._made.setdefault((parameter, at_1 - at_0, at_0), Parameter(f"b{len(self._made):06}"))

    def sent_with(self, circuit: QuantumCircuit) -> DeviceCircuit:
        """What is sent, with the angles of all inverses."""
        if not self._made:
            return replace(self._sent, circuit=circuit)
        rows = [self._row[parameter] for parameter, _, _ in self._made]
        slopes, offsets = (np.array([key[n] for key in self._made]) for n in (1, 2))
        return replace(
            self._sent,
            circuit=circuit,
            factors=np.concatenate([self._sent.factors, slopes[:, None] * self._sent.factors[rows]]),
            offsets=np.concatenate([self._sent.offsets, slopes * self._sent.offsets[rows] + offsets]),
        )
