"""Variational quantum circuits written in Qiskit, trained with PyTorch, simulated fast on ordinary machines."""

from ._engine import set_memory_budget
from ._version import __version__
from .estimator import FastEstimator
from .gradient import FastReverseEstimatorGradient
from .module import QuantumModule

__all__ = ["FastEstimator", "FastReverseEstimatorGradient", "QuantumModule", "__version__", "set_memory_budget"]
