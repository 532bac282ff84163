"""A model on another method, with the same parameters."""

from __future__ import annotations

from typing import TypeVar

import torch

from .._simulation.choose import method_of
from .._simulation.method import Method
from .module import QuantumModule

_Model = TypeVar("_Model", bound=torch.nn.Module)


def with_method(model: _Model, method: str | Method) -> _Model:
    """The same model, computed in another way: trained here, say, and evaluated on a device.

    Parameters and buffers are shared, so that training one model trains the other. The model itself stays as it is.

    Args:
        model: A `QuantumModule`, or a module that holds some, such as a `HybridModule`: all of them are moved.
        method: As for `QuantumModule`.

    Raises:
        TypeError: no module, or one that was compiled.
        ValueError: no `QuantumModule` in it, or the method refuses.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> model = qtm.QuantumModule(circuit, x, w, seed_init=0)
        >>> sampled = qtm.with_method(model, qtm.methods.Shots(1000))
        >>> sampled.variational is model.variational
        True
    """
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"model: expected a torch.nn.Module, got {type(model).__name__}")
    moved = _moved(model, method_of(method), {})
    if moved is model:
        raise ValueError(f"model: expected a QuantumModule, or a module that holds one, got {type(model).__name__}")
    return moved


def _moved(module: _Model, method: Method | None, known: dict[int, torch.nn.Module]) -> _Model:
    """A module with all quantum ones in it moved; the module itself where there are none."""
    if id(module) not in known:
        known[id(module)] = module  # of modules in a circle
        known[id(module)] = _of_its_own(module, method, known)
    return known[id(module)]  # type: ignore[return-value]


def _of_its_own(module: torch.nn.Module, method: Method | None, known: dict[int, torch.nn.Module]) -> torch.nn.Module:
    children = {name: child and _moved(child, method, known) for name, child in module._modules.items()}
    is_quantum = isinstance(module, QuantumModule)
    if not is_quantum and all(child is module._modules[name] for name, child in children.items()):
        return module
    if hasattr(module, "_orig_mod"):
        raise TypeError("model: expected one that is not compiled yet; move the model, then call torch.compile with it")
    copy = type(module).__new__(type(module))
    copy.__dict__.update({k: v.copy() if isinstance(v, (dict, set)) else v for k, v in vars(module).items()})
    copy._modules.update(children)
    if isinstance(copy, QuantumModule):
        copy._compute(copy._program, method)
    return copy
