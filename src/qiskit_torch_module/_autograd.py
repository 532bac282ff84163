"""The native engine as differentiable PyTorch functions.

Values and gradients come from the engine; derivatives of gradients, and forward-mode derivatives, from the same circuit
in plain PyTorch. Everything composes with ``torch.func``: a batch of weights (an ensemble) becomes one native call in
which the weights are inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from . import _torch_engine
from ._engine import Tape32, Tape64
from ._program import Program

Tensors = tuple[torch.Tensor, ...]
Tape = Tape32 | Tape64
Optional = tuple[torch.Tensor | None, ...]

# Private names of PyTorch; without them every call goes the general way.
_is_old_batch: Callable[[torch.Tensor], bool] = getattr(
    torch._C._functorch, "is_legacy_batchedtensor", lambda tensor: False
)
_transforms_active: Callable[[], bool] = getattr(torch._C, "_are_functorch_transforms_active", lambda: True)
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
        return _torch_engine.expectation_values(program, inputs, joined(weights, inputs))
    values: torch.Tensor
    if _transforms_active():
        values = TransformableValues.apply(program, num_threads, inputs, *weights)  # type: ignore[no-untyped-call]
    else:
        values = _apply(program, num_threads, *map(_unwrap_if_dead, (inputs, *weights)))
    return values


def native_values(
    program: Program, num_threads: int, inputs: torch.Tensor, weights: Sequence[torch.Tensor], recorded: bool = False
) -> tuple[torch.Tensor, Tape | None]:
    """Values (B, M) without a graph; if recorded, with the states on the way where gradients are faster with them."""
    engine, size = program.engine, inputs.shape[0]
    values = inputs.new_empty(size, program.num_observables)
    write = engine.write_values_float64 if inputs.dtype is torch.float64 else engine.write_values_float32
    return values, write(inputs, size, weights, values, num_threads or torch.get_num_threads(), recorded)


def native_gradients(
    program: Program,
    num_threads: int,
    wants: Sequence[bool],
    cotangent: torch.Tensor,
    inputs: torch.Tensor,
    weights: Sequence[torch.Tensor],
    tape: Tape | None = None,
) -> Optional:
    """Gradients with respect to the inputs and each set, without a graph; None where not wanted."""
    engine = program.engine
    # Contiguous; sizes one by one, because PyTorch takes longer for a tuple, or for `empty_like`.
    found = [one.new_empty(*one.shape) if want else None for one, want in zip((inputs, *weights), wants, strict=True)]
    write: Any = engine.write_gradients_float64 if inputs.dtype is torch.float64 else engine.write_gradients_float32
    threads = num_threads or torch.get_num_threads()
    write(inputs, inputs.shape[0], weights, cotangent, found[0], found[1:], threads, tape)
    return tuple(found)


def joined(weights: Sequence[torch.Tensor], inputs: torch.Tensor) -> torch.Tensor:
    """All weights in one vector; an empty one of the dtype of the inputs where there are none."""
    if len(weights) == 1:
        return weights[0]
    return torch.cat(tuple(weights)) if weights else inputs.new_empty(0)


class ExpectationValues(torch.autograd.Function):
    """Values with gradients: one adjoint state for all observables, swept back once.

    Source: Meyer et al., arXiv:2404.06314; Jones and Gacon, arXiv:2009.02823.
    """

    @staticmethod
    def forward(
        ctx: Any, program: Program, num_threads: tuple[int, int], inputs: torch.Tensor, *weights: torch.Tensor
    ) -> torch.Tensor:
        ctx.program, ctx.num_threads = program, num_threads[1]
        ctx.save_for_backward(inputs, *weights)
        ctx.save_for_forward(inputs, *weights)
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
        if torch.is_grad_enabled() or _transforms_active():  # create_graph=True, or within torch.func
            found = iter(differentiable_gradients(ctx.program, ctx.num_threads, wants, cotangent, inputs, *weights))
            return (None, None, *(next(found) if want else None for want in wants))
        tape = getattr(ctx, "tape", None)
        return (None, None, *native_gradients(ctx.program, ctx.num_threads, wants, cotangent, inputs, weights, tape))

    @staticmethod
    def jvp(ctx: Any, *tangents: torch.Tensor | None) -> torch.Tensor:
        inputs, *weights = ctx.saved_tensors
        function = _values_function(ctx.program)
        return _jvp(function, (inputs, *weights), tangents[2:])[0]


# `apply` without the Python that PyTorch has around it for the sake of torch.func, which takes 3 us.
_apply: Callable[..., torch.Tensor] = super(torch.autograd.Function, ExpectationValues).apply


class TransformableValues(ExpectationValues):
    """The same for ``torch.func``, which wants the context set up apart; this costs more time a call."""

    @staticmethod
    def forward(  # type: ignore[override]
        program: Program, num_threads: tuple[int, int], inputs: torch.Tensor, *weights: torch.Tensor
    ) -> torch.Tensor:
        return native_values(program, num_threads[0], inputs, weights)[0]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.program, ctx.num_threads = inputs[0], inputs[1][1]
        ctx.save_for_backward(*inputs[2:])
        ctx.save_for_forward(*inputs[2:])

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[Any, ...], program: Program, num_threads: tuple[int, int], *variables: torch.Tensor
    ) -> tuple[torch.Tensor, int]:
        if all(dim is None for dim in in_dims[3:]):
            inputs = _leading(variables[0], in_dims[2], info.batch_size)
            flat, sets = inputs.flatten(0, 1).contiguous(), variables[1:]
        else:
            program, flat, sets = program.unshared, _unshared(info, in_dims[2:], variables), ()
        values = expectation_values(program, num_threads, flat, *sets)
        return values.reshape(info.batch_size, -1, values.shape[1]), 0


class Gradients(torch.autograd.Function):
    """Gradients of sum(cotangent * values) with respect to inputs and sets where wanted: differentiable themselves."""

    @staticmethod
    def forward(
        program: Program, num_threads: int, wants: tuple[bool, ...], cotangent: torch.Tensor, *variables: torch.Tensor
    ) -> Tensors:
        inputs, *weights = variables
        return chosen(native_gradients(program, num_threads, wants, cotangent, inputs, weights))

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
        return _jvp(gradient_function(ctx.program, ctx.wants), ctx.saved_tensors, tangents[3:])

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
        # Weight gradients are summed over the batch, but not over what is mapped: every sample has its own weights.
        flat = _unshared(info, in_dims[4:], variables)
        cotangents = _leading(cotangent, in_dims[3], info.batch_size).flatten(0, 1).contiguous()
        sizes = [variables[0].shape[-1]]
        sizes += [
            one.shape[-1] if dim is None else one.movedim(dim, 0).shape[-1]
            for one, dim in zip(variables[1:], in_dims[5:], strict=True)
        ]
        if in_dims[4] is not None:
            sizes[0] = variables[0].movedim(in_dims[4], 0).shape[-1]
        (gradient,) = differentiable_gradients(program.unshared, num_threads, (True,), cotangents, flat)
        parts = torch.split(gradient.reshape(info.batch_size, -1, gradient.shape[1]), sizes, dim=-1)
        found = (parts[0], *(part.sum(1) for part in parts[1:]))
        chosen = tuple(part for part, want in zip(found, wants, strict=True) if want)
        return chosen, (0,) * len(chosen)


def differentiable_gradients(
    program: Program, num_threads: int, wants: tuple[bool, ...], cotangent: torch.Tensor, *variables: torch.Tensor
) -> Tensors:
    """Gradients with respect to the wanted ones of inputs and sets, with a graph."""
    found: Tensors = Gradients.apply(program, num_threads, wants, cotangent, *variables)  # type: ignore[no-untyped-call]
    return found


def chosen(found: Optional) -> Tensors:
    """The wanted gradients."""
    return tuple(gradient for gradient in found if gradient is not None)


def _leading(tensor: torch.Tensor, dim: int | None, size: int) -> torch.Tensor:
    """The mapped dimension in front, or the tensor repeated along it."""
    return tensor.expand(size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)


def _unshared(info: Any, in_dims: Sequence[int | None], variables: Sequence[torch.Tensor]) -> torch.Tensor:
    """Inputs and weights side by side for every sample of every element that is mapped: rows (V * B, N + W)."""
    inputs, *weights = (_leading(one, dim, info.batch_size) for one, dim in zip(variables, in_dims, strict=True))
    columns = [inputs, *(one[:, None, :].expand(-1, inputs.shape[1], -1) for one in weights)]
    return torch.cat(columns, dim=2).flatten(0, 1).contiguous()


def pulled_back(function: Callable[..., Tensors], *at: torch.Tensor) -> tuple[Tensors, Callable[..., Tensors]]:
    """Values of a function, and what turns cotangents of them into gradients."""
    outputs, pull_back, *_ = torch.func.vjp(function, *at)
    return outputs, pull_back


def _values_function(program: Program) -> Callable[..., Tensors]:
    def values(inputs: torch.Tensor, *weights: torch.Tensor) -> Tensors:
        return (_torch_engine.expectation_values(program, inputs, joined(weights, inputs)),)

    return values


def gradient_function(program: Program, wants: tuple[bool, ...]) -> Callable[..., Tensors]:
    def gradients(cotangent: torch.Tensor, *variables: torch.Tensor) -> Tensors:
        _, pull_back = pulled_back(_values_function(program), *variables)
        return tuple(one for one, want in zip(pull_back((cotangent,)), wants, strict=True) if want)

    return gradients


def _jvp(function: Callable[..., Tensors], at: Sequence[torch.Tensor], tangents: Sequence[Any]) -> Tensors:
    """Forward-mode derivative from two reverse ones: the pull-back is linear, and its transpose pushes forward."""
    outputs, pull_back = pulled_back(function, *at)
    _, push_forward = pulled_back(lambda *cotangents: pull_back(cotangents), *map(torch.zeros_like, outputs))
    filled = tuple(torch.zeros_like(one) if t is None else t for one, t in zip(at, tangents, strict=True))
    pushed: Tensors = push_forward(filled)
    return pushed
