"""PyTorch's private names: used in this room alone, each with a fallback for releases that lack it.

Checked on PyTorch 2.4 to 2.13. What is asked in every step is the private function itself: the public ones around it,
where there are any, take microseconds, and ``torch.compiler`` a second to import.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import torch
from torch.autograd import forward_ad

_Function = TypeVar("_Function", bound=Callable[..., Any])

# Who watches a call; where a name is missing, we assume so, and every call takes the registered operators.
num_dispatch_modes: Callable[[], int] = getattr(torch._C, "_len_torch_dispatch_stack", lambda: 1)
has_function_mode: Callable[[], bool] = getattr(torch._C, "_is_torch_function_mode_enabled", lambda: True)
tracing_state: Callable[[], Any] = getattr(torch._C, "_get_tracing_state", lambda: ...)

# Whether a transform of torch.func runs, and whether a tensor is in one; where a name is missing, we assume so.
transforms_active: Callable[[], bool] = getattr(torch._C, "_are_functorch_transforms_active", lambda: True)
is_wrapped: Callable[[torch.Tensor], bool] = getattr(
    torch._C._functorch, "is_functorch_wrapped_tensor", lambda tensor: True
)
# Whether a tensor is one of the old vmap of PyTorch, as is_grads_batched and vectorize=True make them.
is_old_batch: Callable[[torch.Tensor], bool] = getattr(
    torch._C._functorch, "is_legacy_batchedtensor", lambda tensor: False
)
# The tensor in a wrapper that outlives its transform.
unwrap_if_dead: Callable[[torch.Tensor], torch.Tensor] = getattr(
    torch._C._functorch, "unwrap_if_dead", lambda tensor: tensor
)

# Whether PyTorch is asked for deterministic algorithms.
is_deterministic: Callable[[], bool] = getattr(
    torch._C, "_get_deterministic_algorithms", torch.are_deterministic_algorithms_enabled
)
# Whether backward() that runs will come to a node of the graph.
will_execute: Callable[[Any], bool] = getattr(torch._C, "_will_engine_execute_node", lambda node: True)

# The handle of the current stream of a GPU, by its index.
current_stream_of: Callable[[int], int] = getattr(
    torch._C, "_cuda_getCurrentRawStream", lambda index: torch.cuda.current_stream(index).cuda_stream
)

# How many levels of forward mode are open, less one.
_forward_level: Callable[[], int] = (
    (lambda: forward_ad._current_level) if hasattr(forward_ad, "_current_level") else lambda: 0
)


def drop_pre_hooks(module: torch.nn.Module, is_dropped: Callable[[Any], bool]) -> None:
    """Takes some hooks off that run before the forward of a module."""
    hooks = module._forward_pre_hooks
    for number in [number for number, hook in hooks.items() if is_dropped(hook)]:
        del hooks[number]
        getattr(module, "_forward_pre_hooks_with_kwargs", {}).pop(number, None)


def takes_no_derivatives() -> bool:
    """Whether derivatives of what is called are neither recorded nor taken along."""
    return not torch.is_grad_enabled() and _forward_level() < 0


def num_transforms(*kinds: str) -> int:
    """How many of the transforms of torch.func that run are of these kinds, such as "Grad" or "Jvp"."""
    functorch = torch._C._functorch
    keys = [getattr(functorch.TransformType, kind) for kind in kinds]
    return sum(transform.key() in keys for transform in functorch.get_interpreter_stack() or ())


def bare_apply(function: type[torch.autograd.Function]) -> Callable[..., torch.Tensor]:
    """``function.apply`` without the Python that PyTorch has around it for the sake of torch.func: that takes 3 us."""
    bare: Callable[..., torch.Tensor] = super(torch.autograd.Function, function).apply  # type: ignore[misc]
    return bare


def undisturbed(function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls a function into which the compiler of PyTorch, if it is loaded, does not look."""
    compiler = sys.modules.get("torch._dynamo")
    return (function if compiler is None else compiler.disable(function))(*arguments)


def hide_from_compiler(functions: Iterable[Any]) -> None:
    """Lets ``torch.compile`` run functions as they are, with all that they call; early releases look into the latter.

    Otherwise it would trace how engines are made.
    """
    skip_code = _skip_code()
    for function in functions:
        skip_code(function.__code__)


def _skip_code() -> Callable[[Any], None]:
    frames = torch._C._dynamo.eval_frame
    if not hasattr(frames, "set_code_exec_strategy"):  # as in early releases
        return getattr(frames, "skip_code", lambda code: None)
    skipped = frames._FrameExecStrategy(frames._FrameAction.SKIP, frames._FrameAction.SKIP)
    return lambda code: frames.set_code_exec_strategy(code, skipped)


def constant_when_compiled(function: _Function) -> _Function:
    """Lets ``torch.compile`` call a function while it traces and take what it returns, without a look inside.

    As ``torch.compiler.assume_constant_result`` does.
    """
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function


def break_graph() -> None:
    """Makes ``torch.compile`` run what follows as it is, or raise if it must not."""
    torch._dynamo.graph_break()
