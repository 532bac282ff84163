"""Where versions before had `load`."""

from .modules.persistence import load, save

__all__ = ["load", "save"]
