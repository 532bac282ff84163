"""The native engine as registered PyTorch operators.

They serve ``torch.compile`` and ``torch.export``, and tensors that are fake, traced, counted or of another class. They
take tensors, numbers and text only. A program goes as text, so that a graph that is saved carries it into other
processes; what is read is data, never code.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch

from .._program.portable import from_text, to_text
from .._program.program import Program
from .._simulation.method import Runner
from .._simulation.native import Native, chosen
from .._simulation.pytorch import values as plain_values
from .derivatives import gradient_function, mapped_gradients, mapped_values, pulled_back


def text_of(program: Program) -> str:
    """A program as the operators take it: made once, and kept by the program as its attribute ``text``."""
    found = program.text
    if found is None:
        # As the engine sees it: derived variables are no more than further inputs and weights.
        found = to_text(Program(program.evolution.underived, program.output))
        object.__setattr__(program, "text", found)
    return found


# What ``torch.compiler.assume_constant_result`` does, which takes a second to import: the compiler of PyTorch calls it
# and does not look inside.
text_of._dynamo_marked_constant = True  # type: ignore[attr-defined]


@lru_cache(maxsize=128)  # as many as there are engines
def runner_of(text: str) -> Runner:
    """The runner of a program that is given as text."""
    return Native().prepare(from_text(text))


# Written out: PyTorch 2.4 reads no annotations that are text.
_VALUES = "(Tensor inputs, Tensor weights, str program, int num_threads, int num_threads_backward) -> Tensor"
_GRADIENTS = "(Tensor cotangent, Tensor inputs, Tensor weights, str program, int num_threads) -> (Tensor, Tensor)"


@torch.library.custom_op("qiskit_torch_module::values", mutates_args=(), schema=_VALUES)
def values(
    inputs: torch.Tensor, weights: torch.Tensor, program: str, num_threads: int, num_threads_backward: int
) -> torch.Tensor:
    """Expectation values (B, M), or states (B, 2^n), of inputs (B, N) and weights (W,)."""
    if not inputs.is_cpu:
        return plain_values(runner_of(program).program, inputs, weights)
    return runner_of(program).values(inputs, [weights], num_threads)[0]


@values.register_fake
def _(
    inputs: torch.Tensor, weights: torch.Tensor, program: str, num_threads: int, num_threads_backward: int
) -> torch.Tensor:
    found = runner_of(program).program
    dtype = inputs.dtype if found.expectation_values is not None else inputs.dtype.to_complex()
    return inputs.new_empty(inputs.shape[0], *found.shape, dtype=dtype)


@torch.library.custom_op("qiskit_torch_module::gradients", mutates_args=(), schema=_GRADIENTS)
def gradients(
    cotangent: torch.Tensor, inputs: torch.Tensor, weights: torch.Tensor, program: str, num_threads: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradients of sum(cotangent * values) with respect to inputs and weights."""
    if not inputs.is_cpu:
        first, second = gradient_function(runner_of(program), (True, True))(cotangent, inputs, weights)
        return first.clone(), second.clone()
    found = runner_of(program).pull_back(cotangent, inputs, [weights], (True, True), num_threads)
    first, second = chosen(found)
    return first, second


@gradients.register_fake
def _(
    cotangent: torch.Tensor, inputs: torch.Tensor, weights: torch.Tensor, program: str, num_threads: int
) -> tuple[torch.Tensor, torch.Tensor]:
    return inputs.new_empty(inputs.shape), weights.new_empty(weights.shape)  # contiguous, unlike `empty_like`


def _keep_for_values(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    ctx.save_for_backward(*inputs[:2])
    ctx.program, ctx.num_threads = inputs[2], inputs[4]


def _values_backward(ctx: Any, cotangent: torch.Tensor) -> tuple[Any, ...]:
    return (*gradients(cotangent, *ctx.saved_tensors, ctx.program, ctx.num_threads), None, None, None)


def _keep_for_gradients(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    ctx.save_for_backward(*inputs[:3])
    ctx.program = inputs[3]


def _gradients_backward(ctx: Any, *cotangents: torch.Tensor) -> tuple[Any, ...]:
    _, pull_back = pulled_back(gradient_function(runner_of(ctx.program), (True, True)), *ctx.saved_tensors)
    return (*pull_back(cotangents), None, None)


def _values_vmap(
    info: Any,
    in_dims: tuple[Any, ...],
    inputs: torch.Tensor,
    weights: torch.Tensor,
    program: str,
    num_threads: int,
    num_threads_backward: int,
) -> tuple[torch.Tensor, int]:
    def values_of(runner: Runner, inputs: torch.Tensor, *sets: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = values(
            inputs, sets[0] if sets else inputs.new_empty(0), text_of(runner.program), num_threads, num_threads_backward
        )
        return found

    return mapped_values(info, in_dims[:2], runner_of(program), (inputs, weights), values_of)


def _gradients_vmap(
    info: Any,
    in_dims: tuple[Any, ...],
    cotangent: torch.Tensor,
    inputs: torch.Tensor,
    weights: torch.Tensor,
    program: str,
    num_threads: int,
) -> tuple[tuple[torch.Tensor, torch.Tensor], tuple[int, int]]:
    def gradient_of(runner: Runner, cotangent: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = gradients(cotangent, inputs, inputs.new_empty(0), text_of(runner.program), num_threads)[0]
        return found

    first, second = mapped_gradients(info, in_dims[:3], runner_of(program), cotangent, (inputs, weights), gradient_of)
    return (first, second), (0, 0)


values.register_autograd(_values_backward, setup_context=_keep_for_values)
gradients.register_autograd(_gradients_backward, setup_context=_keep_for_gradients)
if hasattr(values, "register_vmap"):  # from PyTorch 2.5 on
    values.register_vmap(_values_vmap)
    gradients.register_vmap(_gradients_vmap)
