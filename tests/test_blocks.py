"""Amplitude encodings, and gates that can be evaluated only with numbers: values, gradients, and where they end."""

import pickle

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Gate, Parameter, ParameterVector
from qiskit.circuit.library import RYGate
from qiskit.quantum_info import Pauli, Statevector, random_unitary
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

import reference
from circuits_zoo import ParameterizedInitialize, encoded, random_observables
from qiskit_torch_module import FastEstimator, FastReverseEstimatorGradient, QuantumModule, explain, load, save
from qiskit_torch_module._program.blocks import AmplitudeBlock, BoundBlock
from qiskit_torch_module._program.synthesis import tree_angles, turned, unitary_angles, unitary_words
from qiskit_torch_module._reading.bound import _trigonometric_slope, bound_gate, difference_slope
from qiskit_torch_module._reading.definitions import alone
from qiskit_torch_module._reading.polynomials import Polynomial

# Qiskit itself looks at the duration of what is called a delay, which warns in some versions.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

T, S = Parameter("t"), Parameter("s")


def numbers(params):
    return [float(one) for one in params]


class Arcsine(Gate):
    """By definition: RY of an arcsine."""

    def __init__(self, a):
        super().__init__("arcsine", 1, [a])

    def _define(self):
        self.definition = QuantumCircuit(1)
        self.definition.ry(np.arcsin(float(self.params[0])), 0)


class Two(Gate):
    """By definition, on two qubits, of two parameters; in the first a trigonometric polynomial."""

    def __init__(self, a, b):
        super().__init__("rx", 2, [a, b])

    def _define(self):
        a, b = numbers(self.params)
        self.definition = QuantumCircuit(2, global_phase=0.3 * b)
        self.definition.h(0)
        self.definition.crx(a, 0, 1)
        self.definition.ry(np.exp(b), 1)


class OnlyMatrix(Gate):
    """By its matrix."""

    def __init__(self, a, num_qubits=2):
        super().__init__("delay", num_qubits, [a])

    def __array__(self, dtype=None, copy=None):
        generator = random_unitary(2**self.num_qubits, seed=1).data
        generator = generator + generator.conj().T
        energies, basis = np.linalg.eigh(generator)
        return (basis * np.exp(-1j * float(self.params[0]) * energies)) @ basis.conj().T


class Prepared(Gate):
    """A state of its own making, whatever its amplitudes are divided by."""

    def __init__(self, params):
        super().__init__("mine", (len(params) // 2).bit_length() - 1, params)

    def _define(self):
        parts = np.array(numbers(self.params)).reshape(2, -1)
        vector = parts[0] + 1j * parts[1]
        self.definition = QuantumCircuit(self.num_qubits)
        self.definition.initialize(vector / np.linalg.norm(vector), range(self.num_qubits))


def judged(circuit, observables, parameters, at):
    psi = Statevector(circuit.assign_parameters(dict(zip(parameters, at, strict=True))))
    return np.array([psi.expectation_value(one).real for one in observables])


def check(circuit, point, steps=None):
    """Values, derivatives by array and by module, in float64 and float32, alone and in a batch."""
    observables = random_observables(circuit.num_qubits, 3)[:3]
    parameters, point = list(circuit.parameters), np.asarray(point, dtype=float)
    assert len(parameters) == len(point)

    def at(where):
        return judged(circuit, observables, parameters, where)

    expected = at(point)
    slopes = reference.central_differences(at, point, **(steps or {"step": 0.01, "order": 5}))
    np.testing.assert_allclose(
        FastEstimator().expectation_values(circuit, observables, [point]), [expected], atol=1e-10
    )
    jacobian = FastReverseEstimatorGradient().jacobian(circuit, observables, [point, point])
    np.testing.assert_allclose(jacobian, [slopes.T] * 2, atol=1e-8)
    split = len(parameters) // 2
    for dtype, atol in ((torch.float64, 1e-8), (torch.float32, 2e-5)):
        model = QuantumModule(
            circuit,
            parameters[:split],
            [parameters[split:]],
            observables=observables,
        ).to(dtype)
        with torch.no_grad():
            model.variational_[0].copy_(torch.tensor(point[split:]))
        inputs = torch.tensor(np.array([point[:split]] * 3), dtype=dtype, requires_grad=True)
        values = model(inputs)
        np.testing.assert_allclose(values.detach(), [expected] * 3, atol=atol)
        weights = torch.tensor([1.0, -0.5, 0.3], dtype=dtype)
        (values @ weights).sum().backward()
        along = slopes @ weights.double().numpy()
        np.testing.assert_allclose(inputs.grad, [along[:split]] * 3, atol=atol)
        np.testing.assert_allclose(model.variational_[0].grad, 3 * along[split:], atol=3 * atol)


def around(gate, qubits, num_qubits=3, prepare=True):
    """A gate among others that share its parameters."""
    circuit = QuantumCircuit(num_qubits)
    if prepare:
        for q in range(num_qubits):
            circuit.u(0.3 + q, 1.1 * q - 0.2, 0.7, q)
        circuit.cx(0, num_qubits - 1)
    circuit.append(gate, qubits)
    circuit.cx(qubits[0], (qubits[0] + 1) % num_qubits)
    for q in range(num_qubits):
        circuit.u(0.9 - q, 0.4 * T, -0.3 * q, q)
        circuit.rx(S, q)
    return circuit


@pytest.mark.parametrize("prepare", [True, False], ids=["on a state", "on zero"])
@pytest.mark.parametrize(
    ("gate", "qubits"),
    [
        (Arcsine(T), [1]),
        (Arcsine(0.5 * T * S), [0]),
        (Two(T, S), [2, 0]),
        (Two(S - T, 0.3), [1, 2]),
        (OnlyMatrix(T), [1, 0]),
        (OnlyMatrix(T, 1), [2]),
        (OnlyMatrix(T, 3), [2, 0, 1]),
    ],
    ids=["arcsine", "expression", "two parameters", "shared", "matrix", "small matrix", "large matrix"],
)
def test_gates_that_need_numbers(gate, qubits, prepare):
    check(around(gate, qubits, prepare=prepare), [0.37, 0.61])


def test_a_gate_that_needs_numbers_inside_another():
    inner = QuantumCircuit(2, name="inner")
    inner.append(Two(T, S), [1, 0])
    inner.append(Arcsine(S), [0])
    check(around(inner.to_gate(), [2, 1]), [0.2, -0.3])


@pytest.mark.parametrize("at", [0.0, 1e-9, 0.97])
def test_derivatives_hold_where_coordinates_are_singular_and_near_the_edge(at):
    circuit = around(Arcsine(T), [1])
    check(circuit, [at, 0.0], {"step": 0.002, "order": 5} if at > 0.5 else None)
    check(around(OnlyMatrix(T), [1, 0], prepare=False), [at, 0.0])


class Turns(Gate):
    """By matrix: RY of a multiple, or of a jump at 0."""

    def __init__(self, a, factor):
        super().__init__("turns", 1, [a])
        self.factor = factor

    def __array__(self, dtype=None, copy=None):
        value = float(self.params[0])
        return np.asarray(RYGate(self.factor * value if self.factor else float(value > 0)))


@pytest.mark.parametrize("factor", [20 * np.pi, 40 * np.pi, 80 * np.pi, 1e3, 2e4 * np.pi, 1e5])
def test_fast_oscillations_are_not_taken_for_slow_ones(factor):
    circuit = QuantumCircuit(1)
    circuit.append(Turns(T, factor), [0])
    [[slope]] = FastReverseEstimatorGradient().jacobian(circuit, "Z", [0.123], [T])[0]
    assert slope == pytest.approx(-factor * np.sin(0.123 * factor), rel=1e-7)


@pytest.mark.parametrize(("factor", "at"), [(1e9, 0.123), (0.0, 0.0)])
def test_without_a_derivative_gate_and_parameter_are_named(factor, at):
    circuit = QuantumCircuit(1)
    circuit.append(Turns(T, factor), [0])
    with pytest.raises(ValueError, match=r"'turns' on qubits \[0\] has no derivative with respect to t .* where t = "):
        FastReverseEstimatorGradient().jacobian(circuit, "Z", [at], [T])


def test_what_looks_like_a_low_degree_at_equidistant_points_is_looked_at_closely():
    def function(shift):  # exp(0.5 i s) with a ripple that is 0 at all points of the shift rule
        return np.array([np.exp(0.5j * shift) + 0.1 * np.sin(4 * shift) * (shift - 1.234)])

    np.testing.assert_allclose(difference_slope(function), 0.5j - 0.4936, atol=1e-9)
    assert _trigonometric_slope(function) is None


def test_beyond_the_domain_is_an_error_that_names_gate_and_values():
    circuit = QuantumCircuit(1)
    circuit.append(Arcsine(T), [0])
    with pytest.raises(ValueError, match=r"circuit: 'arcsine' on qubits \[0\] .* where t = 1.5"):
        FastEstimator().expectation_values(circuit, "Z", [1.5])


class Never(Gate):
    def _define(self):
        raise RuntimeError(f"no luck with {self.params[0]}")


def test_what_no_numbers_help_is_refused_at_once():
    circuit = QuantumCircuit(1)
    circuit.append(Never("never", 1, [T]), [0])
    with pytest.raises(
        ValueError, match=r"circuit: 'never' on qubits \[0\] cannot be evaluated .*RuntimeError: no luck"
    ):
        QuantumModule(circuit, [T], None)
    large = QuantumCircuit(7)
    large.h(range(7))
    large.append(OnlyMatrix(T, 6), range(6))
    with pytest.raises(ValueError, match=r"on up to 5 qubits \(more where all of them are in \|0>\), got 6"):
        QuantumModule(large, [T], None)


def test_resets_inside_a_gate_that_needs_numbers():
    parameters = ParameterVector("p", 4)
    circuit = QuantumCircuit(2)
    circuit.append(Prepared(list(parameters)), [1])
    circuit.ry(parameters[0], 0)
    circuit.cx(1, 0)
    check(circuit, [0.3, -0.5, 0.2, 0.9])
    used = QuantumCircuit(1)
    used.h(0)
    used.append(Prepared(list(parameters)), [0])
    with pytest.raises(ValueError, match=r"circuit: 'mine' on qubits \[0\]"):
        QuantumModule(used, parameters, None)


@pytest.mark.parametrize(
    "features",
    [
        [0.2, 0.4, 0.4, 0.8],
        [0.2, -0.4, -1.4, 0.8],
        [3.0, 0.0, 0.0, 4.0],
        [0.0, 0.0, 0.5, 0.0],
        [0.7, 0.0, 0.0, 0.0],
        [1e-4, 2.0, 0.0, -1e-9],
        [5.0, 1.0, 0.0, -2.0, 0.0, 0.0, 3.0, 0.0],
        [-1.0, 0.0],
    ],
    ids=str,
)
def test_amplitudes_of_every_kind(features):
    features = np.array(features)
    parameters = ParameterVector("x", len(features))
    circuit = encoded(3, parameters, list(range(3))[::-1][: len(features).bit_length() - 1])
    # Differences small against the norm: beside zeros the function is curved.
    check(circuit, features, {"step": 0.01 * np.linalg.norm(features), "order": 5})


def test_amplitudes_that_share_parameters_with_other_gates():
    w = Parameter("w")
    circuit = encoded(2, [T, 2 * T, S * T, S + 0.5])
    circuit.ry(T, 0)
    circuit.rz(w * S, 1)
    circuit.rx(w, 1)
    check(circuit, [0.4, 0.7, -0.3], {"step": 0.01, "order": 4})


def test_amplitudes_need_a_norm_and_fresh_qubits():
    parameters = ParameterVector("x", 4)
    model = QuantumModule(encoded(2, parameters), parameters, None)
    with pytest.raises(ValueError, match=r"'ParameterizedInitialize' on qubits \[0, 1\].*only zeros in sample 1"):
        model(torch.tensor([[1.0, 0, 0, 0], [0, 0, 0, 0]]))
    for bad in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="finite"):
            model(torch.tensor([[1.0, 0, 0, bad]]))
    large = torch.tensor([[1e30, 2e30, 0.0, 0.0]])
    torch.testing.assert_close(model(large), model(large / 1e30))
    torch.testing.assert_close(model(large.double() * 1e270), model(large.double() / 1e30))
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.append(ParameterizedInitialize(list(parameters)), [0, 1])
    with pytest.raises(ValueError, match=r"'ParameterizedInitialize' on qubits \[0, 1\] resets qubits"):
        QuantumModule(circuit, parameters, None)


def test_amplitudes_with_some_numbers():
    circuit = encoded(2, [T, 0.3, 0, S])
    check(circuit, [0.4, 0.7], {"step": 0.01, "order": 4})


@pytest.mark.filterwarnings("ignore")  # of what is old there
def test_the_instruction_of_qiskit_machine_learning():
    try:
        import qiskit_machine_learning.circuit.library as library
    except ImportError:
        pytest.skip("not installed, or not for this version of Qiskit")
    makers = [getattr(library, name, None) for name in ("raw_feature_vector", "RawFeatureVector")]
    for make in filter(callable, makers):  # in old versions the first is a module
        features = make(8)
        circuit = QuantumCircuit(3)
        circuit.compose(features, inplace=True)
        circuit.h(1)
        circuit.cx(1, 2)
        point = np.linspace(-1, 1, 8)
        check(circuit, point, {"step": 0.01, "order": 4})


@pytest.mark.filterwarnings("ignore:.*torch.jit.script")  # torch.func.jvp of new versions
def test_batches_ensembles_and_transforms():
    parameters = ParameterVector("x", 4)
    circuit = encoded(2, parameters)
    circuit.append(Two(T, S), [0, 1])
    model = QuantumModule(circuit, parameters, [T, S]).double()
    inputs = torch.randn(2, 5, 4, dtype=torch.float64)
    values = model(inputs)
    assert values.shape == (2, 5, 2)
    torch.testing.assert_close(torch.stack([model(one) for one in inputs]), values)
    torch.testing.assert_close(torch.func.vmap(model)(inputs), values)
    jacobian = torch.func.jacrev(model)(inputs[0, 0])
    columns = torch.autograd.functional.jacobian(model, inputs[0, 0])
    torch.testing.assert_close(jacobian, columns)
    torch.testing.assert_close(torch.func.vmap(torch.func.jacrev(model))(inputs[0])[0], columns)
    weights = torch.randn(3, 2, dtype=torch.float64)

    def of(weights):
        return torch.func.functional_call(model, {model.variational_names[0]: weights}, (inputs[0],))

    torch.testing.assert_close(torch.func.vmap(of)(weights), torch.stack([of(one) for one in weights]))
    tangent = torch.randn(4, dtype=torch.float64)
    torch.testing.assert_close(torch.func.jvp(model, (inputs[0, 0],), (tangent,))[1], columns @ tangent)
    torch.testing.assert_close(torch.func.jacfwd(model)(inputs[0, 0]), columns)


@pytest.mark.filterwarnings("ignore")  # PyTorch's own
def test_whoever_traces_sees_operators():
    parameters = ParameterVector("x", 4)
    circuit = encoded(2, parameters)
    circuit.append(Two(T, S), [0, 1])
    model = QuantumModule(circuit, parameters, [T, S]).double()
    first, second = torch.randn(2, 3, 4, dtype=torch.float64)
    torch.testing.assert_close(make_fx(model)(first)(second), model(second))
    exported = torch.export.export(model, (first,)).module()
    torch.testing.assert_close(exported(second), model(second))
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    found = []
    for one in (model, compiled):
        inputs = second.clone().requires_grad_()
        one(inputs).sum().backward()
        found.append((inputs.grad, model.variational_[0].grad))
        model.zero_grad()
    torch.testing.assert_close(*found)
    with FakeTensorMode(allow_non_fake_inputs=True):
        assert model(torch.empty(5, 4, dtype=torch.float64)).shape == (5, 2)


def test_second_derivatives_where_they_exist():
    parameters = ParameterVector("x", 4)
    circuit = encoded(2, parameters)
    circuit.ry(T, 0)
    circuit.rx(S, 1)
    model = QuantumModule(circuit, parameters, [T, S]).double()
    inputs = torch.tensor([[0.3, 0.0, -0.7, 0.2]], dtype=torch.float64, requires_grad=True)
    (weights,) = model.variational_

    def slope(at):
        (found,) = torch.autograd.grad(model(at)[0, 0], at, create_graph=True)
        return found

    # Mixed: the derivative by inputs, differentiated by weights.
    (mixed,) = torch.autograd.grad(slope(inputs)[0, 1], weights, retain_graph=True)
    shifted = []
    for step in (1e-4, -1e-4):
        with torch.no_grad():
            weights[0] += step
        shifted.append(slope(inputs)[0, 1].item())
        with torch.no_grad():
            weights[0] -= step
    np.testing.assert_allclose(mixed[0].item(), (shifted[0] - shifted[1]) / 2e-4, atol=1e-6)


SECOND = {
    "jacfwd of jacrev": torch.func.hessian,
    "jacrev of jacrev": lambda f: torch.func.jacrev(torch.func.jacrev(f)),
    "jacrev of jacfwd": lambda f: torch.func.jacrev(torch.func.jacfwd(f)),
    "jacfwd of jacfwd": lambda f: torch.func.jacfwd(torch.func.jacfwd(f)),
    "autograd": lambda f: lambda x: torch.autograd.functional.hessian(f, x),
}


@pytest.mark.filterwarnings("ignore:.*torch.jit.script")
@pytest.mark.parametrize(
    ("features", "ways"),
    [
        ([0.3, 0.2, -0.7, 0.2], ["jacfwd of jacrev", "jacrev of jacrev", "jacrev of jacfwd", "autograd"]),
        ([0.3, 0.0, -0.7, 0.2], ["jacrev of jacfwd"]),
        ([0.0, 0.0, 0.5, 0.0], ["jacfwd of jacrev"]),
        ([0.0, 0.0, 0.0, 2.0], ["jacrev of jacrev"]),
        ([5.0, 1.0, 0.0, -2.0, 0.0, 0.0, 3.0, 0.0], ["jacfwd of jacrev"]),
    ],
    ids=str,
)
def test_second_derivatives_by_amplitudes_are_exact_beside_zeros_too(features, ways):
    """Against differences of first derivatives."""
    size = len(features)
    parameters, num_qubits = ParameterVector("x", size), size.bit_length() - 1
    circuit = encoded(num_qubits, parameters)
    circuit.rx(0.7 * parameters[0], 1)
    model = QuantumModule(circuit, parameters, None, observables=random_observables(num_qubits, 1)).double()

    def function(x):
        return model(x).sum()

    x = torch.tensor(features, dtype=torch.float64)
    step = 1e-3 * x.norm()
    shifts = torch.tensor([-2.0, -1.0, 1.0, 2.0], dtype=torch.float64)[:, None, None] * step * torch.eye(size)
    moved = (x + shifts).requires_grad_()
    (slopes,) = torch.autograd.grad(function(moved), moved)
    expected = (8 * (slopes[2] - slopes[1]) - (slopes[3] - slopes[0])) / (12 * step)
    for way in ways:
        torch.testing.assert_close(SECOND[way](function)(x).detach(), expected, atol=1e-8, rtol=1e-8, msg=way)


def test_all_that_second_derivatives_are_made_of():
    parameters = ParameterVector("x", 4)
    model = QuantumModule(encoded(2, parameters), parameters, None, observables="ZX").double()
    x = torch.tensor([0.3, 0.0, -0.7, 0.2], dtype=torch.float64, requires_grad=True)

    def function(x):
        return model(x).sum()

    with pytest.raises(NotImplementedError, match=r"use torch.func.hessian or jacfwd\(jacrev\(f\)\) instead"):
        SECOND["jacfwd of jacfwd"](function)(x)
    assert torch.autograd.gradgradcheck(function, x)

    def bending(x):
        return torch.autograd.grad(_slope_of(function, x).square().sum(), x)[0]

    torch.testing.assert_close(make_fx(bending)(x)(x), bending(x))


def _slope_of(function, x):
    (found,) = torch.autograd.grad(function(x), x, create_graph=True)
    return found


@pytest.mark.filterwarnings("ignore:.*torch.jit.script")
def test_a_penalty_on_second_derivatives_reaches_the_weights():
    parameters = ParameterVector("x", 4)
    circuit = encoded(2, parameters)
    circuit.ry(T, 0)
    circuit.rx(S, 1)
    model = QuantumModule(circuit, parameters, [T, S], seed_init=1).double()
    x = torch.tensor([0.3, 0.0, -0.7, 0.2], dtype=torch.float64)
    name = model.variational_names[0]

    def curvature(weights):
        return torch.func.hessian(lambda x: torch.func.functional_call(model, {name: weights}, (x,)).sum())(x).trace()

    weights = model.variational_[0].detach()
    found = torch.func.grad(curvature)(weights)
    for index, h in enumerate(1e-4 * torch.eye(2, dtype=torch.float64)):
        assert found[index].item() == pytest.approx(
            (curvature(weights + h) - curvature(weights - h)).item() / 2e-4, 1e-6
        )
    with pytest.raises(
        NotImplementedError, match="'ParameterizedInitialize' on qubits .* first and second derivatives"
    ):
        torch.func.grad(lambda x: torch.func.hessian(lambda y: model(y).sum())(x).trace())(x)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script")
@pytest.mark.parametrize("way", SECOND)
def test_second_derivatives_that_there_are_not_are_refused_by_name(way):
    circuit = around(Arcsine(T), [1])
    model = QuantumModule(circuit, [T], [S]).double()
    x = torch.tensor([0.3], dtype=torch.float64)
    with pytest.raises(NotImplementedError, match=r"circuit: 'arcsine' on qubits \[1\].*; .*"):
        SECOND[way](lambda x: model(x).sum())(x)

    def of(weights):
        return torch.func.functional_call(model, {model.variational_names[0]: weights}, (x,)).sum()

    if way != "jacfwd of jacfwd":
        weights = model.variational_[0].detach()
        torch.testing.assert_close(SECOND[way](of)(weights).detach(), SECOND["autograd"](of)(weights))


def test_what_is_imaginary_too():
    """2 <psi|O|d psi> by states."""
    circuit = around(Two(T, S), [2, 0])
    observables = random_observables(3, 3)[:2]
    point = np.array([0.4, -0.3])
    found = FastReverseEstimatorGradient("complex").run([circuit] * 2, observables, [point] * 2).result().gradients
    parameters = list(circuit.parameters)

    def state(at):
        return Statevector(circuit.assign_parameters(dict(zip(parameters, at, strict=True)))).data

    slopes = reference.central_differences(state, point)
    expected = [[2 * np.vdot(state(point), one.to_matrix() @ slope) for slope in slopes] for one in observables]
    # A constant phase is no part of a circuit for Qiskit's own simulator, derivatives of it are.
    np.testing.assert_allclose(found, expected, atol=1e-8)


def test_programs_with_blocks_are_found_again_and_pickled():
    parameters = ParameterVector("x", 4)
    circuit = encoded(2, parameters)
    first, second = (QuantumModule(circuit.copy(), parameters, None) for _ in range(2))
    assert first._program is second._program
    again = pickle.loads(pickle.dumps(first._program))
    assert again == first._program
    own = QuantumCircuit(1)
    own.append(Arcsine(T), [0])
    program = QuantumModule(own, [T], None)._program
    assert QuantumModule(own, [T], None)._program is not program  # its code may answer differently
    assert pickle.loads(pickle.dumps(program)).evolution.input_blocks[0].gate.num_qubits == 1


def test_sizes_are_those_of_the_words():
    for num_qubits in (1, 2, 3):
        for is_state in (True, False):
            gate = bound_gate(alone(OnlyMatrix(T, num_qubits)), is_state, "gate")
            block = BoundBlock((Polynomial.variable(0),), gate)
            assert block.size == len(block.words) + 1
        amplitudes = AmplitudeBlock((Polynomial.variable(0),) * 2**num_qubits, "amplitudes")
        assert amplitudes.size == len(amplitudes.words)


@pytest.mark.parametrize("num_qubits", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", ["identity", "random", "permutation", "diagonal"])
def test_any_unitary_is_a_product_of_rotations(num_qubits, kind):
    size = 1 << num_qubits
    unitary = {
        "identity": np.eye(size),
        "random": random_unitary(size, seed=3).data,
        "permutation": np.eye(size)[np.random.default_rng(1).permutation(size)],
        "diagonal": np.diag(np.exp(1j * np.arange(size))),
    }[kind].astype(complex)
    product = np.eye(size)
    for (letters, qubits), angle in zip(unitary_words(num_qubits), unitary_angles(unitary), strict=True):
        label = ["I"] * num_qubits
        for letter, q in zip(letters, qubits, strict=True):
            label[num_qubits - 1 - q] = letter
        product = (
            np.cos(angle / 2) * np.eye(size) - 1j * np.sin(angle / 2) * Pauli("".join(label)).to_matrix()
        ) @ product
    phase = np.trace(unitary.conj().T @ product) / size
    np.testing.assert_allclose(product, phase * unitary, atol=1e-12)
    np.testing.assert_allclose(abs(phase), 1.0, atol=1e-12)


def test_any_real_state_is_a_tree_of_rotations():
    states = np.random.default_rng(0).normal(size=(5, 8))
    states[1, 2:6] = 0.0
    states /= np.linalg.norm(states, axis=1, keepdims=True)
    levels = tree_angles(states)
    ground = np.zeros_like(states)
    ground[:, 0] = 1.0
    np.testing.assert_allclose(turned(levels, ground), states, atol=1e-14)
    np.testing.assert_allclose(turned(levels, states, inverse=True), ground, atol=1e-14)


@pytest.mark.parametrize(
    ("function", "slope", "is_exact"),
    [
        (lambda s: np.exp(0.5j * s), 0.5j, True),
        (lambda s: np.exp(1j * (s + 1)), 1j * np.exp(1j), True),
        (lambda s: np.array([3.0]), 0.0, True),
        (lambda s: np.exp(4j * s), 4j, False),  # which eight points cannot tell from 1
        (lambda s: np.exp(1j * s**2 + 0.3j * s), 0.3j, False),
    ],
)
def test_the_shift_rule_is_used_where_it_is_exact(function, slope, is_exact):
    found = _trigonometric_slope(lambda s: np.atleast_1d(function(s)))
    assert (found is not None) == is_exact
    if not is_exact:
        found = difference_slope(lambda s: np.atleast_1d(function(s)))
    np.testing.assert_allclose(found, slope, atol=1e-10)


def test_explain_says_how_such_gates_are_evaluated():
    circuit = encoded(3, ParameterVector("x", 4))
    circuit.append(Arcsine(T), [2])
    found = explain(circuit, list(circuit.parameters)[1:])
    assert found.encodings == ("circuit: 'ParameterizedInitialize' on qubits [0, 1]",)
    assert found.bound == ("circuit: 'arcsine' on qubits [2]",)
    assert "amplitude encoding     'ParameterizedInitialize' on qubits [0, 1]: a tree" in str(found)
    assert "numbers only           'arcsine' on qubits [2]: bound row by row; derivatives by the shift rule" in str(
        found
    )


def test_what_no_file_can_hold_is_not_saved(tmp_path):
    circuit = QuantumCircuit(1)
    circuit.append(Arcsine(T), [0])
    with pytest.raises(
        ValueError, match="'arcsine' on qubits .* by code of its own, which no file holds; .* or save model.state_dict"
    ):
        save(QuantumModule(circuit, None, [T]), tmp_path / "model")
    assert not list(tmp_path.iterdir())
    parameters = ParameterVector("x", 4)
    model = QuantumModule(encoded(2, parameters), parameters, None)
    save(model, tmp_path / "model")
    inputs = torch.randn(3, 4)
    torch.testing.assert_close(load(tmp_path / "model")(inputs), model(inputs))


class Scaled(Gate):
    """By definition, with a number of its own that may change."""

    def __init__(self, a):
        super().__init__("scaled", 1, [a])
        self.scale = 1.0

    def _define(self):
        self.definition = QuantumCircuit(1)
        self.definition.ry(self.scale * float(self.params[0]), 0)


def test_a_gate_whose_code_answers_differently_is_asked_again():
    circuit, gate = QuantumCircuit(1), Scaled(Parameter("a"))
    circuit.append(gate, [0])
    for scale in (1.0, 3.0):
        circuit.data[0].operation.scale = scale
        found = FastEstimator().expectation_values(circuit, "Z", [[0.5]])
        assert found[0, 0] == pytest.approx(np.cos(scale * 0.5), abs=1e-12)
