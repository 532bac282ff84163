"""Many initialisations of a model, trained side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.func import functional_call, vmap

from .._core.arguments import whole_number
from .._simulation.room import require_bytes
from ..modules.initial import random_numbers
from .models import called_with, require_model


def many_starts(model: torch.nn.Module, k: int, generator: torch.Generator | int | None = None) -> ManyStarts:
    """Initialisations of a model side by side, so that a step of all is one native call.

    Args:
        model: Any module whose parts have ``reset_parameters``, as `QuantumModule` and the layers of PyTorch do. The
            first start is the model as it is, which is left so until `ManyStarts.choose`.
        k: How many.
        generator: Of the other starts: a generator of PyTorch, or a seed; None: the global one.

    Raises:
        TypeError: an argument is of the wrong kind.
        ValueError: `k` is not positive, a number is no seed, or a part of the model cannot start anew; the message
            names it.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> model = qtm.QuantumModule(circuit, x, w, seed_init=0)
        >>> starts = qtm.optim.many_starts(model, 10, generator=0)
        >>> starts.losses(lambda model: model(torch.zeros(1, 2)).sum()).shape
        torch.Size([10])
    """
    return ManyStarts(model, k, generator)


class ManyStarts(torch.nn.Module):
    """Copies of all parameters of a model, stacked; what `many_starts` makes.

    Optimisers that treat every number by itself (SGD, Adam and most others, not LBFGS) train each start as if it were
    alone, by the sum of all losses.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> model = qtm.QuantumModule(circuit, x, w, seed_init=0)
        >>> starts = qtm.optim.many_starts(model, 10, generator=0)
        >>> losses = starts.losses(lambda model: model(torch.zeros(1, 2)).sum())
        >>> starts.choose(losses.argmin()) is model
        True
    """

    def __init__(self, model: torch.nn.Module, k: int, generator: torch.Generator | int | None = None) -> None:
        super().__init__()
        require_model(model)
        self._count = whole_number(k, "k", 1)
        self._model = (model,)  # not as a part: its own parameters are not trained
        self._names = [name for name, one in model.named_parameters() if one.requires_grad]
        if not self._names:
            raise ValueError(
                "model: expected parameters that require gradients, got none; call requires_grad_() of those "
                "to be trained"
            )
        size = sum(one.nbytes for one in model.parameters() if one.requires_grad)
        require_bytes(2 * self._count * size, f"k: the parameters of {self._count:,} starts", "use fewer")
        self._stacked = torch.nn.ParameterList(self._starts(generator))

    @property
    def model(self) -> torch.nn.Module:
        """The model that they are starts of."""
        return self._model[0]

    def extra_repr(self) -> str:
        """What `repr` shows."""
        return f"{self._count} starts of {type(self.model).__name__}"

    def __len__(self) -> int:
        return self._count

    def _starts(self, generator: torch.Generator | int | None) -> list[torch.Tensor]:
        _require_resets(self.model)
        own = dict(self.model.named_parameters())
        before = {name: one.detach().clone() for name, one in own.items()}
        starts = [[before[name]] for name in self._names]
        try:
            with random_numbers(generator):
                for _ in range(self._count - 1):
                    for part in self.model.modules():
                        if part._parameters:
                            part.reset_parameters()  # type: ignore[operator]
                    for values, name in zip(starts, self._names, strict=True):
                        values.append(own[name].detach().clone())
        finally:
            with torch.no_grad():
                for name, one in own.items():
                    one.copy_(before[name])
        return [torch.nn.Parameter(torch.stack(values)) for values in starts]

    def forward(self, *arguments: Any, **options: Any) -> torch.Tensor:
        """The model's outputs for all starts, stacked: shape (k, ...)."""

        def call(*members: torch.Tensor) -> Any:
            others = dict(zip(self._names, members, strict=True))
            return functional_call(self.model, others, arguments, options)

        output: torch.Tensor = vmap(call, randomness="different")(*self._stacked)
        return output

    def losses(self, loss: Callable[[Any], torch.Tensor]) -> torch.Tensor:
        """The loss of each start, shape (k,), with a graph: ``losses(...).sum().backward()``.

        Args:
            loss: A function of the model that returns a tensor of one number, and that ``torch.func.vmap`` takes.

        Raises:
            TypeError: the loss is no function.
            ValueError: it returns something other than one number.
        """
        if not callable(loss):
            raise TypeError(f"loss: expected a function of the model, got {loss!r}")

        def call(*members: torch.Tensor) -> torch.Tensor:
            value = called_with(self.model, lambda: loss(self.model), dict(zip(self._names, members, strict=True)))
            if not isinstance(value, torch.Tensor) or value.numel() != 1:
                got = tuple(value.shape) if isinstance(value, torch.Tensor) else type(value).__name__
                raise ValueError(f"loss: expected a tensor of one number, got {got}")
            return value.reshape(())

        found: torch.Tensor = vmap(call, randomness="different")(*self._stacked)
        return found

    def choose(self, index: int | torch.Tensor) -> torch.nn.Module:
        """Gives the model the parameters of one start, such as ``losses.argmin()``, and returns it.

        Raises:
            TypeError: no whole number.
            ValueError: there is no such start.
        """
        index = whole_number(index.item() if isinstance(index, torch.Tensor) else index, "index", 0, self._count - 1)
        own = dict(self.model.named_parameters())
        with torch.no_grad():
            for name, stacked in zip(self._names, self._stacked, strict=True):
                own[name].copy_(stacked[index])
        return self.model


def _require_resets(model: torch.nn.Module) -> None:
    for name, part in model.named_modules():
        if any(one is not None for one in part._parameters.values()) and not callable(
            getattr(part, "reset_parameters", None)
        ):
            raise ValueError(
                f"model: expected parts that have reset_parameters(), and so can start anew; '{name or 'the model'}' "
                f"({type(part).__name__}) has parameters and none"
            )
