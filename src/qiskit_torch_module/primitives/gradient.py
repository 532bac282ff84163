"""Gradients of expectation values as arrays."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

from .._core.arguments import flag
from .._program.cache import cached_program
from .._program.program import require_sums
from .._reading import compat
from .._reading.exponentials import exact_evolutions
from .._reading.observables import Observables
from .._reading.parameters import parameter_list
from .._simulation.columns import explained, with_derived_columns
from .._simulation.engines import engine_of
from .._simulation.jacobian import engine_jacobian
from .._simulation.threads import engine_threads
from .estimator import FastEstimator
from .pubs import AT_ONCE
from .refusals import parameters_named, position_named
from .rows import Columns, parameters_and_rows
from .settings import GradientSettings
from .triples import Triples, triples


@dataclass(frozen=True)
class EstimatorGradientResult:
    """Gradients and metadata, one entry for each circuit of a call; the options of the call, and its precision."""

    gradients: list[npt.NDArray[np.float64]]
    metadata: list[dict[str, Any]]
    options: Any
    precision: float = 0.0


class FastReverseEstimatorGradient(GradientSettings):
    """Exact gradients of expectation values by the adjoint method, in complex128.

    Source: Jones and Gacon, arXiv:2009.02823; extended to many observables by Meyer et al., arXiv:2404.06314.

    Args:
        derivative_type: What `run` returns of 2 <psi|O|d psi>: "real" (the derivative of the expectation value),
            "imaginary" or "complex"; or the ``DerivativeType`` of ``qiskit-algorithms`` or ``qiskit-machine-learning``.
            It can be set later.
        num_threads: Threads; 0: as ``torch.get_num_threads()``.
        exact_evolution: As for `FastEstimator`.

    Raises:
        ValueError: not a derivative type.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> gradient = qtm.FastReverseEstimatorGradient()
        >>> gradient.jacobian(
        ...     circuit, ["ZZ", "XI"], np.zeros((3, 10)), parameters=w
        ... ).shape
        (3, 2, 8)
    """

    def __init__(self, derivative_type: Any = "real", *, num_threads: int = 0, exact_evolution: bool = False) -> None:
        self.derivative_type = derivative_type
        self.num_threads = num_threads
        self.exact_evolution = flag(exact_evolution, "exact_evolution")
        self._default_options = compat.Options()
        # Read by algorithms that need values besides gradients, such as VarQITE.
        self._estimator = FastEstimator(exact=True, num_threads=num_threads, exact_evolution=exact_evolution)

    @property
    def derivative_type(self) -> Any:
        """What `run` returns, as it was given."""
        return self._derivative_type

    @derivative_type.setter
    def derivative_type(self, value: Any) -> None:
        self._derivative_type = value

    @property
    def _derivative_type(self) -> Any:
        """The name under which the variational principles of ``qiskit-algorithms`` read and set it.

        They compare it with a ``DerivativeType``, and warn where it is another.
        """
        return _Name(self._part) if isinstance(self._type, str) else self._type

    @_derivative_type.setter
    def _derivative_type(self, value: Any) -> None:
        self._part = part_of(value)
        self._type = value

    def _settings(self) -> dict[str, Any]:
        return {"derivative_type": self.derivative_type, **super()._settings()}

    def jacobian(
        self,
        circuit: QuantumCircuit,
        observables: Observables,
        parameter_values: npt.ArrayLike | Columns | None = None,
        parameters: Iterable[Parameter] | None = None,
    ) -> npt.NDArray[np.float64]:
        """Gradients (B, M, P) of M observables for B rows of parameter values.

        Args:
            circuit: Unitary circuit.
            observables: As for `QuantumModule`.
            parameter_values: As for `FastEstimator.expectation_values`.
            parameters: The P parameters to differentiate with respect to, in this order; None: all of
                ``circuit.parameters``.

        Raises:
            TypeError: an argument is of the wrong kind.
            ValueError: an argument cannot be used, or a parameter is not in the circuit.
        """
        return self._jacobian(circuit, observables, parameter_values, parameters, imaginary=False)

    def _jacobian(
        self,
        circuit: QuantumCircuit,
        observables: Observables,
        parameter_values: npt.ArrayLike | Columns | None,
        parameters: Iterable[Parameter] | None,
        *,
        imaginary: bool,
    ) -> npt.NDArray[np.float64]:
        order, rows = parameters_and_rows(circuit, parameter_values)
        columns = columns_of(circuit, order, parameters)
        with exact_evolutions(self.exact_evolution):
            program = cached_program(circuit, observables, order)
        require_sums(program)
        threads = engine_threads(self.num_threads)
        wanted = np.zeros(program.evolution.num_inputs, dtype=bool)
        wanted[columns] = True
        at = torch.from_numpy(rows).requires_grad_(program.evolution.has_derived)
        extended, _ = with_derived_columns(program.evolution, at, at.new_empty(0))
        inputs = extended.detach().numpy()
        with parameters_named(program.evolution):
            try:
                extended_jacobian = engine_jacobian(program, inputs, wanted, threads, imaginary)
            except ValueError as error:
                raise explained(program.evolution, error, extended, at.new_empty(0)) from None
        if imaginary and columns:
            # What the engine leaves out: 2 Im <psi|O| i phase' psi>.
            values = engine_of(program).values(inputs, np.empty(0), threads)
            extended_jacobian += 2.0 * values[:, :, None] * program.evolution.whole_phase.gradient(inputs)[:, None, :]
        jacobian: npt.NDArray[np.float64] = extended_jacobian[:, :, columns]
        for m in range(program.output_size if program.evolution.has_derived and columns else 0):
            cotangent = torch.from_numpy(np.ascontiguousarray(extended_jacobian[:, m]))
            (slope,) = torch.autograd.grad(extended, at, cotangent, retain_graph=True)
            jacobian[:, m] = slope.numpy()[:, columns]
        return jacobian

    def run(
        self,
        circuits: Any,
        observables: Any,
        parameter_values: Any,
        parameters: Sequence[Iterable[Parameter] | None] | None = None,
        *,
        precision: Any = None,
        **options: Any,
    ) -> Any:
        """Starts a job, with the interface of the gradient classes that ``EstimatorQNN`` and ``VQE`` take.

        Args:
            circuits: One circuit for each gradient.
            observables: One observable for each gradient.
            parameter_values: One row of values for each gradient, in the order of ``circuit.parameters``.
            parameters: For each gradient, the parameters to differentiate with respect to, in this order; None: all of
                them, in the order of ``circuit.parameters``.
            precision: Any: gradients are exact.
            options: Passed on to the result; exact simulation takes none.

        Returns:
            A job whose ``result()`` is an `EstimatorGradientResult`.

        Raises:
            TypeError: an argument is of the wrong kind.
            ValueError: different numbers of arguments, or a parameter is not in its circuit.
        """
        checked = triples(circuits, observables, parameter_values)
        wanted = wanted_parameters(checked.circuits, parameters)
        chosen = compat.Options(**{**vars(self._default_options), **options})
        return compat.submitted(self._run, checked, wanted, chosen, at_once=checked.amount < AT_ONCE)

    def _run(self, checked: Triples, wanted: list[list[Parameter]], options: Any) -> EstimatorGradientResult:
        gradients: dict[int, npt.NDArray[np.float64]] = {}
        for group in checked.groups():
            union = list(dict.fromkeys(parameter for i in group.positions for parameter in wanted[i]))
            column = {parameter: index for index, parameter in enumerate(union)}
            with position_named("circuits", group.positions[0], len(wanted)):
                derivatives = self._derivatives(group.circuit, group.observables, group.rows, union)
            for position, row, observable in zip(group.positions, group.row_index, group.observable_index, strict=True):
                chosen = [column[parameter] for parameter in wanted[position]]
                gradients[position] = derivatives[row, observable, chosen]
        metadata = [{"parameters": parameters, "derivative_type": self.derivative_type} for parameters in wanted]
        return EstimatorGradientResult([gradients[i] for i in range(len(wanted))], metadata, options)

    def _derivatives(self, *arguments: Any) -> npt.NDArray[Any]:
        if self._part == "real":
            return self._jacobian(*arguments, imaginary=False)
        if self._part == "imaginary":
            return self._jacobian(*arguments, imaginary=True)
        return self._jacobian(*arguments, imaginary=False) + 1j * self._jacobian(*arguments, imaginary=True)


class _Name(str):
    """The name of a derivative type that equals the member of an enumeration that it names."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        try:
            return part_of(other) == str(self)
        except ValueError:
            return False

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


def part_of(derivative_type: Any) -> str:
    """The name of a derivative type: a string, or a member of an enumeration such as ``DerivativeType.IMAG``."""
    name = str(getattr(derivative_type, "name", derivative_type)).lower()
    for part in ("real", "imaginary", "complex"):
        if len(name) >= 4 and part.startswith(name):
            return part
    raise ValueError(f"derivative_type: expected 'real', 'imaginary' or 'complex', got {derivative_type!r}")


def columns_of(
    circuit: QuantumCircuit, order: Sequence[Parameter], parameters: Iterable[Parameter] | None
) -> list[int]:
    """Where the chosen parameters stand in the order of the columns."""
    position = {parameter: index for index, parameter in enumerate(order)}
    chosen = list(circuit.parameters) if parameters is None else parameter_list(parameters, "parameters")
    _check_known(chosen, position, "parameters")
    return [position[parameter] for parameter in chosen]


def wanted_parameters(circuits: Sequence[QuantumCircuit], parameters: Any) -> list[list[Parameter]]:
    """For each circuit, the parameters to differentiate with respect to."""
    if parameters is None:
        parameters = [None] * len(circuits)
    if isinstance(parameters, Parameter) or not isinstance(parameters, Sequence):
        raise TypeError(
            "parameters: expected a sequence with a list of parameters, or None, for each circuit, "
            f"got {type(parameters).__name__}"
        )
    if len(parameters) != len(circuits):
        raise ValueError(
            f"parameters: expected a list of parameters, or None, for each of {len(circuits)} circuits, "
            f"got {len(parameters)}"
        )
    orders: dict[int, dict[Parameter, None]] = {}
    wanted = []
    for index, (circuit, given) in enumerate(zip(circuits, parameters, strict=True)):
        order = orders.get(id(circuit))
        if order is None:
            order = orders[id(circuit)] = dict.fromkeys(circuit.parameters)
        wanted.append(list(order) if given is None else parameter_list(given, f"parameters[{index}]"))
        if given is not None:
            _check_known(wanted[-1], order, f"parameters[{index}]")
    return wanted


def _check_known(chosen: Iterable[Parameter], known: Container[Parameter], argument: str) -> None:
    unknown = [parameter.name for parameter in chosen if parameter not in known]
    if unknown:
        raise ValueError(f"{argument}: {unknown} are not in the circuit; choose from circuit.parameters")
