"""Hooks that watch one module, and none of its copies."""

from __future__ import annotations

from typing import Any

import torch

from .._core.torch_internals import drop_pre_hooks


class Watcher:
    """A hook that belongs to one module: deep copies and pickles of the module have none in its place."""

    def __deepcopy__(self, memo: Any) -> _Gone:
        return _Gone()

    def __reduce__(self) -> tuple[type[_Gone], tuple[()]]:
        return _Gone, ()


class _Gone:
    """What a copy has of a watcher, until the module takes it off."""


def forget_watchers(module: torch.nn.Module) -> None:
    """Takes off what a copy of a module has of its watchers."""
    drop_pre_hooks(module, lambda hook: isinstance(hook, _Gone))
