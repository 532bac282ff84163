"""Methods and outputs: those of the package, and those of docs/extending.md, registered from outside."""

import copy
import pickle
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import Statevector, partial_trace, random_statevector
from torch.utils.flop_counter import FlopCounterMode

import qiskit_torch_module as qtm
from qiskit_torch_module import QuantumModule, methods
from qiskit_torch_module._simulation import choose as _choose

PAGE = Path(__file__).parent.parent / "docs" / "extending.md"
X, W = ParameterVector("x", 2), ParameterVector("w", 5)


def circuit():
    """Idle qubits, folded CNOTs and swaps, products of parameters, a global phase."""
    made = QuantumCircuit(5, global_phase=0.3)
    made.h(1)
    made.ry(X[0] * W[0], 3)
    made.cx(1, 3)
    made.rx(W[1], 1)
    made.swap(0, 1)
    made.x(3)
    made.rzz(X[1] + W[2], 0, 3)
    made.cx(3, 0)
    made.crx(W[3], 0, 3)
    made.ry(W[4].sin(), 3)
    made.cx(0, 1)
    return made


@pytest.fixture(scope="module")
def page():
    scope = {"print": lambda *_: None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of PyTorch's compiler
        for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL):
            exec(block, scope)
    _choose._known.pop("dense")
    return scope


@pytest.fixture
def registered(page):
    methods.register(page["Dense"]())
    yield page["Dense"]()
    _choose._known.pop("dense")


def module(**options):
    return QuantumModule(circuit(), list(X), list(W), seed_init=3, **options).double()


def inputs(size=4):
    return torch.from_numpy(np.random.default_rng(5).normal(size=(size, 2)))


def states(model, rows):
    weights = dict(zip(W, model.variational.tolist(), strict=True))
    return [Statevector(circuit().assign_parameters({**dict(zip(X, row, strict=True)), **weights})) for row in rows]


@dataclass(frozen=True)
class Amplitudes(qtm.outputs.Output):
    """Of the state times the phase that makes the first one real: two numbers for each."""

    def shape(self, num_qubits):
        return (2**num_qubits, 2)

    def read(self, state):
        return torch.view_as_real(state * (state[:, :1].conj() / state[:, :1].abs()))


def test_the_state_is_in_the_order_of_qiskit():
    model, rows = module(observables=Amplitudes()), inputs()
    found = torch.view_as_complex(model(rows).contiguous()).detach().numpy()
    for state, one in zip(states(model, rows.tolist()), found, strict=True):
        expected = state.data * np.conj(state.data[0]) / abs(state.data[0])
        np.testing.assert_allclose(one, expected, atol=1e-12)
    assert model.output_size == 64
    assert model(rows[:0]).shape == (0, 32, 2)
    assert model(rows.reshape(2, 2, 2)).shape == (2, 2, 32, 2)


def test_an_output_from_outside(page):
    output = page["Purity"]((1, 3))
    model, rows = module(observables=output), inputs()
    expected = [partial_trace(state, [0, 2, 4]).purity().real for state in states(model, rows.tolist())]
    np.testing.assert_allclose(model(rows).detach().numpy(), expected, atol=1e-12)
    assert model(rows[0]).shape == ()
    call = lambda rows, weights: torch.func.functional_call(model, {"variational": weights}, (rows,))  # noqa: E731
    variables = (rows.requires_grad_(), model.variational.detach().requires_grad_())
    assert torch.autograd.gradcheck(call, variables)
    assert torch.autograd.gradgradcheck(call, variables)
    with pytest.raises(ValueError, match="qubits: expected some of 0 to 4, and not all"):
        module(observables=page["Purity"]((1, 7)))


def test_outputs_are_values(page):
    first, second = (module(observables=page["Purity"]((0, 1))) for _ in range(2))
    assert first._program is second._program
    assert first._program is not module(observables=page["Purity"]((0, 2)))._program
    assert copy.deepcopy(first)(inputs()).tolist() == first(inputs()).tolist()
    assert first.observables == page["Purity"]((0, 1))


@pytest.mark.filterwarnings("ignore")  # PyTorch's own
def test_an_output_is_compiled_around(page):
    model, rows = module(observables=page["Purity"]((0, 1))), inputs()
    torch.testing.assert_close(torch.compile(model)(rows), model(rows))


def test_a_method_from_outside(page):
    """Values, gradients of everything, gradients of gradients, vmap."""
    model, native, rows = module(method=page["Dense"]()), module(), inputs()
    torch.testing.assert_close(model(rows), native(rows))
    call = lambda rows, weights: torch.func.functional_call(model, {"variational": weights}, (rows,))  # noqa: E731
    variables = (rows.requires_grad_(), model.variational.detach().requires_grad_())
    assert torch.autograd.gradcheck(call, variables)
    assert torch.autograd.gradgradcheck(call, variables)
    ensemble = torch.stack([model.variational.detach() + shift for shift in (0.0, 0.1, 0.2)])
    found = torch.func.vmap(call, in_dims=(None, 0))(rows.detach(), ensemble)
    torch.testing.assert_close(found, torch.stack([call(rows.detach(), one) for one in ensemble]))


@pytest.mark.parametrize(("power", "there"), [(0, 1), (1, 2), (2, 3)])
def test_derivatives_that_a_method_has_by_itself(page, power, there):
    """An estimate has those that its runner has along directions, and no others."""

    class Limited(page["Damped"]):
        def prepare(self, program):
            runner = super().prepare(program)
            runner.highest_power = power
            return runner

    native, model, rows = module(), module(method=Limited(0.5)), inputs().requires_grad_()

    def derivatives(model, order):
        found = model(rows).sum()
        for _ in range(order):
            found = torch.autograd.grad(found, rows, create_graph=True)[0].square().sum()
        return torch.autograd.grad(found, model.variational)[0] if order else found

    first = torch.autograd.grad(model(rows).sum(), model.variational)[0]
    torch.testing.assert_close(first, 0.5 * torch.autograd.grad(native(rows).sum(), native.variational)[0])
    for order in range(1, there):
        torch.testing.assert_close(derivatives(model, order), 0.25 ** (2 ** (order - 1)) * derivatives(native, order))
    with pytest.raises(NotImplementedError, match="method 'damped' has first gradients only"):
        derivatives(model, there)


def test_a_runner_that_promises_powers_and_has_none(page):
    class Promising(page["Dense"]):
        def prepare(self, program):
            runner = super().prepare(program)
            runner.highest_power = 1
            return runner

    model, rows = module(method=Promising()), inputs().requires_grad_()
    [slope] = torch.autograd.grad(model(rows).sum(), rows, create_graph=True)
    with pytest.raises(NotImplementedError, match="method 'dense' has no values and gradients along directions"):
        slope.sum().backward()


def test_a_method_of_a_name_is_found_and_saved(registered, tmp_path):
    model = module(method="dense")
    assert model.method == registered
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(module(method="pytorch")))):
        torch.testing.assert_close(again(inputs()), model(inputs()))
    qtm.save(model, tmp_path / "model")
    assert qtm.load(tmp_path / "model").method == registered


def test_a_method_without_a_name_is_not_saved(page, tmp_path):
    remedies = r"save qtm.with_method\(model, 'auto'\), .*, or call qtm.methods.register with the method, here and"
    with pytest.raises(ValueError, match=remedies):
        qtm.save(module(method=page["Dense"]()), tmp_path / "model")


@pytest.mark.parametrize(
    "method", [methods.Shots(10), methods.Primitive(qtm.FastEstimator(), precision=0.1)], ids=["shots", "primitive"]
)
def test_shots_and_devices_are_not_saved_and_given_again_to_what_is_loaded(method, tmp_path):
    model, path = module(method=method), tmp_path / "model"
    with pytest.raises(ValueError, match=r"save qtm.with_method\(model, 'auto'\), and give what is loaded") as said:
        qtm.save(model, path)
    assert "register" not in str(said.value)
    qtm.save(qtm.with_method(model, "auto"), path)
    again = qtm.with_method(qtm.load(path), method)
    assert again.method is method
    assert torch.equal(again.variational, model.variational)


@pytest.mark.filterwarnings("ignore")  # PyTorch's own
def test_a_registered_method_is_part_of_a_graph(registered):
    """Values and gradients of everything, in one graph that finds the method by its name."""
    torch._dynamo.reset()
    model, native, rows = module(method="dense"), module(), inputs()
    graph = torch.compile(model, fullgraph=True, backend="aot_eager")
    slopes = []
    for call in (graph, native):
        at = rows.clone().requires_grad_()
        loss = (call(2 * at) ** 3).sum()
        loss.backward()
        slopes.append((loss.detach(), at.grad))
    torch.testing.assert_close(*slopes)
    torch.testing.assert_close(model.variational.grad, native.variational.grad)
    mapped = torch.compile(torch.func.vmap(model), fullgraph=True, backend="aot_eager")(rows[:, None])
    torch.testing.assert_close(mapped, native(rows)[:, None])


@pytest.mark.filterwarnings("ignore")
def test_an_exported_graph_asks_for_its_method(registered):
    exported = torch.export.export(module(method="dense"), (inputs(),)).module()
    torch.testing.assert_close(exported(inputs()), module()(inputs()))
    known = _choose._known.pop("dense")
    try:
        with pytest.raises(ValueError, match=r"method: 'dense', .* is not known .*; call qtm.methods.register"):
            exported(inputs())
    finally:
        _choose._known["dense"] = known


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("make", [methods.PyTorch, lambda: Estimating()], ids=["pytorch", "estimating"])
def test_a_method_without_operators_is_compiled_around(make):
    """One that PyTorch differentiates, one that samples."""
    torch._dynamo.reset()
    model, native, rows = module(method=make()), module(), inputs()
    torch.testing.assert_close(torch.compile(model, backend="aot_eager")(rows), native(rows))


class Told(methods.Method):
    """Plain PyTorch at the price that it is told."""

    name = "told"

    def __init__(self, seconds, is_exact=True):
        self.seconds, self.is_exact = seconds, is_exact

    def cost(self, program, task):
        return methods.Refusal("too many samples") if task.batch_size > 8 else methods.Cost(self.seconds)

    def prepare(self, program):
        return methods.PyTorch().prepare(program)


@pytest.mark.parametrize(
    ("method", "size", "chosen"),
    [(Told(1e-12), 4, "told"), (Told(1e-12), 40, "native"), (Told(10.0), 4, "native"), (Told(0.0, False), 4, "native")],
    ids=["cheapest", "refuses", "dear", "not exact"],
)
def test_auto_takes_the_cheapest_exact_method(method, size, chosen):
    model = module()
    task = methods.Task(size)
    methods.register(method)
    try:
        assert methods.choose(model._program, task).name == chosen
        assert set(methods.offers(model._program, task)) == {"native", "pytorch", "cuda", "told"}
        assert qtm.explain(model, batch_size=size).chosen == chosen
    finally:
        _choose._known.pop("told")


def test_explain_prints_all_with_cost_and_reason(page):
    text = str(qtm.explain(module(observables=page["Purity"]((0,)))))
    assert re.search(r"method native +about .* ms and .*chosen", text)
    assert re.search(r"method pytorch +about .* ms and ", text)
    text = str(qtm.explain(module(method=page["Dense"]())))
    assert re.search(r"method dense +about .* chosen", text)


class Estimating(Told):
    name = "estimating"

    def __init__(self):
        super().__init__(1.0, is_exact=False)

    def prepare(self, program):
        return Forgetful(program, self)


class Forgetful(methods.Runner):
    """First gradients alone."""

    def values(self, inputs, weights, num_threads=0, record=False):
        return methods.Native().prepare(self.program).values(inputs, weights)

    def pull_back(self, cotangent, inputs, weights, wants, num_threads=0, tape=None):
        return methods.Native().prepare(self.program).pull_back(cotangent, inputs, weights, wants)


def seen_by_a_mode(model):
    with FlopCounterMode(display=False):
        return model(inputs())


def test_nothing_exact_stands_for_a_method_that_estimates():
    model, rows = module(method=Estimating()), inputs().requires_grad_()
    (slope,) = torch.autograd.grad(model(rows).sum(), rows)
    torch.testing.assert_close(slope, torch.autograd.grad(module()(rows).sum(), rows)[0])
    (slope,) = torch.autograd.grad(model(rows).sum(), rows, create_graph=True)
    with pytest.raises(NotImplementedError, match="method 'estimating' has first gradients only"):
        slope.sum().backward()
    with pytest.raises(NotImplementedError, match="method 'estimating' takes plain tensors only"):
        seen_by_a_mode(model)


def test_the_layer_of_a_hybrid_module(page):
    options = {"input_size": 3, "output_size": 2, "seed_init": 4}
    hybrid, native = (
        qtm.HybridModule(circuit(), list(X), list(W), **options, **more) for more in ({"method": page["Dense"]()}, {})
    )
    rows = torch.rand(4, 3)
    assert hybrid.quantum.method.name == "dense"
    torch.testing.assert_close(hybrid(rows), native(rows))


def test_bad_methods():
    with pytest.raises(
        ValueError, match="method: unknown method 'gpu'; expected one of auto, native, pytorch, cuda, or .*Shots"
    ):
        module(method="gpu")
    with pytest.raises(TypeError, match="method: expected a name or a qtm.methods.Method, got int"):
        module(method=3)
    with pytest.raises(TypeError, match="expected a qtm.methods.Method, got str"):
        methods.register("native")
    taken = Told(1.0)
    taken.name = "native"
    with pytest.raises(ValueError, match="the name 'native' is taken by Native"):
        methods.register(taken)
    taken.name = "auto"
    with pytest.raises(ValueError, match="expected an identifier other than 'auto' as `name` of Told, got 'auto'"):
        methods.register(taken)
    taken.name = None
    for given in (lambda: methods.register(taken), lambda: module(method=taken)):
        with pytest.raises(ValueError, match="as `name` of Told, got None"):
            given()
    for given in (lambda: methods.register(methods.Native), lambda: module(method=methods.Native)):
        with pytest.raises(TypeError, match=r"got the class Native; give Native\(\.\.\.\)"):
            given()
    with pytest.raises(ValueError, match="method 'told': too many samples"):
        module(method=Told(1.0))(inputs(20))


def test_a_model_from_an_older_file_has_no_frame(page, monkeypatch):
    """Nothing is read in an order that nobody knows."""
    model = module(observables=page["Purity"]((0, 1)))
    monkeypatch.setitem(model._program.evolution.__dict__, "frame", None)
    with pytest.raises(ValueError, match="build it from its circuit"):
        model(inputs())


def test_a_method_that_cannot_is_refused_when_the_module_is_made(page, own_budget):
    big = QuantumCircuit(30)
    big.h(range(30))
    own_budget(2**20)
    take = "states of 30 qubits take 8 GiB in a batch of 1, more than the memory budget"
    with pytest.raises(ValueError, match=f"method 'native': {take}"):
        QuantumModule(big, None, None, observables=page["Purity"]((0,)), method="native")
    with pytest.raises(ValueError, match=f"none can compute this circuit .native: {take}.*pytorch: states of 30"):
        QuantumModule(big, None, None, observables=page["Purity"]((0,)))


@dataclass
class Thawed(qtm.outputs.Output):
    """An output that cannot be compared, and reads no tensor."""

    def shape(self, num_qubits):
        return (2**num_qubits,)

    def read(self, state):
        return state.abs().tolist()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (qtm.outputs.State, r"expected an output, got the class State; give State\(...\)"),
        (["ZZZZZ", qtm.outputs.State], r"expected an output, got the class State; give State\(...\)"),
        (("ZZZZZ", Thawed()), "expected an output that is hashable, got Thawed .*frozen dataclass"),
        (Thawed(), "expected an output that is hashable, got Thawed .*frozen dataclass"),
    ],
)
def test_what_is_no_output_is_refused_when_the_module_is_made(given, message):
    with pytest.raises(TypeError, match=f"observables: {message}"):
        module(observables=given)


@pytest.mark.parametrize("method", ["native", "pytorch"])
def test_an_output_that_reads_no_tensor(method):
    class Hashable(Thawed):
        __hash__ = object.__hash__

    with pytest.raises(TypeError, match=r"expected .*Hashable.* to read a tensor, got list"):
        module(observables=Hashable(), method=method)(inputs())


def test_an_output_of_another_shape_than_it_says():
    @dataclass(frozen=True)
    class Odd(qtm.outputs.Output):
        def shape(self, num_qubits):
            return (3,)

        def read(self, state):
            return state.abs()

    with pytest.raises(ValueError, match=r"expected .*Odd.* to read shape \(4, 3\), got \(4, 32\)"):
        module(observables=Odd())(inputs())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_complex_outputs_stay_complex(dtype):
    @dataclass(frozen=True)
    class State(qtm.outputs.Output):
        def shape(self, num_qubits):
            return (2**num_qubits,)

        def read(self, state):
            return state

    found = module(observables=State()).to(dtype)(inputs().to(dtype))
    assert found.dtype == (torch.complex128 if dtype == torch.float64 else torch.complex64)


def test_reading_what_has_no_shape():
    @dataclass(frozen=True)
    class Shapeless(qtm.outputs.Output):
        def shape(self, num_qubits):
            return [3]

        def read(self, state):
            return state.abs()

    with pytest.raises(TypeError, match="observables: expected a tuple of positive sizes"):
        module(observables=Shapeless())


def test_random_states_are_read_as_they_are(page):
    state = random_statevector(2**4, seed=1)
    found = page["Purity"]((0, 2)).read(torch.from_numpy(state.data[None]))
    assert found.item() == pytest.approx(partial_trace(state, [1, 3]).purity().real)


class OnlyElsewhere(methods.Method):
    """One that computes on GPUs alone."""

    name = "elsewhere"

    def cost(self, program, task):
        return methods.Refusal("it computes on GPUs") if task.device == "cpu" else methods.Cost(1.0)

    def prepare(self, program):
        raise AssertionError("there is none")


def test_a_method_for_other_devices_refuses_when_it_is_used():
    made = module(method=OnlyElsewhere())
    with pytest.raises(ValueError, match="'elsewhere': it computes on GPUs"):
        made(torch.rand(1, 2, dtype=torch.float64))
