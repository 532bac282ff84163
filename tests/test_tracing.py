"""Modes, tracing, subclasses and compilers see operators, in graphs that carry their program."""

import ast
import functools
import inspect
import io
import json
import pickle
import subprocess
import sys
import warnings

import pytest
import torch
import torch.utils.checkpoint
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

from circuits_zoo import encoded, reuploading
from qiskit_torch_module import HybridModule, QuantumModule
from qiskit_torch_module._differentiation import operators as _operator
from qiskit_torch_module._simulation import variables

pytestmark = pytest.mark.filterwarnings("ignore")  # those of the compilers
CASE = reuploading(2, 1)
X = torch.rand(3, 2, generator=torch.Generator().manual_seed(2))
MORE = torch.rand(5, 2, generator=torch.Generator().manual_seed(3))
compiled = functools.partial(torch.compile, fullgraph=True, backend="aot_eager")


def module(**options):
    return QuantumModule(CASE.circuit, CASE.encoding, CASE.variational, seed_init=1, **options)


def expressions():
    """Angles that are computed before the engine starts."""
    x, y, w, circuit = Parameter("x"), Parameter("y"), Parameter("w"), QuantumCircuit(1)
    circuit.ry(x.sin() * w + y, 0)
    circuit.rx(w.exp(), 0)
    return QuantumModule(circuit, [x, y], [w], seed_init=1)


def without_weights():
    x, y, circuit = Parameter("x"), Parameter("y"), QuantumCircuit(1)
    circuit.ry(x, 0)
    circuit.rz(y, 0)
    circuit.ry(x, 0)
    return QuantumModule(circuit, [x, y], None)


MODULES = [module, expressions, without_weights]


def gradient(function, at):
    at = at.detach().clone().requires_grad_()
    return torch.autograd.grad(function(at).square().sum(), at)[0]


def slope(model):
    return lambda x: torch.func.grad(lambda x: model(x).square().sum())(x)


@pytest.mark.parametrize("make", MODULES)
@pytest.mark.parametrize("mode", ["real", "fake", "symbolic"])
def test_make_fx(make, mode):
    model = make()
    names, weights = model.variational_names, [one.detach() for one in model.variational_]

    def run(x, *weights):
        return torch.func.functional_call(model, dict(zip(names, weights, strict=True)), (x,))

    graph = make_fx(run, tracing_mode=mode)(X, *weights)
    at = MORE if mode == "symbolic" else X + 1
    torch.testing.assert_close(graph(at, *weights), model(at))


DERIVED = {
    "values before dispatch": lambda model: lambda x: model(x),
    "torch.autograd.grad": lambda model: lambda x: gradient(model, x),
    "torch.func.grad": slope,
    "vmap": lambda model: torch.func.vmap(lambda row: model(row)),
    "vmap of grad": lambda model: torch.func.vmap(slope(model)),
    "functionalize": torch.func.functionalize,
}


@pytest.mark.parametrize("name", DERIVED)
def test_graphs_of_derivatives(name):
    function = DERIVED[name](module())
    torch.testing.assert_close(make_fx(function, pre_dispatch="before" in name)(X)(X + 1), function(X + 1))


@pytest.mark.parametrize("make", MODULES)
def test_transforms_of_every_module(make):
    torch.testing.assert_close(torch.func.vmap(make())(X), make()(X))
    torch.testing.assert_close(torch.func.functionalize(make())(X), make()(X))


FUNCTIONALIZED = {
    "grad of it": lambda f, x: torch.func.grad(torch.func.functionalize(f))(x),
    "of grad": lambda f, x: torch.func.functionalize(torch.func.grad(f))(x),
    "vmap of grad of it": lambda f, x: torch.func.vmap(torch.func.grad(torch.func.functionalize(f)))(
        torch.stack([x, 2 * x])
    ),
    "jacrev of it": lambda f, x: torch.func.jacrev(torch.func.functionalize(f))(x),
    "hessian of it": lambda f, x: torch.func.hessian(torch.func.functionalize(f))(x),
    "autograd of it": lambda f, x: torch.autograd.functional.jacobian(torch.func.functionalize(f), x),
}


@pytest.mark.parametrize("make", MODULES)
@pytest.mark.parametrize("name", FUNCTIONALIZED)
def test_derivatives_of_functionalized_modules(name, make, monkeypatch):
    model = make().double()
    found = FUNCTIONALIZED[name](lambda x: model(x).square().sum(), X.double())
    monkeypatch.setattr(torch.func, "functionalize", lambda function: function)
    torch.testing.assert_close(found, FUNCTIONALIZED[name](lambda x: model(x).square().sum(), X.double()))


@pytest.mark.parametrize("make", MODULES)
def test_training_with_fake_tensors(make):
    with FakeTensorMode():
        network = torch.nn.Sequential(torch.nn.Linear(2, 2), make())
        optimizer = torch.optim.Adam(network.parameters())
        x = torch.rand(4, 2, requires_grad=True)
        network(x).sum().backward()
        optimizer.step()
        assert x.grad.shape == (4, 2)
    with FakeTensorMode(allow_non_fake_inputs=True):
        assert make()(torch.rand(3, 2)).shape[0] == 3


@pytest.mark.parametrize("make", MODULES)
def test_shapes_on_meta(make):
    model = make().to("meta")
    values = model(torch.rand(3, 2, device="meta", requires_grad=True))
    assert values.is_meta
    assert values.shape == (3, model.output_size)
    values.sum().backward()
    with torch.device("meta"):
        model = make()
    assert model([[0.1, 0.2]]).is_meta
    model.to_empty(device="cpu").reset_parameters(1)
    torch.testing.assert_close(model(X), make()(X))


class _Seen(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.names.append(str(function))
        return function(*args, **(kwargs or {}))


class _SeenFunctions(TorchFunctionMode):
    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        self.names.append(str(function))
        return function(*args, **(kwargs or {}))


OPERATORS = ["qiskit_torch_module.values.default", "qiskit_torch_module.gradients.default"]


def test_modes_see_the_operators():
    model, expected = module(), gradient(module(), X)
    with _Seen() as seen:
        torch.testing.assert_close(gradient(model, X), expected)
    assert [name for name in seen.names if "qiskit" in name] == OPERATORS
    with _SeenFunctions() as seen:
        model(X)
    assert any("values" in name for name in seen.names)
    with FlopCounterMode(display=False) as counter:
        torch.nn.Sequential(torch.nn.Linear(2, 2), model)(X).sum().backward()
    assert counter.get_total_flops() > 0
    with torch.device("cpu"):
        torch.testing.assert_close(gradient(model, X), expected)


def test_forward_mode_within_a_mode():
    with FlopCounterMode(display=False), torch.autograd.forward_ad.dual_level():
        dual = module()(torch.autograd.forward_ad.make_dual(X, torch.ones_like(X)))
        found = torch.autograd.forward_ad.unpack_dual(dual).tangent
    torch.testing.assert_close(found, torch.func.jvp(module(), (X,), (torch.ones_like(X),))[1])


class _Wrapped(torch.Tensor):
    """Holds another tensor, and has no memory of its own."""

    names: list[str]

    @staticmethod
    def __new__(cls, inner):
        return torch.Tensor._make_wrapper_subclass(cls, inner.shape, dtype=inner.dtype, strides=inner.stride())

    def __init__(self, inner):
        self.inner = inner

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        cls.names.append(str(function))
        args, kwargs = tree_map(lambda one: one.inner if isinstance(one, cls) else one, (args, kwargs or {}))
        return tree_map(lambda one: cls(one) if isinstance(one, torch.Tensor) else one, function(*args, **kwargs))


def test_subclasses_see_the_operators():
    _Wrapped.names = []
    model = module()
    values = model(_Wrapped(X))
    torch.testing.assert_close(values.inner, model(X).detach())
    values.square().sum().backward()
    assert [name for name in _Wrapped.names if "qiskit" in name] == OPERATORS
    found = model.variational_0.grad.inner
    model.zero_grad()
    model(X).square().sum().backward()
    torch.testing.assert_close(found, model.variational_0.grad)


@pytest.mark.skipif(not hasattr(torch.utils.checkpoint, "create_selective_checkpoint_contexts"), reason="PyTorch 2.4")
def test_checkpoints_that_keep_the_operator():
    contexts = torch.utils.checkpoint.create_selective_checkpoint_contexts
    keep = functools.partial(contexts, [torch.ops.qiskit_torch_module.values.default])
    model = module()
    found = gradient(lambda x: checkpoint(lambda x: model(x).sin(), x, use_reentrant=False, context_fn=keep), X)
    torch.testing.assert_close(found, gradient(lambda x: model(x).sin(), X))


def test_deterministic_algorithms_and_saved_tensors_elsewhere():
    expected = gradient(module(), X)
    torch.use_deterministic_algorithms(True)
    try:
        torch.testing.assert_close(gradient(module(), X), expected)
    finally:
        torch.use_deterministic_algorithms(False)
    with torch.autograd.graph.save_on_cpu():
        torch.testing.assert_close(gradient(module(), X), expected)


def test_operators_say_what_they_take():
    """PyTorch 2.4 cannot infer it from annotations that are text; later ones can, which hides that it is missing."""
    seen = {}
    for module in (_operator, variables):
        for statement in ast.parse(inspect.getsource(module)).body:
            for decorator in getattr(statement, "decorator_list", []):
                if "custom_op" in ast.unparse(decorator):
                    seen[statement.name] = any(keyword.arg == "schema" for keyword in decorator.keywords)
    assert {"values", "gradients", "block_variables"} <= seen.keys()
    assert all(seen.values()), seen


def test_operators_keep_their_promises_for_columns():
    """Inputs whose columns lie one after the other: gradients are contiguous all the same."""
    text = _operator.text_of(module()._program)
    x, weights, cotangent = torch.rand(2, 4).t(), torch.rand(12), torch.rand(4, 2)
    operators, check = (
        torch.ops.qiskit_torch_module,
        functools.partial(torch.library.opcheck, test_utils="test_faketensor"),
    )
    check(operators.values.default, (x, weights, text, 0, 0))
    check(operators.gradients.default, (cotangent, x, weights, text, 0))


@pytest.mark.parametrize("make", MODULES)
def test_a_fresh_module_compiles_as_one_graph(make):
    """Also in sequences, in half precision, with any batch size, and after its threads were changed."""
    torch._dynamo.reset()
    model = make()
    graph = compiled(model, dynamic=True)
    for at in (X, MORE, X[:1]):
        torch.testing.assert_close(graph(at), model(at))
        torch.testing.assert_close(gradient(graph, at), gradient(model, at))
    model.set_num_threads_forward(1)
    torch.testing.assert_close(graph(X), model(X))
    network = torch.nn.Sequential(torch.nn.Linear(2, 2), make()).bfloat16()
    assert compiled(network)(X.bfloat16()).dtype == torch.bfloat16


def test_a_module_without_inputs_compiles_as_one_graph():
    """None stands for no numbers, of which no array is made on the way."""
    torch._dynamo.reset()
    x = ParameterVector("x", 2)
    model = QuantumModule(encoded(1, x), None, [x], seed_init=1)
    graph = compiled(model)
    torch.testing.assert_close(graph(), model())
    graph().sum().backward()
    assert model.variational.grad is not None


def test_compiled_transforms():
    model = module()
    ensemble = {name: torch.stack([one.detach()] * 4) for name, one in model.named_parameters()}

    def members(weights):
        return torch.func.functional_call(model, weights, (X,))

    for function, at in ((model, X), (members, ensemble)):
        mapped = lambda at, function=function: torch.func.vmap(function)(at)  # noqa: E731
        torch.testing.assert_close(compiled(mapped)(at), mapped(at))
    hybrid = HybridModule(CASE.circuit, CASE.encoding, CASE.variational, 3, 1)
    torch.testing.assert_close(compiled(hybrid)(torch.ones(4, 3)), hybrid(torch.ones(4, 3)))


def amplitudes():
    x, w = ParameterVector("x", 2), Parameter("w")
    circuit = encoded(1, x)
    circuit.ry(w, 0)
    return QuantumModule(circuit, x, [w], seed_init=1)


DERIVATIVES = {
    "grad": lambda f: torch.func.grad(f),
    "vjp": lambda f: lambda x: torch.func.vjp(f, x)[1](torch.tensor(2.0))[0],
    "jvp": lambda f: lambda x: torch.func.jvp(f, (x,), (torch.ones_like(x),))[1],
    "hessian": lambda f: torch.func.hessian(f),
}


@pytest.mark.parametrize(("name", "make"), [*((name, module) for name in DERIVATIVES), ("vjp", amplitudes)])
def test_derivatives_inside_of_what_is_compiled(name, make):
    """Registered operators have none, of forward mode silently: PyTorch takes them for 0."""
    model = make()

    def outer(x):
        return DERIVATIVES[name](lambda x: model(x).square().sum())(x * 1.5)

    expected = outer(X)
    assert expected.abs().max() > 1e-3
    torch._dynamo.reset()
    torch.testing.assert_close(torch.compile(outer, backend="aot_eager")(X), expected)
    if name == "jvp":
        torch._dynamo.reset()
        with pytest.raises(torch._dynamo.exc.Unsupported, match="graph_break"):
            torch.compile(outer, backend="aot_eager", fullgraph=True)(X)


def test_equal_programs_share_a_graph_and_others_do_not():
    torch._dynamo.reset()
    counter = torch._dynamo.testing.CompileCounter()
    for _ in range(6):
        torch.compile(module(), fullgraph=True, backend=counter)(X)
    assert counter.frame_count == 1
    for observable in ("ZZ", "XX", "YY", ["ZI"], ["IZ"]):
        model = module(observables=observable)
        torch.testing.assert_close(compiled(model)(X), model(X))


LIMIT = "recompile_limit" if hasattr(torch._dynamo.config, "recompile_limit") else "cache_size_limit"


@torch._dynamo.config.patch(**{LIMIT: 2})
def test_compiled_training_steps_of_many_models():
    """More models than PyTorch compiles one function for: the rest runs as it is."""
    torch._dynamo.reset()

    def step(model, optimizer):
        optimizer.zero_grad()
        loss = model(X).square().mean()
        loss.backward()
        optimizer.step()
        return loss.detach()

    graph = torch.compile(step, backend="aot_eager")
    for observable in ("ZZ", "XX", "YY", "ZI", "IZ"):
        losses = []
        for run in (graph, step):
            model = module(observables=observable)
            optimizer = torch.optim.SGD(model.parameters(), 0.1)
            losses.append([run(model, optimizer).item() for _ in range(3)])
        assert losses[0] == pytest.approx(losses[1], abs=1e-6)


def test_compiled_backward_passes():
    from torch._dynamo import compiled_autograd

    x = X.clone().requires_grad_()
    loss = module()(x).square().sum()
    with compiled_autograd._enable(functools.partial(torch.compile, backend="eager")):
        loss.backward()
    torch.testing.assert_close(x.grad, gradient(module(), X))


SAVED = {
    "exported": lambda model: torch.export.export(model, (X,), dynamic_shapes=({0: torch.export.Dim("batch")},)),
    "make_fx": lambda model: make_fx(model)(X),
    "traced": lambda model: torch.jit.trace(model, (X,)),
}  # fmt: skip


def _saved(kind, graph):
    buffer = io.BytesIO()
    if kind == "exported":
        torch.export.save(graph, buffer)
    elif kind == "traced":
        torch.jit.save(graph, buffer)
    else:
        pickle.dump(graph, buffer)
    return buffer.getvalue()


READ = """
import io, json, pickle, sys, torch, qiskit_torch_module
graphs, x = pickle.load(sys.stdin.buffer)
for kind, data in graphs:
    if kind == "exported":
        graph = torch.export.load(io.BytesIO(data)).module()
    elif kind == "traced":
        graph = torch.jit.load(io.BytesIO(data))
    else:
        graph = pickle.loads(data)
    x = x.detach().requires_grad_()
    values = graph(x)
    [found] = torch.autograd.grad(values.square().sum(), x)
    print(json.dumps([values.tolist(), found.tolist()]))
"""


def test_graphs_are_read_in_another_process():
    """With values and gradients: a graph carries its program."""
    graphs, expected, at = [], [], X + 1
    for make in MODULES:
        for kind, graph_of in SAVED.items():
            model = make()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                graphs.append((kind, _saved(kind, graph_of(model))))
            expected.append((model(at), gradient(model, at)))
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", READ],
        input=pickle.dumps((graphs, at)),
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr.decode()
    lines = run.stdout.decode().splitlines()
    assert len(lines) == len(expected)
    for line, (values, slopes) in zip(lines, expected, strict=True):
        found_values, found_slopes = json.loads(line)
        torch.testing.assert_close(torch.tensor(found_values), values.detach())
        torch.testing.assert_close(torch.tensor(found_slopes), slopes)


@pytest.mark.skipif(sys.platform != "linux", reason="gloo with files is tried on Linux")
def test_batches_of_distributed_tensors(tmp_path):
    """Values and input gradients stay spread over the processes; weight gradients are sums over them."""
    tensors = pytest.importorskip("torch.distributed.tensor")
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        mesh = torch.distributed.device_mesh.init_device_mesh("cpu", (1,))
        model = tensors.distribute_module(module(), mesh)
        x = tensors.distribute_tensor(X, mesh, [tensors.Shard(0)]).requires_grad_()
        values = model(x)
        assert values.placements == (tensors.Shard(0),)
        values.square().sum().backward()
        torch.testing.assert_close(values.full_tensor(), module()(X))
        torch.testing.assert_close(x.grad.full_tensor(), gradient(module(), X))
        plain = module()
        plain(X).square().sum().backward()
        for one, other in zip(model.parameters(), plain.parameters(), strict=True):
            torch.testing.assert_close(one.grad.full_tensor(), other.grad)
        [slope] = torch.autograd.grad(model(x).sum(), x, create_graph=True)
        [bent] = torch.autograd.grad(slope.square().sum(), x)
        assert bent.placements == (tensors.Shard(0),)
        at = X.clone().requires_grad_()
        [slope] = torch.autograd.grad(plain(at).sum(), at, create_graph=True)
        torch.testing.assert_close(bent.full_tensor(), torch.autograd.grad(slope.square().sum(), at)[0])
    finally:
        torch.distributed.destroy_process_group()
