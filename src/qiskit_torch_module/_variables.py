"""The variables of blocks as differentiable functions of their arguments.

Where tensors are plain, NumPy computes them; whoever traces, compiles or watches sees registered operators, which take
a block as text.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ._blocks import Block, block_of
from ._plain import is_plain, is_tracing
from ._synthesis import Real


def variables_of(block: Block, arguments: torch.Tensor) -> torch.Tensor:
    """Variables (R, size) of a block for arguments (R, m), computed in double precision; differentiable."""
    found: torch.Tensor
    if torch.compiler.is_compiling() or is_tracing():
        found = block_variables(arguments, block.text)
    else:
        found = _Variables.apply(block, arguments)  # type: ignore[no-untyped-call]
    return found


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
        moved = arguments.movedim(in_dims[1], 0)
        return variables_of(block, moved.flatten(0, 1)).reshape(*moved.shape[:2], -1), 0


def _moved(block: Block, forward: bool, vectors: torch.Tensor, arguments: torch.Tensor) -> torch.Tensor:
    """Changes of arguments pushed forward, or gradients with respect to variables pulled back; differentiable."""
    found: torch.Tensor = _Moved.apply(block, forward, vectors, arguments)  # type: ignore[no-untyped-call]
    return found


_will_execute: Callable[[Any], bool] = getattr(torch._C, "_will_engine_execute_node", lambda node: True)


def _refuse_second_derivatives(ctx: Any) -> None:
    """Unless they are not wanted: PyTorch says what may be, and only a private function of it what is."""
    try:
        is_wanted = _will_execute(ctx.next_functions[-1][0])
    except RuntimeError:  # a leaf of backward()
        is_wanted = True
    if is_wanted:
        raise NotImplementedError(
            f"{ctx.block.name} has first derivatives only with respect to its parameters; detach them, or give their "
            "gradient no graph (create_graph=False)"
        )


class _Moved(torch.autograd.Function):
    """Linear in the vectors, and differentiable only in them."""

    @staticmethod
    def forward(block: Block, forward: bool, vectors: torch.Tensor, arguments: torch.Tensor) -> torch.Tensor:
        if is_plain((vectors, arguments)):
            return _computed_change(block, forward, vectors, arguments)
        found: torch.Tensor = block_change(vectors, arguments, block.text, forward)
        return found

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.block, ctx.forwards = inputs[:2]
        ctx.save_for_backward(inputs[3])
        ctx.save_for_forward(inputs[3])

    @staticmethod
    def backward(ctx: Any, vectors: torch.Tensor) -> tuple[None, None, torch.Tensor, None]:
        if ctx.needs_input_grad[3]:
            _refuse_second_derivatives(ctx)
        return None, None, _moved(ctx.block, not ctx.forwards, vectors, *ctx.saved_tensors), None

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[Any, ...], block: Block, forward: bool, vectors: torch.Tensor, arguments: torch.Tensor
    ) -> tuple[torch.Tensor, int]:
        stacked = [
            one.expand(info.batch_size, *one.shape) if dim is None else one.movedim(dim, 0)
            for one, dim in zip((vectors, arguments), in_dims[2:], strict=True)
        ]
        found = _moved(block, forward, *(one.flatten(0, 1) for one in stacked))
        return found.reshape(*stacked[1].shape[:2], -1), 0


@torch.library.custom_op("qiskit_torch_module::block_variables", mutates_args=())
def block_variables(arguments: torch.Tensor, block: str) -> torch.Tensor:
    """Variables (R, size) of a block for arguments (R, m)."""
    return _computed(block_of(block), arguments)


@block_variables.register_fake
def _(arguments: torch.Tensor, block: str) -> torch.Tensor:
    return arguments.new_empty(arguments.shape[0], block_of(block).size)


@torch.library.custom_op("qiskit_torch_module::block_change", mutates_args=())
def block_change(vectors: torch.Tensor, arguments: torch.Tensor, block: str, forward: bool) -> torch.Tensor:
    """Changes of arguments (R, m) pushed forward, or gradients with respect to variables (R, size) pulled back."""
    return _computed_change(block_of(block), forward, vectors, arguments)


@block_change.register_fake
def _(vectors: torch.Tensor, arguments: torch.Tensor, block: str, forward: bool) -> torch.Tensor:
    return arguments.new_empty(arguments.shape[0], block_of(block).size if forward else arguments.shape[1])


def _keep_for_variables(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    ctx.save_for_backward(inputs[0])
    ctx.text = inputs[1]


def _variables_backward(ctx: Any, cotangent: torch.Tensor) -> tuple[torch.Tensor, None]:
    return block_change(cotangent, *ctx.saved_tensors, ctx.text, False), None


def _keep_for_change(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    ctx.save_for_backward(inputs[1])
    ctx.text, ctx.forwards = inputs[2:]


def _change_backward(ctx: Any, vectors: torch.Tensor) -> tuple[Any, ...]:
    if ctx.needs_input_grad[1]:
        ctx.block = block_of(ctx.text)
        _refuse_second_derivatives(ctx)
    return block_change(vectors, *ctx.saved_tensors, ctx.text, not ctx.forwards), None, None, None


def _variables_vmap(
    info: Any, in_dims: tuple[Any, ...], arguments: torch.Tensor, block: str
) -> tuple[torch.Tensor, int]:
    return _Variables.vmap(info, (None, in_dims[0]), block_of(block), arguments)


def _change_vmap(
    info: Any, in_dims: tuple[Any, ...], vectors: torch.Tensor, arguments: torch.Tensor, block: str, forward: bool
) -> tuple[torch.Tensor, int]:
    return _Moved.vmap(info, (None, None, *in_dims[:2]), block_of(block), forward, vectors, arguments)


block_variables.register_autograd(_variables_backward, setup_context=_keep_for_variables)
block_change.register_autograd(_change_backward, setup_context=_keep_for_change)
if hasattr(block_variables, "register_vmap"):  # from PyTorch 2.5 on
    block_variables.register_vmap(_variables_vmap)
    block_change.register_vmap(_change_vmap)
