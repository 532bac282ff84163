"""Methods: who computes a program, at what cost. `QuantumModule` takes one as its ``method``."""

from .._program.layers import X, Y, Z
from .._simulation.choose import choose, known, offers, register
from .._simulation.cuda import Cuda, require_finite
from .._simulation.method import Cost, Method, Refusal, Runner, Spending, Task
from .._simulation.native import Native, joined
from .._simulation.pytorch import PyTorch, angles
from .estimated import Estimated
from .journal import Journal
from .mitigation import Readout, ZeroNoise
from .primitive import Primitive
from .rules import SPSA, GuidedSPSA, ParameterShift, Rule
from .shots import Shots

__all__ = [
    "SPSA",
    "Cost",
    "Cuda",
    "Estimated",
    "GuidedSPSA",
    "Journal",
    "Method",
    "Native",
    "ParameterShift",
    "Primitive",
    "PyTorch",
    "Readout",
    "Refusal",
    "Rule",
    "Runner",
    "Shots",
    "Spending",
    "Task",
    "X",
    "Y",
    "Z",
    "ZeroNoise",
    "angles",
    "choose",
    "joined",
    "known",
    "offers",
    "register",
    "require_finite",
]
