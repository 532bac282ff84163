"""How a set of variational parameters starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import pi
from typing import Any

import torch

# Shorthand name: (function of torch.nn.init, its keyword arguments with their defaults).
_NAMED: dict[str, tuple[Any, dict[str, float]]] = {
    "constant": (torch.nn.init.constant_, {"val": 1.0}),
    "uniform": (torch.nn.init.uniform_, {"a": 0.0, "b": 2 * pi}),
    "normal": (torch.nn.init.normal_, {"mean": 0.0, "std": 1.0}),
}

Initial = str | tuple[str, Mapping[str, float]] | Sequence[float] | torch.Tensor | Callable[[torch.Tensor], Any]


@contextmanager
def seeded(seed: int | None) -> Iterator[None]:
    """Random numbers from a seed, if there is one; the global random state is left as it was."""
    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        yield


def is_single(initial: Any) -> bool:
    """Whether `initial` starts one set, rather than being a sequence with one entry for each set."""
    if isinstance(initial, (str, torch.Tensor)) or callable(initial) or _is_named(initial):
        return True
    return all(isinstance(value, (int, float)) or _is_scalar(value) for value in initial)


def _is_scalar(value: Any) -> bool:
    return getattr(value, "ndim", None) == 0


def _is_named(initial: Any) -> bool:
    return (
        isinstance(initial, tuple)
        and len(initial) == 2
        and isinstance(initial[0], str)
        and isinstance(initial[1], Mapping)
    )


def _filled(initial: Callable[[torch.Tensor], Any], size: int, argument: str) -> torch.Tensor:
    values = torch.empty(size)
    with torch.no_grad():
        try:
            initial(values)
        except ValueError as error:  # Xavier and Kaiming want a matrix
            raise ValueError(f"{argument}: the function cannot fill a vector of {size} values: {error}") from error
    return values


def initial_values(initial: Any, size: int, argument: str) -> torch.Tensor:
    """Initial values of a set of `size` parameters, in the default dtype of PyTorch.

    Args:
        initial: "constant", "uniform" (0 to 2 pi) or "normal"; a pair of such a name and keyword arguments for the
            function of ``torch.nn.init``, e.g. ``("normal", {"std": 0.1})``; `size` explicit values; or a function that
            fills a tensor of shape (size,) in place, such as those of ``torch.nn.init`` and `small_angles`.
        size: Number of parameters in the set.
        argument: What to call it in an error.

    Raises:
        ValueError: unknown name or option, or the wrong number of values.
    """
    if callable(initial):
        return _filled(initial, size, argument)
    if isinstance(initial, str):
        initial = (initial, {})
    if _is_named(initial):
        name, options = initial
        if name not in _NAMED:
            expected = ", ".join(map(repr, _NAMED))
            raise ValueError(f"{argument}: expected one of {expected} or explicit values, got {name!r}")
        function, defaults = _NAMED[name]
        unknown = set(options) - set(defaults)
        if unknown:
            raise ValueError(f"{argument}: '{name}' takes {sorted(defaults)}, got {sorted(unknown)}")
        started: torch.Tensor = function(torch.empty(size), **{**defaults, **options})
        return started
    values = torch.as_tensor(initial, dtype=torch.get_default_dtype()).detach().clone()
    if values.shape != (size,):
        raise ValueError(f"{argument}: expected {size} values, got shape {tuple(values.shape)}")
    if not torch.isfinite(values).all():
        raise ValueError(f"{argument}: expected finite values, got {values.tolist()}")
    return values
