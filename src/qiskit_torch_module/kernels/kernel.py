"""What all quantum kernels share: samples become features, and pairs of features the entries of a matrix."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

from .._core.arguments import tensor_of
from .._core.plain import is_plain
from .._engine import memory_budget
from .._program.origins import first_not_finite
from .._program.output import Output
from .._reading.observables import Observables
from .._reading.parameters import parameter_list
from .._simulation.choose import method_of, require_exact
from .._simulation.method import Method
from ..modules.initial import Initial
from ..modules.module import QuantumModule
from ..modules.shown import html_of_kernel
from .blocks import PANEL, ROWS, Recomputed, Rows, fill
from .room import dtype_of, require_room, writable

_Own = TypeVar("_Own", bound="Kernel")

# The share of the memory budget that features may take; beyond, they are computed panel by panel.
_SHARE_OF_FEATURES = 0.25
# Fewer bytes of them fit: to ask for the budget takes a hundredth of the time of their kernel matrix.
_LEAST_FEATURES = 1 << 22


class Kernel(torch.nn.Module, ABC):
    """Kernel matrices of samples, by features that a circuit makes of each of them: what all quantum kernels share.

    Attributes:
        quantum: The `QuantumModule` that computes the features; it holds the weights.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> kernel = qtm.kernels.FidelityKernel(circuit, x, w, seed_init=0)
        >>> kernel.evaluate(np.zeros((3, 2))).shape
        (3, 3)
    """

    _diagonal: float | None = None  # of a matrix of samples with themselves, where it is a constant
    _numbers = 1  # that a feature takes: two if it is complex

    def __init__(
        self,
        observables: Observables | Output,
        feature_map: QuantumCircuit,
        encoding_params: Iterable[Parameter],
        variational_params: Iterable[Any] | None,
        variational_params_names: Sequence[str] | str | None,
        variational_params_initial: Initial | Sequence[Initial],
        seed_init: int | None,
        num_threads_forward: int,
        num_threads_backward: int,
        method: str | Method,
    ) -> None:
        super().__init__()
        require_exact(method_of(method), "method")
        require_circuit(feature_map)
        encoding = parameter_list(encoding_params, "encoding_params")
        if not encoding:
            raise ValueError(
                "encoding_params: expected at least one parameter of the feature map, which takes a column of the "
                "samples, got none"
            )
        self.quantum = QuantumModule(
            feature_map,
            encoding,
            variational_params,
            variational_params_names,
            variational_params_initial,
            seed_init,
            observables,
            num_threads_forward,
            num_threads_backward,
            method=method,
        )

    @classmethod
    def from_module(cls: type[_Own], module: QuantumModule, **options: Any) -> _Own:
        """The kernel whose feature map is the circuit of a module, such as one that `load` has read; with its weights.

        Args:
            module: A module with encoding parameters; what it reads does not matter.
            options: Further arguments of the constructor; they take precedence over the module.

        Raises:
            TypeError: it is no `QuantumModule`.
            ValueError: as the constructor.
        """
        if not isinstance(module, QuantumModule):
            raise TypeError(f"module: expected a QuantumModule, got {type(module).__name__}")
        given: dict[str, Any] = {
            "variational_params": module.variational_parameters or None,
            "variational_params_names": module.variational_names or None,
            "num_threads_forward": module.num_threads_forward,
            "num_threads_backward": module.num_threads_backward,
            "method": module.method,
            **options,
        }
        made: Any = cls
        kernel = made(module.circuit, module.encoding_parameters, **given)
        like = _like(module)
        kernel.to(device=like.device, dtype=like.dtype)
        kernel.quantum.load_state_dict({name: module.state_dict()[name] for name in module.variational_names})
        return kernel  # type: ignore[no-any-return]

    @abstractmethod
    def features(self, x: Any) -> torch.Tensor:
        """What the circuit makes of samples (N, D): a row for each; differentiable.

        Raises:
            TypeError, ValueError: as `forward`.
        """

    @abstractmethod
    def _matrix(self, features: torch.Tensor, others: torch.Tensor | None) -> torch.Tensor:
        """The kernel matrix of features; differentiable."""

    @abstractmethod
    def _tile(self, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
        """Entries for features of some rows and of some columns, without a graph."""

    def forward(self, x: Any, y: Any = None, out: Any = None) -> torch.Tensor:
        """The kernel matrix of samples x with samples y.

        The features of every sample are computed once, in one native call. Differentiable with respect to samples and
        weights, any number of times.

        Args:
            x: Samples (N, D), a column for each encoding parameter.
            y: Samples (M, D); None: x itself. The matrix is then symmetric to the last bit.
            out: Where it is written, without gradients: a NumPy array, such as a memory map larger than memory, or a
                tensor, of shape (N, M), dtype float32 or float64 as the result has.

        Returns:
            Shape (N, M). float64 if the parameters or samples that are tensors are, else float32. If `out` is given, a
            tensor that shares its memory. If x and y are both NumPy arrays, which is how scikit-learn calls the kernel
            of ``SVC(kernel=kernel)``, an array, as from `evaluate`.

        Raises:
            TypeError: samples are no real numbers, or `out` is of another dtype or kind.
            ValueError: samples or `out` have another shape, a value is not finite, or the matrix exceeds the memory
                budget.
        """
        if isinstance(x, np.ndarray) and isinstance(y, np.ndarray) and out is None:
            return self._between_arrays(x, y)  # type: ignore[no-any-return]
        samples, others = self._samples(x, y)
        if torch.compiler.is_compiling():
            return self._between(samples, others, out)
        try:
            return self._between(samples, others, out)
        except ValueError as error:
            for name, given in (("x", samples), ("y", others)):
                place = None if given is None or not is_plain([given]) else first_not_finite(given)
                if place is not None and str(error).startswith("inputs: expected finite"):
                    raise ValueError(
                        f"{name}: expected finite values, got {place}; clean the data, e.g. with torch.nan_to_num"
                    ) from None
            raise

    def _between(self, samples: torch.Tensor, others: torch.Tensor | None, out: Any) -> torch.Tensor:
        if out is not None:
            return self._written(samples, others, out)
        shape = (len(samples), len(samples if others is None else others))
        tensors = [samples, *([] if others is None else [others]), *self.quantum.parameters()]
        if torch.compiler.is_compiling() or not is_plain(tensors):
            return self._with_graph(samples, others)
        require_room(shape, samples.dtype)
        if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
            return self._with_graph(samples, others)
        return self._filled(samples.new_empty(shape), samples, others)

    def _between_arrays(self, x: npt.NDArray[Any], y: npt.NDArray[Any]) -> Any:
        """As scikit-learn asks: for the matrix, or, of some of its estimators, for one entry after the other."""
        if x.ndim == 1 or y.ndim == 1:
            raise ValueError(
                f"x, y: expected shapes (N, {self.num_features}) and (M, {self.num_features}), got {x.shape} and "
                f"{y.shape}; where scikit-learn compares samples pair by pair, give kernel.as_sklearn() in place of "
                "the kernel"
            )
        return self.evaluate(x, y)

    def _with_graph(self, samples: torch.Tensor, others: torch.Tensor | None) -> torch.Tensor:
        return self._matrix(self.features(samples), None if others is None else self.features(others))

    def evaluate(self, x_vec: Any, y_vec: Any = None, out: Any = None) -> npt.NDArray[Any]:
        """The kernel matrix as an array, without gradients: what ``QSVC`` and scikit-learn call.

        Args:
            x_vec: Samples (N, D), or one of them, (D,).
            y_vec: Samples (M, D) or (D,); None: `x_vec` itself.
            out: As for `forward`.

        Returns:
            Shape (N, M), in double precision whatever the dtype of the parameters, or in that of `out`; if that is
            given, `out` itself.

        Raises:
            TypeError, ValueError: as `forward`.
        """
        like, dtype = _like(self.quantum), torch.float64
        if out is not None:
            dtype = dtype_of(out)

        def rows(given: Any, name: str) -> torch.Tensor:
            if not isinstance(given, torch.Tensor):
                given = np.asarray(given)
            tensor = tensor_of(given, dtype, like.device, name).detach()
            return tensor[None] if tensor.ndim == 1 else tensor

        samples = rows(x_vec, "x")
        others = None if y_vec is None or y_vec is x_vec else rows(y_vec, "y")
        if others is not None and others.shape == samples.shape and torch.equal(others, samples):
            others = None
        with torch.no_grad():
            matrix = self(samples, others, out)
        return matrix.cpu().numpy() if out is None else out  # type: ignore[no-any-return]

    def diagonal(self, x: Any) -> torch.Tensor:
        """The diagonal (N,) of the kernel matrix of samples (N, D) with themselves, without gradients.

        Raises:
            TypeError, ValueError: as `forward`.
        """
        samples, _ = self._samples(x, None)
        if self._diagonal is not None:
            return samples.new_full((len(samples),), self._diagonal)
        with torch.no_grad():
            features = self.features(samples)
            return torch.cat([self._tile(some, some).diagonal() for some in torch.split(features, ROWS)])

    def as_sklearn(self) -> Any:
        """This kernel as one of ``sklearn.gaussian_process.kernels``, without hyperparameters.

        All of scikit-learn that takes a kernel takes it, and computes whole matrices with it: Gaussian processes, where
        it may be added to and multiplied with others, ``Nystroem``, ``KernelRidge``, ``KernelPCA``, ``SVC``. (A plain
        function is called by most of these once for every pair of samples.)

        Raises:
            ImportError: scikit-learn is not installed.
        """
        from .scikit import MatrixKernel

        return MatrixKernel(self)

    def _samples(self, x: Any, y: Any) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Both as tensors of the dtype to compute in."""
        like = _like(self.quantum)
        given = [x] if y is None or y is x else [x, y]
        dtype = torch.promote_types(like.dtype, torch.float32)
        for one in given:
            if isinstance(one, torch.Tensor) and one.is_floating_point():
                dtype = torch.promote_types(dtype, one.dtype)
        tensors = [self._rows(one, name, dtype, like.device) for one, name in zip(given, "xy", strict=False)]
        return tensors[0], tensors[1] if len(tensors) > 1 else None

    def _rows(self, given: Any, name: str, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
        if isinstance(given, torch.Tensor) and not given.is_complex():
            tensor = given.to(dtype)
        else:
            tensor = tensor_of(given, dtype, device, name)
        if tensor.ndim != 2 or tensor.shape[1] != self.num_features:
            remedy = f"; give {name}[None] for one sample" if tensor.shape == (self.num_features,) else ""
            raise ValueError(
                f"{name}: expected shape (N, {self.num_features}), a row for each sample, a column for each encoding "
                f"parameter, got {tuple(tensor.shape)}{remedy}"
            )
        return tensor

    def _filled(self, matrix: torch.Tensor, samples: torch.Tensor, others: torch.Tensor | None) -> torch.Tensor:
        """Features once for every sample where they all fit into memory, and once for every panel where they do not."""
        given = [samples] if others is None else [samples, others]
        each = self.quantum.output_size * self._numbers * samples.element_size()
        taken, panel = each * sum(map(len, given)), None
        budget = _SHARE_OF_FEATURES * memory_budget() if taken >= _LEAST_FEATURES else taken
        with torch.no_grad():
            if taken <= budget:
                features: list[Rows] = [self.features(one) for one in given]
            else:
                panel = max(1, min(PANEL, int(budget / (4 * each))))  # of which four may be held
                features = [Recomputed(self.features, one, panel) for one in given]
            columns = features[1] if len(features) > 1 else None
            return fill(matrix, self._tile, features[0], columns, self._diagonal, panel)

    def _written(self, samples: torch.Tensor, others: torch.Tensor | None, out: Any) -> torch.Tensor:
        if samples.requires_grad or (others is not None and others.requires_grad):
            raise ValueError("out: expected samples without requires_grad, as no gradients go through it; detach them")
        shape = (len(samples), len(samples if others is None else others))
        return self._filled(writable(out, shape, samples), samples, others)

    def _repr_html_(self) -> str:
        """For notebooks."""
        return html_of_kernel(self.quantum, " ".join([type(self).__name__, self.extra_repr()]).strip())

    @property
    def quantum_module(self) -> QuantumModule:
        """The module that computes the features."""
        return self.quantum

    @property
    def variational_(self) -> list[torch.nn.Parameter]:
        """The trainable sets, in order."""
        return self.quantum.variational_

    @property
    def feature_map(self) -> QuantumCircuit:
        """A copy of the circuit."""
        return self.quantum.circuit

    @property
    def num_features(self) -> int:
        """Number of columns of samples."""
        return self.quantum.input_size

    @property
    def enforce_psd(self) -> bool:
        """False, as exact kernel matrices are positive semi-definite up to rounding."""
        return False

    @property
    def training_parameters(self) -> list[Parameter]:
        """The variational parameters of all sets, in order, which ``QuantumKernelTrainer`` trains."""
        return [parameter for chosen in self.quantum.variational_parameters for parameter in chosen]

    @property
    def num_training_parameters(self) -> int:
        """Number of trainable parameters in all sets together."""
        return self.quantum.num_trainable_parameters

    def assign_training_parameters(self, parameter_values: Mapping[Parameter, Any] | Sequence[float]) -> None:
        """Sets the weights, as ``TrainableKernel`` of qiskit-machine-learning does.

        Args:
            parameter_values: Values of all `training_parameters`, in order; or of some of them, by parameter.

        Raises:
            TypeError: values that are no real numbers.
            ValueError: another number of values, a parameter that is not trained, or a value that is not finite.
        """
        parameters, sets = self.training_parameters, self.variational_
        values = torch.cat([one.detach() for one in sets]) if sets else torch.empty(0)
        if isinstance(parameter_values, Mapping):
            unknown = [parameter for parameter in parameter_values if parameter not in parameters]
            if unknown:
                raise ValueError(
                    f"parameter_values: expected parameters among variational_params, got {unknown[0]}; list it there"
                )
            chosen = [parameters.index(parameter) for parameter in parameter_values]
            given = tensor_of(list(parameter_values.values()), values.dtype, values.device, "parameter_values")
        else:
            chosen = list(range(len(parameters)))
            given = tensor_of(parameter_values, values.dtype, values.device, "parameter_values").flatten()
        if len(given) != len(chosen):
            raise ValueError(f"parameter_values: expected {len(chosen)} values, one for each weight, got {len(given)}")
        if not torch.isfinite(given).all():
            raise ValueError(f"parameter_values: expected finite values, got {given.tolist()}")
        values[chosen] = given.detach()
        with torch.no_grad():
            for weights, part in zip(sets, torch.split(values, [len(one) for one in sets]), strict=True):
                weights.copy_(part)


def require_circuit(feature_map: Any) -> QuantumCircuit:
    """The feature map.

    Raises:
        TypeError: it is no circuit.
    """
    if not isinstance(feature_map, QuantumCircuit):
        raise TypeError(f"feature_map: expected a qiskit QuantumCircuit, got {type(feature_map).__name__}")
    return feature_map


def _like(module: QuantumModule) -> torch.Tensor:
    """A tensor of the dtype and on the device of a module."""
    tensors: Sequence[torch.Tensor] = module.variational_ or module._without_weights()
    return tensors[0]
