"""Derivatives of every kind and order, ``torch.func``, ``torch.compile``, ``torch.export``."""

import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, vmap

from circuits_zoo import cases, fixed_and_free, qaoa, random_observables, reuploading
from qiskit_torch_module import HybridModule, QuantumModule
from qiskit_torch_module._differentiation import operators as _operator
from qiskit_torch_module._simulation import pytorch

# Forward-mode differentiation and the compiler of PyTorch warn of their own futures.
pytestmark = [pytest.mark.usefixtures("float64"), pytest.mark.filterwarnings("ignore::DeprecationWarning")]

TINY = reuploading(2, 1)


@pytest.fixture
def model():
    return QuantumModule(TINY.circuit, TINY.encoding, TINY.variational, ["b", "c"], seed_init=1)


@pytest.fixture
def run(model):
    """The model as a function of input and both sets."""
    return lambda x, b, c: functional_call(model, {"b": b, "c": c}, (x,))


@pytest.fixture
def at(model):
    inputs = torch.rand(3, 2, generator=torch.Generator().manual_seed(2))
    return inputs, model.b.detach().clone(), model.c.detach().clone()


def model_of(name):
    case, observables = cases(3)[name], random_observables(3, 2)
    return QuantumModule(case.circuit, case.encoding, case.variational, seed_init=3, observables=observables)


@pytest.mark.parametrize("name", list(cases(3)))
def test_the_engine_in_plain_pytorch_agrees_with_the_native_one(name):
    model = model_of(name)
    inputs = torch.rand(4, model.input_size)
    weights = torch.cat([one.detach() for one in model.variational_])
    found = pytorch.values(model._program, inputs, weights)
    torch.testing.assert_close(found, model(inputs).detach(), atol=1e-12, rtol=0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", list(cases(3)))
def test_values_and_gradients_on_another_device(name):
    model = model_of(name)
    inputs = torch.rand(4, model.input_size, requires_grad=True)
    values = model(inputs)
    expected = torch.autograd.grad(values.square().sum(), [inputs, *model.variational_], materialize_grads=True)
    model.to("cuda")
    moved = inputs.detach().to("cuda").requires_grad_()
    on_device = model(moved)
    assert on_device.is_cuda
    torch.testing.assert_close(on_device.cpu(), values, atol=1e-12, rtol=0)
    found = torch.autograd.grad(on_device.square().sum(), [moved, *model.variational_], materialize_grads=True)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.cpu(), other, atol=1e-12, rtol=0)


def test_tensors_that_outlive_a_transform(model, at):
    leaked = []
    grad(lambda x: (leaked.append(x), x.sum())[1])(at[0])
    torch.testing.assert_close(model(leaked[0]), model(at[0]))


def test_first_and_second_derivatives_with_respect_to_everything(run, at):
    at = tuple(one.requires_grad_() for one in at)
    assert torch.autograd.gradcheck(run, at, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(run, at, check_fwd_over_rev=True, check_rev_over_rev=True)


@pytest.mark.parametrize("case", [qaoa(3, 1), fixed_and_free(2, 4)], ids=["qaoa", "fixed_and_free"])
def test_second_derivatives_of_other_circuits(case):
    model = QuantumModule(
        case.circuit, case.encoding, case.variational, seed_init=3, observables=["ZZY"[-case.circuit.num_qubits :]]
    )
    names = model.variational_names
    at = [
        torch.rand(2, model.input_size, requires_grad=True),
        *(one.detach().requires_grad_() for one in model.variational_),
    ]
    assert torch.autograd.gradgradcheck(
        lambda x, *sets: functional_call(model, dict(zip(names, sets, strict=True)), (x,)), at
    )


def test_third_derivatives(run, at):
    x, b, c = at
    third = jacrev(jacrev(jacrev(lambda b: run(x, b, c).sum())))(b)
    step = 1e-4 * torch.eye(len(b))[0]
    second = jacrev(jacrev(lambda b: run(x, b, c).sum()))
    torch.testing.assert_close(third[..., 0], (second(b + step) - second(b - step)) / 2e-4, atol=1e-7, rtol=0)


def test_gradient_penalties_train():
    """A loss that holds the derivative of the output: with create_graph=True, and then backward."""
    model = HybridModule(TINY.circuit, TINY.encoding, TINY.variational, 1, 1, seed_init=1)
    x = torch.linspace(-1, 1, 5)[:, None].requires_grad_()
    [slope] = torch.autograd.grad(model(x).sum(), x, create_graph=True)
    loss = (slope - torch.cos(x)).square().mean()
    loss.backward()
    [weight, *_] = model.quantum_parameters_
    with torch.no_grad():
        found, step, losses = weight.grad[1].item(), 1e-5, []
        before = weight[1].item()
    for sign in (1, -1):
        with torch.no_grad():
            weight[1] = before + sign * step
        [slope] = torch.autograd.grad(model(x).sum(), x)
        losses.append((slope - torch.cos(x)).square().mean().item())
    assert found == pytest.approx((losses[0] - losses[1]) / (2 * step), abs=1e-7)


def test_vmap_over_inputs_and_over_either_set(run, at):
    x, b, c = at
    torch.testing.assert_close(vmap(lambda row: run(row, b, c))(x), run(x, b, c))
    many_b, many_c = torch.rand(5, *b.shape), torch.rand(5, *c.shape)
    both = vmap(lambda b, c: run(x, b, c))(many_b, many_c)
    first = vmap(lambda b: run(x, b, c))(many_b)
    second = vmap(lambda c: run(x, b, c), in_dims=1)(many_c.T)
    pairs = vmap(lambda b, c: run(x, b, c), in_dims=(0, None))(many_b, c)
    nested = vmap(lambda b, c: vmap(lambda row: run(row, b, c))(x))(many_b, many_c)
    for i in range(5):
        torch.testing.assert_close(both[i], run(x, many_b[i], many_c[i]))
        torch.testing.assert_close(first[i], run(x, many_b[i], c))
        torch.testing.assert_close(second[i], run(x, b, many_c[i]))
    torch.testing.assert_close(pairs, first)
    torch.testing.assert_close(nested, both)


def test_an_ensemble_of_gradients_is_that_of_its_members(run, at):
    x, b, c = at
    many_b, many_c = torch.rand(4, *b.shape), torch.rand(4, *c.shape)
    loss = lambda b, c, x: run(x, b, c).square().sum()  # noqa: E731
    found = vmap(grad(loss, argnums=(0, 1, 2)), in_dims=(0, 0, None))(many_b, many_c, x)
    for i in range(4):
        for one, expected in zip(found, grad(loss, argnums=(0, 1, 2))(many_b[i], many_c[i], x), strict=True):
            torch.testing.assert_close(one[i], expected)


def test_backward_through_vmap(run, at):
    x, b, c = at
    many = torch.rand(4, *b.shape, requires_grad=True)
    vmap(lambda b: run(x, b, c))(many).square().sum().backward()
    for one, gradient in zip(many.detach(), many.grad, strict=True):
        torch.testing.assert_close(gradient, grad(lambda b: run(x, b, c).square().sum())(one))


def test_changes_in_place_between_forward_and_backward_are_noticed(model):
    loss = model(torch.rand(3, 2)).sum()
    with torch.no_grad():
        model.b.add_(0.1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_gradients_of_every_sample(run, at):
    x, b, c = at
    found = vmap(grad(lambda b, row: run(row, b, c).sum()), in_dims=(None, 0))(b, x)
    for i in range(len(x)):
        torch.testing.assert_close(found[i], grad(lambda b, i=i: run(x[i], b, c).sum())(b))


def test_jacobians_hessians_and_directional_derivatives(run, at):
    x, b, c = at
    values, loss = (lambda b: run(x, b, c)), (lambda b: run(x, b, c).square().sum())
    reverse = jacrev(values)(b)
    expected = torch.stack([torch.autograd.functional.jacobian(lambda b, i=i: values(b)[i], b) for i in range(len(x))])
    torch.testing.assert_close(reverse, expected)
    torch.testing.assert_close(jacfwd(values)(b), reverse)
    direction = torch.rand_like(b)
    torch.testing.assert_close(jvp(values, (b,), (direction,))[1], reverse @ direction)
    expected = torch.autograd.functional.hessian(loss, b)
    torch.testing.assert_close(hessian(loss)(b), expected)
    torch.testing.assert_close(jacfwd(jacfwd(loss))(b), expected)
    torch.testing.assert_close(jacfwd(jacrev(jacfwd(loss)))(b), jacrev(jacrev(jacrev(loss)))(b))
    torch.testing.assert_close(jacrev(jacrev(loss))(b), expected)


def test_the_old_vmap_is_refused_with_a_remedy(model):
    x = torch.rand(2, 2, requires_grad=True)
    with pytest.raises(NotImplementedError, match=r"use torch.func.jacrev or torch.func.vmap"):
        torch.autograd.grad(model(x), x, torch.ones(3, 2, 2), is_grads_batched=True)


@pytest.mark.filterwarnings("ignore")  # the compiler's own
class TestCompile:
    def network(self, expression=False):
        if not expression:
            quantum = QuantumModule(TINY.circuit, TINY.encoding, TINY.variational, seed_init=1)
            return torch.nn.Sequential(torch.nn.Linear(3, 2), quantum, torch.nn.Linear(2, 1))
        x, w, circuit = Parameter("x"), Parameter("w"), QuantumCircuit(1)
        circuit.ry(x.sin() * w, 0)
        circuit.rx(w.exp(), 0)
        return torch.nn.Sequential(torch.nn.Linear(3, 1), QuantumModule(circuit, [x], [w], seed_init=1))

    @pytest.mark.parametrize("expression", [False, True])
    def test_one_graph_with_the_same_gradients(self, expression):
        network = self.network(expression)
        compiled = torch.compile(network, fullgraph=True, backend="aot_eager")
        for batch in (4, 7, 1):
            x = torch.rand(batch, 3)
            gradients = []
            for one in (network, compiled):
                network.zero_grad()
                values = one(x)
                values.square().sum().backward()
                gradients.append([values.detach(), *(p.grad.clone() for p in network.parameters())])
            for eager, graph in zip(*gradients, strict=True):
                torch.testing.assert_close(graph, eager)

    def test_operators_keep_their_promises(self):
        model = QuantumModule(TINY.circuit, TINY.encoding, TINY.variational, seed_init=1)
        weights = torch.cat([one.detach() for one in model.variational_]).requires_grad_()
        inputs, cotangent = torch.rand(4, 2, requires_grad=True), torch.rand(4, 2, requires_grad=True)
        operators, number = torch.ops.qiskit_torch_module, _operator.text_of(model._program)
        torch.library.opcheck(operators.values.default, (inputs, weights, number, 0, 0))
        torch.library.opcheck(operators.gradients.default, (cotangent, inputs, weights, number, 0))

    def test_export_with_any_batch_size(self):
        network = self.network()
        exported = torch.export.export(
            network, (torch.rand(4, 3),), dynamic_shapes=({0: torch.export.Dim("batch")},)
        ).module()
        for batch in (2, 9):
            x = torch.rand(batch, 3)
            torch.testing.assert_close(exported(x), network(x))

    def test_a_program_that_is_damaged_says_so(self):
        with pytest.raises(ValueError, match="compiled program as text"):
            torch.ops.qiskit_torch_module.values(torch.rand(1, 2), torch.rand(12), "{}", 0, 0)


def test_autocast_leaves_the_layer_in_its_own_precision():
    torch.set_default_dtype(torch.float32)
    network = HybridModule(TINY.circuit, TINY.encoding, TINY.variational, 3, 1, seed_init=1)
    x = torch.rand(4, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        hidden = network.preprocessing(x)
        assert hidden.dtype == torch.bfloat16
        assert network.quantum(hidden).dtype == torch.float32
        network(x).float().sum().backward()
    expected = network.quantum(hidden.float())
    torch.testing.assert_close(network.quantum(hidden), expected)
    assert torch.isfinite(network.quantum.variational_0.grad).all()
