"""How a set of variational parameters starts."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from math import pi
from numbers import Integral, Number, Real
from typing import Any

import torch

from .._core.arguments import generator_of, tensor_of
from .._core.sizes import counted

# Shorthand name: (function of torch.nn.init, its keyword arguments with their defaults).
_NAMED: dict[str, tuple[Any, dict[str, float]]] = {
    "constant": (torch.nn.init.constant_, {"val": 1.0}),
    "uniform": (torch.nn.init.uniform_, {"a": 0.0, "b": 2 * pi}),
    "normal": (torch.nn.init.normal_, {"mean": 0.0, "std": 1.0}),
}

Initial = str | tuple[str, Mapping[str, float]] | Sequence[float] | torch.Tensor | Callable[[torch.Tensor], Any]


# The random state of PyTorch belongs to the process: one thread at a time may seed it and put it back.
_seeding = threading.RLock()


def _renew() -> None:
    """In a forked child, where the thread that held it may not exist."""
    global _seeding
    _seeding = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


@contextmanager
def seeded(seed: int | None, argument: str = "seed_init") -> Iterator[None]:
    """Random numbers from a seed, if there is one; the global random state is left as it was.

    Threads that have seeds wait for each other; one that draws from the global state meanwhile may disturb them.

    Raises:
        TypeError, ValueError: the seed is not a whole number from 0 on.
    """
    if seed is not None and (not isinstance(seed, Integral) or isinstance(seed, bool)):
        raise TypeError(f"{argument}: expected a whole number or None, got {seed!r}")
    if seed is not None and not 0 <= seed < 1 << 64:
        raise ValueError(f"{argument}: expected a whole number from 0 to 2^64 - 1, got {seed}")
    if seed is None:
        yield
        return
    with _seeding, torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(seed))
        yield


@contextmanager
def random_numbers(generator: torch.Generator | int | None) -> Iterator[None]:
    """Those of a generator, or that follow from a seed; the global random state is left as it was. None: that one.

    Raises:
        TypeError: another kind of generator.
        ValueError: a number that is no seed.
    """
    found = generator_of(generator)
    if found is not None and found is not generator:
        seed: int | None = found.initial_seed()
    else:
        seed = None if found is None else int(torch.randint(1 << 62, (), generator=found, device=found.device))
    with seeded(seed):
        yield


def is_single(initial: Any) -> bool:
    """Whether `initial` starts one set, rather than being a sequence with one entry for each set.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(initial, (Real, Set, Mapping)) or (not isinstance(initial, Iterable) and not callable(initial)):
        raise TypeError(
            "variational_params_initial: expected 'constant', 'uniform', 'normal', a pair such as ('constant', "
            f"{{'val': 0.1}}), a sequence of values, a function, or a sequence of these, got {initial!r}"
        )
    if isinstance(initial, (str, torch.Tensor)) or callable(initial) or _is_named(initial):
        return True
    return all(isinstance(value, Number) or _is_scalar(value) for value in initial)


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
    values = torch.full((size,), torch.nan)
    with torch.no_grad():
        try:
            initial(values)
        except (TypeError, ValueError) as error:  # Xavier and Kaiming want a matrix
            raise ValueError(f"{argument}: the function cannot fill a vector of {size} values: {error}") from error
    if not torch.isfinite(values).all():
        raise ValueError(
            f"{argument}: expected a function that fills a vector of {size} finite values in place, got "
            f"{values.tolist()} (nan: left as it was)"
        )
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
            raise ValueError(
                f"{argument}: expected one of {expected}, explicit values, or a function such as torch.nn.init.zeros_, "
                f"got {name!r}"
            )
        function, defaults = _NAMED[name]
        unknown = set(options) - set(defaults)
        if unknown:
            raise ValueError(f"{argument}: '{name}' takes {sorted(defaults)}, got {sorted(unknown)}")
        try:
            if not all(math.isfinite(number) for number in options.values()):
                raise ValueError("expected finite numbers")
            started: torch.Tensor = function(torch.empty(size), **{**defaults, **options})
        except (TypeError, ValueError, RuntimeError, OverflowError) as error:
            raise ValueError(f"{argument}: '{name}' cannot start with {dict(options)}: {error}") from error
        return started
    values = tensor_of(initial, torch.get_default_dtype(), argument=argument).detach().clone()
    if values.shape != (size,):
        raise ValueError(f"{argument}: expected {counted(size, 'value')}, got shape {tuple(values.shape)}")
    if not torch.isfinite(values).all():
        raise ValueError(f"{argument}: expected finite values, got {values.tolist()}")
    return values
