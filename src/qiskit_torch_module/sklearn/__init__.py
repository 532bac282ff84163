"""Classifiers and regressors as scikit-learn has them: pipelines, cross-validation, grid search.

Needs ``pip install 'qiskit-torch-module[sklearn]'``.
"""

try:
    import sklearn  # noqa: F401
except ModuleNotFoundError as error:  # the base package does without it
    raise ModuleNotFoundError(
        "qiskit_torch_module.sklearn: it needs scikit-learn; pip install 'qiskit-torch-module[sklearn]'", name="sklearn"
    ) from error

from .classifier import QuantumClassifier
from .regressor import QuantumRegressor

__all__ = ["QuantumClassifier", "QuantumRegressor"]
