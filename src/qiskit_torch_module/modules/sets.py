"""Names and initial values of the sets of variational parameters, and other names that a set may have."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from qiskit.circuit import Parameter

from .initial import is_single

# What the only set of a module is also called: by version 1.0, by version 2.0, and by TorchConnector of
# qiskit-machine-learning, which holds its weights under a second name, too.
TWIN = "_weights"
ALIASES = ("variational", "variational_0", "weight", TWIN)


def set_names(names: Sequence[str] | str | None, count: int, *, is_flat: bool) -> list[str]:
    """One name for each of `count` sets; a flat sequence of parameters is one set without a number.

    Raises:
        TypeError: the names have no order.
        ValueError: the wrong number of names, or one that cannot name an attribute.
    """
    if names is None or (isinstance(names, str) and count > 1):
        stem = names or "variational"
        listed = [stem] if is_flat else [f"{stem}_{index}" for index in range(count)]
    elif isinstance(names, AbstractSet):
        raise TypeError(f"variational_params_names: expected a sequence, got a set, which has no order: {names!r}")
    elif not isinstance(names, Iterable):
        raise TypeError(f"variational_params_names: expected one name or a sequence of them, got {names!r}")
    else:
        listed = [names] if isinstance(names, str) else list(names)
    if len(listed) != count:
        raise ValueError(f"variational_params_names: expected one name for each of {count} sets, got {listed}")
    for name in listed:
        if not isinstance(name, str) or not name.isidentifier():
            raise ValueError(f"variational_params_names: expected identifiers, got {name!r}")
        if listed.count(name) > 1:
            raise ValueError(f"variational_params_names: expected names that differ, got {name!r} twice")
    return listed


def is_flat(parameters: Any) -> bool:
    """Whether variational parameters, which can be iterated again, are one set and not a sequence of sets."""
    if parameters is None or isinstance(parameters, Parameter):
        return parameters is not None
    listed = list(parameters)
    return bool(listed) and all(isinstance(parameter, Parameter) for parameter in listed)


def set_initials(initial: Any, count: int) -> list[Any]:
    """How each of `count` sets starts.

    Raises:
        TypeError: neither a start nor a sequence of them.
        ValueError: the wrong number of starts.
    """
    if is_single(initial):
        return [initial] * count
    listed = list(initial)
    if len(listed) != count:
        entries = "one entry for the only set" if count == 1 else f"one entry for all sets or {count} entries"
        raise ValueError(
            f"variational_params_initial: expected {entries}, got {len(listed)}; an entry with options is a name and a "
            "mapping, as ('normal', {'std': 0.1})"
        )
    return listed


def own_name(name: str, names: Sequence[str]) -> str:
    """What a module calls the set that is called `name` elsewhere."""
    return names[0] if len(names) == 1 and name in ALIASES else name


def rename_entries(state: dict[str, Any], prefix: str, names: Sequence[str]) -> None:
    """Gives the weights of a state dict, if the module has one set, the name they have in the module."""
    if len(names) != 1:
        return
    own = prefix + names[0]
    aliases = [prefix + alias for alias in ALIASES if prefix + alias in state]
    if aliases and own not in state:
        state[own] = state.pop(aliases[0])
    if own != prefix + TWIN:
        state.pop(prefix + TWIN, None)
