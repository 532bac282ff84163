"""Variational quantum circuits written in Qiskit, trained with PyTorch, simulated fast on ordinary machines."""

from . import initializers
from ._engine import set_memory_budget
from ._passes import compiler_passes
from ._version import __version__
from .estimator import FastEstimator
from .explain import explain
from .gradient import FastReverseEstimatorGradient
from .hybrid import HybridModule
from .module import QuantumModule
from .persistence import load, save

__all__ = [
    "FastEstimator",
    "FastReverseEstimatorGradient",
    "HybridModule",
    "QuantumModule",
    "__version__",
    "compiler_passes",
    "explain",
    "initializers",
    "load",
    "save",
    "set_memory_budget",
]
