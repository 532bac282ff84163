"""Outputs: what is read from the final state. `QuantumModule` takes one in place of observables."""

from ._program.output import Output, State

__all__ = ["Output", "State"]
