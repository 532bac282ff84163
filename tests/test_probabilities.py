"""Probabilities: those of Qiskit's Statevector, in its order, and added up in classes."""

import copy
import io
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.quantum_info import Statevector, random_statevector

import qiskit_torch_module as qtm
from circuits_zoo import reuploading
from qiskit_torch_module import QuantumModule
from qiskit_torch_module._storage.portable import from_text, to_text
from qiskit_torch_module.outputs import Probabilities
from test_states import built, call, mixed, states, variables


def parity(outcome):
    return outcome.bit_count() % 2


def weight_and_lowest(outcome):
    return outcome.bit_count(), outcome & 1


def expected(rows, qubits, interpret=None, shape=None):
    """By Qiskit, and added up one by one."""
    found = np.array([Statevector(row).probabilities(qubits) for row in rows])
    if interpret is None:
        return found
    classes = np.zeros((len(rows), *shape))
    for outcome, column in enumerate(found.T):
        place = interpret(outcome)
        classes[(slice(None), *(place if isinstance(place, tuple) else (place,)))] += column
    return classes


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("qubits", [None, [0], [2, 0], [4, 1, 3, 0, 2], [0, 1, 2, 3, 4]])
def test_probabilities_of_qiskit(qubits, dtype):
    """Of a circuit with idle qubits."""
    case = mixed(3, 5)
    rows, weights = variables(case, 4, dtype)
    found = call(built(case, output=Probabilities(qubits)), rows, *weights)
    assert found.dtype == dtype
    judge = expected(states(case, rows.double(), [w.double() for w in weights]), qubits)
    np.testing.assert_allclose(found, judge, atol=1e-12 if dtype == torch.float64 else 1e-5)
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-13 if dtype == torch.float64 else 1e-5)


@pytest.mark.parametrize(
    ("qubits", "interpret", "output_shape", "shape"),
    [
        (None, parity, 2, (2,)),
        (None, parity, None, (2,)),
        ([3, 1], parity, (5,), (5,)),
        ([2, 0, 1], weight_and_lowest, (4, 2), (4, 2)),
        (None, weight_and_lowest, None, (6, 2)),
        ([2, 0], [1, 0, 0, 2], None, (3,)),
        ([2, 0], np.array([[1], [0], [0], [2]], dtype=np.uint8), 3, (3,)),
        ([1], lambda outcome: np.array([0, outcome]), (1, 2), (1, 2)),
        ([1], lambda outcome: outcome == 1, 2, (2,)),
        ([1], lambda outcome: np.int64(outcome), 2, (2,)),
    ],
)
def test_classes_of_outcomes(qubits, interpret, output_shape, shape):
    case = mixed(3, 6)
    rows, weights = variables(case, 3)
    model = built(case, output=Probabilities(qubits, interpret, output_shape))
    assert model.output_size == np.prod(shape)
    found = call(model, rows, *weights)
    assert found.shape == (3, *shape)

    def one_by_one(outcome):
        place = interpret(outcome) if callable(interpret) else interpret[outcome]
        return tuple(np.atleast_1d(place).astype(int).tolist())

    judge = expected(states(case, rows, weights), qubits, one_by_one, shape)
    np.testing.assert_allclose(found, judge, atol=1e-12)


def test_interpret_is_called_once_for_each_outcome():
    case, outcomes = reuploading(3, 1), []

    def interpret(outcome):
        outcomes.append(outcome)
        return outcome % 3

    output = Probabilities([2, 1], interpret, 3)
    model = built(case, output=output)
    for _ in range(2):
        model(variables(case, 2, torch.float32)[0])
    assert outcomes == [0, 1, 2, 3]
    outcomes.clear()
    built(case, output=Probabilities(None, interpret, 3))
    assert set(outcomes) == set(range(8))


OUTPUTS = [
    Probabilities(),
    Probabilities([3, 0]),
    Probabilities(None, parity, 2),
    Probabilities([4, 2], lambda outcome: (outcome % 2, outcome // 2), (2, 2)),
]


@pytest.mark.filterwarnings("ignore")  # PyTorch's own
@pytest.mark.parametrize("output", OUTPUTS, ids=["all", "some", "parity", "classes"])
def test_derivatives(output):
    case = mixed(3, 7, gates=16)
    model, judge = built(case, output=output), built(case, "pytorch", output)
    rows, weights = variables(case, 2)
    leaves = [leaf.requires_grad_() for leaf in (rows, *weights)]
    assert torch.autograd.gradcheck(lambda *at: call(model, *at), leaves)
    assert torch.autograd.gradgradcheck(lambda *at: call(model, *at), leaves)
    row, weights = rows[:1].detach(), weights[0].detach()
    for derivative in (
        lambda m: torch.func.jacrev(lambda w: call(m, row, w))(weights),
        lambda m: torch.func.jacfwd(torch.func.jacfwd(lambda w: call(m, row, w)))(weights),
        lambda m: torch.func.hessian(lambda w: call(m, row, w))(weights),
        lambda m: torch.func.vmap(lambda w: call(m, row, w))(torch.stack([weights, 2 * weights])),
    ):
        torch.testing.assert_close(derivative(model), derivative(judge))


@pytest.mark.filterwarnings("ignore")  # PyTorch's own
@pytest.mark.parametrize("output", OUTPUTS, ids=["all", "some", "parity", "classes"])
def test_one_graph_holds_all(output):
    case = mixed(3, 9)
    model, (rows, _) = built(case, "auto", output), variables(case, 3, torch.float32)
    values = model(rows)
    values.square().sum().backward()
    gradient, model.variational.grad = model.variational.grad, None
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(rows), values)
    compiled(rows).square().sum().backward()
    torch.testing.assert_close(model.variational.grad, gradient)
    torch.testing.assert_close(torch.export.export(model, (rows,)).module()(rows), values)
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.trace(model, (rows,), check_trace=False), buffer)
    buffer.seek(0)
    torch.testing.assert_close(torch.jit.load(buffer)(rows), values)


@pytest.mark.parametrize("output", OUTPUTS, ids=["all", "some", "parity", "classes"])
def test_models_are_copied_and_saved(output, tmp_path):
    case = mixed(3, 8)
    model, (rows, _) = built(case, "auto", output), variables(case, 2, torch.float32)
    qtm.save(model, tmp_path / "model")
    for again in (qtm.load(tmp_path / "model"), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(again(rows), model(rows))
        assert again.observables == model.observables
        assert hash(again.observables) == hash(model.observables)
    program = model._program
    assert from_text(to_text(program)) == program
    assert qtm.explain(model).chosen == "native"
    assert repr(model.observables).startswith("Probabilities(qubits=")


def test_equal_outputs_share_a_program():
    case = reuploading(3, 1)
    first, second = (built(case, output=Probabilities(None, parity, 2)) for _ in range(2))
    assert first._program is second._program
    assert first._program is not built(case, output=Probabilities(None, parity, 3))._program


WRONG = [
    ((3,), TypeError, "qubits: expected a sequence of whole numbers, got 3"),
    ("01", TypeError, "qubits: expected a sequence of whole numbers, got '01'"),
    ({0, 1}, TypeError, "qubits: expected a sequence"),
    (([0.5],), TypeError, "qubits: expected a whole number"),
    (([],), ValueError, "qubits: expected at least one"),
    (([1, 0, 1],), ValueError, r"qubits: expected qubits that differ, got 1 twice in \[1, 0, 1\]"),
    (([-1],), ValueError, "qubits: expected a whole number from 0"),
    (([0, 1], lambda i: i, 3), ValueError, r"expected classes within output_shape \(3,\), got 3 for outcome 3 \(11\)"),
    (([0, 1], lambda i: i - 1), ValueError, r"got -1 for outcome 0 \(00\)"),
    (([0, 1], lambda i: (i, i), (4, 2)), ValueError, r"got \[2, 2\] for outcome 2 \(10\)"),
    (([0, 1], lambda i: (i, i), 4), ValueError, "expected 1 numbers for each outcome, as output_shape is .4,., got 2"),
    (([0], lambda i: i / 2, 2), TypeError, "got 0.0 for outcome 0"),
    (([0, 1], lambda i: i if i < 2 else "odd", 2), TypeError, "got 'odd' for outcome 2"),
    (([0, 1], lambda i: (0,) * (1 + i % 2), 2), TypeError, r"got \(0, 0\) for outcome 1"),
    (([0, 1], lambda i: None, 2), TypeError, "got None for outcome 0"),
    (([0, 1], 7), TypeError, "interpret: expected a function .* got 7"),
    (([0, 1], [0, 1]), ValueError, "interpret: expected a class for each outcome, 4 of them, got 2"),
    ((None, [0, 1, 2]), ValueError, "a power of two of them, got 3"),
    (([0], lambda i: i, 0), ValueError, "output_shape: expected a whole number from 1"),
    (([0], lambda i: i, ()), ValueError, "output_shape: expected at least one dimension"),
    (([0], lambda i: i, 2.0), TypeError, "output_shape: expected a whole number"),
    ((range(29), parity, 2), ValueError, "a function of at most 28 qubits, got 29"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), WRONG)
def test_wrong_arguments_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        Probabilities(*arguments) if isinstance(arguments, tuple) else Probabilities(arguments)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (Probabilities([0, 3]), "qubits: expected qubits from 0 to 2, as the circuit has 3, got 3"),
        (Probabilities(None, [0, 1]), "interpret: expected a class for each of 8 outcomes of the circuit, got 2"),
        (Probabilities(None, lambda i: i, 7), r"got 7 for outcome 7 \(111\)"),
        (Probabilities([0], output_shape=3), r"output_shape: expected \(2,\), as there are so many outcomes"),
    ],
)
def test_what_does_not_fit_the_circuit_is_refused_when_the_module_is_made(output, message):
    with pytest.raises(ValueError, match=message):
        QuantumModule(QuantumCircuit(3), None, None, observables=output)


def test_what_does_not_fit_the_memory_is_refused(own_budget):
    circuit = QuantumCircuit(16)
    circuit.h(range(16))
    own_budget(1 << 20)
    message = r"states of 16 qubits, and reading Probabilities\(.*\) from them, take 1 MiB in a batch of 1"
    with pytest.raises(ValueError, match=message):
        QuantumModule(circuit, None, None, observables=Probabilities([0], parity, 2)).double()()


@given(st.integers(1, 6), st.integers(0, 10**6))
def test_any_state_in_any_order(num_qubits, seed):
    state, random = random_statevector(2**num_qubits, seed=seed), np.random.default_rng(seed)
    qubits = random.permutation(num_qubits)[: random.integers(1, num_qubits + 1)].tolist()
    found = Probabilities(qubits).read(torch.from_numpy(state.data[None]))[0]
    np.testing.assert_allclose(found, state.probabilities(qubits), atol=1e-14)


def test_derivatives_forward_of_plain_tensors():
    """By dual numbers, which are no transform of torch.func."""
    state = torch.from_numpy(random_statevector(8, seed=1).data[None])
    change = torch.from_numpy(random_statevector(8, seed=2).data[None])
    for output in (Probabilities(), Probabilities([2, 0]), Probabilities(None, parity, 2).settled(3)):
        _, expected = torch.func.jvp(output.read, (state,), (change,))
        with torch.autograd.forward_ad.dual_level():
            dual = torch.autograd.forward_ad.make_dual(state, change)
            found = torch.autograd.forward_ad.unpack_dual(output.read(dual)).tangent
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("interpret", [None, parity, weight_and_lowest, [0, 0, 0, 1, 1, 1, 2, 2]])
def test_a_qubit_that_is_measured_into_several_bits(interpret):
    """Bits agree with the sampler's; nobody named a qubit, so no error speaks of one that is there twice."""
    circuit = QuantumCircuit(2, 3)
    circuit.ry(1.0, 0)
    circuit.cx(0, 1)
    circuit.ry(0.3, 1)
    circuit.measure([1, 1, 0], [2, 0, 1])
    table = qtm.FastSampler().probabilities(circuit)[0]
    model = QuantumModule(circuit, None, None, observables=Probabilities(interpret=interpret)).double()
    found = model().numpy()
    if interpret is None:
        np.testing.assert_allclose(found, table, atol=1e-12)
    else:
        classes = np.zeros(found.shape)
        for number, probability in enumerate(table):
            classes[interpret(number) if callable(interpret) else interpret[number]] += probability
        np.testing.assert_allclose(found, classes, atol=1e-12)
    again = io.BytesIO()
    torch.save(model, again)
    for wrong, message in (
        ({"output_shape": 4}, r"output_shape: expected \\(8,\\), as there are so many outcomes, got \\(4,\\)"),
        ({"interpret": [0, 1]}, "interpret: expected a class for each of 8 outcomes of the circuit, got 2"),
    ):
        with pytest.raises(ValueError, match=message.replace("\\\\", "\\")):
            QuantumModule(circuit, None, None, observables=Probabilities(**wrong))
