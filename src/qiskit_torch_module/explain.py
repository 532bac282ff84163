"""Where versions before had `explain`."""

from .modules.explain import Explanation, Work, explain

__all__ = ["Explanation", "Work", "explain"]
