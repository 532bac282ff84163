"""The quantum geometric tensor of states at a point, in parts that fit the memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from .._engine import memory_budget
from .._simulation.choose import Runners
from .._simulation.states import MOST_AMPLITUDES
from .gram import products
from .tangents import Tangents, tangents

# States of fewer bytes fit: to look how much memory there is takes as long as the geometry of a small circuit.
_LEAST_LARGE = 1 << 26


@dataclass(frozen=True)
class Point:
    """States as functions of variables, at some values of these.

    Attributes:
        runners: Of the program that reads the state.
        inputs: Shape (B, num_inputs), in the dtype to compute in.
        weights: Sets of weights, likewise.
        groups: The variables that move them, in groups; those of the inputs come first, then weights.
        num_threads: 0: as ``torch.get_num_threads()``.
    """

    runners: Runners
    inputs: torch.Tensor
    weights: Sequence[torch.Tensor]
    groups: Sequence[Sequence[int]]
    num_threads: int

    @property
    def columns(self) -> list[int]:
        """All variables that move them."""
        return [column for group in self.groups for column in group]

    @property
    def complex_dtype(self) -> torch.dtype:
        """That of states."""
        return torch.complex128 if self.inputs.dtype is torch.float64 else torch.complex64

    @property
    def num_amplitudes(self) -> int:
        """Of a state."""
        return self.runners.program.output_size

    @property
    def state_bytes(self) -> int:
        """What a state takes."""
        return self.num_amplitudes * self.complex_dtype.itemsize

    def tangents(self, samples: slice, columns: Sequence[int]) -> Tangents:
        """States of some samples, and their derivatives by some variables."""
        return tangents(self.runners, self.inputs[samples], self.weights, columns, self.num_threads)

    def products(self, samples: slice, columns: Sequence[int], is_real: bool) -> torch.Tensor | None:
        """Inner products of these, if no derivatives are needed for them."""
        return products(self.runners, self.inputs[samples], self.weights, columns, self.num_threads, is_real=is_real)


@dataclass(frozen=True)
class _Moves:
    """Derivatives of states.

    Attributes:
        slopes: Shape (P, B, N).
        phases: What of them is along the states themselves, <state|slope>, shape (P, B, 1); (P, B, 0): nothing is taken
            out.
    """

    slopes: torch.Tensor
    phases: torch.Tensor


class Metric:
    """The quantum geometric tensor at a point, computed part by part.

    Args:
        point: The point.
        structure: Which entries: "full", "block" (those of each group) or "diagonal".
        is_mean: Over all samples, or of each.
        is_real: The real part alone.
        with_phase: Without what takes the phase of states out.
    """

    def __init__(
        self,
        point: Point,
        structure: str = "full",
        is_mean: bool = False,
        is_real: bool = False,
        with_phase: bool = False,
    ) -> None:
        self._point, self._structure = point, structure
        self._is_mean, self._is_real, self._with_phase = is_mean, is_real, with_phase
        self._may_be_whole = not with_phase and structure != "diagonal"

    def entries(self) -> torch.Tensor:
        """All of them: shape (P, P), or (B, P, P) for each sample."""
        point, columns = self._point, self._point.columns
        lead, count = () if self._is_mean else (len(point.inputs),), len(columns)
        dtype = point.inputs.dtype if self._is_real else point.complex_dtype
        found = torch.zeros(*lead, count, count, dtype=dtype, device=point.inputs.device)
        if self._structure == "full" and (whole := self._at_once(columns)) is not None:
            return whole
        first = 0
        for group in point.groups if self._structure == "block" else (columns,):
            own = slice(first, first := first + len(group))
            if group:
                self._fill(found[..., own, own], group)
        return found.div_(len(point.inputs)) if self._is_mean and len(point.inputs) != 1 else found

    def _at_once(self, columns: Sequence[int]) -> torch.Tensor | None:
        """All of them, where they come from one call for all samples."""
        parts, at_once = self._parts(columns)
        if len(parts) > 1 or not 0 < len(self._point.inputs) <= at_once:
            return None
        whole = self._whole(slice(None), columns)
        if whole is None or not self._is_mean:
            return whole
        return whole[0] if len(whole) == 1 else whole.mean(0)

    def _fill(self, found: torch.Tensor, columns: Sequence[int]) -> None:
        """Entries between some variables; added up over samples if the mean is wanted."""
        parts, at_once = self._parts(columns)
        for begin in range(0, len(self._point.inputs), at_once):
            samples = slice(begin, begin + at_once)
            own = found if self._is_mean else found[samples]
            whole = self._whole(samples, columns) if len(parts) == 1 else None
            if whole is not None:
                own += self._summed(whole)
                continue
            for index, rows in enumerate(parts):
                left = self._moves(samples, columns[rows])
                if self._structure == "diagonal":
                    diagonal = torch.diagonal(own, dim1=-2, dim2=-1)[..., rows]
                    diagonal += self._summed(_squares(left.slopes) - _squares(left.phases))
                    continue
                own[..., rows, rows] += self._products(left, left)
                for others in parts[index + 1 :]:
                    products = self._products(left, self._moves(samples, columns[others]))
                    own[..., rows, others] += products
                    own[..., others, rows] += products.mH

    def _whole(self, samples: slice, columns: Sequence[int]) -> torch.Tensor | None:
        """All products, where they come from one call."""
        if not self._may_be_whole:
            return None
        found = self._point.products(samples, columns, self._is_real)
        self._may_be_whole = found is not None
        return found

    def _parts(self, columns: Sequence[int]) -> tuple[list[slice], int]:
        """Variables that are moved together, and how many samples are."""
        amplitudes, size = self._point.num_amplitudes, self._point.state_bytes
        if len(columns) * size < _LEAST_LARGE:
            return self._one_part(columns)
        budget = memory_budget()
        most = int(budget // (4 * size))  # two parts, each while it is made
        if most < 1:
            raise ValueError(
                f"the geometry of states of {amplitudes.bit_length() - 1} qubits takes at least "
                f"{4 * size / 2**30:.3g} GiB, more than the memory budget of {budget / 2**30:.3g} GiB; use fewer qubits"
            )
        if len(columns) <= 2 * most:
            return self._one_part(columns)
        parts = [slice(first, min(first + most, len(columns))) for first in range(0, len(columns), most)]
        return parts, max(1, MOST_AMPLITUDES // (most * amplitudes))

    def _one_part(self, columns: Sequence[int]) -> tuple[list[slice], int]:
        count = max(1, len(columns))
        return [slice(0, count)], max(1, MOST_AMPLITUDES // (count * max(count, self._point.num_amplitudes)))

    def _moves(self, samples: slice, columns: Sequence[int]) -> _Moves:
        found = self._point.tangents(samples, columns)
        if self._with_phase:
            return _Moves(found.slopes, found.slopes[:, :, :0])
        # Taken out of products, which are far fewer numbers than states.
        phases = found.slopes.transpose(0, 1) @ found.states[:, :, None].conj()
        return _Moves(found.slopes, phases.transpose(0, 1))

    def _products(self, left: _Moves, right: _Moves) -> torch.Tensor:
        """<left_k|right_l>, shape (B, K, L), or (K, L) for the sum, without what is along the states."""
        return self._product(left.slopes, right.slopes) - self._product(left.phases, right.phases)

    def _product(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        if self._is_real:
            left, right = (torch.view_as_real(one).flatten(2) for one in (left, right))
        left = left.conj()
        if self._is_mean:
            return left.flatten(1) @ right.flatten(1).T
        return left.transpose(0, 1) @ right.permute(1, 2, 0)

    def _summed(self, values: torch.Tensor) -> torch.Tensor:
        """Of samples, if the mean is wanted."""
        return values.sum(0) if self._is_mean else values


def _squares(moves: torch.Tensor) -> torch.Tensor:
    """Of the norms of (P, B, N), shape (B, P)."""
    return torch.view_as_real(moves.resolve_conj()).square().sum((2, 3)).T
