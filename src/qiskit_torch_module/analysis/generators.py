"""The generators of a circuit: Hermitian sums of Pauli words, of which its parameters are the times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import cos, sin
from typing import Any

import numpy as np
import numpy.typing as npt
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.converters import circuit_to_dag

from .._program.compile import compile_evolution
from .._program.evolution import Evolution
from .._program.gf2 import is_odd
from .._program.words import Word, words_of
from .._reading.measurements import without_measurements
from .._reading.observables import sums_of_argument
from .._reading.polynomials import Polynomial
from ..modules.module import QuantumModule
from ..outputs.columns import num_qubits_of_observable
from .family import model_of

# A word is one number: its mask x above so many bits of its mask z.
WORD_BITS = 32

# Sums of words: masks x and z, and the coefficient of P = i^(x z) X^x Z^z.
_Sum = dict[tuple[int, int], float]


@dataclass(frozen=True, eq=False)
class Generator:
    """A sum of Pauli words.

    Attributes:
        words: The words, each once.
        coefficients: Their coefficients, none of them zero.
    """

    words: npt.NDArray[np.uint64]
    coefficients: npt.NDArray[np.float64]


def generators_of(given: Any) -> tuple[list[Generator], int]:
    """Generators, and the number of qubits that they act on.

    Args:
        given: A module, a circuit, or a sequence of Hermitian operators.

    Raises:
        TypeError: something else.
        ValueError: there are none, or on too many qubits.
    """
    if isinstance(given, (QuantumModule, QuantumCircuit)) or hasattr(given, "quantum_module"):
        circuit = given if isinstance(given, QuantumCircuit) else model_of(given).circuit
        evolution, num_first = _moved_first(without_measurements(circuit)[0])
        sums, num_qubits = list(_of_evolution(evolution, num_first)), evolution.num_qubits
    else:
        sums, num_qubits = _of_operators(given)
    if num_qubits > WORD_BITS:
        raise ValueError(f"generators: expected at most {WORD_BITS} qubits, got {num_qubits}")
    made: dict[tuple[bytes, bytes], Generator] = {}
    for one in map(_generator, sums):
        if len(one.words):  # each direction once
            scaled = np.round(one.coefficients / one.coefficients[0], 12)
            made.setdefault((one.words.tobytes(), scaled.tobytes()), one)
    if not made:
        raise ValueError("generators: expected at least one that is no multiple of the identity, got none")
    return list(made.values()), num_qubits


def _generator(total: _Sum) -> Generator:
    least = 1e-12 * max(map(abs, total.values()), default=0.0)
    terms = sorted([(x << WORD_BITS | z, c) for (x, z), c in total.items() if abs(c) > least and (x or z)])
    return Generator(
        np.array([word for word, _ in terms], dtype=np.uint64), np.array([c for _, c in terms], dtype=np.float64)
    )


def _of_operators(given: Any) -> tuple[list[_Sum], int]:
    if not isinstance(given, Sequence) or isinstance(given, str) or not len(given):
        raise TypeError(
            "generators: expected a QuantumModule, a QuantumCircuit or a sequence of Hermitian operators, got "
            f"{type(given).__name__}"
        )
    num_qubits = num_qubits_of_observable(given[0])
    sums = []
    for strings in sums_of_argument("generators", list(given), num_qubits, as_in="generators[0]"):
        total: _Sum = {}
        for one in strings:
            x = sum(1 << q for q, letter in zip(one.qubits, one.letters, strict=True) if letter in "XY")
            z = sum(1 << q for q, letter in zip(one.qubits, one.letters, strict=True) if letter in "ZY")
            total[x, z] = total.get((x, z), 0.0) + one.coefficient
        sums.append(total)
    return sums, num_qubits


@dataclass
class _Open:
    """A generator that rotations side by side still join."""

    angle: Polynomial
    words: list[Word]
    total: _Sum
    after: list[Word] = field(default_factory=list)

    def takes(self, word: Word, angle: Polynomial) -> bool:
        """Whether a rotation by the same parameter may stand beside it."""
        return self.angle == angle and all(one.commutes(word.x, word.z) for one in (*self.words, *self.after))


def _moved_first(circuit: QuantumCircuit) -> tuple[Evolution, int]:
    """A circuit behind rotations of all qubits that it acts on: nothing is left out for what it does to |0...0>.

    Returns how many these are as well: their angles are the first variables.
    """
    idle = set(circuit_to_dag(circuit).idle_wires(ignore=["barrier"]))
    acting = [q for q, qubit in enumerate(circuit.qubits) if qubit not in idle]
    first = ParameterVector("first", len(acting))
    whole = QuantumCircuit(circuit.num_qubits)
    for q, angle in zip(acting, first, strict=True):
        whole.rx(angle, q)
    whole.add_bits(circuit.clbits)
    whole.compose(circuit, range(circuit.num_qubits), circuit.clbits, inplace=True)
    return compile_evolution(whole, [*first, *circuit.parameters], ()), len(acting)


def _of_evolution(evolution: Evolution, num_first: int) -> Iterator[_Sum]:
    """Rotations that depend on parameters but the first ones, in the frame before all fixed gates."""
    if evolution.is_stepwise:
        raise ValueError(
            "generators: expected a circuit of rotations, got one with matrices or diagonals; decompose it "
            "(circuit.decompose), or give the generators as operators"
        )
    opened: list[_Open] = []
    fixed: list[Word] = []
    for word in words_of(evolution.steps)[0]:
        assert isinstance(word, Word)
        if any(variable < num_first for variables, _ in word.angle.terms for variable in variables):
            continue
        angle, scale = _direction(word.angle)
        if not angle.terms:
            fixed.append(word)
            for one in opened:
                one.after.append(word)
            continue
        joined = next((one for one in opened if one.takes(word, angle)), None)
        if joined is None:
            joined = _Open(angle, [], {})
            opened.append(joined)
        _add(joined.total, _before(fixed, {(word.x, word.z): scale}))
        joined.words.append(word)
        for one in opened:
            if one is not joined:
                one.after.append(word)
        if word.angle.constant_value:  # as much of a fixed rotation
            rest = Word(word.x, word.z, Polynomial.constant(word.angle.constant_value))
            fixed.append(rest)
            for one in opened:
                one.after.append(rest)
    for one in opened:
        yield one.total


def _direction(angle: Polynomial) -> tuple[Polynomial, float]:
    """What of an angle varies, up to a factor, and the factor."""
    terms = [(variables, c) for variables, c in angle.terms if variables]
    if not terms:
        return Polynomial(), 0.0
    scale = terms[0][1]
    return Polynomial(tuple([(variables, c / scale) for variables, c in terms])), scale


def _add(total: _Sum, other: _Sum) -> None:
    for word, coefficient in other.items():
        total[word] = total.get(word, 0.0) + coefficient


def _before(fixed: Sequence[Word], total: _Sum) -> _Sum:
    """F^-1 H F for the fixed rotations F, in order of time, before H.

    exp(i a/2 Q) P exp(-i a/2 Q) is cos(a) P + sin(a) i Q P, if Q and P do not commute.
    """
    for turn in reversed(fixed):
        angle = turn.angle.constant_value
        turned: _Sum = {}
        for (x, z), coefficient in total.items():
            if turn.commutes(x, z):
                _add(turned, {(x, z): coefficient})
                continue
            # i Q P is i^(p + 1) times the word of both, see `algebra._signs`.
            power = (turn.x & turn.z).bit_count() + (x & z).bit_count() + 2 * is_odd(turn.z & x)
            power -= ((turn.x ^ x) & (turn.z ^ z)).bit_count()
            sign = 1.0 if (power + 1) % 4 == 0 else -1.0
            _add(turned, {(x, z): cos(angle) * coefficient, (turn.x ^ x, turn.z ^ z): sin(angle) * sign * coefficient})
        total = {word: c for word, c in turned.items() if abs(c) > 1e-15}
    return total
