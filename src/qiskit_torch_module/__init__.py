"""Variational quantum circuits written in Qiskit, trained with PyTorch, simulated fast on ordinary machines."""

from ._engine import set_memory_budget
from ._version import __version__
from .module import QuantumModule

__all__ = ["QuantumModule", "__version__", "set_memory_budget"]
