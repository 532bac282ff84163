"""ADAPT-VQE: a circuit for lithium hydride that grows gate by gate, each the one that lowers the energy most steeply.

All single and double excitations from the orbitals that are occupied at first are the pool (92 operators on 12 qubits).
A step takes the slopes of the energy along all of them, adds the steepest one as a gate and trains all angles anew.
The energy is held against that of the ground state, as the whole Hamiltonian has it for this number of electrons, and
against circuits that take the excitations of the pool one after the other, as unitary coupled cluster does.

    python examples/growing_ansatz.py [growing_ansatz.svg]    (run from the repository, which has the molecule; the
                                                               picture needs matplotlib)
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable
from itertools import combinations, product
from pathlib import Path

import numpy as np
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.circuit.library import PauliEvolutionGate
from qiskit.quantum_info import SparsePauliOp

from qiskit_torch_module import QuantumModule, plots
from qiskit_torch_module.optim import adapt, minimize

DATA = Path(__file__).parent.parent / "benchmarks" / "data" / "molecules.json"
CHEMICAL_ACCURACY = 1.6e-3  # Hartree

# Products of Paulis as masks (x, z) of X^x Z^z, with their coefficients.
Sum = dict[tuple[int, int], complex]


def times(first: Sum, second: Sum) -> Sum:
    """The product of two sums."""
    found: Sum = {}
    for (x, z), a in first.items():
        for (u, v), b in second.items():
            key = x ^ u, z ^ v
            found[key] = found.get(key, 0) + a * b * (-1) ** (z & u).bit_count()
    return found


def ladder(orbital: int, creates: bool) -> Sum:
    """Of one orbital, by Jordan and Wigner: (X - iY) / 2 or its adjoint, behind Z of all orbitals before."""
    bit, before = 1 << orbital, (1 << orbital) - 1
    return {(bit, before): 0.5, (bit, before | bit): 0.5 if creates else -0.5}


def excited(created: Iterable[int], annihilated: Iterable[int]) -> Sum:
    """A product of ladder operators."""
    found: Sum = {(0, 0): 1.0}
    for orbital, creates in [*((one, True) for one in created), *((one, False) for one in annihilated)]:
        found = times(found, ladder(orbital, creates))
    return found


def operator(terms: Sum, num_qubits: int) -> SparsePauliOp:
    """As Qiskit has it; X^x Z^z with X and Z on a qubit is -i Y there."""
    labels, coefficients = [], []
    for (x, z), coefficient in terms.items():
        if abs(coefficient) > 1e-10:
            letters = ["IXZY"[(x >> q & 1) + 2 * (z >> q & 1)] for q in reversed(range(num_qubits))]
            labels.append("".join(letters))
            coefficients.append(coefficient * (-1j) ** (x & z).bit_count())
    return SparsePauliOp(labels, coefficients)


def hamiltonian(name: str) -> tuple[SparsePauliOp, int, int]:
    """Energy of the electrons, spin up before spin down; how many qubits, and electrons of either spin."""
    data = json.loads(DATA.read_text(encoding="utf-8"))[name]
    one_body = symmetric(data["one_body"])
    size = len(one_body)
    pairs = symmetric(data["two_body"])
    place = {(i, j): max(i, j) * (max(i, j) + 1) // 2 + min(i, j) for i, j in product(range(size), repeat=2)}
    total: Sum = {}

    def add(terms: Sum, factor: float) -> None:
        for key, coefficient in terms.items():
            total[key] = total.get(key, 0) + factor * coefficient

    for p, q in product(range(size), repeat=2):
        for spin in (0, size):
            add(excited([p + spin], [q + spin]), one_body[p, q])
    for p, q, r, s in product(range(size), repeat=4):
        value = pairs[place[p, q], place[r, s]]
        for first, second in product((0, size), repeat=2):
            if abs(value) > 1e-10 and p + first != r + second and q + first != s + second:
                add(excited([p + first, r + second], [s + second, q + first]), 0.5 * value)
    return operator(total, 2 * size), 2 * size, data["electrons"][0]


def symmetric(triangle: list[float]) -> np.ndarray:
    """A matrix from its lower triangle."""
    size = int(np.sqrt(2 * len(triangle)))
    matrix = np.zeros((size, size))
    matrix[np.tril_indices(size)] = triangle
    return matrix + np.tril(matrix, -1).T


def excitations(num_qubits: int, electrons: int) -> list[SparsePauliOp]:
    """Hermitian i (T - T^dagger) of all singles and doubles that keep the spin."""
    size = num_qubits // 2
    spins = [(range(base, base + electrons), range(base + electrons, base + size)) for base in (0, size)]
    moves = [((a,), (i,)) for occupied, empty in spins for i, a in product(occupied, empty)]
    moves += [
        (to, of) for occupied, empty in spins for of, to in product(combinations(occupied, 2), combinations(empty, 2))
    ]
    moves += [((a, b), (i, j)) for i, a, j, b in product(*spins[0], *spins[1])]
    found = []
    for created, annihilated in moves:
        there, back = excited(created, annihilated), excited(reversed(annihilated), reversed(created))
        keys = {*there, *back}
        found.append(operator({key: 1j * (there.get(key, 0) - back.get(key, 0)) for key in keys}, num_qubits))
    return found


def occupied(num_qubits: int, electrons: int) -> QuantumCircuit:
    """The lowest orbitals of both spins are full: the state of Hartree and Fock."""
    circuit = QuantumCircuit(num_qubits)
    for base in (0, num_qubits // 2):
        circuit.x(range(base, base + electrons))
    return circuit


def lowest(energy: SparsePauliOp, num_qubits: int, electrons: int) -> float:
    """The least energy of states with as many electrons of either spin."""
    from scipy.sparse.linalg import eigsh

    index, size = np.arange(1 << num_qubits), num_qubits // 2
    counts = [np.array([(int(i) >> base & (1 << size) - 1).bit_count() for i in index]) for base in (0, size)]
    states = index[(counts[0] == electrons) & (counts[1] == electrons)]
    matrix = energy.to_matrix(sparse=True).tocsr()[states][:, states]
    return float(eigsh(matrix, 1, which="SA")[0][0])


def trained(model: QuantumModule) -> float:
    """The least energy that is found from where the model is."""
    minimize(model, lambda model: model().sum(), method="BFGS")
    return float(model().item())


def grown(model: QuantumModule, pool: list[SparsePauliOp], most: int, until: float) -> list[float]:
    """Energies of a circuit to which the steepest operator is added, one after the other."""
    energies = [model().item()]
    while len(energies) <= most and energies[-1] > until:
        model = adapt(model, pool).model
        energies.append(trained(model))
    return energies


def in_order(
    start: QuantumCircuit, energy: SparsePauliOp, pool: list[SparsePauliOp], counts: Iterable[int]
) -> list[float]:
    """Energies of circuits with the first operators of a pool, doubles before singles."""
    singles_last = sorted(pool, key=lambda one: -len(one))
    energies = []
    for count in counts:
        w = ParameterVector("w", count)
        circuit = start.copy()
        for angle, one in zip(w, singles_last, strict=False):
            circuit.append(PauliEvolutionGate(one, time=angle), range(circuit.num_qubits))
        model = QuantumModule(circuit, None, w, None, [[0.0] * count], observables=[energy]).double()
        energies.append(trained(model))
    return energies


def draw(energies: list[float], counts: list[int], others: list[float], ground: float, path: str) -> None:
    """Errors against the number of operators."""
    with plots.picture(path) as (_, axis):
        axis.semilogy(np.array(energies) - ground, "o-", label="the steepest next (ADAPT)")
        axis.semilogy(counts, np.array(others) - ground, "s--", color=plots.MUTED, label="one after the other")
        axis.axhspan(axis.get_ylim()[0], CHEMICAL_ACCURACY, color="C2", alpha=0.12, label="chemical accuracy")
        axis.set(xlabel="operators in the circuit", ylabel="error of the energy (Hartree)", title="LiH, 12 qubits")
        axis.legend()


def main(
    most: int = 30, error: float = 1e-4, counts: tuple[int, ...] = (10, 20, 40, 60, 92), picture: str | None = None
) -> list[float]:
    """Errors of the energy, for no operator, one, two, ..."""
    energy, num_qubits, electrons = hamiltonian("LiH")
    pool, start = excitations(num_qubits, electrons), occupied(num_qubits, electrons)
    ground = lowest(energy, num_qubits, electrons)
    print(f"{len(energy)} terms, {len(pool)} operators; ground state {ground:.6f} Hartree without the nuclei")
    begin = time.perf_counter()
    model = QuantumModule(start, None, None, observables=[energy]).double()
    energies = grown(model, pool, most, ground + error)
    accurate = next((i for i, one in enumerate(energies) if one - ground < CHEMICAL_ACCURACY), None)
    print(
        f"{len(energies) - 1} operators: error {energies[-1] - ground:.1e}, chemical accuracy with {accurate}; "
        f"{time.perf_counter() - begin:.1f} s"
    )
    if counts:
        begin = time.perf_counter()
        others = in_order(start, energy, pool, counts)
        errors = ", ".join(f"{count}: {one - ground:.1e}" for count, one in zip(counts, others, strict=True))
        print(f"one after the other, {errors}; {time.perf_counter() - begin:.1f} s")
    if picture is not None:
        draw(energies, list(counts), others if counts else [], ground, picture)
    return [one - ground for one in energies]


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(picture=sys.argv[1] if len(sys.argv) > 1 else None)
