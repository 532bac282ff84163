"""Circuits that grow: the slopes of the energy along a pool of operators, and the steepest one as a new gate."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.circuit.library import PauliEvolutionGate
from qiskit.quantum_info import SparsePauliOp

from .._core.shown import Result
from .._differentiation.tangents import states_function
from .._reading.measurements import with_measurements, without_measurements
from .._reading.observables import operators_of, pauli_sums, sums_of_argument
from .._reading.paulis import PauliSums
from .._simulation.choose import Runners
from .._simulation.room import require_states
from .._simulation.states import states_of
from ..modules.module import QuantumModule
from ..outputs.paulis import applied, read_as, values

# The set that takes the parameters of grown gates.
_SET = "adapt"


@dataclass(frozen=True, repr=False)
class Adapted(Result):
    """A model with one gate more.

    Attributes:
        model: The grown model, whose new gate has the angle 0: it gives what the model before gave. The parameters of
            grown gates are its set ``adapt``.
        chosen: The operator of the pool that was taken.
        gradients: Those of the whole pool, by `pool_gradients`.

    Example:
        >>> start = QuantumCircuit(2)
        >>> _ = start.h([0, 1])
        >>> model = qtm.QuantumModule(start, None, None, observables=["ZZ"]).double()
        >>> step = qtm.optim.adapt(model, ["YI", "YZ", "ZY"])
        >>> step.chosen, step.gradients.shape
        (1, torch.Size([3]))
    """

    model: QuantumModule
    chosen: int
    gradients: torch.Tensor

    @property
    def steepest(self) -> float:
        """The largest slope; where it is small, no operator of the pool lowers the energy much."""
        return float(self.gradients.abs().max())


def pool_gradients(model: QuantumModule, pool: Sequence[Any], input: Any = None) -> torch.Tensor:
    """How steeply an energy falls along each operator of a pool, if it was the generator of a next gate.

    For operators A and the observable H that the model reads, the slope of the energy of exp(-i t A) psi at t = 0::

        d/dt <H> = i <psi| A H - H A |psi> = -2 Im <A psi | H psi>,

    all of them from one H psi: no commutator is multiplied out, whose number of terms is the product of both.

    Args:
        model: It reads one sum of Paulis.
        pool: K Hermitian operators: Pauli labels, Qiskit operators, mappings from label to coefficient.
        input: As for the model.

    Returns:
        Shape (K,), or (..., K) for a batch of inputs, in the dtype of the parameters; computed in double precision,
        without a graph.

    Raises:
        TypeError: the model is no `QuantumModule`, or an operator is of the wrong kind.
        ValueError: the model reads something else, or several observables; the pool is empty, or acts on other qubits.

    Source: Grimsley et al., arXiv:1812.11173.

    Example:
        >>> start = QuantumCircuit(2)
        >>> _ = start.h([0, 1])
        >>> model = qtm.QuantumModule(start, None, None, observables=["ZZ"]).double()
        >>> qtm.optim.pool_gradients(model, ["YI", "YZ", "ZY"]).shape
        torch.Size([3])
    """
    return _gradients(model, sums_of_argument("pool", _listed(pool), _checked(model)._num_qubits), input)


def adapt(model: QuantumModule, pool: Sequence[Any], input: Any = None) -> Adapted:
    """Grows a model by the operator of a pool along which its energy falls most steeply: a step of ADAPT-VQE.

    The new gate is ``PauliEvolutionGate(operator, t)`` at the end of the circuit: exp(-i t A), or, where terms of A do
    not commute, a product of their exponentials, which has the same slope. Its angle starts at 0, and all other
    parameters stay as they are; the next step is to train all of them.

    Args:
        model: It reads one sum of Paulis. It is left as it is.
        pool: Hermitian operators, as for `pool_gradients`.
        input: As for the model; of a batch, the mean counts.

    Returns:
        The grown model, which operator was taken, and the slopes of all.

    Raises:
        TypeError, ValueError: as `pool_gradients`; or the batch is empty.

    Source: Grimsley et al., arXiv:1812.11173.

    Example:
        >>> start = QuantumCircuit(2)
        >>> _ = start.h([0, 1])
        >>> model = qtm.QuantumModule(start, None, None, observables=["ZZ"]).double()
        >>> step = qtm.optim.adapt(model, ["YI", "YZ", "ZY"])
        >>> step.model.num_trainable_parameters
        1
    """
    sums = sums_of_argument("pool", _listed(pool), _checked(model)._num_qubits)
    slopes = _gradients(model, sums, input)
    if not slopes.numel():
        raise ValueError(
            f"input: expected a sample to take the mean of, got a batch of shape {tuple(slopes.shape[:-1])}"
        )
    slopes = slopes.reshape(-1, slopes.shape[-1]).mean(0)
    chosen = int(slopes.abs().argmax())
    return Adapted(_grown(model, operators_of(sums)[chosen]), chosen, slopes)


def _checked(model: Any) -> QuantumModule:
    if not isinstance(model, QuantumModule):
        raise TypeError(f"model: expected a QuantumModule, got {type(model).__name__}")
    if model._sums is not None or model._program.expectation_values is None or model.output_size != 1:
        raise ValueError(
            f"model: expected one observable, a sum of Paulis, got {model.observables!r}; give "
            "observables=[hamiltonian]"
        )
    return model


def _listed(pool: Any) -> list[Any]:
    operators = [pool] if isinstance(pool, (str, Mapping)) or not isinstance(pool, Iterable) else list(pool)
    if isinstance(pool, SparsePauliOp) or not operators:
        raise ValueError(f"pool: expected a list of operators, got {pool!r}; each of them may be a sum of Paulis")
    return operators


def _gradients(model: QuantumModule, pool: PauliSums, input: Any) -> torch.Tensor:
    """How all <A> change along v = i H psi: half of the difference between those of psi + v and of psi - v.

    So operators are read as all observables are, and none is applied to a state.
    """
    inputs, weights, _ = model._variables(input)
    rows = inputs.detach().reshape(math.prod(inputs.shape[:-1]), model.input_size).double()
    num_qubits = model._num_qubits
    require_states(num_qubits, len(rows), 4)
    runner = Runners(states_of(model._program), None)(rows)
    with torch.no_grad():
        row = torch.cat([rows.new_empty(0), *(one.detach().double() for one in weights)])
        states = states_function(runner, model.num_threads_forward)(rows, row)
        (constant,), parts = read_as(pauli_sums(model.observables, num_qubits))
        moved = 1j * applied(num_qubits, constant, parts, states)
        size = torch.linalg.vector_norm(moved, dim=1, keepdim=True).clamp_min(torch.finfo(rows.dtype).tiny)
        both = torch.cat([states + moved / size, states - moved / size])
        plus, minus = values(num_qubits, *read_as(pool), both.real, both.imag).chunk(2)
        slopes: torch.Tensor = 0.5 * size * (plus - minus)
    return slopes.reshape(*inputs.shape[:-1], pool.num_observables).to(inputs.dtype)


def _grown(model: QuantumModule, operator: SparsePauliOp) -> QuantumModule:
    """The model with the exponential of an operator at its end, at angle 0."""
    circuit, measurements = without_measurements(model.circuit)
    names, sets, initials = (
        model.variational_names,
        [list(one) for one in model.variational_parameters],
        [*model._initials],
    )
    if _SET not in names:
        names, sets, initials = [*names, _SET], [*sets, []], [*initials, []]
    place = names.index(_SET)
    angle = _new_parameter(circuit, len(sets[place]))
    sets[place].append(angle)
    initials[place] = [0.0] * len(sets[place])
    circuit.append(PauliEvolutionGate(operator, time=angle), range(circuit.num_qubits))
    found = QuantumModule(
        with_measurements(circuit, measurements),
        model.encoding_parameters or None,
        sets,
        names,
        initials,
        seed_init=0,  # the global random state is left as it was
        observables=model.observables,
        num_threads_forward=model.num_threads_forward,
        num_threads_backward=model.num_threads_backward,
        encoding_gradients_flag=model.encoding_gradients_flag,
        method=model.method,
    )
    like = (model.variational_ or model._without_weights())[0]
    found.to(like).train(model.training)
    with torch.no_grad():
        for name, values in zip(model.variational_names, model.variational_, strict=True):
            own = getattr(found, name)
            own[: len(values)] = values
            own.requires_grad_(values.requires_grad)
    return found


def _new_parameter(circuit: QuantumCircuit, number: int) -> Parameter:
    """One whose name no other has."""
    taken = {parameter.name for parameter in circuit.parameters}
    name = f"{_SET}[{number}]"
    while name in taken:
        name = f"{name}'"
    return Parameter(name)
