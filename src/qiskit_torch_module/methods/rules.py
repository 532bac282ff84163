"""Rules of gradients for methods that only estimate."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from .._core.arguments import whole_number
from .._core.shown import Shown
from .._program.program import Program
from .plans import Directions, Guided, Plan, Point, Shifts, shifted
from .stream import Stream


class Rule(Shown, ABC):
    """How gradients come from estimates.

    Attributes:
        name: By which methods know it with its default options.
    """

    name: str

    @abstractmethod
    def plan(self, at: Point) -> Plan:
        """What to ask for."""

    @abstractmethod
    def num_bindings(self, program: Program, batch_size: int, is_wanted: Sequence[bool] | None = None) -> int:
        """How many values it asks for.

        Args:
            program: What is estimated.
            batch_size: Number of samples.
            is_wanted: For each variable, whether its gradient is wanted; None: all are.
        """

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash(type(self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class ParameterShift(Rule):
    """Two values for each rotation: (f(a + pi/2) - f(a - pi/2)) / 2 is the derivative of f by its angle a, exactly.

    Every rotation has an angle of its own, so this holds for all gates; expressions and shared parameters are up to the
    chain rule. Rotations that no observable feels, and those that depend on nothing that is wanted, are left out.

    Source: Mitarai et al., arXiv:1803.00745; Schuld et al., arXiv:1811.11184.

    Example:
        >>> shots = qtm.methods.Shots(1000, qtm.methods.ParameterShift())
        >>> shots.rule
        ParameterShift()
    """

    name = "parameter_shift"

    def plan(self, at: Point) -> Plan:
        """As `Rule.plan`."""
        return Shifts(at)

    def num_bindings(self, program: Program, batch_size: int, is_wanted: Sequence[bool] | None = None) -> int:
        """As `Rule.num_bindings`."""
        return 2 * len(shifted(program, is_wanted or _everything(program))) * batch_size


class SPSA(Rule):
    """Values along random directions of all wanted variables at once: the cost does not grow with their number.

    Every sample goes along `directions` of its own, each a step of one size with a random sign in every variable that
    matters. Estimates are right on average but for terms of the square of the step, and vary with the number of
    variables.

    Args:
        directions: How many.
        step: By how much the fastest angle of each variable changes; None: the precision to the power of 1/3, divided
            by the square root of the number of variables, which move at once. The error of the estimates and that of
            the step are about the same there.
        generator: A seed, a generator of PyTorch, or None: its global one.

    Raises:
        TypeError, ValueError: an argument cannot be used.

    Source: Spall, IEEE Trans. Autom. Control 37, 332 (1992).

    Example:
        >>> shots = qtm.methods.Shots(1000, qtm.methods.SPSA(directions=4))
        >>> shots.rule.directions
        4
    """

    name = "spsa"

    def __init__(
        self, directions: int = 8, step: float | None = None, generator: torch.Generator | int | None = None
    ) -> None:
        self.directions, self.step = whole_number(directions, "directions", 1), _step(step)
        self.stream = Stream(generator)

    def plan(self, at: Point) -> Plan:
        """As `Rule.plan`."""
        return Directions(at, self.directions, self.step, self.stream.seed())

    def num_bindings(self, program: Program, batch_size: int, is_wanted: Sequence[bool] | None = None) -> int:
        """As `Rule.num_bindings`."""
        return 2 * self.directions * batch_size

    def __repr__(self) -> str:
        return f"SPSA(directions={self.directions}, step={self.step})"


class GuidedSPSA(Rule):
    """The parameter-shift rule for a share of the batch, and SPSA, kept in bounds by it, for the rest.

    Gradients of a sample by SPSA that are longer than those of the shifted samples on average, times `damping`, are
    shortened to that, observable by observable. The first samples of a batch are the shifted ones, at least one.

    Args:
        share: Of the batch that is shifted, from 0 to 1.
        directions: As for `SPSA`; None: a tenth of the number of variables. The paper lets it grow during training, up
            to all of them: change the attribute for that.
        damping: How long gradients by SPSA may be, compared with shifted ones.
        step: As for `SPSA`.
        generator: As for `SPSA`.

    Raises:
        TypeError, ValueError: an argument cannot be used.

    Source: Periyasamy et al., arXiv:2404.15751.

    Example:
        >>> shots = qtm.methods.Shots(1000, qtm.methods.GuidedSPSA(share=0.25))
        >>> shots.rule.share
        0.25
    """

    name = "guided_spsa"

    def __init__(
        self,
        share: float = 0.5,
        directions: int | None = None,
        damping: float = 1.0,
        step: float | None = None,
        generator: torch.Generator | int | None = None,
    ) -> None:
        self.share, self.damping = _number(share, "share", 1.0), _number(damping, "damping")
        self.directions = None if directions is None else whole_number(directions, "directions", 1)
        self.step, self.stream = _step(step), Stream(generator)

    def plan(self, at: Point) -> Plan:
        """As `Rule.plan`."""
        num_shifted, directions = self._num_shifted(len(at.inputs)), self._directions(sum(at.is_wanted))
        rest = at.at(slice(num_shifted, None))
        return Guided(
            at,
            Shifts(at.at(slice(0, num_shifted))),
            Directions(rest, directions, self.step, self.stream.seed()),
            self.damping,
        )

    def num_bindings(self, program: Program, batch_size: int, is_wanted: Sequence[bool] | None = None) -> int:
        """As `Rule.num_bindings`."""
        is_wanted = is_wanted or _everything(program)
        shifted, directions = self._num_shifted(batch_size), self._directions(sum(is_wanted))
        return ParameterShift().num_bindings(program, shifted, is_wanted) + 2 * directions * (batch_size - shifted)

    def _num_shifted(self, batch_size: int) -> int:
        return min(batch_size, max(1, int(self.share * batch_size)))

    def _directions(self, num_variables: int) -> int:
        return self.directions or max(1, num_variables // 10)

    def __repr__(self) -> str:
        return f"GuidedSPSA(share={self.share}, directions={self.directions}, damping={self.damping}, step={self.step})"


_RULES: dict[str, type[Rule]] = {rule.name: rule for rule in (ParameterShift, SPSA, GuidedSPSA)}


def _everything(program: Program) -> list[bool]:
    return [True] * (program.evolution.num_all_inputs + program.evolution.num_all_weights)


def rule_of(gradient: Any, others: Sequence[str] = ()) -> Rule | str:
    """The rule that an argument names, or is; or one of other words.

    Raises:
        TypeError: neither a name nor a rule.
        ValueError: an unknown name.
    """
    if isinstance(gradient, Rule):
        return gradient
    names = ", ".join(f"'{name}'" for name in (*_RULES, *others))
    if not isinstance(gradient, str):
        kind = f"the class {gradient.__name__}" if isinstance(gradient, type) else repr(gradient)
        raise TypeError(f"gradient: expected one of {names}, or an object such as qtm.methods.SPSA(), got {kind}")
    if gradient in others:
        return gradient
    if gradient not in _RULES:
        raise ValueError(f"gradient: expected one of {names}, got '{gradient}'")
    return _RULES[gradient]()


def _number(value: Any, argument: str, most: float = math.inf) -> float:
    bounds = f"from 0 to {most:g}" if math.isfinite(most) else "at least 0"
    if isinstance(value, bool) or not isinstance(value, (int, float, np.floating)):
        raise TypeError(f"{argument}: expected a number {bounds}, got {value!r}")
    if not 0.0 <= value <= most or math.isinf(value):
        raise ValueError(f"{argument}: expected a number {bounds}, got {value}")
    return float(value)


def _step(value: Any) -> float | None:
    step = None if value is None else _number(value, "step")
    if step == 0.0:
        raise ValueError("step: expected a positive number or None, got 0")
    return step
