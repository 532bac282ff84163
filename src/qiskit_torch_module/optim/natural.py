"""Natural gradients, in front of any optimizer of PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from .._core.arguments import finite_number
from .._core.shown import Shown, called
from .._core.torch_internals import transforms_active
from ..modules.module import QuantumModule
from ..modules.watching import Watcher
from .metric import Solution, Solver
from .models import as_states, quantum_modules, quantum_sets, require_model

_STRUCTURES = ("full", "block", "diagonal")


class _Inputs(Watcher):
    """Shows natural gradients what a module is called with."""

    def __init__(self, natural: NaturalGradient, module: QuantumModule) -> None:
        self._natural, self._module = natural, module

    def __call__(self, called: torch.nn.Module, arguments: tuple[Any, ...], options: Mapping[str, Any]) -> None:
        # `called` may be the same module on another method, which shares parameters and hooks.
        self._natural._see(self._module, arguments, options)


class NaturalGradient(Shown):
    """Rewrites the gradients of quantum sets as natural gradients, between ``backward()`` and the step of an optimizer.

    ::

        natural = qtm.optim.NaturalGradient(model, damping=0.01)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for inputs, targets in batches:
            optimizer.zero_grad()
            loss(model(inputs), targets).backward()
            natural.step()
            optimizer.step()

    The gradient g of the sets of a `QuantumModule` becomes the solution d of (F + damping) d = g, where F is the
    Fubini-Study metric, the real part of `geometry.quantum_geometric_tensor` and a quarter of the quantum Fisher
    information, on average over the inputs that the module was called with. A model may hold several modules, each with
    a metric of its own, and layers of any other kind, whose gradients stay as they are; so do those of coefficients of
    observables.

    Inputs are seen by a hook on every quantum module: those of all calls with gradients since the last step, which are
    one batch, as where gradients of several calls add up. Evaluate within ``torch.no_grad()``. Calls within
    ``torch.func`` are not seen, nor those of copies of the model, which have no hooks.

    Source: Stokes et al., "Quantum Natural Gradient", Quantum 4, 269 (2020), arXiv:1909.02108.

    Args:
        model: Any module that holds quantum modules.
        damping: Added to the diagonal of the metric. 0: the solution of minimum norm, which does not move where the
            metric is singular; `ranks` says how much of it is not.
        structure: "full": all sets of a module with their cross terms; "block": each set by itself; "diagonal": each
            weight by itself.
        tolerance: Without damping, eigenvalues below so much of the largest count as zero; None: the square root of the
            rounding of the parameters, 3e-4 for float32 and 1.5e-8 for float64.

    Attributes:
        ranks: Without damping, rank and size of every metric in the last step, by the names of its sets.

    Raises:
        TypeError: an argument is of the wrong kind.
        ValueError: the model holds no quantum sets, or some that are shared or parametrized; the structure is unknown,
            or a number out of bounds.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> model = qtm.QuantumModule(circuit, x, w, seed_init=0)
        >>> natural = qtm.optim.NaturalGradient(model, damping=0.01)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> model(torch.rand(16, 2)).sum().backward()
        >>> natural.step()  # rewrites the gradients
        >>> optimizer.step()
    """

    def __init__(
        self,
        model: torch.nn.Module,
        damping: float = 0.01,
        structure: str = "full",
        tolerance: float | None = None,
    ) -> None:
        if structure not in _STRUCTURES:
            raise ValueError(f"structure: expected one of {', '.join(map(repr, _STRUCTURES))}, got {structure!r}")
        self._damping = finite_number(damping, "damping", 0.0, or_equal=True)
        self._tolerance = None if tolerance is None else finite_number(tolerance, "tolerance", 0.0)
        self._structure = structure
        self._model_name = type(model).__name__
        self._modules = {
            name: module for name, module in quantum_modules(require_model(model)).items() if module.variational_names
        }
        _require_sets(model, self._modules)
        self._inputs: dict[QuantumModule, list[Any]] = {module: [] for module in self._modules.values()}
        self._states: dict[QuantumModule, QuantumModule] = {}
        self._hooks = self._watching()
        self.ranks: dict[str, tuple[int, int]] = {}

    def __repr__(self) -> str:
        count = sum(one.numel() for module in self._modules.values() for one in module.variational_)
        settings = f"damping={self._damping:g}", f"structure={self._structure!r}"
        return called(self, f"{self._model_name} of {count:,} quantum weights", *settings, tolerance=self._tolerance)

    def _watching(self) -> list[Any]:
        return [
            module.register_forward_pre_hook(_Inputs(self, module), with_kwargs=True)
            for module in self._modules.values()
        ]

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_hooks": bool(self._hooks), "_states": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A copy, or what was pickled, sees the calls of the model that came with it."""
        vars(self).update(state)
        self._hooks = self._watching() if state["_hooks"] else []

    def _see(self, module: QuantumModule, arguments: tuple[Any, ...], options: Mapping[str, Any]) -> None:
        if not self._hooks or not torch.is_grad_enabled() or transforms_active():
            return
        input = arguments[0] if arguments else options.get("input", options.get("input_tensor"))
        if isinstance(input, torch.Tensor):
            input = input.detach()
        seen = self._inputs[module]
        if module.input_size or not seen:  # without an input, all calls are the same
            seen.append(input)

    def remove(self) -> None:
        """Takes the hooks off the model."""
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()

    def step(self) -> None:
        """Rewrites the gradients of all quantum sets that have some, in place.

        Raises:
            RuntimeError: a set has a gradient, but its module was not called since the last step.
            ValueError: a gradient is not finite, or the metric cannot be computed; gradients are as they were.
        """
        self.ranks = {}
        found: list[tuple[list[torch.Tensor], torch.Tensor]] = []
        try:
            for prefix, module in self._modules.items():
                sets = {
                    name: one.grad
                    for name, one in zip(module.variational_names, module.variational_, strict=True)
                    if one.grad is not None and one.requires_grad
                }
                for names in [[name] for name in sets] if self._structure == "block" else [list(sets)] if sets else []:
                    gradients = [sets[name] for name in names]
                    found.append((gradients, self._direction(prefix, module, names, gradients)))
        finally:
            for seen in self._inputs.values():
                seen.clear()
        for gradients, direction in found:
            pieces = torch.split(direction, [one.numel() for one in gradients])
            for one, piece in zip(gradients, pieces, strict=True):
                one.copy_(piece.reshape(one.shape))

    def _direction(
        self, prefix: str, module: QuantumModule, names: list[str], gradients: list[torch.Tensor]
    ) -> torch.Tensor:
        label = ", ".join(f"{prefix}.{name}" if prefix else name for name in names)
        input = self._input(label, module)
        gradient = torch.cat([one.detach().reshape(-1) for one in gradients]).to(input)
        if not (is_finite := torch.isfinite(gradient)).all():
            raise ValueError(
                f"model: expected finite gradients of {label}, got {int((~is_finite).sum())} of {len(gradient)} that "
                "are not; leave out the step where the loss is not finite, or take a smaller learning rate"
            )
        tolerance = self._tolerance
        if tolerance is None:
            tolerance = torch.finfo(gradients[0].dtype).eps ** 0.5
        solver, states = Solver(self._damping, tolerance), self._states_of(module)
        solve = solver.diagonal if self._structure == "diagonal" else solver.solved
        solution: Solution = solve(states, input, names, gradient)
        if solution.rank is not None:
            self.ranks[label] = (solution.rank, len(gradient))
        return solution.direction

    def _input(self, label: str, module: QuantumModule) -> torch.Tensor:
        """All rows that a module was called with, in double precision."""
        seen = self._inputs[module]
        if not seen:
            raise RuntimeError(
                f"NaturalGradient.step: expected a call of the module of {label} since the last step, with gradients "
                "and outside of torch.func, got none; call model, loss.backward(), then step()"
            )
        if not module.input_size:
            return torch.empty(0, dtype=torch.float64, device=module.variational_[0].device)
        rows = [module._variables(one)[0].detach().reshape(-1, module.input_size) for one in seen]
        return torch.cat(rows).double()

    def _states_of(self, module: QuantumModule) -> QuantumModule:
        """A module whose output is its states, exact ones; its engine is made once."""
        found = self._states.get(module)
        if found is None:
            found = self._states[module] = as_states(module)
        found.__dict__["_parameters"] = dict(module._parameters)  # which may be others than when it was made
        return found


def _require_sets(model: torch.nn.Module, modules: Mapping[str, QuantumModule]) -> None:
    if not quantum_sets(model) and not modules:
        raise ValueError(
            "model: expected a QuantumModule with variational parameters in it, got none; name them by "
            "variational_params, or take the optimizer alone"
        )
    for prefix, module in modules.items():
        for name in module.variational_names:
            if name not in module._parameters:
                full = f"{prefix}.{name}" if prefix else name
                raise ValueError(
                    f"model: expected sets that are parameters themselves, got '{full}', "
                    "which is parametrized, so that the gradient of what is behind it is no gradient of angles; take "
                    "the parametrization off (torch.nn.utils.parametrize.remove_parametrizations), or the optimizer "
                    "alone"
                )
