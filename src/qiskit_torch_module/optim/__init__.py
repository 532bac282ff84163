"""Optimisers for quantum models, in PyTorch's way or by SciPy.

`NaturalGradient` stands in front of any optimizer of PyTorch. Those with closures compute the loss themselves, without
gradients: ``optimizer.step(closure)`` with a function that returns it and needs no ``backward()``.
"""

from .adapt import Adapted, adapt, pool_gradients
from .minimizing import minimize
from .natural import NaturalGradient
from .qnspsa import QNSPSA
from .rotosolve import Rotosolve
from .spsa import SPSA
from .starts import ManyStarts, many_starts

__all__ = [
    "QNSPSA",
    "SPSA",
    "Adapted",
    "ManyStarts",
    "NaturalGradient",
    "Rotosolve",
    "adapt",
    "many_starts",
    "minimize",
    "pool_gradients",
]
