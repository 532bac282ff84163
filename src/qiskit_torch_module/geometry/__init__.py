"""Geometry of parameterised states: how far they, and what is read from them, move when weights do."""

from .classical import classical_fisher_information, neural_tangent_kernel
from .operator import MetricOperator, fisher_operator, tensor_operator
from .tensor import fisher_information, quantum_geometric_tensor

__all__ = [
    "MetricOperator",
    "classical_fisher_information",
    "fisher_information",
    "fisher_operator",
    "neural_tangent_kernel",
    "quantum_geometric_tensor",
    "tensor_operator",
]
