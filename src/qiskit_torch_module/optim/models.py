"""What optimisers ask of a model: its quantum sets, the names of its parameters, its loss for other parameters."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from .._core.arguments import generator_of
from .._simulation.states import states_of
from ..methods import Native
from ..modules.module import QuantumModule

Closure = Callable[[], Any]


@dataclass(frozen=True)
class QuantumSet:
    """A set of variational parameters in a model.

    Attributes:
        name: In ``model.named_parameters()``.
        module: The module whose set it is.
        first: The number of its first parameter among the weights of the module's program.
    """

    name: str
    module: QuantumModule
    first: int


def require_model(model: Any) -> torch.nn.Module:
    """Checks that it is a module.

    Raises:
        TypeError: it is not.
    """
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"model: expected a torch.nn.Module, such as a QuantumModule, got {type(model).__name__}")
    return model


def quantum_modules(model: torch.nn.Module) -> dict[str, QuantumModule]:
    """All quantum modules in a model, by their names in it."""
    return {name: module for name, module in model.named_modules() if isinstance(module, QuantumModule)}


def quantum_sets(model: torch.nn.Module) -> dict[torch.nn.Parameter, QuantumSet]:
    """The sets of all quantum modules in a model; coefficients of trained observables are none.

    Raises:
        ValueError: a set stands in two modules.
    """
    found: dict[torch.nn.Parameter, QuantumSet] = {}
    for prefix, module in quantum_modules(model).items():
        first = 0
        for name, parameters in zip(module.variational_names, module.variational_parameters, strict=True):
            own = module._parameters.get(name)  # not there where it is parametrized
            full = f"{prefix}.{name}" if prefix else name
            if own is not None and own in found:
                raise ValueError(
                    f"model: expected each set in one module, got '{full}', which is '{found[own].name}', too; call "
                    "one module twice"
                )
            if own is not None:
                found[own] = QuantumSet(full, module, first)
            first += len(parameters)
    return found


def chosen_parameters(model: torch.nn.Module, params: Iterable[torch.Tensor] | None) -> dict[str, torch.nn.Parameter]:
    """Parameters of a model by name: those given, or all that require gradients.

    Raises:
        TypeError: something other than tensors.
        ValueError: one is not of the model, or there are none.
    """
    names = {parameter: name for name, parameter in model.named_parameters()}
    if params is None:
        chosen = {name: parameter for parameter, name in names.items() if parameter.requires_grad}
    else:
        chosen = {}
        for index, parameter in enumerate([params] if isinstance(params, torch.Tensor) else params):
            if not isinstance(parameter, torch.Tensor):
                raise TypeError(f"params: expected parameters of the model, got {type(parameter).__name__} at {index}")
            if not isinstance(parameter, torch.nn.Parameter) or parameter not in names:
                raise ValueError(
                    f"params: expected parameters of the model ({', '.join(names.values())}), got a tensor of shape "
                    f"{tuple(parameter.shape)} at {index} that is none of them"
                )
            chosen[names[parameter]] = parameter
    if not chosen:
        raise ValueError(
            "params: expected at least one parameter of the model that requires gradients, got none; call "
            "requires_grad_() of those to be trained"
            if params is None
            else "params: expected at least one parameter of the model, got none; leave params out to train all"
        )
    return chosen


class _Called(torch.nn.Module):
    """A closure as a module, so that it may be called with other parameters of the model that it calls."""

    def __init__(self, model: torch.nn.Module, closure: Closure) -> None:
        super().__init__()
        self.model = model
        self.closure = closure

    def forward(self) -> Any:
        return self.closure()


def called_with(model: torch.nn.Module, closure: Closure, parameters: Mapping[str, torch.Tensor]) -> Any:
    """What a closure returns while the model has other parameters; works within ``torch.func``."""
    others = {f"model.{name}": value for name, value in parameters.items()}
    return torch.func.functional_call(_Called(model, closure), others, ())


def require_closure(closure: Any, optimizer: str) -> Closure:
    """Checks that a step was given a closure.

    Raises:
        TypeError: it was not.
    """
    if not callable(closure):
        raise TypeError(
            f"{optimizer}.step: expected a closure, a function without arguments that returns the loss, got "
            f"{'none' if closure is None else repr(closure)}"
        )
    checked: Closure = closure
    return checked


def loss_of(closure: Closure) -> torch.Tensor:
    """The loss that a closure returns, computed without a graph.

    Raises:
        RuntimeError: the closure differentiates.
        TypeError, ValueError: as `require_loss`.
    """
    with torch.no_grad():
        try:
            loss = closure()
        except RuntimeError as error:
            if "does not require grad" not in str(error):
                raise
            raise RuntimeError(
                "closure: expected one that returns the loss and nothing more, as no gradients are computed; leave "
                "its backward() out"
            ) from error
    return require_loss(loss)


def require_loss(loss: Any) -> torch.Tensor:
    """Checks that a loss is one finite real number, as a tensor.

    Raises:
        TypeError: it is no number.
        ValueError: it is several numbers, or not finite.
    """
    if isinstance(loss, (int, float)):
        loss = torch.tensor(float(loss))
    if not isinstance(loss, torch.Tensor) or loss.is_complex():
        kind = "complex numbers" if isinstance(loss, torch.Tensor) else type(loss).__name__
        raise TypeError(f"loss: expected a tensor of one real number, got {kind}")
    if loss.numel() != 1:
        raise ValueError(f"loss: expected one number, got shape {tuple(loss.shape)}; take its mean or sum")
    if not torch.isfinite(loss.detach()).all():
        raise ValueError(
            f"loss: expected a finite number, got {loss.item()}; a smaller learning rate, or another start, may keep "
            "training stable"
        )
    return loss.reshape(())


def as_states(module: QuantumModule) -> QuantumModule:
    """The same module, its parameters shared, that gives its states; hooks are left behind.

    By its own method, or, where that estimates, by the native engine.
    """
    twin = copy.copy(module)
    twin.__dict__ = module.__dict__.copy()
    for name, kept in module.__dict__.items():
        if name.endswith("_hooks"):
            twin.__dict__[name] = type(kept)()
    twin.__dict__["_parameters"] = dict(module._parameters)
    twin.__dict__["_sums"] = None
    method = module._runners.method
    twin._compute(states_of(module._program), method if method is None or method.is_exact else Native())
    return twin


def generator_on_cpu(generator: Any) -> torch.Generator | None:
    """A generator of PyTorch on the CPU, also by its seed; None: the global one.

    Raises:
        TypeError: something else.
        ValueError: a number that is no seed, or the generator is on another device.
    """
    found = generator_of(generator)
    if found is not None and found.device.type != "cpu":
        raise ValueError(
            f"generator: expected one on the CPU, got one on {found.device}; give a seed, or torch.Generator()"
        )
    return found
