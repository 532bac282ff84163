"""Runners of methods that only estimate: gradients are made of values at other angles."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from .._program.program import Program
from .._program.rotations import not_apart
from .._simulation.method import Method, Optional, Refusal, Runner
from .._simulation.pytorch import angles
from .plans import Plan, Point
from .rules import Rule


@dataclass(frozen=True)
class Estimates:
    """The tape: what was asked for in the same call as the values.

    Attributes:
        plan: Which values those are.
        values: Shape (K, M).
        wants: Which gradients they make.
    """

    plan: Plan
    values: torch.Tensor
    wants: tuple[bool, ...]


class Estimated(Runner):
    """Expectation values that `estimates` gives for the angles of all rotations, and gradients by a rule.

    One training step is one call of `estimates`: values that are recorded are asked for together with all that the
    gradients of tensors that require them need. Gradients of a call that was not recorded (those of ``torch.func``, and
    with ``create_graph=True``) take a second call.

    Args:
        program: One that `refusal` does not refuse.
        method: The method that prepared it.
        rule: How gradients come from estimates.

    Attributes:
        precision: Standard deviation of an estimate of an observable with values in [-1, 1], from which steps of finite
            differences follow; 0: estimates are exact.
    """

    precision: float = 0.0

    def __init__(self, program: Program, method: Method, rule: Rule) -> None:
        super().__init__(program, method)
        self.rule = rule

    @staticmethod
    def refusal(program: Program) -> Refusal | None:
        """Why a program has no such runner, if it has none."""
        if program.expectation_values is None:
            return Refusal(
                f"it estimates expectation values of Paulis, not {program.output}; give Paulis as observables, or use "
                "method='auto'"
            )
        fault = not_apart(program.evolution)
        return None if fault is None else Refusal(fault)

    @abstractmethod
    def estimates(self, angles: torch.Tensor, num_threads: int = 0) -> torch.Tensor:
        """Expectation values (K, M) of all observables, float64, for the angles (K, R) of all rotations, float64.

        Those of constant rotations are always the same, up to multiples of 4 pi.
        """

    def values(
        self, inputs: torch.Tensor, weights: Sequence[torch.Tensor], num_threads: int = 0, record: bool = False
    ) -> tuple[torch.Tensor, Any]:
        """Shape (B, M), in the dtype of the inputs; if recorded, with what gradients need."""
        wants = tuple([one.requires_grad for one in (inputs, *weights)]) if record else ()
        if record and not any(wants):  # nobody has said
            wants = (True,) * len(wants)
        rows, sets = _wide(inputs, weights)
        if not any(wants):
            return self.estimates(angles(self.program.evolution, rows, sets), num_threads).to(inputs), None
        at = Point(self.program, rows, sets, wants, self.precision)
        plan = self.rule.plan(at)
        values = self.estimates(plan.with_samples(at), num_threads)
        return values[: len(rows)].to(inputs), Estimates(plan, values[len(rows) :], wants)

    def pull_back(
        self,
        cotangent: torch.Tensor,
        inputs: torch.Tensor,
        weights: Sequence[torch.Tensor],
        wants: Sequence[bool],
        num_threads: int = 0,
        tape: Any = None,
    ) -> Optional:
        """As `Runner.pull_back`; without a tape, or one of other wants, by another call of `estimates`."""
        if tape is None or any(want and not had for want, had in zip(wants, tape.wants, strict=True)):
            plan = self.rule.plan(Point(self.program, *_wide(inputs, weights), tuple(wants), self.precision))
            tape = Estimates(plan, self.estimates(plan.bindings, num_threads), tuple(wants))
        found = tape.plan.gradients(cotangent.detach().to("cpu", torch.float64), tape.values)
        return [part.to(inputs) if want and part is not None else None for part, want in zip(found, wants, strict=True)]


def _wide(inputs: torch.Tensor, weights: Sequence[torch.Tensor]) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """In double precision, and where estimates are added up, whatever the device of a model."""
    rows, *sets = (one.detach().to("cpu", torch.float64) for one in (inputs, *weights))
    return rows, sets
