"""Gradients, and derivatives along directions, as functions that PyTorch differentiates.

With f the values and c a cotangent of them, derivatives of <c, f> along directions u, v of all variables are symmetric
multilinear forms, and the derivative of each is another such form:

    Gradients  g  = d<c, f>    its derivatives along u: Pushed D_u f (for c) and Curved D_u g (for the variables)
    Pushed     D_u f           pulled back: Curved (for the variables) and Gradients (for u)
    Curved     D_u g           pulled back along v: Twice, D_u D_v f and D_u D_v g, and Curved along v (for u)

The engine has them, as powers of t on the curve x + t u. Derivatives of Twice come from plain PyTorch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from .._core.plain import is_plain
from .._core.torch_internals import bare_apply, is_old_batch, transforms_active, unwrap_if_dead
from .._core.transforms import leading
from .._simulation.method import Optional, Runner
from .._simulation.native import NativeRunner, Tensors, chosen
from .calls import are_plain, gradients, gradients_along, values_along
from .choices import filled, halved, masked, placed, wanted, zeroed
from .derivatives import (
    curvature_function,
    dims_with_directions,
    gradient_function,
    mapped_curvature,
    mapped_gradients,
    mapped_pushed,
    pulled_back,
    pushed_forward,
    pushed_function,
    twice_function,
)
from .second import twice
from .several import several_gradients


def follows_directions(runner: Runner, directions: Sequence[torch.Tensor | None], power: int = 1) -> bool:
    """Whether the runner goes up to this power, and no direction is a batch of PyTorch's old vmap."""
    return runner.highest_power >= power and not any(
        direction is not None and is_old_batch(direction) for direction in directions
    )


def differentiable_gradients(
    runner: Runner, num_threads: int, wants: tuple[bool, ...], cotangent: torch.Tensor, *variables: torch.Tensor
) -> Tensors:
    """Gradients with respect to the wanted inputs and sets, with a graph."""
    slopes: Tensors = _applied(Gradients, runner, num_threads, wants, cotangent, *variables)
    return slopes


def _applied(function: type[torch.autograd.Function], *arguments: Any) -> Any:
    """``function.apply``, without the Python around it unless torch.func needs that."""
    if transforms_active() or torch.compiler.is_compiling():
        return function.apply(*arguments)  # type: ignore[no-untyped-call]
    return bare_apply(function)(*map(_unwrapped, arguments))


def _unwrapped(argument: Any) -> Any:
    return unwrap_if_dead(argument) if isinstance(argument, torch.Tensor) else argument


def pushed(runner: Runner, num_threads: int, variables: Tensors, directions: Optional) -> torch.Tensor | None:
    """Values along directions of inputs and sets, with a graph; None if all directions are None."""
    if all(direction is None for direction in directions):
        return None
    change: torch.Tensor = _applied(Pushed, runner, num_threads, *variables, *directions)
    return change


def curved(
    runner: Runner,
    num_threads: int,
    wants: tuple[bool, ...],
    cotangent: torch.Tensor,
    variables: Tensors,
    directions: Optional,
) -> Optional:
    """Wanted gradients along directions of inputs and sets, with a graph; None where not wanted."""
    if not any(wants) or all(direction is None for direction in directions):
        return (None,) * len(wants)
    return placed(_applied(Curved, runner, num_threads, wants, cotangent, *variables, *directions), wants)


def _sum(first: torch.Tensor | None, second: torch.Tensor | None) -> torch.Tensor | None:
    return first if second is None else second if first is None else first + second


def _keep(ctx: Any, inputs: tuple[Any, ...], first: int) -> None:
    """Remembers the runner, the number of threads, and the tensors from argument number `first` on."""
    ctx.runner, ctx.num_threads = inputs[:2]
    ctx.save_for_backward(*inputs[first:])
    ctx.save_for_forward(*inputs[first:])
    ctx.set_materialize_grads(False)


class _Wanted(torch.autograd.Function):
    """Of runner, number of threads, what is wanted, cotangent, and variables with their directions."""

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        _keep(ctx, inputs, 3)
        ctx.wants = inputs[2]


class Gradients(_Wanted):
    """Gradients of sum(cotangent * values) with respect to inputs and sets where wanted: differentiable themselves."""

    @staticmethod
    def forward(
        runner: Runner, num_threads: int, wants: tuple[bool, ...], cotangent: torch.Tensor, *variables: torch.Tensor
    ) -> Tensors:
        inputs, *weights = variables
        return chosen(gradients(runner, num_threads, wants, cotangent, inputs, weights))

    @staticmethod
    def backward(ctx: Any, *cotangents: torch.Tensor | None) -> tuple[Any, ...]:
        cotangent, *variables = ctx.saved_tensors
        if all(tensor is None for tensor in cotangents):
            return (None,) * (4 + len(variables))
        if not follows_directions(ctx.runner, cotangents):
            _, pull_back = pulled_back(gradient_function(ctx.runner, ctx.wants), cotangent, *variables)
            return (None, None, None, *pull_back(filled(cotangents, wanted(variables, ctx.wants))))
        directions = placed(cotangents, ctx.wants)
        along = pushed(ctx.runner, ctx.num_threads, variables, directions) if ctx.needs_input_grad[3] else None
        wants = tuple(ctx.needs_input_grad[4:])
        return (None, None, None, along, *curved(ctx.runner, ctx.num_threads, wants, cotangent, variables, directions))

    @staticmethod
    def jvp(ctx: Any, *tangents: torch.Tensor | None) -> Tensors:
        cotangent, *variables = ctx.saved_tensors
        if not follows_directions(ctx.runner, tangents[3:]):
            return pushed_forward(gradient_function(ctx.runner, ctx.wants), ctx.saved_tensors, tangents[3:])
        _, _, _, moved, *directions = tangents
        bent = curved(ctx.runner, ctx.num_threads, ctx.wants, cotangent, variables, directions)
        turned: Optional = (None,) * len(variables)
        if moved is not None:
            slopes = differentiable_gradients(ctx.runner, ctx.num_threads, ctx.wants, moved, *variables)
            turned = placed(slopes, ctx.wants)
        sums = [_sum(first, second) for first, second in zip(bent, turned, strict=True)]
        return filled(wanted(sums, ctx.wants), wanted(variables, ctx.wants))

    @staticmethod
    def vmap(
        info: Any,
        in_dims: tuple[Any, ...],
        runner: Runner,
        num_threads: int,
        wants: tuple[bool, ...],
        cotangent: torch.Tensor,
        *variables: torch.Tensor,
    ) -> tuple[Tensors, tuple[int, ...]]:
        if isinstance(runner, NativeRunner) and all(dim is None for dim in in_dims[4:]):
            cotangents = leading(cotangent, in_dims[3], info.batch_size)
            if is_plain((cotangents, *variables)):  # no other transform is active
                several = several_gradients(runner, num_threads, wants, cotangents, *variables)
                return several, (0,) * len(several)

        def gradient_of(runner: Runner, cotangent: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
            return differentiable_gradients(runner, num_threads, (True,), cotangent, inputs)[0]

        slopes = mapped_gradients(info, in_dims[3:], runner, cotangent, variables, gradient_of)
        return wanted(slopes, wants), (0,) * sum(wants)


class Pushed(torch.autograd.Function):
    """Derivative of the values along directions of inputs and sets; a direction that is None is zero."""

    @staticmethod
    def forward(runner: Runner, num_threads: int, *arguments: torch.Tensor | None) -> torch.Tensor:
        return values_along(runner, num_threads, *halved(arguments))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        _keep(ctx, inputs, 2)

    @staticmethod
    def backward(ctx: Any, cotangent: torch.Tensor | None) -> tuple[Any, ...]:
        variables, directions = halved(ctx.saved_tensors)
        if cotangent is None:
            return (None,) * (2 + 2 * len(variables))
        wants, of_directions = halved(ctx.needs_input_grad[2:])
        if not follows_directions(ctx.runner, (cotangent,)):
            _, pull_back = pulled_back(pushed_function(ctx.runner), *zeroed(ctx.saved_tensors))
            return (None, None, *masked(pull_back((cotangent,)), ctx.needs_input_grad[2:]))
        bent = curved(ctx.runner, ctx.num_threads, tuple(wants), cotangent, variables, directions)
        if not any(of_directions):
            return (None, None, *bent, *(None for _ in variables))
        slopes = differentiable_gradients(ctx.runner, ctx.num_threads, tuple(of_directions), cotangent, *variables)
        return (None, None, *bent, *placed(slopes, of_directions))

    @staticmethod
    def jvp(ctx: Any, *tangents: torch.Tensor | None) -> torch.Tensor:
        return pushed_forward(pushed_function(ctx.runner), zeroed(ctx.saved_tensors), tangents[2:])[0]

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[Any, ...], runner: Runner, num_threads: int, *arguments: torch.Tensor | None
    ) -> tuple[torch.Tensor, int]:
        def along(runner: Runner, variables: Tensors, directions: Optional) -> torch.Tensor:
            change = pushed(runner, num_threads, variables, directions)
            assert change is not None
            return change

        return mapped_pushed(info, in_dims[2:], runner, arguments, along)


class Curved(_Wanted):
    """Derivative of the wanted gradients along directions of inputs and sets; a direction that is None is zero."""

    @staticmethod
    def forward(
        runner: Runner,
        num_threads: int,
        wants: tuple[bool, ...],
        cotangent: torch.Tensor,
        *arguments: torch.Tensor | None,
    ) -> Tensors:
        return gradients_along(runner, num_threads, wants, cotangent, *halved(arguments))

    @staticmethod
    def backward(ctx: Any, *cotangents: torch.Tensor | None) -> tuple[Any, ...]:
        cotangent, *arguments = ctx.saved_tensors
        variables, _ = halved(arguments)
        if all(tensor is None for tensor in cotangents):
            return (None,) * (4 + len(arguments))
        wants, of_directions = ctx.needs_input_grad[3 : 4 + len(variables)], ctx.needs_input_grad[4 + len(variables) :]
        if not follows_directions(ctx.runner, cotangents, power=2):
            _, pull_back = pulled_back(curvature_function(ctx.runner, ctx.wants), cotangent, *zeroed(arguments))
            slopes = pull_back(filled(cotangents, wanted(variables, ctx.wants)))
            return (None, None, None, *masked(slopes, ctx.needs_input_grad[3:]))
        second = placed(cotangents, ctx.wants)
        derivatives: Optional = ()
        if any(wants):
            derivatives = _applied(Twice, ctx.runner, ctx.num_threads, wants, cotangent, *arguments, *second)
        of = curved(ctx.runner, ctx.num_threads, tuple(of_directions), cotangent, variables, second)
        return (None, None, None, *placed(derivatives, wants), *of)

    @staticmethod
    def jvp(ctx: Any, *tangents: torch.Tensor | None) -> Tensors:
        cotangent, *arguments = ctx.saved_tensors
        at = cotangent, *zeroed(arguments)
        return pushed_forward(curvature_function(ctx.runner, ctx.wants), at, tangents[3:])

    @staticmethod
    def vmap(
        info: Any,
        in_dims: tuple[Any, ...],
        runner: Runner,
        num_threads: int,
        wants: tuple[bool, ...],
        cotangent: torch.Tensor,
        *arguments: torch.Tensor | None,
    ) -> tuple[Tensors, tuple[int, ...]]:
        def curvature_of(
            runner: Runner, cotangent: torch.Tensor, inputs: torch.Tensor, direction: torch.Tensor
        ) -> torch.Tensor:
            slope = curved(runner, num_threads, (True,), cotangent, (inputs,), (direction,))[0]
            assert slope is not None
            return slope

        slopes = mapped_curvature(info, in_dims[3:], runner, cotangent, arguments, curvature_of)
        return wanted(slopes, wants), (0,) * sum(wants)


class Twice(_Wanted):
    """Second derivatives of the values, and of gradients, along two directions of inputs and sets, where wanted.

    Its own derivatives, which would be the fourth of values, come from plain PyTorch.
    """

    @staticmethod
    def forward(
        runner: Runner,
        num_threads: int,
        wants: tuple[bool, ...],
        cotangent: torch.Tensor,
        *arguments: torch.Tensor | None,
    ) -> Tensors:
        if not are_plain((cotangent, *arguments)):
            return twice_function(runner, wants)(cotangent, *zeroed(arguments, 2))
        third = len(arguments) // 3
        variables: Any = arguments[:third]
        directions = arguments[third : 2 * third], arguments[2 * third :]
        values, slopes = twice(runner, num_threads, wants, cotangent, variables, directions)
        return filled(wanted((values, *slopes), wants), wanted((cotangent, *variables), wants))

    @staticmethod
    def backward(ctx: Any, *cotangents: torch.Tensor | None) -> tuple[Any, ...]:
        cotangent, *arguments = ctx.saved_tensors
        at = cotangent, *zeroed(arguments, 2)
        outputs, pull_back = pulled_back(twice_function(ctx.runner, ctx.wants), *at)
        slopes = pull_back(filled(cotangents, outputs))
        return (None, None, None, *masked(slopes, ctx.needs_input_grad[3:]))

    @staticmethod
    def jvp(ctx: Any, *tangents: torch.Tensor | None) -> Tensors:
        cotangent, *arguments = ctx.saved_tensors
        at = cotangent, *zeroed(arguments, 2)
        return pushed_forward(twice_function(ctx.runner, ctx.wants), at, tangents[3:])

    @staticmethod
    def vmap(
        info: Any,
        in_dims: tuple[Any, ...],
        runner: Runner,
        num_threads: int,
        wants: tuple[bool, ...],
        cotangent: torch.Tensor,
        *arguments: torch.Tensor | None,
    ) -> tuple[Tensors, tuple[int, ...]]:
        dims = dims_with_directions(in_dims[4:], arguments, 2)
        mapped = torch.func.vmap(twice_function(runner, wants), (in_dims[3], *dims))
        derivatives: Tensors = mapped(cotangent, *zeroed(arguments, 2))
        return derivatives, (0,) * len(derivatives)
