"""The same simulation in plain PyTorch: slower, but differentiable to any order and on any device.

What the engine does not reach comes from here: derivatives beyond the third, forward mode of forward mode, other
devices. Real and imaginary parts are separate tensors, gates act one after the other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import torch

from .._core.plain import is_plain
from .._engine import memory_budget
from .._program.dense import Diagonal, Matrix, coset_table, row_table
from .._program.evolution import Evolution, angles_of
from .._program.layers import Rotation, X, Z
from .._program.origins import least_unresolved
from .._program.output import ExpectationValues
from .._program.program import Program
from .._reading.polynomials import Polynomial
from ..outputs.paulis import flip_table, parts_of, sign_table
from ..outputs.paulis import values as values_of_paulis
from .columns import variables_for
from .costs import plain_cost, refused_states
from .method import Cost, Method, Refusal, Runner, Task
from .native import joined
from .reading import read
from .room import states_beyond

# Real and imaginary parts (B, 2^n).
State: TypeAlias = tuple[torch.Tensor, torch.Tensor]


class PyTorch(Method):
    """State vectors in plain PyTorch: any output, any device, derivatives of every order; slower.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> model = qtm.QuantumModule(circuit, x, w, method="pytorch")
        >>> model.method
        PyTorch()
    """

    name = "pytorch"

    def cost(self, program: Program, task: Task) -> Cost | Refusal:
        """From the number of steps. Refused if there is no memory even for values."""
        if (reason := program.evolution.too_wide) is not None:
            return Refusal(reason)
        least, budget = plain_cost(program, replace(task, order=0)).bytes, memory_budget()
        if least > budget:
            num_qubits = program.evolution.num_qubits
            return Refusal(states_beyond(budget, least, num_qubits, task.batch_size, ", before and after a step,"))
        if (refusal := refused_states(program, task)) is not None:
            return refusal
        return plain_cost(program, task)

    def prepare(self, program: Program) -> PyTorchRunner:
        """A runner without a state of its own."""
        return PyTorchRunner(program, self)


class PyTorchRunner(Runner):
    """Calls of plain PyTorch."""

    is_differentiable = True

    def values(
        self, inputs: torch.Tensor, weights: Sequence[torch.Tensor], num_threads: int = 0, record: bool = False
    ) -> tuple[torch.Tensor, None]:
        """Shape (B, *shape of the output), with a graph."""
        return values(self.program, inputs, joined(weights, inputs)), None


def values(program: Program, inputs: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """What is read (B, *shape) for inputs (B, N) and weights (W,), derived ones included in both; differentiable."""
    with nullcontext() if inputs.is_meta else torch.autocast(inputs.device.type, enabled=False):
        if isinstance(program.output, ExpectationValues):
            constants, parts = program.output.constants, parts_of(program.output)
            state = _final_states(program.evolution, _resolved(program.evolution, inputs, weights), inputs)
            return values_of_paulis(program.evolution.num_qubits, constants, parts, *state)
        all_states = [_states(program.evolution, inputs, weights)]
        for evolution in program.output.evolutions:
            columns, (row,) = variables_for(evolution, program.evolution, inputs, (weights,))
            all_states.append(_states(evolution, columns, row))
        return read(program, *all_states)


def _states(evolution: Evolution, inputs: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Final states (B, 2^n) of all qubits of the circuit, with its phase."""
    angles = _resolved(evolution, inputs, weights)
    real, imaginary = _final_states(evolution, angles, inputs)
    phase = angles(evolution.phase, 2.0 * math.pi)[..., None]
    factor = torch.complex(torch.cos(phase), torch.sin(phase))
    return in_frame(evolution, factor * torch.complex(real, imaginary))


def _resolved(evolution: Evolution, inputs: torch.Tensor, weights: torch.Tensor) -> _Angles:
    angles = _Angles(inputs, weights)
    angles.require_resolved(evolution)
    return angles


def angles(evolution: Evolution, inputs: torch.Tensor, weights: Sequence[torch.Tensor]) -> torch.Tensor:
    """The angle of every rotation of every sample, shape (B, R); differentiable.

    Args:
        evolution: What is computed.
        inputs: Shape (B, N), derived ones included.
        weights: Sets of weights, likewise.

    Raises:
        ValueError: an angle has no digits left.
    """
    angle_of = _resolved(evolution, inputs, joined(weights, inputs))
    columns = [angle_of(rotation.angle, 4.0 * math.pi).expand(len(inputs)) for rotation in evolution.rotations]
    return torch.stack(columns, 1) if columns else inputs.new_empty(len(inputs), 0)


class _Angles:
    """Angles from inputs and weights: sums of terms, which may cancel, in double precision where the device has it."""

    def __init__(self, inputs: torch.Tensor, weights: torch.Tensor) -> None:
        self._dtype = inputs.dtype
        wide = inputs.dtype if inputs.device.type == "mps" else torch.float64
        self._tensors = inputs, weights
        # Weights in shape (1,): PyTorch turns scalar tensors into float64 where forward mode meets Python numbers.
        self._variables = [*inputs.unbind(1), *weights[:, None].unbind(0)]
        self._wide = [*inputs.to(wide).unbind(1), *weights[:, None].to(wide).unbind(0)]
        self._zero = inputs.new_zeros(1, dtype=wide)

    def __call__(self, angle: Polynomial, period: float | None = None) -> torch.Tensor:
        """Shape (B,) or (1,); up to multiples of the period."""
        if len(angle.terms) == 1 and angle.degree == 1 and abs(angle.terms[0][1]) == 1.0:
            ((index,), sign) = angle.terms[0]
            return sign * self._variables[index]
        total = self._sum(angle)
        return (total if period is None else torch.remainder(total, period)).to(self._dtype)

    def _sum(self, angle: Polynomial) -> torch.Tensor:
        total = self._zero + angle.constant_value
        for factors, coefficient in angle.terms:
            if factors:
                product = self._wide[factors[0]]
                for index in factors[1:]:
                    product = product * self._wide[index]
                total = total + coefficient * product
        return total

    def require_resolved(self, evolution: Evolution) -> None:
        """Looks for angles that have no digits left, unless tensors are fake, traced or transformed.

        Raises:
            ValueError: there is one.
        """
        inputs, weights = (tensor.detach() for tensor in self._tensors)
        if torch.compiler.is_compiling() or not is_plain(self._tensors) or inputs.is_meta or not len(inputs):
            return
        largest = [*inputs.abs().amax(0).tolist(), *weights.abs().tolist()]
        limit = least_unresolved(self._dtype)
        for angle in angles_of(evolution):
            size = sum(
                abs(coefficient) * math.prod([largest[i] for i in factors]) for factors, coefficient in angle.terms
            )
            if not size < limit and not bool((self._sum(angle).detach().abs() < limit).all()):
                fault = None if evolution.origins is None else evolution.origins.fault(inputs, weights)
                raise ValueError(
                    fault
                    or "an angle of the circuit has no digit left for some of the values in "
                    f"{str(self._dtype)[6:]}; keep angles small, e.g. by scaling the values"
                )


def _final_states(evolution: Evolution, angles: _Angles, inputs: torch.Tensor) -> State:
    """Real and imaginary parts (B, 2^n) of the states before the observables."""
    ground = torch.nn.functional.pad(inputs.new_ones(1, 1), (0, (1 << evolution.num_qubits) - 1))
    real = ground.expand(inputs.shape[0], -1)
    state = real, torch.zeros_like(real)
    for step in evolution.steps:
        if isinstance(step, Matrix):
            state = _multiplied(evolution.num_qubits, step, *state)
        elif isinstance(step, Diagonal):
            state = _turned(evolution.num_qubits, step, angles(step.angle), *state)
        else:
            state = _rotated(evolution.num_qubits, step, angles(step.angle, 4.0 * math.pi), *state)
    return state


def _rotated(
    num_qubits: int, rotation: Rotation, angle: torch.Tensor, real: torch.Tensor, imaginary: torch.Tensor
) -> State:
    cosine, sine = torch.cos(0.5 * angle)[..., None], torch.sin(0.5 * angle)[..., None]
    if rotation.axis == Z:
        sine = sine * sign_table(num_qubits, rotation.z, 0).to(real)
        return cosine * real + sine * imaginary, cosine * imaginary - sine * real
    flip = flip_table(num_qubits, rotation.x).to(real.device)
    flipped_real, flipped_imaginary = real[:, flip], imaginary[:, flip]
    if rotation.axis == X:
        return cosine * real + sine * flipped_imaginary, cosine * imaginary - sine * flipped_real
    sine = sine * sign_table(num_qubits, rotation.z, rotation.x).to(real)
    return cosine * real + sine * flipped_real, cosine * imaginary + sine * flipped_imaginary


def _multiplied(num_qubits: int, matrix: Matrix, real: torch.Tensor, imaginary: torch.Tensor) -> State:
    table = torch.from_numpy(coset_table(num_qubits, matrix.qubits)).to(real.device)
    entries = torch.from_numpy(np.stack([matrix.array.real, matrix.array.imag])).to(real)
    a, b = entries
    x, y = real[:, table[: matrix.columns]], imaginary[:, table[: matrix.columns]]
    places = torch.argsort(table.flatten())  # of every index in the table
    return (a @ x - b @ y).flatten(1)[:, places], (a @ y + b @ x).flatten(1)[:, places]


def _turned(
    num_qubits: int, diagonal: Diagonal, angle: torch.Tensor, real: torch.Tensor, imaginary: torch.Tensor
) -> State:
    energies = torch.from_numpy(diagonal.array[row_table(num_qubits, diagonal.qubits)]).to(real)
    cosine, sine = torch.cos(angle[..., None] * energies), torch.sin(angle[..., None] * energies)
    return cosine * real + sine * imaginary, cosine * imaginary - sine * real


def in_frame(evolution: Evolution, states: torch.Tensor) -> torch.Tensor:
    """States (B, 2^n) of the simulated qubits as states of all qubits of the circuit, in Qiskit's order.

    Raises:
        ValueError: the frame is not known.
    """
    frame = evolution.known_frame
    places = torch.from_numpy(row_table(evolution.num_qubits, frame)).to(states.device)
    return states.new_zeros(len(states), 1 << len(frame)).index_add(1, places, states)
