"""A quantum classifier as scikit-learn has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from .base import QuantumEstimator
from .checks import Array, checked_samples, plain, sample_weights
from .training import Samples


class QuantumClassifier(ClassifierMixin, QuantumEstimator):  # type: ignore[misc]
    """A classifier by a quantum circuit, trained by Adam on the cross-entropy of the softmax over its outputs.

    Features are standardised, a linear layer makes angles of them, the circuit takes these between trainable layers,
    and a linear layer makes outputs of <Z> of every qubit.

    Args:
        circuit: In place of the default, `circuits.incremental_data_uploading` of `num_qubits` and `depth`.
        encoding_params: Its parameters that take what the first linear layer gives.
        variational_params: Its trainable parameters, as for `QuantumModule`.
        observables: As for `QuantumModule`: then there are no linear layers, features are angles, and each observable
            is the output of a class.
        num_qubits, depth: Of the default circuit; more features make the first linear layer wider, not the circuit.
        variational_params_initial: How trainable parameters start, as for `QuantumModule`.
        epochs: Passes through the samples, at most.
        batch_size: Samples of an update, at most; large ones cost the engine little.
        learning_rate: Of AdamW.
        weight_decay: Of AdamW, for the linear layers; the angles of the circuit have none.
        standardize: Whether features are shifted and scaled to mean 0 and variance 1; `partial_fit` keeps the scale of
            its first samples.
        class_weight: Factors on the losses of classes, a mapping; "balanced": each class weighs the same; None: each
            sample does.
        early_stopping: Whether the loss of samples held out decides when to stop, and which weights are kept.
        validation_fraction: The share of them.
        n_iter_no_change, tol: Training stops after so many epochs in which the loss did not fall by `tol`.
        random_state: Seed of initial weights and shuffling, as in scikit-learn.
        progress: Whether there is a progress bar, on the standard error stream.
        num_threads: For the engine; 0: as ``torch.get_num_threads()``.
        method: As for `QuantumModule`.

    Attributes:
        classes_: Labels, sorted.
        model_: The trained `HybridModule` or `QuantumModule`.
        loss_curve_: Losses, one for each epoch: of the training samples, or of those held out.
        n_iter_: Number of epochs.
        n_features_in_: Number of features.
        feature_names_in_: Their names, where the samples were a table with such.

    Example:
        >>> features = np.random.default_rng(0).normal(size=(60, 3))
        >>> labels = np.where(features[:, 0] > 0, "right", "left")
        >>> classifier = qtm.sklearn.QuantumClassifier(
        ...     num_qubits=2, epochs=20, random_state=0
        ... )
        >>> classifier.fit(features, labels).score(features, labels) > 0.8
        True
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
        epochs: int = 100,
        batch_size: int = 200,
        learning_rate: float = 0.05,
        weight_decay: float = 0.3,
        standardize: bool = True,
        class_weight: Any = None,
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
        self.class_weight = class_weight

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> QuantumClassifier:
        """Trains a new model.

        Args:
            X: Samples, shape (N, features).
            y: Their labels, of any kind, shape (N,).
            sample_weight: Factors on their losses, shape (N,); None: 1. Whole ones are as so many copies of a sample
                where all samples are one batch.

        Raises:
            ValueError: the samples hold fewer than two classes, or something that is not finite; or an argument of the
                constructor cannot be used.
        """
        inputs, labels = self._validated(X, y, reset=True)
        weights = sample_weights(sample_weight, inputs)
        self.classes_ = np.unique(labels if weights is None else labels[weights > 0])
        if len(self.classes_) < 2:
            raise ValueError(f"y: expected labels of at least two classes, got one class, {plain(self.classes_[0])!r}")
        if weights is not None:  # a class may be there with nothing but zeros
            inputs, labels, weights = (one[weights > 0] for one in (inputs, labels, weights))
        self._set_scale(inputs, weights)
        self._begin(inputs, len(self.classes_), _losses)
        samples = self._samples(inputs, labels, weights)
        self._train(samples, labels)
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> QuantumClassifier:
        """One epoch more, with samples that may be others each time.

        Args:
            X: Samples, shape (N, features).
            y: Their labels, shape (N,).
            classes: All labels that there will be; needed in the first call.
            sample_weight: Factors on their losses, shape (N,).

        Raises:
            ValueError: the classes are missing, others than before, or do not hold a label.
        """
        is_first = not hasattr(self, "model_")
        inputs, labels = self._validated(X, y, reset=is_first)
        weights = sample_weights(sample_weight, inputs)
        if is_first:
            if classes is None:
                raise ValueError("classes: expected all labels in the first call of partial_fit, got None")
            self.classes_ = np.unique(column_or_1d(classes))
            if len(self.classes_) < 2:
                raise ValueError(f"classes: expected at least two, got one class, {plain(self.classes_[0])!r}")
        elif classes is not None and not np.array_equal(np.unique(column_or_1d(classes)), self.classes_):
            raise ValueError(f"classes: expected those of the first call, {plain(self.classes_)}, got {plain(classes)}")
        unknown = np.setdiff1d(labels, self.classes_)
        if len(unknown):
            raise ValueError(f"y: expected labels of the classes {plain(self.classes_)}, got {plain(unknown)}")
        if is_first:
            self._set_scale(inputs, weights)
            self._begin(inputs, len(self.classes_), _losses)
        self._one_epoch(self._samples(inputs, labels, weights))
        return self

    def predict_proba(self, X: Any) -> Array:
        """Probabilities of classes, in the order of `classes_`, shape (N, classes)."""
        outputs = self._outputs(X)
        probabilities: Array = torch.softmax(outputs, 1).numpy()
        return probabilities

    def predict_log_proba(self, X: Any) -> Array:
        """Logarithms of the probabilities of classes, shape (N, classes)."""
        outputs = self._outputs(X)
        logarithms: Array = torch.log_softmax(outputs, 1).numpy()
        return logarithms

    def predict(self, X: Any) -> Array:
        """The most probable labels, shape (N,)."""
        outputs = self._outputs(X)
        labels: Array = self.classes_[outputs.argmax(1).numpy()]
        return labels

    def _validated(self, X: Any, y: Any, reset: bool) -> tuple[Array, Array]:
        inputs, labels = checked_samples(self, X, y, dtype=np.float64, reset=reset)
        check_classification_targets(labels)
        return inputs, column_or_1d(labels, warn=True)

    def _samples(self, inputs: Array, labels: Array, weights: Array | None) -> Samples:
        indices = np.searchsorted(self.classes_, labels)
        total = self._class_weighted(indices, weights)
        return Samples(
            self._scaled(inputs), torch.from_numpy(indices), None if total is None else torch.from_numpy(total)
        )

    def _class_weighted(self, indices: Array, weights: Array | None) -> Array | None:
        """Weights of samples times those of their classes; None: all the same."""
        if self.class_weight is None:
            return weights
        own = np.ones(len(indices)) if weights is None else weights
        if isinstance(self.class_weight, str) and self.class_weight == "balanced":
            share = np.bincount(indices, own, len(self.classes_))
            factors = np.divide(share.sum(), share, out=np.zeros_like(share), where=share > 0)
        elif isinstance(self.class_weight, Mapping):
            factors = np.array([float(self.class_weight.get(label, 1.0)) for label in self.classes_])
            if not np.isfinite(factors).all() or (factors < 0).any() or not factors.any():
                raise ValueError(
                    f"class_weight: expected finite factors, none negative, got {plain(self.class_weight)}"
                )
        else:
            raise ValueError(f"class_weight: expected None, 'balanced' or a mapping, got {plain(self.class_weight)!r}")
        total: Array = own * factors[indices]
        return total


def _losses(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.cross_entropy(outputs, targets, reduction="none")
