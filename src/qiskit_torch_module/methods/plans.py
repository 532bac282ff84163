"""What rules of gradients ask for at a point, and the gradients that it makes."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch

from .._program.program import Program
from .._simulation.method import Optional
from .._simulation.native import joined
from .._simulation.pytorch import angles
from .._simulation.room import require_bytes


@dataclass(frozen=True)
class Point:
    """Where gradients are wanted, in double precision.

    Attributes:
        program: What is estimated.
        inputs: Shape (B, N).
        weights: Sets of weights.
        wants: Which gradients are wanted: of the inputs, and of each set.
        precision: Standard deviation of an estimate of an observable with values in [-1, 1]; 0: none.
    """

    program: Program
    inputs: torch.Tensor
    weights: Sequence[torch.Tensor]
    wants: Sequence[bool]
    precision: float

    @cached_property
    def leaves(self) -> list[torch.Tensor]:
        """Inputs and sets, those that are wanted with gradients."""
        variables = zip((self.inputs, *self.weights), self.wants, strict=True)
        return [one.detach().requires_grad_(want) for one, want in variables]

    @cached_property
    def angles(self) -> torch.Tensor:
        """Of all rotations, shape (B, R), with a graph."""
        with torch.enable_grad():
            return angles(self.program.evolution, self.leaves[0], self.leaves[1:])

    @property
    def is_wanted(self) -> list[bool]:
        """For each variable, in their order."""
        widths = [self.inputs.shape[1], *map(len, self.weights)]
        return [want for want, width in zip(self.wants, widths, strict=True) for _ in range(width)]

    @property
    def rows(self) -> torch.Tensor:
        """All variables of every sample, shape (B, N + W)."""
        row = joined(self.weights, self.inputs)
        return torch.cat([self.inputs, row.expand(len(self.inputs), -1)], 1)

    def at(self, samples: slice) -> Point:
        """The same for some of the samples."""
        return Point(self.program, self.inputs[samples], self.weights, self.wants, self.precision)

    def gradients(self, of_rows: torch.Tensor) -> Optional:
        """Gradients with respect to inputs and sets, from those with respect to the variables of every sample."""
        widths = [self.inputs.shape[1], *map(len, self.weights)]
        first, *rest = torch.split(of_rows, widths, 1)
        parts = [first, *(part.sum(0) for part in rest)]
        return [part if want else None for part, want in zip(parts, self.wants, strict=True)]


class Plan(ABC):
    """What is asked for at a point.

    Attributes:
        bindings: Angles of all rotations, shape (K, R), for which values are wanted.
    """

    bindings: torch.Tensor

    def with_samples(self, at: Point) -> torch.Tensor:
        """The angles of the samples themselves, and then the others, shape (B + K, R)."""
        return torch.cat([at.angles.detach(), self.bindings])

    @abstractmethod
    def gradients(self, cotangent: torch.Tensor, values: torch.Tensor) -> Optional:
        """Gradients with respect to inputs and sets; None where not wanted.

        Args:
            cotangent: Shape (B, M).
            values: Those that were asked for, shape (K, M).
        """


def shifted(program: Program, is_wanted: Sequence[bool]) -> list[int]:
    """The rotations that observables feel and that depend on a wanted variable."""
    return [
        number
        for number, (rotation, is_felt) in enumerate(zip(program.evolution.rotations, program.felt, strict=True))
        if is_felt and any(is_wanted[v] for variables, _ in rotation.angle.terms for v in variables)
    ]


def _require_room(count: int, width: int, remedy: str) -> None:
    """Checks that angles of so many circuits fit the memory budget.

    Raises:
        ValueError: they do not.
    """
    require_bytes(8 * count * width, f"gradient: the angles of {count:,} circuits", f"use smaller batches, {remedy}")


class Shifts(Plan):
    """Every angle that matters, up and down by a quarter turn."""

    def __init__(self, at: Point) -> None:
        self._at, self._shifted = at, shifted(at.program, at.is_wanted)
        own = at.angles.detach()
        (self._num_samples, width), count = own.shape, len(self._shifted)
        _require_room((1 + 2 * count) * self._num_samples, width, "gradient='spsa'")
        # Large: made once, with room for the samples themselves; and in NumPy, as threads of PyTorch that wait for more
        # to do would take the processors from those of the engine.
        table = np.empty((1 + 2 * count, self._num_samples, width))
        table[:] = own.numpy()
        places = np.arange(1, 1 + count)
        table[places, :, self._shifted] += math.pi / 2
        table[count + places, :, self._shifted] -= math.pi / 2
        self._table = torch.from_numpy(table)
        self.bindings = self._table[1:].flatten(0, 1)

    def with_samples(self, at: Point) -> torch.Tensor:
        """As `Plan.with_samples`."""
        return self._table.flatten(0, 1)

    def _slopes(self, values: torch.Tensor) -> npt.NDArray[np.float64]:
        """By every shifted angle, shape (S, B, M)."""
        up, down = values.numpy().reshape(2, len(self._shifted), self._num_samples, values.shape[1])
        slopes: npt.NDArray[np.float64] = 0.5 * (up - down)
        return slopes

    def gradients(self, cotangent: torch.Tensor, values: torch.Tensor) -> Optional:
        """As `Plan.gradients`."""
        by_angle = torch.from_numpy(np.einsum("sbm,bm->bs", self._slopes(values), cotangent.numpy()))
        own, leaves = self._at.angles, self._at.leaves
        if not own.requires_grad:  # no angle depends on what is wanted
            return [torch.zeros_like(leaf) if leaf.requires_grad else None for leaf in leaves]
        seeds = torch.zeros_like(own).index_copy_(1, torch.tensor(self._shifted, dtype=torch.long), by_angle)
        wanted = [leaf for leaf in leaves if leaf.requires_grad]
        slopes = torch.autograd.grad(own, wanted, seeds, retain_graph=True, allow_unused=True, materialize_grads=True)
        found = iter(slopes)
        return [next(found) if leaf.requires_grad else None for leaf in leaves]

    def jacobian(self, values: torch.Tensor) -> torch.Tensor:
        """Of every sample with respect to all its variables, shape (B, M, N + W)."""
        rows, by_angle = self._at.rows.numpy(), self._slopes(values)
        total = np.zeros((*by_angle.shape[1:], rows.shape[1]))
        for number, slope in zip(self._shifted, by_angle, strict=True):
            angle = self._at.program.evolution.rotations[number].angle
            total += slope[:, :, None] * angle.gradient(rows)[:, None]
        return torch.from_numpy(total * np.array(self._at.is_wanted))


class Directions(Plan):
    """All variables that matter, up and down by steps with random signs."""

    def __init__(self, at: Point, directions: int, step: float | None, seed: int) -> None:
        self._at, self._directions = at, directions
        largest = self._largest_factors()
        self._moves = torch.tensor(at.is_wanted) & (largest > 0)
        if step is None:  # of all together, as the variables move at once
            total = max(at.precision, torch.finfo(torch.float64).eps) ** (1 / 3)
            step = total / math.sqrt(max(1, int(self._moves.sum())))
        rows = at.rows
        width = rows.shape[1] + len(at.program.evolution.rotations)
        _require_room(2 * directions * len(rows), width, "fewer directions")
        generator = torch.Generator().manual_seed(seed)
        signs = 2.0 * torch.randint(2, (directions, *rows.shape), generator=generator) - 1
        self._steps = torch.where(self._moves, step * signs / largest.clamp(min=1e-300), 0.0)
        moved = torch.stack([rows + self._steps, rows - self._steps]).flatten(0, 2)
        self.bindings = angles(at.program.evolution.unshared, moved, ())

    def _largest_factors(self) -> torch.Tensor:
        """By which each variable enters an angle that is felt, at most; 0: it enters none."""
        is_wanted = self._at.is_wanted
        largest = torch.zeros(len(is_wanted), dtype=torch.float64)
        for number in shifted(self._at.program, is_wanted):
            for variables, factor in self._at.program.evolution.rotations[number].angle.terms:
                for variable in variables:
                    largest[variable] = max(float(largest[variable]), abs(factor))
        return largest

    def jacobian(self, values: torch.Tensor) -> torch.Tensor:
        """Of every sample with respect to all its variables, shape (B, M, N + W)."""
        up, down = values.reshape(2, self._directions, len(self._at.inputs), values.shape[1])
        inverse = torch.where(self._moves, 1 / self._steps, 0.0)
        return torch.einsum("dbm,dbv->bmv", up - down, inverse) / (2 * self._directions)

    def gradients(self, cotangent: torch.Tensor, values: torch.Tensor) -> Optional:
        """As `Plan.gradients`."""
        return self._at.gradients(torch.einsum("bm,bmv->bv", cotangent, self.jacobian(values)))


class Guided(Plan):
    """Some samples by shifts, the others along directions, no longer than the first ones."""

    def __init__(self, at: Point, shifts: Shifts, directions: Directions, damping: float) -> None:
        self._at, self._shifts, self._directions, self._damping = at, shifts, directions, damping
        self.bindings = torch.cat([shifts.bindings, directions.bindings])

    def gradients(self, cotangent: torch.Tensor, values: torch.Tensor) -> Optional:
        """As `Plan.gradients`."""
        number = len(self._shifts.bindings)
        first, second = values[:number], values[number:]
        exact, rough = self._shifts.jacobian(first), self._directions.jacobian(second)
        longest = self._damping * exact.norm(dim=2).mean(0)
        shortened = rough * (longest / rough.norm(dim=2)).nan_to_num(1.0).clamp(max=1.0)[..., None]
        jacobian = torch.cat([exact, shortened])
        return self._at.gradients(torch.einsum("bm,bmv->bv", cotangent, jacobian))
