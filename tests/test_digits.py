"""Angles keep their digits, or an error says that none is left."""

import math
import pickle
import tempfile
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterExpression, ParameterVector
from qiskit.quantum_info import SparsePauliOp

from qiskit_torch_module import FastEstimator, FastReverseEstimatorGradient, QuantumModule, load, save
from qiskit_torch_module._program.program import Program
from qiskit_torch_module._reading.angles import Angles
from qiskit_torch_module._simulation import pytorch
from qiskit_torch_module._simulation.columns import with_derived_columns

X, Y, Z = PARAMETERS = [Parameter("x"), Parameter("y"), Parameter("z")]


def square(one):
    return one * one


# Expressions as Qiskit and PyTorch evaluate them alike, and where: around these values, by so much.
CANCELLING = {
    "square": (lambda x, y, z: square(x - 1000), (1000, 0, 0), 1),
    "small square": (lambda x, y, z: square(x - 100), (100, 0, 0), 1),
    "fourth power": (lambda x, y, z: square(square(x - 1000)), (1000, 0, 0), 1),
    "third power": (lambda x, y, z: (x - 2027) * square(x - 2027), (2027, 0, 0), 1),
    "two offsets": (lambda x, y, z: (x - 300) * (y - 300), (300, 300, 0), 1),
    "scaled offset": (lambda x, y, z: (0.01 * x - 10) * (y + 0.1), (1000, 0, 0), 10),
    "difference": (lambda x, y, z: square(x - y), (5000, 5000, 0), 1),
    "three": (lambda x, y, z: (x - y) * (y - z), (4000, 4000, 4000), 1),
    "times a variable": (lambda x, y, z: z * (x - y), (3000, 3000, 0.5), 0.4),
    "difference of products": (lambda x, y, z: x * y - x * z, (30, 200, 200), 0.1),
    "difference of squares": (lambda x, y, z: x * x - 1e6, (1000, 0, 0), 1e-3),
    "square and its mirror": (lambda x, y, z: square(x - 50) - square(y - 50), (50, 50, 0), 1),
    "large sum": (lambda x, y, z: 3 * x - 3 * y + 0.1 * z, (2000, 2000, 2000), 1),
    "feature map": (lambda x, y, z: 2 * (np.pi - x) * (np.pi - y), (3, 3, 0), 3),
}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", CANCELLING)
def test_terms_that_cancel(name, dtype):
    function, middle, spread = CANCELLING[name]
    circuit = QuantumCircuit(1)
    circuit.ry(function(*PARAMETERS), 0)
    used = [p for p in PARAMETERS if p in circuit.parameters]
    columns = [PARAMETERS.index(p) for p in used]
    generator = torch.Generator().manual_seed(1)
    at = torch.rand(50, 3, generator=generator, dtype=torch.float64) * 2 - 1
    at = (torch.tensor(middle) + spread * at).to(dtype)
    inputs = at[:, columns].requires_grad_()
    exact = at.double().requires_grad_()
    expected = torch.cos(function(*exact.unbind(1)))
    (slopes,) = torch.autograd.grad(expected.sum(), exact)
    model = QuantumModule(circuit, used, None).to(dtype)
    values = model(inputs)[:, 0]
    (gradient,) = torch.autograd.grad(values.sum(), inputs, create_graph=True)
    tolerance = 1e-10 if dtype == torch.float64 else 1e-4
    torch.testing.assert_close(values.double(), expected, atol=tolerance, rtol=0)
    scale = max(1.0, float(slopes.abs().max()))
    torch.testing.assert_close(gradient.detach().double(), slopes[:, columns], atol=tolerance * scale, rtol=0)
    plain = pytorch.values(
        model._program, *with_derived_columns(model._program.evolution, inputs.detach(), inputs.new_empty(0))
    )
    torch.testing.assert_close(plain[:, 0].double(), expected, atol=tolerance, rtol=0)


@pytest.mark.skipif(not hasattr(ParameterExpression, "__pow__"), reason="no powers before Qiskit 1.0")
@pytest.mark.parametrize("count", [3, 40])
def test_powers_of_sums_are_not_multiplied_out(count):
    weights = ParameterVector("w", count)
    circuit = QuantumCircuit(1)
    circuit.ry(sum(weights[1:], weights[0] + 0) ** 4, 0)
    begin = time.perf_counter()
    model = QuantumModule(circuit, None, weights, variational_params_initial=[np.linspace(-1, 1.1, count)]).double()
    expected = np.cos(model.variational_0.detach().sum().item() ** 4)
    assert model().item() == pytest.approx(expected, abs=1e-10)
    assert time.perf_counter() - begin < 5
    assert len(model._program.evolution.rotations[0].angle.terms) == 1


@pytest.mark.parametrize(
    ("expression", "is_native"),
    [
        (2 * (np.pi - X) * (np.pi - Y), True),
        (2 * X, True),
        (X * Y, True),
        (X * Y + 0.5, True),
        (0.5 * (X + Y), True),
        ((X + 1) * Y, True),
        ((X - 1000) * (X - 1000), False),
        ((X - Y) * (X - Y), False),
    ],
)
def test_common_angles_take_nothing_but_the_engine(expression, is_native):
    angles = Angles({p: i for i, p in enumerate(PARAMETERS)})
    angles.polynomial(expression, "ry")
    assert (not angles.derived) == is_native


def module_of(angle, inputs=(), weights=(), initial="uniform", **options):
    circuit = QuantumCircuit(1)
    circuit.ry(angle, 0)
    return QuantumModule(circuit, list(inputs), list(weights) or None, variational_params_initial=initial, **options)


def nested(angle):
    inner = QuantumCircuit(2, name="mine")
    inner.rzz(2 * angle, 0, 1)
    circuit = QuantumCircuit(3)
    circuit.h(range(3))
    circuit.append(inner.to_gate(), [2, 0])
    return circuit


def diverged(model):
    with torch.no_grad():
        model.variational_[0].fill_(math.nan)
    return model


def loaded(model):
    folder = tempfile.mkdtemp()
    save(model, f"{folder}/model.qtm")
    return load(f"{folder}/model.qtm")


# What raises, and what it says: the angle as it was given, its gate, the sample, what is received there, a remedy.
TOO_LARGE = {
    "a product": (
        lambda: module_of(X * Y, [X], [Y], [[1e20]])(torch.tensor([[0.0], [1e20]])),
        r"angle .*of gate 'ry' on qubits \[0\] is 1e\+40 in sample 1, where .*y = 1e\+20.* compute in float64",
    ),
    "a power": (
        lambda: module_of(X * X * X * X, [], [X], [[1e10]])(),
        r"angle x\*.* of gate 'ry' on qubits \[0\] is 1e\+40, where x = 1e\+10",
    ),
    "a number": (lambda: module_of(1e39)(), r"angle 1e\+39 of gate 'ry' .* single precision; .* float64"),
    "a number, doubled": (lambda: module_of(1e39).double()(torch.empty(0, dtype=torch.float64)), "double precision"),
    "an input": (lambda: module_of(X, [X])(torch.tensor([[0.1], [1e7]])), "angle x of .* is 1e.07 in sample 1, where"),
    "a sum": (lambda: module_of(X - Y, [X], [Y], [[-9e6]])(torch.tensor([[9e6]])), "no digit is left in single"),
    "two gates that are fused": (
        lambda: _estimates(_fused(X, Y), [[3e15, 3e15]]),
        r"angle 1 \* x \+ 1 \* y is 6e\+15 in sample 0",
    ),
    "a gate inside of another": (
        lambda: _estimates(nested(X), [[1.0], [3e15]]),
        r"angle 2\*x of gate 'rzz' on qubits \[2, 0\] is 6e\+15 in sample 1, where x = 3e\+15",
    ),
    "a derived one": (
        lambda: module_of((X * X * X).exp(), [], [X], [[9.0]])(),
        r"angle .*x\*.* of gate 'ry' on qubits \[0\] is inf, where x = 9: it is beyond all numbers",
    ),
    "a derived one in single precision": (
        lambda: module_of((X * X * X).exp(), [], [X], [[4.5]])(),
        r"is 3.75\d*e\+39, where x = 4.5, of which no digit is left in single precision",
    ),
    "a pole": (
        lambda: module_of(Y + 1 / X, [X], [Y])(torch.tensor([[1.0], [0.0]])),
        "in sample 1, where .*x = 0.*: it is beyond all numbers there; keep its parameters away",
    ),
    "a part of it": (
        lambda: module_of(Y * X.log(), [X], [Y])(torch.tensor([[1.0], [2.0], [-1.0]])),
        r"angle .*log\(x\).* of gate 'ry' on qubits \[0\] is nan in sample 2, where .*x = -1.*not real there; keep its",
    ),
    "under a transform": (
        lambda: torch.func.vmap(module_of(Y * X.log(), [X], [Y]))(torch.tensor([[1.0], [-1.0]])),
        r"angle .*log\(x\).* is nan in sample 1, where .*x = -1",
    ),
    "a derivative": (
        lambda: FastReverseEstimatorGradient().jacobian(nested(X * Y), "ZZZ", [[1e9, 1e9]]),
        r"angle .*\*.* of gate 'rzz' on qubits \[2, 0\] is 2e\+18",
    ),
    "a weight that is nan": (
        lambda: diverged(module_of(X.sin() * Y, [Y], [X]))(torch.ones(1, 1)),
        "weights: expected finite values, got nan of parameter 'x'",
    ),
    "a model from a file": (
        lambda: loaded(module_of(X * Y, [X], [Y], [[1e20]]))(torch.tensor([[1e20]])),
        r"angle 1 \* x \* y is 1e\+40 in sample 0",
    ),
    "a copy": (
        lambda: pickle.loads(pickle.dumps(module_of(X * Y, [X], [Y], [[1e20]])))(torch.tensor([[1e20]])),
        r"angle (x\*y|y\*x) of gate 'ry' on qubits \[0\] is 1e\+40 in sample 0",
    ),
    "an estimate": (lambda: _estimate(1e16), "no digit is left in double"),
    "an observable": (
        lambda: module_of(X, [], [X], observables=SparsePauliOp(["Z"], [1e300]))(),
        "observable 0 .* float64",
    ),
}


def _fused(first, second):
    circuit = QuantumCircuit(1)
    circuit.ry(first, 0)
    circuit.ry(second, 0)
    return circuit


def _estimates(circuit, rows):
    return FastEstimator().expectation_values(circuit, "Z" * circuit.num_qubits, rows)


def _estimate(value):
    circuit = QuantumCircuit(1)
    circuit.ry(X, 0)
    return FastEstimator().expectation_values(circuit, "Z", [[value]])


@pytest.mark.parametrize("name", TOO_LARGE)
def test_finite_values_that_leave_no_digit(name):
    call, message = TOO_LARGE[name]
    with pytest.raises(ValueError, match=message):
        call()


PRODUCTS = {
    "of two": (lambda x, y, z: x * y, (300.0, 300.0, 0.0)),
    "of two, near the limit": (lambda x, y, z: x * y, (1500.0, 2000.0, 0.0)),
    "of three": (lambda x, y, z: 0.3 * x * y * z, (40.0, -70.0, 90.0)),
    "of one with itself": (lambda x, y, z: x * x, (900.0, 0.0, 0.0)),
    "scaled": (lambda x, y, z: 0.1 * x, (30000.0, 0.0, 0.0)),
    "some large, some not": (lambda x, y, z: x * y, (3.0, 7.0, 0.0)),
}


@pytest.mark.usefixtures("instruction_set")
@pytest.mark.parametrize("name", PRODUCTS)
def test_large_products_keep_single_precision(name):
    """Each factor is exact in single precision; their product, a thousand radians and more, is not."""
    function, sizes = PRODUCTS[name]
    circuit = QuantumCircuit(1)
    circuit.ry(function(*PARAMETERS), 0)
    used = [p for p in PARAMETERS if p in circuit.parameters]
    generator = torch.Generator().manual_seed(1)
    at = (torch.rand(40, 3, generator=generator) + 0.5) * torch.tensor(sizes)
    at[::3] *= 0.01  # small and large ones side by side
    inputs = at[:, [PARAMETERS.index(p) for p in used]].requires_grad_()
    exact = at.double().requires_grad_()
    expected = torch.cos(function(*exact.unbind(1)))
    (slopes,) = torch.autograd.grad(expected.sum(), exact)
    slopes = slopes[:, [PARAMETERS.index(p) for p in used]]
    values = QuantumModule(circuit, used, None)(inputs)[:, 0]
    (gradient,) = torch.autograd.grad(values.sum(), inputs)
    torch.testing.assert_close(values.double(), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(gradient.double(), slopes, atol=1e-5 * max(1.0, float(slopes.abs().max())), rtol=0)


def test_the_same_in_plain_pytorch():
    model = module_of(X * Y, [X], [Y])
    inputs, weights = torch.tensor([[0.0], [1e20]]), torch.tensor([1e20])
    with pytest.raises(ValueError, match=r"angle (x\*y|y\*x) of gate 'ry' on qubits \[0\] is 1e\+40 in sample 1"):
        pytorch.values(model._program, inputs, weights)
    with pytest.raises(ValueError, match="no digit left for some of the values in float32"):
        pytorch.values(Program(replace(model._program.evolution), model._program.output), inputs, weights)


def test_large_angles_that_have_digits():
    found = module_of(X, [X]).double()(torch.tensor([[1e6], [123456789.0]], dtype=torch.float64))
    np.testing.assert_allclose(found.detach()[:, 0], np.cos([1e6, 123456789.0]), atol=1e-10)
    single = module_of(3 * X + 0.1, [X])(torch.tensor([[1000.3], [2e4]]))
    exact = np.cos(3 * np.float64(np.float32([1000.3, 2e4])) + 0.1)
    np.testing.assert_allclose(single.detach()[:, 0], exact, atol=1e-6)


@pytest.mark.parametrize(
    ("expression", "function"),
    [
        (X.exp(), np.exp),
        (-3 * X.exp(), lambda x: -3 * np.exp(x)),
        (X.exp() / 4 + X, lambda x: np.exp(x) / 4 + x),
        (0.1 * X.exp() + 1, lambda x: 0.1 * np.exp(x) + 1),
        (X.tan(), np.tan),
    ],
)
def test_functions_lose_whole_turns_not_digits(expression, function):
    """In single precision 20,000 radians are wrong by 1e-3, whatever they were computed in."""
    at = np.float64(np.float32([0.5, 7.0, 9.21, 9.9, 1.5707]))
    slope = (function(at + 1e-7) - function(at - 1e-7)) / 2e-7
    inputs = torch.tensor(at, dtype=torch.float32).reshape(-1, 1).requires_grad_()
    values = module_of(expression, [X])(inputs)
    values.sum().backward()
    np.testing.assert_allclose(values.detach()[:, 0], np.cos(function(at)), atol=2e-5)
    expected = -np.sin(function(at)) * slope
    np.testing.assert_allclose(inputs.grad[:, 0], expected, atol=2e-5 * np.max(np.abs(slope)))


def test_what_is_more_than_an_angle_keeps_its_turns():
    """Factors and arguments of others are no angles: nothing may be taken from them."""
    at, weight = np.float64(np.float32([3.0, 5.0])), np.float64(np.float32(0.3))
    inputs = torch.tensor(at, dtype=torch.float32).reshape(-1, 1)
    model = module_of(Y * X.exp() + X.exp(), [X], [Y])
    with torch.no_grad():
        model.variational.fill_(weight)
    np.testing.assert_allclose(model(inputs).detach()[:, 0], np.cos((weight + 1) * np.exp(at)), atol=1e-4)
