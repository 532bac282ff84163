"""Kinds of observables that are accepted, and what is refused."""

import dataclasses
import pickle
import tracemalloc

import numpy as np
import pytest
import scipy.sparse
import torch
from qiskit import QuantumCircuit
from qiskit.quantum_info import Operator, Pauli, PauliList, SparsePauliOp

import reference
from circuits_zoo import reuploading
from qiskit_torch_module import FastEstimator, QuantumModule
from qiskit_torch_module._program.compile import compile_program
from qiskit_torch_module._reading.compat import SparseObservable
from qiskit_torch_module._reading.observables import PauliString, pauli_sums
from qiskit_torch_module.analysis import dynamical_lie_algebra
from qiskit_torch_module.outputs import Purity, Trainable, Variance
from test_layers import lines_run


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
        ("individualX", ValueError, "expected a Pauli label .*or, in place of a list, 'individualZ'"),
        (
            ["individualZ", "ZZ"],
            ValueError,
            r"observables\[0\]: expected a Pauli label of I, X, Y, Z, got 'individualZ', which .* such as 'IIZ', 'IZI'",
        ),
        (
            ["ZZ", "tensoredZ"],
            ValueError,
            r"observables\[1\]: .* got 'tensoredZ', which .*; write it out, such as 'ZZZ'",
        ),
        ("probabilities", ValueError, r"got 'probabilities'; other outputs are objects: .*outputs\.Probabilities\(\)"),
        (["ZQ"], ValueError, r"observables\[0\]: expected a Pauli label of I, X, Y, Z .* got 'ZQ'"),
        ([], ValueError, "expected at least one"),
        (3, TypeError, "observables: expected 'individualZ'.* got int"),
        ([3], TypeError, r"observables\[0\]: expected a Pauli label.* got int"),
        (SparsePauliOp(["ZZ", "XX"], [1, 1j]), ValueError, "expected a Hermitian operator"),
        ("iZZ", ValueError, "expected a Hermitian operator"),
        (
            {"ZZ": 1.0, "Z": 2.0},
            ValueError,
            r"observables\[0\]: expected a mapping from Pauli labels, a letter for each qubit",
        ),
        ({"ZZ": "a"}, ValueError, "such as .*, got {'ZZ': 'a'}"),
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
        (np.array([["a", "b"], ["c", "d"]]), "expected a matrix of numbers, got one of dtype <U1"),
        (np.array([[None, 1], [1, None]]), "expected a matrix of numbers, got one of dtype object"),
        (np.array(["ZI", "IZ"]), r"got \(2,\); several observables are a list, and no array"),
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


def labels_of(count, num_qubits, letters, seed):
    random = np.random.default_rng(seed)
    return ["".join(one) for one in random.choice(list(letters), (count, num_qubits))]


def test_many_at_once_are_what_each_is_alone():
    random = np.random.default_rng(0)
    several = [
        *labels_of(5, 4, "IXYZ", 0),
        *({label: random.normal() for label in labels_of(3, 4, "IXYZ", seed)} for seed in range(4)),
        *(SparsePauliOp(labels_of(6, 4, "XZ", seed), random.normal(size=6)) for seed in range(4)),
        *map(Pauli, labels_of(3, 4, "IXYZ", 1)),
        np.diag(random.normal(size=16)),
        *labels_of(3, 4, "XYZ", 2),
        "-XXII",
        SparsePauliOp(["XXII", "XXII"], [1, -1]),
        *(dict.fromkeys(labels_of(2, 4, "YZ", seed), 0.5) for seed in range(2)),
    ]
    several += [{label: random.normal() for label in labels_of(3, 4, "IXYZ01+-rl", seed)} for seed in range(9)]
    if SparseObservable is not None:
        several += [SparseObservable.from_list([(label, 0.5) for label in labels_of(4, 4, "IX01+-rl", 3)])]
    for together, alone in zip(pauli_sums(several, 4), several, strict=True):
        assert [together] == list(pauli_sums([alone], 4))


@pytest.mark.parametrize("num_qubits", [1, 3, 9])
def test_projectors_are_multiplied_out(num_qubits):
    one = {
        "0": np.diag([1, 0]),
        "1": np.diag([0, 1]),
        "+": np.full((2, 2), 0.5),
        "-": np.array([[1, -1], [-1, 1]]) / 2,
        "r": np.array([[1, -1j], [1j, 1]]) / 2,
        "l": np.array([[1, 1j], [-1j, 1]]) / 2,
        **{letter: Pauli(letter).to_matrix() for letter in "IXYZ"},
    }
    labels = labels_of(4, num_qubits, one, num_qubits)
    labels = sorted(set(labels))
    for label, found in zip(labels, dense([{label: 2.0} for label in labels], num_qubits), strict=True):
        expected = 2.0 * np.eye(1)
        for letter in label:
            expected = np.kron(expected, one[letter])
        np.testing.assert_allclose(found, expected, atol=1e-14)
    [complete] = pauli_sums({"0" + "I" * (num_qubits - 1): 1.0, "1" + "I" * (num_qubits - 1): 1.0}, num_qubits)
    assert complete == [PauliString("", (), 1.0)]


@pytest.mark.parametrize("wrong", ["XQ", "X", "XXX", {"XX": 1j}, {"XX": np.inf}, {}, Pauli("X"), np.eye(2), 3])
def test_the_wrong_one_among_many_is_named(wrong):
    many = ["ZZ", {"XX": 0.5}, SparsePauliOp("YY"), Pauli("XX")] * 50
    with pytest.raises((TypeError, ValueError), match=r"observables\[123\]"):
        pauli_sums([*many[:123], wrong, *many[123:]], 2)


@pytest.mark.parametrize(
    ("observables", "num_qubits"),
    [
        ({"0" * 60: 1.0}, 60),
        (scipy.sparse.coo_array((np.ones(2**12), (np.zeros(2**12, int), np.arange(2**12))), shape=(2**13, 2**13)), 13),
    ],
    ids=["projectors", "matrix"],
)
def test_what_takes_too_much_memory_is_refused_before_it_is_taken(observables, num_qubits):
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"Pauli strings.* bytes"):
        pauli_sums(observables, num_qubits)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


@pytest.mark.parametrize(
    "build",
    [
        lambda n: np.diag(np.arange(2.0**n)) + np.add.outer(np.arange(2.0**n) ** 2, np.arange(2.0**n) ** 2) ** 0.5,
        lambda n: SparsePauliOp(labels_of(4**n, n, "IXYZ", 0)),
        lambda n: {"0" * 2 * n: 1.0},
    ],
    ids=["matrix", "operator", "projector"],
)
def test_no_python_for_every_string(build):
    """Sixteen times the strings: about as many lines of Python."""

    def lines(n):
        observable, circuit = build(n), QuantumCircuit(2 * n if isinstance(build(n), dict) else n)
        circuit.ry(0.3, circuit.qubits)
        circuit.cx(0, 1)
        return lines_run(compile_program, circuit, observable, [], []), compile_program(circuit, observable, [], [])

    (few, first), (many, second) = lines(4), lines(6)
    assert len(second.output.terms) > 10 * len(first.output.terms)
    assert many < 2 * few + 200


def test_arrays_of_strings_are_values():
    circuit = QuantumCircuit(3)
    circuit.ry(0.3, [0, 1, 2])
    for make in (
        lambda: pauli_sums({"XYZ": 0.5, "ZZI": 2}, 3),
        lambda: compile_program(circuit, {"XYZ": 0.5, "ZZI": 2}, [], []).output.terms,
    ):
        one, other = make(), make()
        assert one == other
        assert hash(one) == hash(other)
        assert pickle.loads(pickle.dumps(one)) == one
        assert one != dataclasses.replace(other, coefficient=other.coefficient * 2)
        assert one != "XYZ"
        with pytest.raises(ValueError, match="read-only"):
            one.coefficient[0] = 1


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("kind", ["matrix", "basis states"])
def test_values_and_derivatives_of_many_strings(kind):
    case, n = reuploading(5, 1), 5
    random = np.random.default_rng(0)
    if kind == "matrix":
        matrix = random.normal(size=(2**n, 2**n)) + 1j * random.normal(size=(2**n, 2**n))
        observables = [matrix + matrix.conj().T, np.diag(random.normal(size=2**n))]
        operators = [Operator(one) for one in observables]
    else:
        operators = [Operator(np.diag(np.eye(2**n)[k])) for k in range(2**n)]
        observables = operators
        if SparseObservable is not None:
            observables = [{format(k, f"0{n}b"): 1.0} for k in range(2**n)]
    model = QuantumModule(case.circuit, case.encoding, case.variational, observables=observables, seed_init=0)
    rows = random.normal(size=(3, len(case.columns)))
    rows[:, n:] = torch.cat([one.detach() for one in model.variational_])
    expected = reference.batch_values(case.circuit, operators, case.columns, rows)
    inputs = torch.tensor(rows[:, :n], requires_grad=True)
    np.testing.assert_allclose(model(inputs).detach(), expected, atol=1e-11)
    # Beyond first derivatives, everything is done in PyTorch.
    weight = torch.tensor(random.normal(size=expected.shape))
    [first] = torch.autograd.grad((model(inputs) * weight).sum(), inputs, create_graph=True)
    [second] = torch.autograd.grad(first[:, 0].sum(), inputs)
    step = torch.zeros_like(inputs)
    step[:, 0] = 1e-5
    sides = [torch.autograd.grad((model(at) * weight).sum(), at)[0] for at in (inputs + step, inputs - step)]
    np.testing.assert_allclose(second, (sides[0] - sides[1]) / 2e-5, atol=1e-6)


def test_idle_qubits_of_many_strings():
    circuit = QuantumCircuit(40)
    circuit.ry(0.4, 35)
    circuit.cx(35, 3)
    observables = [{label: 1.0} for label in labels_of(200, 40, "IIIIIIIIIIZ", 0)]
    observables += ["I" * 4 + "X" + "I" * 31 + "X" + "I" * 3, "X" + "I" * 39]
    found = FastEstimator().expectation_values(circuit, observables)[0]
    for value, label in zip(found, [next(iter(one)) for one in observables[:-2]], strict=False):
        both = (label[39 - 35], label[39 - 3])
        assert value == pytest.approx(np.cos(0.4) if both.count("Z") == 1 else 1.0)
    assert found[-2:] == pytest.approx([np.sin(0.4), 0.0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda c: QuantumModule(c, None, None, observables=[Purity([0]), "ZZ", "Z"]),
            r"observables\[2\]: expected 2 qubits as in the circuit, got 1",
        ),
        (
            lambda c: QuantumModule(c, None, None, observables=[Purity([0]), "tensoredZ"]),
            r"observables\[1\]: .* got 'tensoredZ', which is known alone",
        ),
        (
            lambda c: QuantumModule(c, None, None, observables=Trainable(["ZZ", "Z"])),
            r"paulis\[1\]: expected 2 qubits as in the circuit, got 1",
        ),
        (lambda c: Variance("zz"), "observable: expected a Pauli label"),
        (
            lambda c: dynamical_lie_algebra(["XX", "ZZZ"]),
            r"generators\[1\]: expected 2 qubits as in generators\[0\], got 3",
        ),
    ],
)
def test_an_operator_is_named_as_it_was_given(call, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        call(QuantumCircuit(2))
