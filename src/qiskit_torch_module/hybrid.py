"""Where versions before had `HybridModule`."""

from .modules.hybrid import HybridModule

__all__ = ["HybridModule"]
