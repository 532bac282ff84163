"""Figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from ._classifier import History

_SMOOTHING = 15  # updates


def _running_mean(values: list[float]) -> npt.NDArray[np.float64]:
    width = min(_SMOOTHING, len(values))
    return np.convolve(values, np.full(width, 1 / width), mode="valid")


def plot_learning_curve(history: History, title: str, path: Path) -> None:
    """Loss, training and test accuracy against updates, as a PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (top, bottom) = pyplot.subplots(2, 1, sharex=True, figsize=(7, 6), layout="constrained")
    updates = np.arange(1, len(history.loss) + 1)
    for axis, values, color in ((top, history.loss, "tab:blue"), (bottom, history.accuracy, "tab:orange")):
        mean = _running_mean(values)
        axis.plot(updates, values, color=color, alpha=0.25, linewidth=0.8, label="one batch")
        width = len(values) - len(mean) + 1
        axis.plot(updates[width - 1 :], mean, color=color, label=f"mean of {width} batches")
        axis.grid(alpha=0.3)
    bottom.plot(*zip(*history.test_accuracy, strict=True), "k.-", label="test set")
    bottom.axhline(0.1, color="gray", linestyle=":", label="chance")
    top.set(ylabel="cross-entropy", title=title)
    bottom.set(xlabel="update", ylabel="accuracy", ylim=(0, 1))
    top.legend()
    bottom.legend(loc="lower right")
    figure.savefig(path, dpi=150)
    pyplot.close(figure)
