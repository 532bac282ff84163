"""Where versions before had `FastEstimator`."""

from .primitives.estimator import FastEstimator

__all__ = ["FastEstimator"]
