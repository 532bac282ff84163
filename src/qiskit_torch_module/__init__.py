"""Variational quantum circuits written in Qiskit, trained with PyTorch, simulated fast on ordinary machines."""

import importlib
from typing import Any

from . import initializers, methods, outputs
from ._engine import set_memory_budget
from ._program.passes import compiler_passes
from ._version import __version__
from .explain import explain
from .modules.checkpoint import Checkpoint
from .modules.hybrid import HybridModule
from .modules.module import QuantumModule
from .modules.moved import with_method
from .modules.persistence import load, save
from .primitives.estimator import FastEstimator
from .primitives.gradient import FastReverseEstimatorGradient
from .primitives.qgt import FastQGT
from .primitives.sampler import FastSampler
from .primitives.sampler_gradient import FastReverseSamplerGradient

__all__ = [
    "Checkpoint",
    "FastEstimator",
    "FastQGT",
    "FastReverseEstimatorGradient",
    "FastReverseSamplerGradient",
    "FastSampler",
    "HybridModule",
    "QuantumModule",
    "__version__",
    "compiler_passes",
    "explain",
    "initializers",
    "load",
    "methods",
    "outputs",
    "save",
    "set_memory_budget",
    "with_method",
]

# Rooms that are opened when they are first asked for: what they need takes time to import.
_ROOMS: tuple[str, ...] = ("analysis", "circuits", "geometry", "kernels", "optim", "plots", "sklearn")


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *_ROOMS, *(name for name in globals() if name.startswith("__"))})
