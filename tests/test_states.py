"""Final states as values: amplitude by amplitude those of Qiskit, global phase included; and their gradients."""

import io
import itertools
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import Statevector, random_hermitian, random_unitary

import qiskit_torch_module as qtm
import reference
from circuits_zoo import Case, qaoa, reuploading
from conftest import NIGHTLY
from qiskit_torch_module import QuantumModule, _engine, methods
from qiskit_torch_module._program.passes import compiler_passes
from qiskit_torch_module._reading.compat import HamiltonianGate, UnitaryGate
from qiskit_torch_module._simulation.engines import engine_of
from qiskit_torch_module.outputs import Output, Probabilities, State

FIXED = {"h": 1, "s": 1, "sdg": 1, "t": 1, "x": 1, "y": 1, "z": 1, "sx": 1, "cx": 2, "cz": 2, "swap": 2, "ccx": 3}
TURNED = {"rx": 1, "ry": 1, "rz": 1, "p": 1, "crx": 2, "cp": 2, "rzz": 2, "rxx": 2, "ryy": 2}


def mixed(n, seed=0, gates=24, dense=False):
    """Cliffords, rotations by data and weights, chains of CNOTs, idle qubits, a global phase that is trained."""
    rng = np.random.default_rng(seed)
    x, w = ParameterVector("x", 2), ParameterVector("w", 4)
    variables = [x[0] * w[0], w[1] + 0.3, x[1], w[2] * w[3] - x[0], w[3]]
    circuit = QuantumCircuit(n + 2, global_phase=w[0] * x[1] + w[1] * x[0] - 2 * w[2] + w[3] - 0.4)
    live = [q for q in range(n + 2) if q not in (1, n)]
    for number in range(gates):
        names = list(FIXED if rng.random() < 0.5 else TURNED)
        name = names[rng.integers(len(names))]
        size = FIXED.get(name) or TURNED[name]
        if size > n:
            continue
        qubits = [live[i] for i in rng.permutation(n)[:size]]
        getattr(circuit, name)(*([variables[number % 5]] if name in TURNED else []), *qubits)
        if number % 8 == 7:
            for first, second in itertools.pairwise(live):
                circuit.cx(first, second)
        if dense and number % 8 == 3:
            circuit.append(UnitaryGate(random_unitary(8, seed=number)), [live[i] for i in rng.permutation(n)[:3]])
            circuit.append(HamiltonianGate(random_hermitian(4, seed=number), w[1] * x[0]), live[:2])
    return Case(circuit, list(x), [list(w)])


def phase_alone():
    x, w = ParameterVector("x", 1), ParameterVector("w", 1)
    return Case(QuantumCircuit(2, global_phase=0.7 * x[0] * w[0] + 0.1), list(x), [list(w)])


def on_zero():
    """What acts on |0> as a phase only, and what only relabels basis states."""
    x, w = ParameterVector("x", 1), ParameterVector("w", 2)
    circuit = QuantumCircuit(3)
    circuit.rz(x[0] * w[0], 0)
    circuit.p(w[1], 1)
    circuit.x(1)
    circuit.p(w[0], 1)
    circuit.cx(1, 2)
    circuit.swap(0, 2)
    return Case(circuit, list(x), [list(w)])


CASES = {
    **{f"mixed {n}": (lambda n=n: mixed(n, n)) for n in (1, 2, 3, 5, 8)},
    "dense": lambda: mixed(5, 3, dense=True),
    "dense, matrix last": lambda: mixed(4, 4, gates=4, dense=True),
    "phase alone": phase_alone,
    "on zero": on_zero,
    "ring": lambda: reuploading(8, 2),
    "qaoa": lambda: qaoa(8, 3),
}


def variables(case, size, dtype=torch.float64, seed=1):
    rng = np.random.default_rng(seed)
    rows = torch.from_numpy(rng.uniform(-2, 2, (size, len(case.encoding)))).to(dtype)
    weights = [torch.from_numpy(rng.uniform(-2, 2, len(one))).to(dtype) for one in case.variational]
    return rows, weights


def built(case, method="native", output=None):
    return QuantumModule(case.circuit, case.encoding, case.variational, observables=output or State(), method=method)


def call(model, rows, *weights):
    return torch.func.functional_call(model, dict(zip(model.variational_names, weights, strict=True)), (rows,))


def states(case, rows, weights):
    flat = torch.cat(weights).tolist()
    values = [dict(zip(case.columns, [*row, *flat], strict=True)) for row in rows.tolist()]
    return np.array([Statevector(reference.assigned(case.circuit, one)).data for one in values])


def check(case, size, dtype=torch.float64, threads=1):
    """States by Qiskit, and their probabilities; gradients by plain PyTorch, for a loss that no phase leaves alone."""
    rows, weights = variables(case, size, dtype)
    model, judge = built(case), built(case, "pytorch")
    probabilities = built(case, output=Probabilities())
    for one in (model, probabilities):
        one.set_num_threads_forward(threads)
        one.set_num_threads_backward(threads)
    loose, tight = (2e-4, 1e-5) if dtype == torch.float32 else (1e-11, 1e-12)
    plain = call(model, rows, *weights)
    assert plain.dtype == dtype.to_complex()
    if size:
        np.testing.assert_allclose(
            plain.numpy(), states(case, rows.double(), [w.double() for w in weights]), atol=tight
        )
    generator = torch.Generator().manual_seed(0)
    cotangent = torch.randn(plain.shape, dtype=plain.dtype, generator=generator)
    found, leaves = [], [leaf.clone().requires_grad_() for leaf in (rows, *weights)]
    for one in (model, judge):
        values = call(one, *leaves)
        torch.testing.assert_close(values.detach(), plain, atol=tight, rtol=0)
        found.append([*torch.autograd.grad(values, leaves, cotangent, retain_graph=True, materialize_grads=True)])
    squares, values = values.abs() ** 2, call(probabilities, *leaves)
    torch.testing.assert_close(values, squares, atol=tight, rtol=0)
    for of_states, squared in zip(found, (values, squares), strict=True):
        of_states.extend(torch.autograd.grad(squared, leaves, cotangent.real, materialize_grads=True))
    for own, expected in zip(*found, strict=True):
        torch.testing.assert_close(own, expected, atol=loose, rtol=1e-5)


@pytest.mark.parametrize("size", [0, 1, 48])
@pytest.mark.parametrize("name", CASES)
def test_states_and_gradients(name, size):
    check(CASES[name](), size)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", ["mixed 5", "mixed 8", "dense", "ring"])
def test_every_layout_and_instruction_set(name, dtype, instruction_set):
    check(CASES[name](), 5, dtype)


@pytest.fixture(params=[False, True], ids=["whole", "halves"])
def halves(request, force_halves):
    force_halves(request.param)
    return request.param


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("name", ["ring", "qaoa", "mixed 8", "dense"])
def test_halves_and_threads(name, threads, halves, layout):
    check(CASES[name](), 7, threads=threads)


@pytest.mark.parametrize("output", [State(), Probabilities()])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_team_shares_a_state(dtype, output, halves, layout):
    """Three threads on one sample of 14 qubits: each reads and seeds its share."""
    case = reuploading(14, 2)
    _engine.assume_processors(3)
    try:
        model = built(case, output=output).to(dtype)
        engine = engine_of(model._program)
        schedule = engine.schedule_float64 if dtype == torch.float64 else engine.schedule_float32
        assert schedule(1, 3, True)["is_team"]
        rows, weights = variables(case, 1, dtype)
        found = []
        for threads in (1, -3):
            model._num_threads_forward = model._num_threads_backward = threads
            leaves = [leaf.clone().requires_grad_() for leaf in (rows, *weights)]
            values = call(model, *leaves)
            cotangent = torch.randn(values.shape, dtype=values.dtype, generator=torch.Generator().manual_seed(0))
            found.append((values.detach(), *torch.autograd.grad(values, leaves, cotangent)))
        for own, expected in zip(*found, strict=True):
            torch.testing.assert_close(own, expected, atol=1e-11 if dtype == torch.float64 else 1e-3, rtol=1e-4)
    finally:
        _engine.assume_processors(0)


@pytest.mark.parametrize("keeps", [True, False], ids=["kept", "undone"])
def test_kets_kept_and_undone(keeps, own_budget):
    """A second backward call finds the kets of the tape spent."""
    case = reuploading(10, 2)
    own_budget(None if keeps else 300_000)
    check(case, 3)
    rows, weights = variables(case, 3)
    leaves = [leaf.requires_grad_() for leaf in (rows, *weights)]
    found = call(built(case), *leaves)
    cotangent = torch.ones_like(found) * (1 - 2j)
    first, second = (torch.autograd.grad(found, leaves, cotangent, retain_graph=True) for _ in range(2))
    for one, again in zip(first, second, strict=True):
        torch.testing.assert_close(one, again)


@pytest.mark.parametrize(
    "switch", ["permutation_folding", "fusion", "diagonal_merging", "product_state", "shared_prefix"]
)
def test_without_a_pass(switch):
    with compiler_passes(**{switch: False}):
        check(mixed(5, 11), 3)


def test_only_what_is_wanted():
    """Gradients of the phase alone, of the data alone, of one set."""
    case = mixed(4, 2)
    rows, weights = variables(case, 3)
    expected = None
    for wanted in ([0, 1], [0], [1]):
        leaves = [leaf.clone().requires_grad_(i in wanted) for i, leaf in enumerate((rows, *weights))]
        found = torch.autograd.grad(
            (call(built(case), *leaves)[:, 0] * (2 + 1j)).real.sum(), [leaves[i] for i in wanted]
        )
        expected = expected or found
        for i, one in zip(wanted, found, strict=True):
            torch.testing.assert_close(one, expected[i])


@pytest.mark.parametrize("output", [State(), Probabilities()])
@pytest.mark.parametrize("name", ["mixed 3", "dense", "on zero", "phase alone"])
def test_derivatives_of_both_orders(name, output):
    case = CASES[name]()
    model = built(case, output=output)
    rows, weights = variables(case, 2)
    leaves = [leaf.requires_grad_() for leaf in (rows, *weights)]
    assert torch.autograd.gradcheck(lambda *at: call(model, *at), leaves, atol=1e-6)
    assert torch.autograd.gradgradcheck(lambda *at: call(model, *at), leaves, atol=1e-5)


@pytest.mark.filterwarnings("ignore")  # PyTorch's own
def test_transforms():
    """Ensembles, forward mode, and Jacobians of amplitudes."""
    case = mixed(3, 5)
    model, judge = built(case), built(case, "pytorch")
    rows, (weights,) = variables(case, 2)
    ensemble = torch.stack([weights, weights + 0.1, -weights])
    found = torch.func.vmap(lambda one: call(model, rows, one))(ensemble)
    torch.testing.assert_close(found, torch.stack([call(model, rows, one) for one in ensemble]))
    for derivative in (
        lambda m: torch.func.jvp(lambda w: call(m, rows, w), (weights,), (ensemble[1],))[1],
        lambda m: torch.func.vjp(lambda w: call(m, rows, w), weights)[1]((1 + 2j) * found[1])[0],
        lambda m: torch.func.jacrev(lambda w: torch.view_as_real(call(m, rows, w)))(weights),
        lambda m: torch.func.jacrev(lambda w: torch.view_as_real(call(m, rows.repeat(5, 1), w)))(weights),
    ):
        torch.testing.assert_close(derivative(model), derivative(judge))


@dataclass(frozen=True)
class Fidelity(Output):
    """With a basis state that is rotated a little: real, and not linear in the state."""

    index: int

    def shape(self, num_qubits):
        return (2,)

    def read(self, state):
        overlap = state[:, self.index] + 0.1j * state[:, 0]
        return torch.stack([overlap.abs() ** 2, overlap.real], 1)


@dataclass(frozen=True)
class Constant(Output):
    """Looks at no amplitude."""

    def shape(self, num_qubits):
        return ()

    def read(self, state):
        return torch.ones(len(state), dtype=state.real.dtype)


def test_outputs_read_the_states_of_the_engine():
    case = mixed(4, 6)
    rows, weights = variables(case, 3)
    leaves = [leaf.requires_grad_() for leaf in (rows, *weights)]
    model, judge = (built(case, method, Fidelity(5)) for method in ("auto", "pytorch"))
    assert qtm.explain(model).chosen == "native"
    torch.testing.assert_close(call(model, *leaves), call(judge, *leaves))
    assert torch.autograd.gradcheck(lambda *at: call(model, *at), leaves)
    assert torch.autograd.gradgradcheck(lambda *at: call(model, *at), leaves)
    found = torch.func.vmap(torch.func.jacrev(lambda row: call(model, row[None], weights[0].detach())[0]))(
        rows.detach()
    )
    for one, row in zip(found, rows.detach(), strict=True):
        expected = torch.func.jacrev(lambda row: call(judge, row[None], weights[0].detach())[0])(row)
        torch.testing.assert_close(one, expected)


@pytest.mark.parametrize("output", [Fidelity(3), Constant(), State()])
def test_runners_by_themselves(output):
    """Without a graph, with a tape and without."""
    case = mixed(3, 7)
    program = built(case, "native", output)._program
    runner, judge = methods.Native().prepare(program), methods.PyTorch().prepare(program)
    rows, weights = variables(case, 4)
    extended = [torch.cat([rows]), weights[0]]
    values, tape = runner.values(extended[0], [extended[1]], record=True)
    assert not values.requires_grad
    torch.testing.assert_close(values, judge.values(extended[0], [extended[1]])[0])
    cotangent = torch.randn_like(values)
    leaves = [one.clone().requires_grad_() for one in extended]
    of_judge = judge.values(leaves[0], [leaves[1]])[0]
    expected = [torch.zeros_like(one) for one in leaves]
    if of_judge.requires_grad:
        expected = torch.autograd.grad(of_judge, leaves, cotangent)
    for one in (tape, tape, None):
        found = runner.pull_back(cotangent, extended[0], [extended[1]], (True, True), tape=one)
        for own, other in zip(found, expected, strict=True):
            torch.testing.assert_close(own, other)
    assert runner.pull_back(cotangent, extended[0], [extended[1]], (False, True))[0] is None


def test_a_cotangent_in_any_form():
    """Lazily conjugated, of other strides, one number for all amplitudes."""
    case = mixed(3, 8)
    rows, weights = variables(case, 4)
    model = built(case)
    rows.requires_grad_()
    found = call(model, rows, *weights)
    given = torch.randn(found.shape[::-1], dtype=found.dtype)
    for cotangent in (given.mH, given.T, torch.tensor(1 - 1j, dtype=found.dtype).expand(found.shape)):
        (own,) = torch.autograd.grad(found, rows, cotangent, retain_graph=True)
        (copied,) = torch.autograd.grad(found, rows, cotangent.resolve_conj().contiguous(), retain_graph=True)
        torch.testing.assert_close(own, copied, rtol=0, atol=0)


def test_a_state_is_a_value(tmp_path):
    assert State() == State()
    assert hash(State()) == hash(State())
    case = reuploading(3, 1)
    first, second = built(case), built(case)
    assert first._program is second._program
    assert first.output_size == 8
    qtm.save(first, tmp_path / "model")
    again = qtm.load(tmp_path / "model")
    assert again.observables == State()
    rows, _ = variables(case, 2, torch.float32)
    torch.testing.assert_close(again(rows), first(rows), rtol=0, atol=0)


@pytest.mark.filterwarnings("ignore")  # PyTorch's own
def test_compiled_exported_and_traced():
    case = mixed(3, 9)
    model = built(case)
    rows, _ = variables(case, 2, torch.float32)
    expected = model(rows)
    torch.testing.assert_close(torch.compile(model, backend="eager")(rows), expected)
    torch.testing.assert_close(torch.export.export(model, (rows,)).module()(rows), expected)
    traced = torch.jit.trace(model, (rows,), check_trace=False)
    torch.testing.assert_close(torch.jit.load(io.BytesIO(_written(traced)))(rows), expected)
    assert model.to("meta")(rows.to("meta")).dtype == torch.complex64


def _written(traced):
    buffer = io.BytesIO()
    torch.jit.save(traced, buffer)
    return buffer.getvalue()


def test_states_that_do_not_fit_are_refused(own_budget):
    case = mixed(8, 1)
    own_budget(8_000)
    with pytest.raises(ValueError, match="method 'native': states of 10 qubits take"):
        built(case)


def test_the_engine_reads_no_state_of_what_it_does_not_know():
    program = built(mixed(3, 1), "native", Fidelity(0))._program
    with pytest.raises(TypeError, match="the native engine reads expectation values, states .* not Fidelity"):
        engine_of(program)


@settings(max_examples=400 if NIGHTLY else 25)
@given(
    st.integers(1, 7),
    st.integers(0, 10**6),
    st.integers(1, 60),
    st.sampled_from(["any", "batched", "mixed", "spread"]),
    st.booleans(),
)
def test_random_circuits(n, seed, gates, layout, dense):
    _engine.allow_layouts(getattr(_engine.Layouts, layout))
    try:
        check(mixed(n, seed, gates, dense and n >= 3), 3)
    finally:
        _engine.allow_layouts(_engine.Layouts.any)
