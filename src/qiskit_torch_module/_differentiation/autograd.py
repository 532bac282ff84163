"""Runners as differentiable PyTorch functions.

Values and gradients come from the runner, as do their derivatives along directions where it has them; everything else
comes from its `function`, the same in plain PyTorch. Everything composes with ``torch.func``: a batch of weights (an
ensemble) becomes one call in which the weights are inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from .._core.plain import is_plain, is_tracing, is_watched
from .._core.torch_internals import (
    bare_apply,
    hide_from_compiler,
    is_old_batch,
    takes_no_derivatives,
    transforms_active,
    undisturbed,
    unwrap_if_dead,
)
from .._core.transforms import is_differentiated, is_forward_twice, is_functionalized, is_pushed_forward
from .._simulation.choose import Runners
from .._simulation.columns import variables_for
from .._simulation.method import Runner
from .._simulation.native import NativeRunner, Tensors, joined
from .._simulation.reading import read
from . import operators
from .calls import gradients
from .derivatives import mapped_values, pushed_forward, values_function
from .gradients import (
    Curved,
    Gradients,
    Pushed,
    Twice,
    differentiable_gradients,
    follows_directions,
    pushed,
)
from .sharding import prepare_for


def values(runner: Runner, num_threads: tuple[int, int], inputs: torch.Tensor, *weights: torch.Tensor) -> torch.Tensor:
    """Values (B, *shape) of inputs (B, N) and sets of weights, derived variables included; differentiable.

    Args:
        runner: The runner that computes.
        num_threads: For values and for gradients; 0: as ``torch.get_num_threads()``.
        inputs: Of the same dtype as the weights, float32 or float64.
        weights: Sets of weights.
    """
    if runner.states is not None:
        states = [values(runner.states, num_threads, inputs, *weights)]
        for other in runner.others:
            columns, sets = variables_for(other.program.evolution, runner.program.evolution, inputs, weights)
            states.append(values(other, num_threads, columns, *sets))
        outputs: torch.Tensor = undisturbed(read, runner.program, *states)
        return outputs
    if runner.is_differentiable:
        outputs = undisturbed(runner.values, inputs, weights, num_threads[0])[0]
        return outputs
    if not inputs.is_cpu and runner.has_operators:
        return _elsewhere(runner, num_threads, inputs, weights)
    if is_plain((inputs, *weights)):
        if takes_no_derivatives():  # and nothing is recorded for them
            outputs = runner.values(inputs, weights, num_threads[0])[0]
            return outputs
        return _apply(runner, num_threads, inputs, *weights)
    if is_tracing() or (transforms_active() and is_functionalized()):  # which take no Python functions
        # Operators have no forward mode, and PyTorch does not differentiate them inside of `functionalize`.
        if transforms_active() and (is_pushed_forward() or (is_functionalized() and is_differentiated())):
            return runner.function()(inputs, joined(weights, inputs))
        return _operator_values(runner, num_threads, inputs, weights)
    if transforms_active():
        if is_forward_twice((inputs, *weights)):
            return runner.function()(inputs, joined(weights, inputs))
        outputs = TransformableValues.apply(runner, num_threads, inputs, *weights)  # type: ignore[no-untyped-call]
        return outputs
    prepare_for((inputs, *weights))
    alive = tuple(map(unwrap_if_dead, (inputs, *weights)))
    return (_apply if is_plain(alive) else _apply_watched)(runner, num_threads, *alive)


def values_of_ready(runner: Runner, num_threads: tuple[int, int], variables: Tensors) -> torch.Tensor:
    """The same of variables that the engine has found to be ready (`ready_variables`): as most are, in every step."""
    if is_watched() or not isinstance(runner, NativeRunner):
        return values(runner, num_threads, *variables)
    if takes_no_derivatives():
        outputs: torch.Tensor = runner.values(variables[0], variables[1:], num_threads[0])[0]
        return outputs
    return _apply(runner, num_threads, *variables)


def _elsewhere(
    runner: Runner, num_threads: tuple[int, int], inputs: torch.Tensor, weights: Sequence[torch.Tensor]
) -> torch.Tensor:
    """Values on other devices; on the meta device, only their shape."""
    if inputs.is_meta:
        return _operator_values(runner, num_threads, inputs, weights)
    return runner.function()(inputs, joined(weights, inputs))


def _operator_values(
    runner: Runner, num_threads: tuple[int, int], inputs: torch.Tensor, weights: Sequence[torch.Tensor]
) -> torch.Tensor:
    outputs: torch.Tensor = operators.values(inputs, joined(weights, inputs), operators.text_for(runner), *num_threads)
    return outputs


def _remember(ctx: Any, runner: Runner, num_threads: tuple[int, int], variables: Tensors) -> None:
    """Keeps what derivatives need."""
    ctx.runner, ctx.num_threads, ctx.tape = runner, num_threads[1], None
    ctx.save_for_backward(*variables)
    ctx.save_for_forward(*variables)


class Values(torch.autograd.Function):
    """Values with gradients: those of a runner."""

    @staticmethod
    def forward(ctx: Any, runner: Runner, num_threads: tuple[int, int], *variables: torch.Tensor) -> torch.Tensor:
        # As `_remember`, in every step: save_for_forward first looks whether they are tensors.
        ctx.runner, ctx.num_threads, ctx.saved_for_forward = runner, num_threads[1], variables
        ctx.save_for_backward(*variables)
        is_recorded = True in ctx.needs_input_grad
        outputs, ctx.tape = runner.values(variables[0], variables[1:], num_threads[0], is_recorded)
        return outputs

    @staticmethod
    def backward(ctx: Any, cotangent: torch.Tensor) -> tuple[Any, ...]:
        if is_old_batch(cotangent):
            raise NotImplementedError(
                "QuantumModule: is_grads_batched and vectorize=True rest on an old vmap of PyTorch that takes no "
                "custom functions; use torch.func.jacrev or torch.func.vmap instead"
            )
        variables = ctx.saved_tensors  # raises if they were changed in place since
        wants, runner, threads = ctx.needs_input_grad[2:], ctx.runner, ctx.num_threads
        if torch.is_grad_enabled() or transforms_active():  # create_graph=True, or within torch.func
            slopes = iter(differentiable_gradients(runner, threads, wants, cotangent, *variables))
            return (None, None, *(next(slopes) if want else None for want in wants))
        if is_plain((cotangent, *variables)):  # in every step
            return (None, None, *runner.pull_back(cotangent, variables[0], variables[1:], wants, threads, ctx.tape))
        return (None, None, *gradients(runner, threads, wants, cotangent, variables[0], variables[1:]))

    @staticmethod
    def jvp(ctx: Any, *tangents: torch.Tensor | None) -> torch.Tensor:
        if not follows_directions(ctx.runner, tangents[2:]):
            return pushed_forward(values_function(ctx.runner), ctx.saved_tensors, tangents[2:])[0]
        change = pushed(ctx.runner, ctx.num_threads, ctx.saved_tensors, tangents[2:])
        assert change is not None  # PyTorch asks only where something moves
        return change


_apply = bare_apply(Values)


class WatchedValues(Values):
    """The same by operators, for tensors that are not plain."""

    @staticmethod
    def forward(ctx: Any, runner: Runner, num_threads: tuple[int, int], *variables: torch.Tensor) -> torch.Tensor:
        _remember(ctx, runner, num_threads, variables)
        return _operator_values(runner, num_threads, variables[0], variables[1:])


_apply_watched = bare_apply(WatchedValues)


class TransformableValues(Values):
    """The same for ``torch.func``, which wants the context set up separately; this takes more time per call."""

    @staticmethod
    def forward(  # type: ignore[override]
        runner: Runner, num_threads: tuple[int, int], inputs: torch.Tensor, *weights: torch.Tensor
    ) -> torch.Tensor:
        if is_plain((inputs, *weights)):
            return runner.values(inputs, weights, num_threads[0])[0]
        return _operator_values(runner, num_threads, inputs, weights)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        runner, num_threads, *variables = inputs
        _remember(ctx, runner, num_threads, tuple(variables))

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[Any, ...], runner: Runner, num_threads: tuple[int, int], *variables: torch.Tensor
    ) -> tuple[torch.Tensor, int]:
        def values_of(runner: Runner, inputs: torch.Tensor, *sets: torch.Tensor) -> torch.Tensor:
            return values(runner, num_threads, inputs, *sets)

        return mapped_values(info, in_dims[2:], runner, variables, values_of)


# It cannot trace the engine, and operators stand for it.
hide_from_compiler(
    [
        *(
            values,
            values_of_ready,
            undisturbed,
            Runners.__call__,
            _elsewhere,
            _operator_values,
            gradients,
            NativeRunner.values,
            NativeRunner.pull_back,
            NativeRunner.pull_backs,
            NativeRunner.values_along,
            NativeRunner.pull_back_along,
        ),
        differentiable_gradients,
        *(
            function.__func__
            for kind in (Values, WatchedValues, TransformableValues, Gradients, Pushed, Curved, Twice)
            for name, function in kind.__dict__.items()
            if name in ("forward", "backward")
        ),
    ]
)
