"""Geometry of parameterised states: how far they, and what is read from them, move when weights do."""

from .tensor import fisher_information, quantum_geometric_tensor

__all__ = [
    "fisher_information",
    "quantum_geometric_tensor",
]
