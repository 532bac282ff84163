"""Which tensors have a place in memory that the engine may read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

_PLAIN_TYPES = frozenset({torch.Tensor, torch.nn.Parameter})

# Private names of PyTorch; without one of them every call goes by the registered operators.
_num_dispatch_modes: Callable[[], int] = getattr(torch._C, "_len_torch_dispatch_stack", lambda: 1)
_has_function_mode: Callable[[], bool] = getattr(torch._C, "_is_torch_function_mode_enabled", lambda: True)
# Whether a transform of torch.func runs.
transforms_active: Callable[[], bool] = getattr(torch._C, "_are_functorch_transforms_active", lambda: True)
_is_wrapped: Callable[[torch.Tensor], bool] = getattr(
    torch._C._functorch, "is_functorch_wrapped_tensor", lambda tensor: True
)
_tracing_state: Callable[[], Any] = getattr(torch._C, "_get_tracing_state", lambda: ...)


def is_tracing() -> bool:
    """Whether ``torch.jit.trace`` records what is called."""
    return _tracing_state() is not None


def is_forward_twice(tensors: Sequence[torch.Tensor]) -> bool:
    """Whether forward-mode derivatives are taken of forward-mode derivatives of tensors: ``jacfwd(jacfwd(f))``.

    PyTorch then takes the inner derivatives of Python functions for constants, and says nothing.
    """
    if not transforms_active() or not any(map(_is_wrapped, tensors)):
        return False
    kind = torch._C._functorch.TransformType.Jvp
    return sum(one.key() == kind for one in torch._C._functorch.get_interpreter_stack() or ()) > 1


def is_plain(tensors: Sequence[torch.Tensor]) -> bool:
    """Whether tensors are what they seem, and nobody watches: no mode, no transform, no tracing, no subclass.

    All else (tensors that are fake, traced, counted or distributed) must see operators instead of pointers. The engine
    itself looks at device, dtype, layout and storage.
    """
    if _num_dispatch_modes() or _has_function_mode() or transforms_active() or _tracing_state() is not None:
        return False
    for tensor in tensors:  # noqa: SIM110 - a generator takes longer
        if type(tensor) not in _PLAIN_TYPES:
            return False
    return True


def is_differentiated() -> bool:
    """Whether a transform of torch.func differentiates."""
    kinds = (torch._C._functorch.TransformType.Grad, torch._C._functorch.TransformType.Jvp)
    return any(one.key() in kinds for one in torch._C._functorch.get_interpreter_stack() or ())
