"""Kinds of observables that are accepted, and what is refused."""

import numpy as np
import pytest
from qiskit.quantum_info import Operator, Pauli, PauliList, SparsePauliOp

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
