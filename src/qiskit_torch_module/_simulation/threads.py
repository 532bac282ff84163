"""How many threads the engine is given."""

from collections.abc import Callable

import torch

# Asked in every step; the public function stands around the private one.
_is_deterministic: Callable[[], bool] = getattr(
    torch._C, "_get_deterministic_algorithms", torch.are_deterministic_algorithms_enabled
)


def engine_threads(num_threads: int) -> int:
    """Threads of a call as the engine takes them: at most so many, or, negative, exactly so many.

    Exactly as many where PyTorch is asked for deterministic algorithms: then no digit of a result depends on who else
    uses the processors.

    Args:
        num_threads: 0: as ``torch.get_num_threads()``.
    """
    count = num_threads or torch.get_num_threads()
    return -count if _is_deterministic() else count
