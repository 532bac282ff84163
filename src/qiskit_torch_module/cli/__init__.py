"""The command line, ``qtm``."""

from .commands import app

__all__ = ["app"]
