"""Variables that are computed many at once: the angles of all rotations that a gate with parameters turns into.

The rotations have a fixed form (`synthesis`), so that one engine serves all samples. Their angles are no smooth
function of the gate's parameters everywhere: amplitudes may be 0, unitaries have no global coordinates. Derivatives
therefore do not go through them. Further rotations, by angles that are always 0, stand before them: together they
generate every direction in which the state (or unitary) can move, so that gradients with respect to these *tangents*
give those with respect to the gate's parameters, everywhere and to the last digit.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import torch

from .._reading.bound import BoundGate
from .._reading.polynomials import Polynomial
from .synthesis import (
    Real,
    Word,
    diagonal_words,
    flip_words,
    pauli_matrices,
    pauli_words,
    tree_angles,
    tree_words,
    turned,
    unitary_angles,
    unitary_words,
    walsh_hadamard,
)


@dataclass(frozen=True)
class AmplitudeBlock:
    """Makes a state of |0...0> whose amplitudes are the arguments, divided by their norm.

    Attributes:
        arguments: 2^k polynomials of the variables of a program.
        name: Its name in errors.
        text: The text that stands for it in operators of PyTorch.
    """

    arguments: tuple[Polynomial, ...]
    name: str
    text: str = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", json.dumps([len(self.arguments), self.name]))

    @cached_property
    def words(self) -> list[Word]:
        """Words of its rotations in order of time; an angle, or variable, for each."""
        return [*flip_words(self._num_qubits)[0], *tree_words(self._num_qubits)]

    @property
    def has_phase(self) -> bool:
        """Whether a last variable is a phase of the whole state."""
        return False

    @property
    def size(self) -> int:
        """Number of its variables."""
        return 2 * (len(self.arguments) - 1)

    @property
    def _num_qubits(self) -> int:
        return len(self.arguments).bit_length() - 1

    def angles(self, rows: Real) -> Real:
        """Variables (R, size) for arguments (R, 2^k)."""
        levels = tree_angles(rows / self._norms(rows))
        return np.concatenate([np.zeros((len(rows), rows.shape[1] - 1)), *map(walsh_hadamard, levels)], 1)

    def pull_back(self, rows: Real, cotangent: Real) -> Real:
        """From gradients with respect to the variables to those with respect to the arguments."""
        norms = self._norms(rows)
        along = np.pad(2.0 * cotangent[:, : rows.shape[1] - 1], ((0, 0), (1, 0)))
        gradient: Real = turned(tree_angles(rows / norms), along).real / norms
        return gradient

    def push_forward(self, rows: Real, tangent: Real) -> Real:
        """From changes of the arguments to those of the variables."""
        norms = self._norms(rows)
        change = 2.0 * turned(tree_angles(rows / norms), tangent / norms, inverse=True).real[:, 1:]
        return np.pad(change, ((0, 0), (0, self.size - change.shape[1])))

    def bend(self, rows: Real, cotangent: Real, change: Real) -> Real:
        """The second derivatives of the tangents, added up by gradients and along a change; shape (R, 2^k).

        In the frame of the state at x, where x is n |0>, tangents t make the state |0> + sum_k t_k/2 |k>, and to second
        order t_k t_l / 4 times what flip l, the later one, makes of |k>. So t_j / 2 is y_j / |y| less the latter.
        """
        norms = self._norms(rows)
        levels = tree_angles(rows / norms)
        along = turned(levels, change, inverse=True)
        weights = np.pad(cotangent[:, : rows.shape[1] - 1], ((0, 0), (1, 0)))
        sums = weights * along[:, :1]
        sums[:, 0] = (weights * along)[:, 1:].sum(1)
        for later, earlier, target, sign in _pairs_of_flips(rows.shape[1]):
            pair = weights[:, target] * sign
            sums[:, later] += (pair * along[:, earlier]).sum(1)
            sums[:, earlier] += pair * along[:, later : later + 1]
        bent: Real = turned(levels, -2.0 * sums / norms**2)
        return bent

    def bend_forward(self, rows: Real, first: Real, second: Real) -> Real:
        """The same along two changes of the arguments; shape (R, size)."""
        norms = self._norms(rows)
        levels = tree_angles(rows / norms)
        a, b = (turned(levels, change / norms, inverse=True) for change in (first, second))
        products = a * b[:, :1] + b * a[:, :1]
        for later, earlier, target, sign in _pairs_of_flips(rows.shape[1]):
            here = slice(later, later + 1)
            products[:, target] += sign * (a[:, earlier] * b[:, here] + b[:, earlier] * a[:, here])
        return np.pad(-2.0 * products[:, 1:], ((0, 0), (0, self.size - rows.shape[1] + 1)))

    def _norms(self, rows: Real) -> Real:
        largest = np.abs(rows).max(1, keepdims=True)
        empty = np.flatnonzero(largest == 0.0)
        if len(empty):
            raise ValueError(
                f"{self.name}: expected amplitudes that are not all zero, got only zeros in sample {empty[0]}; "
                "leave such samples out"
            )
        norms: Real = largest * np.linalg.norm(rows / largest, axis=1, keepdims=True)
        return norms


def _pairs_of_flips(dimension: int) -> Iterator[tuple[int, slice, Any, Any]]:
    """Each flip l of `flip_words`, those before it, and what it makes of each of their |k>: |k ^ l>, with a sign."""
    for later in range(2, dimension):
        earlier = np.arange(1, later)
        yield later, slice(1, later), earlier ^ later, np.where(earlier & later & -later, -1.0, 1.0)


@dataclass(frozen=True)
class BoundBlock:
    """A gate that can be evaluated only with numbers: the state that it makes of |0...0>, or its unitary.

    Attributes:
        arguments: Its parameters, as polynomials of the variables of a program.
        gate: The gate.
        text: The text that stands for it in operators of PyTorch.
    """

    arguments: tuple[Polynomial, ...]
    gate: BoundGate
    text: str = field(init=False, compare=False, repr=False)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.__post_init__()

    def __post_init__(self) -> None:
        _gates[id(self.gate)] = self.gate
        object.__setattr__(self, "text", json.dumps([id(self.gate)]))

    @property
    def name(self) -> str:
        """Its name in errors."""
        return self.gate.name

    @cached_property
    def words(self) -> list[Word]:
        """Words of its rotations in order of time; an angle, or variable, for each."""
        k = self.gate.num_qubits
        if self.gate.is_state:
            return [*flip_words(k)[0], *flip_words(k)[1], *tree_words(k), *diagonal_words(k)]
        return [*pauli_words(k), *unitary_words(k)]

    @property
    def has_phase(self) -> bool:
        """Whether a last variable is a phase of the whole state."""
        return True

    @property
    def size(self) -> int:
        """Number of its variables."""
        dimension = self._dimension
        return 4 * dimension - 3 if self.gate.is_state else dimension**2 + _unitary_size(dimension)

    @property
    def _dimension(self) -> int:
        return 1 << self.gate.num_qubits

    def angles(self, rows: Real) -> Real:
        """Variables (R, size) for arguments (R, m)."""
        values = self.gate.values(rows)
        angles = np.zeros((len(rows), self.size))
        if self.gate.is_state:
            parts = [*map(walsh_hadamard, tree_angles(np.abs(values)))]
            parts.append(-2.0 * walsh_hadamard(np.angle(values))[:, 1:])
            angles[:, 2 * (self._dimension - 1) : -1] = np.concatenate(parts, 1)
        else:
            for row, value in enumerate(values):
                angles[row, self._dimension**2 - 1 : -1] = unitary_angles(value)
        return angles

    def pull_back(self, rows: Real, cotangent: Real) -> Real:
        """From gradients with respect to the variables to those with respect to the arguments."""
        gradient: Real = np.einsum("rv,rmv->rm", cotangent, self._jacobian(rows))
        return gradient

    def push_forward(self, rows: Real, tangent: Real) -> Real:
        """From changes of the arguments to those of the variables."""
        change: Real = np.einsum("rm,rmv->rv", tangent, self._jacobian(rows))
        return change

    def _jacobian(self, rows: Real) -> Real:
        """How tangents and phase follow the arguments: shape (R, m, size)."""
        values, slopes = self.gate.values_and_slopes(rows)
        jacobian = np.zeros((*rows.shape, self.size))
        if self.gate.is_state:
            # In the frame of the state, exp(-i t/2 P) of the words moves |0...0> by t/2 |j> and -i t/2 |j>.
            levels, phases, count = tree_angles(np.abs(values)), np.exp(-1j * np.angle(values)), self._dimension - 1
            for column in range(rows.shape[1]):
                moved = turned(levels, phases * slopes[:, column], inverse=True)
                jacobian[:, column, :count] = 2.0 * moved[:, 1:].real
                jacobian[:, column, count : 2 * count] = -2.0 * moved[:, 1:].imag
                jacobian[:, column, -1] = moved[:, 0].imag
        else:
            generators = np.einsum("rji,rmjk->rmik", values.conj(), slopes)  # = -i/2 sum_P t_P P, and i times a phase
            parts = np.einsum("pij,rmji->rmp", pauli_matrices(self.gate.num_qubits), generators) / self._dimension
            jacobian[:, :, : self._dimension**2 - 1] = -2.0 * parts[:, :, 1:].imag
            jacobian[:, :, -1] = parts[:, :, 0].imag
        return jacobian


def _unitary_size(dimension: int) -> int:
    """Rotations of `unitary_words`."""
    return 3 if dimension == 2 else 4 * _unitary_size(dimension // 2) + 3 * dimension // 2


Block = AmplitudeBlock | BoundBlock

# Gates by the number that stands for them in a text: in this process, as long as something refers to them.
_gates: WeakValueDictionary[int, BoundGate] = WeakValueDictionary()


def block_of(text: str) -> Block:
    """The block of a text, for numbers in place of its arguments.

    Raises:
        RuntimeError: it is a gate that only numbers can evaluate, and that this process does not have.
    """
    content = json.loads(text)
    if len(content) == 2:
        return AmplitudeBlock((Polynomial(),) * min(content[0], 1 << 30), content[1])
    gate = _gates.get(content[0])
    if gate is None:
        raise RuntimeError(
            "a gate that can be evaluated only with numbers is not in this process: an exported graph with such a gate "
            "works only while the QuantumModule it came from is alive"
        )
    return BoundBlock((Polynomial(),) * len(gate.parameters), gate)


def block_arguments(block: Block, inputs: torch.Tensor, weights: torch.Tensor, first: int) -> torch.Tensor:
    """Arguments (B, m) of a block, from inputs (B, N) and weights (W,), the first of which is variable ``first``."""
    plain = _plain(block.arguments)
    if plain is not None and max(plain) < inputs.shape[1]:
        return inputs[:, plain]

    def variable(index: int) -> torch.Tensor:
        return inputs[:, index] if index < first else weights[index - first]

    columns = []
    for argument in block.arguments:
        total = inputs.new_full((len(inputs),), argument.constant_value)
        for factors, coefficient in argument.terms:
            if factors:
                total = total + coefficient * torch.stack([variable(i).expand(len(inputs)) for i in factors]).prod(0)
        columns.append(total)
    return torch.stack(columns, 1)


def _plain(arguments: Sequence[Polynomial]) -> list[int] | None:
    """The variables that arguments are, if they are no more than that."""
    single = [argument.terms[0] for argument in arguments if len(argument.terms) == 1]
    variables = [factors[0] for factors, coefficient in single if len(factors) == 1 and coefficient == 1.0]
    return variables if len(variables) == len(arguments) > 0 else None
