"""Classifiers and regressors as scikit-learn has them: pipelines, cross-validation, grid search.

Needs the extra ``sklearn``: ``pip install -c constraints.txt ".[sklearn]"`` in a clone of the repository.
"""

from .._core.extras import how_to_install

try:
    import sklearn  # noqa: F401
except ModuleNotFoundError as error:  # the base package does without it
    raise ModuleNotFoundError(
        f"qiskit_torch_module.sklearn: it needs scikit-learn; {how_to_install('sklearn')}", name="sklearn"
    ) from error

from .classifier import QuantumClassifier
from .regressor import QuantumRegressor

__all__ = ["QuantumClassifier", "QuantumRegressor"]
