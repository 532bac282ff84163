"""The quantum geometric tensor as the classes of qiskit-algorithms give it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

from .._core.arguments import flag
from .._differentiation.metric import Metric, Point
from .._program.cache import cached_program
from .._program.output import State
from .._program.program import Program
from .._reading import compat
from .._reading.exponentials import exact_evolutions
from .._simulation.choose import Runners, method_of
from .gradient import columns_of, part_of, wanted_parameters
from .pairs import Pairs
from .pubs import AT_ONCE
from .refusals import position_named
from .rows import Columns, parameters_and_rows
from .settings import GradientSettings
from .triples import circuit_list, require_fitting_row, row_list


@dataclass(frozen=True)
class QGTResult:
    """Tensors and metadata, one entry for each circuit of a call.

    Attributes:
        qgts: Shape (P, P) each; complex, or real where a part was asked for.
        derivative_type: Which part.
        metadata: For each circuit its parameters.
        options: Those of the call.
        precision: 0: tensors are exact.
    """

    qgts: list[npt.NDArray[Any]]
    derivative_type: Any
    metadata: list[dict[str, Any]]
    options: Any
    precision: float = 0.0


class FastQGT(GradientSettings):
    """Exact quantum geometric tensors by the native engine, in complex128: the ``qgt=`` of ``qiskit-algorithms``.

    It takes the place of ``ReverseQGT`` and ``LinCombQGT`` in `VarQITE`, `VarQRTE` and `QFI`, and gives the same
    numbers, for any gate and any expression.

    Args:
        phase_fix: Whether what a change of the global phase brings is taken out: <d_k psi|psi> <psi|d_l psi>.
        derivative_type: What `run` returns of the tensor: "complex", "real" or "imaginary"; or the ``DerivativeType``
            of ``qiskit-algorithms``. It can be set later.
        num_threads: Threads; 0: as ``torch.get_num_threads()``.
        exact_evolution: As for `FastEstimator`.

    Raises:
        TypeError, ValueError: an argument cannot be used.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> tensors = qtm.FastQGT().tensors(circuit, np.zeros((3, 10)))
        >>> tensors.shape, tensors.dtype
        ((3, 10, 10), dtype('complex128'))
    """

    precision: float | None = None  # set by algorithms, and of no effect

    def __init__(
        self,
        phase_fix: bool = True,
        derivative_type: Any = "complex",
        *,
        num_threads: int = 0,
        exact_evolution: bool = False,
    ) -> None:
        self.phase_fix = phase_fix
        self.derivative_type = derivative_type
        self.num_threads = num_threads
        self.exact_evolution = flag(exact_evolution, "exact_evolution")
        self._default_options = compat.Options()
        self._runners: tuple[Program, Runners] | None = None  # those of the last circuit

    @property
    def phase_fix(self) -> bool:
        """Whether what a change of the global phase brings is taken out."""
        return self._phase_fix

    @phase_fix.setter
    def phase_fix(self, value: bool) -> None:
        self._phase_fix = flag(value, "phase_fix")

    @property
    def derivative_type(self) -> Any:
        """What `run` returns, as it was given."""
        return self._type

    @derivative_type.setter
    def derivative_type(self, value: Any) -> None:
        self._part = part_of(value)
        self._type = value

    def _settings(self) -> dict[str, Any]:
        return {"phase_fix": self.phase_fix, "derivative_type": self.derivative_type, **super()._settings()}

    def tensors(
        self,
        circuit: QuantumCircuit,
        parameter_values: npt.ArrayLike | Columns | None = None,
        parameters: Iterable[Parameter] | None = None,
    ) -> npt.NDArray[Any]:
        """Tensors (B, P, P) for B rows of parameter values, all of them in one call.

        Args:
            circuit: Unitary circuit.
            parameter_values: As for `FastEstimator.expectation_values`.
            parameters: The P parameters, in this order; None: all of ``circuit.parameters``.

        Raises:
            TypeError: an argument is of the wrong kind.
            ValueError: an argument cannot be used, or a parameter is not in the circuit; there is no memory.
        """
        order, rows = parameters_and_rows(circuit, parameter_values)
        return self._tensors(circuit, order, rows, columns_of(circuit, order, parameters))

    def _tensors(
        self, circuit: QuantumCircuit, order: Sequence[Parameter], rows: npt.NDArray[np.float64], columns: Sequence[int]
    ) -> npt.NDArray[Any]:
        with exact_evolutions(self.exact_evolution):
            program = cached_program(circuit, State(), order)
        if self._runners is None or self._runners[0] is not program:
            live = Program(program.evolution.live, State())
            self._runners = program, Runners(live, method_of("native"))
        point = Point(self._runners[1], torch.from_numpy(rows), (), (columns,), self.num_threads)
        metric = Metric(point, is_real=self._part == "real", with_phase=not self._phase_fix)
        tensors: npt.NDArray[Any] = metric.entries().numpy()
        return tensors.imag.copy() if self._part == "imaginary" else tensors

    def run(
        self,
        circuits: Any,
        parameter_values: Any,
        parameters: Sequence[Iterable[Parameter] | None] | None = None,
        *,
        precision: Any = None,
        **options: Any,
    ) -> Any:
        """Starts a job, with the interface of the classes of ``qiskit-algorithms``.

        Args:
            circuits: One circuit for each tensor.
            parameter_values: One row of values for each tensor, in the order of ``circuit.parameters``.
            parameters: For each tensor its parameters, in this order; None: all of them, in the order of
                ``circuit.parameters``.
            precision: Any: tensors are exact.
            options: Passed on to the result; exact simulation takes none.

        Returns:
            A job whose ``result()`` is a `QGTResult`.

        Raises:
            TypeError: an argument is of the wrong kind.
            ValueError: different numbers of arguments, or a parameter is not in its circuit.
        """
        listed = circuit_list(circuits)
        rows = row_list(parameter_values, len(listed))
        if len(listed) != len(rows):
            raise ValueError(
                f"run: expected as many circuits as rows of parameter values, got {len(listed)} and {len(rows)}"
            )
        for index, (circuit, row) in enumerate(zip(listed, rows, strict=True)):
            require_fitting_row(circuit, row, index)
        wanted = wanted_parameters(listed, parameters)
        chosen = compat.Options(**{**vars(self._default_options), **options})
        amount = sum(len(some) << circuit.num_qubits for circuit, some in zip(listed, wanted, strict=True))
        return compat.submitted(self._run, Pairs(listed, rows), wanted, chosen, at_once=amount < AT_ONCE)

    def _run(self, checked: Pairs, wanted: list[list[Parameter]], options: Any) -> QGTResult:
        tensors: dict[int, npt.NDArray[Any]] = {}
        for group in checked.groups():
            order = list(group.circuit.parameters)
            union = list(dict.fromkeys(parameter for i in group.positions for parameter in wanted[i]))
            place = {parameter: index for index, parameter in enumerate(union)}
            with position_named("circuits", group.positions[0], len(wanted)):
                found = self._tensors(group.circuit, order, group.rows, columns_of(group.circuit, order, union))
            for position, row in zip(group.positions, group.row_index, strict=True):
                chosen = [place[parameter] for parameter in wanted[position]]
                tensors[position] = found[row][np.ix_(chosen, chosen)]
        metadata = [{"parameters": parameters} for parameters in wanted]
        return QGTResult([tensors[i] for i in range(len(wanted))], self.derivative_type, metadata, options)
