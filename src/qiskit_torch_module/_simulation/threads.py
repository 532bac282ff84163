"""How many threads the engine is given."""

import torch

from .._core.torch_internals import is_deterministic


def engine_threads(num_threads: int) -> int:
    """Threads of a call as the engine takes them: at most so many, or, negative, exactly so many.

    Exactly as many where PyTorch is asked for deterministic algorithms: then no digit of a result depends on who else
    uses the processors.

    Args:
        num_threads: 0: as ``torch.get_num_threads()``.
    """
    count = num_threads or torch.get_num_threads()
    return -count if is_deterministic() else count
