"""Which tensors have a place in memory that the engine may read."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from .torch_internals import has_function_mode, is_wrapped, num_dispatch_modes, tracing_state, transforms_active

_Tensor, _Parameter = torch.Tensor, torch.nn.Parameter


def is_tracing() -> bool:
    """Whether ``torch.jit.trace`` records what is called."""
    return tracing_state() is not None


def is_watched() -> bool:
    """Whether a mode, a transform or ``torch.jit.trace`` sees what is called."""
    return bool(num_dispatch_modes() or has_function_mode() or transforms_active() or tracing_state() is not None)


def is_plain(tensors: Sequence[torch.Tensor]) -> bool:
    """Whether tensors are what they seem, and nobody watches: no mode, no transform, no tracing, no subclass.

    All others (tensors that are fake, traced, counted or distributed) must see operators instead of pointers; those in
    wrappers that outlive their transform, the tensor inside. The engine itself looks at device, dtype, layout and
    storage.
    """
    if is_watched():
        return False
    for tensor in tensors:
        kind = type(tensor)
        if kind is not _Parameter and (kind is not _Tensor or is_wrapped(tensor)):  # parameters never are wrappers
            return False
    return True
