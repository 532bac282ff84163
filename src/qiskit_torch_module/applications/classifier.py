"""The full-quantum classifier of digits (Meyer et al., arXiv:2404.06314, Table II)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from .._storage.checkpoint import read_checkpoint
from ..circuits import incremental_data_uploading
from ..modules.checkpoint import KIND as CHECKPOINT
from ..modules.module import QuantumModule
from .images import NUM_CLASSES, SIDE

_OLD_KIND = "digit classifier"  # of files of the older format


def digit_classifier(num_threads: int = 0, seed: int | None = None) -> QuantumModule:
    """10 qubits, depth 10, 220 weights: <Z> of qubit c is the logit of class c, for a softmax over the classes."""
    circuit, features, weights = incremental_data_uploading(NUM_CLASSES, SIDE * SIDE // NUM_CLASSES)
    return QuantumModule(
        circuit,
        features,
        weights,
        variational_params_names="weights",
        seed_init=seed,
        num_threads_forward=num_threads,
        num_threads_backward=num_threads,
    )


def predict(model: QuantumModule, pixels: torch.Tensor) -> torch.Tensor:
    """Most probable class of every image."""
    with torch.no_grad():
        labels: torch.Tensor = model(pixels).argmax(dim=1)
    return labels


def load_classifier(path: Path, num_threads: int = 0) -> tuple[QuantumModule, dict[str, Any]]:
    """The classifier that ``qtm train digits`` wrote, finished or not, and the settings it was trained with.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, of another kind, or holds other weights.
    """
    content = read_checkpoint(path, (CHECKPOINT, _OLD_KIND))
    model = digit_classifier(num_threads)
    states, progress = (content.get(name) for name in ("states", "progress"))
    set_weights(model, states.get("model") if isinstance(states, dict) else content.get("weights"), path)
    settings = progress.get("settings") if isinstance(progress, dict) else None
    return model, settings if isinstance(settings, dict) else {}  # older files have no settings


def set_weights(model: QuantumModule, state: Any, path: Path) -> None:
    """Gives a classifier the weights that a file holds.

    Raises:
        ValueError: they are not those of the classifier.
    """
    (own,) = model.variational_
    weights = state.get("weights") if isinstance(state, dict) and len(state) == 1 else None
    if not isinstance(weights, torch.Tensor) or weights.layout is not torch.strided or weights.is_meta:
        raise ValueError(f"{path} holds no weights; expected a tensor of {own.numel()} numbers named 'weights'")
    if weights.shape != own.shape or weights.dtype is not own.dtype:
        raise ValueError(
            f"{path}: expected weights of shape {tuple(own.shape)} and dtype {own.dtype}, "
            f"got {tuple(weights.shape)} and {weights.dtype}"
        )
    if not torch.isfinite(weights).all():
        raise ValueError(f"{path}: expected finite weights, got some that are not; train again with a smaller --lr")
    with torch.no_grad():
        own.copy_(weights)
