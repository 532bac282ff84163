"""Error mitigation: methods around others, whose values are linear combinations of what these estimate.

So are gradients, exactly: rules of gradients are linear in the values, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch

from .._core.arguments import finite_number, whole_number
from .._program.program import Program
from .._simulation.method import Cost, Method, Refusal, Runner, Spending, Task
from .circuit_runner import CircuitRunner
from .device import DeviceCircuit
from .estimators import Answer
from .folding import folded
from .readout import Calibration, Terms

_DEGREES = {"linear": 1, "quadratic": 2}


class Mitigation(Method):
    """A method around another one that sends circuits: `qtm.methods.Primitive`, or a mitigation of one.

    Args:
        inner: The method.

    Attributes:
        spent: By the inner method: jobs, PUBs, circuits and shots so far.
        standard_errors: Of the values of the last call, shape (B, M); None: there was no call yet.

    Raises:
        TypeError: it sends no circuits.
    """

    is_exact = False
    prepares_at_once = True
    sends_circuits = True
    standard_errors: torch.Tensor | None = None

    def __init__(self, inner: Method) -> None:
        if not getattr(inner, "sends_circuits", False) or isinstance(inner, type):
            raise TypeError(
                f"inner: expected a method that sends circuits, such as qtm.methods.Primitive(estimator), got "
                f"{inner!r}; what is simulated without noise needs no mitigation"
            )
        self.inner = inner

    def cost(self, program: Program, task: Task) -> Cost | Refusal:
        """As that of the inner method."""
        return self.inner.cost(program, task)

    @property
    def spent(self) -> Spending:
        """By the inner method, all that was sent."""
        return self.inner.spent  # type: ignore[attr-defined, no-any-return]

    def __deepcopy__(self, memo: dict[int, Any]) -> Mitigation:
        return self  # as the method in it, with what is known of its device

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


class _Mitigated(CircuitRunner):
    """Asks the inner runner for more than is asked of it, all in one job."""

    def __init__(self, program: Program, method: Mitigation, inner: CircuitRunner | None = None) -> None:
        if inner is None:
            prepared = method.inner.prepare(program)
            assert isinstance(prepared, CircuitRunner)
            inner = prepared
        super().__init__(program, method, inner.rule, inner.sent)
        self.inner = inner

    @cached_property
    def unshared(self) -> Runner:
        """The same circuits, with weights that differ from sample to sample."""
        return type(self)(self.program.unshared, self.method, self.inner.unshared)  # type: ignore[arg-type]

    def plain_answers(self, circuits: Sequence[DeviceCircuit], precision: float | None) -> list[Answer]:
        """As `CircuitRunner.plain_answers`."""
        return self.inner.plain_answers(circuits, precision)

    def supports(self, name: str, qubits: Sequence[int]) -> bool:
        """As `CircuitRunner.supports`."""
        return self.inner.supports(name, qubits)


class ZeroNoise(Mitigation):
    """Values at several strengths of noise, extrapolated to none.

    Noise is amplified by doing gates on several qubits, undoing and doing them again. All strengths are sent in one
    job. Each value is then a linear combination of those at each strength, and so is each gradient. The standard error
    grows: with (1, 3, 5) it is 1.2 times that of the inner method for "linear", and 2.3 times for "richardson".

    Args:
        inner: The method, such as `qtm.methods.Primitive`.
        factors: By how much noise is amplified: different numbers from 1 on.
        extrapolation: "linear" or "quadratic": least squares by a polynomial of that degree; "richardson": the
            polynomial through all points; or a degree. Exponentials are refused: no gradient is a combination of
            gradients there.

    Raises:
        TypeError: an argument is of the wrong kind.
        ValueError: factors are below 1, equal or too few.

    Source: Temme, Bravyi and Gambetta, arXiv:1612.02058; Giurgica-Tiron et al., arXiv:2005.10921.

    Example:
        >>> device = qtm.methods.Primitive(qtm.FastEstimator(), precision=0.01)
        >>> method = qtm.methods.ZeroNoise(
        ...     device, factors=(1, 3, 5), extrapolation="linear"
        ... )
        >>> method.factors
        (1.0, 3.0, 5.0)
    """

    name = "zero_noise"

    def __init__(
        self, inner: Method, factors: Sequence[float] = (1, 3, 5), extrapolation: str | int = "linear"
    ) -> None:
        super().__init__(inner)
        try:
            self.factors = tuple(finite_number(factor, "factors", 0.0) for factor in factors)
        except TypeError as error:
            raise TypeError(f"factors: expected numbers from 1 on, such as (1, 3, 5), got {factors!r}") from error
        if min(self.factors, default=0.0) < 1.0 or len({*self.factors}) < len(self.factors):
            raise ValueError(f"factors: expected different numbers from 1 on, such as (1, 3, 5), got {factors!r}")
        self.degree = self._degree(extrapolation)
        if not self.degree < len(self.factors):
            raise ValueError(
                f"extrapolation: expected a degree below the number of factors, {len(self.factors)}, got "
                f"{extrapolation!r}; give {self.degree + 1} factors"
            )

    def _degree(self, extrapolation: Any) -> int:
        if extrapolation == "richardson":
            return len(self.factors) - 1
        if isinstance(extrapolation, str):
            if extrapolation not in _DEGREES:
                raise ValueError(
                    f"extrapolation: expected 'linear', 'quadratic', 'richardson' or a degree, got {extrapolation!r}; "
                    "only polynomials make gradients that are combinations of gradients"
                )
            return _DEGREES[extrapolation]
        return whole_number(extrapolation, "extrapolation", 0)

    def prepare(self, program: Program) -> Runner:
        """A runner with all folded circuits."""
        return _Extrapolated(program, self)

    def __repr__(self) -> str:
        return f"ZeroNoise({self.inner!r}, factors={self.factors}, extrapolation={self.degree})"


def weights_at_zero(factors: Sequence[float], degree: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """How much the value at each factor counts at 0, of the polynomial that fits best."""
    powers = np.vander(np.asarray(factors, dtype=np.float64), degree + 1, increasing=True)
    found: np.ndarray[Any, np.dtype[np.float64]] = np.linalg.pinv(powers)[0]
    return found


class _Extrapolated(_Mitigated):
    method: ZeroNoise

    def __init__(self, program: Program, method: ZeroNoise, inner: CircuitRunner | None = None) -> None:
        super().__init__(program, method, inner)
        self._known: dict[int, tuple[DeviceCircuit, list[DeviceCircuit], Any]] = {}
        _, weights = self._amplified(self.sent)
        self.precision = float(np.linalg.norm(weights)) * self.inner.precision

    def _amplified(self, sent: DeviceCircuit) -> tuple[list[DeviceCircuit], Any]:
        known = self._known.get(id(sent))
        if known is None:
            pairs = [folded(sent, factor, self.supports) for factor in self.method.factors]
            factors = [factor for _, factor in pairs]
            if len({*factors}) < len(factors):
                raise ValueError(
                    f"factors: expected different ones, but the circuit has so few gates on two qubits that they "
                    f"become {factors}; give odd numbers"
                )
            weights = weights_at_zero(factors, self.method.degree)
            known = self._known[id(sent)] = sent, [circuit for circuit, _ in pairs], weights
        return known[1], known[2]

    def answers(self, circuits: Sequence[DeviceCircuit], angles: torch.Tensor) -> list[Answer]:
        """As `CircuitRunner.answers`."""
        amplified = [self._amplified(one) for one in circuits]
        found = iter(self.inner.answers([one for some, _ in amplified for one in some], angles))
        return [_combined([next(found) for _ in some], weights) for some, weights in amplified]

    def spending_of(self, circuits: Sequence[DeviceCircuit], count: int) -> Spending:
        """As `CircuitRunner.spending_of`."""
        return self.inner.spending_of([one for some in circuits for one in self._amplified(some)[0]], count)


def _combined(answers: Sequence[Answer], weights: Any) -> Answer:
    values = np.tensordot(weights, np.stack([answer.values for answer in answers]), 1)
    squares = np.tensordot(weights**2, np.stack([answer.errors for answer in answers]) ** 2, 1)
    return Answer(values, np.sqrt(squares))


class Readout(Mitigation):
    """Values without the errors of measurements, qubit by qubit.

    Two circuits, with all qubits in ``|0>`` and in ``|1>``, tell by how much the measurement of each qubit shrinks and
    shifts <Z>: measured = scale * true + offset. A Pauli word on k qubits is then a combination of the 2^k words on
    some of them, all of which the same circuits measure, so nothing more is run. Errors that are correlated between
    qubits stay. The calibration is one job, before the first one that needs it; `calibrate` asks for a new one.

    Args:
        inner: The method, such as `qtm.methods.Primitive` or `qtm.methods.ZeroNoise` of one.
        precision: Standard error of the calibration; None: as that of the inner method.
        most_qubits: On how many qubits a word may be.

    Raises:
        TypeError, ValueError: an argument cannot be used.

    Source: Bravyi et al., arXiv:2006.14044, section II.

    Example:
        >>> device = qtm.methods.Primitive(qtm.FastEstimator(), precision=0.01)
        >>> method = qtm.methods.Readout(device)
        >>> method.inner is device
        True
    """

    name = "readout"

    def __init__(self, inner: Method, precision: float | None = None, most_qubits: int = 8) -> None:
        super().__init__(inner)
        self.precision = None if precision is None else finite_number(precision, "precision", 0.0)
        self.most_qubits = whole_number(most_qubits, "most_qubits", 1, 16)
        self.calibration = Calibration()

    def calibrate(self) -> None:
        """Forgets what is known of the device: the next job is preceded by a new calibration."""
        self.calibration.clear()

    def prepare(self, program: Program) -> Runner:
        """A runner that asks for all words of all observables."""
        return _ReadRight(program, self)

    def __repr__(self) -> str:
        return f"Readout({self.inner!r})"


class _ReadRight(_Mitigated):
    method: Readout

    def __init__(self, program: Program, method: Readout, inner: CircuitRunner | None = None) -> None:
        super().__init__(program, method, inner)
        self._known: dict[int, tuple[DeviceCircuit, Terms]] = {}
        self.precision = self.inner.precision
        self._terms(self.sent)

    def _terms(self, sent: DeviceCircuit) -> Terms:
        known = self._known.get(id(sent))
        if known is None:
            known = self._known[id(sent)] = sent, Terms(sent, self.method.most_qubits)
        return known[1]

    def answers(self, circuits: Sequence[DeviceCircuit], angles: torch.Tensor) -> list[Answer]:
        """As `CircuitRunner.answers`."""
        terms = [self._terms(one) for one in circuits]
        calibration = self.method.calibration
        calibration.learn(
            {qubit for one in terms for qubit in one.qubits},
            self.sent.circuit.num_qubits,
            self.supports,
            lambda circuits: self.plain_answers(circuits, self.method.precision),
        )
        found = self.inner.answers([one.sent for one in terms], angles)
        return [one.corrected(answer, calibration) for one, answer in zip(terms, found, strict=True)]

    def spending_of(self, circuits: Sequence[DeviceCircuit], count: int) -> Spending:
        """As `CircuitRunner.spending_of`, without calibrations."""
        return self.inner.spending_of([self._terms(one).sent for one in circuits], count)
