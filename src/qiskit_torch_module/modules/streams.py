"""Random states as plain data: those of the process, and those that models and optimizers draw from."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

from ..methods import Method, Rule


def process_state() -> dict[str, Any]:
    """The global generators of PyTorch (on all CUDA devices that are in use, too), NumPy and Python."""
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],  # type: ignore[no-untyped-call]
        "numpy": _plain(np.random.get_state()),  # noqa: NPY002  # whoever uses it still
        "python": _written_python(random.getstate()),
    }


def set_process_state(state: Mapping[str, Any]) -> None:
    """Goes on from a `process_state`."""
    torch.set_rng_state(state["torch"])
    if len(state["cuda"]) == torch.cuda.device_count():  # on a machine with other devices they have no meaning
        torch.cuda.set_rng_state_all(state["cuda"])
    np.random.set_state(state["numpy"])  # noqa: NPY002
    random.setstate(_read_python(state["python"]))


def has_state(given: Any) -> bool:
    """Whether `state_of` knows what a thing's state is."""
    return isinstance(given, (np.random.Generator, random.Random)) or any(
        all(callable(getattr(given, name, None)) for name in pair)
        for pair in (("state_dict", "load_state_dict"), ("get_state", "set_state"))
    )


def state_of(given: Any) -> Any:
    """The state of whatever has one, as plain data."""
    if isinstance(given, np.random.Generator):
        return _plain(given.bit_generator.state)
    if isinstance(given, random.Random):
        return _written_python(given.getstate())
    if hasattr(given, "state_dict"):
        return _dictionary(given.state_dict())
    return given.get_state()


def set_state(given: Any, state: Any) -> None:
    """Puts a thing into a state that `state_of` said."""
    if isinstance(given, np.random.Generator):
        given.bit_generator.state = state
    elif isinstance(given, random.Random):
        given.setstate(_read_python(state))
    elif hasattr(given, "load_state_dict"):
        given.load_state_dict(state)
    else:
        given.set_state(state)


def _dictionary(state: Any) -> Any:
    """Without the attributes that PyTorch gives dictionaries of modules, and of any class."""
    return dict(state) if isinstance(state, Mapping) else state


def _plain(value: Any) -> Any:
    """Files have no arrays of whole numbers without sign: short ones become lists, long ones have room for a sign."""
    if isinstance(value, np.ndarray):
        return value.astype(np.int64) if value.dtype == np.uint32 else value.tolist()
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return tuple(map(_plain, value)) if isinstance(value, tuple) else value


def _written_python(state: tuple[Any, ...]) -> list[Any]:
    version, words, spare = state
    return [version, np.array(words, dtype=np.int64), spare]


def _read_python(state: list[Any]) -> tuple[Any, ...]:
    version, words, spare = state
    return version, tuple(words.tolist()), spare


def streams_of(owners: Mapping[str, Any]) -> dict[str, Any]:
    """What moves on while models and optimizers work: generators, and journals of methods, each once, by its place.

    Args:
        owners: Modules, in which methods are looked for, and other things, whose attributes are.
    """
    found: dict[int, tuple[str, Any]] = {}
    for name, owner in owners.items():
        if isinstance(owner, torch.nn.Module):
            for place, module in owner.named_modules():
                prefix = f"{name}.{place}" if place else name
                for path, stream in _streams_in(getattr(module, "method", None), f"{prefix}.method"):
                    found.setdefault(id(stream), (path, stream))
        else:
            for path, stream in _attributes(owner, name):
                found.setdefault(id(stream), (path, stream))
    return dict(found.values())


def _streams_in(given: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(given, (Method, Rule)):
        yield from _attributes(given, path)


def _attributes(owner: Any, path: str) -> Iterator[tuple[str, Any]]:
    for name, value in getattr(owner, "__dict__", {}).items():
        place = f"{path}.{name}"
        if _moves(value):
            yield place, value
        else:
            yield from _streams_in(value, place)


def _moves(value: Any) -> bool:
    if isinstance(value, type):
        return False
    if isinstance(value, (torch.Generator, np.random.Generator, random.Random)):
        return True
    is_ours = type(value).__module__.partition(".")[0] == __package__.partition(".")[0]
    return is_ours and has_state(value) and not isinstance(value, (Method, torch.nn.Module))
