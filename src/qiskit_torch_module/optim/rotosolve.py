"""One parameter after the other, each to the place where the loss is least."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch.func import vmap

from .._core.arguments import flag, whole_number
from .copied import Copied
from .curve import Curve, curve
from .frequencies import NoFrequencies, frequencies
from .models import (
    Closure,
    called_with,
    chosen_parameters,
    loss_of,
    quantum_sets,
    require_closure,
    require_loss,
    require_model,
)

# Of the largest value of the loss: what rounding may leave of a sum of sines.
_ROUNDING = {torch.float32: 1e-3, torch.float64: 1e-8}


class Rotosolve(Copied):
    """Coordinate descent without a learning rate: every parameter goes to the least loss there is along it.

    Along one parameter, an expectation value is a finite sum of sines. Their frequencies are read from the compiled
    circuit; the loss at a few shifted values, all in one native call, gives the amplitudes, and so the least value
    exactly. One step is a sweep over all parameters.

    Source: Ostaszewski et al., "Structure optimization for parameterized quantum circuits", Quantum 5, 391 (2021),
    arXiv:1905.09692; for several frequencies Wierichs et al., Quantum 6, 677 (2022), arXiv:2107.12390.

    Args:
        model: A `QuantumModule`, or a module that holds some.
        params: Which of its variational sets are trained; None: all parameters of the model that require gradients.
        degree: Of the loss as a polynomial of expectation values: 1 for energies and probabilities, 2 for squared
            errors and variances.
        batched: All shifts of a parameter in one call, by ``torch.func.vmap``. False: one call after the other, for
            closures that it does not take.
        check: One value more for each parameter shows whether the loss is such a sum. False: for losses that are
            sampled.

    Raises:
        TypeError: an argument is of the wrong kind.
        ValueError: a parameter is not of the model, or has no finite number of frequencies; the message names it.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> model = qtm.QuantumModule(circuit, x, w, seed_init=0)
        >>> rotosolve = qtm.optim.Rotosolve(model)
        >>> before = model(torch.zeros(1, 2)).sum()
        >>> loss = rotosolve.step(lambda: model(torch.zeros(1, 2)).sum())
        >>> bool(model(torch.zeros(1, 2)).sum() < before)
        True
    """

    def __init__(
        self,
        model: torch.nn.Module,
        params: Iterable[torch.Tensor] | None = None,
        degree: int = 1,
        batched: bool = True,
        check: bool = True,
    ) -> None:
        self._model = require_model(model)
        degree = whole_number(degree, "degree", 1, 16)
        self._batched, self._check = flag(batched, "batched"), flag(check, "check")
        self._named = chosen_parameters(model, params)
        self._curves = {name: _curves(model, name, one, degree) for name, one in self._named.items()}
        super().__init__(list(self._named.values()), {})

    def step(self, closure: Closure | None = None) -> torch.Tensor:  # type: ignore[override]
        """A sweep over all parameters, in order.

        Args:
            closure: Returns the loss, as a tensor of one number; it needs no ``backward()``.

        Returns:
            The loss before the step, a float64 tensor.

        Raises:
            TypeError: there is no closure, or it returns no number.
            ValueError: the loss is not finite, no single number, or no such sum of sines.
            RuntimeError: the closure cannot be batched.
        """
        closure = require_closure(closure, "Rotosolve")
        before: float | None = None
        for name, parameter in self._named.items():
            for index, along in enumerate(self._curves[name]):
                if along is None:  # without effect
                    continue
                losses = self._losses(closure, name, parameter, index, along.shifts)
                amplitudes, left = along.fitted(losses)
                if self._check:
                    self._require_fit(f"{name}[{index}]", losses, left, parameter.dtype)
                if before is None:
                    before = float(along.at(amplitudes, np.zeros(1))[0])
                with torch.no_grad():
                    parameter.view(-1)[index] += along.least(amplitudes)
        return torch.tensor(before, dtype=torch.float64) if before is not None else loss_of(closure).double()

    def _losses(
        self, closure: Closure, name: str, parameter: torch.Tensor, index: int, shifts: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        rows = parameter.detach().reshape(1, -1).repeat(len(shifts), 1)
        rows[:, index] += torch.from_numpy(shifts).to(rows)
        rows = rows.reshape(len(shifts), *parameter.shape)
        if not self._batched:
            losses = torch.stack([loss_of(partial(called_with, self._model, closure, {name: row})) for row in rows])
        else:
            losses = self._batch(closure, name, rows)
        found: npt.NDArray[np.float64] = losses.double().cpu().numpy()
        return found

    def _batch(self, closure: Closure, name: str, rows: torch.Tensor) -> torch.Tensor:
        def loss(row: torch.Tensor) -> torch.Tensor:
            value = called_with(self._model, closure, {name: row})
            return value.reshape(()) if isinstance(value, torch.Tensor) and value.numel() == 1 else value

        try:
            with torch.no_grad():
                losses = vmap(loss)(rows)
        except (RuntimeError, TypeError, ValueError) as error:
            raise RuntimeError(
                "closure: expected one that torch.func.vmap takes (no backward(), no .item(), no random numbers), as "
                f"all shifts of a parameter are one batch; mend it, or use Rotosolve(..., batched=False): {error}"
            ) from error
        for value in losses if losses.ndim == 1 else [losses]:
            require_loss(value)
        found: torch.Tensor = losses
        return found

    @staticmethod
    def _require_fit(name: str, losses: npt.NDArray[np.float64], left: float, dtype: torch.dtype) -> None:
        if left > _ROUNDING.get(dtype, _ROUNDING[torch.float32]) * max(1.0, np.abs(losses).max()):
            raise ValueError(
                f"closure: expected a loss that is a sum of sines of '{name}', of frequencies that its gates have, and "
                f"found one that differs by {left:.2g}; give a higher degree if it is a polynomial of expectation "
                "values (2 for squared errors), or check=False if it is sampled"
            )


def _curves(model: torch.nn.Module, name: str, parameter: torch.nn.Parameter, degree: int) -> list[Curve | None]:
    """For each entry of a parameter; None: it changes nothing."""
    found = quantum_sets(model).get(parameter)
    if found is None:
        raise ValueError(
            f"params: expected variational sets of quantum modules, got '{name}', of which the loss is no finite sum "
            "of sines; leave it out of params=[...], and train it by another optimizer"
        )
    curves: list[Curve | None] = []
    for index in range(parameter.numel()):
        try:
            several = frequencies(found.module._program.evolution, found.first + index, degree)
            curves.append(curve(several) if several else None)
        except ValueError as error:
            kind = "a finite number of frequencies" if isinstance(error, NoFrequencies) else "frequencies"
            own = found.module.variational_parameters[found.module.variational_.index(parameter)][index]
            raise ValueError(
                f"params: expected parameters with {kind}, got '{own.name}' ({name}[{index}]): {error}; leave '{name}' "
                "out of params=[...]"
            ) from error
    return curves
