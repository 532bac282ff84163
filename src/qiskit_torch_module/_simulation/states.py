"""States by an engine, and outputs that PyTorch reads from them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch

from .._engine import memory_budget
from .._program.amplitudes import places
from .._program.output import Output, State
from .._program.program import Program
from .columns import variables_for
from .method import Method, Optional, Powers, Runner
from .native import NativeRunner
from .reading import read

# Amplitudes that are held at once, unless one state has more: 64 MiB in double precision.
MOST_AMPLITUDES = 1 << 22
# And the share of a smaller memory budget; fewer bytes fit, as to ask for it takes a tenth of the time of their states.
_SHARE_AT_ONCE, _LEAST_ASKED = 1 / 4, 1 << 22


def amplitudes_at_once(wanted: int) -> int:
    """At most how many amplitudes are held at once, in double precision, where so many are wanted all together."""
    if 16 * wanted < _LEAST_ASKED:
        return MOST_AMPLITUDES
    return min(MOST_AMPLITUDES, int(_SHARE_AT_ONCE * memory_budget()) // 16)


def states_at_once(count: int, amplitudes: int) -> int:
    """How many of so many states, each of so many amplitudes, are held at once."""
    return max(1, amplitudes_at_once(count * amplitudes) // amplitudes)


class Whole:
    """States of all qubits, and the numbers that engines give for those that are simulated.

    The gradient of a real loss L is dL/dRe + i dL/dIm, as everywhere in PyTorch.

    Args:
        program: Reads the state.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        self._on: dict[torch.device, torch.Tensor | None] = {}

    def states(self, numbers: torch.Tensor) -> torch.Tensor:
        """Amplitudes (B, 2^n) from real and imaginary parts (B, 2 * 2^k), side by side, for the k simulated qubits."""
        states = torch.view_as_complex(numbers.view(len(numbers), 1 << self._program.evolution.num_qubits, 2))
        if (places := self._places(numbers)) is None:
            return states
        whole = states.new_zeros(len(states), *self._program.shape)
        return whole.index_copy_(1, places, states[:, : len(places)])

    def numbers(self, cotangent: torch.Tensor) -> torch.Tensor:
        """Real and imaginary parts (..., 2 * 2^k), side by side, of a cotangent of the states."""
        if (places := self._places(cotangent)) is not None:
            some = cotangent.index_select(-1, places)
            size = 1 << self._program.evolution.num_qubits
            cotangent = torch.nn.functional.pad(some, (0, size - some.shape[-1]))
        return torch.view_as_real(cotangent.resolve_conj()).flatten(-2)

    def _places(self, like: torch.Tensor) -> torch.Tensor | None:
        """Indices of the amplitudes that can differ from 0; None: all."""
        if like.device not in self._on:
            indices = places(self._program.evolution)
            self._on[like.device] = None if indices is None else torch.from_numpy(indices).to(like.device)
        return self._on[like.device]


class OfStates(Runner):
    """Before a runner of the numbers that engines give for states: makes it one of states (B, 2^n)."""

    @cached_property
    def _whole(self) -> Whole:
        return Whole(self.program)

    def values(
        self, inputs: torch.Tensor, weights: Sequence[torch.Tensor], num_threads: int = 0, record: bool = False
    ) -> tuple[torch.Tensor, Any]:
        numbers, tape = super().values(inputs, weights, num_threads, record)  # type: ignore[safe-super]
        return self._whole.states(numbers), tape

    def pull_back(
        self,
        cotangent: torch.Tensor,
        inputs: torch.Tensor,
        weights: Sequence[torch.Tensor],
        wants: Sequence[bool],
        num_threads: int = 0,
        tape: Any = None,
    ) -> Optional:
        return super().pull_back(self._whole.numbers(cotangent), inputs, weights, wants, num_threads, tape)


class StateRunner(OfStates, NativeRunner):
    """Calls of the native engine that read states (B, 2^n), and take gradients with respect to them."""

    def pull_backs(
        self,
        cotangents: torch.Tensor,
        inputs: torch.Tensor,
        weights: Sequence[torch.Tensor],
        wants: Sequence[bool],
        num_threads: int = 0,
    ) -> Optional:
        # Real if another runner of states has already converted them.
        numbers = self._whole.numbers(cotangents) if cotangents.is_complex() else cotangents
        return super().pull_backs(numbers, inputs, weights, wants, num_threads)

    def values_along(self, inputs: Powers, weights: Sequence[Optional], num_threads: int = 0) -> Sequence[torch.Tensor]:
        return [self._whole.states(power) for power in super().values_along(inputs, weights, num_threads)]

    def pull_back_along(
        self,
        cotangent: Powers,
        inputs: Powers,
        weights: Sequence[Optional],
        wants: Sequence[bool],
        num_threads: int = 0,
    ) -> Sequence[Optional]:
        seeds = [None if power is None else self._whole.numbers(power) for power in cotangent]
        return super().pull_back_along(seeds, inputs, weights, wants, num_threads)


class ReadingRunner(Runner):
    """States by an engine, then what the output makes of them, in PyTorch."""

    states: Runner

    def __init__(self, program: Program, method: Method) -> None:
        super().__init__(program, method)
        self.states = method.prepare(states_of(program))
        self.others = [method.prepare(other) for other in program.others]

    def values(
        self, inputs: torch.Tensor, weights: Sequence[torch.Tensor], num_threads: int = 0, record: bool = False
    ) -> tuple[torch.Tensor, Any]:
        """Shape (B, *shape); if recorded, with the states, what was made of them, and the tape of the engine."""
        states, tape = self.states.values(inputs, weights, num_threads, record)
        all_states = [states]
        for other in self.others:
            columns, sets = self._variables(other, inputs, weights)
            all_states.append(other.values(columns, sets, num_threads)[0])
        if not record:
            with torch.no_grad():
                return read(self.program, *all_states), None
        leaves = [states.detach().requires_grad_() for states in all_states]
        with torch.enable_grad():
            values = read(self.program, *leaves)
        return values.detach(), (leaves, values, tape)

    def pull_back(
        self,
        cotangent: torch.Tensor,
        inputs: torch.Tensor,
        weights: Sequence[torch.Tensor],
        wants: Sequence[bool],
        num_threads: int = 0,
        tape: Any = None,
    ) -> Optional:
        leaves, values, inner = tape or self.values(inputs, weights, num_threads, record=True)[1]
        bras = [torch.zeros_like(states) for states in leaves]
        if values.requires_grad:
            bras = torch.autograd.grad(values, leaves, cotangent, retain_graph=True, materialize_grads=True)
        first, *rest = bras
        total = self.states.pull_back(first, inputs, weights, wants, num_threads, inner)
        for other, bra in zip(self.others, rest, strict=True):
            slopes = self._pulled_back(other, bra, inputs, weights, num_threads)
            total = [None if one is None else one + slope for one, slope in zip(total, slopes, strict=True)]
        return total

    def _variables(
        self, other: Runner, inputs: torch.Tensor, weights: Sequence[torch.Tensor]
    ) -> tuple[torch.Tensor, Sequence[torch.Tensor]]:
        return variables_for(other.program.evolution, self.program.evolution, inputs, weights)

    def _pulled_back(
        self,
        other: Runner,
        bra: torch.Tensor,
        inputs: torch.Tensor,
        weights: Sequence[torch.Tensor],
        num_threads: int,
    ) -> Sequence[torch.Tensor]:
        """Gradients with respect to the inputs and each set, by the states of another circuit."""
        leaves = [one.detach().requires_grad_() for one in (inputs, *weights)]
        with torch.enable_grad():
            columns, sets = self._variables(other, leaves[0], leaves[1:])
        own = [columns, *sets]
        first, *rest = [one.detach() for one in own]
        slopes = other.pull_back(bra, first, rest, [True] * len(own), num_threads)
        return torch.autograd.grad(own, leaves, slopes, allow_unused=True, materialize_grads=True)


def states_of(program: Program) -> Program:
    """The program that reads the state in place of what PyTorch makes of it."""
    return program if isinstance(program.output, State) else Program(program.evolution, State())


def traced(program: Program) -> Program:
    """The one that operators of PyTorch compute for it: of the state, where what is read from it can be traced."""
    is_read = isinstance(program.output, Output) and program.output.is_traceable and not program.reads_probabilities
    return states_of(program) if is_read else program


def runner_of_states(program: Program, method: Method) -> Runner:
    """A runner for a program whose output is no Pauli sum."""
    assert isinstance(program.output, Output)
    return StateRunner(program, method) if isinstance(program.output, State) else ReadingRunner(program, method)
