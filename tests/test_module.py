"""QuantumModule as a PyTorch module: shapes, sets, initial values, dtypes, errors."""

import copy
import pickle

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector
from qiskit.quantum_info import SparsePauliOp

from circuits_zoo import reuploading
from qiskit_torch_module import QuantumModule, methods, outputs
from qiskit_torch_module._reading import observables as _observables


def module(**options):
    case = reuploading(3, 1)
    return QuantumModule(case.circuit, case.encoding, case.variational, **{"seed_init": 5, **options})


@pytest.mark.parametrize("shape", [(3,), (1, 3), (7, 3), (2, 5, 3), (2, 1, 4, 3), (0, 3), (2, 0, 3)])
def test_leading_shapes(shape):
    model, inputs = module(), torch.rand(shape)
    values = model(inputs)
    assert values.shape == (*shape[:-1], 3)
    torch.testing.assert_close(
        values.reshape(-1, 3), model(inputs.reshape(-1, 3)) if inputs.numel() else values.reshape(-1, 3)
    )
    values.sum().backward()
    assert all(torch.isfinite(one.grad).all() for one in model.variational_)


def test_strided_and_expanded_inputs():
    model = module()
    strided, expanded = torch.rand(3, 4).T, torch.rand(1, 3).expand(4, 3)
    torch.testing.assert_close(model(strided), model(strided.clone()))
    torch.testing.assert_close(model(expanded), model(expanded.clone()))


def test_gradients_of_inputs_and_cotangents_that_are_not_contiguous():
    model, cotangent = module(), torch.rand(3, 4).T
    for given in (torch.rand(3, 4).T, torch.rand(1, 3).expand(4, 3), torch.rand(8, 6)[::2, ::2]):
        inputs, plain = given.detach().requires_grad_(), given.contiguous().requires_grad_()
        found = torch.autograd.grad((model(inputs) * cotangent).sum(), [inputs, *model.variational_])
        expected = torch.autograd.grad(model(plain), [plain, *model.variational_], cotangent.contiguous())
        torch.testing.assert_close(found, expected)
    expanded = torch.autograd.grad(model(plain).sum(), plain)
    torch.testing.assert_close(expanded, torch.autograd.grad(model(plain), plain, torch.ones(4, 3)))


def test_inputs_that_are_negative_only_by_a_flag():
    model = module()
    flagged = torch.complex(torch.rand(4, 3), torch.rand(4, 3)).conj().imag
    assert flagged.is_neg()
    torch.testing.assert_close(model(flagged), model(flagged.resolve_neg()))
    one = torch._neg_view(torch.rand(4, 3))
    torch.testing.assert_close(model(one), model(one.resolve_neg()))


ARRAYS = {
    "backwards": lambda array: array[::-1, ::-1],
    "of the other byte order": lambda array: array.astype(array.dtype.newbyteorder()),
    "of extended precision": lambda array: array.astype(np.longdouble),
    "by columns": np.asfortranarray,
    "in half precision": lambda array: array.astype(np.float16),
    "whole": lambda array: np.round(array).astype(np.int16)[::-1],
}


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_arrays_of_any_layout(name, dtype):
    model = module().to(dtype)
    array = ARRAYS[name](np.random.default_rng(0).uniform(0, 2, (5, 3)))
    expected = model(torch.tensor(array.astype(np.float64).copy()).to(dtype))
    torch.testing.assert_close(model(array), expected)
    torch.testing.assert_close(model(list(array)), expected)


def test_without_input():
    w = ParameterVector("w", 2)
    circuit = QuantumCircuit(2)
    circuit.ry(w[0], 0)
    circuit.ry(w[1], 1)
    model = QuantumModule(circuit, None, w, variational_params_initial=[0.1, 0.2])
    expected = torch.cos(torch.tensor([0.1, 0.2]))
    torch.testing.assert_close(model(), expected)
    torch.testing.assert_close(model(torch.empty(4, 0)), expected.expand(4, 2))
    with pytest.raises(ValueError, match=r"input: expected none"):
        model(torch.rand(2))


def test_without_weights():
    x = Parameter("x")
    circuit = QuantumCircuit(1)
    circuit.rx(x, 0)
    model = QuantumModule(circuit, [x], None)
    inputs = torch.tensor([[0.3], [0.4]], requires_grad=True)
    model(inputs).sum().backward()
    torch.testing.assert_close(inputs.grad, -torch.sin(inputs.detach()))
    assert model.num_trainable_parameters == 0


def test_sets_have_their_names_initial_values_and_learning_rates():
    model = module(
        variational_params_names=["weights", "scaling"],
        variational_params_initial=[("normal", {"std": 0.1}), "constant"],
    )
    assert [name for name, _ in model.named_parameters()] == ["weights", "scaling"]
    assert model.variational_[0] is model.weights
    assert torch.equal(model.scaling, torch.ones(6))
    assert 0 < model.weights.abs().max() < 1
    before = [one.detach().clone() for one in model.variational_]
    optimizer = torch.optim.SGD([{"params": [model.weights], "lr": 0.5}, {"params": [model.scaling], "lr": 0.0}])
    model(torch.rand(4, 3)).sum().backward()
    optimizer.step()
    assert not torch.equal(model.weights, before[0])
    assert torch.equal(model.scaling, before[1])


@pytest.mark.parametrize(
    ("initial", "low", "high"),
    [
        ("uniform", 0.0, 6.2832),
        ("constant", 1.0, 1.0),
        (("constant", {"val": -2.0}), -2.0, -2.0),
        (("uniform", {"a": -0.5, "b": 0.5}), -0.5, 0.5),
        ("normal", -6.0, 6.0),
        ([[0.5] * 12, [0.5] * 6], 0.5, 0.5),
        ([torch.full((12,), 0.25), "constant"], 0.25, 1.0),
    ],
)
def test_initial_values(initial, low, high):
    model = module(variational_params_initial=initial)
    for one in model.variational_:
        assert low <= one.min() <= one.max() <= high


def test_explicit_values_for_one_set():
    w = ParameterVector("w", 2)
    circuit = QuantumCircuit(1)
    circuit.rx(w[0] * w[1], 0)
    for initial in ([0.5, 2.0], torch.tensor([0.5, 2.0]), torch.tensor([0.5, 2.0]).numpy(), (0.5, 2.0)):
        assert QuantumModule(circuit, None, w, variational_params_initial=initial).variational_0.tolist() == [0.5, 2.0]


def test_seed_decides_and_leaves_the_global_state_alone():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    first, second, third = module(), module(), module(seed_init=6)
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(first.variational_0, second.variational_0)
    assert not torch.equal(first.variational_0, third.variational_0)


def test_sizes_and_repr():
    model = module(variational_params_names=["w", "s"])
    assert (model.input_size, model.output_size, model.num_trainable_parameters) == (3, 3, 18)
    assert model.circuit.num_qubits == 3
    assert repr(model) == (
        "QuantumModule(num_qubits=3, input_size=3, output_size=3, observables=individualZ, dtype=float32, "
        "trainable: w=12, s=6)"
    )
    assert repr(module(method="native")).endswith("trainable: variational_0=12, variational_1=6, method=Native())")


@pytest.mark.parametrize(
    ("observables", "shown"),
    [
        ("ZZI", "ZZI"),
        (["ZII", "XXI"], "[ZII, XXI]"),
        (outputs.Probabilities([0]), "Probabilities"),
        (SparsePauliOp(["ZZZ", "XII"]), "SparsePauliOp(['ZZZ', 'XII'], coeffs=[1…"),
        ({"ZZZ": 0.5}, "ZZZ: 0.5"),
    ],
)
def test_repr_says_what_comes_out_in_one_line(observables, shown):
    text = repr(module(observables=observables).double())
    assert f", observables={shown}, dtype=float64, trainable: " in text
    assert "\n" not in text


def test_a_circuit_is_compiled_once():
    case = reuploading(3, 1)
    make = lambda circuit, *sets: QuantumModule(circuit, case.encoding, sets)._program  # noqa: E731
    first = make(case.circuit, *case.variational)
    assert make(case.circuit.copy(), *case.variational) is first
    assert make(case.circuit, *reversed(case.variational)) is not first
    case.circuit.x(0)
    assert make(case.circuit, *case.variational) is not first


def test_a_matrix_is_turned_into_paulis_once(monkeypatch):
    from qiskit_torch_module._program import cache
    from qiskit_torch_module._program import compile as _compile

    calls = []
    counted = lambda *arguments: calls.append(0) or _observables.pauli_sums(*arguments)  # noqa: E731
    for place in (cache, _compile):
        monkeypatch.setattr(place, "pauli_sums", counted)
    case, z = reuploading(3, 1), np.diag([1.0, -1.0])
    model = QuantumModule(case.circuit, case.encoding, case.variational, observables=np.kron(np.eye(4), z), seed_init=5)
    assert len(calls) == 1
    inputs = torch.rand(2, 3)
    torch.testing.assert_close(model(inputs), module()(inputs)[:, :1])


def test_state_dict_deepcopy_and_pickle():
    model, inputs = module(), torch.rand(2, 3)
    other = module(seed_init=6)
    other.load_state_dict(model.state_dict())
    for copied in (other, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        torch.testing.assert_close(copied(inputs), model(inputs))
    twin = copy.deepcopy(model)
    with torch.no_grad():
        twin.variational_0.zero_()
    assert not torch.equal(twin(inputs), model(inputs))


@pytest.mark.parametrize(
    ("parameters", "inputs", "values"),
    [
        (torch.float32, torch.float32, torch.float32),
        (torch.float64, torch.float64, torch.float64),
        (torch.float64, torch.float32, torch.float64),
        (torch.float32, torch.float64, torch.float64),
        (torch.float32, torch.float16, torch.float32),
        (torch.float32, torch.int64, torch.float32),
        (torch.float64, torch.uint8, torch.float64),
    ],
)
def test_dtypes(parameters, inputs, values):
    model = module().to(parameters)
    given = torch.ones(2, 3).to(inputs)
    found = model(given)
    assert found.dtype == values
    found.sum().backward()
    assert model.variational_0.grad.dtype == parameters
    expected = module().double()(torch.ones(2, 3, dtype=torch.float64))
    torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_parameters_compute_in_single(dtype):
    assert module().to(dtype)(torch.ones(2, 3)).dtype == torch.float32


def test_input_gradients_follow_requires_grad_and_the_flag_forces_them_off():
    inputs = torch.rand(2, 3, requires_grad=True)
    module()(inputs).sum().backward()
    assert inputs.grad.abs().sum() > 0
    inputs.grad = None
    module(encoding_gradients_flag=False)(inputs).sum().backward()
    assert inputs.grad is None


def test_gradient_flags_of_sets():
    model = module()
    model.set_variational_gradients_flag([True, False])
    assert [one.requires_grad for one in model.variational_] == [True, False]
    model.set_variational_gradients_flag(False)
    assert not model(torch.rand(1, 3)).requires_grad
    with pytest.raises(ValueError, match="expected one flag for all or 2, got 3"):
        model.set_variational_gradients_flag([True] * 3)


def test_drawing_and_printing():
    model = module()
    assert "q_2" in str(model.draw("text"))
    assert "variational_0=12, variational_1=6" in repr(model)


def test_no_grad_and_inference_mode():
    model = module()
    for context in (torch.no_grad(), torch.inference_mode()):
        with context:
            assert not model(torch.rand(1, 3)).requires_grad


def test_graphs_that_are_kept_hooks_and_checkpoints():
    model, inputs = module(), torch.rand(4, 3, requires_grad=True)
    loss = model(inputs).square().sum()
    loss.backward(retain_graph=True)
    once, seen = [one.grad.clone() for one in model.variational_], []
    loss.backward()
    for one, first in zip(model.variational_, once, strict=True):
        torch.testing.assert_close(one.grad, 2 * first)
    model.zero_grad()
    model.variational_0.register_hook(lambda gradient: seen.append(gradient.shape))
    model.register_full_backward_hook(lambda module, before, after: seen.append(after[0].shape))
    checkpointed = torch.utils.checkpoint.checkpoint(model, inputs, use_reentrant=False)
    checkpointed.square().sum().backward()
    assert torch.Size([4, 3]) in seen
    assert model.variational_0.shape in seen
    for one, first in zip(model.variational_, once, strict=True):
        torch.testing.assert_close(one.grad, first)


@pytest.mark.parametrize("parametrized", [False, True])
def test_zero_grad(parametrized):
    model = module()
    if parametrized:  # the parameter moves into a submodule
        torch.nn.utils.parametrize.register_parametrization(model, "variational_0", torch.nn.Tanh())
    parameters = list(model.parameters())
    assert len(parameters) == 2
    model(torch.rand(2, 3)).sum().backward()
    model.zero_grad(set_to_none=False)
    assert all(one.grad is not None and not one.grad.any() for one in parameters)
    model.zero_grad()
    assert all(one.grad is None for one in parameters)


def test_integers_and_halves_take_the_dtype_of_the_parameters():
    model = module()
    for dtype in (torch.int64, torch.bool, torch.float16, torch.bfloat16):
        inputs = torch.tensor([[1, 0, 1]], dtype=dtype)
        torch.testing.assert_close(model(inputs), model(inputs.float()))
    half, inputs = module().half(), torch.rand(1, 3).half()
    values = half(inputs)
    assert values.dtype == torch.float16
    values.sum().backward()
    assert half.variational_0.grad.dtype == torch.float16
    with pytest.raises(TypeError, match="got torch.complex64"):
        model(torch.rand(1, 3, dtype=torch.complex64))


@pytest.mark.parametrize(
    ("inputs", "error", "message"),
    [
        (torch.tensor([[0.0, float("nan"), 0.0]]), ValueError, "inputs: expected finite values, got nan in sample 0, column 1; clean"),
        (torch.tensor([[0.0] * 3, [0.0, 0.0, float("-inf")]]), ValueError, "got -inf in sample 1, column 2"),
        (torch.rand(2, 4), ValueError, r"input: expected shape \(..., 3\), one column .* got \(2, 4\)"),
        (torch.tensor(1.0), ValueError, r"got \(\)"),
        (None, ValueError, "got None; the circuit has encoding parameters"),
        (torch.zeros(2, 3, dtype=torch.complex64), TypeError, "expected float32 or float64.* real and imaginary parts as"),
    ],
)  # fmt: skip
def test_bad_inputs_are_named(inputs, error, message):
    with pytest.raises(error, match=message) as caught:
        module()(inputs)
    assert "\n" not in str(caught.value)


def test_weights_that_are_not_finite_are_named():
    model = module()
    with torch.no_grad():
        model.variational_0[2] = float("inf")
    with pytest.raises(ValueError, match=r"weights: expected finite values, got inf of parameter 'b\[2\]'; look for"):
        model(torch.rand(1, 3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variational_params_names": ["one"]}, "expected one name for each of 2 sets"),
        ({"variational_params_names": ["a", "a b"]}, "expected identifiers, got 'a b'"),
        ({"variational_params_names": ["forward", "b"]}, "'forward' is taken by the module"),
        ({"variational_params_names": ["b", "b"]}, "expected names that differ, got 'b' twice"),
        ({"variational_params_initial": "gaussian"}, "of 'variational_0': expected one of 'constant', 'uniform', 'normal'"),
        ({"variational_params_initial": ("normal", {"sigma": 1})}, r"'normal' takes \['mean', 'std'\], got \['sigma'\]"),
        ({"variational_params_initial": ["normal"] * 3}, "expected one entry for all sets or 2 entries, got 3"),
        ({"variational_params_initial": "zeros"}, "or a function such as torch.nn.init.zeros_, got 'zeros'"),
        ({"variational_params_initial": [[0.0] * 12, [0.0] * 5]}, r"of 'variational_1': expected 6 values, got shape \(5,\)"),
        ({"variational_params_initial": [[0.0] * 12, [float("nan")] * 6]}, "expected finite values"),
        ({"num_threads_forward": -1}, "num_threads_forward: expected a number of threads"),
        ({"num_threads_backward": 1.5}, "num_threads_backward: expected a number of threads"),
    ],
)  # fmt: skip
def test_bad_arguments_are_named_at_construction(options, message):
    with pytest.raises(ValueError, match=message) as caught:
        module(**options)
    assert "\n" not in str(caught.value)


def test_options_of_an_initializer_are_a_mapping():
    circuit, angle = QuantumCircuit(1), Parameter("angle")
    circuit.ry(angle, 0)
    with pytest.raises(ValueError, match=r"one entry for the only set, got 2; .* as \('normal', {'std': 0\.1}\)$"):
        QuantumModule(circuit, None, [angle], variational_params_initial=("normal", 0.1))


def test_threads_can_be_set_later():
    model = module(num_threads_forward=2)
    assert (model.num_threads_forward, model.num_threads_backward) == (2, 0)
    model.set_num_threads_forward(1)
    model.set_num_threads_backward(3)
    assert (model.num_threads_forward, model.num_threads_backward) == (1, 3)


def test_a_bound_circuit_needs_no_parameters():
    circuit = QuantumCircuit(2)
    circuit.x(0)
    assert QuantumModule(circuit)().tolist() == [-1.0, 1.0]
    circuit.rx(Parameter("angle"), 0)
    with pytest.raises(ValueError, match="in neither encoding_params nor variational_params: 'angle'"):
        QuantumModule(circuit)


def test_the_network_of_a_measured_circuit_and_of_one_without_weights():
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.measure_all()
    model = QuantumModule(circuit, None, None, observables=["XX", "ZI", "IX"])
    np.testing.assert_allclose(model.qnn.forward(None, []), [[0, 1, 1]], atol=1e-12)


@pytest.mark.parametrize("method", ["native", "pytorch", methods.Shots(10)], ids=str)
def test_a_set_of_the_wrong_size_is_named(method):
    a, b = ParameterVector("a", 3), ParameterVector("b", 3)
    circuit = QuantumCircuit(1)
    for parameter in (*a, *b):
        circuit.ry(parameter, 0)
    model = QuantumModule(circuit, None, [a, b], ["a", "b"], method=method)
    message = r"^b: expected shape \(3,\), a number for each parameter of the set, got \(2,\)$"
    with pytest.raises(ValueError, match=message):
        torch.func.functional_call(model, {"b": torch.zeros(2)})
    model()
    model.b = torch.nn.Parameter(torch.zeros(2))
    for call in (model, lambda: model(torch.zeros(5, 0)), lambda: model.cost(None)):
        with pytest.raises(ValueError, match=message):
            call()
    model.a = torch.nn.Parameter(torch.zeros(4))  # as many together
    with pytest.raises(
        ValueError, match=r"^a: expected shape \(3,\), a number for each parameter of the set, got \(4,\)"
    ):
        model()
    model.a, model.b = torch.nn.Parameter(torch.zeros(3)), torch.nn.Parameter(torch.zeros(3))
    assert model().shape == (1,)
