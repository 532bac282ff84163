"""Circuits whose observables are read from two halves that are never joined: as on all qubits."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import SparsePauliOp

import reference
from circuits_zoo import Case, qaoa, random_observables, reuploading
from qiskit_torch_module import QuantumModule, _engine, compiler_passes, explain
from qiskit_torch_module._simulation.engines import arrays_of, engine_of, unjoined_arrays
from test_halves import CASES, ansatz, assert_equal, assert_same_gradients, chain, module_of, ring
from test_passes import assert_several_threads_agree, run


@pytest.fixture(autouse=True)
def _forced(force_halves):
    force_halves(True, unjoined=True)


def heisenberg(n):
    """Neighbours, words across the cut of either parity, and single qubits: several observables."""
    pairs = [
        (2 * axis, [q, q + 1], weight)
        for q in range(n - 1)
        for axis, weight in zip("XYZ", (1.0, 0.7, 0.4), strict=True)
    ]
    across = [("YX", [0, n - 1], 0.2), ("YYZ", [1, n // 2, n - 1], 0.6), ("YY", [n // 2 - 1, n - 2], -0.3)]
    return [
        SparsePauliOp.from_sparse_list([*pairs, *across, ("I", [0], 0.25)], n),
        SparsePauliOp.from_sparse_list([("ZZ", [0, n - 1], 1.0), ("Y", [n // 2], 2.0)], n),
    ]


READ = {"Z": lambda n: "individualZ", "Heisenberg": heisenberg, "random": lambda n: random_observables(n, 3)}


def product(n):
    """One layer of data, a chain, and one of weights, which is absorbed."""
    x, w = ParameterVector("x", n), ParameterVector("w", n)
    circuit = QuantumCircuit(n)
    for q in range(n):
        circuit.ry(x[q], q)
    for p, q in chain(n):
        circuit.cx(p, q)
    for q in range(n):
        circuit.rx(w[q], q)
    return Case(circuit, list(x), [list(w)])


ALL = {**CASES, "product": (0, product)}


def stay_apart(model, batch_size=1, num_threads=1):
    return engine_of(model._program).schedule_float64(batch_size, num_threads, True)["words"] > 0


def pair_of(name, n, read, **options):
    case = ALL[name][1](n)
    with compiler_passes(symmetry_reduction=False):
        apart = module_of(case, READ[read](n), **options)
        whole = module_of(case, READ[read](n), halved=False, num_threads_forward=1, num_threads_backward=1)
    return apart, whole


# A layer that turns some qubits only.
JOINED = {("product", "Heisenberg"), ("product", "random")}


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(
    ("name", "read"),
    [*((name, read) for name in ALL for read in ("Z", "Heisenberg")), ("reuploading", "random"), ("chain", "random")],
)
def test_results_are_those_of_the_whole(name, read, instruction_set):
    apart, whole = pair_of(name, 12, read)
    for batch_size in (1, 21):
        assert stay_apart(apart, batch_size) == ((name, read) not in JOINED)
        assert not stay_apart(whole, batch_size)
        assert_equal(run(apart, batch_size), run(whole, batch_size))


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("name", ["reuploading", "chain", "ring"])
@pytest.mark.parametrize("read", READ)
def test_values_against_the_reference(name, read, layout):
    case = CASES[name][1](8)
    rows = np.random.default_rng(0).normal(size=(2, len(case.columns)))
    model = module_of(case, READ[read](8))
    width = len(case.encoding)
    for row in rows:
        sets = torch.split(torch.tensor(row[width:]), [len(one) for one in case.variational])
        model.load_state_dict(dict(zip(model.variational_names, sets, strict=True)))
        found = model(torch.tensor(row[None, :width])).detach().numpy().ravel()
        observables = READ[read](8)
        if observables == "individualZ":
            observables = [SparsePauliOp.from_sparse_list([("Z", [q], 1.0)], 8) for q in range(8)]
        expected = reference.batch_values(case.circuit, observables, case.columns, row[None])
        np.testing.assert_allclose(found, expected.ravel(), atol=1e-11, rtol=0)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("name", ["reuploading", "chain, weights only", "far", "apart"])
@pytest.mark.parametrize("read", ["Z", "Heisenberg"])
def test_kets_of_the_halves_are_kept_or_undone(name, read, layout, storages):
    apart, whole = pair_of(name, 12, read)
    engine, stored, expected = engine_of(apart._program), set(), run(whole, 40)
    for mode, tape, _, is_team, _ in storages:
        if mode == "values" or is_team:
            continue
        plan = engine.schedule_float64(40, 1, True)
        if plan["words"] and plan["keeps_kets"] == (mode == "gradient_keeping_kets"):
            assert_equal(run(apart, 40), expected)
            stored.add((mode, tape))
    assert {("gradient_keeping_kets", "nothing"), ("gradient_undoing_kets", "nothing")} <= stored


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("name", ["reuploading", "ring", "far", "apart", "phases", "product"])
@pytest.mark.parametrize("read", ["Z", "Heisenberg"])
@pytest.mark.parametrize("num_threads", [2, 5])
def test_threads_of_a_team_share_the_halves(name, read, num_threads, layout, storages):
    apart, whole = pair_of(name, 12, read, num_threads_forward=num_threads, num_threads_backward=num_threads)
    engine, stored, expected = engine_of(apart._program), 0, run(whole, 1)
    for mode, _, _, is_team, _ in storages:
        schedule = engine.schedule_float64(1, num_threads, True)
        if mode != "values" and is_team and schedule["words"] and schedule["is_team"]:
            assert_equal(run(apart, 1), expected)
            stored += 1
    assert stored > 1 or (name, read) in JOINED


@pytest.mark.usefixtures("float64")
def test_members_of_a_team_may_differ_between_the_calls():
    """A forward call with two threads, backward calls with one and with three; both on the tape of the first."""
    apart, whole = pair_of("reuploading", 14, "Z", num_threads_forward=2, num_threads_backward=3)
    assert_equal(run(apart, 1), run(whole, 1))
    apart.set_num_threads_backward(1)
    assert_equal(run(apart, 1), run(whole, 1))


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("read", ["Z", "Heisenberg"])
def test_tapes_of_teams_that_were_there_for_one_call_only(read):
    """Of several Python threads one has the team; the others do its work alone, forward or back."""
    _engine.force_halves(False)
    n = 20 if read == "Z" else 22
    apart, _ = pair_of("ring" if read == "Z" else "chain", n, read)
    engine, random = engine_of(apart._program), np.random.default_rng(0)
    inputs, weights = random.normal(size=(1, n)), random.normal(size=12 * n)
    cotangent = random.normal(size=(1, apart._program.output_size))
    schedule = engine.schedule_float64(1, 3, True)
    assert schedule["is_team"]
    assert schedule["words"]
    assert schedule["tape_bytes"]

    assert_several_threads_agree(engine, inputs, weights, cotangent)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("read", READ)
@pytest.mark.parametrize("with_tape", [False, True])
@pytest.mark.parametrize("wanted", ["inputs", "first weights", "last weights"])
def test_gradients_of_some_variables(wanted, with_tape, read, layout):
    apart, whole = pair_of("reuploading", 9, read)
    assert stay_apart(apart, 40)
    random = np.random.default_rng(0)
    num_values = apart._program.output_size
    inputs, weights = random.normal(size=(40, 9)), random.normal(size=90)
    cotangent = random.normal(size=(40, num_values))
    flags = np.zeros(99, bool)
    flags[{"inputs": slice(9), "first weights": slice(9, 14), "last weights": slice(50, 99)}[wanted]] = True
    engines = engine_of(apart._program), engine_of(whole._program)
    assert_same_gradients(engines, inputs, weights, cotangent, flags, with_tape)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("read", READ)
@pytest.mark.parametrize("batch_size", [1, 5, 40])
def test_rows_of_a_jacobian(read, batch_size, layout):
    """Several cotangents of one way forward; some of them zero, so that words and whole half-words do not count."""
    apart, whole = pair_of("chain", 9, read)
    random = np.random.default_rng(0)
    num_values = apart._program.output_size
    inputs, weights = random.normal(size=(batch_size, 9)), random.normal(size=108)
    cotangents = np.stack([np.broadcast_to(row, (batch_size, num_values)) for row in np.eye(num_values)])
    both = []
    for model in (apart, whole):
        engine = engine_of(model._program)
        both.append(engine.vector_jacobian_products(inputs, weights, cotangents.copy(), np.ones(117, bool), 2))
    for one, other in zip(*both, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-11, rtol=0)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("read", ["Z", "Heisenberg"])
def test_second_derivatives_and_imaginary_ones_take_the_state(read):
    """What moves along directions, and what sees phases, is not read from halves; the results are there all the same."""
    apart, whole = pair_of("reuploading", 8, read)
    inputs = torch.rand(2, 8, requires_grad=True)
    seconds = []
    for model in (apart, whole):
        [first] = torch.autograd.grad(model(inputs).square().sum(), inputs, create_graph=True)
        seconds.append(torch.autograd.grad(first.square().sum(), [inputs, *model.parameters()]))
    assert_equal(*seconds)
    random = np.random.default_rng(0)
    values, weights = random.normal(size=(3, 8)), random.normal(size=80)
    cotangent, wanted = random.normal(size=(3, apart._program.output_size)), np.ones(88, bool)
    engines = engine_of(apart._program), engine_of(whole._program)
    one, other = (e.vector_jacobian_product(values, weights, cotangent, wanted, 1, True) for e in engines)
    for found, expected in zip(one, other, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-11, rtol=0)


@pytest.mark.parametrize("read", READ)
@pytest.mark.parametrize("batch_size", [1, 21])
def test_single_precision(read, batch_size, layout):
    apart, whole = pair_of("reuploading", 10, read)
    single, double = run(apart, batch_size), run(whole.double(), batch_size)
    assert_equal([one.double() for one in single], double, atol=5e-5)


@st.composite
def circuits(draw):
    """Layers of rotations of data and weights on all qubits; entangling gates within halves, and a few across."""
    n = draw(st.integers(8, 10))
    layers = draw(st.integers(2, 4))
    x, w = ParameterVector("x", n), ParameterVector("w", 3 * layers * n)
    circuit = QuantumCircuit(n)
    weights = iter(w)
    half = n // 2
    for layer in range(layers):
        for q in range(n):
            first, second = draw(st.permutations(["rx", "ry", "rz"]))[:2]
            getattr(circuit, first)(next(weights) * (x[q] if layer % 2 else 1), q)
            getattr(circuit, second)(next(weights), q)
            if {first, second} == {"rz"} or first == "rz":
                circuit.ry(next(weights), q)
        if layer == layers - 1 and draw(st.booleans()):
            break
        for _ in range(draw(st.integers(0, 5))):
            begin, size = draw(st.sampled_from([(0, half), (half, n - half)]))
            p, q = draw(st.permutations(range(begin, begin + size)))[:2]
            getattr(circuit, draw(st.sampled_from(["cx", "cz", "swap"])))(p, q)
            circuit.rzz(next(weights), p, q) if draw(st.integers(0, 4)) == 0 else None
        for _ in range(draw(st.integers(0, 2))):
            circuit.cx(*draw(st.sampled_from([(half - 1, half), (half, half - 1), (0, n - 1), (n - 1, 0)])))
    return Case(circuit, [one for one in x if one in circuit.parameters], [[p for p in w if p in circuit.parameters]])


@st.composite
def observables(draw, n):
    def term():
        qubits = sorted(draw(st.sets(st.integers(0, n - 1), min_size=1, max_size=n)))
        return "".join(draw(st.sampled_from("XYZ")) for _ in qubits), qubits, draw(st.floats(-1, 1))

    return [SparsePauliOp.from_sparse_list([term() for _ in range(draw(st.integers(1, 6)))], n) for _ in range(2)]


@pytest.mark.usefixtures("float64")
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_random_circuits(data):
    case = data.draw(circuits())
    n = case.circuit.num_qubits
    read = data.draw(st.one_of(st.just("individualZ"), observables(n)))
    try:
        with compiler_passes(symmetry_reduction=False):
            apart, whole = module_of(case, read), module_of(case, read, halved=False)
        for layouts in (_engine.Layouts.batched, _engine.Layouts.mixed, _engine.Layouts.spread):
            _engine.allow_layouts(layouts)
            assert_equal(run(apart, 3), run(whole, 3))
    finally:
        _engine.allow_layouts(_engine.Layouts.any)


def test_arrays_of_words_that_contradict_each_other_are_refused():
    model = module_of(reuploading(8, 2))
    program = model._program
    unjoined = program.unjoined
    whole = arrays_of(program.evolution.layers, program.evolution.passes, program.output)
    given_arrays = unjoined_arrays(unjoined, program.evolution.passes, program.output)
    _engine.Engine(8, 8, 90, whole, None, given_arrays)
    rest = given_arrays["rest"]
    broken = {
        "gram_half": np.full_like(rest["gram_half"], 2),
        "gram_x": rest["gram_x"] | np.uint32(1 << 4),
        "gram_z": rest["gram_z"][:-1],
        "gram_word_begin": rest["gram_word_begin"][:-1],
        "word_x": rest["word_x"] | np.uint32(1 << 4),
        "word_z": rest["word_z"][:-1],
        "reading_word": rest["reading_word"] + np.int32(len(rest["word_x"])),
        "reading_sign": rest["reading_sign"][:-1],
    }
    for name, array in broken.items():
        with pytest.raises(ValueError, match="inconsistent program"):
            _engine.Engine(8, 8, 90, whole, None, {**given_arrays, "rest": {**rest, name: array}})
    with pytest.raises(ValueError, match="inconsistent program"):
        _engine.Engine(8, 8, 90, whole, given_arrays | {"rest": {**rest, "reading_word": rest["reading_word"][:-3]}})


def chosen(case, read="individualZ", batch_size=1):
    _engine.force_halves(False)
    return stay_apart(module_of(case, read), batch_size)


@pytest.mark.parametrize(
    ("case", "read", "batch_size", "expected"),
    [
        (reuploading(16, 3), "Z", 48, True),
        (reuploading(20, 3), "Z", 1, True),
        (reuploading(10, 3), "Z", 48, False),  # the halves hold as many amplitudes as the state
        (ansatz(chain)(16), "Heisenberg", 1, True),
        (ansatz(ring)(12), "Heisenberg", 1, False),  # 64 products of states
        (reuploading(16, 7), "Z", 1, False),  # too deep
        (qaoa(16, 8), "Z", 1, False),
    ],
)
def test_halves_stay_apart_where_that_is_faster(case, read, batch_size, expected):
    n = case.circuit.num_qubits
    assert chosen(case, READ[read](n), batch_size) == expected


def test_many_random_terms_are_read_from_the_state():
    random = np.random.default_rng(0)
    labels = {"".join(random.choice(list("IXYZ"), 14)) for _ in range(1000)}
    assert not chosen(ansatz(chain)(14), [SparsePauliOp(sorted(labels))])


@pytest.mark.usefixtures("float64")
def test_30_qubits_of_a_shallow_circuit_take_the_memory_of_two_halves():
    """Neighbours alone turn what is read of a qubit: a circuit of a few of them says the same."""

    def layers(n):
        x, w = ParameterVector("x", n), ParameterVector("w", 2 * n)
        circuit = QuantumCircuit(n)
        for q in range(n):
            circuit.ry(x[q], q)
        for q in range(n - 1):
            circuit.cz(q, q + 1)
        for q in range(n):
            circuit.rx(w[q], q)
        for q in range(n - 1):
            circuit.cz(q, q + 1)
        for q in range(n):
            circuit.ry(w[n + q], q)
        return circuit, list(x), list(w)

    def model_of(n, read):
        circuit, x, w = layers(n)
        return QuantumModule(circuit, x, w, observables=read)

    _engine.force_halves(False)
    middle = model_of(30, [SparsePauliOp.from_sparse_list([("ZX", [14, 15], 1.0)], 30)])
    assert engine_of(middle._program).schedule_float64(1, 1, True)["scratch_bytes"] < 64 << 20
    few = model_of(8, [SparsePauliOp.from_sparse_list([("ZX", [3, 4], 1.0)], 8)])
    weights, inputs = torch.rand(60), torch.rand(1, 30)
    with torch.no_grad():
        next(middle.parameters()).copy_(weights)
        next(few.parameters()).copy_(weights.reshape(2, 30)[:, 11:19].ravel())
    found = [(middle(inputs), middle), (few(inputs[:, 11:19]), few)]
    gradients = [torch.autograd.grad(value.sum(), list(model.parameters()))[0] for value, model in found]
    torch.testing.assert_close(found[0][0], found[1][0], atol=1e-11, rtol=0)
    torch.testing.assert_close(gradients[0].reshape(2, 30)[:, 11:19].ravel(), gradients[1], atol=1e-11, rtol=0)


def test_explain_says_that_halves_stay_apart():
    found = explain(module_of(reuploading(16, 3)), batch_size=48)
    assert (found.words, found.half_words) == (48, 7)
    assert found.sweeps_of_layers == (0, 0, 0, 0)
    line = "3 layers on 8 and 8 qubits, a sum of 16 products of states, never joined: 48 Pauli words by 7 half-words"
    assert line in str(found)
    _engine.force_halves(True)
    joined = explain(module_of(reuploading(16, 3)), batch_size=48)
    assert (joined.words, joined.half_words) == (0, 0)
    assert found.gradients.flops < joined.gradients.flops


@pytest.fixture(scope="module")
def read_apart():
    """A circuit that is read from halves, and an engine of it with some arrays of what is read replaced."""
    case = reuploading(8, 1)
    program = QuantumModule(case.circuit, case.encoding, case.variational)._program
    evolution, output = program.evolution, program.output
    arrays = arrays_of(evolution.layers, evolution.passes, output)
    apart = dict(unjoined_arrays(program.unjoined, evolution.passes, output))

    def engine(**changes):
        changed = {**apart, "rest": {**apart["rest"], **changes}}
        sizes = evolution.num_qubits, evolution.num_all_inputs, evolution.num_all_weights
        return _engine.Engine(*sizes, dict(arrays), None, changed)

    return apart["rest"], engine


@pytest.mark.parametrize("name", ["gram_x", "gram_z", "word_x", "word_z"])
def test_half_words_beyond_their_half_are_refused(read_apart, name):
    rest, engine = read_apart
    engine()
    for place in range(len(rest[name])):
        masks = rest[name].copy()
        masks[place] |= 1 << 5
        with pytest.raises(ValueError, match="half-words"):
            engine(**{name: masks})


def test_words_that_nobody_reads_are_refused(read_apart):
    rest, engine = read_apart
    fewer = {name: rest[name][:-1] for name in ("reading_word", "reading_sign")}
    with pytest.raises(ValueError, match="what is read of halves that stay apart"):
        engine(**fewer)
