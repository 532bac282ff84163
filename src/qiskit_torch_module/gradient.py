"""Where versions before had `FastReverseEstimatorGradient`."""

from .primitives.gradient import EstimatorGradientResult, FastReverseEstimatorGradient

__all__ = ["EstimatorGradientResult", "FastReverseEstimatorGradient"]
