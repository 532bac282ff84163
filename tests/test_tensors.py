"""Tensors of every kind and dtype: right values, or one clear error; never a crash."""

import copy
import pickle
import threading

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.quantum_info import SparsePauliOp

from circuits_zoo import reuploading
from qiskit_torch_module import (
    FastEstimator,
    FastReverseEstimatorGradient,
    HybridModule,
    QuantumModule,
    compiler_passes,
    load,
    save,
    with_method,
)
from qiskit_torch_module._program.passes import PASS_NAMES, current_passes
from qiskit_torch_module._simulation.engines import engine_of

CASE = reuploading(2, 1)


def module(**options):
    return QuantumModule(CASE.circuit, CASE.encoding, CASE.variational, seed_init=1, **options)


def inputs(*shape, **options):
    return torch.rand(*(shape or (3, 2)), generator=torch.Generator().manual_seed(2), **options)


def freed(tensor, size=0):
    return _cut(tensor.clone(), size)


def _cut(tensor, size):
    tensor.untyped_storage().resize_(size)
    return tensor


# Name -> (a function of a module and an input, which gives its values); or a part of the message.
GOOD = {
    "zeros that take no memory": (lambda m, x: m(torch._efficientzerotensor(3, 2)), lambda m, x: m(torch.zeros(3, 2))),
    "a view with an offset": (lambda m, x: m(torch.cat([x, x])[3:]), lambda m, x: m(x)),
    "overlapping rows": (lambda m, x: m(x[:1].expand(3, 2)), lambda m, x: m(x[:1].repeat(3, 1))),
    "no rows": (lambda m, x: m(freed(x)[:0]), lambda m, x: m(x[:0])),
    "a freed storage of an empty tensor": (lambda m, x: m(freed(torch.empty(0, 2))), lambda m, x: m(x[:0])),
    "a parameter": (lambda m, x: m(torch.nn.Parameter(x)), lambda m, x: m(x)),
    "a list of tensors": (lambda m, x: m(list(x)), lambda m, x: m(x)),
    "a list of lists of tensors": (lambda m, x: m([list(row) for row in x]), lambda m, x: m(x)),
    "a tuple of tensors and lists": (lambda m, x: m((x[0], x[1].tolist(), x[2])), lambda m, x: m(x)),
    "a list of arrays": (lambda m, x: m([row.numpy() for row in x]), lambda m, x: m(x)),
    "a tensor of another class": (lambda m, x: m(x.as_subclass(Marked)).as_subclass(torch.Tensor), lambda m, x: m(x)),
}  # fmt: skip
WRONG = {
    "freed": (lambda m, x: m(freed(x)), RuntimeError, "inputs: expected a tensor with 24 bytes of memory, got one with 0"),
    "cut short": (lambda m, x: m(freed(x, 20)), RuntimeError, "inputs: expected .* 24 bytes of memory, got one with 20"),
    "strided and cut short": (lambda m, x: m(_cut(x.repeat(2, 2)[::2, ::2], 40)), RuntimeError, "76 bytes of memory, got one with 40"),
    "freed weights": (lambda m, x: _free(m) or m(x), RuntimeError, "weights: .* FSDP"),
    "weights on meta": (lambda m, x: m.to("meta")(x), TypeError, r"weights: expected tensors on cpu, .* device meta, which has no numbers; move the model by .to_empty\("),
    "on meta": (lambda m, x: m(x.to("meta")), TypeError, "input: expected a tensor on cpu, as the weights are, .* device meta, which has no"),
    "on meta, with plain PyTorch": (lambda m, x: with_method(m, "pytorch")(x.to("meta")), TypeError, "input: expected a tensor on cpu, as"),
    "shots on meta": (lambda m, x: m.sample(x.to("meta")), TypeError, "input: expected a tensor on cpu, as the weights are"),
    "shots of a model on meta": (lambda m, x: m.to("meta").sample(x.to("meta")), TypeError, "sample: expected a model and an input with numbers"),
    "sparse": (lambda m, x: m(x.to_sparse()), TypeError, r"expected a dense tensor, got layout torch.sparse_coo; use .to_dense\(\)"),
    "sparse rows": (lambda m, x: m(x.to_sparse_csr()), TypeError, "got layout torch.sparse_csr"),
    "mkldnn": (lambda m, x: m(x.to_mkldnn()), TypeError, "got layout torch._mkldnn"),
    "nested": (lambda m, x: m(torch.nested.nested_tensor([x[0], x[1]])), TypeError, "got a nested one"),
    "quantized": (lambda m, x: m(torch.quantize_per_tensor(x, 0.1, 0, torch.quint8)), TypeError, "got a quantized one, torch.quint8; use .dequantize"),
    "float8": (lambda m, x: m(x.to(torch.float8_e5m2)), TypeError, "got torch.float8_e5m2"),
    "freed cotangent": (lambda m, x: m(x).backward(freed(x)), RuntimeError, "cotangent: .* 24 bytes of memory, got one with 0"),
    "sparse cotangent": (lambda m, x: m(x).backward(x.to_sparse()), TypeError, "cotangent: expected a dense tensor on the CPU, .*sparse_coo"),
    "weights of two dtypes inside": (lambda m, x: engine_of(m._program).tensor_values_float32(x, 3, [one.double() for one in m.variational_], 1, False), TypeError, "weights: expected torch.float32"),
    "no tensor inside": (lambda m, x: engine_of(m._program).tensor_values_float32([1.0], 3, [], 1, False), TypeError, "inputs: expected a dense tensor on the CPU, got list"),
    "scripted": (lambda m, x: torch.jit.script(torch.nn.Sequential(m)), TypeError, "torch.jit.trace"),
}  # fmt: skip


class Marked(torch.Tensor):
    """A class of the user's own."""


def _free(model):
    for one in model.parameters():
        one.data.untyped_storage().resize_(0)


@pytest.mark.parametrize("name", GOOD)
def test_unusual_tensors_give_the_usual_values(name):
    found, expected = (function(module(), inputs()) for function in GOOD[name])
    assert torch.is_tensor(found)
    torch.testing.assert_close(found, expected)


@pytest.mark.filterwarnings("ignore")  # PyTorch calls some layouts a prototype
@pytest.mark.parametrize("name", WRONG)
def test_tensors_without_values_are_refused(name):
    function, error, message = WRONG[name]
    with pytest.raises(error, match=message):
        function(module(), inputs())


def test_gradients_take_zeros_that_take_no_memory():
    x = inputs().requires_grad_()
    module()(x).backward(torch._efficientzerotensor(3, 2))
    torch.testing.assert_close(x.grad, torch.zeros(3, 2))


def test_lists_of_tensors_keep_their_graph_and_take_the_dtype_of_the_parameters():
    rows = [one.requires_grad_() for one in inputs(dtype=torch.float64)]
    values = module()(rows)
    assert values.dtype == torch.float32
    values.sum().backward()
    assert all(one.grad is not None for one in rows)
    hybrid = HybridModule(CASE.circuit, CASE.encoding, CASE.variational, 2, 1, seed_init=1)
    torch.testing.assert_close(hybrid(list(inputs())), hybrid(inputs()))


HALF = (torch.float16, torch.bfloat16)


@pytest.mark.parametrize("dtype", HALF)
def test_networks_in_half_precision(dtype):
    """Every layer answers in the dtype of the network, and the circuit is computed in single precision."""
    network = torch.nn.Sequential(torch.nn.Linear(3, 2), module(), torch.nn.Linear(2, 1)).to(dtype)
    values = network(inputs(4, 3).to(dtype))
    assert values.dtype == dtype
    values.sum().backward()
    assert {one.grad.dtype for one in network.parameters()} == {dtype}
    hybrid = HybridModule(CASE.circuit, CASE.encoding, CASE.variational, 3, 1).to(dtype)
    assert hybrid(inputs(4, 3).to(dtype)).dtype == dtype
    quantum, x = module().to(dtype), inputs().to(dtype)
    exact = QuantumModule(CASE.circuit, CASE.encoding, CASE.variational)
    exact.load_state_dict(quantum.state_dict())
    torch.testing.assert_close(quantum(x), exact(x.float()).to(dtype), atol=0, rtol=0)


@pytest.mark.parametrize("weights", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("given", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_result_has_the_promoted_dtype(weights, given):
    model = module().to(weights)
    assert model(inputs().to(given)).dtype == torch.promote_types(weights, given)
    assert model(torch.ones(3, 2, dtype=torch.int64)).dtype == weights
    assert model([[0.1, 0.2]]).dtype == weights
    assert model(np.array([[0.1, 0.2]])).dtype == weights


def test_a_module_without_weights_remembers_its_dtype():
    x, circuit = Parameter("x"), QuantumCircuit(1)
    circuit.ry(x, 0)
    fixed = circuit.assign_parameters([0.3])
    exact = np.cos([[0.1]])
    for encoding, of, arguments in (
        (None, fixed, ()),
        ([x], circuit, (np.array([[0.1]]),)),
        ([x], circuit, ([[0.1]],)),
    ):
        model = QuantumModule(of, encoding, None)
        assert not model.state_dict()
        assert not list(model.parameters())
        assert model(*arguments).dtype == torch.float32
        for dtype in (torch.float64, torch.bfloat16, torch.float32):
            model.to(dtype)
            for one in (model, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
                assert one(*arguments).dtype == dtype
    found = QuantumModule(circuit, [x], None).double()(np.array([[0.1]]))
    np.testing.assert_allclose(found.numpy(), exact, atol=1e-15)
    old = QuantumModule(circuit, [x], None)
    del old._buffers["_like"]  # as pickled by version 2.0
    assert old([[0.1]]).dtype == torch.float32


def test_the_default_dtype_at_construction_counts(float64):
    model = QuantumModule(QuantumCircuit(1), None, None)
    torch.set_default_dtype(torch.float32)
    assert model().dtype == torch.float64


def test_passes_are_those_of_the_object_and_of_the_caller():
    """Jobs run in threads of their own, and copies are made anywhere."""
    with compiler_passes(fusion=False):
        slow = module()
        job_passes = []
        estimator = FastEstimator()
        inner = estimator.expectation_values

        def spied(circuit, *arguments):
            job_passes.append(current_passes().fusion)
            return inner(circuit, *arguments)

        estimator.expectation_values = spied
        estimator.run([(CASE.circuit, "ZZ", np.zeros(CASE.circuit.num_parameters))]).result()
    assert job_passes == [False]
    for one in (slow, copy.deepcopy(slow), pickle.loads(pickle.dumps(slow))):
        assert not one._program.evolution.passes.fusion
        torch.testing.assert_close(one(inputs()), module()(inputs()))


def test_passes_survive_files(tmp_path):
    with compiler_passes(fusion=False, shared_prefix=False):
        model = module()
    save(model, tmp_path / "model.qtm")
    loaded = load(tmp_path / "model.qtm")
    assert loaded._program.evolution.passes == model._program.evolution.passes
    torch.testing.assert_close(loaded(inputs()), model(inputs()))


@pytest.mark.parametrize("switch", PASS_NAMES)
def test_imaginary_derivatives_do_not_depend_on_passes(switch):
    """The phase that layers drop is that of the passes with which the circuit was compiled."""
    circuit = CASE.circuit.copy()
    a = Parameter("a")
    circuit.rz(a, 0)
    circuit = circuit.compose(CASE.circuit.assign_parameters(np.full(CASE.circuit.num_parameters, 0.3)))
    point = np.linspace(0.1, 1.0, circuit.num_parameters)
    gradient = FastReverseEstimatorGradient("imaginary")
    expected = gradient.run([circuit], [SparsePauliOp(["ZX"])], [point]).result().gradients[0]
    with compiler_passes(**{switch: False}):
        found = gradient.run([circuit], [SparsePauliOp(["ZX"])], [point]).result().gradients[0]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_threads_are_asked_for_at_every_call():
    before, seen = torch.get_num_threads(), []
    model = module()
    original = engine_of(model._program)

    class Spy:
        def tensor_values_float32(self, inputs, size, weights, threads, recorded):
            seen.append(threads)
            return original.tensor_values_float32(inputs, size, weights, threads, recorded)

    runner = model._runners(inputs())
    runner._engine = Spy()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            model(inputs())
            worker = threading.Thread(target=model, args=(inputs(),))
            worker.start()
            worker.join()
        model.set_num_threads_forward(3)
        model(inputs())
    finally:
        torch.set_num_threads(before)
        runner._engine = original
    assert seen == [1, 1, 2, 2, 3]
