"""Methods: who computes a program, at what cost. `QuantumModule` takes one as its ``method``."""

from ._simulation.choose import choose, known, offers, register
from ._simulation.method import Cost, Method, Refusal, Runner, Task
from ._simulation.native import Native, joined
from ._simulation.pytorch import PyTorch

__all__ = [
    "Cost",
    "Method",
    "Native",
    "PyTorch",
    "Refusal",
    "Runner",
    "Task",
    "choose",
    "joined",
    "known",
    "offers",
    "register",
]
