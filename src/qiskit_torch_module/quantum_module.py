"""Where version 1.0 had `QuantumModule`."""

import warnings

from .modules.module import QuantumModule

__all__ = ["QuantumModule"]

warnings.warn(
    "qiskit_torch_module.quantum_module is a name of version 1.0; import QuantumModule from qiskit_torch_module",
    DeprecationWarning,
    stacklevel=2,
)
