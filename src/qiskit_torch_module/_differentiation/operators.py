"""The native engine, and methods that are registered from outside, as registered PyTorch operators.

They serve ``torch.compile`` and ``torch.export``, and tensors that are fake, traced, counted or of another class. They
take tensors, numbers and text only. A program is passed as text, so that a saved graph carries it into other
processes; what is read is data, never code.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch

from .._core.torch_internals import constant_when_compiled
from .._program.output import State
from .._program.program import Program
from .._simulation.method import Runner
from .._simulation.native import Native, chosen
from .._simulation.pytorch import values as plain_values
from .._storage.portable import from_text, to_text
from .derivatives import (
    curvature_function,
    gradient_function,
    mapped_curvature,
    mapped_gradients,
    mapped_pushed,
    mapped_values,
    pulled_back,
    pushed_function,
)
from .named import name_in_text, runner_of_named


@constant_when_compiled
def text_of(program: Program) -> str:
    """A program as the operators take it: made once, and kept by the program as its attribute ``text``."""
    text = program.text
    if text is None:
        # As the engine sees it: derived variables are just further inputs and weights.
        text = to_text(Program(program.evolution.underived, program.output))
        object.__setattr__(program, "text", text)
    return text


@lru_cache(maxsize=128)  # as many as there are engines
def runner_of(text: str) -> Runner:
    """The runner of a program that is given as text: the native one, unless the name of a method stands in front."""
    return Native().prepare(from_text(text)) if text.startswith("{") else runner_of_named(text)


def _computes(runner: Runner, inputs: torch.Tensor) -> bool:
    """Whether it computes where the inputs are; else plain PyTorch does."""
    return (inputs.is_cpu and runner.method.computes_on == "cpu") or inputs.device.type == runner.method.computes_on


def text_for(runner: Runner) -> str:
    """The program of a runner as the operators take it, with the name of the method that computes it.

    Raises:
        NotImplementedError: no operators stand for the method.
    """
    name = name_in_text(runner.program, runner.method)
    if name is None:
        raise NotImplementedError(
            f"method '{runner.method.name}' takes plain tensors only, none that are traced, fake or of other classes; "
            "use method='auto' there, or, if it is exact, call qtm.methods.register with it"
        )
    return name + text_of(runner.program)


def value_dtype(program: Program, dtype: torch.dtype) -> torch.dtype:
    """The dtype of values computed in a real dtype: amplitudes are complex."""
    return dtype.to_complex() if isinstance(program.output, State) else dtype


# Written out: PyTorch 2.4 does not read annotations that are strings.
_VALUES = "(Tensor inputs, Tensor weights, str program, int num_threads, int num_threads_backward) -> Tensor"
_GRADIENTS = "(Tensor cotangent, Tensor inputs, Tensor weights, str program, int num_threads) -> (Tensor, Tensor)"

_CURVATURE = (
    "(Tensor cotangent, Tensor inputs, Tensor weights, Tensor inputs_direction, Tensor weights_direction, "
    "str program, int num_threads) -> (Tensor, Tensor, Tensor)"
)


@torch.library.custom_op("qiskit_torch_module::values", mutates_args=(), schema=_VALUES)
def values(
    inputs: torch.Tensor, weights: torch.Tensor, program: str, num_threads: int, num_threads_backward: int
) -> torch.Tensor:
    """Expectation values (B, M), states or probabilities (B, 2^n), of inputs (B, N) and weights (W,)."""
    runner = runner_of(program)
    if not _computes(runner, inputs):
        return plain_values(runner.program, inputs, weights)
    return runner.values(inputs, [weights], num_threads)[0]


@values.register_fake
def _(
    inputs: torch.Tensor, weights: torch.Tensor, program: str, num_threads: int, num_threads_backward: int
) -> torch.Tensor:
    compiled = runner_of(program).program
    return inputs.new_empty(inputs.shape[0], *compiled.shape, dtype=value_dtype(compiled, inputs.dtype))


@torch.library.custom_op("qiskit_torch_module::gradients", mutates_args=(), schema=_GRADIENTS)
def gradients(
    cotangent: torch.Tensor, inputs: torch.Tensor, weights: torch.Tensor, program: str, num_threads: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradients of sum(cotangent * values) with respect to inputs and weights."""
    runner = runner_of(program)
    if not _computes(runner, inputs):
        first, second = gradient_function(runner, (True, True))(cotangent, inputs, weights)
        return first.clone(), second.clone()
    slopes = runner.pull_back(cotangent, inputs, [weights], (True, True), num_threads)
    first, second = chosen(slopes)
    return first, second


@gradients.register_fake
def _(
    cotangent: torch.Tensor, inputs: torch.Tensor, weights: torch.Tensor, program: str, num_threads: int
) -> tuple[torch.Tensor, torch.Tensor]:
    return inputs.new_empty(inputs.shape), weights.new_empty(weights.shape)  # contiguous, unlike `empty_like`


@torch.library.custom_op("qiskit_torch_module::curvature", mutates_args=(), schema=_CURVATURE)
def curvature(
    cotangent: torch.Tensor,
    inputs: torch.Tensor,
    weights: torch.Tensor,
    inputs_direction: torch.Tensor,
    weights_direction: torch.Tensor,
    program: str,
    num_threads: int,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Values, and gradients of sum(cotangent * values) with respect to inputs and weights, along a direction."""
    runner = runner_of(program)
    if not _computes(runner, inputs) or not runner.highest_power:
        along = (inputs, weights, inputs_direction, weights_direction)
        (first,) = pushed_function(runner)(*along)
        second, third = curvature_function(runner, (True, True))(cotangent, *along)
        return first.clone(), second.clone(), third.clone()
    curve = (inputs, inputs_direction), ((weights,), (weights_direction,))
    values = runner.values_along(*curve, num_threads)[1]
    second, third = chosen(runner.pull_back_along((cotangent, None), *curve, (True, True), num_threads)[1])
    return values, second, third


@curvature.register_fake
def _(
    cotangent: torch.Tensor,
    inputs: torch.Tensor,
    weights: torch.Tensor,
    inputs_direction: torch.Tensor,
    weights_direction: torch.Tensor,
    program: str,
    num_threads: int,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    compiled = runner_of(program).program
    values = inputs.new_empty(inputs.shape[0], *compiled.shape, dtype=value_dtype(compiled, inputs.dtype))
    return values, inputs.new_empty(inputs.shape), weights.new_empty(weights.shape)


def _keep_for_values(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    ctx.save_for_backward(*inputs[:2])
    ctx.program, ctx.num_threads = inputs[2], inputs[4]


def _values_backward(ctx: Any, cotangent: torch.Tensor) -> tuple[Any, ...]:
    return (*gradients(cotangent, *ctx.saved_tensors, ctx.program, ctx.num_threads), None, None, None)


def _keep_for_gradients(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    ctx.save_for_backward(*inputs[:3])
    ctx.program, ctx.num_threads = inputs[3:]


def _gradients_backward(ctx: Any, *cotangents: torch.Tensor) -> tuple[Any, ...]:
    return (*curvature(*ctx.saved_tensors, *cotangents, ctx.program, ctx.num_threads), None, None)


def _keep_for_curvature(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    ctx.save_for_backward(*inputs[:5])
    ctx.program = inputs[5]


def _curvature_backward(ctx: Any, *cotangents: torch.Tensor) -> tuple[Any, ...]:
    runner = runner_of(ctx.program)

    def function(cotangent: torch.Tensor, *along: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (*pushed_function(runner)(*along), *curvature_function(runner, (True, True))(cotangent, *along))

    _, pull_back = pulled_back(function, *ctx.saved_tensors)
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
        outputs: torch.Tensor = values(
            inputs, sets[0] if sets else inputs.new_empty(0), text_for(runner), num_threads, num_threads_backward
        )
        return outputs

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
        gradient: torch.Tensor = gradients(cotangent, inputs, inputs.new_empty(0), text_for(runner), num_threads)[0]
        return gradient

    first, second = mapped_gradients(info, in_dims[:3], runner_of(program), cotangent, (inputs, weights), gradient_of)
    return (first, second), (0, 0)


def _curvature_vmap(
    info: Any,
    in_dims: tuple[Any, ...],
    cotangent: torch.Tensor,
    *arguments: Any,
) -> tuple[tuple[torch.Tensor, ...], tuple[int, ...]]:
    *along, program, num_threads = arguments
    runner, dims, none = runner_of(program), in_dims[1:5], along[0].new_empty(0)

    def pushed_of(runner: Runner, variables: Any, directions: Any) -> torch.Tensor:
        at, moved = ((*part, none)[:2] for part in (variables, directions))
        seeds = at[0].new_zeros(len(at[0]), *runner.program.shape, dtype=value_dtype(runner.program, at[0].dtype))
        change: torch.Tensor = curvature(seeds, *at, *moved, text_for(runner), num_threads)[0]
        return change

    def curvature_of(
        runner: Runner, cotangent: torch.Tensor, inputs: torch.Tensor, direction: torch.Tensor
    ) -> torch.Tensor:
        text = text_for(runner)
        gradient: torch.Tensor = curvature(cotangent, inputs, none, direction, none, text, num_threads)[1]
        return gradient

    values, _ = mapped_pushed(info, dims, runner, along, pushed_of)
    gradients = mapped_curvature(info, in_dims[:5], runner, cotangent, along, curvature_of)
    return (values, *gradients), (0, 0, 0)


values.register_autograd(_values_backward, setup_context=_keep_for_values)
gradients.register_autograd(_gradients_backward, setup_context=_keep_for_gradients)
curvature.register_autograd(_curvature_backward, setup_context=_keep_for_curvature)
if hasattr(values, "register_vmap"):  # from PyTorch 2.5 on
    values.register_vmap(_values_vmap)
    gradients.register_vmap(_gradients_vmap)
    curvature.register_vmap(_curvature_vmap)
