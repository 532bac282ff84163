"""Where versions before had `explain`."""

from ._simulation.costs import Work
from .modules.explain import Explanation, explain

__all__ = ["Explanation", "Work", "explain"]
