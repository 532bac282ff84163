"""Sums of observables whose coefficients are trained."""

import copy
import pickle

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.quantum_info import Operator, PauliList, SparsePauliOp

import qiskit_torch_module as qtm
from circuits_zoo import reuploading
from qiskit_torch_module import QuantumModule
from qiskit_torch_module.outputs import Entropy, Purity, State, Trainable
from test_states import built, call, mixed, variables

H = SparsePauliOp(["ZZI", "IXX", "III"], [0.5, -1.5, 2.0])


def module(observables, case=None, **options):
    case = case or reuploading(3, 1)
    return QuantumModule(
        case.circuit, case.encoding, case.variational, observables=observables, seed_init=0, **options
    ).double()


def rows(size=4):
    return variables(reuploading(3, 1), size)[0]


@pytest.mark.parametrize(
    ("paulis", "parts", "initial"),
    [
        (H, ["ZZI", "IXX", "III"], [0.5, -1.5, 2.0]),
        ({"ZZI": 0.5, "XYZ": 2}, ["ZZI", "XYZ"], [0.5, 2]),
        ("XYZ", ["XYZ"], [1]),
        ("individualZ", ["IIZ", "IZI", "ZII"], [1, 1, 1]),
        ("tensoredZ", ["ZZZ"], [1]),
        (["XYZ", H, "IIZ"], ["XYZ", H, "IIZ"], [1, 1, 1]),
        ([H], [H], [1]),
        (PauliList(["XII", "IYI"]), ["XII", "IYI"], [1, 1]),
        (Operator(SparsePauliOp(["ZII", "XIX"], [3.0, 4.0])), ["XIX", "ZII"], [4.0, 3.0]),
    ],
)
def test_values_and_gradients(paulis, parts, initial):
    model, judge = module(Trainable(paulis)), module(parts)
    inputs = rows().requires_grad_()
    assert model.output_size == 1
    np.testing.assert_allclose(sorted(model.coefficients.tolist()), sorted(initial), atol=1e-12)
    with torch.no_grad():
        order = torch.tensor(initial, dtype=torch.float64)
        same = torch.allclose(model.coefficients, order)
        values = judge(inputs) if same else judge(inputs).flip(1)
        model.coefficients.copy_(torch.linspace(0.3, -2, len(initial), dtype=torch.float64))
    torch.testing.assert_close(model(inputs).detach(), (values @ model.coefficients)[:, None].detach())
    loss = model(inputs).square().sum()
    loss.backward()
    expected = 2 * (values * (values @ model.coefficients.detach())[:, None]).sum(0)
    torch.testing.assert_close(model.coefficients.grad, expected)

    def called(inputs, weights, coefficients):
        given = {model.variational_names[0]: weights, "coefficients": coefficients}
        others = {name: one.detach() for name, one in model.named_parameters() if name not in given}
        return torch.func.functional_call(model, given | others, (inputs,))

    at = [inputs[:1], model.variational_[0].detach().requires_grad_(), model.coefficients.detach().requires_grad_()]
    assert torch.autograd.gradcheck(called, at)
    assert torch.autograd.gradgradcheck(called, at)


def test_in_a_list_beside_others():
    first, second = Trainable(H, name="field"), Trainable(["ZII", "IZI"], [0.1, 0.2])
    model = module(["ZZZ", first, Purity([0]), "XII", second, Entropy([1])])
    judge = module(["ZZZ", H, Purity([0]), "XII", {"ZII": 0.1, "IZI": 0.2}, Entropy([1])])
    assert model.output_size == 6
    assert [name for name, _ in model.named_parameters()][-2:] == ["field", "coefficients_1"]
    torch.testing.assert_close(model(rows()), judge(rows()))
    assert model(rows(4).reshape(2, 2, -1)).shape == (2, 2, 6)
    assert model(rows(0)).shape == (0, 6)


def test_learning_rates_of_their_own():
    model = module(Trainable(H))
    others = [weights for name, weights in model.named_parameters() if name != "coefficients"]
    optimizer = torch.optim.SGD([{"params": others, "lr": 0.0}, {"params": [model.coefficients], "lr": 0.1}])
    before = [weights.clone() for weights in others]
    model(rows()).sum().backward()
    optimizer.step()
    assert all(map(torch.equal, before, others))
    assert not torch.equal(model.coefficients.detach(), torch.tensor([0.5, -1.5, 2.0]).double())


@pytest.mark.parametrize(
    ("initial", "expected"),
    [
        ([1, 2, 3], [1, 2, 3]),
        ("constant", [1, 1, 1]),
        (("constant", {"val": 0.25}), [0.25] * 3),
        (torch.nn.init.zeros_, [0, 0, 0]),
        (torch.tensor([1.0, 0.0, -1.0]), [1, 0, -1]),
    ],
)
def test_starts(initial, expected):
    model = module(Trainable(H, initial))
    assert model.coefficients.tolist() == expected
    with torch.no_grad():
        model.coefficients.fill_(7)
    model.reset_parameters()
    assert model.coefficients.tolist() == expected


def test_random_starts_follow_the_seed():
    first, second = (module(Trainable(H, "normal")) for _ in range(2))
    assert torch.equal(first.coefficients, second.coefficients)
    assert len(set(first.coefficients.tolist())) == 3
    assert torch.equal(first.variational_[0], module("ZZZ").variational_[0])  # which others do not move


OBSERVABLES = [Trainable(H), ["ZZZ", Trainable("individualZ", "normal", "field"), Purity([0]), Trainable([H, "XII"])]]


@pytest.mark.parametrize("observables", OBSERVABLES, ids=["one", "list"])
def test_models_are_copied_and_saved(observables, tmp_path):
    model = module(observables)
    coefficients = [one for name, one in model.named_parameters() if name.startswith(("coefficients", "field"))]
    with torch.no_grad():
        for one in coefficients:
            one.uniform_(-1, 1)
    coefficients[0].requires_grad_(False)
    qtm.save(model, tmp_path / "model")
    for again in (qtm.load(tmp_path / "model"), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(again(rows()), model(rows()))
        assert repr(again) == repr(model)
        assert repr(again.observables) == repr(model.observables)
        assert [one.requires_grad for one in again.parameters()] == [one.requires_grad for one in model.parameters()]
        again.load_state_dict(module(observables).state_dict())
    qtm.save(qtm.load(tmp_path / "model"), tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "model").read_bytes()
    assert qtm.explain(model).chosen == "native"
    assert "coefficients" in repr(model)
    assert isinstance(qtm.load(tmp_path / "model").circuit, QuantumCircuit)


def test_a_start_that_is_code_is_not_saved(tmp_path):
    qtm.save(module(Trainable(H, torch.nn.init.zeros_)), tmp_path / "model")
    again = qtm.load(tmp_path / "model")
    assert again.coefficients.tolist() == [0, 0, 0]
    again.reset_parameters()
    assert again.coefficients.tolist() == [1, 1, 1]


@pytest.mark.filterwarnings("ignore")  # PyTorch's own
@pytest.mark.parametrize("observables", OBSERVABLES, ids=["one", "list"])
def test_compiled_exported_and_mapped(observables):
    model = module(observables)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(rows()), model(rows()))
    compiled(rows()).square().sum().backward()
    gradients = [one.grad.clone() for one in model.parameters()]
    model.zero_grad()
    model(rows()).square().sum().backward()
    torch.testing.assert_close(gradients, [one.grad for one in model.parameters()])
    torch.testing.assert_close(torch.export.export(model, (rows(),)).module()(rows()), model(rows()))
    parameters = {name: torch.stack([one.detach(), 2 * one.detach()]) for name, one in model.named_parameters()}
    found = torch.func.vmap(lambda given: torch.func.functional_call(model, given, (rows(),)))(parameters)
    torch.testing.assert_close(found[0], model(rows()).detach())


def test_dtypes():
    inputs = rows().float()
    assert module(Trainable(H)).float()(inputs).dtype == torch.float32
    half = module(Trainable(H)).bfloat16()
    assert half(inputs.bfloat16()).dtype == torch.bfloat16
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(
            module(Trainable(H)).float()(inputs), module(Trainable(H)).float()(inputs), rtol=0, atol=0
        )
    circuit = QuantumCircuit(2)
    circuit.h(0)
    model = QuantumModule(circuit, None, None, observables=Trainable(["IX", "ZI"], [0.3, 0.4])).double()
    assert model().tolist() == pytest.approx([0.7])
    assert model().dtype == torch.float64


def test_idle_qubits_and_other_methods():
    case = mixed(3, 4)
    inputs, weights = variables(case, 2)
    paulis = SparsePauliOp(["ZIIII", "IZIXI", "IIIIY", "IYIZX"], [1, 2, 3, 4])
    values = [built(case, method, Trainable(paulis)) for method in ("native", "pytorch")]
    found = [call(model, inputs, *weights) for model in values]
    torch.testing.assert_close(*found)
    torch.testing.assert_close(found[0], call(built(case, output=paulis), inputs, *weights))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Trainable(H, name="no name"), ValueError, "name: expected an identifier or None, got 'no name'"),
        (lambda: Trainable([State()]), TypeError, "paulis: expected observables, got an output"),
        (lambda: Trainable(Purity([0])), TypeError, "paulis: expected observables, got an output"),
        (lambda: Trainable(Purity), TypeError, "paulis: expected observables, got an output"),
        (lambda: Trainable(["ZZZ", Trainable]), TypeError, "paulis: expected observables, got an output"),
        (lambda: module(Trainable("ZZ")), ValueError, r"paulis\[0\]: expected 3 qubits"),
        (lambda: module(Trainable([])), ValueError, "paulis: expected at least one"),
        (lambda: module(Trainable(3)), TypeError, "paulis: expected"),
        (lambda: module(Trainable(0 * H)), ValueError, "paulis: expected at least one Pauli term"),
        (lambda: module(Trainable(H, [1, 2])), ValueError, "initial of 'coefficients': expected 3 values, got shape"),
        (lambda: module(Trainable(H, "odd")), ValueError, "initial of 'coefficients': expected one of 'constant'"),
        (
            lambda: module(Trainable(H, name="circuit")),
            ValueError,
            "name of Trainable: 'circuit' is taken by the module",
        ),
        (lambda: module([Trainable(H, name="c"), Trainable(H, name="c")]), ValueError, "'c' is taken by the module"),
        (lambda: module(["ZZZ", Trainable(H), State()]), ValueError, r"one number each in a list, got State\(\)"),
        (lambda: qtm.FastEstimator().expectation_values(QuantumCircuit(3), Trainable(H)), TypeError, "got Trainable"),
    ],
)
def test_wrong_arguments_are_named(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_any_name_works_or_is_said_to_be_taken():
    """Of a sum and of a set of weights; of modules with and without weights, whose attributes are not the same."""
    case = reuploading(2, 1)
    bare = case.circuit.assign_parameters({p: 0.1 for one in case.variational for p in one})
    both = [p for one in case.variational for p in one]
    makes = [
        lambda name: QuantumModule(case.circuit, case.encoding, both, observables=Trainable("individualZ", name=name)),
        lambda name: QuantumModule(bare, case.encoding, None, observables=Trainable("individualZ", name=name)),
        lambda name: QuantumModule(case.circuit, case.encoding, both, name, observables="ZZ"),
    ]
    for make in makes:
        plain = make(None)
        names = {*vars(plain), *dir(plain), *plain._buffers, *plain._parameters} - {"coefficients", "variational"}
        for name in sorted(filter(str.isidentifier, names)):
            try:
                model = make(name)
            except ValueError as error:
                assert f": '{name}' is taken by the module" in str(error)  # noqa: PT017
            else:
                assert model(torch.rand(3, 2)).shape == (3, 1)


def test_the_network_of_a_module_has_the_present_coefficients():
    for observables in (Trainable(H), ["ZZZ", Trainable("individualZ", ("normal", {}), name="a"), Trainable(H)]):
        model = module(observables)
        inputs = rows().requires_grad_()
        expected = model(inputs)
        weights = [vector.detach().numpy() for vector in model.variational_]
        np.testing.assert_allclose(model.qnn.forward(rows().numpy(), weights), expected.detach(), atol=1e-12)
        slopes, _ = model.qnn.backward(rows().numpy(), weights, encoding_gradients=True)
        (found,) = torch.autograd.grad(expected.sum(), inputs)
        np.testing.assert_allclose(slopes.sum(1), found, atol=1e-12)
