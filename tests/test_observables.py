"""Kinds of observables that are accepted, and what is refused."""

import numpy as np
import pytest
import scipy.sparse
from qiskit.quantum_info import Operator, Pauli, PauliList, SparsePauliOp

import reference
from circuits_zoo import reuploading
from qiskit_torch_module import FastEstimator
from qiskit_torch_module._compat import SparseObservable
from qiskit_torch_module._observables import PauliString, pauli_sums


@pytest.mark.parametrize(
    ("observables", "expected"),
    [
        ("individualZ", [[PauliString("Z", (0,), 1.0)], [PauliString("Z", (1,), 1.0)]]),
        ("tensoredZ", [[PauliString("ZZ", (0, 1), 1.0)]]),
        ("XZ", [[PauliString("ZX", (0, 1), 1.0)]]),
        (["IY", "-ZI"], [[PauliString("Y", (0,), 1.0)], [PauliString("Z", (1,), -1.0)]]),
        (Pauli("IZ"), [[PauliString("Z", (0,), 1.0)]]),
        (PauliList(["IZ", "XI"]), [[PauliString("Z", (0,), 1.0)], [PauliString("X", (1,), 1.0)]]),
        (SparsePauliOp(["ZZ", "II"], [0.5, -2]), [[PauliString("", (), -2.0), PauliString("ZZ", (0, 1), 0.5)]]),
        (SparsePauliOp(["ZZ", "ZZ"], [0.5, 0.25]), [[PauliString("ZZ", (0, 1), 0.75)]]),
        (Operator(np.diag([1.0, -1.0, 1.0, -1.0])), [[PauliString("Z", (0,), 1.0)]]),
    ],
)
def test_accepted(observables, expected):
    found = [sorted(one, key=lambda s: (s.letters, s.qubits)) for one in pauli_sums(observables, 2)]
    assert found == [sorted(one, key=lambda s: (s.letters, s.qubits)) for one in expected]


@pytest.mark.parametrize(
    ("observables", "error", "message"),
    [
        ("ZZZ", ValueError, r"observables\[0\]: expected 2 qubits as in the circuit, got 3"),
        (["ZZ", Pauli("Z")], ValueError, r"observables\[1\]: expected 2 qubits as in the circuit, got 1"),
        ("individualX", ValueError, "expected a Pauli label"),
        (["ZQ"], ValueError, r"observables\[0\]: expected a Pauli label of I, X, Y, Z .* got 'ZQ'"),
        ([], ValueError, "expected at least one"),
        (3, TypeError, "observables: expected 'individualZ'.* got int"),
        ([3], TypeError, r"observables\[0\]: expected a Pauli label.* got int"),
        (SparsePauliOp(["ZZ", "XX"], [1, 1j]), ValueError, "expected a Hermitian operator"),
        ("iZZ", ValueError, "expected a Hermitian operator"),
        (SparsePauliOp("ZZ", [float("nan")]), ValueError, "expected finite coefficients"),
    ],
)
def test_refused(observables, error, message):
    with pytest.raises(error, match=message) as caught:
        pauli_sums(observables, 2)
    assert "\n" not in str(caught.value)


def dense(observables, num_qubits):
    """The matrix of each observable, rebuilt from its Pauli strings."""
    sums = pauli_sums(observables, num_qubits)
    labels = [[(string.letters, list(string.qubits), string.coefficient) for string in one] for one in sums]
    return [SparsePauliOp.from_sparse_list(one, num_qubits=num_qubits).to_matrix() for one in labels]


@pytest.mark.parametrize("num_qubits", [1, 2, 4])
def test_matrices_and_operators_keep_their_entries(num_qubits):
    rng = np.random.default_rng(num_qubits)
    matrix = rng.normal(size=(2, 2**num_qubits, 2**num_qubits)).T @ [1, 1j]
    matrix = matrix + matrix.conj().T
    sparse = scipy.sparse.random(2**num_qubits, 2**num_qubits, density=0.3, random_state=1)
    sparse = sparse + sparse.T
    mixture = [matrix, Operator(matrix), sparse.tocsr(), scipy.sparse.coo_array(sparse), "Z" * num_qubits]
    mixture.append({"X" * num_qubits: 0.5, "I" * num_qubits: -1})
    expected = [matrix, matrix, sparse.toarray(), sparse.toarray(), Pauli("Z" * num_qubits).to_matrix()]
    expected.append(0.5 * Pauli("X" * num_qubits).to_matrix() - np.eye(2**num_qubits))
    for found, wanted in zip(dense(mixture, num_qubits), expected, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-13)


@pytest.mark.skipif(SparseObservable is None, reason="this Qiskit has no SparseObservable")
def test_sparse_observables_with_projectors():
    observable = SparseObservable.from_list([("0+", 1.5), ("rZ", -0.5)])
    [found] = dense(observable, 2)
    zero, plus = np.diag([1, 0]), np.full((2, 2), 0.5)
    right, z = np.array([[1, -1j], [1j, 1]]) / 2, np.diag([1, -1])
    np.testing.assert_allclose(found, 1.5 * np.kron(zero, plus) - 0.5 * np.kron(right, z), atol=1e-14)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.eye(3), r"observables\[0\]: expected a matrix of shape \(2\^n, 2\^n\), got \(3, 3\)"),
        (np.ones((4, 2)), r"got \(4, 2\)"),
        (np.kron(np.eye(2), [[0, 1], [0, 0]]), "expected a Hermitian operator"),
        (np.full((4, 4), np.nan), "expected finite entries"),
        (np.eye(8), "expected 2 qubits as in the circuit, got 3"),
    ],
)
def test_refused_matrices(matrix, message):
    with pytest.raises(ValueError, match=message):
        pauli_sums(matrix, 2)


def test_thousands_of_terms():
    rng = np.random.default_rng(0)
    labels = ["".join(rng.choice(list("IXYZ"), 6)) for _ in range(3000)]
    hamiltonian = SparsePauliOp(labels, rng.normal(size=3000))
    circuit = reuploading(6, 1).circuit
    rows = rng.normal(size=(2, circuit.num_parameters))
    expected = reference.batch_values(circuit, [hamiltonian], list(circuit.parameters), rows)
    np.testing.assert_allclose(FastEstimator().expectation_values(circuit, hamiltonian, rows), expected, atol=1e-9)
