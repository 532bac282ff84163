"""Derivatives along directions: the engine's powers on a curve, and what PyTorch makes of them."""

from functools import cache
from math import factorial, pi

import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector
from qiskit.circuit.library import XXPlusYYGate
from qiskit.quantum_info import SparsePauliOp, random_unitary
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, vmap

from circuits_zoo import cases, random_observables, reuploading
from conftest import NIGHTLY
from qiskit_torch_module import QuantumModule, _engine, compiler_passes, explain
from qiskit_torch_module._differentiation import operators
from qiskit_torch_module._differentiation.second import twice
from qiskit_torch_module._simulation import engines, pytorch
from qiskit_torch_module._simulation.native import Native
from test_dense import mixed_circuit as circuit_with_matrices
from test_steps import by_words

# Forward-mode differentiation of PyTorch warns of its own future.
pytestmark = [pytest.mark.usefixtures("float64"), pytest.mark.filterwarnings("ignore::DeprecationWarning")]


@pytest.fixture(params=_engine.instruction_sets())
def any_instruction_set(request):
    _engine.force_instruction_set(request.param)
    yield request.param
    _engine.force_instruction_set("")


@pytest.fixture(params=["by layers", "as is faster"])
def way(request):
    """Few samples run step by step, where there are steps beside the layers."""
    if request.param == "by layers":
        request.getfixturevalue("by_layers")


@pytest.fixture
def by_layers(monkeypatch):
    monkeypatch.setattr(engines, "_MOST_STEPS", -1)


def program_of(case, observables, **options):
    return QuantumModule(case.circuit, case.encoding, case.variational, observables=observables, **options)._program


class Curve:
    """Variables and a cotangent that move: powers of t, of order `order`."""

    def __init__(self, program, batch_size, order, seed=1, at=None, dtype=torch.float64):
        generator = torch.Generator().manual_seed(seed)
        evolution = program.evolution

        def powers(*shape):
            found = [torch.randn(*shape, generator=generator) for _ in range(order + 1)]
            if at is not None and shape != (batch_size, *program.shape):
                found[0] = at + torch.zeros(shape)
            return [one.to(dtype) for one in found]

        self.program, self.order, self.arguments = program, order, (batch_size, order, seed, at, dtype)
        self.inputs = powers(batch_size, evolution.num_all_inputs)
        self.weights = powers(evolution.num_all_weights)
        self.cotangent = powers(batch_size, *program.shape)

    def found(self, num_threads=1):
        """Powers of values and of gradients, by the engine."""
        runner, sets = Native().prepare(self.program), [[one] for one in self.weights]
        values = runner.values_along(self.inputs, sets, num_threads)
        gradients = runner.pull_back_along(self.cotangent, self.inputs, sets, (True, True), num_threads)
        return [(value, *both) for value, both in zip(values, gradients, strict=True)]

    def expected(self):
        """The same by derivatives of the circuit in plain PyTorch."""

        def at(t):
            def point(powers):
                return sum(one.double() * t**k for k, one in enumerate(powers))

            inputs, weights, cotangent = point(self.inputs), point(self.weights), point(self.cotangent)
            values, pull_back = torch.func.vjp(lambda *both: pytorch.values(self.program, *both), inputs, weights)
            return (values, *pull_back(cotangent))

        functions = [at]
        for _ in range(self.order):
            functions.append(lambda t, inner=functions[-1]: jvp(inner, (t,), (torch.ones_like(t),))[1])
        return [[part / factorial(k) for part in function(torch.zeros(()))] for k, function in enumerate(functions)]

    def assert_agrees(self, num_threads=1, tolerance=1e-11):
        judged = judgement(self.program, *self.arguments)
        for found, expected in zip(self.found(num_threads), judged, strict=True):
            for one, other in zip(found, expected, strict=True):
                assert one.dtype == self.inputs[0].dtype
                scale = max(1.0, other.abs().max().item() if other.numel() else 0.0)
                torch.testing.assert_close(one.double(), other, atol=tolerance * scale, rtol=0)


@cache
def judgement(program, *arguments):
    """Of a curve: the same for all instruction sets, threads and ways to run it, and slow."""
    return Curve(program, *arguments).expected()


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("name", list(cases(3)))
def test_powers_on_a_curve_are_derivatives_of_plain_pytorch(any_instruction_set, way, name, order):
    Curve(program_of(cases(3)[name], random_observables(3, 2)), 5, order).assert_agrees()


@pytest.mark.parametrize("n", [1, 2, 6])
@pytest.mark.parametrize("observables", ["individualZ", "strings"])
def test_sizes_and_observables(any_instruction_set, way, n, observables):
    strings = [SparsePauliOp(["XYZIZY"[:n], "ZZZZZZ"[:n]], [0.7, -1.3]), "Y" * n]
    program = program_of(reuploading(n, 2), strings if observables == "strings" else observables)
    for batch_size in (1, 17):
        Curve(program, batch_size, 2).assert_agrees()


@pytest.mark.parametrize("num_threads", [1, 2, 3])
@pytest.mark.parametrize("n", [9, 12] if NIGHTLY else [9])  # blocks in parts; several sweeps a layer
def test_large_states_threads_and_halves(n, num_threads, force_halves, by_layers):
    program = program_of(reuploading(n, 2), random_observables(n, 2))
    curve = Curve(program, 2 + num_threads, 2)
    expected = curve.found()
    if num_threads == 1:
        curve.assert_agrees()
        force_halves(True)
    found = curve.found(num_threads)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-9, rtol=1e-11)


def test_a_large_batch_shares_its_prefix(any_instruction_set, by_layers):
    Curve(program_of(reuploading(4, 2), "individualZ"), 200, 1).assert_agrees(2, tolerance=1e-10)


@pytest.mark.parametrize("n", [3, 9])
def test_undoing_kets_equals_keeping_them(n, own_budget, by_layers):
    curve = Curve(program_of(reuploading(n, 5), random_observables(n, 2)), 5, 2)
    kept, budgets = curve.found(), iter(int(2**26 * 0.75**i) for i in range(100))
    undone = None

    def with_less_and_less():
        nonlocal undone
        for budget in budgets:
            own_budget(budget)
            undone = curve.found()

    with pytest.raises(ValueError, match="budget"):
        with_less_and_less()
    for one, other in zip(undone, kept, strict=True):
        torch.testing.assert_close(one, other, atol=1e-9, rtol=1e-11)


@pytest.mark.parametrize("at", [0.0, pi, pi / 2, 1e-9, pi - 1e-7, -2 * pi])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 2e-5)])
def test_where_runs_have_entries_that_vanish(any_instruction_set, way, at, dtype, tolerance):
    """There, or next to it, the split of a run into diagonals and RY has no derivatives, or large ones."""
    circuit, w = QuantumCircuit(2), ParameterVector("w", 8)
    x = Parameter("x")
    for layer in range(2):
        for qubit in range(2):
            circuit.rx(w[4 * layer + 2 * qubit], qubit)
            circuit.ry(x, qubit)
            circuit.rz(w[4 * layer + 2 * qubit + 1], qubit)
            circuit.rx(x * w[0], qubit)
        circuit.cx(0, 1)
    program = QuantumModule(circuit, [x], w, observables=["XZ", "YI"])._program
    Curve(program, 3, 2, at=at, dtype=dtype).assert_agrees(tolerance=tolerance)


def stepwise_program(n, seed=0):
    """Words, diagonals, turns, and rotations that controls leave to a part of the state."""
    circuit, x, w = by_words(n, seed, length=10)
    for first in range(n - 1):
        circuit.rzz(w[first % 5], first, first + 1)
        circuit.append(XXPlusYYGate(x[first % 2] + w[0]), [first, first + 1])
        circuit.crx(w[1], first + 1, first)
    model = QuantumModule(circuit, x, w, observables=random_observables(n, seed + 2))
    assert explain(model).schedule["by_steps"]
    return model._program


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("n", [2, 3, 6] if NIGHTLY else [2, 5])
@pytest.mark.parametrize("seed", range(10) if NIGHTLY else range(1))
def test_step_by_step(any_instruction_set, n, order, seed, step_by_step):
    for batch_size in (1, 5, 17) if NIGHTLY else (1, 9):
        Curve(stepwise_program(n, seed), batch_size, order).assert_agrees()


@pytest.mark.parametrize("num_threads", [1, 2, 3])
def test_step_by_step_on_threads(num_threads, step_by_step):
    for batch_size in (1, 4):
        Curve(stepwise_program(6), batch_size, 2).assert_agrees(num_threads)


def program_with_matrices(n, seed=0):
    circuit, x, w = circuit_with_matrices(n, seed)
    program = QuantumModule(circuit, x, w, observables=random_observables(n, seed + 2))._program
    assert program.evolution.matrices
    assert program.evolution.diagonals
    return program


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("n", [2, 3, 6] if NIGHTLY else [2, 5])
def test_matrices_and_diagonals(any_instruction_set, n, order, all_dense):
    for batch_size, num_threads in ((1, 1), (3, 2), (17, 2)):
        Curve(program_with_matrices(n), batch_size, order).assert_agrees(num_threads)


def test_matrices_in_single_precision(any_instruction_set, all_dense):
    for batch_size in (1, 9):
        Curve(program_with_matrices(4), batch_size, 2, dtype=torch.float32).assert_agrees(tolerance=1e-4)


def test_a_single_sample_of_full_layers_is_spread(any_instruction_set):
    """By steps that are there for series alone; a batch that fills the lanes goes through the layers."""
    program = program_of(reuploading(7, 2), random_observables(7, 2))
    engine, plain = engines.engine_of_series(program), engines.engine_of(program)
    assert engine is not plain
    assert engines.engine_of_series(program) is engine
    assert not plain.schedule_float64(1, 1, True)["by_steps"]
    for batch_size, num_threads in ((1, 1), (1, 2), (3, 2), (20, 2)):
        Curve(program, batch_size, 2).assert_agrees(num_threads)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-3), (torch.float64, 1e-10)])
def test_step_by_step_as_by_layers(any_instruction_set, dtype, tolerance):
    """Which it is, the engine is told by the passes: without fusion there are no steps."""
    circuit, x, w = by_words(11, 3, length=40)
    found = []
    for fusion in (True, False):
        with compiler_passes(fusion=fusion):
            model = QuantumModule(circuit, x, w, observables=random_observables(11, 1))
            assert bool(explain(model).schedule["by_steps"]) == fusion
            found.append(Curve(model._program, 3, 1, dtype=dtype).found())
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, atol=tolerance, rtol=tolerance)


def test_single_precision(any_instruction_set, way):
    program = program_of(reuploading(5, 4), random_observables(5, 1))
    Curve(program, 7, 2, dtype=torch.float32).assert_agrees(tolerance=2e-5)


def model_and_function(circuit, inputs, weights, observables=None, method="auto"):
    model = QuantumModule(
        circuit, inputs, weights, observables=observables or "individualZ", method=method, seed_init=1
    )
    [name] = model.variational_names
    return lambda x, w: functional_call(model, {name: w}, (x,))


def mixed_circuit():
    """Shared parameters, products, and expressions that are no polynomials."""
    circuit, x, w = QuantumCircuit(2), ParameterVector("x", 2), ParameterVector("w", 3)
    circuit.ry(x[0] * w[0], 0)
    circuit.rx(w[0] + x[1], 1)
    circuit.rzz(w[1] * w[0], 0, 1)
    circuit.ry(w[2].sin() * x[1], 0)
    circuit.cx(0, 1)
    circuit.rz(x[0].exp() * w[1], 1)
    circuit.rx(x[0] * x[0], 1)
    return circuit, x, w


@pytest.fixture
def pair():
    """The function by the engine and in plain PyTorch, and where it is looked at."""
    given = mixed_circuit()
    generator = torch.Generator().manual_seed(3)
    at = torch.rand(3, 2, generator=generator), torch.rand(3, generator=generator)
    return *(model_and_function(*given, ["ZX", "YY"], method) for method in ("auto", "pytorch")), at


def test_every_derivative_up_to_the_third_against_finite_differences(pair):
    function, _, at = pair
    at = tuple(one.requires_grad_() for one in at)
    assert torch.autograd.gradgradcheck(function, at)

    def second(x, w):
        values = function(x, w)
        first = torch.autograd.grad(values.square().sum(), (x, w), create_graph=True)
        return torch.autograd.grad(sum(one.pow(3).sum() for one in first), (x, w), create_graph=True)

    assert torch.autograd.gradcheck(second, at)


TRANSFORMED = {
    "jvp": lambda f, x, w: jvp(f, (x, w), (torch.ones_like(x), w)),
    "jacfwd": lambda f, x, w: jacfwd(f, argnums=(0, 1))(x, w),
    "hessian": lambda f, x, w: hessian(lambda *at: f(*at).sum(), argnums=(0, 1))(x, w),
    "forward over reverse": lambda f, x, w: jacfwd(jacrev(lambda w: f(x, w).square().sum()))(w),
    "reverse over forward": lambda f, x, w: jacrev(jacfwd(lambda w: f(x, w).sum(0)))(w),
    "reverse over reverse": lambda f, x, w: jacrev(jacrev(lambda w: f(x, w).square().sum()))(w),
    "three": lambda f, x, w: jacrev(jacfwd(jacrev(lambda w: f(x, w).sum())))(w),
    "of every sample": lambda f, x, w: vmap(hessian(lambda row: f(row[None], w).sum()))(x),
    "of an ensemble": lambda f, x, w: vmap(hessian(lambda w: f(x, w).square().sum()))(torch.stack([w, 2 * w])),
    "directions of an ensemble": lambda f, x, w: vmap(
        lambda v: jvp(grad(lambda w: f(x, w).square().sum()), (w,), (v,))[1], in_dims=1, out_dims=1
    )(torch.eye(3)),
    "inputs along directions": lambda f, x, w: vmap(lambda v: jvp(lambda x: f(x, w), (x,), (v,))[1])(
        torch.stack([x, 0 * x, x**2])
    ),
    "linearize": lambda f, x, w: torch.func.linearize(lambda w: f(x, w), w)[1](w),
}


@pytest.mark.parametrize("name", list(TRANSFORMED))
@pytest.mark.filterwarnings("ignore")  # the tracer of linearize warns of itself
def test_transforms_agree_with_plain_pytorch(pair, name):
    native, plain, at = pair
    found, expected = (TRANSFORMED[name](function, *at) for function in (native, plain))
    torch.testing.assert_close(found, expected, atol=1e-10, rtol=0)


def test_forward_mode_levels(pair):
    native, plain, (x, w) = pair
    results = []
    for function in (native, plain):
        with torch.autograd.forward_ad.dual_level():
            moving = torch.autograd.forward_ad.make_dual(w, torch.ones_like(w))
            results.append(torch.autograd.forward_ad.unpack_dual(function(x, moving)).tangent)
    torch.testing.assert_close(*results, atol=1e-12, rtol=0)


def test_a_hessian_is_that_of_the_parameter_shift_rule():
    circuit, w = QuantumCircuit(3), ParameterVector("w", 9)
    for i in range(9):
        (circuit.rx, circuit.ry, circuit.rz)[i % 3](w[i], i // 3)
        if i % 3 == 2:
            circuit.cx(i // 3, (i // 3 + 1) % 3)
    function = model_and_function(circuit, None, w, ["ZYX"])
    values = lambda w: function(torch.empty(1, 0), w)[0, 0]  # noqa: E731
    at = torch.linspace(-1, 2, 9)
    shifts = torch.eye(9) * pi / 2
    expected = torch.stack(
        [
            torch.stack(
                [
                    sum(s * t * values(at + s * one + t * other) for s in (1, -1) for t in (1, -1)) / 4
                    for other in shifts
                ]
            )
            for one in shifts
        ]
    )
    torch.testing.assert_close(hessian(values)(at), expected, atol=1e-12, rtol=0)


class TestTwice:
    """Second derivatives along two directions, from series along one."""

    def run(self, directions, wants=(True, True, True), seed=5):
        program = program_of(reuploading(3, 1), random_observables(3, 2))
        curve = Curve(program, 4, 0, seed)
        at = curve.inputs[0], curve.weights[0]
        filled = [
            [torch.zeros_like(of) if v is None else v for v, of in zip(one, at, strict=True)] for one in directions
        ]
        found = twice(Native().prepare(program), 1, wants, curve.cotangent[0], at, directions)

        def both(*moved):
            values, pull_back = torch.func.vjp(lambda *point: pytorch.values(program, *point), *moved)
            return (values, *pull_back(curve.cotangent[0]))

        inner = lambda *moved: jvp(both, moved, tuple(filled[0]))[1]  # noqa: E731
        return (found[0], *found[1]), jvp(inner, at, tuple(filled[1]))[1]

    def shapes(self):
        generator = torch.Generator().manual_seed(1)
        return torch.randn(4, 3, generator=generator), torch.randn(18, generator=generator)

    @pytest.mark.parametrize(
        "change",
        [
            lambda x, w: ((x, None), (x * torch.tensor([[2.0], [-1.0], [0.0], [1e-3]]), None)),  # parallel by rows
            lambda x, w: ((x, None), (x.flip(0), None)),
            lambda x, w: ((x, None), (None, w)),
            lambda x, w: ((None, w), (None, w)),
            lambda x, w: ((x, w), (1e-6 * x.flip(1), 1e-6 * w.flip(0))),
            lambda x, w: ((x * torch.tensor([[1.0], [0.0], [0.0], [0.0]]), None), (x, 0 * w)),
        ],
    )
    def test_against_plain_pytorch(self, change):
        found, expected = self.run(change(*self.shapes()))
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, atol=1e-12 + 1e-9 * other.abs().max().item(), rtol=0)

    @pytest.mark.parametrize("zero", [None, "zeros"])
    def test_nothing_moves(self, zero):
        x, w = self.shapes()
        still = (None, None) if zero is None else (0 * x, 0 * w)
        found, _ = self.run(((x, w), still))
        assert all(one is None for one in found)

    def test_only_what_is_wanted(self):
        x, w = self.shapes()
        found, expected = self.run(((x, None), (None, w)), wants=(False, False, True))
        assert found[0] is None
        assert found[1] is None
        torch.testing.assert_close(found[2], expected[2], atol=1e-10, rtol=0)


def test_a_loss_with_second_derivatives_trains_without_plain_pytorch(monkeypatch):
    def plain(*arguments):
        raise AssertionError("plain PyTorch was asked")

    monkeypatch.setattr(pytorch, "values", plain)
    model = QuantumModule(*_three(reuploading(2, 1)), observables=["ZI", "XX"])
    x = torch.rand(4, 2, requires_grad=True)
    values = model(x)
    [first] = torch.autograd.grad(values.sum(), x, create_graph=True)
    [second] = torch.autograd.grad(first[:, 0].sum(), x, create_graph=True)
    (second.square().sum() + values.sum()).backward()
    assert x.grad.abs().max() > 0


def _three(case):
    return case.circuit, case.encoding, case.variational


def test_frozen_weights_and_constant_inputs():
    model = QuantumModule(*_three(reuploading(2, 1)), ["b", "c"])
    model.b.requires_grad_(False)
    x = torch.rand(3, 2, requires_grad=True)
    [slope] = torch.autograd.grad(model(x).sum(), x, create_graph=True)
    slope.square().sum().backward()
    assert model.b.grad is None
    assert model.c.grad.abs().max() > 0
    by_weights = torch.autograd.grad(model(x.detach()).square().sum(), model.c, create_graph=True)[0]
    by_weights.square().sum().backward()
    assert torch.isfinite(model.c.grad).all()


@pytest.mark.parametrize("method", ["auto", "pytorch"])
def test_empty_batches(method):
    model = QuantumModule(*_three(reuploading(2, 1)), observables=["ZI", "IZ", "ZZ"], method=method)
    x = torch.rand(0, 2, requires_grad=True)
    [slope] = torch.autograd.grad(model(x).sum(), x, create_graph=True)
    slope.square().sum().backward()
    assert x.grad.shape == (0, 2)
    assert all((one.grad == 0).all() for one in model.variational_)
    x, shape = x.detach(), (0, 3)
    assert jacfwd(model)(x).shape == (*shape, 0, 2)
    assert jacfwd(grad(lambda x: model(x).sum()))(x).shape == (0, 2, 0, 2)
    own = {name: torch.stack([one, one]).detach() for name, one in model.named_parameters()}
    assert vmap(lambda own: functional_call(model, own, (x,)))(own).shape == (2, *shape)
    slopes = vmap(grad(lambda own: functional_call(model, own, (x,)).sum()))(own)
    assert all((slopes[name] == 0).all() for name in own)


def test_derivatives_of_circuits_with_matrices_stay_in_the_engine(monkeypatch):
    circuit, x = QuantumCircuit(3), Parameter("x")
    circuit.ry(x, 0)
    circuit.unitary(random_unitary(8, seed=1), range(3))
    circuit.ry(x, 1)
    model = QuantumModule(circuit, [x], None, observables=["ZZZ"])
    at = torch.rand(2, 1, requires_grad=True)
    monkeypatch.setattr(pytorch, "values", None)
    assert torch.autograd.gradgradcheck(model, (at,))
    torch.testing.assert_close(jacfwd(lambda at: model(at).sum())(at), jacrev(lambda at: model(at).sum())(at))


def test_other_methods_go_through_plain_pytorch():
    circuit, x, w = by_words(3, 1)
    model = QuantumModule(circuit, x, w, method="pytorch")
    assert torch.autograd.gradgradcheck(model, (torch.rand(2, len(x), requires_grad=True),))


ONES, W_ONES = torch.ones(3, 2, dtype=torch.float64), torch.ones(12, dtype=torch.float64)


class TestEngine:
    """Wrong arguments never reach the kernels."""

    def series(self, **changes):
        program = program_of(reuploading(2, 1), "individualZ")
        x, w = torch.rand(3, 2), torch.rand(program.evolution.num_all_weights)
        given = {
            "order": 1,
            "inputs": (x, x),
            "size": 3,
            "weights": ([w], [w]),
            "cotangent": (torch.rand(3, 2), None),
            "wants": (True, True),
            "num_threads": 1,
            **changes,
        }
        return program.engine.series_gradients_float64(**given)

    def test_as_it_should_be(self):
        assert len(self.series()) == 2

    @pytest.mark.parametrize(
        ("changes", "error", "match"),
        [
            ({"order": 3}, ValueError, "order: expected 1 or 2"),
            ({"order": 0}, ValueError, "order: expected 1 or 2"),
            ({"order": 2}, ValueError, "inputs: expected 3 powers, got 2"),
            ({"inputs": (ONES,)}, ValueError, "expected 2 powers, got 1"),
            ({"inputs": ()}, ValueError, "expected 2 powers, got 0"),
            ({"inputs": (ONES, ONES[:, :1])}, ValueError, "inputs: expected 6 elements, got 3"),
            ({"inputs": (ONES * torch.nan, ONES)}, ValueError, "inputs: expected finite"),
            ({"inputs": (ONES, ONES.float())}, TypeError, "float64"),
            ({"inputs": (None, ONES)}, TypeError, "inputs: expected"),
            ({"weights": ([ONES[0]], None)}, ValueError, "weights: expected 12 values, got 2"),
            ({"weights": ([W_ONES], [W_ONES, W_ONES])}, ValueError, "weights: too many sets"),
            ({"weights": ([W_ONES[:5], W_ONES[5:]], [None])}, ValueError, "weights: too few sets"),
            ({"weights": (None, None)}, TypeError, "weights: expected a sequence"),
            ({"cotangent": (ONES[:, :1], None)}, ValueError, "cotangent: expected 6 elements, got 3"),
            ({"cotangent": (ONES, None, None)}, ValueError, "cotangent: expected 2 powers, got 3"),
            ({"wants": (True,)}, ValueError, "wants: expected one flag"),
        ],
    )
    def test_wrong_arguments(self, changes, error, match):
        with pytest.raises(error, match=match):
            self.series(**changes)

    def test_what_moves_by_nan_stays_in_its_sample(self):
        moves = ONES.clone()
        moves[1] = torch.nan
        [[by_inputs, by_weights], *_] = self.series(inputs=(ONES, moves), weights=([W_ONES], None))
        assert torch.isfinite(by_inputs).all()
        assert torch.isfinite(by_weights).all()
        _, [by_inputs, by_weights] = self.series(inputs=(ONES, moves), weights=([W_ONES], None))
        assert by_inputs.isnan().any(1).tolist() == [False, True, False]
        assert by_weights.isnan().any()

    def test_angles_without_digits(self):
        x = torch.full((3, 2), 1e17)
        with pytest.raises(ValueError, match="no digit is left"):
            self.series(inputs=(x, None))


@pytest.mark.filterwarnings("ignore")  # the compiler's own
def test_the_operator_keeps_its_promises():
    program = program_of(reuploading(2, 1), "individualZ")
    evolution = program.evolution
    inputs, cotangent = torch.rand(4, 2, requires_grad=True), torch.rand(4, 2, requires_grad=True)
    weights = torch.rand(evolution.num_all_weights, requires_grad=True)
    directions = torch.rand(4, 2, requires_grad=True), torch.rand(evolution.num_all_weights, requires_grad=True)
    text = operators.text_of(program)
    checks = ["test_schema", "test_autograd_registration", "test_faketensor"]
    if NIGHTLY:  # takes as long as all others of this file; those of values and gradients are checked every time
        checks.append("test_aot_dispatch_dynamic")
    torch.library.opcheck(
        torch.ops.qiskit_torch_module.curvature.default,
        (cotangent, inputs, weights, *directions, text, 0),
        test_utils=checks,
    )


@pytest.mark.filterwarnings("ignore")  # the compiler's own
def test_compiled_losses_with_derivatives():
    model = QuantumModule(*_three(reuploading(2, 1)), seed_init=1)
    x = torch.rand(3, 2)

    def by_grad(x):
        return (vmap(grad(lambda row: model(row[None]).sum()))(x) - 1).square().mean()

    def by_jvp(x):
        return (jvp(model, (x,), (torch.ones_like(x),))[1] - 1).square().mean()

    for loss in (by_grad, by_jvp):
        results = []
        for function in (loss, torch.compile(loss, backend="aot_eager")):
            model.zero_grad()
            value = function(x)
            value.backward()
            results.append([value.detach(), *(one.grad.clone() for one in model.variational_)])
        torch.testing.assert_close(*results)


@pytest.mark.filterwarnings("ignore")  # the compiler's own
def test_a_compiled_loss_holds_derivatives_in_one_graph():
    import torch._dynamo

    if not hasattr(torch._dynamo.config, "trace_autograd_ops"):
        pytest.skip("this PyTorch traces no torch.autograd.grad")
    circuit, x = QuantumCircuit(1), Parameter("x")
    circuit.ry(x.sin(), 0)  # derived: what the way back keeps is no leaf
    circuit.rz(Parameter("w"), 0)
    circuit.rx(x, 0)
    model = QuantumModule(circuit, [x], [one for one in circuit.parameters if one != x], seed_init=1)

    def loss(x):
        values = model(x)
        [slope] = torch.autograd.grad(values.sum(), x, create_graph=True)
        if NIGHTLY:  # its gradient is traced through plain PyTorch, which takes its time
            [slope] = torch.autograd.grad(slope.sum(), x, create_graph=True)
        return (slope + values).square().sum()

    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager", dynamic=True)
    with torch._dynamo.config.patch(trace_autograd_ops=True):
        for batch_size in (4, 7):
            at = torch.rand(batch_size, 1, requires_grad=True)
            found, expected = (
                torch.autograd.grad(function(at), [at, *model.parameters()]) for function in (compiled, loss)
            )
            torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_samples_do_not_drown_in_others(dtype):
    """Second derivatives of a sample are right however small or large those of others are."""
    model = QuantumModule(*_three(reuploading(2, 1)), seed_init=1).to(dtype)
    x, scale = torch.rand(4, 2, dtype=dtype, requires_grad=True), 1e20 if dtype == torch.float32 else 1e200

    def second(sizes):
        [slope] = torch.autograd.grad(model(x).sum(), x, create_graph=True)
        [bent] = torch.autograd.grad((slope[:, 0] * sizes).sum(), x, create_graph=True)
        [found] = torch.autograd.grad((bent * sizes[:, None] * torch.tensor([1.0, -2.0], dtype=dtype)).sum(), x)
        return found

    plain = second(torch.ones(4, dtype=dtype))
    sizes = torch.tensor([1.0, 1 / scale**0.5, 1e-4, scale**0.4], dtype=dtype)
    tolerance = 1e-4 if dtype == torch.float32 else 1e-12
    torch.testing.assert_close(second(sizes) / sizes[:, None] ** 2, plain, rtol=tolerance, atol=tolerance)


def test_the_old_vmap_goes_through_plain_pytorch(pair):
    native, plain, (x, w) = pair
    results = []
    for function in (native, plain):
        at = x.clone().requires_grad_()
        [slope] = torch.autograd.grad(function(at, w).sum(), at, create_graph=True)
        loss = lambda w, f=function: f(x, w).sum()  # noqa: E731
        results.append(
            [
                torch.autograd.grad(slope, at, torch.stack([x, x**2]), is_grads_batched=True)[0],
                torch.autograd.functional.hessian(loss, w, vectorize=True),
                torch.autograd.functional.jacobian(
                    lambda w, f=function: f(x, w), w, vectorize=True, strategy="forward-mode"
                ),
            ]
        )
    torch.testing.assert_close(*results, atol=1e-10, rtol=0)


def test_functionalized_forward_mode(pair):
    native, plain, (x, w) = pair
    for transform in (lambda f: jvp(f, (w,), (w,))[1], lambda f: jacfwd(f)(w)):
        found, expected = (
            torch.func.functionalize(lambda f=f, t=transform: t(lambda w: f(x, w)))() for f in (native, plain)
        )
        torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("method", ["auto", "pytorch"])
def test_forward_mode_in_single_precision(method):
    circuit, x, w = mixed_circuit()
    model = QuantumModule(circuit, x, w, observables=["ZX", "YY"], method=method, seed_init=1).float()
    at, weights = torch.rand(3, 2, dtype=torch.float32), torch.rand(3, dtype=torch.float32)

    def values(w):
        return functional_call(model, {model.variational_names[0]: w}, (at,))

    assert jvp(values, (weights,), (weights,))[1].dtype == torch.float32
    second = jacfwd(jacfwd(lambda w: values(w).sum()))(weights)
    torch.testing.assert_close(second, hessian(lambda w: values(w).sum())(weights), atol=1e-4, rtol=1e-4)
    third = jacrev(jacrev(jacrev(lambda w: values(w).sum())))(weights)
    torch.testing.assert_close(jacfwd(jacrev(jacfwd(lambda w: values(w).sum())))(weights), third, atol=1e-3, rtol=1e-3)


def test_third_derivatives_keep_a_graph_of_what_needs_one():
    model = QuantumModule(*_three(reuploading(2, 1)), seed_init=1)
    x = torch.rand(3, 2, requires_grad=True)
    derivative = model(x)
    for _ in range(3):
        [derivative] = torch.autograd.grad(derivative.sum(), x, create_graph=True)
        derivative = derivative[:, :1]
    derivative.square().sum().backward()
    assert all(one.grad.abs().max() > 0 for one in model.variational_)


def test_jacobians_in_a_loss_stay_in_the_engine(monkeypatch):
    model = QuantumModule(*_three(reuploading(2, 1)), ["b", "c"], seed_init=1)
    x = torch.rand(3, 2)

    def loss(b):
        return jacrev(lambda at: functional_call(model, {"b": b, "c": model.c.detach()}, (at,)))(x).square().sum()

    expected = jacfwd(loss)(model.b.detach())

    def plain(*arguments):
        raise AssertionError("plain PyTorch was asked")

    monkeypatch.setattr(pytorch, "values", plain)
    torch.testing.assert_close(torch.autograd.grad(loss(model.b), model.b)[0], expected)
