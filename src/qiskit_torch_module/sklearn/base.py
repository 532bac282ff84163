"""What classifier and regressor share: arguments, the model, the fit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from .._core.arguments import finite_number, flag, thread_count, whole_number
from ..circuits import incremental_data_uploading
from ..modules.hybrid import HybridModule
from ..modules.module import QuantumModule
from .checks import Array, checked_samples
from .threads import threads_for_the_engine
from .training import Loss, Patience, Samples, Training


class QuantumEstimator(BaseEstimator):  # type: ignore[misc]
    """A circuit between two linear layers, or alone, behind standardised features. Not for use by itself."""

    def __init__(
        self,
        circuit: Any,
        encoding_params: Any,
        variational_params: Any,
        observables: Any,
        num_qubits: int,
        depth: int,
        variational_params_initial: Any,
        epochs: int,
        batch_size: int,
        learning_rate: float,
        weight_decay: float,
        standardize: bool,
        early_stopping: bool,
        validation_fraction: float,
        n_iter_no_change: int,
        tol: float,
        random_state: Any,
        progress: bool,
        num_threads: int,
        method: Any,
    ) -> None:
        self.circuit = circuit
        self.encoding_params = encoding_params
        self.variational_params = variational_params
        self.observables = observables
        self.num_qubits = num_qubits
        self.depth = depth
        self.variational_params_initial = variational_params_initial
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.standardize = standardize
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.random_state = random_state
        self.progress = progress
        self.num_threads = num_threads
        self.method = method

    def _model(self, num_features: int, num_outputs: int, seed: int) -> torch.nn.Module:
        """In double precision: predictions of a sample do not depend on what else is asked for, to 1e-9."""
        circuit, encoding, variational = self.circuit, self.encoding_params, self.variational_params
        options: dict[str, Any] = {
            "variational_params_initial": self.variational_params_initial,
            "seed_init": seed,
            "method": self.method,
        }
        if circuit is None:
            if encoding is not None or variational is not None:
                raise ValueError("circuit: expected one, as its parameters are given, got None")
            circuit, encoding, variational = incremental_data_uploading(
                whole_number(self.num_qubits, "num_qubits", 1), whole_number(self.depth, "depth", 1)
            )
        model: torch.nn.Module
        if self.observables is None:
            model = HybridModule(circuit, encoding, variational, num_features, num_outputs, **options)
        else:
            model = QuantumModule(circuit, encoding, variational, observables=self.observables, **options)
            self._require_widths(model, num_features, num_outputs)
        return model.double()

    @staticmethod
    def _require_widths(model: QuantumModule, num_features: int, num_outputs: int) -> None:
        if model.input_size != num_features:
            raise ValueError(
                f"encoding_params: expected one for each of {num_features} features, got {model.input_size}; without "
                "observables, a linear layer lies between them"
            )
        if model.output_size != num_outputs:
            raise ValueError(
                f"observables: expected {num_outputs}, one for each output, got {model.output_size}; without them, a "
                "linear layer makes outputs of <Z> of every qubit"
            )

    def _begin(self, inputs: Array, num_outputs: int, loss: Loss) -> None:
        """Makes a model, and scales features as they are scattered in the first samples."""
        random = check_random_state(self.random_state)
        seed = int(random.randint(np.iinfo(np.int32).max))
        self.model_ = self._model(inputs.shape[1], num_outputs, seed)
        self._training = Training(
            self.model_,
            loss,
            finite_number(self.learning_rate, "learning_rate", 0.0),
            finite_number(self.weight_decay, "weight_decay", 0.0, or_equal=True),
            whole_number(self.batch_size, "batch_size", 1),
            np.random.RandomState(seed),
        )
        self.loss_curve_: list[float] = []
        self.n_iter_ = 0

    def _set_scale(self, inputs: Array, weights: Array | None) -> None:
        is_wanted = flag(self.standardize, "standardize")
        self._scaler = StandardScaler().fit(inputs, sample_weight=weights) if is_wanted else None

    def _scaled(self, inputs: Array) -> torch.Tensor:
        scaled = inputs if self._scaler is None else self._scaler.transform(inputs)
        return torch.from_numpy(np.ascontiguousarray(scaled, dtype=np.float64))

    def _train(self, samples: Samples, strata: Array | None) -> None:
        patience = Patience(
            whole_number(self.epochs, "epochs", 1),
            finite_number(self.tol, "tol", -1.0),
            whole_number(self.n_iter_no_change, "n_iter_no_change", 1),
        )
        held_out = None
        if flag(self.early_stopping, "early_stopping"):
            samples, held_out = self._split(samples, strata)
        shown = flag(self.progress, "progress")
        with self._threads():
            self.loss_curve_ += [*self._training.run(samples, held_out, patience, shown)]
        self.n_iter_ = len(self.loss_curve_)

    def _split(self, samples: Samples, strata: Array | None) -> tuple[Samples, Samples]:
        fraction = finite_number(self.validation_fraction, "validation_fraction", 0.0)
        try:
            rows, held_out = train_test_split(
                np.arange(len(samples)), test_size=fraction, stratify=strata, random_state=self._training.random
            )
        except ValueError as error:
            raise ValueError(
                f"early_stopping: expected samples enough to hold {fraction:g} of them out, got {len(samples)}: {error}"
            ) from error
        return samples.at(rows), samples.at(held_out)

    def _one_epoch(self, samples: Samples) -> None:
        if self.early_stopping:
            raise ValueError("early_stopping: expected False for partial_fit, which holds no samples out, got True")
        with self._threads():
            self.loss_curve_.append(self._training.epoch(samples))
        self.n_iter_ = len(self.loss_curve_)

    @contextmanager
    def _threads(self) -> Iterator[None]:
        with threads_for_the_engine(thread_count(self.num_threads, "num_threads")) as threads:
            for module in self.model_.modules():
                if isinstance(module, QuantumModule):
                    module.set_num_threads_forward(threads)
                    module.set_num_threads_backward(threads)
            yield

    def _outputs(self, inputs: Any) -> torch.Tensor:
        check_is_fitted(self, "model_")
        checked = checked_samples(self, inputs, dtype=np.float64, reset=False)
        with torch.no_grad(), self._threads():
            outputs: torch.Tensor = self.model_(self._scaled(checked))
        return outputs
