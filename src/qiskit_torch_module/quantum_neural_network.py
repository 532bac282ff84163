"""Where versions before had `QNN`."""

from .modules.network import QNN

__all__ = ["QNN"]
