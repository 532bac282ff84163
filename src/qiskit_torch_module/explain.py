"""Where versions before had `explain`."""

from ._simulation.work import Work
from .modules.explain import explain
from .modules.explanation import Explanation

__all__ = ["Explanation", "Work", "explain"]
