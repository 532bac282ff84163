"""The native engine as differentiable PyTorch functions.

Values and gradients come from the engine; derivatives of gradients, and forward-mode derivatives, from the same circuit
in plain PyTorch. Everything composes with ``torch.func``: a batch of weights (an ensemble) becomes one native call in
which the weights are inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch

from .._core.plain import is_plain, is_tracing
from .._core.transforms import is_forward_twice, is_functionalized, transforms_active
from .._program.program import Program
from .._simulation import pytorch
from .._simulation.native import Optional, Tape, Tensors, chosen, joined, native_gradients, native_values
from . import operators
from .derivatives import (
    gradient_function,
    mapped_gradients,
    mapped_values,
    pulled_back,
    pushed_forward,
    values_function,
)
from .sharding import prepare_for

# Private names of PyTorch; without them every call goes the general way.
_is_old_batch: Callable[[torch.Tensor], bool] = getattr(
    torch._C._functorch, "is_legacy_batchedtensor", lambda tensor: False
)
_unwrap_if_dead: Callable[[torch.Tensor], torch.Tensor] = getattr(
    torch._C._functorch, "unwrap_if_dead", lambda tensor: tensor
)


def expectation_values(
    program: Program, num_threads: tuple[int, int], inputs: torch.Tensor, *weights: torch.Tensor
) -> torch.Tensor:
    """Values (B, M) of inputs (B, N) and sets of weights, derived variables included; differentiable.

    Args:
        program: Compiled circuit.
        num_threads: For values and for gradients; 0: as ``torch.get_num_threads()``.
        inputs: Of the same dtype as the weights, float32 or float64.
        weights: Sets of weights.
    """
    if not inputs.is_cpu:
        return _elsewhere(program, num_threads, inputs, weights)
    if is_plain((inputs, *weights)):
        return _apply(program, num_threads, *map(_unwrap_if_dead, (inputs, *weights)))
    if is_tracing() or (transforms_active() and is_functionalized()):  # which take no Python functions
        return _operator_values(program, num_threads, inputs, weights)
    if transforms_active():
        if is_forward_twice((inputs, *weights)):
            return pytorch.expectation_values(program, inputs, joined(weights, inputs))
        values: torch.Tensor = TransformableValues.apply(program, num_threads, inputs, *weights)  # type: ignore[no-untyped-call]
        return values
    prepare_for((inputs, *weights))
    return _apply_watched(program, num_threads, *map(_unwrap_if_dead, (inputs, *weights)))


def _elsewhere(
    program: Program, num_threads: tuple[int, int], inputs: torch.Tensor, weights: Sequence[torch.Tensor]
) -> torch.Tensor:
    """Values on other devices; on that without values, only their shape."""
    if inputs.is_meta:
        return _operator_values(program, num_threads, inputs, weights)
    return pytorch.expectation_values(program, inputs, joined(weights, inputs))


def _operator_values(
    program: Program, num_threads: tuple[int, int], inputs: torch.Tensor, weights: Sequence[torch.Tensor]
) -> torch.Tensor:
    values: torch.Tensor = operators.values(inputs, joined(weights, inputs), operators.text_of(program), *num_threads)
    return values


def _gradients(
    program: Program,
    num_threads: int,
    wants: Sequence[bool],
    cotangent: torch.Tensor,
    inputs: torch.Tensor,
    weights: Sequence[torch.Tensor],
    tape: Tape | None = None,
) -> Optional:
    """Gradients without a graph: by pointer where tensors are plain, by the operator where they are not."""
    if not torch.compiler.is_compiling() and is_plain((cotangent, inputs, *weights)):
        return native_gradients(program, num_threads, wants, cotangent, inputs, weights, tape)
    text = operators.text_of(program)
    first, second = operators.gradients(cotangent, inputs, joined(weights, inputs), text, num_threads)
    parts = (first, *torch.split(second, [len(one) for one in weights]))
    return tuple(part if want else None for part, want in zip(parts, wants, strict=True))


def _remember(
    ctx: Any, program: Program, num_threads: tuple[int, int], inputs: torch.Tensor, weights: Sequence[torch.Tensor]
) -> None:
    """What the way back needs."""
    ctx.program, ctx.num_threads = program, num_threads[1]
    ctx.save_for_backward(inputs, *weights)
    ctx.save_for_forward(inputs, *weights)


class ExpectationValues(torch.autograd.Function):
    """Values with gradients: one adjoint state for all observables, swept back once.

    Source: Meyer et al., arXiv:2404.06314; Jones and Gacon, arXiv:2009.02823.
    """

    @staticmethod
    def forward(
        ctx: Any, program: Program, num_threads: tuple[int, int], inputs: torch.Tensor, *weights: torch.Tensor
    ) -> torch.Tensor:
        _remember(ctx, program, num_threads, inputs, weights)
        values, ctx.tape = native_values(program, num_threads[0], inputs, weights, any(ctx.needs_input_grad))
        return values

    @staticmethod
    def backward(ctx: Any, cotangent: torch.Tensor) -> tuple[Any, ...]:
        if _is_old_batch(cotangent):
            raise NotImplementedError(
                "QuantumModule: is_grads_batched and vectorize=True rest on an old vmap of PyTorch that takes no "
                "custom functions; use torch.func.jacrev or torch.func.vmap instead"
            )
        wants = ctx.needs_input_grad[2:]
        inputs, *weights = ctx.saved_tensors  # raises if they were changed in place since
        if torch.is_grad_enabled() or transforms_active():  # create_graph=True, or within torch.func
            found = iter(differentiable_gradients(ctx.program, ctx.num_threads, wants, cotangent, inputs, *weights))
            return (None, None, *(next(found) if want else None for want in wants))
        tape = getattr(ctx, "tape", None)
        return (None, None, *_gradients(ctx.program, ctx.num_threads, wants, cotangent, inputs, weights, tape))

    @staticmethod
    def jvp(ctx: Any, *tangents: torch.Tensor | None) -> torch.Tensor:
        return pushed_forward(values_function(ctx.program), ctx.saved_tensors, tangents[2:])[0]


# `apply` without the Python that PyTorch has around it for the sake of torch.func, which takes 3 us.
_apply: Callable[..., torch.Tensor] = super(torch.autograd.Function, ExpectationValues).apply


class WatchedValues(ExpectationValues):
    """The same by operators, for tensors that are not plain."""

    @staticmethod
    def forward(
        ctx: Any, program: Program, num_threads: tuple[int, int], inputs: torch.Tensor, *weights: torch.Tensor
    ) -> torch.Tensor:
        _remember(ctx, program, num_threads, inputs, weights)
        return _operator_values(program, num_threads, inputs, weights)


_apply_watched: Callable[..., torch.Tensor] = super(torch.autograd.Function, WatchedValues).apply


class TransformableValues(ExpectationValues):
    """The same for ``torch.func``, which wants the context set up apart; this costs more time a call."""

    @staticmethod
    def forward(  # type: ignore[override]
        program: Program, num_threads: tuple[int, int], inputs: torch.Tensor, *weights: torch.Tensor
    ) -> torch.Tensor:
        if is_plain((inputs, *weights)):
            return native_values(program, num_threads[0], inputs, weights)[0]
        return _operator_values(program, num_threads, inputs, weights)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        program, num_threads, rows, *weights = inputs
        _remember(ctx, program, num_threads, rows, weights)

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[Any, ...], program: Program, num_threads: tuple[int, int], *variables: torch.Tensor
    ) -> tuple[torch.Tensor, int]:
        def values_of(program: Program, inputs: torch.Tensor, *sets: torch.Tensor) -> torch.Tensor:
            return expectation_values(program, num_threads, inputs, *sets)

        return mapped_values(info, in_dims[2:], program, variables, values_of)


class Gradients(torch.autograd.Function):
    """Gradients of sum(cotangent * values) with respect to inputs and sets where wanted: differentiable themselves."""

    @staticmethod
    def forward(
        program: Program, num_threads: int, wants: tuple[bool, ...], cotangent: torch.Tensor, *variables: torch.Tensor
    ) -> Tensors:
        inputs, *weights = variables
        return chosen(_gradients(program, num_threads, wants, cotangent, inputs, weights))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.program, ctx.wants = inputs[0], inputs[2]
        ctx.save_for_backward(*inputs[3:])
        ctx.save_for_forward(*inputs[3:])

    @staticmethod
    def backward(ctx: Any, *cotangents: torch.Tensor) -> tuple[Any, ...]:
        _, pull_back = pulled_back(gradient_function(ctx.program, ctx.wants), *ctx.saved_tensors)
        return (None, None, None, *pull_back(cotangents))

    @staticmethod
    def jvp(ctx: Any, *tangents: torch.Tensor | None) -> Tensors:
        return pushed_forward(gradient_function(ctx.program, ctx.wants), ctx.saved_tensors, tangents[3:])

    @staticmethod
    def vmap(
        info: Any,
        in_dims: tuple[Any, ...],
        program: Program,
        num_threads: int,
        wants: tuple[bool, ...],
        cotangent: torch.Tensor,
        *variables: torch.Tensor,
    ) -> tuple[Tensors, tuple[int, ...]]:
        def gradient_of(program: Program, cotangent: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
            return differentiable_gradients(program, num_threads, (True,), cotangent, inputs)[0]

        found = mapped_gradients(info, in_dims[3:], program, cotangent, variables, gradient_of)
        wanted = tuple(part for part, want in zip(found, wants, strict=True) if want)
        return wanted, (0,) * len(wanted)


def differentiable_gradients(
    program: Program, num_threads: int, wants: tuple[bool, ...], cotangent: torch.Tensor, *variables: torch.Tensor
) -> Tensors:
    """Gradients with respect to the wanted ones of inputs and sets, with a graph."""
    found: Tensors = Gradients.apply(program, num_threads, wants, cotangent, *variables)  # type: ignore[no-untyped-call]
    return found


def _hide_from_compiler(functions: Iterable[Any]) -> None:
    """Lets ``torch.compile`` run functions as they are: it cannot trace the engine, and operators stand for it.

    Without ``torch.compiler.disable``, which takes a second to import.
    """
    skip_code = getattr(torch._C._dynamo.eval_frame, "skip_code", lambda code: None)
    for function in functions:
        skip_code(function.__code__)


_hide_from_compiler(
    [
        *(expectation_values, _elsewhere, _operator_values, _gradients, native_values, native_gradients),
        differentiable_gradients,
        *(
            function.__func__
            for kind in (ExpectationValues, WatchedValues, TransformableValues, Gradients)
            for name, function in kind.__dict__.items()
            if name in ("forward", "backward")
        ),
    ]
)
