"""A stream of seeds from a generator of random numbers of PyTorch."""

from __future__ import annotations

from typing import Any

import torch

from .._core.arguments import generator_of

# Seeds have as many bits as PyTorch draws whole numbers of.
_SEEDS = 1 << 63


class Stream:
    """Seeds, one after the other: the stream moves on with every one, and copies go on where the original is.

    Args:
        generator: A whole number starts a stream of its own; a generator of PyTorch goes on, and is shared; None: the
            global one, which ``torch.manual_seed`` seeds.

    Raises:
        TypeError: another kind of argument.
        ValueError: a number that is no seed.
    """

    def __init__(self, generator: torch.Generator | int | None) -> None:
        self._generator = generator_of(generator)

    def seed(self) -> int:
        """The next one."""
        device = "cpu" if self._generator is None else self._generator.device
        return int(torch.randint(_SEEDS - 1, (), generator=self._generator, device=device))

    def get_state(self) -> torch.Tensor:
        """Where the stream is, as ``torch.Generator.get_state`` has it."""
        return torch.get_rng_state() if self._generator is None else self._generator.get_state()

    def set_state(self, state: torch.Tensor) -> None:
        """Goes on from there."""
        if self._generator is None:
            torch.set_rng_state(state)
        else:
            self._generator.set_state(state)

    def __getstate__(self) -> dict[str, Any]:
        # Generators have no copies of their own before PyTorch 2.5.
        if self._generator is None:
            return {"device": None}
        return {"device": self._generator.device.type, "state": self._generator.get_state()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        device = state["device"]
        self._generator = None if device is None else torch.Generator(device)
        if self._generator is not None:
            self._generator.set_state(state["state"])
