"""The method "cuda" as PyTorch sees it, on the twin of its kernels: values, derivatives, operators, other outputs."""

import ast
import copy
import gc
import pickle
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector
from qiskit.quantum_info import SparsePauliOp, random_unitary

import qiskit_torch_module as qtm
from circuits_zoo import cases, random_observables, reuploading
from cuda_device import TwinCuda, TwinDevice
from cuda_twin import COMPILER
from qiskit_torch_module import HybridModule, QuantumModule, explain, methods
from qiskit_torch_module._cuda.driver import DriverError
from qiskit_torch_module._cuda.libraries import MissingLibraryError
from qiskit_torch_module._cuda.nvrtc import CompilationError
from qiskit_torch_module._differentiation import operators
from qiskit_torch_module._reading.compat import UnitaryGate
from qiskit_torch_module._simulation import choose, cuda, gpu
from qiskit_torch_module._simulation.cuda import Cuda
from qiskit_torch_module._simulation.gpu import CudaRunner
from qiskit_torch_module._simulation.method import Refusal, Task

pytestmark = [
    pytest.mark.skipif(COMPILER is None, reason="needs a C++ compiler"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # PyTorch's own
]

CASE = reuploading(3, 1)
DTYPES = {torch.float32: 3e-6, torch.float64: 1e-12}
DOUBLE = torch.float64
TWIN = TwinCuda()  # one for all: its launches are made once
PLACE = torch.device("cpu")


def module(case=CASE, method=TWIN, dtype=DOUBLE, **options):
    return QuantumModule(case.circuit, case.encoding, case.variational, seed_init=1, method=method, **options).to(dtype)


def rows(size=5, dtype=DOUBLE, width=3):
    return torch.rand(size, width, dtype=dtype, generator=torch.Generator().manual_seed(size)) * 3 - 1


def gradients(model, inputs, seed=3):
    """Values, and gradients with respect to inputs and all sets."""
    inputs = inputs.clone().requires_grad_()
    values = model(inputs)
    numbers = torch.view_as_real(values) if values.is_complex() else values
    weights = torch.rand(numbers.shape, dtype=numbers.dtype, generator=torch.Generator().manual_seed(seed))
    leaves = [inputs, *model.parameters()]
    return [values, *torch.autograd.grad((weights * numbers).sum(), leaves, materialize_grads=True, allow_unused=True)]


def assert_same(one, other, tolerance):
    for first, second in zip(one, other, strict=True):
        assert first.dtype is second.dtype
        torch.testing.assert_close(first, second, rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", cases(3))
def test_values_and_gradients_of_the_zoo(name, dtype):
    case = cases(3)[name]
    observables = random_observables(3, 4)
    inputs = rows(5, dtype, len(case.encoding))
    models = [module(case, method, dtype, observables=observables) for method in (TWIN, "native")]
    assert_same(*(gradients(model, inputs) for model in models), 5 * DTYPES[dtype])


OUTPUTS = {
    "state": qtm.outputs.State(),
    "probabilities": qtm.outputs.Probabilities(),
    "some probabilities": qtm.outputs.Probabilities([2, 0]),
    "purity": qtm.outputs.Purity([0]),
    "variance": qtm.outputs.Variance(SparsePauliOp.from_list([("ZXI", 1.0), ("IYZ", 0.5)])),
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_other_outputs_are_read_from_its_states(name):
    models = [module(method=method, observables=OUTPUTS[name]) for method in (TWIN, "native")]
    assert_same(*(gradients(model, rows()) for model in models), 1e-11)


def test_idle_and_settled_qubits_have_their_place_in_states():
    w, circuit = ParameterVector("w", 2), QuantumCircuit(5)
    circuit.ry(w[0], 3)
    circuit.cx(3, 1)
    circuit.rz(w[1], 1)
    circuit.x(4)
    models = [
        QuantumModule(circuit, None, w, observables=qtm.outputs.State(), method=method, seed_init=1).double()
        for method in (TWIN, "native")
    ]
    values = [model(torch.zeros(2, 0, dtype=DOUBLE)) for model in models]
    assert_same([values[0]], [values[1]], 1e-12)
    for model, value in zip(models, values, strict=True):
        (value[:, 18:27].real.sum() - value[:, 16].imag.sum()).backward()
        assert model.variational_[0].grad is not None
    assert_same(*([model.variational_[0].grad] for model in models), 1e-12)


def test_gradients_that_are_not_wanted_are_not_computed():
    model, inputs = module(), rows()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    device = TWIN.device(PLACE)
    device.launched.clear()
    inputs.requires_grad_()
    model(inputs).sum().backward()
    assert "qtm_weights" not in device.launched
    model.variational_[1].requires_grad_()
    device.launched.clear()
    model(inputs.detach()).sum().backward()
    assert "qtm_weights" in device.launched
    assert model.variational_[0].grad is None
    assert model.variational_[1].grad is not None
    device.launched.clear()
    with torch.no_grad():
        model(inputs)
    assert not {"qtm_adjoint", "qtm_weights"} & set(device.launched)


def test_backward_twice_gives_the_same():
    model, inputs = module(), rows().requires_grad_()
    loss = model(inputs).square().sum()
    first = torch.autograd.grad(loss, [inputs, *model.parameters()], retain_graph=True)
    again = torch.autograd.grad(loss, [inputs, *model.parameters()])
    assert all(map(torch.equal, first, again))


def test_two_forwards_before_a_backward():
    model = module()
    one, other = rows(5), rows(6)[:5]
    losses = [model(one).square().sum(), model(other).square().sum()]
    together = torch.autograd.grad(losses[0] + losses[1], list(model.parameters()))
    apart = [torch.autograd.grad(model(x).square().sum(), list(model.parameters())) for x in (one, other)]
    assert_same(together, [sum(pair) for pair in zip(*apart, strict=True)], 1e-12)


@pytest.mark.parametrize(
    "shaped",
    [
        lambda x: x.t().contiguous().t(),
        lambda x: torch.cat([x, x])[::2],
        lambda x: torch.nn.functional.pad(x, (1, 2))[:, 1:-2],
        lambda x: x[:1].expand(5, -1),
    ],
)
def test_strides(shaped):
    inputs = shaped(rows())
    assert_same(gradients(module(), inputs), gradients(module(), inputs.clone().contiguous()), 1e-14)


def test_a_cotangent_that_is_expanded():
    models, inputs = [module(method=method) for method in (TWIN, "native")], rows()
    for model in models:
        model(inputs).sum().backward()
    assert_same(*([one.grad for one in model.parameters()] for model in models), 1e-12)


@pytest.mark.parametrize("observables", [None, qtm.outputs.State()], ids=["values", "states"])
def test_numbers_that_are_negated_when_they_are_read(observables):
    model = module() if observables is None else module(observables=observables)
    values, weights = model(rows()), list(model.parameters())
    assert_same([model(torch.complex(rows(), -rows()).conj().imag)], [values], 0)
    cotangent = torch.rand(values.shape, dtype=DOUBLE).to(values.dtype)
    negated = torch._neg_view(-cotangent)
    assert negated.is_neg()
    found = [torch.autograd.grad(values, weights, one, retain_graph=True) for one in (negated, cotangent)]
    assert_same(*found, 0)
    with torch.no_grad():
        vectors = [torch.nn.Parameter(torch._neg_view(-weight)) for weight in weights]
        names = [name for name, _ in model.named_parameters()]
        other = torch.func.functional_call(model, dict(zip(names, vectors, strict=True)), (rows(),))
    assert_same([other], [values.detach()], 0)


@pytest.mark.parametrize("size", [0, 1, 2, 33])
def test_batches(size):
    inputs = rows(7).repeat(5, 1)[:size]
    assert_same(*(gradients(module(method=method), inputs) for method in (TWIN, "native")), 1e-11)


def test_without_inputs_and_without_weights():
    x, circuit = ParameterVector("x", 2), QuantumCircuit(2)
    circuit.rx(x[0], 0)
    circuit.ryy(x[1], 0, 1)
    for encoding, variational in ((x, None), (None, x)):
        models = [
            QuantumModule(circuit, encoding, variational, method=method, seed_init=1).double()
            for method in (TWIN, "native")
        ]
        inputs = rows(3, width=2 if variational is None else 0)
        assert_same(*(gradients(model, inputs) for model in models), 1e-12)


def test_angles_that_are_computed_before():
    x, y, w, circuit = Parameter("x"), Parameter("y"), Parameter("w"), QuantumCircuit(2)
    circuit.ry(x.sin() * w + y, 0)
    circuit.cx(0, 1)
    circuit.rx(w.exp() * x, 1)
    models = [QuantumModule(circuit, [x, y], [w], seed_init=1, method=one).double() for one in (TWIN, "native")]
    assert_same(*(gradients(model, rows(3, width=2)) for model in models), 1e-12)


def test_derivatives_of_gradients_and_forward_mode_are_those_of_plain_pytorch():
    model, plain = module(), module(method="pytorch")
    inputs = rows(2)

    def values(model, x):
        return model(x)[:, 0].sum()

    for transform in (torch.func.hessian, lambda f: torch.func.jacfwd(torch.func.jacfwd(f))):
        found, wanted = (transform(lambda x, m=m: values(m, x))(inputs) for m in (model, plain))
        assert_same([found], [wanted], 1e-11)
    moved = [torch.func.jvp(lambda x, m=m: m(x), (inputs,), (torch.ones_like(inputs),))[1] for m in (model, plain)]
    assert_same([moved[0]], [moved[1]], 1e-12)
    penalties = []
    for one in (model, plain):
        leaf = inputs.clone().requires_grad_()
        (slope,) = torch.autograd.grad(values(one, leaf), leaf, create_graph=True)
        penalties.append(torch.autograd.grad(slope.square().sum(), [leaf, *one.parameters()]))
    assert_same(*penalties, 1e-11)


def test_ensembles_by_vmap():
    results = []
    for method in (TWIN, "native"):
        model, inputs = module(method=method), rows(4)
        sets = {name: torch.stack([one, one + 0.3, 2 * one]).detach() for name, one in model.named_parameters()}

        def loss(sets, model=model, inputs=inputs):
            return torch.func.functional_call(model, sets, (inputs,)).square().sum()

        def slope(row, model=model):
            return torch.func.grad(lambda x: model(x).sum())(row)

        slopes = torch.func.vmap(torch.func.grad(loss))(sets)
        results.append([*slopes.values(), torch.func.vmap(slope)(inputs[:, None])])
    assert_same(*results, 1e-11)


@pytest.fixture
def registered(monkeypatch):
    """The twin in the place of the method "cuda", as operators look it up."""
    monkeypatch.setitem(choose._known, "cuda", TWIN)
    operators.runner_of.cache_clear()
    yield TWIN
    operators.runner_of.cache_clear()


@pytest.mark.parametrize("output", [None, "probabilities", "some probabilities"])
def test_one_graph_of_torch_compile(registered, output):
    options = {} if output is None else {"observables": OUTPUTS[output]}
    model = module(**options)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = gradients_of_compiled(compiled, model)
    assert_same(found, gradients(module(method="native", **options), rows()), 1e-11)
    device = registered.device(PLACE)
    device.launched.clear()
    compiled(rows())
    assert "qtm_forward" in device.launched  # and not plain PyTorch


def gradients_of_compiled(compiled, model):
    inputs = rows().requires_grad_()
    values = compiled(inputs)
    weights = torch.rand(values.shape, dtype=values.dtype, generator=torch.Generator().manual_seed(3))
    return [values, *torch.autograd.grad((weights * values).sum(), [inputs, *model.parameters()])]


def test_operators_keep_their_promises(registered):
    runner = module()._runners(rows())
    text = operators.text_for(runner)
    assert text.startswith("cuda{")
    weights = torch.cat([one.detach() for one in module().parameters()])
    arguments = rows().requires_grad_(), weights.requires_grad_(), text, 0, 0
    torch.library.opcheck(operators.values, arguments, test_utils=("test_schema", "test_faketensor"))
    cotangent = torch.ones(5, 3, dtype=DOUBLE)
    torch.library.opcheck(
        operators.gradients, (cotangent, *arguments[:4]), test_utils=("test_schema", "test_faketensor")
    )


def test_operators_elsewhere_are_plain_pytorch():
    text = "cuda" + operators.text_of(module(method="native")._program)
    weights = torch.cat([one.detach() for one in module().parameters()])
    values = operators.values(rows(), weights, text, 0, 0)  # on the CPU
    assert_same([values], [module(method="native")(rows())], 1e-12)
    slopes = operators.gradients(torch.ones_like(values), rows(), weights, text, 0)
    assert slopes[0].shape == rows().shape


def test_a_plan_for_each_size_and_its_launches_once(monkeypatch):
    runner = CudaRunner(module()._program, TwinCuda())
    weights = [one.detach() for one in module().parameters()]
    for _ in range(3):
        for size in (2, 3):
            _, tape = runner.values(rows(size), weights, record=True)
            runner.pull_back(torch.ones(size, 3, dtype=DOUBLE), rows(size), weights, (True, True, True), tape=tape)
    assert [key.size for key in runner._prepared] == [2, 3]
    assert len(runner._constants) == 1
    device = runner.method.device(PLACE)
    assert {id(shared) for _, shared in device.kept} == {id(one) for _, one in runner._constants.values()}
    for prepared in runner._prepared.values():
        assert list(prepared._gradients) == [(True, True)]


def test_the_plan_that_was_used_least_recently_goes_first(monkeypatch):
    monkeypatch.setattr(gpu, "_MOST_PLANS", 2)
    runner, weights = CudaRunner(module()._program, TwinCuda()), [one.detach() for one in module().parameters()]
    for size in (2, 3, 2, 4):
        runner.values(rows(size), weights)
    assert [key.size for key in runner._prepared] == [2, 4]


def test_while_a_graph_is_recorded_only_what_is_prepared_runs():
    method = TwinCuda()
    model, inputs = module(method=method), rows()
    device = method.device(PLACE)
    device.is_recording = True
    with pytest.raises(RuntimeError, match="recording"):
        model(inputs)
    device.is_recording = False
    model(inputs).sum().backward()
    device.is_recording = True
    model(inputs).sum().backward()
    with pytest.raises(RuntimeError, match="recording"):
        model(rows(6))


def test_the_runner_goes_with_its_module():
    method = TwinCuda()
    model = module(method=method)
    model(rows())
    shared = [one for _, one in method.device(PLACE).kept]
    method.device(PLACE).kept.clear()
    count = len(gc.get_referrers(shared[0].tensor))
    assert count
    del model
    gc.collect()
    assert len(gc.get_referrers(shared[0])) == 1  # the list here


WRONG = [
    (
        lambda x, w: (x.float(), w),
        ValueError,
        "expected weights of torch.float32 on cpu, as the inputs are, got .*float64",
    ),
    (
        lambda x, w: (x.half(), [one.half() for one in w]),
        TypeError,
        "expected float32 or float64 on 'cpu', got .*float16",
    ),
    (lambda x, w: (x.to("meta"), w), TypeError, "expected float32 or float64 on 'cpu', got .* on meta"),
    (
        lambda x, w: (x, [w[0].to("meta"), w[1]]),
        ValueError,
        "on cpu, as the inputs are, got .* on meta; move the model",
    ),
    (lambda x, w: (x[:, 1:], w), ValueError, r"expected inputs of shape \(B, 3\) and 18 weights, got \(5, 2\)"),
    (lambda x, w: (x[0], w), ValueError, r"expected inputs of shape \(B, 3\)"),
    (lambda x, w: (x, w[:1]), ValueError, r"and 18 weights, got \(5, 3\).* and \(12,\)"),
]


@pytest.mark.parametrize(("changed", "error", "message"), WRONG)
def test_tensors_that_kernels_would_read_wrongly_are_refused(changed, error, message):
    runner = CudaRunner(module()._program, TWIN)
    inputs, weights = changed(rows(), [one.detach() for one in module().parameters()])
    with pytest.raises(error, match=f"^method 'cuda': .*{message}"):
        runner.values(inputs, weights)
    with pytest.raises(error, match=message):
        runner.pull_back(torch.ones(5, 3, dtype=DOUBLE), inputs, weights, (True, True, True))


@pytest.mark.parametrize(
    "cotangent",
    [
        torch.ones(5, 2, dtype=DOUBLE),
        torch.ones(4, 3, dtype=DOUBLE),
        torch.ones(5, 3),
        torch.ones(5, 3, dtype=DOUBLE, device="meta"),
    ],
)
def test_a_cotangent_of_another_kind_is_refused(cotangent):
    runner = CudaRunner(module()._program, TWIN)
    with pytest.raises(ValueError, match="expected a cotangent of"):
        runner.pull_back(cotangent, rows(), [one.detach() for one in module().parameters()], (True, True, True))


def stepwise():
    circuit, x = QuantumCircuit(3), Parameter("x")
    circuit.rx(x, 0)
    circuit.append(UnitaryGate(random_unitary(8, seed=1)), [0, 1, 2])
    return circuit, x


def test_what_it_does_not_compute_it_refuses_by_name():
    circuit, x = stepwise()
    with pytest.raises(ValueError, match=r"method 'cuda': .*matrices.*; use method='"):
        QuantumModule(circuit, x, None, method=TWIN)
    program = QuantumModule(circuit, x, None)._program
    with pytest.raises(ValueError, match="method 'cuda': .*matrices"):
        TWIN.prepare(program)


def test_on_the_cpu_it_says_what_to_do():
    model = module(method="cuda")
    with pytest.raises(ValueError, match=r"method 'cuda': .*not on 'cpu'; use model.to\('cuda'\), or method='auto'"):
        model(rows())


def test_on_gpus_of_others_it_refuses(monkeypatch):
    program = module()._program
    monkeypatch.setattr(torch.version, "hip", "6.2")
    said = Cuda().cost(program, Task(device="cuda"))
    assert isinstance(said, Refusal)
    assert "not of AMD" in said.reason


def chosen(program):
    return choose.choose(program, Task(device="cuda")).name


def test_who_computes_on_a_gpu(monkeypatch):
    program = module()._program
    monkeypatch.delenv("QTM_CUDA", raising=False)
    assert chosen(program) == "pytorch"
    monkeypatch.setenv("QTM_CUDA", "plain")
    assert chosen(program) == "pytorch"
    said = choose.offers(program, Task(device="cuda"))["cuda"]
    assert said == Refusal("experimental; set QTM_CUDA=engine, or method='cuda'")
    monkeypatch.setenv("QTM_CUDA", "engine")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert chosen(program) == "pytorch"
    assert choose.offers(program, Task(device="cuda"))["cuda"] == Refusal("PyTorch sees no GPU")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    missing = Cuda.missing
    monkeypatch.setattr(Cuda, "missing", lambda self: None)
    assert chosen(program) == "cuda"
    circuit, x = stepwise()
    assert chosen(QuantumModule(circuit, x, None)._program) == "pytorch"
    monkeypatch.setattr(Cuda, "missing", lambda self: "no driver")
    with pytest.warns(RuntimeWarning, match="QTM_CUDA=engine, but plain PyTorch computes: no driver"):
        assert chosen(program) == "pytorch"
    monkeypatch.setattr(Cuda, "missing", missing)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    for error in (
        DriverError("cuInit", 100, "NO_DEVICE", "none"),
        MissingLibraryError("no NVRTC"),
        CompilationError("old"),
    ):

        def device(self, place, error=error):
            raise error

        monkeypatch.setattr(Cuda, "device", device)
        with pytest.warns(RuntimeWarning, match="NO_DEVICE|no NVRTC|old"):
            assert chosen(program) == "pytorch"
    monkeypatch.setenv("QTM_CUDA", "fast")
    with pytest.raises(ValueError, match="QTM_CUDA: expected 'plain' or 'engine', got 'fast'"):
        chosen(program)


def test_on_the_cpu_nothing_changes(monkeypatch):
    monkeypatch.setenv("QTM_CUDA", "engine")
    assert choose.choose(module()._program, Task()).name == "native"
    assert (
        type(QuantumModule(CASE.circuit, CASE.encoding, CASE.variational)._runners(rows()).method).__name__ == "Native"
    )


def test_it_is_saved_by_its_name(registered, tmp_path):
    model = module()
    wanted = model(rows())
    copies = [copy.deepcopy(model), pickle.loads(pickle.dumps(module(method="cuda"))).double()]
    qtm.save(module(method="cuda").double(), tmp_path / "model.qtm")
    copies.append(qtm.load(tmp_path / "model.qtm"))
    assert [getattr(one.method, "name", one.method) for one in copies[:2]] == ["cuda", "cuda"]
    assert_same([copies[0](rows())], [wanted], 1e-14)


@pytest.mark.parametrize("is_there", [False, True])
def test_explain_says_what_it_costs(monkeypatch, is_there):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: is_there)
    refusal = "method cuda            refuses: it computes on GPUs of NVIDIA, not on 'cpu'"
    assert (refusal in str(explain(module(method="native")))) == is_there
    assert refusal in str(explain(module(method="cuda")))
    assert explain(module(dtype=torch.float32)).chosen == "cuda"


def test_a_hybrid_module_trains_on_it():
    results = []
    for method in (TWIN, "native"):
        torch.manual_seed(5)
        model = HybridModule(CASE.circuit, CASE.encoding, CASE.variational, 4, 2, seed_init=1, method=method)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
        for step in range(4):
            optimizer.zero_grad()
            model(rows(6, torch.float32, 4) + step).square().sum().backward()
            optimizer.step()
        results.append([one.detach() for one in model.parameters()])
    assert_same(*results, 2e-4)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e30])
def test_what_is_not_finite_shows_as_nan_and_when_asked(bad, monkeypatch):
    method = TwinCuda()
    device = method.device(PLACE)
    runner = CudaRunner(module()._program, method)
    monkeypatch.setattr("qiskit_torch_module._cuda.device._gpus", {0: device})
    weights = [one.detach() for one in module().parameters()]
    runner.values(rows(), weights)
    qtm.methods.require_finite()
    inputs = rows()
    inputs[2, 1] = bad
    values, tape = runner.values(inputs, weights, record=True)
    assert values[2].isnan().all()
    whole = [0, 1, 3, 4]
    assert_same([values[whole]], [runner.values(rows(), weights)[0][whole]], 1e-13)
    slopes = runner.pull_back(torch.ones(5, 3, dtype=DOUBLE), inputs, weights, (True, True, True), tape=tape)
    assert slopes[0][2].isnan().any()
    assert not slopes[0][whole].isnan().any()
    assert slopes[1].isnan().any()
    with pytest.raises(ValueError, match="method 'cuda': an input or a weight on cpu was not finite.*are NaN"):
        qtm.methods.require_finite()
    qtm.methods.require_finite()
    weights[0][0] = bad
    assert runner.values(rows(), weights)[0].isnan().all()
    with pytest.raises(ValueError, match="not finite"):
        qtm.methods.require_finite()


def test_a_card_that_is_too_small_says_so():
    method = TwinCuda()
    method._devices[PLACE] = TwinDevice(cuda_card(memory_bytes=1 << 10))
    with pytest.raises(MemoryError, match="take fewer samples"):
        module(method=method)(rows())


def cuda_card(**changes):
    return replace(TwinDevice().card, **changes)


def test_circuits_are_read_once():
    cuda.circuit_of.cache_clear()
    module()(rows())
    module()(rows())
    assert cuda.circuit_of.cache_info().misses == 1


def test_nothing_of_it_is_loaded_before_it_is_used():
    for room in (choose, cuda, methods):
        tree = ast.parse(Path(room.__file__).read_text(encoding="utf-8"))
        names = {node.module for node in tree.body if isinstance(node, ast.ImportFrom)}
        assert not any("_cuda" in (name or "") or name in ("gpu", "_simulation.gpu") for name in names)


@pytest.mark.skipif(not torch.distributed.is_available(), reason="PyTorch without distributed")
@pytest.mark.parametrize("as_view", [False, True])
def test_distributed_data_parallel(as_view):
    """Gradients of all sets, which lie in one vector here, go through its buckets."""
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    try:
        model, alone = module(), module()
        wrapped = torch.nn.parallel.DistributedDataParallel(model, gradient_as_bucket_view=as_view)
        for one in (wrapped, alone):
            for _ in range(2):
                one(rows()).square().sum().backward()
        assert_same(*([one.grad for one in each.parameters()] for each in (model, alone)), 1e-13)
    finally:
        torch.distributed.destroy_process_group()
