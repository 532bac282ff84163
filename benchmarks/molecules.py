"""Molecules of 12, 14 and 16 qubits: unitary coupled cluster and the electronic energy, as qiskit-nature makes them.

``data/molecules.json`` has the integrals of molecular orbitals (STO-3G, Hartree-Fock by PySCF 2.14): of one electron
the lower triangle, of two, in chemists' order, that of the matrix between pairs of orbitals.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from qiskit import QuantumCircuit
from qiskit.quantum_info import SparsePauliOp

DATA = Path(__file__).parent / "data" / "molecules.json"
MOLECULES: dict[str, dict[str, Any]] = json.loads(DATA.read_text(encoding="utf-8"))
IS_POSSIBLE = importlib.util.find_spec("qiskit_nature") is not None


def _symmetric(triangle: list[float]) -> npt.NDArray[np.float64]:
    size = int(np.sqrt(2 * len(triangle)))
    matrix = np.zeros((size, size))
    matrix[np.tril_indices(size)] = triangle
    return matrix + np.tril(matrix, -1).T


def _of_pairs(triangle: list[float], orbitals: int) -> npt.NDArray[np.float64]:
    """(i, j, k, l) of a matrix between pairs i >= j and k >= l."""
    pair = np.zeros((orbitals, orbitals), dtype=int)
    pair[np.tril_indices(orbitals)] = np.arange(orbitals * (orbitals + 1) // 2)
    pair = np.maximum(pair, pair.T)
    integrals: npt.NDArray[np.float64] = _symmetric(triangle)[pair[:, :, None, None], pair]
    return integrals


def molecule(name: str) -> tuple[QuantumCircuit, SparsePauliOp]:
    """Ansatz, weights 0 for the state of Hartree and Fock, and energy; without that of the nuclei."""
    from qiskit_nature.second_q.circuit.library import UCCSD, HartreeFock
    from qiskit_nature.second_q.hamiltonians import ElectronicEnergy
    from qiskit_nature.second_q.mappers import JordanWignerMapper

    data, mapper = MOLECULES[name], JordanWignerMapper()
    one_body, electrons = _symmetric(data["one_body"]), tuple(data["electrons"])
    two_body = _of_pairs(data["two_body"], len(one_body))
    energy = mapper.map(ElectronicEnergy.from_raw_integrals(one_body, two_body).second_q_op()).simplify(1e-10)
    start = HartreeFock(len(one_body), electrons, mapper)
    return UCCSD(len(one_body), electrons, mapper, initial_state=start), energy
