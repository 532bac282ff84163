"""How batches that are spread over processes (``DTensor``) go through the operators."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch


def prepare_for(tensors: Sequence[torch.Tensor]) -> None:
    """Tells PyTorch how to spread the operators, once there are distributed tensors."""
    if any(type(tensor).__name__ == "DTensor" for tensor in tensors):
        _register()


@lru_cache(maxsize=1)
def _register() -> None:
    """A batch may be split: values and input gradients are split likewise, weight gradients are added up."""
    try:
        from torch.distributed.tensor import Partial, Replicate, Shard
        from torch.distributed.tensor.experimental import register_sharding
    except ImportError:  # before PyTorch 2.5: DTensor says that it does not know the operators
        return
    whole, rows, added = Replicate(), Shard(0), Partial()
    operators = torch.ops.qiskit_torch_module

    def of_values(*arguments: Any) -> Any:
        numbers = [None] * 3
        return [([whole], [whole, whole, *numbers]), ([rows], [rows, whole, *numbers])]

    def of_gradients(*arguments: Any) -> Any:
        numbers = [None] * 2
        return [([whole, whole], [whole] * 3 + numbers), ([rows, added], [rows, rows, whole, *numbers])]

    def of_curvature(*arguments: Any) -> Any:
        numbers = [None] * 2
        return [
            ([whole] * 3, [whole] * 5 + numbers),
            ([rows, rows, added], [rows, rows, whole, rows, whole, *numbers]),
        ]

    register_sharding(operators.values.default)(of_values)
    register_sharding(operators.gradients.default)(of_gradients)
    register_sharding(operators.curvature.default)(of_curvature)
