"""Products of letters as Pauli strings, many at once; projectors are multiplied out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .paulis import Strings, packed

# A letter as a number: whether it has Z, whether it has X, and for a projector, (I + P)/2 or (I - P)/2, which one.
_Z, _X, _MINUS, _PLUS = 1, 2, 4, 8
CODES = {
    "I": 0,
    "X": _X,
    "Y": _X | _Z,
    "Z": _Z,
    "0": _Z | _PLUS,
    "1": _Z | _MINUS,
    "+": _X | _PLUS,
    "-": _X | _MINUS,
    "r": _X | _Z | _PLUS,
    "l": _X | _Z | _MINUS,
}
_CODE_OF_CHARACTER = np.zeros(128, dtype=np.uint8)
_CODE_OF_CHARACTER[[ord(letter) for letter in CODES]] = list(CODES.values())


def codes_of(labels: Sequence[str], num_qubits: int) -> npt.NDArray[np.uint8]:
    """Codes of the letters of K labels, shape (K, num_qubits); the rightmost letter is that of qubit 0."""
    characters = np.frombuffer("".join(labels).encode("ascii"), dtype=np.uint8)
    return _CODE_OF_CHARACTER[characters].reshape(len(labels), num_qubits)[:, ::-1]


def has_projectors(codes: npt.NDArray[np.uint8]) -> bool:
    """Whether a letter of some product is a projector."""
    return bool((codes >= _MINUS).any())


def on_zero(
    codes: npt.NDArray[np.uint8], coefficient: npt.NDArray[np.complex128], idle: Sequence[int]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.complex128]]:
    """Products in which projectors on qubits in |0> are the numbers that they are there: 1, 0 or a half."""
    codes, projects = codes.copy(), np.zeros(codes.shape, dtype=bool)
    projects[:, idle] = codes[:, idle] >= _MINUS
    factors = np.where(codes & _X, 0.5, np.where(codes & _PLUS, 1.0, 0.0))
    coefficient = coefficient * np.where(projects, factors, 1.0).prod(1)
    codes[projects] = CODES["I"]
    return codes, coefficient


def count_strings(codes: npt.NDArray[np.uint8]) -> float:
    """How many Pauli strings K products of letters are, shape (K, num_qubits): with each projector twice as many."""
    return float(np.sum(2.0 ** np.count_nonzero(codes >= _MINUS, axis=1)))


def strings_of(
    observable: npt.NDArray[np.int32], codes: npt.NDArray[np.uint8], coefficient: npt.NDArray[np.complex128]
) -> Strings:
    """K products of letters as Pauli strings.

    Args:
        observable: Of which observable each one is a part, in ascending order; shape (K,).
        codes: Shape (K, num_qubits).
        coefficient: Shape (K,).
    """
    is_distinct = bool(np.all(np.diff(observable)))  # one product each
    x, z = packed(codes & _X != 0), packed(codes & _Z != 0)
    num_projectors = np.count_nonzero(codes >= _MINUS, axis=1)
    if not num_projectors.any():
        return Strings(observable, x, z, coefficient, is_distinct)
    parts: list[list[npt.NDArray[Any]]] = []
    for count in np.unique(num_projectors).tolist():
        own = np.flatnonzero(num_projectors == count)
        parts.append(_multiplied_out(codes[own], x[own], z[own], coefficient[own], count))
        parts[-1].insert(0, np.repeat(observable[own], 1 << count))
    observable, x, z, coefficient = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(observable, kind="stable")
    return Strings(observable[order], x[order], z[order], coefficient[order], is_distinct)


def _multiplied_out(
    codes: npt.NDArray[np.uint8],
    x: npt.NDArray[np.uint8],
    z: npt.NDArray[np.uint8],
    coefficient: npt.NDArray[np.complex128],
    count: int,
) -> list[npt.NDArray[Any]]:
    """Masks and coefficients of all strings, row by row, of products with the same number of projectors."""
    rows = np.arange(len(codes))
    qubits = np.nonzero(codes >= _MINUS)[1].reshape(len(codes), count)
    shape = (len(rows), 1 << count, x.shape[1])
    x, z = np.broadcast_to(x[:, None], shape).copy(), np.broadcast_to(z[:, None], shape).copy()
    scales = np.full(shape[:2], 0.5**count)
    for i in range(count):
        chosen = np.arange(shape[1]) >> i & 1 == 1  # strings with the Pauli, the others with the identity
        qubit = qubits[:, i]
        kept = ~(np.uint8(1) << (qubit & 7).astype(np.uint8))
        for masks in (x, z):
            masks[rows[:, None], np.flatnonzero(~chosen), (qubit >> 3)[:, None]] &= kept[:, None]
        scales[:, chosen] *= np.where(codes[rows, qubit] & _MINUS, -1.0, 1.0)[:, None]
    return [x.reshape(-1, shape[2]), z.reshape(-1, shape[2]), (coefficient[:, None] * scales).ravel()]
