"""Outputs: what is read from the final state. `QuantumModule` takes one in place of observables."""

from .._program.output import Output, State
from .entropy import Entropy
from .fidelity import Fidelity
from .overlap import Overlap
from .probabilities import Probabilities
from .reduced import DensityMatrix, Purity
from .trainable import Trainable
from .variance import Variance

__all__ = [
    "DensityMatrix",
    "Entropy",
    "Fidelity",
    "Output",
    "Overlap",
    "Probabilities",
    "Purity",
    "State",
    "Trainable",
    "Variance",
]
