"""A quantum regressor as scikit-learn has them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.base import RegressorMixin
from sklearn.preprocessing import StandardScaler

from .base import QuantumEstimator
from .checks import Array, checked_samples, sample_weights
from .training import Samples


class QuantumRegressor(RegressorMixin, QuantumEstimator):  # type: ignore[misc]
    """A regressor by a quantum circuit, trained by Adam on the squared error.

    Features are standardised, a linear layer makes angles of them, the circuit takes these between trainable layers,
    and a linear layer makes outputs of <Z> of every qubit. Targets are standardised, too, if features are.

    Args:
        circuit: In place of the default, `circuits.incremental_data_uploading` of `num_qubits` and `depth`.
        encoding_params: Its parameters that take what the first linear layer gives.
        variational_params: Its trainable parameters, as for `QuantumModule`.
        observables: As for `QuantumModule`: then there are no linear layers, features are angles, and each observable
            is a target.
        num_qubits, depth: Of the default circuit; more features make the first linear layer wider, not the circuit.
        variational_params_initial: How trainable parameters start, as for `QuantumModule`.
        epochs: Passes through the samples, at most.
        batch_size: Samples of an update, at most; large ones cost the engine little.
        learning_rate: Of AdamW.
        weight_decay: Of AdamW, for the linear layers; the angles of the circuit have none.
        standardize: Whether features and targets are shifted and scaled to mean 0 and variance 1; `partial_fit` keeps
            the scale of its first samples.
        early_stopping: Whether the loss of samples held out decides when to stop, and which weights are kept.
        validation_fraction: The share of them.
        n_iter_no_change, tol: Training stops after so many epochs in which the loss did not fall by `tol`.
        random_state: Seed of initial weights and shuffling, as in scikit-learn.
        progress: Whether there is a progress bar, on the standard error stream.
        num_threads: For the engine; 0: as ``torch.get_num_threads()``.
        method: As for `QuantumModule`.

    Attributes:
        model_: The trained `HybridModule` or `QuantumModule`.
        loss_curve_: Losses, one for each epoch: of the training samples, or of those held out.
        n_iter_: Number of epochs.
        n_features_in_: Number of features.
        feature_names_in_: Their names, where the samples were a table with such.

    Example:
        >>> features = np.random.default_rng(0).normal(size=(60, 3))
        >>> regressor = qtm.sklearn.QuantumRegressor(
        ...     num_qubits=2, epochs=20, random_state=0
        ... )
        >>> regressor.fit(features, np.tanh(features[:, 0])).predict(features[:5]).shape
        (5,)
    """

    def __init__(
        self,
        circuit: Any = None,
        encoding_params: Any = None,
        variational_params: Any = None,
        *,
        observables: Any = None,
        num_qubits: int = 4,
        depth: int = 2,
        variational_params_initial: Any = "uniform",
        epochs: int = 200,
        batch_size: int = 200,
        learning_rate: float = 0.05,
        weight_decay: float = 0.3,
        standardize: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 1e-4,
        random_state: Any = None,
        progress: bool = False,
        num_threads: int = 0,
        method: Any = "auto",
    ) -> None:
        super().__init__(
            circuit,
            encoding_params,
            variational_params,
            observables,
            num_qubits,
            depth,
            variational_params_initial,
            epochs,
            batch_size,
            learning_rate,
            weight_decay,
            standardize,
            early_stopping,
            validation_fraction,
            n_iter_no_change,
            tol,
            random_state,
            progress,
            num_threads,
            method,
        )

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> QuantumRegressor:
        """Trains a new model.

        Args:
            X: Samples, shape (N, features).
            y: Their targets, shape (N,) or (N, targets).
            sample_weight: Factors on their losses, shape (N,); None: 1. Whole ones are as so many copies of a sample
                where all samples are one batch.

        Raises:
            ValueError: something is not finite, or an argument of the constructor cannot be used.
        """
        inputs, targets, weights = self._validated(X, y, sample_weight, reset=True)
        if weights is not None:
            inputs, targets, weights = (one[weights > 0] for one in (inputs, targets, weights))
        self._set_scales(inputs, targets, weights)
        self._train(self._samples(inputs, targets, weights), None)
        return self

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> QuantumRegressor:
        """One epoch more, with samples that may be others each time.

        Args:
            X: Samples, shape (N, features).
            y: Their targets, shape (N,) or (N, targets).
            sample_weight: Factors on their losses, shape (N,).

        Raises:
            ValueError: something is not finite, or there are more or fewer targets than before.
        """
        is_first = not hasattr(self, "model_")
        inputs, targets, weights = self._validated(X, y, sample_weight, reset=is_first)
        if is_first:
            self._set_scales(inputs, targets, weights)
        elif targets.ndim != self._num_dims or targets.reshape(len(targets), -1).shape[1] != self._num_outputs:
            raise ValueError(f"y: expected {self._num_outputs} targets of each sample, got shape {targets.shape}")
        self._one_epoch(self._samples(inputs, targets, weights))
        return self

    def predict(self, X: Any) -> Array:
        """Targets, shape (N,) or (N, targets), as in `fit`."""
        outputs: Array = self._outputs(X).numpy()
        if self._target_scaler is not None:
            outputs = self._target_scaler.inverse_transform(outputs)
        return outputs.ravel() if self._num_dims == 1 else outputs

    def _validated(self, X: Any, y: Any, weights: Any, reset: bool) -> tuple[Array, Array, Array | None]:
        options = {"dtype": np.float64, "multi_output": True, "y_numeric": True, "reset": reset}
        inputs, targets = checked_samples(self, X, y, **options)
        return inputs, targets.astype(np.float64), sample_weights(weights, inputs)

    def _set_scales(self, inputs: Array, targets: Array, weights: Array | None) -> None:
        self._set_scale(inputs, weights)
        self._num_dims, rows = targets.ndim, targets.reshape(len(targets), -1)
        self._num_outputs = rows.shape[1]
        self._target_scaler = None if self._scaler is None else StandardScaler().fit(rows, sample_weight=weights)
        self._begin(inputs, self._num_outputs, _losses)

    def _samples(self, inputs: Array, targets: Array, weights: Array | None) -> Samples:
        rows = targets.reshape(len(targets), -1)
        scaled = rows if self._target_scaler is None else self._target_scaler.transform(rows)
        total = None if weights is None else torch.from_numpy(weights)
        return Samples(self._scaled(inputs), torch.from_numpy(np.ascontiguousarray(scaled)), total)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _more_tags(self) -> dict[str, bool]:
        """What tags were before scikit-learn 1.6."""
        return {"multioutput": True}


def _losses(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return (outputs - targets).square().mean(1)
