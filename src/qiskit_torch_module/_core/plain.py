"""Which tensors have a place in memory that the engine may read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from .transforms import transforms_active

_PLAIN_TYPES = frozenset({torch.Tensor, torch.nn.Parameter})

# Private names of PyTorch; without one of them every call goes by the registered operators.
_num_dispatch_modes: Callable[[], int] = getattr(torch._C, "_len_torch_dispatch_stack", lambda: 1)
_has_function_mode: Callable[[], bool] = getattr(torch._C, "_is_torch_function_mode_enabled", lambda: True)
_tracing_state: Callable[[], Any] = getattr(torch._C, "_get_tracing_state", lambda: ...)


def is_tracing() -> bool:
    """Whether ``torch.jit.trace`` records what is called."""
    return _tracing_state() is not None


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
