"""Gates that can be evaluated only with numbers: one set of parameters after the other, by Qiskit.

Their derivatives are exact where the gate is a trigonometric polynomial of low degree in its parameter (the shift rule:
eight equidistant points tell all of it; one more checks); elsewhere they are central differences in double precision,
of order 8, with a step that shrinks until two of them agree. No ratio of steps is rational, and both are compared with
steps that are small from the start: seen at regular steps, a fast oscillation looks like a slow one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.quantum_info import Operator, Statevector

Real = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]

# A unitary of k qubits takes 4^k rotations, a state 2^k.
MAX_UNITARY_QUBITS, MAX_STATE_QUBITS = 5, 12


@dataclass(frozen=True, eq=False)
class BoundGate:
    """A gate as a function of numbers.

    Attributes:
        circuit: The gate alone.
        parameters: Its free parameters, in the order in which values are given.
        is_state: Whether only the state that it makes of |0...0> matters.
        name: Its name in errors.
    """

    circuit: QuantumCircuit
    parameters: tuple[Parameter, ...]
    is_state: bool
    name: str
    _latest: dict[bytes, tuple[Complex, Complex]] = field(default_factory=dict, repr=False)

    @property
    def num_qubits(self) -> int:
        return int(self.circuit.num_qubits)

    def values(self, rows: Real) -> Complex:
        """States (R, 2^k) or unitaries (R, 2^k, 2^k) for rows (R, m) of parameters.

        Raises:
            ValueError: it cannot be evaluated there.
        """
        return np.array([self._value(row) for row in rows]).reshape(len(rows), *self._shape)

    def values_and_slopes(self, rows: Real) -> tuple[Complex, Complex]:
        """Values, and their derivatives with respect to each parameter: shape (R, m, ...).

        Raises:
            ValueError: it cannot be evaluated around there.
        """
        key = rows.tobytes()
        results = self._latest.get(key)  # a Jacobian asks once for every observable
        if results is None:
            results = self.values(rows), self._slopes(rows)
            self._latest.clear()
            self._latest[key] = results
        return results

    def _slopes(self, rows: Real) -> Complex:
        slopes = np.empty((*rows.shape, *self._shape), dtype=np.complex128)
        for index, row in enumerate(rows):
            for column in range(len(row)):
                slopes[index, column] = self._slope(row, column)
        return slopes

    @property
    def _shape(self) -> tuple[int, ...]:
        return (1 << self.num_qubits,) * (1 if self.is_state else 2)

    def _value(self, row: Real) -> Complex:
        try:
            bound = self.circuit.assign_parameters(dict(zip(self.parameters, row.tolist(), strict=True)))
            value: Complex = (Statevector(bound) if self.is_state else Operator(bound)).data
        except Exception as error:  # foreign code may raise anything
            raise ValueError(
                f"{self.name} cannot be evaluated where {self._at(row)} ({type(error).__name__}: {error}); keep its "
                "parameters within its domain"
            ) from error
        if not np.all(np.isfinite(value)):
            raise ValueError(f"{self.name} is not finite where {self._at(row)}; keep its parameters within its domain")
        return value

    def _slope(self, row: Real, column: int) -> Complex:
        def along(shift: float) -> Complex:
            moved = row.copy()
            moved[column] += shift
            return self._value(moved)

        slope = _trigonometric_slope(along)
        if slope is None:
            slope = difference_slope(along)
        if slope is None:
            raise ValueError(
                f"{self.name} has no derivative with respect to {self.parameters[column].name} that can be found where "
                f"{self._at(row)}: it has no value around there, or small steps disagree (it jumps, or oscillates too "
                "fast); keep away from there, or give it a definition in terms of its parameters"
            )
        return slope

    def _at(self, row: Real) -> str:
        names = [parameter.name for parameter in self.parameters]
        return ", ".join(f"{name} = {value:.6g}" for name, value in zip(names, row, strict=True))


_POINTS = 8
# Of a function sum_k c_k exp(i k s / 2) with |k| <= 2, from its period of 4 pi.
_SHIFTS = 4.0 * np.pi * np.arange(_POINTS) / _POINTS
_CHECK, _EXACT = 1.234, 1e-12


def _trigonometric_slope(along: Callable[[float], Complex]) -> Complex | None:
    try:
        points = np.array([along(shift) for shift in _SHIFTS])
        check = along(_CHECK)
        near = _difference(along, _SMALL[0], weights=(1 / 2,))
    except ValueError:
        return None
    spectrum = np.fft.fft(points, axis=0) / _POINTS
    order = np.fft.fftfreq(_POINTS, 1.0 / _POINTS)
    low = np.abs(order) <= 2
    if np.abs(spectrum[~low]).max() > _EXACT:
        return None
    waves = (0.5j * order[low]).reshape(-1, *[1] * (points.ndim - 1))
    if np.abs((spectrum[low] * np.exp(waves * _CHECK)).sum(0) - check).max() > 10 * _EXACT:
        return None
    slope: Complex = (spectrum[low] * waves).sum(0)
    return slope if _agree(slope, near) else None


_WEIGHTS = (4 / 5, -1 / 5, 4 / 105, -1 / 280)
_STEPS = 0.1 * ((3.0 - 5.0**0.5) / 2.0) ** np.arange(13)
# The first is for gates in single precision, the second for oscillations of up to 1e5.
_SMALL = (1e-3 / 3.0**0.5, 1e-6 * 3.0**0.5)
_SAME = 1e-2  # far more than rounding, far less than the error of an alias


def _difference(along: Callable[[float], Complex], step: float, weights: Sequence[float] = _WEIGHTS) -> Complex:
    return sum(w * (along(k * step) - along(-k * step)) for k, w in enumerate(weights, 1)) / step  # type: ignore[return-value]


def _agree(slope: Complex, other: Complex) -> bool:
    return bool(np.abs(slope - other).max() <= _SAME * max(1.0, float(np.abs(slope).max())))


def difference_slope(along: Callable[[float], Complex]) -> Complex | None:
    near = []
    for step in _SMALL:
        with contextlib.suppress(ValueError):  # outside of the domain; a smaller step may stay inside
            near.append(_difference(along, step))
    best: tuple[float, Complex] | None = None
    before: Complex | None = None
    for step in _STEPS:
        try:
            slope = _difference(along, step)
        except ValueError:
            continue
        if before is not None and _agree(slope, before) and any(_agree(slope, close) for close in near):
            change = float(np.abs(slope - before).max())
            if best is None or change < best[0]:
                best = (change, slope)
            if change < 1e-11 * max(1.0, float(np.abs(slope).max())):
                break
        before = slope
    return best[1] if best is not None else None


def bound_gate(alone: QuantumCircuit, is_state: bool, name: str) -> BoundGate:
    """A gate that needs numbers, tried out.

    Args:
        alone: A circuit of the gate alone.
        is_state: Whether it acts on |0...0>.
        name: Its name in errors.

    Raises:
        ValueError: it is too large, or could be evaluated at none of the points tried.
    """
    limit = MAX_STATE_QUBITS if is_state else MAX_UNITARY_QUBITS
    if alone.num_qubits > limit:
        raise ValueError(
            f"{name} is defined only once its parameters are numbers, which is supported on up to {limit} qubits "
            f"{'in |0>' if is_state else '(more where all of them are in |0>)'}, got {alone.num_qubits}; give it a "
            "definition in terms of its parameters"
        )
    gate = BoundGate(alone, tuple(alone.parameters), is_state, name)
    failure: ValueError | None = None
    for point in _probes(len(gate.parameters)):
        try:
            gate.values(np.array([point], dtype=float))
        except ValueError as error:
            failure = failure or error
        else:
            return gate
    raise ValueError(f"{failure}, or give it a definition or a matrix") from failure


def _probes(count: int) -> Sequence[npt.ArrayLike]:
    """Points of many kinds: small, normalised, whole, large."""
    random = np.random.default_rng(7)
    return [
        [0.5] * count,
        [count**-0.5] * count,
        random.uniform(-1, 1, count),
        random.uniform(0, 1, count),
        [1.0] + [0.0] * (count - 1),
        [0.0] * count,
        [float(i + 1) for i in range(count)],
        [10.0] * count,
        [-0.5] * count,
    ]
