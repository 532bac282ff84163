"""Overlaps of two circuits that share parameters, and of a circuit with a state."""

import copy
import json
import pickle

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector
from qiskit.quantum_info import Statevector, random_statevector, state_fidelity

import qiskit_torch_module as qtm
import reference
from qiskit_torch_module import QuantumModule, methods
from qiskit_torch_module._simulation.columns import with_derived_columns
from qiskit_torch_module._storage.portable import from_text, to_text
from qiskit_torch_module.outputs import Fidelity, Overlap, Purity

X, Y, W = ParameterVector("x", 2), ParameterVector("y", 2), ParameterVector("w", 3)


def prepared(inputs, weights, compound=True, idle=0):
    """Angles that are computed from others, if compound; idle qubits in between."""
    circuit = QuantumCircuit(3 + idle, global_phase=weights[0])
    qubits = [0, *range(1 + idle, 3 + idle)]
    for qubit, angle in zip(qubits, [*inputs, inputs[0]], strict=True):
        circuit.ry(angle * weights[0], qubit)
    circuit.cx(qubits[0], qubits[1])
    circuit.cx(qubits[1], qubits[2])
    circuit.rz((inputs[0] + 2).sin() if compound else inputs[0], qubits[0])
    circuit.rx(weights[1], qubits[0])
    circuit.ry(weights[2].exp() if compound else weights[2], qubits[1])
    return circuit


CASES = {
    "both compound": (prepared(X, W), prepared(Y, W)),
    "one compound": (prepared(X, W, False), prepared(Y, W)),
    "other": (prepared(X, W), prepared(Y, W, False)),
    "plain": (prepared(X, W, False), prepared(Y, W, False)),
    "idle": (prepared(X, W, idle=2), prepared(Y, W, idle=2)),
    "numbers": (prepared(X, W), prepared([0.3, 0.4], [0.1, 0.2, 0.3], False)),
}


def module(first, observables, *others, **options):
    used = set().union(*(circuit.parameters for circuit in (first, *others)))
    inputs, weights = [p for p in (*X, *Y) if p in used], [p for p in W if p in used]
    return QuantumModule(first, inputs, weights, observables=observables, seed_init=0, **options).double()


def rows(model, size=3):
    return torch.from_numpy(np.random.default_rng(1).uniform(-1, 1, (size, model.input_size)))


def expected(model, inputs, first, second):
    """By Qiskit."""
    listed = [*model.encoding_parameters, *model.variational_parameters[0]]
    for row in inputs.tolist():
        values = dict(zip(listed, [*row, *model.variational.tolist()], strict=True))
        states = []
        for circuit in (first, second):
            own = {parameter: values[parameter] for parameter in circuit.parameters}
            states.append(Statevector(reference.assigned(circuit, own)))
        yield state_fidelity(*states)


def called(model):
    return lambda inputs, weights: torch.func.functional_call(model, {"variational": weights}, (inputs,))


@pytest.mark.filterwarnings("ignore")  # PyTorch's own
@pytest.mark.parametrize("name", CASES)
def test_fidelities_of_qiskit_and_derivatives(name):
    first, second = CASES[name]
    model = module(first, Overlap(second), second)
    judge = module(first, Overlap(second), second, method="pytorch")
    inputs, weights = rows(model), model.variational.detach()
    np.testing.assert_allclose(model(inputs).detach(), list(expected(model, inputs, first, second)), atol=1e-12)
    leaves = [inputs[:1].clone().requires_grad_(), weights.clone().requires_grad_()]
    assert torch.autograd.gradcheck(called(model), leaves)
    assert torch.autograd.gradgradcheck(called(model), leaves)
    for derivative in (
        lambda m: torch.func.hessian(lambda w: called(m)(inputs, w))(weights),
        lambda m: torch.func.vmap(torch.func.jacrev(lambda row: called(m)(row[None], weights)))(inputs),
        lambda m: torch.func.vmap(lambda w: called(m)(inputs, w))(torch.stack([weights, 2 * weights])),
    ):
        torch.testing.assert_close(derivative(model), derivative(judge))
    single = model.float()(inputs.float())
    assert single.dtype == torch.float32
    torch.testing.assert_close(single, judge(inputs).float(), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", CASES)
def test_runners_by_themselves(name):
    """Without a graph, with a tape and without."""
    first, second = CASES[name]
    model = module(first, ["Z" * first.num_qubits, Overlap(second), Purity([0])], second)
    own, weights = with_derived_columns(model._program.evolution, rows(model), model.variational.detach())
    runner = methods.Native().prepare(model._program)
    judge = methods.PyTorch().prepare(model._program)
    values, tape = runner.values(own, [weights], record=True)
    leaves = [own.clone().requires_grad_(), weights.clone().requires_grad_()]
    by_judge = judge.values(leaves[0], [leaves[1]])[0]
    torch.testing.assert_close(values, by_judge.detach())
    torch.testing.assert_close(runner.values(own, [weights])[0], values)
    cotangent = torch.randn_like(values)
    slopes = torch.autograd.grad(by_judge, leaves, cotangent)
    for one in (tape, None):
        found = runner.pull_back(cotangent, own, [weights], (True, True), tape=one)
        torch.testing.assert_close(tuple(found), slopes)
    assert runner.pull_back(cotangent, own, [weights], (False, True))[0] is None


def test_states_and_circuits_without_parameters():
    state, first, fixed = random_statevector(8, seed=1), prepared(X, W), QuantumCircuit(3)
    fixed.h(1)
    model = module(first, ["ZZZ", Overlap(state), Fidelity(state), Overlap(fixed), Fidelity(fixed)])
    found = model(rows(model))
    torch.testing.assert_close(found[:, 1], found[:, 2])
    torch.testing.assert_close(found[:, 3], found[:, 4])


def test_measurements_at_the_end_do_not_count():
    first, second = CASES["plain"]
    measured = second.copy()
    measured.measure_all()
    both = [module(first, Overlap(other), second) for other in (second, measured)]
    torch.testing.assert_close(*[model(rows(model)) for model in both])


def test_later_changes_of_the_circuit_do_not_count():
    first, second = prepared(X, W), prepared(Y, W)
    overlap = Overlap(second)
    before = module(first, overlap, second)
    second.x(0)
    after = module(first, overlap, second)
    assert torch.equal(before(rows(before)), after(rows(before)))


@pytest.mark.parametrize("name", CASES)
def test_models_are_copied_and_saved(name, tmp_path):
    first, second = CASES[name]
    state = random_statevector(2**first.num_qubits, seed=1)
    model = module(first, ["I" * first.num_qubits, Overlap(second), Overlap(state)], second)
    inputs = rows(model)
    qtm.save(model, tmp_path / "model")
    for again in (qtm.load(tmp_path / "model"), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(again(inputs), model(inputs))
        assert repr(again.observables) == repr(model.observables)
        assert again.observables[1].circuit.parameters == second.parameters
        assert again.observables[2].circuit is None
    again = qtm.load(tmp_path / "model")
    qtm.save(again, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "model").read_bytes()
    anew = module(again.circuit, again.observables, second)
    assert torch.equal(anew(inputs), model(inputs))
    assert from_text(to_text(model._program)) == model._program
    assert qtm.explain(model).chosen == "native"


@pytest.mark.filterwarnings("ignore")  # PyTorch's own
@pytest.mark.parametrize("name", ["both compound", "plain"])
def test_one_graph_holds_all(name):
    first, second = CASES[name]
    model = module(first, ["ZZZ", Overlap(second)], second)
    inputs = rows(model)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(inputs), model(inputs))
    compiled(inputs).square().sum().backward()
    gradient, model.variational.grad = model.variational.grad, None
    model(inputs).square().sum().backward()
    torch.testing.assert_close(model.variational.grad, gradient)
    torch.testing.assert_close(torch.export.export(model, (inputs,)).module()(inputs), model(inputs))


def test_texts_of_circuits_that_do_not_belong_together():
    first, second = CASES["plain"]
    text = json.loads(to_text(module(first, Overlap(second), second)._program))
    for field, value, message in (
        ("num_inputs", 5, "another circuit of other inputs and weights"),
        ("frame", None, "a state in an order that is not known"),
    ):
        odd = copy.deepcopy(text)
        odd["program"]["output"][1]["evolution"][field] = value
        with pytest.raises(ValueError, match=message):
            from_text(json.dumps(odd))


UNLISTED = r"parameters of the circuit in neither encoding_params nor variational_params: 'y\[0\]', 'y\[1\]'"


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: Overlap("other"),
            TypeError,
            "target: expected a Statevector, amplitudes or a QuantumCircuit, got str",
        ),
        (lambda: Overlap([1, 1]), ValueError, "target: expected a state of norm 1, got norm 1.414"),
        (
            lambda: module(prepared(X, W), Overlap(QuantumCircuit(2))),
            ValueError,
            "other: expected a circuit of 3 qubits, as the module has, got one of 2",
        ),
        (lambda: module(prepared(X, W), Overlap([1, 0])), ValueError, "target: expected a state of 3 qubits"),
        (lambda: QuantumModule(prepared(X, W), X, W, observables=Overlap(prepared(Y, W))), ValueError, UNLISTED),
        (
            lambda: QuantumModule(prepared(X, W), [*X, *Y, Parameter("z")], W, observables=Overlap(prepared(Y, W))),
            ValueError,
            "parameters not in the circuit: 'z'",
        ),
        (lambda: QuantumModule(prepared(X, W), [*X, *Y], W), ValueError, "parameters not in the circuit"),
    ],
)
def test_wrong_arguments_are_named(make, error, message):
    with pytest.raises(error, match=message):
        make()
