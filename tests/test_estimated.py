"""Gradients of methods that only estimate, by exact estimates: the parameter-shift rule is the adjoint gradient."""

import copy
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import SparsePauliOp

import gate_zoo
import qiskit_torch_module as qtm
from qiskit_torch_module import methods
from qiskit_torch_module._program.rotations import varying
from qiskit_torch_module._simulation import room
from test_random_circuits import PARAMETERS, circuits

# Hamiltonians of many energies, by class and number of arguments: no rotations of Paulis.
WITHOUT_RULE = {("HamiltonianGate", 2)}
TIGHT = {"rtol": 0.0, "atol": 1e-9}


class Exact(methods.Method):
    """Exact estimates by the native engine, counted; gradients by a rule."""

    name = "exact_estimates"
    is_exact = False

    def __init__(self, rule=None):
        self.rule, self.calls = rule or methods.ParameterShift(), []

    def cost(self, program, task):
        return methods.Estimated.refusal(program) or methods.Cost(1.0)

    def prepare(self, program):
        return ExactRunner(program, self, self.rule)


class ExactRunner(methods.Estimated):
    def estimates(self, angles, num_threads=0):
        self.method.calls.append(len(angles))
        inner = methods.Native().prepare(self.program.apart)
        columns = angles[:, varying(self.program.evolution)].contiguous()
        return inner.values(columns, (), num_threads)[0]


def gradients_of(circuit, inputs, weights, observables, method, batch=2, seed=3):
    """Of a random sum of the values with respect to the input and all weights."""
    model = qtm.QuantumModule(circuit, inputs, weights, observables=observables, method=method, seed_init=seed).double()
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(batch, len(inputs), generator=generator, dtype=torch.float64).requires_grad_() if inputs else None
    values = model(x)
    (values * torch.rand(values.shape, generator=generator, dtype=torch.float64)).sum().backward()
    return [values.detach(), *([x.grad] if inputs else []), *(p.grad for p in model.parameters())]


def require_equal(circuit, inputs, weights, observables):
    method = Exact()
    program = qtm.QuantumModule(circuit, inputs, weights, observables=observables)._program
    if any(step.angle.degree for step in program.evolution.diagonals):
        with pytest.raises(ValueError, match=r"a diagonal of many energies .*; decompose\(\) it"):
            gradients_of(circuit, inputs, weights, observables, method)
        return False
    found = gradients_of(circuit, inputs, weights, observables, method)
    expected = gradients_of(circuit, inputs, weights, observables, "native")
    torch.testing.assert_close(found, expected, **TIGHT)
    assert len(method.calls) == 1  # a job
    return True


def observables_of(num_qubits):
    labels = ["".join("XYZI"[(7 * q + 3 * k + k * q) % 4] for q in range(num_qubits)) for k in range(1, 4)]
    return [SparsePauliOp(labels, [0.5, -1.2, 0.7]), "Z" * num_qubits, SparsePauliOp(["I" * num_qubits], [2.0])]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sorted(set(gate_zoo.operation_classes()) - gate_zoo.REFUSED - gate_zoo.IDLE))
def test_every_gate(name):
    for operation in gate_zoo.specimens(name, gate_zoo.operation_classes()[name]):
        circuit = QuantumCircuit(max(operation.num_qubits, 1))
        qubits, w = range(circuit.num_qubits), ParameterVector("w", 2 * circuit.num_qubits)
        if operation.name != "initialize":  # which resets
            for qubit in qubits:
                circuit.ry(w[qubit] * (1 + 0.1 * qubit), qubit)
        circuit.append(operation, range(operation.num_qubits))
        for qubit in qubits:
            circuit.rx(0.3 + w[circuit.num_qubits + qubit], qubit)
        inputs = [gate_zoo.T] if gate_zoo.T in circuit.parameters else None
        weights = [parameter for parameter in w if parameter in circuit.parameters]
        if not require_equal(circuit, inputs, weights, observables_of(circuit.num_qubits)):
            assert (name, len(operation.params)) in WITHOUT_RULE


# Random circuits with expressions, inputs and shared parameters.
@pytest.mark.filterwarnings("ignore")
@settings(max_examples=40, deadline=None)
@given(circuits(max_qubits=5))
def test_random_circuits(circuit):
    assert require_equal(circuit, PARAMETERS[:2], PARAMETERS[2:], observables_of(circuit.num_qubits))


def ansatz(num_qubits=3, layers=2):
    """Inputs and weights in products, shared weights, and rotations that Z does not feel at the end."""
    x, w = ParameterVector("x", num_qubits), ParameterVector("w", num_qubits * layers + 1)
    circuit = QuantumCircuit(num_qubits)
    for layer in range(layers):
        for qubit in range(num_qubits):
            circuit.ry(x[qubit] * w[layer * num_qubits + qubit] + 0.1, qubit)
            circuit.rz(2 * w[layer * num_qubits + qubit], qubit)
        for qubit in range(num_qubits - 1):
            circuit.cx(qubit, qubit + 1)
        circuit.rzz(w[-1], 0, num_qubits - 1)
    return circuit, [*x], [*w]


def felt_of(circuit, observables):
    program = qtm.QuantumModule(circuit, None, circuit.parameters, observables=observables)._program
    return [
        felt for rotation, felt in zip(program.evolution.rotations, program.felt, strict=True) if rotation.angle.degree
    ]


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("IIZ", [True, False, False, False, False, False]),  # the phase after RY does not move Z
        ("IIX", [True, True, False, False, True, False]),
        ("ZII", [False, False, False, True, False, False]),
        ("III", [False] * 6),
        ("XII", [False, False, True, True, False, True]),
        ("IZI", [False, False, True, False, False, False]),
    ],
)
def test_only_what_is_felt_is_shifted(label, expected):
    a = ParameterVector("a", 6)
    circuit = QuantumCircuit(3)
    circuit.h(1)
    circuit.ry(a[0], 0)
    circuit.rz(a[1], 0)
    circuit.rx(a[2], 1)
    circuit.ry(a[3], 2)
    circuit.rz(a[4], 0)
    circuit.rzz(a[5], 1, 2)
    assert felt_of(circuit, label) == expected


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=30, deadline=None)
@given(circuits(max_qubits=4), st.integers(0, 2))
def test_what_is_not_felt_has_no_derivative(circuit, which):
    observable = observables_of(circuit.num_qubits)[which]
    program = qtm.QuantumModule(circuit, None, circuit.parameters, observables=observable)._program
    if any(step.angle.degree for step in program.evolution.diagonals):
        return
    places = varying(program.evolution)
    inputs = torch.rand(3, len(places), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    runner = methods.Native().prepare(program.apart)
    (slopes,) = runner.pull_back(torch.ones(3, 1, dtype=torch.float64), inputs, (), (True,))
    is_felt = torch.tensor([program.felt[place] for place in places], dtype=torch.bool)
    assert (slopes[:, ~is_felt].abs() < 1e-12).all()


def test_quarter_turns_are_exact():
    """H turns Z into X, and nothing of Z is left that a rotation before it could feel."""
    a = ParameterVector("a", 2)
    circuit = QuantumCircuit(1)
    circuit.rx(a[0], 0)
    circuit.rz(a[1], 0)
    circuit.h(0)
    assert felt_of(circuit, "X") == [True, False]
    assert felt_of(circuit, "Z") == [True, True]


# What is asked for.


def model_of(rule, batch_needs=True, **options):
    circuit, x, w = ansatz()
    method = Exact(rule)
    model = qtm.QuantumModule(circuit, x, w, method=method, seed_init=0, **options).double()
    inputs = torch.rand(4, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return model, inputs.requires_grad_(batch_needs), method


def test_a_step_is_one_job():
    model, inputs, method = model_of(methods.ParameterShift())
    values = model(inputs)
    assert method.calls == [4 * (1 + 2 * 10)]  # 4 of 14 rotations are not felt, one of the rest is
    values.sum().backward(retain_graph=True)
    values.sum().backward()
    assert len(method.calls) == 1
    with torch.no_grad():
        model(inputs)
    assert method.calls[1:] == [4]


def test_only_what_is_wanted_is_shifted():
    circuit, x, w = ansatz()
    method = Exact()
    model = qtm.QuantumModule(circuit, x, [w[:-1], w[-1:]], method=method, seed_init=0)
    model.variational_0.requires_grad_(False)
    model(torch.rand(4, 3)).sum().backward()
    assert method.calls == [4 * (1 + 2)]  # the first of the two rzz
    assert model.variational_1.grad is not None


def test_angles_that_do_not_fit_are_refused(monkeypatch):
    monkeypatch.setattr(room, "LEAST_ASKED", 0)
    monkeypatch.setattr(room, "memory_budget", lambda: 1000)
    model, inputs, method = model_of(methods.ParameterShift())
    with pytest.raises(
        ValueError, match="gradient: the angles of 84 circuits take .* use smaller batches, gradient='spsa', or raise"
    ):
        model(inputs)
    assert method.calls == []


def test_transforms_take_two_jobs():
    model, inputs, method = model_of(methods.ParameterShift())
    weights = dict(model.named_parameters())
    call = lambda weights: torch.func.functional_call(model, weights, (inputs.detach(),)).sum()  # noqa: E731
    found = torch.func.grad(call)(weights)
    assert len(method.calls) == 2
    model(inputs).sum().backward()
    torch.testing.assert_close(found["variational"], model.variational.grad)


def test_an_ensemble_is_one_job():
    model, inputs, method = model_of(methods.ParameterShift())
    call = lambda weights: torch.func.functional_call(model, {"variational": weights}, (inputs.detach(),))  # noqa: E731
    torch.func.vmap(call)(torch.rand(5, 7, dtype=torch.float64))
    assert method.calls == [20]


def test_derivatives_of_gradients_are_refused():
    model, inputs, _ = model_of(methods.ParameterShift())
    (slope,) = torch.autograd.grad(model(inputs).sum(), inputs, create_graph=True)
    with pytest.raises(NotImplementedError, match="has first gradients only; use method='auto'"):
        slope.sum().backward()


def test_float32_gets_float32():
    model, inputs, _ = model_of(methods.ParameterShift())
    model.float()
    values = model(inputs.detach().float())
    values.sum().backward()
    assert values.dtype == model.variational.grad.dtype == torch.float32


# SPSA.


def adjoint(inputs, loss):
    circuit, x, w = ansatz()
    native = qtm.QuantumModule(circuit, x, w, seed_init=0).double()
    at = inputs.detach().clone().requires_grad_()
    loss(native(at)).backward()
    return at.grad, native.variational.grad


def test_spsa_is_right_on_average():
    """An estimate is off by what the other variables contribute, each as its gradient with a random sign."""
    directions = 20_000
    model, inputs, method = model_of(methods.SPSA(directions, step=1e-3, generator=5))
    one = inputs.detach()[:1].requires_grad_()
    loss = lambda values: (values * torch.tensor([0.3, 1.0, -0.7])).sum()  # noqa: E731
    loss(model(one)).backward()
    assert method.calls == [1 + 2 * directions]
    expected = adjoint(one, loss)
    length = sum(part.square().sum() for part in expected) ** 0.5
    for found, part in zip((one.grad, model.variational.grad), expected, strict=True):
        assert (found - part).abs().max() < 5 * 2 * length / directions**0.5  # steps differ by a factor of 2


def test_spsa_of_one_variable_is_a_central_difference():
    w = ParameterVector("w", 1)
    circuit = QuantumCircuit(1)
    circuit.ry(w[0], 0)
    method = Exact(methods.SPSA(1, step=1e-4))
    model = qtm.QuantumModule(circuit, None, w, method=method, variational_params_initial=[0.3]).double()
    model().sum().backward()
    assert model.variational.grad.item() == pytest.approx(-np.sin(model.variational.item()), abs=1e-8)


def test_spsa_is_reproducible_and_moves_on():
    def gradient(model, inputs):
        return torch.autograd.grad(model(inputs).sum(), inputs)[0]

    first, second = (model_of(methods.SPSA(2, step=0.1, generator=7))[:2] for _ in range(2))
    one, two = gradient(*first), gradient(*first)
    torch.testing.assert_close([one, two], [gradient(*second), gradient(*second)], rtol=0, atol=0)
    assert not torch.equal(one, two)


def test_spsa_follows_the_largest_factor():
    """A variable that turns an angle ten times as fast is moved by a tenth."""
    w = ParameterVector("w", 2)
    circuit = QuantumCircuit(1)
    circuit.ry(10 * w[0] + w[1], 0)
    model = qtm.QuantumModule(
        circuit, None, w, method=Exact(methods.SPSA(1, step=0.5)), variational_params_initial=[0.3, 0.2]
    )
    model.double()().sum().backward()
    slope = (np.cos(3.2 + 1.0) - np.cos(3.2 - 1.0), np.cos(3.2) - np.cos(3.2))  # signs are equal, or not
    found = model.variational.grad
    assert any(np.allclose(found.abs(), [abs(s) * 10, abs(s)], atol=1e-6) for s in slope)


def test_steps_follow_the_precision():
    model, inputs, _ = model_of(methods.SPSA(1, generator=0))
    runner = model._runners(inputs)
    runner.precision = 0.125
    seen = []
    estimates = runner.estimates
    runner.estimates = lambda angles, threads=0: seen.append(angles) or estimates(angles, threads)
    model(inputs)
    moved = (seen[0][4:8] - seen[0][8:12])[:, -1]  # the angle w[-1], the factor of which is 1
    torch.testing.assert_close(moved.abs(), torch.full((4,), 2 * 0.5 / 10**0.5).double())  # of 10 variables


def test_guided_spsa_keeps_the_bounds():
    rule = methods.GuidedSPSA(share=0.5, directions=3, damping=0.7, step=1e-3, generator=2)
    model, inputs, method = model_of(rule)
    model(inputs).sum().backward()
    assert method.calls == [4 + 2 * 2 * 10 + 2 * 2 * 3]
    expected, _ = adjoint(inputs, lambda values: values.sum())
    torch.testing.assert_close(inputs.grad[:2], expected[:2], rtol=0, atol=1e-9)
    assert not torch.allclose(inputs.grad[2:], expected[2:])


def test_guided_spsa_shortens():
    """Observable by observable: what is left is no longer than what was shifted, times the damping."""
    model, inputs, _ = model_of(methods.GuidedSPSA(share=0.5, directions=1, damping=0.7, step=1e-3, generator=2))
    seen = []
    runner = model._runners(inputs)
    plan = runner.rule.plan
    runner.rule.plan = lambda at: seen.append(plan(at)) or seen[-1]
    values, tape = runner.values(inputs, [model.variational], record=True)
    assert len(seen) == 1
    exact = tape.plan._shifts.jacobian(tape.values[: len(tape.plan._shifts.bindings)]).norm(dim=2)
    for observable in range(3):
        cotangent = torch.zeros_like(values)
        cotangent[2, observable] = 1.0
        found = runner.pull_back(cotangent, inputs, [model.variational], (True, True), tape=tape)
        length = (found[0].square().sum() + found[1].square().sum()).sqrt()
        assert length <= 0.7 * exact[:, observable].mean() + 1e-12


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: methods.SPSA(0), ValueError, "directions: expected a whole number from 1"),
        (lambda: methods.SPSA(2.5), TypeError, "directions: expected a whole number, at least 1"),
        (lambda: methods.SPSA(step=0), ValueError, "step: expected a positive number or None"),
        (lambda: methods.SPSA(step=float("nan")), ValueError, "step: expected a number at least 0"),
        (lambda: methods.SPSA(step="small"), TypeError, "step: expected a number at least 0"),
        (lambda: methods.SPSA(generator=-1), ValueError, "generator: expected a seed from 0"),
        (lambda: methods.SPSA(generator="random"), TypeError, "generator: expected a torch.Generator"),
        (lambda: methods.GuidedSPSA(share=1.5), ValueError, "share: expected a number from 0 to 1"),
        (lambda: methods.GuidedSPSA(damping=-1), ValueError, "damping: expected a number at least 0"),
        (lambda: methods.GuidedSPSA(directions=0), ValueError, "directions: expected a whole number from 1"),
    ],
)
def test_bad_rules(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_other_outputs_are_refused():
    circuit, x, w = ansatz()
    with pytest.raises(ValueError, match="it estimates expectation values of Paulis, not State"):
        qtm.QuantumModule(circuit, x, w, observables=qtm.outputs.State(), method=Exact())


@pytest.mark.parametrize("rule", [methods.ParameterShift(), methods.SPSA(generator=3), methods.GuidedSPSA()], ids=repr)
def test_rules_are_copied(rule):
    copied, pickled = copy.deepcopy(rule), pickle.loads(pickle.dumps(rule))
    if isinstance(rule, methods.SPSA):
        assert rule.stream.seed() == copied.stream.seed() == pickled.stream.seed()
    assert repr(copied) == repr(pickled) == repr(rule)
