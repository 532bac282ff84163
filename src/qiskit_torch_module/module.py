"""Where versions before had `QuantumModule`."""

from .modules.module import QuantumModule

__all__ = ["QuantumModule"]
