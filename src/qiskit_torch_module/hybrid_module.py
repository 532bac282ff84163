"""Where version 1.0 had `HybridModule`."""

import warnings

from .modules.hybrid import HybridModule

__all__ = ["HybridModule"]

warnings.warn(
    "qiskit_torch_module.hybrid_module is a name of version 1.0; import HybridModule from qiskit_torch_module",
    DeprecationWarning,
    stacklevel=2,
)
