"""Which rotations make a state, or a unitary, of a fixed form: the same words for every sample, only angles differ.

A rotation of a target that depends on the state c of p controls, by an angle t_c, is a product of commuting rotations
about products of Z on controls and the axis on the target: by 2^-p sum_c (-1)^|c & s| t_c about the product over s.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

Real = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]

# A word: letters, and the qubit of each.
Word = tuple[str, tuple[int, ...]]


def tree_words(num_qubits: int) -> list[Word]:
    """Words of the rotations that make a real state, in order of time; 2^k - 1."""
    words = []
    for target in reversed(range(num_qubits)):
        words += _multiplexed("Y", target, range(target + 1, num_qubits))
    return words


def tree_angles(states: Real) -> list[Real]:
    """Angles (R, 2^p) of the target of each level, the highest qubit with p = 0 controls first; from states (R, 2^k).

    Of a pair of amplitudes that are both 0, the angle is 0.
    """
    levels = []
    while states.shape[1] > 1:
        first, second = states[:, 0::2], states[:, 1::2]
        levels.append(2.0 * np.arctan2(second, first))
        states = np.hypot(first, second)
    return levels[::-1]


def turned(levels: Sequence[Real], vectors: npt.NDArray[Any], inverse: bool = False) -> npt.NDArray[Any]:
    """The rotations of a tree applied to vectors (R, 2^k), or their inverse."""
    order = range(len(levels))
    for level in reversed(order) if inverse else order:
        half = 0.5 * levels[level]
        cosine, sine = np.cos(half)[:, :, None], np.sin(-half if inverse else half)[:, :, None]
        pairs = vectors.reshape(len(vectors), 1 << level, 2, -1)
        first, second = pairs[:, :, 0], pairs[:, :, 1]
        vectors = np.stack([cosine * first - sine * second, sine * first + cosine * second], 2)
    return vectors.reshape(len(vectors), -1)


def walsh_hadamard(values: Real) -> Real:
    """2^-p sum_c (-1)^|c & s| values_c along the last axis, of length 2^p."""
    size = values.shape[-1]
    flat = values.reshape(-1, size)
    step = 1
    while step < size:
        pairs = flat.reshape(len(flat), -1, 2, step)
        flat = np.stack([pairs[:, :, 0] + pairs[:, :, 1], pairs[:, :, 0] - pairs[:, :, 1]], 2).reshape(len(flat), -1)
        step *= 2
    transform: Real = (flat / size).reshape(values.shape)
    return transform


def diagonal_words(num_qubits: int) -> list[Word]:
    """All products of Z: 2^k - 1 words."""
    return [_word("Z", [q for q in range(num_qubits) if mask >> q & 1]) for mask in range(1, 1 << num_qubits)]


@lru_cache(maxsize=16)
def flip_words(num_qubits: int) -> tuple[tuple[Word, ...], tuple[Word, ...]]:
    """Words that take |0...0> to |j> for every j > 0: by i (one Y among X), and by 1 (X alone)."""
    flips = [[q for q in range(num_qubits) if j >> q & 1] for j in range(1, 1 << num_qubits)]
    return (
        tuple(("Y" + "X" * (len(bits) - 1), tuple(bits)) for bits in flips),
        tuple(_word("X", bits) for bits in flips),
    )


@lru_cache(maxsize=16)
def pauli_words(num_qubits: int) -> tuple[Word, ...]:
    """All words but the identity: 4^k - 1."""
    words = []
    for code in range(1, 4**num_qubits):
        digits = [(code >> 2 * q & 3, q) for q in range(num_qubits)]
        kept = [(digit, q) for digit, q in digits if digit]
        words.append(("".join("_XYZ"[digit] for digit, _ in kept), tuple(q for _, q in kept)))
    return tuple(words)


@lru_cache(maxsize=16)
def pauli_matrices(num_qubits: int) -> Complex:
    """Their matrices: shape (4^k, 2^k, 2^k), the identity first."""
    paulis = np.array([[[1, 0], [0, 1]], [[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]], dtype=complex)
    matrices = paulis
    for _ in range(num_qubits - 1):
        size = matrices.shape[1]
        matrices = np.einsum("aij,bkl->abikjl", paulis, matrices).reshape(-1, 2 * size, 2 * size)
    return matrices


@lru_cache(maxsize=16)
def unitary_words(num_qubits: int) -> tuple[Word, ...]:
    """Words of the rotations that make any unitary up to a phase, in order of time."""
    if num_qubits == 1:
        return (("Z", (0,)), ("Y", (0,)), ("Z", (0,)))
    top, inner = num_qubits - 1, unitary_words(num_qubits - 1)
    z, y = (_multiplexed(axis, top, range(top)) for axis in "ZY")
    return (*inner, *z, *inner, *y, *inner, *z, *inner)


def unitary_angles(unitary: Complex) -> Real:
    """Their angles, for a unitary (2^k, 2^k); Shende, Bullock and Markov, arXiv:quant-ph/0406176."""
    size = len(unitary)
    if size == 2:
        return _euler_angles(unitary)
    from scipy.linalg import cossin  # takes long to import, and few circuits need it

    (left, right), angles, (first, second) = cossin(unitary, p=size // 2, q=size // 2, separate=True)
    after, z_after, between = _demultiplexed(left, right)
    inside, z_before, before = _demultiplexed(first, second)
    return np.concatenate(
        [
            unitary_angles(before),
            walsh_hadamard(z_before),
            unitary_angles(inside),
            walsh_hadamard(2.0 * angles),
            unitary_angles(between),
            walsh_hadamard(z_after),
            unitary_angles(after),
        ]
    )


def _demultiplexed(first: Complex, second: Complex) -> tuple[Complex, Real, Complex]:
    """V, angles t and W with first = V exp(-i t/2) W and second = V exp(i t/2) W."""
    from scipy.linalg import schur

    triangle, basis = schur(first @ second.conj().T, output="complex")
    half = 0.5 * np.angle(np.diag(triangle))
    return basis, -2.0 * half, np.exp(1j * half)[:, None] * (basis.conj().T @ second)


def _euler_angles(unitary: Complex) -> Real:
    unitary = unitary / np.sqrt(np.linalg.det(unitary))
    theta = 2.0 * np.arctan2(np.abs(unitary[1, 0]), np.abs(unitary[1, 1]))
    total, difference = np.angle(unitary[1, 1]), np.angle(unitary[1, 0])
    return np.array([total - difference, theta, total + difference])


def _multiplexed(axis: str, target: int, controls: Sequence[int]) -> list[Word]:
    words = []
    for subset in range(1 << len(controls)):
        signed = [control for bit, control in enumerate(controls) if subset >> bit & 1]
        words.append((axis + "Z" * len(signed), (target, *signed)))
    return words


def _word(letter: str, qubits: Sequence[int]) -> Word:
    return letter * len(qubits), tuple(qubits)
