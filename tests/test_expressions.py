"""Parameter expressions of every kind: values, derivatives, and what is refused."""

import ast
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterExpression, ParameterVector

import reference
from circuits_zoo import random_observables
from qiskit_torch_module import FastEstimator, FastReverseEstimatorGradient, QuantumModule
from qiskit_torch_module._reading.expressions import Builder, evaluate, text_of, variables_in
from qiskit_torch_module._reading.parameter_expressions import read

X, Y = Parameter("x"), ParameterVector("y", 2)
PARAMETERS = [X, *Y]
VARIABLES = {parameter: index for index, parameter in enumerate(PARAMETERS)}

CASES = {
    "sine": X.sin(),
    "product of functions": X.cos() * Y[0].exp(),
    "nested": (X + (2 * Y[1]).sin()).cos(),
    "quotient": X / (Y[0] * Y[0] + 2),
    "constant over": 1.5 / (Y[0] + 3),
    "difference": (1 - X) - (Y[0] - Y[1] * X),
    "reversed difference": Y[0] - X * Y[1],
    "logarithm": (X * X + 1).log(),
    "inverse functions": (0.5 * X).arcsin() + (0.3 * Y[0]).arccos() - Y[1].arctan(),
    "tangent": X.tan(),
    "absolute": abs(X - 3) * Y[0],
    "conjugate": (X * Y[0]).conjugate(),
    "high degree": X * X * X * Y[0] * Y[1] * Y[1],
    "negative": -(X.sin()),
    "substituted": (X * Y[0] - Y[1]).subs({X: Y[1] + 1}),
    "partly bound": (X * Y[0] - Y[1]).bind({Y[1]: 0.25}),
}
if hasattr(ParameterExpression, "sign"):
    CASES["sign"] = X.sign() * Y[1]
if hasattr(ParameterExpression, "__pow__"):
    CASES |= {
        "square": X**2 - Y[0],
        "root": (X * X + 1) ** 0.5,
        "power of a power": (X**2) ** 2 * Y[0],
        "exponential": 2**X + (X * X + 1) ** (Y[0] * Y[1]),
        "inverse": (Y[0] + 3) ** -1,
    }


def value(expression, at):
    bound = expression.bind({p: v for p, v in zip(PARAMETERS, at, strict=True) if p in expression.parameters})
    return complex(bound).real


@pytest.mark.parametrize("name", CASES)
def test_trees_keep_the_value(name):
    expression, parameters = read(CASES[name])
    assert set(parameters) <= CASES[name].parameters
    assert set(variables_in(expression)) <= set(range(len(parameters)))
    for at in ([0.3, -0.7, 1.1], [1.9, 0.4, -1.3]):
        found = evaluate(expression, [torch.tensor(at[VARIABLES[p]], dtype=torch.float64) for p in parameters])
        assert float(found) == pytest.approx(value(CASES[name], at), abs=1e-14)


def circuit_of(expression):
    """The expression among others: alone, scaled, and with a polynomial on the same qubit."""
    circuit = QuantumCircuit(2)
    circuit.ry(X, 0)
    circuit.rx(Y[0] + 0.3, 1)
    circuit.cx(0, 1)
    circuit.ry(expression, 1)
    circuit.rz(2 * expression + Y[1], 0)
    circuit.rxx(expression * X - 0.2, 0, 1)
    return circuit


@pytest.mark.parametrize("name", CASES)
def test_values_and_derivatives(name):
    circuit, observables = circuit_of(CASES[name]), random_observables(2, 5)
    at = np.array([0.3, -0.7, 1.1])

    def judge(point):
        [values] = reference.batch_values(circuit, observables, PARAMETERS, [point])
        return values

    columns = {X: at[:1], Y: at[1:]}
    np.testing.assert_allclose(
        FastEstimator().expectation_values(circuit, observables, columns), [judge(at)], atol=1e-10
    )
    jacobian = FastReverseEstimatorGradient().jacobian(circuit, observables, columns, PARAMETERS)
    np.testing.assert_allclose(jacobian[0].T, reference.central_differences(judge, at), atol=1e-8)


@pytest.mark.usefixtures("float64")
def test_modules_differentiate_through_inputs_and_weights():
    circuit = circuit_of(X.sin() * Y[0])
    circuit.ry(Y[0].exp() + (X * Y[1]).cos(), 0)
    model = QuantumModule(circuit, [X], [[Y[1]], [Y[0]]], ["first", "second"], seed_init=3)
    inputs = torch.linspace(-1, 1, 4)[:, None].requires_grad_()
    weights = [model.first, model.second]

    def run(inputs, first, second):
        return torch.func.functional_call(model, {"first": first, "second": second}, (inputs,))

    assert torch.autograd.gradcheck(run, (inputs, *weights))
    rows = np.column_stack([inputs.detach(), np.tile(torch.cat(weights).detach(), (4, 1))])
    observables = [reference.SparsePauliOp("IZ"), reference.SparsePauliOp("ZI")]
    expected = reference.batch_values(circuit, observables, [X, Y[1], Y[0]], rows)
    np.testing.assert_allclose(model(inputs).detach(), expected, atol=1e-12)


def test_programs_with_expressions_are_values():
    make = lambda: QuantumModule(circuit_of(X.sin()), [X], [Y])._program  # noqa: E731
    assert make() == make() == pickle.loads(pickle.dumps(make()))
    assert make() != QuantumModule(circuit_of(X.cos()), [X], [Y])._program


def test_outside_of_the_domain_the_angle_and_its_gate_are_named():
    circuit = QuantumCircuit(1)
    circuit.ry(X.arccos(), 0)
    model = QuantumModule(circuit, [X], None)
    assert model(torch.tensor([0.5])).item() == pytest.approx(0.5)
    with pytest.raises(
        ValueError, match=r"angle acos\(x\) of gate 'ry' on qubits \[0\] is nan in sample 1, where x = 1.5"
    ):
        model(torch.tensor([[0.5], [1.5]]))
    with pytest.raises(ValueError, match="input"):
        model(torch.tensor([[float("nan")]]))


def test_complex_angles_are_refused():
    circuit = QuantumCircuit(1)
    try:
        circuit.ry(1j * X, 0)
    except Exception:
        pytest.skip("this Qiskit refuses complex angles by itself")
    with pytest.raises(ValueError, match="gate 'ry': expected a finite real angle"):
        QuantumModule(circuit, [X], None)


@given(st.data())
def test_misleading_names_never_change_a_result(data):
    """Bound by identity: sorted by name, by index or as listed, x10 is not x2."""
    names = ["x10", "x2", "x[1]", "α", "a", "θ", "β", "theta", "x1"]
    names = data.draw(st.permutations(names))
    parameters = [Parameter(name) for name in names]
    circuit = QuantumCircuit(2)
    for index, parameter in enumerate(parameters):
        circuit.ry((index + 1) * parameter, index % 2)
        circuit.crx(parameter * parameters[index - 1], index % 2, (index + 1) % 2)
    angles = np.linspace(-1, 1, len(parameters))
    [expected] = reference.batch_values(circuit, random_observables(2, 1), parameters, [angles])
    order = data.draw(st.permutations(range(len(parameters))))
    split = data.draw(st.integers(0, len(parameters)))
    encoding, variational = [parameters[i] for i in order[:split]], [parameters[i] for i in order[split:]]
    model = QuantumModule(
        circuit,
        encoding,
        variational or None,
        variational_params_initial=[angles[order[split:]]] if variational else "uniform",
        observables=random_observables(2, 1),
    ).double()
    values = model(torch.from_numpy(angles[order[:split]]))
    np.testing.assert_allclose(values.detach(), expected, atol=1e-6)


@pytest.mark.skipif(not hasattr(ParameterExpression, "sign"), reason="no signs before Qiskit 0.45")
def test_the_sign_of_what_is_no_number_is_none():
    circuit, x = QuantumCircuit(1), Parameter("x")
    circuit.ry(x.arccos().sign() + x, 0)
    assert FastEstimator().expectation_values(circuit, "Z", [[0.5]])[0, 0] == pytest.approx(np.cos(1.5))
    with pytest.raises(ValueError, match="angle .* is nan in sample 0, where x = 1.58"):
        FastEstimator().expectation_values(circuit, "Z", [[1.58]])


# As Python writes them: no more parentheses than it takes.
TEXTS = [
    "x - (y - p)", "x - y - p", "x/(y/p)", "x/y/p", "x*(y + p)", "x*y + p", "(x + y)**2", "x**(y + p)", "x**2*y",
    "2*acos(x - 7)", "sin(x*y)**2", "(x - 7)*(y + 0.5)", "x**(y*p)", "-2*x", "x*(-2) - 2*y", "x - (-2*y)", "-2 + x", "x - 2*(y - 1)", "(x*y)**3", "(x/y)**(p - 1)",
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_texts_of_expressions_say_what_they_are(text):
    def built(node):
        kinds = {"Add": "add", "Sub": "sub", "Mult": "mul", "Div": "div", "Pow": "pow"}
        if isinstance(node, ast.Name):
            return builder.variable("xyp".index(node.id))
        if isinstance(node, ast.Call):
            return builder.operation(node.func.id, [built(node.args[0])])
        if isinstance(node, ast.BinOp):
            return builder.operation(kinds[type(node.op).__name__], [built(node.left), built(node.right)])
        return builder.number(ast.literal_eval(node))

    builder = Builder()
    expression = builder.expression(built(ast.parse(text, mode="eval").body))
    assert text_of(expression, "xyp") == text


def test_long_texts_are_cut():
    builder = Builder()
    terms = [builder.operation("sin", [builder.variable(i)]) for i in range(500)]
    total = builder.expression(builder.operation("add", terms))
    assert len(text_of(total, [f"x[{i}]" for i in range(500)])) < 100
