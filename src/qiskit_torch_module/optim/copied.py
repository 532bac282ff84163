"""Optimisers that are copied and pickled with all they hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch


class Copied(torch.optim.Optimizer):
    """PyTorch's base class keeps of a copy what `state_dict` has, and no attribute of a subclass.

    A subclass sets its own attributes before it calls this ``__init__``.
    """

    def __init__(self, params: Any, defaults: dict[str, Any]) -> None:
        self._own_names = tuple(vars(self))
        super().__init__(params, defaults)

    def __getstate__(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in ("_own_names", *self._own_names)}
        # Generators have no copies of their own before PyTorch 2.5.
        packed = {n: _Stream(one.get_state()) if isinstance(one, torch.Generator) else one for n, one in own.items()}
        return super().__getstate__() | packed

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__({n: one.generator() if isinstance(one, _Stream) else one for n, one in state.items()})


@dataclass(frozen=True)
class _Stream:
    """Where a generator on the CPU is."""

    state: torch.Tensor

    def generator(self) -> torch.Generator:
        found = torch.Generator()
        found.set_state(self.state)
        return found
