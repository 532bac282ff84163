"""FastEstimator: arrays, and the rules of Qiskit's estimator primitives."""

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector
from qiskit.quantum_info import Pauli, SparsePauliOp

import qiskit_torch_module as qtm
import reference
from circuits_zoo import qaoa, random_observables, reuploading
from qiskit_torch_module import FastEstimator
from qiskit_torch_module._reading import compat

needs_v2 = pytest.mark.skipif(compat.EstimatorPub is None, reason="this Qiskit has no V2 primitives")


def rows_for(circuit, batch, seed=0):
    return np.random.default_rng(seed).normal(size=(batch, circuit.num_parameters))


@pytest.mark.parametrize("case", [reuploading(3, 2), qaoa(4, 2)], ids=["reuploading", "qaoa"])
def test_values_from_arrays(case):
    circuit, observables = case.circuit, random_observables(case.circuit.num_qubits, 1)
    rows = rows_for(circuit, 5)
    expected = reference.batch_values(circuit, observables, list(circuit.parameters), rows)
    found = FastEstimator().expectation_values(circuit, observables, rows)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, atol=1e-10)
    np.testing.assert_allclose(
        FastEstimator().expectation_values(circuit, observables, rows[2]), expected[2:3], atol=1e-10
    )


def test_values_from_a_mapping():
    case, observables = reuploading(3, 1), random_observables(3, 1)
    x, (b, c) = case.encoding, case.variational
    rng = np.random.default_rng(2)
    values = {
        x[1]: rng.normal(size=4),
        tuple(b): rng.normal(size=(1, len(b))),
        x[0]: 0.3,
        x[2]: -1.0,
        tuple(c): rng.normal(size=(4, len(c))),
    }
    columns = [x[1], *b, x[0], x[2], *c]
    rows = np.column_stack(
        [values[x[1]], np.repeat(values[tuple(b)], 4, 0), np.full(4, 0.3), np.full(4, -1.0), values[tuple(c)]]
    )
    expected = reference.batch_values(case.circuit, observables, columns, rows)
    np.testing.assert_allclose(
        FastEstimator().expectation_values(case.circuit, observables, values), expected, atol=1e-10
    )


def test_mutating_a_circuit_after_a_call_gives_fresh_results():
    circuit, estimator = QuantumCircuit(1), FastEstimator()
    assert estimator.expectation_values(circuit, "Z").tolist() == [[1.0]]
    circuit.x(0)
    assert estimator.expectation_values(circuit, "Z").tolist() == [[-1.0]]


A, B = Parameter("a"), ParameterVector("b", 2)
CIRCUIT = QuantumCircuit(2)
CIRCUIT.ry(A, 0)
CIRCUIT.rx(B[0] * B[1], 1)
CIRCUIT.cx(0, 1)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((2, 2)), r"expected shape \(batch, 3\), one column for each parameter, got \(2, 2\)"),
        (np.zeros((2, 2, 3)), r"expected shape \(batch, 3\)"),
        (None, r"expected shape \(batch, 3\)"),
        ({A: 0.0}, "expected a column for every parameter of the circuit, got none for"),
        ({A: [0.0] * 3, tuple(B): np.zeros((2, 2))}, "expected columns of one length"),
        ({A: 0.0, tuple(B): np.zeros((2, 3))}, "expected 2 columns, got shape"),
        ([[0.0, float("nan"), 0.0]], "expected finite values, got nan"),
    ],
)
def test_wrong_values_are_named(values, message):
    with pytest.raises(ValueError, match=message):
        FastEstimator().expectation_values(CIRCUIT, "ZZ", values)


@needs_v2
@pytest.mark.parametrize(
    ("observables_shape", "values_shape"),
    [((), ()), ((3,), ()), ((), (4,)), ((3, 1), (4,)), ((4,), (4,)), ((2, 3, 1), (3, 4)), ((0,), ()), ((), (0,))],
)
def test_pubs_broadcast_as_in_statevector_estimator(observables_shape, values_shape):
    from qiskit.primitives import StatevectorEstimator

    rng = np.random.default_rng(1)
    pool = [SparsePauliOp(["ZZ", "XI"], [0.5, 2.0]), Pauli("YX"), SparsePauliOp("IZ")]
    observables = np.empty(observables_shape, dtype=object)
    for index in np.ndindex(observables_shape):
        observables[index] = pool[rng.integers(3)]
    pub = (CIRCUIT, observables.tolist(), rng.normal(size=(*values_shape, 3)))
    [found], [expected] = (cls().run([pub]).result() for cls in (FastEstimator, StatevectorEstimator))
    assert found.data.evs.shape == expected.data.evs.shape
    np.testing.assert_allclose(found.data.evs, np.asarray(expected.data.evs, dtype=float), atol=1e-10)
    assert found.data.stds.shape == expected.data.stds.shape
    assert found.metadata == expected.metadata


@needs_v2
def test_several_pubs_metadata_and_job():
    circuit = QuantumCircuit(1, metadata={"name": "one"})
    job = FastEstimator(default_precision=0.0).run([(circuit, "Z"), (circuit, ["X", "Z"], [], 0.0)], precision=0.0)
    result = job.result()
    expected = compat.StatevectorEstimator().run([(circuit, "Z")] * 2, precision=0.0).result()
    assert len(result) == 2
    assert job.done()
    assert result.metadata == expected.metadata
    assert result[0].metadata == expected[0].metadata
    assert result[1].data.evs.tolist() == [0.0, 1.0]


@needs_v2
def test_precision_is_seeded_normal_noise():
    circuit = QuantumCircuit(1)
    pub = (circuit, ["Z"] * 2000)
    first, second = (FastEstimator(seed=3).run([pub], precision=0.1).result()[0].data.evs for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert abs(first.mean() - 1.0) < 0.01
    assert abs(first.std() - 0.1) < 0.01


def test_v1_call():
    observables = [SparsePauliOp("ZI"), SparsePauliOp("XX")]
    rows = rows_for(CIRCUIT, 2)
    if compat.EstimatorResult is None:
        with pytest.raises(TypeError, match="Qiskit 2 has no V1 primitives; pass PUBs"):
            FastEstimator().run([CIRCUIT] * 2, observables, rows)
        return
    result = FastEstimator().run([CIRCUIT] * 2, observables, rows).result()
    expected = reference.batch_values(CIRCUIT, observables, list(CIRCUIT.parameters), rows)
    np.testing.assert_allclose(result.values, np.diag(expected), atol=1e-10)
    with pytest.raises(ValueError, match="got 2, 1 and 2"):
        FastEstimator().run([CIRCUIT] * 2, observables[:1], rows).result()


ODD_ARGUMENTS = [
    ({"default_precision": -1}, ValueError, "default_precision: expected a finite number, at least 0, got -1"),
    (
        {"default_precision": float("nan")},
        ValueError,
        "default_precision: expected a finite number, at least 0, got nan",
    ),
    ({"default_precision": "0.1"}, TypeError, "default_precision: expected a finite number, at least 0, got '0.1'"),
    ({"default_precision": True}, TypeError, "default_precision: expected a finite number"),
    (
        {"num_threads": -1},
        ValueError,
        "num_threads: expected a number of threads, 0 for as many as PyTorch uses, got -1",
    ),
    ({"num_threads": 1.5}, ValueError, "num_threads: expected a number of threads"),
    ({"num_threads": True}, ValueError, "num_threads: expected a number of threads"),
    ({"seed": 1.5}, TypeError, "seed: expected an integer, a numpy.random.Generator or None, got 1.5"),
    ({"seed": -1}, ValueError, "seed: expected an integer, at least 0, got -1"),
    ({"seed": "abc"}, TypeError, "seed: expected an integer, a numpy.random.Generator or None, got 'abc'"),
    ({"exact": "no"}, TypeError, "exact: expected True or False, got 'no'"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), ODD_ARGUMENTS)
def test_odd_arguments_are_refused_at_construction_and_when_set_later(arguments, error, message):
    with pytest.raises(error, match=message):
        FastEstimator(**arguments)
    [(name, value)] = arguments.items()
    with pytest.raises(error, match=message):
        setattr(FastEstimator(), name, value)


def test_whole_numbers_of_numpy_are_numbers():
    estimator = FastEstimator(default_precision=np.float32(0.5), num_threads=np.int64(1), seed=np.int32(3))
    assert (estimator.default_precision, estimator.num_threads, estimator.seed) == (0.5, 1, 3)


@needs_v2
@pytest.mark.parametrize(
    "pub",
    [
        (CIRCUIT, "ZX", [0.1, 0.2, 0.3]),
        (CIRCUIT, ["ZX", {"XX": 0.5, "II": 2.0}], [[0.1, 0.2, 0.3], [1.0, -1.0, 0.5]]),
        (CIRCUIT, [["ZX"], ["YY"]], {A: [0.1, 0.4], B: [[0.2, 0.3], [0.5, 0.6]]}),
        (CIRCUIT, ["ZX"] * 5, {(A, B[1]): [0.1, 0.2], B[0]: 0.4}, 0.25),
        (CIRCUIT.assign_parameters([0.1, 0.2, 0.3]), [SparsePauliOp("IZ"), Pauli("-XY")], None, 0.5),
    ],
    ids=["label", "mapping", "broadcast", "noise", "bound"],
)
def test_pubs_of_every_form_agree_with_statevector_estimator_noise_included(pub):
    from qiskit.primitives import StatevectorEstimator

    found, expected = (
        cls(seed=11, default_precision=0.125).run([pub]).result()[0].data
        for cls in (FastEstimator, StatevectorEstimator)
    )
    np.testing.assert_allclose(found.evs, np.asarray(expected.evs, dtype=float), atol=1e-10)
    np.testing.assert_array_equal(found.stds, np.asarray(expected.stds, dtype=float))


@needs_v2
@pytest.mark.parametrize(
    ("pubs", "precision", "message"),
    [
        ((CIRCUIT, "ZZ", [0, 0, 0]), None, "."),  # the list around it is missing
        ([(CIRCUIT, "ZZ")], None, "."),
        ([(CIRCUIT, "ZZZ", [0, 0, 0])], None, "."),
        ([(CIRCUIT, ["ZZ", "Z"], [0, 0, 0])], None, "."),
        ([(CIRCUIT, "ZZ", [[0, 0]])], None, "."),
        ([(CIRCUIT, ["ZZ", "XX"], [[0, 0, 0]] * 3)], None, "."),
        ([(CIRCUIT, "ZZ", [0, 0, 0])], -1, "."),
        ([(CIRCUIT, 1j * SparsePauliOp("ZZ"), [0, 0, 0])], 0.1, "Hermitian"),
    ],
)
def test_bad_pubs_are_refused(pubs, precision, message):
    with pytest.raises((TypeError, ValueError), match=message):
        FastEstimator().run(pubs, precision=precision).result()


@needs_v2
def test_pubs_from_a_generator_and_pub_objects():
    pubs = [(CIRCUIT, "ZZ", [0.1, 0.2, 0.3]), compat.EstimatorPub.coerce((CIRCUIT, "XX", [0.1, 0.2, 0.3]))]
    result = FastEstimator().run(pub for pub in pubs).result()
    assert [float(one.data.evs) for one in result] == pytest.approx(
        FastEstimator().expectation_values(CIRCUIT, ["ZZ", "XX"], [0.1, 0.2, 0.3])[0].tolist()
    )


@needs_v2
def test_projectors():
    circuit = QuantumCircuit(2)
    circuit.ry(0.7, 0)
    circuit.h(1)
    [found] = FastEstimator().run([(circuit, [{"I1": 1.0}, {"+0": 2.0, "ZZ": 0.5}])]).result()
    np.testing.assert_allclose(found.data.evs, [np.sin(0.35) ** 2, 2 * np.cos(0.35) ** 2], atol=1e-12)


@needs_v2
def test_resets_are_left_to_qiskit():
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.reset(0)
    [found] = FastEstimator(seed=12).run([(circuit, [SparsePauliOp("ZI")] * 500)]).result()
    assert set(np.round(found.data.evs, 9)) == {-1.0, 1.0}
    with pytest.raises(ValueError, match=r"'reset' on qubits \[0\]"):
        FastEstimator().expectation_values(circuit, "ZI")


def test_programs_are_found_again_by_content():
    from qiskit_torch_module._program.cache import cached_program

    def make(angle, gate_angle=0.1):
        inner = QuantumCircuit(1, name="inner")
        inner.ry(gate_angle, 0)
        circuit = QuantumCircuit(2)
        circuit.rx(2 * angle, 0)
        circuit.append(inner.to_gate(), [1])
        return circuit

    parameters = [A]
    first = cached_program(make(A), "ZZ", parameters)
    assert cached_program(make(A), "ZZ", parameters) is first
    others = [
        cached_program(make(A, 0.2), "ZZ", parameters),
        cached_program(make(A * A), "ZZ", parameters),
        cached_program(make(A), ["ZZ"], parameters),
        cached_program(make(A), SparsePauliOp("XX"), parameters),
        cached_program(make(B[0]), "ZZ", [B[0]]),
    ]
    assert all(other is not first for other in others)
    assert others[2] == first
    # Other observables of the same circuit share what it does, with its layers and its symmetries; nothing else does.
    assert [other.evolution is first.evolution for other in others] == [False, False, True, True, False]
    assert cached_program(make(A), qtm.outputs.State(), parameters).evolution is first.evolution
    with qtm.compiler_passes(fusion=False):
        assert cached_program(make(A), "ZX", parameters).evolution is not first.evolution
    assert cached_program(make(A), "ZX", [], [parameters]).evolution is not first.evolution
