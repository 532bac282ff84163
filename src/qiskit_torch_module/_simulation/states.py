"""States by the native engine, and outputs that PyTorch reads from them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch

from .._program.amplitudes import places
from .._program.output import Output, State
from .._program.program import Program
from .method import Method, Optional, Powers, Runner
from .native import NativeRunner, Tape
from .reading import read


class StateRunner(NativeRunner):
    """Calls of the native engine that read states (B, 2^n), and take gradients with respect to them.

    The gradient of a real loss L is dL/dRe + i dL/dIm, as everywhere in PyTorch.
    """

    @cached_property
    def _places(self) -> torch.Tensor | None:
        """Indices of the amplitudes that can differ from 0; None: all."""
        indices = places(self.program.evolution)
        return None if indices is None else torch.from_numpy(indices)

    def values(
        self, inputs: torch.Tensor, weights: Sequence[torch.Tensor], num_threads: int = 0, record: bool = False
    ) -> tuple[torch.Tensor, Tape | None]:
        numbers, tape = super().values(inputs, weights, num_threads, record)
        return self._states(numbers), tape

    def _states(self, numbers: torch.Tensor) -> torch.Tensor:
        """Amplitudes (B, 2^n) from real and imaginary parts (B, 2 * 2^k), side by side, for the k simulated qubits."""
        states = torch.view_as_complex(numbers.view(len(numbers), 1 << self.program.evolution.num_qubits, 2))
        if self._places is None:
            return states
        whole = states.new_zeros(len(states), *self.program.shape)
        return whole.index_copy_(1, self._places, states[:, : len(self._places)])

    def pull_back(
        self,
        cotangent: torch.Tensor,
        inputs: torch.Tensor,
        weights: Sequence[torch.Tensor],
        wants: Sequence[bool],
        num_threads: int = 0,
        tape: Any = None,
    ) -> Optional:
        return super().pull_back(self._numbers(cotangent), inputs, weights, wants, num_threads, tape)

    def pull_backs(
        self,
        cotangents: torch.Tensor,
        inputs: torch.Tensor,
        weights: Sequence[torch.Tensor],
        wants: Sequence[bool],
        num_threads: int = 0,
    ) -> Optional:
        # Real if another runner of states has already converted them.
        numbers = self._numbers(cotangents) if cotangents.is_complex() else cotangents
        return super().pull_backs(numbers, inputs, weights, wants, num_threads)

    def values_along(self, inputs: Powers, weights: Sequence[Optional], num_threads: int = 0) -> Sequence[torch.Tensor]:
        return [self._states(power) for power in super().values_along(inputs, weights, num_threads)]

    def pull_back_along(
        self,
        cotangent: Powers,
        inputs: Powers,
        weights: Sequence[Optional],
        wants: Sequence[bool],
        num_threads: int = 0,
    ) -> Sequence[Optional]:
        seeds = [None if power is None else self._numbers(power) for power in cotangent]
        return super().pull_back_along(seeds, inputs, weights, wants, num_threads)

    def _numbers(self, cotangent: torch.Tensor) -> torch.Tensor:
        """Real and imaginary parts (..., 2 * 2^k), side by side, for the k simulated qubits."""
        if self._places is not None:
            some = cotangent.index_select(-1, self._places)
            cotangent = torch.nn.functional.pad(some, (0, (1 << self.program.evolution.num_qubits) - some.shape[-1]))
        return torch.view_as_real(cotangent.resolve_conj()).flatten(-2)


class ReadingRunner(Runner):
    """The state by the native engine, then what the output makes of it, in PyTorch."""

    states: Runner

    def __init__(self, program: Program, method: Method) -> None:
        super().__init__(program, method)
        self.states = StateRunner(states_of(program), method)

    def values(
        self, inputs: torch.Tensor, weights: Sequence[torch.Tensor], num_threads: int = 0, record: bool = False
    ) -> tuple[torch.Tensor, Any]:
        """Shape (B, *shape); if recorded, with the state, what was made of it, and the tape of the engine."""
        states, tape = self.states.values(inputs, weights, num_threads, record)
        if not record:
            with torch.no_grad():
                return read(self.program, states), None
        leaf_and_values = self._read(states)
        return leaf_and_values[1].detach(), (*leaf_and_values, tape)

    def pull_back(
        self,
        cotangent: torch.Tensor,
        inputs: torch.Tensor,
        weights: Sequence[torch.Tensor],
        wants: Sequence[bool],
        num_threads: int = 0,
        tape: Any = None,
    ) -> Optional:
        states, values, inner = tape or (*self._read(self.states.values(inputs, weights, num_threads)[0]), None)
        bra = torch.zeros_like(states)
        if values.requires_grad:
            (bra,) = torch.autograd.grad(values, states, cotangent, retain_graph=True, materialize_grads=True)
        return self.states.pull_back(bra, inputs, weights, wants, num_threads, inner)

    def _read(self, states: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """States as a leaf, and what is read from them, with its graph."""
        leaf = states.detach().requires_grad_()
        with torch.enable_grad():
            return leaf, read(self.program, leaf)


def states_of(program: Program) -> Program:
    """The program that reads the state in place of what PyTorch makes of it."""
    return program if isinstance(program.output, State) else Program(program.evolution, State())


def traced(program: Program) -> Program:
    """The one that operators of PyTorch compute for it: of the state, where what is read from it can be traced."""
    is_read = isinstance(program.output, Output) and program.output.is_traceable
    return states_of(program) if is_read else program


def runner_of_states(program: Program, method: Method) -> Runner:
    """A runner for a program whose output is no Pauli sum."""
    assert isinstance(program.output, Output)
    return StateRunner(program, method) if isinstance(program.output, State) else ReadingRunner(program, method)
