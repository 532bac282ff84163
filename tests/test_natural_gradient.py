"""Natural gradients in front of the optimizers of PyTorch."""

import copy
import pickle

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector

from qiskit_torch_module import HybridModule, QuantumModule, methods, optim, with_method
from qiskit_torch_module.optim import metric as solving
from qiskit_torch_module.optim.models import as_states
from test_optim import LEAST, OPERATOR, ansatz, energy_of_pennylane, metric, reuploading, seeded, vqe


def expected(model, input, gradient, damping, names=None):
    """What the definition makes of a gradient: states by Qiskit, the metric by differences of them."""
    matrix = metric(model, input)
    if damping:
        return np.linalg.solve(matrix + damping * np.eye(len(matrix)), gradient)
    return np.linalg.pinv(matrix, rcond=1e-7, hermitian=True) @ gradient


def joined(model):
    return torch.cat([one.grad for one in model.variational_]).double().numpy()


INPUT = torch.tensor([[0.3, -0.4], [1.0, 0.2], [-2.0, 0.7]], dtype=torch.float64)


# --- Against other libraries


def test_a_step_is_that_of_the_formula_with_the_metric_of_qiskit():
    algorithms = pytest.importorskip("qiskit_algorithms.gradients")
    model, damping = vqe(), 0.05
    circuit, w = ansatz()
    qgt = algorithms.ReverseQGT(phase_fix=True).run([circuit], [model.weights.tolist()], [w]).result().qgts[0]
    natural = optim.NaturalGradient(model, damping)
    model().sum().backward()
    gradient = model.weights.grad.numpy().copy()
    natural.step()
    found = np.linalg.solve(np.real(qgt) + damping * np.eye(9), gradient)
    np.testing.assert_allclose(model.weights.grad.numpy(), found, atol=1e-9)


def test_a_step_is_that_of_pennylane():
    qml = pytest.importorskip("pennylane")
    model = vqe()
    energy = energy_of_pennylane(qml, wires=4)  # one more for the test of overlaps
    start = qml.numpy.array(model.weights.detach().numpy().copy(), requires_grad=True)
    tensor = qml.metric_tensor(energy, approx=None, aux_wire=3)
    theirs = qml.QNGOptimizer(stepsize=0.1, lam=0.02).step(energy, start, metric_tensor_fn=tensor)
    natural = optim.NaturalGradient(model, damping=0.02)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model().sum().backward()
    natural.step()
    optimizer.step()
    np.testing.assert_allclose(model.weights.detach().numpy(), theirs, atol=1e-8)


# --- Against the definition


@pytest.mark.parametrize("damping", [0.0, 0.01])
def test_samples_are_averaged_and_sets_have_cross_terms(damping):
    """Shared weights, products and functions of them; calls that add up; rows in any shape."""
    model = reuploading()
    natural = optim.NaturalGradient(model, damping)
    loss = model(INPUT[:2].reshape(1, 2, 2)).square().sum() + model(input=INPUT[2]).sum()
    loss.backward()
    gradient = joined(model)
    natural.step()
    np.testing.assert_allclose(joined(model), expected(model, INPUT, gradient, damping), atol=1e-5)
    assert natural.ranks == ({} if damping else {"variational_0, variational_1": (4, 4)})


def test_structures():
    model = reuploading()
    full = metric(model, INPUT)
    for structure, keep in (("block", np.kron(np.eye(2), np.ones((2, 2)))), ("diagonal", np.eye(4))):
        for damping in (0.0, 0.1):
            natural = optim.NaturalGradient(model, damping, structure)
            model.zero_grad()
            model(INPUT).sum().backward()
            gradient = joined(model)
            natural.step()
            natural.remove()
            found = np.linalg.solve(full * keep + damping * np.eye(4), gradient)
            np.testing.assert_allclose(joined(model), found, atol=1e-6)
    assert natural.ranks == {}


def test_hybrid_models_and_frozen_sets():
    """The metric is taken where the quantum layer was; everything but quantum sets stays."""
    x, w = ParameterVector("x", 2), ParameterVector("w", 6)
    circuit = QuantumCircuit(2)
    for layer in range(3):
        for q in range(2):
            circuit.ry(w[2 * layer + q], q)
        if layer < 2:
            circuit.cx(0, 1)
            circuit.rx(x[0], 0)
            circuit.rz(x[1], 1)
    model = torch.nn.Sequential(
        HybridModule(circuit, x, [w[:2], w[2:4], w[4:]], 3, 2, seed_init=0),
        HybridModule(circuit, x, w, 2, 1, seed_init=1),
    ).double()
    model[0].quantum.set_variational_gradients_flag([True, False, True])
    inputs = torch.rand(5, 3, generator=seeded()).double()
    natural = optim.NaturalGradient(model, 0.03)
    with torch.no_grad():
        model(2 * inputs)  # not seen
    model(inputs).square().mean().backward()
    before = {name: one.grad.clone() for name, one in model.named_parameters() if one.grad is not None}
    natural.step()
    layer = model[0]
    hidden = layer.preprocessing(inputs).detach()
    matrix = metric(layer.quantum, hidden)[np.ix_([0, 1, 4, 5], [0, 1, 4, 5])]
    names = ["0.quantum.variational_0", "0.quantum.variational_2"]
    gradient = torch.cat([before[name] for name in names]).numpy()
    found = np.linalg.solve(matrix + 0.03 * np.eye(4), gradient)
    after = dict(model.named_parameters())
    np.testing.assert_allclose(np.concatenate([after[name].grad.numpy() for name in names]), found, atol=1e-6)
    second = model[1].preprocessing(layer(inputs)).detach()
    found = expected(model[1].quantum, second, before["1.quantum.variational"].numpy(), 0.03)
    np.testing.assert_allclose(model[1].quantum.variational.grad.numpy(), found, atol=1e-6)
    for name, gradient in before.items():
        assert torch.equal(after[name].grad, gradient) == ("quantum" not in name)
    assert layer.quantum.variational_1.grad is None


def deep(layers=6):
    """Far more weights than amplitudes: the metric is singular."""
    w = ParameterVector("w", 4 * layers)
    circuit = QuantumCircuit(2)
    for layer in range(layers):
        for q in range(2):
            circuit.ry(w[4 * layer + 2 * q], q)
            circuit.rz(w[4 * layer + 2 * q + 1], q)
        circuit.cx(0, 1)
    return QuantumModule(circuit, None, w, "weights", seed_init=2, observables="XY")


def test_singular_metrics_give_the_least_direction_and_their_rank():
    """A state of two qubits moves in 2 * 4 - 2 directions."""
    model = deep().double()
    natural = optim.NaturalGradient(model, damping=0)
    model().sum().backward()
    gradient = model.weights.grad.numpy().copy()
    natural.step()
    assert natural.ranks == {"weights": (6, 24)}
    np.testing.assert_allclose(model.weights.grad.numpy(), expected(model, None, gradient, 0), atol=1e-4)
    single = deep()
    natural = optim.NaturalGradient(single, damping=0)
    single().sum().backward()
    natural.step()
    assert natural.ranks == {"weights": (6, 24)}
    torch.testing.assert_close(single.weights.grad.double(), model.weights.grad, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("damping", [0.0, 1e-3])
def test_both_spaces_give_the_same(damping, monkeypatch):
    model = deep().double()
    model().sum().backward()
    gradient, found = model.weights.grad.clone(), []
    for amplitudes in (0, 1 << 20):  # that of samples is the smaller one; that of parameters is
        monkeypatch.setattr(solving, "_amplitudes", lambda states, count=amplitudes: count)
        solver = solving.Solver(damping, 1e-9)
        found.append(solver.solved(as_states(model), torch.empty(0).double(), ["weights"], gradient))
    torch.testing.assert_close(found[0].direction, found[1].direction, rtol=1e-7, atol=1e-9)
    assert found[0].rank == found[1].rank == (None if damping else 6)


def test_a_gradient_of_nothing_is_nothing():
    w = ParameterVector("w", 1)
    circuit = QuantumCircuit(1)
    circuit.rz(w[0], 0)  # a phase
    for structure in ("full", "diagonal"):
        model = QuantumModule(circuit, None, w, "weights", seed_init=0)
        natural = optim.NaturalGradient(model, 0, structure)
        model().sum().backward()
        natural.step()
        assert natural.ranks == {"weights": (0, 1)}
        assert model.weights.grad.item() == 0


# --- With optimizers


def test_it_learns_faster_than_without():
    """Where gradient descent needs hundreds of steps."""
    losses = {}
    for with_it in (False, True):
        model = vqe(torch.float32)
        natural = optim.NaturalGradient(model) if with_it else None
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(40):
            optimizer.zero_grad()
            loss = model().sum()
            loss.backward()
            if natural is not None:
                natural.step()
            optimizer.step()
        losses[with_it] = loss.item() - LEAST
    assert losses[True] < losses[False] / 3


def test_closures_of_lbfgs_and_clipped_gradients():
    model = vqe()
    natural = optim.NaturalGradient(model)
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.2, max_iter=10)

    def closure():
        optimizer.zero_grad()
        loss = model().sum()
        loss.backward()
        natural.step()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        return loss

    first = optimizer.step(closure).item()
    for _ in range(5):
        last = optimizer.step(closure).item()
    assert last < first - 0.1


class Estimating(methods.Native):
    """The native engine, said to estimate."""

    name, is_exact = "estimating", False


def test_a_method_that_estimates_has_an_exact_metric():
    exact, (circuit, w) = vqe(), ansatz()
    model = QuantumModule(circuit, None, w, "weights", observables=OPERATOR, seed_init=0, method=Estimating()).double()
    for one in (exact, model):
        natural = optim.NaturalGradient(one, 0.1)
        one().sum().backward()
        natural.step()
    torch.testing.assert_close(model.weights.grad, exact.weights.grad)


def test_hooks_go_and_copies_work():
    model = vqe()
    natural = optim.NaturalGradient(model)
    twin = copy.deepcopy(model)
    natural.remove()
    model().sum().backward()
    with pytest.raises(RuntimeError, match="since the last step"):
        natural.step()
    twin().sum().backward()
    assert torch.equal(twin.weights.grad, model.weights.grad)


@pytest.mark.parametrize("around", [lambda module: module, torch.nn.Sequential])
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_have_no_hooks(around, copied):
    """But those of others, and the model keeps its own."""
    model = around(vqe())
    (module,) = [one for one in model.modules() if isinstance(one, QuantumModule)]
    module.register_forward_pre_hook(nothing)
    natural = optim.NaturalGradient(model)
    (twin,) = [one for one in copied(model).modules() if isinstance(one, QuantumModule)]
    assert list(twin._forward_pre_hooks.values()) == [nothing]
    assert not twin._forward_pre_hooks_with_kwargs
    twin().sum().backward()
    module().sum().backward()
    natural.step()
    assert len(module._forward_pre_hooks) == 2


@pytest.mark.parametrize("removed", [False, True])
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda both: pickle.loads(pickle.dumps(both))])
def test_a_copy_sees_the_calls_of_the_model_that_is_copied_with_it(copied, removed):
    model = vqe()
    natural = optim.NaturalGradient(model)
    if removed:
        natural.remove()
    other, twin = copied((natural, model))
    twin().sum().backward()
    assert twin.weights.grad is not None
    assert model.weights.grad is None
    if removed:
        with pytest.raises(RuntimeError, match="since the last step"):
            other.step()
        return
    other.step()
    model().sum().backward()
    natural.step()
    torch.testing.assert_close(twin.weights.grad, model.weights.grad, rtol=0, atol=0)


def nothing(module, arguments):
    """A hook."""


@pytest.mark.parametrize("around", [lambda module: module, torch.nn.Sequential])
def test_a_model_moved_to_another_method_is_seen(around):
    module = reuploading()
    model = around(module)
    natural = optim.NaturalGradient(model)
    moved = with_method(model, Estimating())
    moved(INPUT).sum().backward()
    gradient = joined(module)
    natural.step()
    np.testing.assert_allclose(joined(module), expected(module, INPUT, gradient, 0.01), atol=1e-6)
    natural.remove()
    moved(INPUT).sum().backward()
    with pytest.raises(RuntimeError, match="since the last step"):
        natural.step()


def test_what_is_seen_is_forgotten_after_a_step():
    model = reuploading()
    natural = optim.NaturalGradient(model)
    for _ in range(2):
        model.zero_grad()
        model(INPUT).sum().backward()
        gradient = joined(model)
        natural.step()
        np.testing.assert_allclose(joined(model), expected(model, INPUT, gradient, 0.01), atol=1e-6)


# --- What cannot be


class Shared(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = vqe(), vqe()
        self.second.weights = self.first.weights


def parametrized():
    model = vqe()
    torch.nn.utils.parametrize.register_parametrization(model, "weights", torch.nn.Tanh())
    return model


def not_finite():
    model = vqe()
    natural = optim.NaturalGradient(model)
    (model().sum() * float("nan")).backward()
    natural.step()


def without_a_call():
    model = vqe()
    model().sum().backward()
    optim.NaturalGradient(model).step()


WRONG = {
    "no model": (lambda: optim.NaturalGradient(vqe().parameters()), TypeError, "torch.nn.Module"),
    "nothing quantum": (
        lambda: optim.NaturalGradient(torch.nn.Linear(2, 2)),
        ValueError,
        "got none; name them by variational_params",
    ),
    "an unknown structure": (lambda: optim.NaturalGradient(vqe(), structure="layer"), ValueError, "'block'"),
    "damping below zero": (lambda: optim.NaturalGradient(vqe(), damping=-1.0), ValueError, "damping"),
    "damping by name": (lambda: optim.NaturalGradient(vqe(), damping="auto"), TypeError, "damping"),
    "no tolerance": (lambda: optim.NaturalGradient(vqe(), tolerance=0.0), ValueError, "tolerance"),
    "one set in two modules": (lambda: optim.NaturalGradient(Shared()), ValueError, "'second.weights'"),
    "a set behind a function": (
        lambda: optim.NaturalGradient(parametrized()),
        ValueError,
        r"parametrized, .* off \(torch.nn.utils",
    ),
    "a gradient that is not finite": (
        not_finite,
        ValueError,
        r"finite gradients of weights, got (\d+) of \1 that are not; leave out the step where the loss is not",
    ),
    "a step without a call": (without_a_call, RuntimeError, "weights since the last step"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_is_said(name):
    act, error, message = WRONG[name]
    with pytest.raises(error, match=message):
        act()
