"""The variables of blocks as differentiable functions of their arguments.

Where tensors are plain, NumPy computes them; a trace, the compiler or a mode sees registered operators, which take a
block as text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from .._core.plain import is_plain, is_tracing
from .._core.torch_internals import will_execute
from .._core.transforms import is_forward_twice, leading
from .._program.blocks import AmplitudeBlock, Block, block_of
from .._program.synthesis import Real


def variables_of(block: Block, arguments: torch.Tensor) -> torch.Tensor:
    """Variables (R, size) of a block for arguments (R, m), computed in double precision; differentiable."""
    variables: torch.Tensor
    if torch.compiler.is_compiling() or is_tracing():
        variables = block_variables(arguments, block.text)
    else:
        if is_forward_twice((arguments,)):
            raise NotImplementedError(
                f"{block.name}: forward-mode derivatives of forward-mode derivatives are not supported with respect to "
                "its parameters; use torch.func.hessian or jacfwd(jacrev(f)) instead of jacfwd(jacfwd(f))"
            )
        variables = _Variables.apply(block, arguments)  # type: ignore[no-untyped-call]
    return variables


def _numbers(tensor: torch.Tensor) -> Real:
    return tensor.detach().to("cpu", torch.float64).numpy()


def _like(tensor: torch.Tensor, values: npt.NDArray[Any]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values)).to(tensor)


def _computed(block: Block, arguments: torch.Tensor) -> torch.Tensor:
    rows = _numbers(arguments)
    if np.isfinite(rows).all():
        return _like(arguments, block.angles(rows))
    values = np.full((len(rows), block.size), np.nan)  # the engine says which input it is
    return _like(arguments, values)


def _computed_change(block: Block, forward: bool, vectors: torch.Tensor, arguments: torch.Tensor) -> torch.Tensor:
    move = block.push_forward if forward else block.pull_back
    return _like(arguments, move(_numbers(arguments), _numbers(vectors)))


class _Variables(torch.autograd.Function):
    @staticmethod
    def forward(block: Block, arguments: torch.Tensor) -> torch.Tensor:
        return _computed(block, arguments) if is_plain((arguments,)) else block_variables(arguments, block.text)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.block = inputs[0]
        ctx.save_for_backward(inputs[1])
        ctx.save_for_forward(inputs[1])

    @staticmethod
    def backward(ctx: Any, cotangent: torch.Tensor) -> tuple[None, torch.Tensor]:
        return None, _moved(ctx.block, False, cotangent, *ctx.saved_tensors)

    @staticmethod
    def jvp(ctx: Any, _: None, tangent: torch.Tensor) -> torch.Tensor:
        return _moved(ctx.block, True, tangent, *ctx.saved_tensors)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], block: Block, arguments: torch.Tensor) -> tuple[torch.Tensor, int]:
        return _mapped(info, in_dims[1:], lambda flat: variables_of(block, flat), (arguments,)), 0


def _moved(block: Block, forward: bool, vectors: torch.Tensor, arguments: torch.Tensor) -> torch.Tensor:
    """Changes of arguments pushed forward, or gradients with respect to variables pulled back; differentiable."""
    moved: torch.Tensor = _Moved.apply(block, forward, vectors, arguments)  # type: ignore[no-untyped-call]
    return moved


def _is_wanted(ctx: Any, index: int) -> bool:
    """Whether the derivative by the last tensor is: PyTorch says which may be, only a private function which are."""
    if not ctx.needs_input_grad[index]:
        return False
    try:
        return bool(will_execute(ctx.next_functions[-1][0]))
    except RuntimeError:  # a leaf of backward()
        return True


def _require_second(block: Block) -> None:
    if not isinstance(block, AmplitudeBlock):
        raise NotImplementedError(
            f"{block.name} has first derivatives only with respect to its parameters; detach them, differentiate once "
            "(no create_graph=True, no torch.func.hessian), or give it a definition in terms of its parameters"
        )


def _refuse_third(block: Block) -> None:
    raise NotImplementedError(
        f"{block.name} has first and second derivatives only with respect to its amplitudes; detach them, or "
        "differentiate twice at most"
    )


class _OfBlock(torch.autograd.Function):
    """A block, a direction, and tensors."""

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.block, ctx.forwards = inputs[:2]
        ctx.save_for_backward(*inputs[2:])
        ctx.save_for_forward(*inputs[2:])


class _Moved(_OfBlock):
    """Linear in the vectors."""

    @staticmethod
    def forward(block: Block, forward: bool, vectors: torch.Tensor, arguments: torch.Tensor) -> torch.Tensor:
        if is_plain((vectors, arguments)):
            return _computed_change(block, forward, vectors, arguments)
        change: torch.Tensor = block_change(vectors, arguments, block.text, forward)
        return change

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[Any, ...]:
        vectors, arguments = ctx.saved_tensors
        moved = _moved(ctx.block, not ctx.forwards, gradient, arguments)
        if not _is_wanted(ctx, 3):
            return None, None, moved, None
        first, second = (gradient, vectors) if ctx.forwards else (vectors, gradient)
        return None, None, moved, _bent(ctx.block, False, first, second, arguments)

    @staticmethod
    def jvp(ctx: Any, _: None, __: None, tangent: torch.Tensor | None, change: torch.Tensor | None) -> torch.Tensor:
        vectors, arguments = ctx.saved_tensors
        parts = []
        if tangent is not None:
            parts.append(_moved(ctx.block, ctx.forwards, tangent, arguments))
        if change is not None:
            parts.append(_bent(ctx.block, ctx.forwards, vectors, change, arguments))
        return sum(parts[1:], parts[0])

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[Any, ...], block: Block, forward: bool, *tensors: torch.Tensor
    ) -> tuple[torch.Tensor, int]:
        return _mapped(info, in_dims[2:], lambda *flat: _moved(block, forward, *flat), tensors), 0


def _mapped(
    info: Any, in_dims: Sequence[int | None], function: Callable[..., torch.Tensor], tensors: Sequence[torch.Tensor]
) -> torch.Tensor:
    """A function of rows, on rows of rows."""
    stacked = [leading(tensor, dim, info.batch_size) for tensor, dim in zip(tensors, in_dims, strict=True)]
    results = function(*(rows.flatten(0, 1) for rows in stacked))
    return results.reshape(*stacked[0].shape[:2], *results.shape[1:])  # not by -1: there may be no rows


def _bent(
    block: Block, forward: bool, first: torch.Tensor, second: torch.Tensor, arguments: torch.Tensor
) -> torch.Tensor:
    """How `_moved` changes with the arguments: by two changes of them, or by gradients and a change pulled back."""
    _require_second(block)
    bent: torch.Tensor = _Bent.apply(block, forward, first, second, arguments)  # type: ignore[no-untyped-call]
    return bent


def _computed_bend(
    block: Block, forward: bool, first: torch.Tensor, second: torch.Tensor, arguments: torch.Tensor
) -> torch.Tensor:
    assert isinstance(block, AmplitudeBlock)
    bend = block.bend_forward if forward else block.bend
    return _like(arguments, bend(_numbers(arguments), _numbers(first), _numbers(second)))


def _bend_gradients(
    ctx: Any, index: int, wants: Sequence[bool], gradient: torch.Tensor, bend: Callable[..., torch.Tensor]
) -> list[torch.Tensor | None]:
    """Gradients with respect to the first two tensors: one form of three vectors stands behind all of them."""
    if _is_wanted(ctx, index):
        _refuse_third(ctx.block)
    first, second, arguments = ctx.saved_tensors
    gradients: list[torch.Tensor | None] = [None, None]
    if wants[0]:
        pair = (gradient, second) if ctx.forwards else (second, gradient)
        gradients[0] = bend(not ctx.forwards, *pair, arguments)
    if wants[1]:
        gradients[1] = bend(False, *((gradient, first) if ctx.forwards else (first, gradient)), arguments)
    return gradients


class _Bent(_OfBlock):
    """Linear in the first two tensors, and differentiable only in them."""

    @staticmethod
    def forward(
        block: Block, forward: bool, first: torch.Tensor, second: torch.Tensor, arguments: torch.Tensor
    ) -> torch.Tensor:
        if is_plain((first, second, arguments)):
            return _computed_bend(block, forward, first, second, arguments)
        bent: torch.Tensor = block_bend(first, second, arguments, block.text, forward)
        return bent

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[Any, ...]:
        wants = ctx.needs_input_grad[2:4]
        return None, None, *_bend_gradients(ctx, 4, wants, gradient, lambda *own: _bent(ctx.block, *own)), None

    @staticmethod
    def jvp(ctx: Any, _: None, __: None, *tangents: torch.Tensor | None) -> torch.Tensor | None:
        if tangents[2] is not None:
            _refuse_third(ctx.block)
        first, second, arguments = ctx.saved_tensors
        parts = []
        if tangents[0] is not None:
            parts.append(_bent(ctx.block, ctx.forwards, tangents[0], second, arguments))
        if tangents[1] is not None:
            parts.append(_bent(ctx.block, ctx.forwards, first, tangents[1], arguments))
        return sum(parts[1:], parts[0])

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[Any, ...], block: Block, forward: bool, *tensors: torch.Tensor
    ) -> tuple[torch.Tensor, int]:
        return _mapped(info, in_dims[2:], lambda *flat: _bent(block, forward, *flat), tensors), 0


# Written out: PyTorch 2.4 does not read annotations that are strings.
_VARIABLES = "(Tensor arguments, str block) -> Tensor"
_CHANGE = "(Tensor vectors, Tensor arguments, str block, bool forward) -> Tensor"
_BEND = "(Tensor first, Tensor second, Tensor arguments, str block, bool forward) -> Tensor"


@torch.library.custom_op("qiskit_torch_module::block_variables", mutates_args=(), schema=_VARIABLES)
def block_variables(arguments: torch.Tensor, block: str) -> torch.Tensor:
    """Variables (R, size) of a block for arguments (R, m)."""
    return _computed(block_of(block), arguments)


@block_variables.register_fake
def _(arguments: torch.Tensor, block: str) -> torch.Tensor:
    return arguments.new_empty(arguments.shape[0], block_of(block).size)


@torch.library.custom_op("qiskit_torch_module::block_change", mutates_args=(), schema=_CHANGE)
def block_change(vectors: torch.Tensor, arguments: torch.Tensor, block: str, forward: bool) -> torch.Tensor:
    """Changes of arguments (R, m) pushed forward, or gradients with respect to variables (R, size) pulled back."""
    return _computed_change(block_of(block), forward, vectors, arguments)


@block_change.register_fake
def _(vectors: torch.Tensor, arguments: torch.Tensor, block: str, forward: bool) -> torch.Tensor:
    return arguments.new_empty(arguments.shape[0], block_of(block).size if forward else arguments.shape[1])


@torch.library.custom_op("qiskit_torch_module::block_bend", mutates_args=(), schema=_BEND)
def block_bend(
    first: torch.Tensor, second: torch.Tensor, arguments: torch.Tensor, block: str, forward: bool
) -> torch.Tensor:
    """Second derivatives: along two changes of arguments (R, m), or by gradients (R, size) and along one change."""
    return _computed_bend(block_of(block), forward, first, second, arguments)


@block_bend.register_fake
def _(first: torch.Tensor, second: torch.Tensor, arguments: torch.Tensor, block: str, forward: bool) -> torch.Tensor:
    return arguments.new_empty(arguments.shape[0], block_of(block).size if forward else arguments.shape[1])


def _keep_for_variables(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    ctx.save_for_backward(inputs[0])
    ctx.text = inputs[1]


def _variables_backward(ctx: Any, cotangent: torch.Tensor) -> tuple[torch.Tensor, None]:
    return block_change(cotangent, *ctx.saved_tensors, ctx.text, False), None


def _keep_for_change(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    ctx.save_for_backward(*inputs[:2])
    ctx.text, ctx.forwards = inputs[2:]


def _change_backward(ctx: Any, gradient: torch.Tensor) -> tuple[Any, ...]:
    vectors, arguments = ctx.saved_tensors
    bent = None
    if _is_wanted(ctx, 1):
        _require_second(block_of(ctx.text))
        pair = (gradient, vectors) if ctx.forwards else (vectors, gradient)
        bent = block_bend(*pair, arguments, ctx.text, False)
    return block_change(gradient, arguments, ctx.text, not ctx.forwards), bent, None, None


def _keep_for_bend(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    ctx.save_for_backward(*inputs[:3])
    ctx.text, ctx.forwards = inputs[3:]


def _bend_backward(ctx: Any, gradient: torch.Tensor) -> tuple[Any, ...]:
    def bend(forward: bool, first: torch.Tensor, second: torch.Tensor, arguments: torch.Tensor) -> torch.Tensor:
        bent: torch.Tensor = block_bend(first, second, arguments, ctx.text, forward)
        return bent

    ctx.block = block_of(ctx.text)
    return *_bend_gradients(ctx, 2, ctx.needs_input_grad[:2], gradient, bend), None, None, None


def _variables_vmap(
    info: Any, in_dims: tuple[Any, ...], arguments: torch.Tensor, block: str
) -> tuple[torch.Tensor, int]:
    return _Variables.vmap(info, (None, in_dims[0]), block_of(block), arguments)


def _change_vmap(
    info: Any, in_dims: tuple[Any, ...], vectors: torch.Tensor, arguments: torch.Tensor, block: str, forward: bool
) -> tuple[torch.Tensor, int]:
    return _Moved.vmap(info, (None, None, *in_dims[:2]), block_of(block), forward, vectors, arguments)


def _bend_vmap(info: Any, in_dims: tuple[Any, ...], *arguments: Any) -> tuple[torch.Tensor, int]:
    *tensors, block, forward = arguments
    return _Bent.vmap(info, (None, None, *in_dims[:3]), block_of(block), forward, *tensors)


block_variables.register_autograd(_variables_backward, setup_context=_keep_for_variables)
block_change.register_autograd(_change_backward, setup_context=_keep_for_change)
block_bend.register_autograd(_bend_backward, setup_context=_keep_for_bend)
if hasattr(block_variables, "register_vmap"):  # from PyTorch 2.5 on
    block_variables.register_vmap(_variables_vmap)
    block_change.register_vmap(_change_vmap)
    block_bend.register_vmap(_bend_vmap)
