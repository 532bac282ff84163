"""Outputs: what is read from the final state. `QuantumModule` takes one in place of observables."""

from .._program.output import Output, State
from .probabilities import Probabilities

__all__ = ["Output", "Probabilities", "State"]
