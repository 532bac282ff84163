"""Shots that the engine draws: their statistics against theory, their stream, and gradients from them."""

import copy
import pickle
import re

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import SparsePauliOp, Statevector
from scipy.stats import chi2

import qiskit_torch_module as qtm
from qiskit_torch_module._program.program import Program
from qiskit_torch_module._simulation.engines import engine_of
from qiskit_torch_module.methods import SPSA, GuidedSPSA, Shots
from qiskit_torch_module.methods import shots as room
from qiskit_torch_module.methods.counts import drawn_counts
from qiskit_torch_module.outputs import Probabilities

# Terms that share settings, terms that do not commute, a constant, a coefficient each.
OBSERVABLES = [
    SparsePauliOp(["ZZI", "IZZ", "XXI", "III"], [0.5, -1.2, 0.7, 2.0]),
    SparsePauliOp(["XYI", "IXX", "IIY"], [1.0, -0.4, 0.3]),
    "ZIZ",
    SparsePauliOp(["III"], [-1.5]),
]


def ansatz(num_qubits=3, layers=2):
    x, w = ParameterVector("x", num_qubits), ParameterVector("w", num_qubits * layers + (num_qubits > 1))
    circuit = QuantumCircuit(num_qubits)
    for layer in range(layers):
        for qubit in range(num_qubits):
            circuit.ry(x[qubit] * w[layer * num_qubits + qubit] + 0.1, qubit)
            circuit.rz(2 * w[layer * num_qubits + qubit], qubit)
        for qubit in range(num_qubits - 1):
            circuit.cx(qubit, qubit + 1)
        if num_qubits > 1:
            circuit.rzz(w[-1], 0, num_qubits - 1)
    return circuit, [*x], [*w]


def model_of(method, observables=OBSERVABLES, num_qubits=3, **options):
    circuit, x, w = ansatz(num_qubits)
    return qtm.QuantumModule(circuit, x, w, observables=observables, method=method, seed_init=0, **options)


def inputs_of(num_qubits=3, batch=4):
    return torch.rand(batch, num_qubits, generator=torch.Generator().manual_seed(1))


def state_of(model, row):
    values = dict(zip(model.encoding_parameters, row.tolist(), strict=True))
    values |= dict(zip(model.variational_parameters[0], model.variational.tolist(), strict=True))
    return Statevector(model.circuit.assign_parameters(values))


# Statistics.


def theory(model, row):
    """Mean of each observable, and the variance of one shot of every setting, added up."""
    state, settings = state_of(model, row), model._program.settings
    means, variances = [], []
    for number, observable in enumerate(OBSERVABLES):
        operator = SparsePauliOp(observable) if isinstance(observable, str) else observable
        means.append(state.expectation_value(operator).real)
        by_bases = {}
        for label, coefficient in zip(operator.paulis.to_labels(), operator.coeffs.real, strict=True):
            if set(label) != {"I"}:
                by_bases.setdefault(place(settings, number, label), []).append((label, coefficient))
        total = 0.0
        for terms in by_bases.values():
            part = SparsePauliOp(*zip(*terms, strict=True))
            total += state.expectation_value(part @ part).real - state.expectation_value(part).real ** 2
        variances.append(total)
    return np.array(means), np.array(variances)


def place(settings, observable, label):
    """The setting that has a term."""
    letters = label[::-1]
    support = sum(1 << q for q, letter in enumerate(letters) if letter != "I")
    for number, setting in enumerate(settings):
        bases = "".join("IZXY"[2 * (setting.x >> q & 1) + (setting.z >> q & 1)] for q in range(len(letters)))
        agrees = all(letter in ("I", basis) for letter, basis in zip(letters, bases, strict=True))
        if agrees and any((setting.observable == observable) & (setting.support == support)):
            return number
    raise AssertionError(label)


def within_chi_square(values, variance, chance=1e-5):
    """Whether the variance of values about their mean can be this one."""
    freedom = len(values) - 1
    low, high = chi2.ppf([chance, 1 - chance], freedom) / freedom
    return low * variance <= np.var(values, ddof=1) <= high * variance


@pytest.mark.parametrize(("shots", "one_by_one"), [(40, 10**6), (1000, 10**6), (1000, 999), (10**8, 10**6)])
def test_means_and_variances_are_those_of_theory(shots, one_by_one, monkeypatch):
    monkeypatch.setattr(room, "_MOST_ONE_BY_ONE", one_by_one)
    model = model_of(Shots(shots, generator=3)).double()
    row, copies = inputs_of()[0].double(), 3000
    with torch.no_grad():
        values = model(row.expand(copies, -1)).double().numpy()
    means, variances = theory(model, row)
    deviations = np.abs(values.mean(0) - means) * np.sqrt(shots * copies)
    assert (deviations <= 4 * np.sqrt(variances) + 1e-3).all()
    for column, variance in zip(values.T, variances, strict=True):
        assert variance < 1e-12 or within_chi_square(column, variance / shots)
    # And so are the errors that they carry: of a constant there is none.
    errors = model.method.standard_errors.numpy()
    assert errors.shape == values.shape
    np.testing.assert_allclose((errors**2).mean(0), variances / shots, rtol=0.05, atol=1e-12)


def engine_and_inputs(num_qubits, rows=1):
    model = model_of("native", "Z" * num_qubits, num_qubits)
    program = Program(model._program.apart.evolution, Probabilities())
    angles = torch.rand(rows, program.evolution.num_inputs, generator=torch.Generator().manual_seed(2)) * 6
    return engine_of(program), angles.numpy(), np.empty(0, np.float32)


@pytest.mark.parametrize("num_qubits", [1, 2, 3, 6, 10])
def test_outcomes_are_those_of_the_distribution(num_qubits):
    engine, angles, nothing = engine_and_inputs(num_qubits)
    probabilities = engine.values(angles, nothing, 1)[0].astype(float)
    shots = 400_000
    outcomes = engine.drawn_outcomes(angles, nothing, shots, 11, 1)[0]
    expected = shots * probabilities / probabilities.sum()
    often = expected >= 5
    counts = np.bincount(outcomes, minlength=len(expected))
    parts = np.append(counts[often], counts[~often].sum()), np.append(expected[often], expected[~often].sum())
    kept = parts[1] >= 5
    statistic = ((parts[0][kept] - parts[1][kept]) ** 2 / parts[1][kept]).sum()
    assert statistic <= chi2.ppf(1 - 1e-4, max(1, kept.sum() - 1))


def test_outcomes_that_cannot_be_are_not_drawn():
    circuit = QuantumCircuit(3)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.cx(1, 2)
    program = Program(qtm.QuantumModule(circuit, observables="ZZZ")._program.evolution, Probabilities())
    outcomes = engine_of(program).drawn_outcomes(np.empty((5, 0)), np.empty(0), 2000, 4, 1)
    assert set(outcomes.ravel()) == {0, 7}
    assert 0.45 < (outcomes == 0).mean() < 0.55


@pytest.mark.parametrize("shots", [20_000, 10**12])
def test_counts_are_those_of_the_distribution(shots):
    rng = np.random.default_rng(1)
    probabilities = rng.random((40, 16)) ** 8  # over many orders of magnitude
    probabilities[:, [0, 5, 6, 7, 15]] = 0
    counts = drawn_counts(probabilities.astype(np.float32), shots, rng)
    assert (counts.sum(1) == shots).all()
    assert not counts[:, [0, 5, 6, 7, 15]].any()
    exact = probabilities.astype(np.float32).astype(float)
    expected = shots * exact / exact.sum(1, keepdims=True)
    kept = expected > 10
    statistic = ((counts - expected) ** 2 / np.maximum(expected, 1))[kept].sum()
    # Rows add up, so that each has a freedom less; the rare outcomes that are left out keep it from being exact.
    low, high = chi2.ppf([1e-4, 1 - 1e-4], [kept.sum() - 40, kept.sum()])
    assert low <= statistic <= high


def test_counts_of_one_outcome():
    rng = np.random.default_rng(0)
    assert drawn_counts(np.array([[1.0], [0.5]]), 7, rng).tolist() == [[7], [7]]
    assert drawn_counts(np.array([[0.0, 0.0, 1e-300, 0.0]]), 2**48, rng).tolist() == [[0, 0, 2**48, 0]]


def test_as_many_shots_as_there_can_be_take_no_time():
    values = []
    for shots in (10**12, 2**48):
        model = model_of(Shots(shots, generator=0)).double()
        with torch.no_grad():
            values.append(model(inputs_of().double()))
        exact = model_of("native").double()(inputs_of().double())
        errors = model.method.standard_errors
        assert ((values[-1] - exact).abs() <= 6 * errors + 1e-12).all()
        assert 0 < errors[:, :3].max() < 10 / shots**0.5
    program, task = model._program, qtm.methods.Task(batch_size=8)
    assert Shots(2**48).cost(program, task) == Shots(10**9).cost(program, task)
    assert Shots(2**48).cost(program, task).seconds < Shots(10**6).cost(program, task).seconds


def test_neighbouring_samples_seeds_and_shots_are_independent():
    engine, angles, nothing = engine_and_inputs(1, 1)
    angles = np.zeros_like(np.repeat(angles, 200, 0)) + np.float32(np.pi / 2)
    table = np.array([[1.0], [-1.0]])
    means = np.concatenate([engine.drawn_means(angles, nothing, table, 100, seed, 1) for seed in range(50)])
    exact = engine.drawn_means(angles[:1], nothing, table, 4_000_000, 0, 1)[0, 0]
    scaled = means[:, 0] - exact
    assert within_chi_square(scaled, (1 - exact**2) / 100)
    by_seed = scaled.reshape(50, 200)
    for products in (by_seed[:, 1:] * by_seed[:, :-1], by_seed[1:] * by_seed[:-1]):
        assert abs(products.mean()) < 4 * (1 - exact**2) / 100 / np.sqrt(products.size)


@pytest.mark.parametrize("one_by_one", [10**6, 70])
def test_tables_and_single_shots_say_the_same(one_by_one, monkeypatch):
    monkeypatch.setattr(room, "_MOST_ONE_BY_ONE", one_by_one)
    inputs, found = inputs_of(), []
    for most in (room._MOST_NUMBERS_OF_TABLE, 0):
        monkeypatch.setattr(room, "_MOST_NUMBERS_OF_TABLE", most)
        monkeypatch.setattr(room, "_SHOTS_AT_ONCE", 2000 if one_by_one > 77 else 3)
        model = model_of(Shots(77, generator=5))
        with torch.no_grad():
            found.append((model(inputs), model.method.standard_errors))
    torch.testing.assert_close(*found)


def test_outcomes_of_many_rows_are_drawn_a_few_rows_at_once(monkeypatch):
    monkeypatch.setattr(room, "_MOST_NUMBERS_OF_TABLE", 0)
    rows, found = inputs_of(batch=1).expand(3, -1), []
    for most in (room._MOST_OUTCOMES, 200, 1):
        monkeypatch.setattr(room, "_MOST_OUTCOMES", most)
        model = model_of(Shots(100, generator=7))
        with torch.no_grad():
            found.append(model(rows))
    whole, in_pairs, one_by_one = found
    assert torch.equal(whole[:2], in_pairs[:2])
    assert torch.equal(whole[0], one_by_one[0])
    assert not any(torch.equal(one_by_one[0], row) for row in one_by_one[1:])  # none has the shots of another


def test_states_in_both_precisions_are_drawn_alike(monkeypatch):
    inputs, found = inputs_of(), []
    for most in (10**8, 1):
        monkeypatch.setattr(room, "_MOST_SHOTS_OF_SINGLE", most)
        found.append(model_of(Shots(500, generator=5))(inputs))
    torch.testing.assert_close(*found, rtol=0, atol=0.02)


# The stream of random numbers.


def test_a_seed_makes_values_reproducible_and_the_stream_moves_on():
    inputs = inputs_of()
    first, second = model_of(Shots(100, generator=7)), model_of(Shots(100, generator=7))
    one, two = first(inputs), first(inputs)
    assert torch.equal(one, second(inputs))
    assert torch.equal(two, second(inputs))
    assert not torch.equal(one, two)
    assert not torch.equal(one, model_of(Shots(100, generator=8))(inputs))


def test_the_global_generator_is_used_without_a_seed():
    inputs, model = inputs_of(), model_of(Shots(100))
    torch.manual_seed(3)
    one = model(inputs)
    torch.manual_seed(3)
    assert torch.equal(one, model(inputs))


def test_a_generator_is_shared():
    inputs, generator = inputs_of(), torch.Generator().manual_seed(5)
    model = model_of(Shots(100, generator=generator))
    state = generator.get_state()
    one = model(inputs)
    assert not torch.equal(state, generator.get_state())
    generator.set_state(state)
    assert torch.equal(one, model(inputs))


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_go_on_where_the_original_is(duplicate):
    inputs, model = inputs_of(), model_of(Shots(100, generator=7))
    model(inputs)
    other = duplicate(model)
    assert torch.equal(model(inputs), other(inputs))


@pytest.mark.parametrize(("num_qubits", "shots"), [(3, 50), (11, 50), (3, 10**9)])
@pytest.mark.parametrize("gradient", ["parameter_shift", "spsa", "guided_spsa"])
def test_nothing_depends_on_the_number_of_threads(gradient, num_qubits, shots):
    found = []
    for threads in (1, 2, 3, 7):
        observables = ["Z" * num_qubits, "X" * num_qubits]
        model = model_of(Shots(shots, gradient, 7), observables, num_qubits, num_threads_forward=threads)
        values = model(inputs_of(num_qubits, 33))
        values.sum().backward()
        found.append((values, model.variational.grad))
    for one in found[1:]:
        torch.testing.assert_close(one, found[0], rtol=0, atol=0)


# Gradients.


def exact(inputs, loss):
    model = model_of("native")
    at = inputs.clone().requires_grad_()
    loss(model(at)).backward()
    return at.grad, model.variational.grad


@pytest.mark.parametrize("gradient", ["parameter_shift", SPSA(4, step=0.05)], ids=str)
def test_gradients_are_right_on_average(gradient):
    copies = 400
    inputs = inputs_of()[:1].expand(copies, -1)
    at = inputs.clone().requires_grad_()
    model = model_of(Shots(100, gradient, 9))
    model(at).sum().backward()
    expected, weights = exact(inputs, torch.sum)
    bias = 0.0 if gradient == "parameter_shift" else 0.1  # the square of the step, of ten variables
    errors = at.grad.std(0) / copies**0.5
    assert ((at.grad.mean(0) - expected[0]).abs() < 4 * errors + bias).all()
    spread = errors.max() * copies * 20  # of the sum over all samples, whose factors are at most 2
    assert ((model.variational.grad - weights).abs() < spread + copies * bias).all()


def test_exact_gradients_are_those_of_the_engine():
    inputs = inputs_of()
    at = inputs.clone().requires_grad_()
    model = model_of(Shots(10, "exact", 1))
    values = model(at)
    assert not torch.allclose(values, model_of("native")(inputs), atol=1e-2)
    values.sum().backward()
    torch.testing.assert_close((at.grad, model.variational.grad), exact(inputs, torch.sum))


def test_training_ends_at_the_ground_state():
    circuit = QuantumCircuit(2)
    w = ParameterVector("w", 4)
    for qubit in range(2):
        circuit.ry(w[qubit], qubit)
    circuit.cx(0, 1)
    for qubit in range(2):
        circuit.ry(w[2 + qubit], qubit)
    energy = SparsePauliOp(["ZI", "IZ", "XX"], [-0.5, -0.5, -1.0])
    model = qtm.QuantumModule(
        circuit, None, w, observables=energy, method=Shots(200, generator=2), variational_params_initial=[0.5] * 4
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.2)
    for _ in range(40):
        optimizer.zero_grad()
        model().sum().backward()
        optimizer.step()
    ground = np.linalg.eigvalsh(energy.to_matrix())[0]
    judge = qtm.QuantumModule(
        circuit, None, w, observables=energy, variational_params_initial=model.variational.detach()
    )
    assert judge().item() < ground + 0.05


def test_a_step_is_one_call_of_each_setting(monkeypatch):
    calls = []
    means = room._Reader.means
    monkeypatch.setattr(room._Reader, "means", lambda *arguments: calls.append(len(arguments[1])) or means(*arguments))
    model = model_of(Shots(10))
    model(inputs_of()).sum().backward()
    settings = len(model._program.settings)
    assert calls == [calls[0]] * settings
    with torch.no_grad():
        model(inputs_of())
    assert calls[settings:] == [4] * settings


# What it takes.


def test_trainable_observables():
    model = model_of(Shots(5000, generator=1), [qtm.outputs.Trainable(["ZII", "IXI", "IIY"]), "ZZZ"])
    native = model_of("native", [qtm.outputs.Trainable(["ZII", "IXI", "IIY"]), "ZZZ"])
    native.load_state_dict(model.state_dict())
    inputs = inputs_of()
    torch.testing.assert_close(model(inputs), native(inputs), rtol=0, atol=0.2)
    model(inputs).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_circuits_with_matrices():
    circuit = QuantumCircuit(3)
    w = ParameterVector("w", 2)
    circuit.ry(w[0], 0)
    circuit.unitary(np.linalg.qr(np.random.default_rng(0).normal(size=(8, 8)))[0], range(3))
    circuit.ry(w[1], 1)
    found = [
        qtm.QuantumModule(circuit, None, w, observables=["ZIX", "YYI"], method=method, seed_init=0)()
        for method in ("native", Shots(100_000, generator=0))
    ]
    torch.testing.assert_close(*found, rtol=0, atol=0.02)


def test_batches_of_any_shape():
    model = model_of(Shots(10))
    assert model(torch.rand(2, 5, 3)).shape == (2, 5, 4)
    assert model.method.standard_errors.shape == (10, 4)
    assert model(torch.rand(0, 3)).shape == (0, 4)
    assert model(torch.rand(3)).shape == (4,)


def test_one_shot_does_not_tell_its_error():
    model = model_of(Shots(1))
    values = model(inputs_of())
    assert torch.isin(values[:, 2], torch.tensor([-1.0, 1.0])).all()
    errors = model.method.standard_errors
    assert errors[:, :3].isnan().all()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Shots(0), ValueError, "n: expected a whole number from 1"),
        (lambda: Shots(2**48 + 1), ValueError, "n: expected a whole number from 1 to 281474976710656, got"),
        (lambda: Shots(-5), ValueError, "n: expected a whole number from 1"),
        (lambda: Shots(10.5), TypeError, "n: expected a whole number, at least 1, got 10.5"),
        (lambda: Shots("many"), TypeError, "n: expected a whole number"),
        (lambda: Shots(10, "adjoint"), ValueError, "gradient: expected one of 'parameter_shift', 'spsa', 'guided_spsa', 'exact'"),
        (lambda: Shots(10, SPSA), TypeError, "an object such as qtm.methods.SPSA"),
        (lambda: Shots(10, None), TypeError, "gradient: expected one of"),
        (lambda: Shots(10, generator=1.5), TypeError, "generator: expected a torch.Generator, a whole number"),
        (lambda: Shots(10, generator=np.random.default_rng(0)), TypeError, "generator: expected a torch.Generator"),
        (lambda: model_of(Shots), TypeError, "give Shots"),
        (lambda: model_of(Shots(10), qtm.outputs.State()), ValueError, "method 'shots': it estimates expectation values"),
        (lambda: model_of(Shots(10), qtm.outputs.Purity((0,))), ValueError, "give Paulis as observables"),
    ],
)  # fmt: skip
def test_bad_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("gradient", ["parameter_shift", "exact", "spsa"])
def test_derivatives_of_gradients_are_refused(gradient):
    model = model_of(Shots(10, gradient))
    slope = torch.autograd.grad(model(inputs_of()).sum(), model.variational, create_graph=True)[0]
    with pytest.raises(NotImplementedError, match="method 'shots' has first gradients only; use method='auto'"):
        slope.sum().backward()


def test_engines_of_other_outputs_are_refused():
    engine = engine_of(model_of("native")._program)
    with pytest.raises(ValueError, match="expected an engine that reads probabilities"):
        engine.drawn_outcomes(np.empty((1, 3)), np.empty(7), 10, 0, 1)
    engine, angles, nothing = engine_and_inputs(2)
    with pytest.raises(ValueError, match="shots: expected a positive number"):
        engine.drawn_outcomes(angles, nothing, 0, 0, 1)
    with pytest.raises(ValueError, match="table: expected a row for each of 4 outcomes, got 3"):
        engine.drawn_means(angles, nothing, np.zeros((3, 1)), 10, 0, 1)


@pytest.mark.parametrize(
    ("gradient", "factor"), [("parameter_shift", None), ("exact", 1), (SPSA(3), 7), (GuidedSPSA(directions=2), None)], ids=str
)  # fmt: skip
def test_what_a_step_takes_is_told_before(gradient, factor, monkeypatch):
    calls = []
    means = room._Reader.means
    monkeypatch.setattr(room._Reader, "means", lambda *arguments: calls.append(len(arguments[1])) or means(*arguments))
    model, inputs = model_of(Shots(10, gradient)), inputs_of(batch=8)
    said = model.cost(inputs)
    assert calls == []
    model(inputs).sum().backward()
    assert said.circuits == sum(calls)
    assert said.shots == 10 * said.circuits
    assert said.jobs == said.pubs == 0  # nothing is sent
    assert factor is None or said.circuits == 8 * factor * len(model._program.settings)
    with torch.no_grad():
        assert model.cost(inputs).circuits == 8 * len(model._program.settings)


def test_time_is_estimated_for_explain():
    program, task = model_of(Shots(10))._program, qtm.methods.Task(batch_size=8)
    seconds = [method.cost(program, task).seconds for method in (Shots(10, "exact"), Shots(10), Shots(10**6))]
    assert 0 < seconds[0] < seconds[1] < seconds[2] / 10
    assert "on the CPU" in Shots(1).cost(program, qtm.methods.Task(device="cuda")).reason
    model = model_of(Shots(10))
    said, inputs = qtm.explain(model, batch_size=8), inputs_of(batch=8).requires_grad_()
    assert said.spending == model.cost(inputs)
    assert re.search(
        r"method shots +about .* chosen\n.*a training step +696 circuits, 6,960 shots", str(said), re.DOTALL
    )
    assert "a training step" not in str(qtm.explain(model_of("native")))
