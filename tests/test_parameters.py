"""Binding by identity: names never matter, and mistakes are named."""

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector

import reference
from circuits_zoo import random_observables
from qiskit_torch_module import FastEstimator, FastReverseEstimatorGradient, HybridModule, QuantumModule


def rotations(parameters):
    """A circuit where every parameter has another effect."""
    circuit = QuantumCircuit(2)
    for i, parameter in enumerate(parameters):
        (circuit.ry if i % 2 else circuit.rx)((1 + 0.1 * i) * parameter, i % 2)
        circuit.cx(0, 1)
    return circuit


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(
    "names",
    [
        ["x2", "x10", "x1", "x0", "x11"],
        ["θ", "a", "Ω", "α", "Z"],
        ["b", "a", "d", "c", "B"],
        ["x[1]", "x[0]", "x[10]", "x[2]", "x"],
    ],
)
def test_misleading_names_change_nothing(names):
    parameters = [Parameter(name) for name in names]
    circuit, observables = rotations(parameters), random_observables(2, 0)
    row = np.linspace(-1.0, 1.5, 5)
    model = QuantumModule(
        circuit, parameters[3:], parameters[:3], variational_params_initial=list(row[:3]), observables=observables
    )
    [expected] = reference.batch_values(circuit, observables, parameters, [row])
    np.testing.assert_allclose(model(torch.tensor(row[3:])).detach().numpy(), expected, atol=1e-12)


@pytest.mark.usefixtures("float64")
def test_sets_in_any_order_from_slices():
    vector = ParameterVector("v", 6)
    circuit, observables = rotations(list(vector)), random_observables(2, 0)
    order = [vector[4:], [vector[0], vector[2]], [vector[3], vector[1]]]
    values = dict(zip(vector, np.linspace(-1, 2, 6), strict=True))
    model = QuantumModule(
        circuit,
        None,
        order,
        variational_params_names=["tail", "even", "odd"],
        variational_params_initial=[[values[p] for p in one] for one in order],
        observables=observables,
    )
    expected = reference.expectation_values(circuit.assign_parameters(values), observables)
    np.testing.assert_allclose(model().detach().numpy(), expected, atol=1e-12)
    assert [name for name, _ in model.named_parameters()] == ["tail", "even", "odd"]


X, W = ParameterVector("x", 2), ParameterVector("w", 2)
CIRCUIT = rotations([*X, *W])


@pytest.mark.parametrize(
    ("encoding", "variational", "error", "message"),
    [
        (X, [W, [W[0]]], ValueError, r"parameter 'w\[0\]' is listed twice"),
        (X, [*W, X[1]], ValueError, r"parameter 'x\[1\]' is listed twice"),
        (X, [W[0]], ValueError, r"in neither encoding_params nor variational_params: 'w\[1\]'; list them, or bind"),
        (None, W, ValueError, r"'x\[0\]', 'x\[1\]'; list them, or bind"),
        (X, [*W, Parameter("v")], ValueError, "parameters not in the circuit: 'v'"),
        (X, [*W, Parameter("w[0]")], ValueError, r"not in the circuit: 'w\[0\]'.*of the same name is another one"),
        (X, ["w"], TypeError, r"variational_params\[0\]: expected qiskit Parameters, got str"),
        (X, [W, 3], TypeError, "expected qiskit Parameters, got int"),
        (X, [W[0], [W[1]]], TypeError, "a mixture of both"),
        (["x"], W, TypeError, r"encoding_params: expected qiskit Parameters, got str \('x'\)$"),
        ([X], W, TypeError, "expected qiskit Parameters, got ParameterVector .*; give all of them in one sequence"),
        (X, [W, []], ValueError, r"variational_params\[1\]: expected at least one parameter"),
    ],
)
def test_mistakes_are_named_at_construction(encoding, variational, error, message):
    with pytest.raises(error, match=message) as caught:
        QuantumModule(CIRCUIT, encoding, variational)
    assert "\n" not in str(caught.value)


UNORDERED = {
    "set": set(W),
    "frozenset": frozenset(W),
    "difference of ParameterViews": CIRCUIT.parameters - {*X},
}


@pytest.mark.parametrize("unordered", UNORDERED.values(), ids=UNORDERED.keys())
@pytest.mark.parametrize(
    "use",
    [
        lambda one: QuantumModule(CIRCUIT, one, X),
        lambda one: QuantumModule(CIRCUIT, X, one),
        lambda one: QuantumModule(CIRCUIT, None, [X, one]),
        lambda one: FastEstimator().expectation_values(CIRCUIT, "ZZ", {frozenset(one): [0.1, 0.2], X: [0.3, 0.4]}),
        lambda one: FastReverseEstimatorGradient().jacobian(CIRCUIT, "ZZ", [0.1] * 4, one),
        lambda one: FastReverseEstimatorGradient().run([CIRCUIT], ["ZZ"], [[0.1] * 4], [one]),
        lambda one: HybridModule(CIRCUIT, one, X, 2, 1),
    ],
    ids=["encoding", "variational", "one of several", "values", "jacobian", "gradient", "hybrid"],
)
def test_parameters_without_an_order_are_refused(use, unordered):
    with pytest.raises(
        TypeError, match=r"expected an ordered sequence of parameters, got a (frozen)?set, .*pass a list"
    ):
        use(unordered)


@pytest.mark.parametrize(
    "ordered",
    [
        list(X),
        tuple(X),
        X,
        X[:],
        dict.fromkeys(X),
        dict.fromkeys(X).keys(),
        dict(enumerate(X)).values(),
        np.array(list(X), dtype=object),
    ],
    ids=lambda one: type(one).__name__,
)
def test_parameters_with_an_order_are_taken(ordered):
    assert QuantumModule(CIRCUIT, ordered, W).encoding_parameters == list(X)
    assert FastReverseEstimatorGradient().jacobian(CIRCUIT, "ZZ", [0.1] * 4, ordered).shape == (1, 1, 2)


def test_the_view_of_a_circuit_has_an_order():
    circuit = QuantumCircuit(1)
    for x in (X[1], X[0]):
        circuit.rx(x, 0)
        circuit.ry(x, 0)
    assert QuantumModule(circuit, circuit.parameters, None).encoding_parameters == list(circuit.parameters)
    assert QuantumModule(circuit, None, circuit.parameters).variational_parameters == [list(circuit.parameters)]


@pytest.mark.parametrize("wrong", [5, 0.5])
def test_what_is_no_sequence_is_named(wrong):
    with pytest.raises(TypeError, match=r"encoding_params: expected a sequence of qiskit Parameters, got (int|float)"):
        QuantumModule(CIRCUIT, wrong, W)
    with pytest.raises(
        TypeError, match=r"variational_params: expected a sequence of qiskit Parameters, or of such sets"
    ):
        QuantumModule(CIRCUIT, X, wrong)


def test_parameters_without_a_place_are_named_in_the_order_of_their_indices():
    angles, circuit = ParameterVector("angle", 12), QuantumCircuit(1)
    for angle in angles:
        circuit.ry(angle, 0)
    with pytest.raises(ValueError, match=r"'angle\[0\]', 'angle\[2\]', 'angle\[3\]'"):
        QuantumModule(circuit, None, [angles[1]])
