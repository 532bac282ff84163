"""Sums of Pauli strings on states: their expectation values, and what they make of a state."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from .._program.dense import VirtualQubits
from .._program.frame import expectation_values_in
from .._program.output import ExpectationValues, grouped
from .._reading.paulis import PauliSums, packed, parity, unpacked

# Diagonals of so many qubits are kept, as they take little memory.
_MOST_KEPT = 10


class Part(NamedTuple):
    """Terms that flip the same bits, and are all real or all imaginary (see `PauliTerms`)."""

    flip: int
    is_imaginary: bool
    signs: tuple[int, ...]
    coefficients: tuple[float, ...]
    owners: tuple[int, ...]


def no_sums(num_qubits: int) -> PauliSums:
    """Those of no observable."""
    masks = np.empty((0, -(-num_qubits // 8)), dtype=np.uint8)
    return PauliSums(num_qubits, 0, np.empty(0, dtype=np.int32), masks, masks, np.empty(0))


def qubits_in(sums: PauliSums) -> frozenset[int]:
    """The qubits that any string acts on."""
    bits = unpacked(sums.x | sums.z, sums.num_qubits).any(axis=0)
    return frozenset(np.flatnonzero(bits).tolist())


def renumbered(sums: PauliSums, places: Mapping[int, int]) -> PauliSums:
    """The same on the qubits that have a place, in the order of these."""
    qubits = sorted(places, key=places.__getitem__)
    x, z = (packed(unpacked(masks, sums.num_qubits)[:, qubits]) for masks in (sums.x, sums.z))
    return PauliSums(len(qubits), sums.num_observables, sums.observable, x, z, sums.coefficient)


@lru_cache(maxsize=128)
def read_as(sums: PauliSums) -> tuple[tuple[float, ...], tuple[Part, ...]]:
    """Constants and parts of observables on the qubits of a circuit, as they are."""
    masks = tuple([1 << qubit for qubit in range(sums.num_qubits)])
    output = expectation_values_in(VirtualQubits(masks, masks, (False,) * sums.num_qubits), sums)
    return output.constants, parts_of(output)


@lru_cache(maxsize=128)
def parts_of(output: ExpectationValues) -> tuple[Part, ...]:
    """All terms, in parts."""
    terms = grouped(output.terms)
    parts = []
    for number, (begin, end) in enumerate(itertools.pairwise(terms["flip_term_begin"].tolist())):
        if begin < end:
            columns = ("pauli_z", "pauli_coefficient", "pauli_observable")
            lists = [tuple(terms[name][begin:end].tolist()) for name in columns]  # type: ignore[literal-required]
            parts.append(Part(int(terms["flip_mask"][number // 2]), number % 2 == 1, *lists))
    return tuple(parts)


def values(
    num_qubits: int, constants: Sequence[float], parts: Sequence[Part], real: torch.Tensor, imaginary: torch.Tensor
) -> torch.Tensor:
    """Expectation values (B, M) of states given by their real and imaginary parts (B, 2^n); differentiable.

    Terms that flip the same bits share the products of amplitudes.
    """
    found = torch.tensor(constants, dtype=real.dtype, device=real.device).expand(real.shape[0], -1)
    for part in parts:
        flip = flip_table(num_qubits, part.flip).to(real.device)
        if part.is_imaginary:
            products = real[:, flip] * imaginary - imaginary[:, flip] * real
        else:
            products = real[:, flip] * real + imaginary[:, flip] * imaginary
        sums = _signed_sums(num_qubits, products, part.signs)
        coefficients = torch.tensor(part.coefficients, dtype=real.dtype, device=real.device)
        owners = torch.tensor(part.owners, dtype=torch.int64, device=real.device)
        found = found.index_add(1, owners, sums * coefficients)
    return found


def applied(num_qubits: int, constant: float, parts: Sequence[Part], state: torch.Tensor) -> torch.Tensor:
    """What the only observable makes of states (B, 2^n)."""
    made = constant * state
    for part in parts:
        diagonal = _diagonal(num_qubits, part).to(state.real)
        turned = state[:, flip_table(num_qubits, part.flip).to(state.device)] * diagonal
        made = made + (-1j * turned if part.is_imaginary else turned)
    return made


def _signed_sums(num_qubits: int, products: torch.Tensor, masks: Sequence[int]) -> torch.Tensor:
    """Sums of (-1)^|z & i| products[:, i] for every mask z: one by one if few, else by a Walsh-Hadamard transform."""
    if 2 * len(masks) <= num_qubits:
        signs = [sign_table(num_qubits, z, 0).to(products) for z in masks]
        return torch.stack([(products * sign).sum(1) for sign in signs], 1)
    size = products.shape
    for bit in range(num_qubits):
        pairs = products.reshape(size[0], size[1] >> (bit + 1), 2, 1 << bit)
        products = torch.stack([pairs[:, :, 0] + pairs[:, :, 1], pairs[:, :, 0] - pairs[:, :, 1]], 2)
    return products.reshape(size)[:, torch.tensor(masks, dtype=torch.int64, device=products.device)]


# Tables are cached as arrays: a tensor made within torch.func must not outlive it. PyTorch's compiler traces how they
# are made, as it takes no constant tensors of one function twice.


def flip_table(num_qubits: int, x: int) -> torch.Tensor:
    """Index i ^ x of every i."""
    if torch.compiler.is_compiling():
        return torch.arange(1 << num_qubits) ^ x
    return torch.from_numpy(_flips(num_qubits, x))


def sign_table(num_qubits: int, z: int, x: int) -> torch.Tensor:
    """(-1)^|z & (i ^ x)| of every i."""
    if torch.compiler.is_compiling():
        odd = flip_table(num_qubits, x) & z
        for shift in (16, 8, 4, 2, 1):
            odd = odd ^ (odd >> shift)
        return 1 - 2 * (odd & 1)
    return torch.from_numpy(_signs(num_qubits, z, x))


def _diagonal(num_qubits: int, part: Part) -> torch.Tensor:
    """The sum of coefficients times (-1)^|z & (i ^ x)|, for every i, in float64."""
    if torch.compiler.is_compiling():
        signs = [sign_table(num_qubits, z, part.flip).double() for z in part.signs]
        return torch.tensor(part.coefficients, dtype=torch.float64) @ torch.stack(signs)
    make = _sums if num_qubits <= _MOST_KEPT else _sums.__wrapped__
    return torch.from_numpy(make(num_qubits, part))


@lru_cache(maxsize=1024)
def _flips(num_qubits: int, x: int) -> npt.NDArray[np.int64]:
    return np.arange(1 << num_qubits) ^ x


@lru_cache(maxsize=1024)
def _signs(num_qubits: int, z: int, x: int) -> npt.NDArray[np.float32]:
    index = np.arange(1 << num_qubits, dtype=np.uint32) ^ np.uint32(x)
    return 1 - 2 * parity(index & np.uint32(z)).astype(np.float32)


@lru_cache(maxsize=256)
def _sums(num_qubits: int, part: Part) -> npt.NDArray[np.float64]:
    """By a Walsh-Hadamard transform of the coefficients."""
    sums = np.zeros(1 << num_qubits)
    sums[list(part.signs)] = part.coefficients  # every mask is there once
    for bit in range(num_qubits):
        pairs = sums.reshape(-1, 2, 1 << bit)
        sums = np.stack([pairs[:, 0] + pairs[:, 1], pairs[:, 0] - pairs[:, 1]], 1)
    moved: npt.NDArray[np.float64] = sums.reshape(-1)[np.arange(1 << num_qubits) ^ part.flip]
    return moved
