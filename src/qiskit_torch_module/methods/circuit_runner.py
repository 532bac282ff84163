"""Runners whose estimates come from circuits that are sent to a device."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch

from .._program.program import Program
from .._simulation.method import Method, Spending
from .device import DeviceCircuit
from .estimated import Estimated
from .estimators import Answer
from .rules import Rule


class CircuitRunner(Estimated):
    """Estimates are answers for one circuit, and runners around this one may ask for answers for others.

    Args:
        program: The program.
        method: The method; it keeps standard errors of the values.
        rule: How gradients come from estimates.
        sent: What is sent for the program.
    """

    def __init__(self, program: Program, method: Method, rule: Rule, sent: DeviceCircuit) -> None:
        super().__init__(program, method, rule)
        self.sent = sent
        self._errors = torch.empty(0)  # of the last estimates

    @abstractmethod
    def answers(self, circuits: Sequence[DeviceCircuit], angles: torch.Tensor) -> list[Answer]:
        """Values of the observables of circuits at K settings.

        Args:
            circuits: Each with observables of its own.
            angles: Of all rotations of the program, shape (K, R).
        """

    @abstractmethod
    def plain_answers(self, circuits: Sequence[DeviceCircuit], precision: float | None) -> list[Answer]:
        """Of circuits without angles, in one job, as they are: what runners around this one would add is left out."""

    @abstractmethod
    def supports(self, name: str, qubits: Sequence[int]) -> bool:
        """Whether the device has a gate."""

    @abstractmethod
    def spending_of(self, circuits: Sequence[DeviceCircuit], count: int) -> Spending:
        """What `answers` at so many settings take."""

    def values(
        self, inputs: torch.Tensor, weights: Sequence[torch.Tensor], num_threads: int = 0, record: bool = False
    ) -> tuple[torch.Tensor, Any]:
        """As `Estimated.values`; the method keeps the standard errors."""
        found = super().values(inputs, weights, num_threads, record)
        self.method.standard_errors = self._errors[: len(inputs)]  # type: ignore[attr-defined]
        return found

    def estimates(self, angles: torch.Tensor, num_threads: int = 0) -> torch.Tensor:
        """As `Estimated.estimates`."""
        [answer] = self.answers([self.sent], angles)
        whole = self.sent.whole(answer)
        self._errors = torch.from_numpy(whole.errors)
        return torch.from_numpy(whole.values).to(angles.device)

    def spending(self, inputs: torch.Tensor, weights: Sequence[torch.Tensor], wants: Sequence[bool]) -> Spending:
        """As `Runner.spending`."""
        count = len(inputs)
        if any(wants):
            widths = [inputs.shape[1], *map(len, weights)]
            is_wanted = [want for want, width in zip(wants, widths, strict=True) for _ in range(width)]
            count += self.rule.num_bindings(self.program, len(inputs), is_wanted)
        return self.spending_of([self.sent], count)
