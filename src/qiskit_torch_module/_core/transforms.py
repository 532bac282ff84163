"""What the transforms of ``torch.func`` do around a call."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

# Private names of PyTorch; without one of them a transform is taken to run. Whether one does:
transforms_active: Callable[[], bool] = getattr(torch._C, "_are_functorch_transforms_active", lambda: True)
_is_wrapped: Callable[[torch.Tensor], bool] = getattr(
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


def is_forward_twice(tensors: Sequence[torch.Tensor]) -> bool:
    """Whether forward-mode derivatives are taken of forward-mode derivatives of tensors: ``jacfwd(jacfwd(f))``.

    PyTorch then takes the inner derivatives of Python functions for constants, and says nothing.
    """
    if not transforms_active() or not any(map(_is_wrapped, tensors)):
        return False
    return _num_transforms("Jvp") > 1


def is_pushed_forward() -> bool:
    """Whether a transform of torch.func takes forward-mode derivatives."""
    return _num_transforms("Jvp") > 0


def is_differentiated() -> bool:
    """Whether a transform of torch.func differentiates."""
    return _num_transforms("Grad", "Jvp") > 0


def is_functionalized() -> bool:
    """Whether ``torch.func.functionalize`` is among the transforms."""
    return _num_transforms("Functionalize") > 0


def _num_transforms(*names: str) -> int:
    """How many of the transforms of torch.func that run are of these kinds."""
    functorch = torch._C._functorch
    kinds = [getattr(functorch.TransformType, name) for name in names]
    return sum(one.key() in kinds for one in functorch.get_interpreter_stack() or ())


def leading(tensor: torch.Tensor, dim: int | None, size: int) -> torch.Tensor:
    """The dimension that ``vmap`` maps in front, or the tensor repeated along it."""
    return tensor.expand(size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
