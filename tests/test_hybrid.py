"""HybridModule, and quantum layers in the places where PyTorch users put modules."""

import copy
import pickle

import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from torch import nn

from circuits_zoo import reuploading
from qiskit_torch_module import HybridModule, QuantumModule

CASE = reuploading(3, 1)


def hybrid(**options):
    return HybridModule(CASE.circuit, CASE.encoding, CASE.variational, 5, 2, **{"seed_init": 4, **options})


def test_it_is_its_three_layers():
    model, inputs = hybrid(), torch.rand(2, 6, 5)
    expected = model.postprocessing(model.quantum_module(model.preprocessing(inputs)))
    torch.testing.assert_close(model(inputs), expected)
    assert model(inputs).shape == (2, 6, 2)
    torch.testing.assert_close(model(inputs.tolist()), expected)
    torch.testing.assert_close(model(inputs.double().numpy()), expected)
    assert (model.input_size, model.output_size) == (5, 2)


def test_accessors_of_version_1():
    model = hybrid(variational_params_names=["weights", "scaling"])
    assert [one.shape for one in model.pre_parameters_] == [(3, 5), (3,)]
    assert model.quantum_parameters_[0] is model.quantum_module.weights
    assert [one.shape for one in model.post_parameters_] == [(2, 3), (2,)]
    assert model.num_trainable_parameters_quantum == model.quantum_module.num_trainable_parameters == 18
    assert model.num_trainable_parameters_classical == 18 + 8
    assert model.num_trainable_parameters == 44
    groups = [
        {"params": model.pre_parameters_},
        {"params": model.quantum_parameters_},
        {"params": model.post_parameters_},
    ]
    assert sum(len(group["params"]) for group in torch.optim.SGD(groups, lr=0.1).param_groups) == 6


def test_gradients_reach_all_layers():
    model = hybrid().double()
    inputs = torch.rand(3, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(model, inputs)
    model(inputs).sum().backward()
    assert all(one.grad.abs().sum() > 0 for one in model.parameters())


def test_seeds_decide_every_layer_and_leave_the_global_state():
    torch.manual_seed(0)
    state = torch.random.get_rng_state()
    first, second, other = hybrid(), hybrid(), hybrid(seed_init=5)
    assert torch.equal(torch.random.get_rng_state(), state)
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name])
        assert not torch.equal(value, other.state_dict()[name])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_size": 0}, "input_size: expected a positive whole number, got 0"),
        ({"input_size": 10**12}, "input_size: expected a positive whole number, at most 2,147,483,648, got 1,000,000"),
        ({"output_size": 2.5}, "output_size: expected a positive whole number, got 2.5"),
        ({"encoding_params": None}, "encoding_params: expected at least one"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        HybridModule(
            **{
                "circuit": CASE.circuit,
                "encoding_params": CASE.encoding,
                "variational_params": CASE.variational,
                "input_size": 5,
                "output_size": 2,
                **arguments,
            }
        )


def test_copies_pickles_and_state_dicts():
    model, inputs = hybrid(), torch.rand(4, 5)
    expected = model(inputs)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        torch.testing.assert_close(other(inputs), expected, atol=0, rtol=0)
    fresh = hybrid(seed_init=9)
    fresh.load_state_dict(model.state_dict())
    torch.testing.assert_close(fresh(inputs), expected, atol=0, rtol=0)


def quantum():
    return QuantumModule(CASE.circuit, CASE.encoding, CASE.variational, seed_init=2)


def test_behind_a_convolution():
    network = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), quantum(), nn.Linear(3, 10)
    )
    network(torch.rand(4, 1, 8, 8)).logsumexp(1).sum().backward()
    assert all(torch.isfinite(one.grad).all() for one in network.parameters())


def test_shared_between_branches_and_applied_twice():
    layer, inputs = quantum(), torch.rand(4, 3)
    (layer(inputs) + layer(layer(inputs))).sum().backward()
    shared = [one.grad.clone() for one in layer.variational_]
    layer.zero_grad()
    layer(inputs).sum().backward()
    layer(layer(inputs)).sum().backward()
    for one, expected in zip(layer.variational_, shared, strict=True):
        torch.testing.assert_close(one.grad, expected)


def test_several_quantum_layers_train_together():
    torch.manual_seed(0)
    network = nn.Sequential(quantum(), nn.Linear(3, 3), quantum(), nn.Linear(3, 1))
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    inputs = torch.rand(32, 3)
    targets = torch.sin(inputs.sum(1, keepdim=True))
    losses = []
    for _ in range(80):
        optimizer.zero_grad()
        losses.append(nn.functional.mse_loss(network(inputs), targets))
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < 0.05 * losses[0]


def test_nothing_is_computed_for_frozen_sets():
    layer, inputs = quantum(), torch.rand(4, 3)
    layer.variational_0.requires_grad_(False)
    layer(inputs).sum().backward()
    assert layer.variational_0.grad is None
    kept = layer.variational_1.grad.clone()
    layer.variational_0.requires_grad_(True)
    layer.zero_grad()
    layer(inputs).sum().backward()
    torch.testing.assert_close(layer.variational_1.grad, kept)


def test_a_differential_equation_is_solved():
    """u' = -u, u(0) = 1 by a quantum circuit: the loss holds derivatives with respect to the input."""
    x, w = ParameterVector("x", 1), ParameterVector("w", 12)
    circuit = QuantumCircuit(2)
    for layer in range(3):
        for q in range(2):
            circuit.ry(w[4 * layer + 2 * q], q)
            circuit.rz(w[4 * layer + 2 * q + 1], q)
        circuit.cx(0, 1)
        circuit.ry(x[0], range(2))
    model = QuantumModule(circuit, x, w, observables=[{"IZ": 1.0, "ZI": 1.0}], seed_init=3).double()
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=60, line_search_fn="strong_wolfe")
    points = torch.linspace(0, 1, 12, dtype=torch.float64)[:, None].requires_grad_()

    def loss():
        optimizer.zero_grad()
        u = model(points)
        [slope] = torch.autograd.grad(u.sum(), points, create_graph=True)
        value = (slope + u).square().mean() + (u[0] - 1).square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    torch.testing.assert_close(model(points), torch.exp(-points), atol=0.02, rtol=0)


def test_numbers_that_are_not_finite_are_those_of_the_input_or_of_the_first_layer():
    model, inputs = hybrid(), torch.rand(2, 6, 5)
    inputs[1, 0, 3] = float("nan")
    for given in (inputs, inputs.tolist(), inputs.double().numpy()):
        with pytest.raises(ValueError, match="^input: expected finite values, got nan in sample 6, column 3; clean"):
            model(given)
    with torch.no_grad():
        model.preprocessing.weight.fill_(1.0)
    with pytest.raises(
        ValueError, match="^preprocessing: expected finite outputs, got inf in sample 0, column 0; keep"
    ):
        model(torch.full((1, 5), 3e38))
    with torch.no_grad():
        model.preprocessing.bias[1] = float("inf")
    with pytest.raises(
        ValueError, match="^preprocessing: .* got inf in sample 0, column 1; its weights are not finite"
    ):
        model(torch.rand(1, 5))
    with torch.no_grad():
        model.preprocessing.bias[1] = 0.0
        model.quantum_parameters_[0][2] = float("nan")
    with pytest.raises(ValueError, match="^weights: expected finite values, got nan of parameter"):
        model(torch.rand(1, 5))
