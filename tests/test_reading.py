"""Expressions as Qiskit tells them, right or wrong: what comes out is always what `bind` says."""

import math
import random

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterExpression, ParameterVector
from qiskit.quantum_info import SparsePauliOp, Statevector

import reference
from conftest import NIGHTLY
from qiskit_torch_module import FastEstimator, FastReverseEstimatorGradient, QuantumModule
from qiskit_torch_module._reading import parameter_expressions
from qiskit_torch_module._reading.expressions import evaluate
from qiskit_torch_module._reading.opaque import Opaque
from qiskit_torch_module._reading.parameter_expressions import read
from qiskit_torch_module._storage.portable import to_text

X, Y, P = PARAMETERS = [Parameter("x"), Parameter("y"), Parameter("p")]
POINT = {X: 0.7, Y: 1.3, P: 0.9}
HAS_POWERS = hasattr(ParameterExpression, "__pow__")

CASES = {
    "nested to the right": X - (Y - (P - X * Y)),
    "a number less a product": 1 - X * Y,
    "a parameter less a product": P - X * Y,
    "quotient of a quotient": X / (Y / (P / X)),
    "a number over a sum": 2 / (X + Y),
    "zero times": 0 * X,
    "zero times and more": 0 * X + Y,
    "all cancels": X - X,
    "something cancels": X + Y - X,
    "a ratio of itself": X / X,
    "nothing added": X + 0,
    "negated": -(X - Y),
    "negated product": -(X * Y) + P,
    "sine": (X - Y).sin(),
    "cosine": (X - P * Y).cos(),
    "tangent": (X * Y).tan(),
    "arcsine": (X - Y).arcsin(),
    "arccosine": (0.5 * X).arccos() * Y,
    "arctangent": (X / Y).arctan(),
    "exponential": (X - Y * P).exp(),
    "logarithm": (X + Y).log() - (P - X),
    "absolute": abs(X - Y),
    "conjugate": (X - (Y - P)).conjugate(),
    "functions of functions": ((X - Y).sin() - (P - X).cos()).exp() / (Y - (X - P)),
    "substituted": (X - (Y - P)).subs({P: X * Y}) if hasattr(X, "subs") else X,
    "assigned": (X - (Y - P)).bind({P: 0.25}),
    "twice a parameter": (X + Y) - (X - Y),
    "far from home": (X + 5000).log() - (Y + 1e4).log(),
    "a small domain": (X * 1e-3).arccos() / (1 + X * X),
}
if hasattr(ParameterExpression, "sign"):
    CASES["sign"] = (X - Y).sign() * P
if HAS_POWERS:
    CASES |= {
        "power of a product": X ** (Y * P),
        "power of a number": 2 ** (Y * P),
        "power of a sum": (X + Y) ** (P - X),
        "power of a power": (X**P) ** (Y - X),
        "root of a difference": (Y - X) ** 0.5,
        "inverse square": (X - Y) ** -2,
    }


def bound(expression, point):
    return complex(expression.bind({p: v for p, v in point.items() if p in expression.parameters})).real


def circuit_of(expression):
    circuit = QuantumCircuit(1)
    circuit.rx(0.3, 0)
    circuit.ry(expression, 0)
    return circuit


def check(expression, point):
    """Values against Statevector, gradients against central differences of `bind`."""
    circuit = circuit_of(expression)
    parameters = list(circuit.parameters)
    row = [point[p] for p in parameters]
    state = Statevector(reference.assigned(circuit, dict(zip(parameters, row, strict=True))))
    expected = state.expectation_value(SparsePauliOp("Z")).real
    values = FastEstimator().expectation_values(circuit, ["Z", "X"], [row])[0]
    assert values[0] == pytest.approx(expected, abs=1e-10), expression
    angle, jacobian = bound(expression, point), FastReverseEstimatorGradient().jacobian(circuit, "Z", [row])[0, 0]
    for parameter, slope in zip(parameters, jacobian, strict=True):
        h = 1e-4
        moved = [bound(expression, {**point, parameter: point[parameter] + k * h}) for k in (-2, -1, 1, 2)]
        angle_slope = (8 * (moved[2] - moved[1]) - (moved[3] - moved[0])) / (12 * h)
        assert slope == pytest.approx(-math.cos(0.3) * math.sin(angle) * angle_slope, rel=1e-6, abs=1e-6), expression


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients(name):
    check(CASES[name], POINT)


def random_expression(generator, depth):
    """Of every operation that Qiskit has; what is added keeps most of them within their domains."""
    if depth == 0 or generator.random() < 0.15:
        return generator.choice([*PARAMETERS, *PARAMETERS, generator.choice([2, -1, 0.5, 0, 1])])
    left, right = random_expression(generator, depth - 1), random_expression(generator, depth - 1)
    kinds = ["add", "sub", "mul", "div", "function", *(["pow"] if HAS_POWERS else [])]
    kind = generator.choice(kinds)
    if kind == "function" and isinstance(left, ParameterExpression):
        names = ["sin", "cos", "tan", "arctan", "exp", "conjugate", "abs", "arcsin", "arccos", "log"]
        name = generator.choice(names)
        if name in ("arcsin", "arccos"):
            left = left.sin() * 0.9
        return abs(left) + 0.1 if name == "abs" else getattr(left * left + 0.3 if name == "log" else left, name)()
    if kind == "pow" and isinstance(left, ParameterExpression):
        return left ** generator.choice([2, 3]) if generator.random() < 0.7 else (abs(left) + 0.2) ** right
    if kind == "div" and isinstance(right, ParameterExpression):
        return left / right
    return left - right if kind == "sub" else left * right if kind == "mul" else left + right


def random_expressions(seed, count):
    generator = random.Random(seed)
    found = 0
    while found < count:
        try:
            expression = random_expression(generator, generator.randint(1, 4))
        except (ArithmeticError, RuntimeError):  # Qiskit or symengine found an infinite number in it
            continue
        if not isinstance(expression, ParameterExpression) or not expression.parameters:
            continue
        try:
            steps = [{one: d} for one in PARAMETERS for d in (-3e-4, 3e-4)]
            values = [
                bound(expression, {**POINT, **{p: POINT[p] + d for p, d in step.items()}}) for step in [{}, *steps]
            ]
        except Exception:  # a pole
            continue
        # Where it is steep, or infinite in symengine's eyes, central differences tell nothing.
        if not all(abs(one) < 50 for one in values) or max(values) - min(values) > 0.01 or "oo" in str(expression):
            continue
        found += 1
        yield expression


@pytest.mark.parametrize("seed", range(100 if NIGHTLY else 2))
def test_random_expressions(seed):
    for expression in random_expressions(seed, 40):
        check(expression, POINT)


LIES = {
    "backwards": lambda steps: steps[::-1],
    "a parameter": lambda steps: [("variable", 0)],
    "a number": lambda steps: [("number", 0.125)],
    "nothing": lambda steps: [],
    "an unknown operation": lambda steps: [*steps, ("zeta", 1)],
}


@pytest.fixture
def forgetful(monkeypatch):
    """Nothing is known that was read before, nor remembered later."""
    parameter_expressions._structure.cache_clear()
    parameter_expressions._structure_of_steps.cache_clear()
    monkeypatch.setattr(parameter_expressions, "_slowly_read", parameter_expressions._Memory())
    monkeypatch.setattr(parameter_expressions, "symbolic_expression", lambda expression: None)
    monkeypatch.setattr(parameter_expressions, "num_parameters", lambda expression: 1)
    yield
    parameter_expressions._structure.cache_clear()
    parameter_expressions._structure_of_steps.cache_clear()


def lying(change):
    def steps(expression, places):
        for parameter in sorted(expression.parameters, key=lambda one: one.name):
            places.setdefault(parameter, len(places))
        return change([("variable", 0), ("variable", 0), ("sub", 2)])

    return steps


@pytest.mark.usefixtures("forgetful")
@pytest.mark.parametrize("name", LIES)
def test_a_structure_that_is_wrong_never_makes_a_wrong_number(name, monkeypatch):
    monkeypatch.setattr(parameter_expressions, "recorded_steps", lying(LIES[name]))
    for expression in (X - (Y - P), X.sin() * Y, 2 * P, X - (Y - P)):
        found, parameters = read(expression)
        value = evaluate(found, [torch.tensor(POINT[p], dtype=torch.float64) for p in parameters])
        assert float(value) == pytest.approx(bound(expression, POINT), abs=1e-14)


@pytest.mark.usefixtures("forgetful")
@pytest.mark.parametrize("name", ["a parameter", "a number"])
def test_different_expressions_of_one_structure_are_different_programs(name, monkeypatch):
    monkeypatch.setattr(parameter_expressions, "recorded_steps", lying(LIES[name]))
    for expression in (0.125 * X, X + 1, X.sin(), 0.5 * X):
        values = FastEstimator().expectation_values(circuit_of(expression), "X", [[0.7]])
        assert values[0, 0] == pytest.approx(math.sin(bound(expression, POINT)) * math.cos(0.3), abs=1e-12)


@pytest.fixture
def unreadable(forgetful, monkeypatch):
    """A Qiskit to come, of which only the public functions work."""

    def refuse(*_):
        raise AttributeError("no longer there")

    monkeypatch.setattr(parameter_expressions, "recorded_steps", refuse)
    monkeypatch.setattr(parameter_expressions, "_of_symbols", refuse)


@pytest.mark.usefixtures("unreadable")
def test_without_any_structure_bind_and_gradient_are_called():
    for name in ("nested to the right", "sine", "quotient of a quotient", "exponential"):
        check(CASES[name], POINT)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # forward mode of PyTorch
@pytest.mark.usefixtures("unreadable", "float64")
def test_what_only_bind_evaluates_is_differentiated_like_all_else():
    circuit = circuit_of((X - Y * P).sin() * P)
    model = QuantumModule(circuit, [X], [[Y], [P]], seed_init=1)
    inputs = torch.linspace(-1, 1, 3)[:, None].requires_grad_()
    sets = (model.variational_0, model.variational_1)

    def run(inputs, first, second):
        return torch.func.functional_call(model, {"variational_0": first, "variational_1": second}, (inputs,))

    assert torch.autograd.gradcheck(run, (inputs, *sets))
    assert torch.autograd.gradgradcheck(run, (inputs, *sets))
    ensemble = torch.stack([sets[0], sets[0] + 1])
    mapped = torch.func.vmap(run, (None, 0, None))(inputs, ensemble, sets[1])
    torch.testing.assert_close(mapped[1], run(inputs, ensemble[1], sets[1]))
    one, many = inputs.detach()[0], (sets[0].detach(), sets[1].detach())
    jacobian = torch.func.jacrev(run)(one, *many)
    torch.testing.assert_close(torch.func.jacfwd(run)(one, *many), jacobian)
    hessian = torch.autograd.functional.hessian(lambda x: run(x, *many).sum(), one)
    torch.testing.assert_close(torch.func.hessian(lambda x: run(x, *many).sum())(one), hessian)
    with pytest.raises(NotImplementedError, match="use torch.func.hessian instead"):
        torch.func.jacfwd(torch.func.jacfwd(run))(one, *many)
    with pytest.raises(ValueError, match="only Qiskit's ParameterExpression.bind"):
        to_text(model._program)


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore:`torch.jit")
@pytest.mark.usefixtures("unreadable")
@pytest.mark.parametrize("trace", [torch.export.export, torch.jit.trace])
def test_what_only_bind_evaluates_is_not_traced(trace):
    """Its values would stay those of the example."""
    model = QuantumModule(circuit_of((X - Y).sin() * X), [X], [Y])
    message = r"\(x - y\).*: expected an angle that can be traced, .* evaluates; write it with functions of Param"
    with pytest.raises(NotImplementedError, match=message):
        trace(model, (torch.zeros(1, 1),))


@pytest.mark.usefixtures("unreadable")
def test_a_gradient_that_is_wrong_is_not_taken():
    """That of ((1 + p) / y)**2 lacks a factor in Qiskit 2.1 to 2.5."""

    class Lying:
        parameters = frozenset({X, Y})

        def __init__(self):
            self.honest = (X - Y).sin() * X

        def bind(self, values):
            return self.honest.bind(values)

        def gradient(self, parameter):
            return Y + 0

    opaque = Opaque(Lying(), (X, Y), [(0.9, -0.4)])
    assert opaque.slope(0) is None
    variables = [torch.tensor([0.7], dtype=torch.float64, requires_grad=True) for _ in range(2)]
    (slope,) = torch.autograd.grad(opaque(variables[0], variables[1] + 0.4).sum(), variables[0])
    assert slope.item() == pytest.approx(math.cos(-0.4) * 0.7 + math.sin(-0.4), abs=1e-9)


@pytest.mark.usefixtures("unreadable", "float64")
def test_without_gradient_there_are_numerical_first_derivatives(monkeypatch):
    monkeypatch.setattr("qiskit_torch_module._reading.opaque.Opaque.slope", lambda *_: None)
    circuit = circuit_of((X - Y * P).sin() * P)
    check((X - Y * P).sin() * P, POINT)
    model = QuantumModule(circuit, None, [X, Y, P], seed_init=1)
    (gradient,) = torch.autograd.grad(model().sum(), model.variational_0)
    assert gradient.isfinite().all()
    with pytest.raises(NotImplementedError, match="first derivatives only, which are numerical"):
        torch.autograd.grad(model().sum(), model.variational_0, create_graph=True)


@pytest.mark.parametrize("count", [40, 600, *([5000] if NIGHTLY else [])])
def test_long_sums(count):
    weights = ParameterVector("w", count)
    total = sum(((0.5 + i % 3) * one for i, one in enumerate(weights[1:])), weights[0] + 0.25)
    model = QuantumModule(circuit_of(total), None, weights, seed_init=2, variational_params_initial="normal").double()
    found = model()
    (gradient,) = torch.autograd.grad(found.sum(), model.variational_0)
    factors = torch.tensor([1.0, *(0.5 + i % 3 for i in range(count - 1))], dtype=torch.float64)
    angle = float(factors @ model.variational_0.detach()) + 0.25
    assert found.item() == pytest.approx(math.cos(0.3) * math.cos(angle), abs=1e-10)
    np.testing.assert_allclose(gradient, -math.cos(0.3) * math.sin(angle) * factors, atol=1e-9)


def test_functions_of_functions():
    expression, value = X, 0.7
    for _ in range(900):
        expression, value = (expression + 0.001).sin(), math.sin(value + 0.001)
    found = FastEstimator().expectation_values(circuit_of(expression), "Z", [[0.7]])[0, 0]
    assert found == pytest.approx(math.cos(0.3) * math.cos(value), abs=1e-12)


def test_a_gradient_that_no_point_confirms_is_not_taken():
    assert Opaque(X.sin(), (X,), []).slope(0) is None
    assert Opaque(X.sin(), (X,), [(0.4,)]).slope(0).value([0.3]) == pytest.approx(math.cos(0.3))


# Each is 1 or 0 wherever it is defined, without a slope; some lines of Qiskit see that, others do not.
CONSTANT = {
    "a ratio": lambda x: x / x,
    "a difference": lambda x: x - x,
    "a sine of nothing": lambda x: (x - x).sin(),
    "a cosine of nothing": lambda x: (x - x).cos(),
    "a ratio of sines": lambda x: (x + 0.5).sin() / (x + 0.5).sin(),
}


@pytest.mark.parametrize("name", CONSTANT)
@pytest.mark.parametrize("function", ["arccos", "arcsin", *(["root"] if HAS_POWERS else [])])
def test_values_without_slopes_inside_of_what_has_slopes(name, function):
    constant = CONSTANT[name](X)
    if not isinstance(constant, ParameterExpression):
        pytest.skip("Qiskit made a number of it")
    inner = constant**0.5 if function == "root" else getattr(constant, function)()
    check(inner.cos() * X.sin() + Y, POINT)


@pytest.mark.usefixtures("forgetful")
@pytest.mark.parametrize("function", ["acos", "asin"])
def test_a_structure_with_right_values_but_no_slopes_is_not_taken(function, monkeypatch):
    told = [("variable", 0), ("variable", 0), ("div", 2), (function, 1), ("cos", 1), ("variable", 0), ("sin", 1)]
    monkeypatch.setattr(
        parameter_expressions,
        "recorded_steps",
        lambda expression, places: places.setdefault(X, 0) or [*told, ("mul", 2)],
    )
    check(X.sin() if function == "acos" else X.sin() * math.cos(math.pi / 2), {X: 0.7})


# Where each is defined, and a point of it.
NARROW = {
    "between 6 and 8": ((X - 7).arccos() * 2, {X: 7.3}),
    "far away": ((700 - X).arcsin() * 2, {X: 700.3}),
    "far on the other side": ((X + 1e6).arcsin() * Y, {X: -1e6 + 0.3, Y: 0.7}),
    "a wide unit": ((X / 123 - 7.5).arcsin() * 2, {X: 123 * 7.3}),
    "a product": ((X * Y - 70).arccos(), {X: 8.37, Y: 8.37}),
    "one in the other": (((X - 7).arccos() - 2).log() + X, {X: 6.3}),
    "two at once": ((X - 7).arccos() + (X * Y - 30).arcsin(), {X: 7.2, Y: 4.2}),
    "a logarithm and an arcsine": ((X - 99.5).log() + (X - 100).arcsin(), {X: 100.3}),
    "an exponential": ((X - 3e3).exp(), {X: 3e3 - 0.5}),
}


@pytest.mark.parametrize("name", NARROW)
def test_small_domains_are_found_and_what_is_read_can_be_written(name):
    expression, point = NARROW[name]
    check(expression, point)
    to_text(QuantumModule(circuit_of(expression), list(point), None)._program)


# Real, but by way of what is complex, where x is so.
BY_COMPLEX = {
    "an exponential of a logarithm": (lambda: X.log().exp(), -0.7),
    "the size of a logarithm": (lambda: abs(X.log()) + X, -0.7),
    "a cosine of an arccosine": (lambda: X.arccos().cos(), 1.7),
    "a sine of an arcsine": (lambda: X.arcsin().sin() * 2, -1.7),
    "a square of a root": (lambda: (X**0.5) ** 2 + 0.1, -0.7),
    "a power and its inverse": (lambda: X**0.3 * X ** (-0.3), -0.7),
}


@pytest.mark.parametrize("name", BY_COMPLEX)
def test_what_is_complex_on_the_way_is_refused_unless_qiskit_made_it_real(name):
    """symengine simplifies such angles when they are made; newer lines keep them as they are."""
    make, at = BY_COMPLEX[name]
    if not HAS_POWERS and name in ("a square of a root", "a power and its inverse"):
        pytest.skip("no powers before Qiskit 1.0")
    expression = make()
    if not QuantumModule(circuit_of(expression), [X], None)._program.evolution.has_derived:
        check(expression, {X: at})
        return
    words = r"angle .* of gate 'ry' on qubits \[0\] is nan in sample 0, where x = .* not real"
    with pytest.raises(ValueError, match=words):
        FastEstimator().expectation_values(circuit_of(expression), "Z", [[at]])


def test_what_is_real_nowhere_is_refused():
    with pytest.raises(ValueError, match="gate 'ry': expected a finite real angle"):
        QuantumModule(circuit_of((-1 - X * X).log()), [X], None)
