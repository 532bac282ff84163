"""Circuits that start from two halves: the same values and gradients as on all qubits."""

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector

import reference
from circuits_zoo import Case, qaoa, random_observables, reuploading
from qiskit_torch_module import QuantumModule, _engine, compiler_passes, explain
from qiskit_torch_module._program import effort
from qiskit_torch_module._program.compile import compile_program
from qiskit_torch_module._program.halves import halves_of
from qiskit_torch_module._program.layers import layers_of
from qiskit_torch_module._simulation.engines import arrays_of, engine_of, halved_arrays
from test_passes import run


@pytest.fixture(autouse=True)
def _forced(force_halves):
    force_halves(True)


def ansatz(pairs, *, real=False, encodes=True):
    """Data, then three times weights and entangling gates between the given pairs, then weights."""

    def build(n):
        count = n if real else 3 * n
        x, w = ParameterVector("x", n), ParameterVector("w", 4 * count)
        circuit = QuantumCircuit(n)
        if encodes:
            for q in range(n):
                circuit.ry(x[q], q)
        for layer in range(4):
            for q in range(n):
                circuit.ry(w[layer * count + q], q)
                if not real:
                    circuit.rz(w[layer * count + n + q], q)
                    circuit.rx(w[layer * count + 2 * n + q], q)
            if layer < 3:
                for first, second in pairs(n):
                    circuit.cx(first, second)
        return Case(circuit, list(x) if encodes else [], [list(w)])

    return build


def chain(n):
    return [(q, q + 1) for q in range(n - 1)]


def ring(n):
    return [*chain(n), (n - 1, 0)]


def everyone(n):
    return [(p, q) for p in range(n) for q in range(p + 1, n)]


def backwards(n):
    return [(q + 1, q) for q in range(n - 1)]


def pairs_apart(n):
    """No entangling gate between the halves."""
    return [(q, q + 1) for q in range(n - 1) if q != n // 2 - 1]


def far(n):
    return [*((q, q + 4) for q in range(4)), *((q, q + 1) for q in range(7, n - 1))]


def phases_apart(n):
    """RZZ within and across halves, with angles of data and weights, and one more on a pair that has one already."""
    x, w = ParameterVector("x", n), ParameterVector("w", 6 * n)
    circuit = QuantumCircuit(n)
    circuit.h(range(n))
    for layer in range(3):
        for q in range(n - 1):
            circuit.rzz(w[2 * layer * n + q] * x[q], q, q + 1)
        circuit.cx(0, 1)
        circuit.rz(w[2 * layer * n + n - 1], 1)  # of qubits 0 and 1
        circuit.cx(0, 1)
        for q in range(n):
            circuit.rx(w[(2 * layer + 1) * n + q] + x[q], q)
    return Case(circuit, list(x), [list(w)])


CASES = {
    "reuploading": (2, lambda n: reuploading(n, 2)),
    "chain": (1, ansatz(chain)),
    "chain, RY only": (1, ansatz(chain, real=True)),
    "chain, weights only": (1, ansatz(chain, encodes=False)),
    "ring": (2, ansatz(ring)),
    "all pairs": (1, ansatz(everyone)),
    "backwards": (1, ansatz(backwards)),
    "far": (4, ansatz(far)),
    "apart": (0, ansatz(pairs_apart)),
    "qaoa": (2, lambda n: qaoa(n, 3)),
    "phases": (1, phases_apart),
}


def halves_in(case):
    program = compile_program(case.circuit, "individualZ", case.encoding, case.variational)
    return halves_of(
        layers_of(program.evolution.rotations)[0], program.evolution.num_qubits, program.evolution.num_inputs
    )


@pytest.mark.parametrize("name", CASES)
def test_the_glue_is_what_the_halves_must_know_of_each_other(name):
    glue, build = CASES[name]
    found = halves_in(build(8))
    assert found.glue == glue
    assert (found.low.num_qubits, found.high.num_qubits) == (4 + glue, 4 + glue)


@pytest.mark.parametrize(
    ("pairs", "n", "layers", "glue"),
    [(chain, 8, 2, 1), (chain, 11, 3, 2), (ring, 8, 2, 2), (ring, 18, 3, 4), (pairs_apart, 9, 3, 0)],
)
def test_halves_go_on_for_as_many_layers_as_is_fastest(pairs, n, layers, glue):
    found = halves_in(ansatz(pairs)(n))
    with_runs_of_the_next = layers + (layers == 2)  # the low half of those below
    depths = len(found.low.layers), len(found.high.layers), len(found.rest)
    assert depths == (with_runs_of_the_next, layers, 5 - layers)
    assert found.glue == glue


@pytest.mark.parametrize(
    ("pairs", "n", "low", "high"), [(ring, 12, 4, 0), (chain, 8, 3, 0), (backwards, 8, 3, 0), (everyone, 8, 0, 3)]
)
def test_halves_take_runs_of_the_next_layer_that_are_their_own(pairs, n, low, high):
    found = halves_in(ansatz(pairs)(n))
    assert len(found.rest) == 3
    assert [len(layer.runs) for layer in found.low.layers[2:]] == [low] * (low > 0)
    assert [len(layer.runs) for layer in found.high.layers[2:]] == [high] * (high > 0)
    assert len(found.rest[1].runs) == n - low - high


@pytest.mark.parametrize(
    "case",
    [
        ansatz(lambda n: [(q, q + n // 2) for q in range(n // 2)])(10),  # every gate joins the halves
        ansatz(chain)(7),  # small
        reuploading(8, 12),  # deep
        reuploading(8, 1),  # shallow: the observables absorb the second layer
    ],
    ids=["far", "small", "deep", "shallow"],
)
def test_no_halves_where_they_would_not_pay(case):
    assert halves_in(case) is None


def test_no_halves_where_a_batch_shares_the_first_two_layers():
    case = ansatz(chain, encodes=False)(8)
    x = ParameterVector("x", 8)
    for q in range(8):
        case.circuit.rx(x[q], q)
    assert halves_in(Case(case.circuit, list(x), case.variational)) is None


def module_of(case, observables="individualZ", *, halved=True, **options):
    with compiler_passes(halved_start=halved):
        return QuantumModule(
            case.circuit, case.encoding or None, case.variational, observables=observables, seed_init=3, **options
        )


def assert_equal(results, expected, atol=1e-11):
    for one, other in zip(results, expected, strict=True):
        torch.testing.assert_close(one, other, atol=atol, rtol=0)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("batch_size", [1, 21])
@pytest.mark.parametrize("sums", [False, True], ids=["Z", "sums"])
def test_results_are_those_of_the_whole(name, batch_size, sums, instruction_set):
    n = 12  # halves of fewer than six qubits cannot be spread over the lanes of AVX-512
    case = CASES[name][1](n)
    observables = random_observables(n, 3) if sums else "individualZ"
    halved, whole = module_of(case, observables), module_of(case, observables, halved=False)
    assert engine_of(halved._program).schedule_float64(batch_size, 1, True)["halves"] is not None
    assert engine_of(whole._program).schedule_float64(batch_size, 1, True)["halves"] is None
    assert_equal(run(halved, batch_size), run(whole, batch_size))


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("name", CASES)
def test_values_against_the_reference(name, layout):
    case = CASES[name][1](8)
    observables = random_observables(8, 3)
    rows = np.random.default_rng(0).normal(size=(3, len(case.columns)))
    model = module_of(case, observables)
    width = len(case.encoding)
    for row in rows:
        model.load_state_dict(dict(zip(model.variational_names, _sets(case, row[width:]), strict=True)))
        found = model(torch.tensor(row[None, :width]) if width else None).detach().numpy().ravel()
        expected = reference.batch_values(case.circuit, observables, case.columns, row[None])
        np.testing.assert_allclose(found, expected.ravel(), atol=1e-11, rtol=0)


def _sets(case, weights):
    return torch.split(torch.tensor(weights), [len(one) for one in case.variational])


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("name", ["reuploading", "ring", "far", "phases"])
def test_kets_are_kept_or_undone_down_to_the_halves(name, layout, storages):
    case = CASES[name][1](12)
    halved, expected = module_of(case), run(module_of(case, halved=False), 21)
    engine, stored = engine_of(halved._program), set()
    for mode, tape, _, is_team, _ in storages:
        plan = engine.schedule_float64(21, 1, True)
        if mode != "values" and not is_team and plan["keeps_kets"] == (mode == "gradient_keeping_kets"):
            assert plan["halves"] is not None
            assert_equal(run(halved, 21), expected)
            stored.add((mode, tape))
    assert {("gradient_keeping_kets", "nothing"), ("gradient_undoing_kets", "nothing")} <= stored


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("name", CASES)
def test_threads_of_a_team_have_halves_of_their_own(name, layout):
    case = CASES[name][1](15)
    halved = module_of(case, num_threads_forward=2, num_threads_backward=3)
    schedule = engine_of(halved._program).schedule_float64(1, 3, True)
    assert schedule["is_team"]
    assert schedule["halves"] is not None
    whole = module_of(case, halved=False, num_threads_forward=1, num_threads_backward=1)
    assert_equal(run(halved, 1), run(whole, 1))


def assert_same_gradients(engines, inputs, weights, cotangent, flags, with_tape):
    """Of the wanted variables, from each of two engines."""
    found = []
    for engine in engines:
        tape = engine.record(inputs, weights, 2)[1] if with_tape else None
        gradients = engine.vector_jacobian_product(inputs, weights, cotangent, flags, 2, tape=tape)
        found.append([np.zeros(0) if one is None else one for one in gradients])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-11, rtol=0)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("with_tape", [False, True])
@pytest.mark.parametrize("wanted", ["inputs", "first weights", "last weights"])
def test_gradients_of_some_variables(wanted, with_tape, layout):
    """Also where nothing in a half is wanted, or nothing that the batch shares."""
    case = reuploading(9, 2)
    engines = [engine_of(module_of(case, halved=halved)._program) for halved in (True, False)]
    random = np.random.default_rng(0)
    inputs, weights, cotangent = random.normal(size=(40, 9)), random.normal(size=90), random.normal(size=(40, 9))
    flags = np.zeros(99, bool)
    flags[{"inputs": slice(9), "first weights": slice(9, 14), "last weights": slice(50, 54)}[wanted]] = True
    assert_same_gradients(engines, inputs, weights, cotangent, flags, with_tape)


@pytest.mark.usefixtures("float64")
def test_imaginary_derivatives(layout):
    case = CASES["phases"][1](8)
    random = np.random.default_rng(0)
    inputs, weights, cotangent = random.normal(size=(3, 8)), random.normal(size=48), random.normal(size=(3, 10))
    wanted = np.ones(56, bool)
    engines = [engine_of(module_of(case, random_observables(8, 2), halved=halved)._program) for halved in (True, False)]
    one, other = (e.vector_jacobian_product(inputs, weights, cotangent, wanted, 1, True) for e in engines)
    for found, expected in zip(one, other, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-11, rtol=0)


@pytest.mark.parametrize("batch_size", [1, 21])
def test_single_precision(batch_size, layout):
    case = reuploading(10, 3)
    single = run(module_of(case), batch_size)
    double = run(module_of(case, halved=False).double(), batch_size)
    assert_equal([one.double() for one in single], double, atol=2e-5)


def test_arrays_of_halves_that_contradict_each_other_are_refused():
    case = reuploading(8, 2)
    program = module_of(case)._program
    layers, _ = layers_of(program.evolution.rotations)
    arrays = arrays_of(layers, program.evolution.passes, program.output)
    halves = halved_arrays(halves_of(layers, 8, 8), program.evolution.passes, program.output)
    _engine.Engine(8, 8, 90, arrays, halves)
    low_qubits, low = halves["low"]
    for name, broken in {"glue": 1, "low": (low_qubits + 1, low), "high": (2, low), "rest": arrays}.items():
        with pytest.raises(ValueError, match="inconsistent program"):
            _engine.Engine(8, 8, 90, arrays, {**halves, name: broken})


def test_explain_names_the_halves():
    found = explain(module_of(reuploading(10, 3)), batch_size=48)
    assert found.halves == (7, 7, 2)
    assert found.sweeps_of_layers == (0, 0, 1, 1)
    assert found.prefix_layers == 1
    assert "halved start           2 layers on 5 and 5 qubits, a sum of 4 products of states" in str(found)
    whole = explain(module_of(reuploading(10, 3), halved=False), batch_size=48)
    assert whole.halves is None
    assert "halved start           none" in str(whole)
    assert found.gradients.flops < whole.gradients.flops


def crossing(n):
    """A ring of CX, one rotation on every qubit, and phases that a half of eight qubits sees in some of its blocks."""
    p, circuit = ParameterVector("p", n + 5), QuantumCircuit(n)
    circuit.h(range(n - 1))
    circuit.rx(p[0], n - 1)
    for first, second in ring(n):
        circuit.cx(first, second)
    for q in range(n):
        (circuit.ry if q in (2, 5, 7, 11) else circuit.rx)(p[1 + q], q)
    circuit.cx(n - 1, n - 2)
    circuit.cx(0, n - 1)
    circuit.rx(p[n + 1], 0)
    circuit.ry(p[n + 2], n - 2)
    circuit.rz(p[n + 3], n - 2)
    circuit.cx(0, 1)
    circuit.rx(p[n + 4], 0)
    return Case(circuit, list(p)[:-4], [list(p)[-4:]])


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("n", [12, 13, 14])
def test_halves_of_several_blocks_end_in_the_order_in_which_they_are_joined(n, layout, monkeypatch):
    monkeypatch.setattr(effort, "_OF_RUN", 0.0)  # else it runs step by step
    monkeypatch.setattr(effort, "_OF_LAYER", 0.0)
    case = crossing(n)
    with compiler_passes(symmetry_reduction=False):
        halved, whole = module_of(case), module_of(case, halved=False)
    assert engine_of(halved._program).schedule_float64(8, 1, True)["halves"] is not None
    assert_equal(run(halved, 8), run(whole, 8))
