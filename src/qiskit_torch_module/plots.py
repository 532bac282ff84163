"""Figures: a style for pictures, learning curves, variance of gradients, loss landscapes. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from . import analysis
from ._core.arguments import whole_number
from ._core.pictures import BLUE, GRID, INK, MUTED, ORANGE, decimal, picture
from ._simulation.room import require_bytes
from .analysis.axes import axes_of
from .applications.training import History
from .modules.initial import seeded
from .modules.module import QuantumModule

__all__ = ["GRID", "INK", "MUTED", "decimal", "gradient_variance", "loss_landscape", "picture", "plot_learning_curve"]

_SMOOTHING = 15  # updates


def _running_mean(values: list[float]) -> npt.NDArray[np.float64]:
    width = min(_SMOOTHING, len(values))
    return np.convolve(values, np.full(width, 1 / width), mode="valid")


def plot_learning_curve(history: History, title: str, path: Path) -> None:
    """Loss, training and test accuracy against updates; `path` as in `picture`.

    Example:
        >>> from qiskit_torch_module.applications.training import History
        >>> history = History(
        ...     loss=[2.3, 1.9, 1.6], accuracy=[0.1, 0.3, 0.5], test_accuracy=[(3, 0.4)]
        ... )
        >>> qtm.plots.plot_learning_curve(history, "three updates", Path("curve.svg"))
    """
    updates = np.arange(1, len(history.loss) + 1)
    with picture(path, 2, 1, height=5.4, sharex=True) as (_, (top, bottom)):
        for axis, values, color in ((top, history.loss, BLUE), (bottom, history.accuracy, ORANGE)):
            mean = _running_mean(values)
            axis.plot(updates, values, color=color, alpha=0.25, linewidth=0.8, label="one batch")
            width = len(values) - len(mean) + 1
            axis.plot(updates[width - 1 :], mean, color=color, label=f"mean of {width} batches")
        bottom.plot(*zip(*history.test_accuracy, strict=True), ".-", color=INK, label="test set")
        bottom.axhline(0.1, color=MUTED, linestyle=":", label="chance")
        top.set(ylabel="cross-entropy", title=title)
        bottom.set(xlabel="update", ylabel="accuracy", ylim=(0, 1))
        top.legend()
        bottom.legend(loc="lower right", bbox_to_anchor=(1, 0.12))  # above what chance gives


def gradient_variance(
    models: Sequence[QuantumModule], samples: int = 100, seed: int = 0, axes: Any = None
) -> npt.NDArray[np.float64]:
    """Variance of the gradient at the start against the number of qubits: a line that falls fast is a barren plateau.

    Every model is taken at `samples` random weights, by its own initializers, and random inputs from 0 to 2 pi, in one
    batch; its weights stay as they are. The variance is that of the derivative of the first output, averaged over the
    weights, with its standard error (`qiskit_torch_module.analysis.gradient_variance`).

    Source: McClean et al., "Barren plateaus in quantum neural network training landscapes", Nature Communications 9,
    4812 (2018), arXiv:1803.11173.

    Args:
        models: One model for each number of qubits.
        samples: Number of starts.
        seed: Seed for starts and inputs; the global random state is left as it was.
        axes: Matplotlib axes to draw on; None: the current ones.

    Returns:
        The variances, shape (len(models),).

    Raises:
        TypeError: something other than modules, or than a whole number.
        ValueError: fewer than two starts.

    Example:
        >>> models = []
        >>> for num_qubits in (2, 3, 4):
        ...     circuit, x, w = qtm.circuits.incremental_data_uploading(num_qubits, 1)
        ...     models.append(qtm.QuantumModule(circuit, x, w))
        >>> qtm.plots.gradient_variance(models, samples=20).shape
        (3,)
    """
    listed = [models] if isinstance(models, QuantumModule) else models
    if not isinstance(listed, Sequence) or not all(isinstance(model, QuantumModule) for model in listed):
        raise TypeError(f"models: expected a sequence of QuantumModules, got {models!r}")
    samples = whole_number(samples, "samples", 2)
    with seeded(seed, "seed"):
        found = [analysis.gradient_variance(model, samples) for model in listed]
    axes, variances = axes_of(axes), np.array([one.value for one in found])
    errors = [one.standard_error for one in found]
    axes.errorbar([one.num_qubits for one in found], variances, errors, fmt="o-", capsize=3)
    axes.set(xlabel="qubits", ylabel="variance of the gradient", yscale="log")
    decimal(axes.yaxis)
    axes.grid(alpha=0.3, which="both")
    return variances


def loss_landscape(
    model: torch.nn.Module,
    loss: Callable[[], torch.Tensor],
    span: float = 0.3,
    resolution: int = 25,
    seed: int = 0,
    axes: Any = None,
) -> npt.NDArray[np.float64]:
    """The loss in a plane through the present weights, along two random directions at right angles.

    Directions are scaled set by set to the length of the weights (Li et al., "Visualizing the loss landscape of neural
    nets", NeurIPS 2018, arXiv:1712.09913). The weights are put back afterwards.

    Args:
        model: Any module; its trainable parameters are moved.
        loss: Computes the loss with the weights as they are.
        span: How far to go, as a multiple of the length of the weights.
        resolution: Points along each direction.
        seed: Seed for the directions; the global random state is left as it was.
        axes: Matplotlib axes to draw on; None: the current ones.

    Returns:
        The losses, shape (resolution, resolution). Rows go along the second direction, columns along the first.

    Raises:
        TypeError: something other than a module, or than a whole number.
        ValueError: fewer than two points.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> model = qtm.QuantumModule(circuit, x, w, seed_init=0)
        >>> qtm.plots.loss_landscape(
        ...     model, lambda: model(torch.zeros(1, 2)).sum(), resolution=5
        ... ).shape
        (5, 5)
    """
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"model: expected a torch.nn.Module, got {model!r}")
    resolution = whole_number(resolution, "resolution", 2)
    require_bytes(8 * resolution**2, f"resolution: {resolution:,} x {resolution:,} losses", "use fewer points")
    weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
    start = [parameter.detach().clone() for parameter in weights]
    with seeded(seed, "seed"):
        first, second = _directions(start)
    steps = np.linspace(-span, span, resolution)
    losses = np.empty((resolution, resolution))
    with torch.no_grad():
        try:
            for i, along_second in enumerate(steps):
                for j, along_first in enumerate(steps):
                    for parameter, origin, a, b in zip(weights, start, first, second, strict=True):
                        parameter.copy_(origin + along_first * a + along_second * b)
                    losses[i, j] = float(loss())
        finally:  # also after an error of the loss, and Ctrl-C
            for parameter, origin in zip(weights, start, strict=True):
                parameter.copy_(origin)
    axes = axes_of(axes)
    contours = axes.contourf(steps, steps, losses, levels=20)
    axes.figure.colorbar(contours, ax=axes, label="loss")
    axes.plot(0, 0, "r+")
    axes.set(xlabel="first direction", ylabel="second direction", aspect="equal")
    return losses


def _directions(start: Sequence[torch.Tensor]) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    first, second = [], []
    for weights in start:
        a, b = torch.randn_like(weights), torch.randn_like(weights)
        if weights.numel() > 1:
            b = b - (a * b).sum() / (a * a).sum() * a
        length = weights.norm() if weights.norm() > 0 else torch.ones(())
        first.append(a / a.norm() * length)
        second.append(b / b.norm() * length)
    return first, second
