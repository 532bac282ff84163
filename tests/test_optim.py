"""Optimisers: SPSA, QNSPSA, Rotosolve, SciPy's, and many starts at once."""

import copy
import itertools
import math
import pickle
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector
from qiskit.quantum_info import SparsePauliOp, Statevector

from circuits_zoo import cases, encoded, random_observables
from conftest import NIGHTLY
from qiskit_torch_module import HybridModule, QuantumModule, analysis, methods, optim, outputs, with_method
from qiskit_torch_module.optim.curve import Curve
from qiskit_torch_module.optim.frequencies import frequencies
from qiskit_torch_module.optim.minimizing import METHODS

OPERATOR = SparsePauliOp.from_list([("ZZI", 1.0), ("XIX", 0.5), ("IYY", 0.3), ("IIZ", 0.7)])
LEAST = float(np.linalg.eigvalsh(OPERATOR.to_matrix())[0])


def ansatz():
    w = ParameterVector("w", 9)
    circuit = QuantumCircuit(3)
    for layer in range(3):
        for q in range(3):
            circuit.ry(w[3 * layer + q], q)
        if layer < 2:
            circuit.cx(0, 1)
            circuit.cx(1, 2)
    return circuit, list(w)


def vqe(dtype=torch.float64, seed=0):
    circuit, w = ansatz()
    return QuantumModule(circuit, None, w, "weights", seed_init=seed, observables=OPERATOR).to(dtype)


def energy_of_pennylane(qml, wires):
    """What `vqe` gives, of its weights."""
    observable = qml.Hamiltonian(
        [1.0, 0.5, 0.3, 0.7],
        [qml.PauliZ(2) @ qml.PauliZ(1), qml.PauliX(2) @ qml.PauliX(0), qml.PauliY(1) @ qml.PauliY(0), qml.PauliZ(0)],
    )

    @qml.qnode(qml.device("default.qubit", wires=wires))
    def energy(w):
        for layer in range(3):
            for q in range(3):
                qml.RY(w[3 * layer + q], wires=q)
            if layer < 2:
                qml.CNOT([0, 1])
                qml.CNOT([1, 2])
        return qml.expval(observable)

    return energy


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def metric(model, input=None):
    """The real part of the quantum geometric tensor from the definition, states by Qiskit and differences."""
    circuit, columns = model.circuit, [p for one in model.variational_parameters for p in one]
    weights = torch.cat([one.detach() for one in model.variational_]).double().numpy()
    rows = [[]] if input is None else input.tolist()

    def state(row, values):
        return Statevector(
            circuit.assign_parameters(dict(zip([*model.encoding_parameters, *columns], [*row, *values], strict=True)))
        ).data

    tensors, step = [], 1e-5
    for row in rows:
        psi = state(row, weights)
        slopes = np.array(
            [
                (state(row, weights + step * one) - state(row, weights - step * one)) / (2 * step)
                for one in np.eye(len(weights))
            ]
        )
        tensors.append((slopes.conj() @ slopes.T - np.outer(slopes.conj() @ psi, psi.conj() @ slopes.T)).real)
    return np.mean(tensors, 0)


# --- SPSA


def test_spsa_estimates_the_gradient():
    """For a quadratic loss its mean is the gradient, for every width."""
    matrix = torch.tensor([[2.0, 0.5, 0.0], [0.5, 1.0, -0.3], [0.0, -0.3, 3.0]], dtype=torch.float64)
    weights = torch.nn.Parameter(torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64))

    def loss():
        return weights @ matrix @ weights / 2

    start, gradient = weights.detach().clone(), matrix @ weights.detach()
    steps = []
    for seed in range(40):
        optimizer = optim.SPSA([weights], lr=1.0, perturbation=0.7, samples=8, lr_decay=0.0, generator=seeded(seed))
        optimizer.step(loss)
        steps.append(start - weights.detach())
        with torch.no_grad():
            weights.copy_(start)
    steps = torch.stack(steps)
    error = steps.std(0) / math.sqrt(len(steps))
    assert ((steps.mean(0) - gradient).abs() < 5 * error).all()
    assert error.max() < 0.4


def test_spsa_moves_by_its_formula():
    model = vqe()
    twin, before = copy.deepcopy(model), model.weights.detach().clone()
    optimizer = optim.SPSA(model.parameters(), 0.2, 0.3, stability=2.0, generator=seeded())
    optimizer.step(lambda: model().sum())
    optimizer.step(lambda: model().sum())
    generator, weights = seeded(), before.clone()

    def value(point):
        with torch.no_grad():
            twin.weights.copy_(point)
            return twin().item()

    for k in range(2):
        sign = 2 * torch.randint(0, 2, weights.shape, generator=generator) - 1
        c = 0.3 / (k + 1) ** 0.101
        slope = (value(weights + c * sign) - value(weights - c * sign)) / (2 * c) * sign
        weights = weights - 0.2 / (k + 3) ** 0.602 * slope
    torch.testing.assert_close(model.weights.detach(), weights)


@pytest.mark.parametrize("kind", ["SPSA", "QNSPSA"])
def test_perturbing_optimizers_learn_and_resume(kind):
    def make(model, seed):
        if kind == "SPSA":
            return optim.SPSA(model.parameters(), lr=0.2, generator=seeded(seed))
        return optim.QNSPSA(model, lr=0.05, regularization=0.1, generator=seeded(seed))

    model = vqe(torch.float32)
    optimizer = make(model, 1)
    for _ in range(150):
        optimizer.step(lambda: model().sum())
    assert model().item() < LEAST + 0.15
    twin = copy.deepcopy(model)
    resumed = make(twin, 5)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    resumed._generator = copy.copy(optimizer._generator)
    state = optimizer._generator.get_state()
    optimizer.step(lambda: model().sum())
    resumed._generator = torch.Generator()
    resumed._generator.set_state(state)
    resumed.step(lambda: twin().sum())
    torch.testing.assert_close(model.weights, twin.weights, rtol=0, atol=0)


def test_an_error_in_a_closure_leaves_the_parameters():
    for make in (lambda model: optim.SPSA(model.parameters()), optim.QNSPSA):
        model = vqe()
        before = model.weights.detach().clone()
        with pytest.raises(ZeroDivisionError):
            make(model).step(lambda: 1 / 0)
        with pytest.raises(ValueError, match="finite"):
            make(model).step(lambda: torch.tensor(float("nan")))
        torch.testing.assert_close(model.weights.detach(), before, rtol=0, atol=0)


# --- QNSPSA


def reuploading():
    x, w = ParameterVector("x", 2), ParameterVector("w", 4)
    circuit = QuantumCircuit(2)
    for q in range(2):
        circuit.ry(w[q], q)
        circuit.rx(x[q], q)
    circuit.cx(0, 1)
    circuit.rz(w[2] * w[3], 1)
    circuit.ry(w[2].sin(), 0)
    circuit.rx(w[0] + w[3], 1)
    return QuantumModule(circuit, x, [[w[0], w[1]], [w[2], w[3]]], seed_init=4, observables="ZZ").double()


@pytest.mark.parametrize("make", [vqe, reuploading])
def test_qnspsa_estimates_the_metric(make):
    """In the mean over random signs; four points, each of them at a distance that matters little."""
    model = make()
    input = torch.tensor([[0.3, -0.4], [1.0, 0.2]], dtype=torch.float64) if model.input_size else None
    optimizer = optim.QNSPSA(model, input=input)
    count, size = 12_000, model.num_trainable_parameters
    first, second = (2.0 * torch.randint(0, 2, (2, count, size), generator=seeded()) - 1).double()
    estimate = optimizer._estimate(first, second, 0.01).numpy()
    np.testing.assert_allclose(estimate, metric(model, input), atol=0.05)
    # One by one: the formula of the paper.
    one = optimizer._estimate(first[:1], second[:1], 0.01)
    s, t = first[0], second[0]

    def f(move):
        return optimizer._fidelities(0.01 * move[None])[0]

    change = f(s + t) - f(s) - f(t - s) + f(-s)
    expected = -0.5 * change / (2 * 0.01**2) * (torch.outer(s, t) + torch.outer(t, s)) / 2
    torch.testing.assert_close(one, expected)


def test_qnspsa_moves_by_its_formula():
    model = vqe()
    before = model.weights.detach().clone()
    optimizer = optim.QNSPSA(model, lr=0.1, regularization=0.2, blocking=False, generator=seeded())
    generator = seeded()
    first, second = (2.0 * torch.randint(0, 2, before.shape, generator=generator).double() - 1 for _ in range(2))

    def value(point):
        with torch.no_grad():
            model.weights.copy_(point)
            found = model().item()
            model.weights.copy_(before)
            return found

    slope = (value(before + 0.01 * first) - value(before - 0.01 * first)) / 0.02 * first
    mean = (torch.eye(9).double() + optimizer._estimate(first[None], second[None], 0.01)) / 2
    values, vectors = torch.linalg.eigh(mean @ mean)
    positive = vectors * values.clamp_min(0).sqrt() @ vectors.T
    used = (positive + 0.2 * torch.eye(9)) / 1.2
    optimizer.step(lambda: model().sum())
    torch.testing.assert_close(model.weights.detach(), before - 0.1 * torch.linalg.solve(used, slope))


# --- Frequencies and curves


def test_frequencies_are_those_of_the_gates():
    w = ParameterVector("w", 8)
    circuit = QuantumCircuit(3)
    circuit.rx(w[0], 0)
    circuit.rx(2 * w[1], 1)
    circuit.ry(-0.5 * w[1], 2)
    circuit.crx(w[2], 0, 1)
    circuit.rz(w[3], 0)
    circuit.rz(-w[3], 0)
    circuit.ry(w[4], [0, 1, 2])
    circuit.rxx(w[5] + w[6], 0, 1)
    circuit.p(w[7], 0)
    model = QuantumModule(circuit, None, w)
    expected = [(1,), (0.5, 1.5, 2, 2.5), (0.5, 1), None, (1, 2, 3), (1,), (1,), (1,)]
    for index, one in enumerate(expected):
        if one is not None:
            assert frequencies(model._program.evolution, index) == one, index
    assert frequencies(model._program.evolution, 1, degree=2) == (0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5)


@pytest.mark.parametrize("factors", [(1, 1 / 3, 1 / 3), (1 / 3, 2 / 3, 1), (1 / 7, 1 / 7, 2), (0.1, 0.2, 0.3)])
def test_fractions_of_frequencies_are_not_rounded(factors):
    (a,), circuit = ParameterVector("a", 1), QuantumCircuit(2)
    for factor in factors:
        circuit.crx(factor * a, 0, 1)
        circuit.h([0, 1])
    model = QuantumModule(circuit, None, [a], observables=["ZI", "XY"], seed_init=0).double()
    found = frequencies(model._program.evolution, 0)
    counts = range(-2, 3)  # in halves, as controlled gates have them
    sums = (np.dot(some, factors) / 2 for some in itertools.product(counts, repeat=3))
    exact = sorted({Fraction(one).limit_denominator(1000) for one in sums if one > 1e-6})
    np.testing.assert_allclose(found, [float(one) for one in exact], rtol=0, atol=1e-12)
    optim.Rotosolve(model).step(lambda: model().sum())


@pytest.mark.parametrize("name", cases(3))
def test_along_every_weight_a_loss_is_the_sum_of_its_frequencies(name):
    """Read from the compiled circuit."""
    case = cases(3)[name]
    model = QuantumModule(
        case.circuit, case.encoding, case.variational, seed_init=3, observables=random_observables(3, 1)
    )
    model = model.double()
    inputs = torch.rand(2, model.input_size, generator=seeded()).double() if model.input_size else None
    found = 0
    for number, weights in enumerate(model.variational_):
        first = sum(len(one) for one in model.variational_[:number])
        for index in range(min(len(weights), 20 if NIGHTLY else 3)):
            try:
                several = frequencies(model._program.evolution, first + index)
            except ValueError:
                continue
            found += 1
            line = weights.detach().repeat(40, 1)
            line[:, index] += torch.linspace(-7, 7, 40, dtype=torch.float64)
            name = model.variational_names[number]

            def call(row, name=name):
                return torch.func.functional_call(model, {name: row}, (inputs,))

            with torch.no_grad():
                values = torch.func.vmap(call)(line).reshape(40, -1).sum(1).numpy()
            if not several:
                assert np.ptp(values) < 1e-9
                continue
            along = Curve(several)
            line = weights.detach().repeat(len(along.shifts), 1)
            line[:, index] += torch.from_numpy(along.shifts)
            with torch.no_grad():
                at_shifts = torch.func.vmap(call)(line).reshape(len(line), -1).sum(1).numpy()
            amplitudes, left = along.fitted(at_shifts)
            assert left < 1e-8
            np.testing.assert_allclose(along.at(amplitudes, np.linspace(-7, 7, 40)), values, atol=1e-7)
    assert found


sets = st.one_of(
    st.integers(1, 12).map(lambda count: tuple(0.5 * k for k in range(1, count + 1))),
    st.sets(st.integers(1, 40), min_size=1, max_size=6).map(lambda one: tuple(k / 8 for k in sorted(one))),
    st.sets(st.sampled_from([1.0, math.sqrt(2), math.pi, 0.7, 5.3]), min_size=1).map(lambda one: tuple(sorted(one))),
)


@given(sets, st.integers(0, 2**31))
@settings(max_examples=60)
def test_the_least_value_of_a_curve(several, seed):
    rng = np.random.default_rng(seed)
    along, amplitudes = Curve(several), rng.normal(size=2 * len(several) + 1)
    found, left = along.fitted(along.at(amplitudes, along.shifts))
    np.testing.assert_allclose(found, amplitudes, atol=1e-7)
    assert left < 1e-8
    shift = along.least(amplitudes)
    grid = np.linspace(-0.5, 0.5, 20_001) * along._width
    least = along.at(amplitudes, np.array([shift]))[0]
    assert least <= along.at(amplitudes, grid).min() + 1e-9


@given(sets, st.integers(0, 2**31))
@settings(max_examples=30)
def test_a_frequency_too_high_is_seen(several, seed):
    rng = np.random.default_rng(seed)
    along = Curve(several)
    phases = 2 * several[-1] * along.shifts + rng.uniform(0, 2 * math.pi)
    amplitudes = rng.normal(size=2 * len(several) + 1)
    size = np.abs(np.cos(phases) - along.at(along.fitted(np.cos(phases))[0], along.shifts)).max()
    assert along.fitted(along.at(amplitudes, along.shifts) + np.cos(phases))[1] == pytest.approx(size)


# --- Rotosolve


def two_frequencies():
    w = ParameterVector("w", 4)
    circuit = QuantumCircuit(3)
    circuit.ry(w[0], [0, 1])
    circuit.crx(w[1], 0, 2)
    circuit.cx(0, 1)
    circuit.ry(1.5 * w[2], 1)
    circuit.rx(math.sqrt(2) * w[2], 2)
    circuit.ry(w[3], 0)
    return QuantumModule(circuit, None, w, "weights", seed_init=1, observables=OPERATOR).double()


@pytest.mark.parametrize("make", [vqe, two_frequencies])
@pytest.mark.parametrize("degree", [1, 2])
@pytest.mark.parametrize("batched", [True, False])
def test_rotosolve_goes_to_the_least_loss_along_each_parameter(make, degree, batched):
    """As brute force finds it."""
    model, size = make(), 12 * math.pi

    def loss():
        return (model().sum() - 0.4) ** degree

    optimizer = optim.Rotosolve(model, degree=degree, batched=batched)
    weights, before = model.weights.detach().clone(), loss().item()
    along = optimizer._curves["weights"]
    assert optimizer.step(loss).item() == pytest.approx(before)
    after = model.weights.detach().clone()
    for index in range(len(weights)):
        width = along[index]._width
        line = weights.repeat(4001, 1)
        line[:, index] += torch.linspace(-width / 2, width / 2, 4001).double()

        def call(row):
            return torch.func.functional_call(model, {"weights": row}, ()).sum()

        with torch.no_grad():
            values = (torch.func.vmap(call)(line) - 0.4) ** degree
            weights[index] = after[index]
            here = (call(weights) - 0.4) ** degree
        assert here <= values.min() + 1e-9
        assert here >= values.min() - size * 1e-3


def test_rotosolve_is_that_of_pennylane():
    """One sweep, from the same start."""
    qml = pytest.importorskip("pennylane")
    model = vqe()
    start = model.weights.detach().numpy().copy()
    energy = energy_of_pennylane(qml, wires=3)
    theirs = qml.RotosolveOptimizer(substep_optimizer="brute", substep_kwargs={"Ns": 200})
    point = qml.numpy.array(start, requires_grad=True)
    assert float(energy(point)) == pytest.approx(model().item())
    point = theirs.step(energy, point, nums_frequency={"w": dict.fromkeys([(i,) for i in range(9)], 1)})
    optim.Rotosolve(model).step(lambda: model().sum())
    assert model().item() == pytest.approx(float(energy(point)), abs=1e-6)


def test_rotosolve_trains_what_it_is_given():
    """Sets of a hybrid model, data in the circuit, frozen sets, single precision, and other outputs."""
    x, w = ParameterVector("x", 2), ParameterVector("w", 6)
    circuit = QuantumCircuit(2)
    for layer in range(3):
        for q in range(2):
            circuit.ry(w[2 * layer + q], q)
        if layer < 2:
            circuit.cx(0, 1)
            for q in range(2):
                circuit.rx(x[q], q)
    model = HybridModule(circuit, x, [w[:3], w[3:]], 3, 1, seed_init=0)
    inputs = torch.rand(20, 3, generator=seeded())

    def loss():
        return (model(inputs)[:, 0] - torch.linspace(-0.4, 0.4, 20)).square().mean()

    before = {name: one.detach().clone() for name, one in model.named_parameters()}
    optimizer = optim.Rotosolve(model, [model.quantum.variational_0], degree=2)
    losses = [optimizer.step(loss).item() for _ in range(3)]
    assert losses[0] > losses[1] >= losses[2] - 1e-6
    changed = [name for name, one in model.named_parameters() if not torch.equal(one, before[name])]
    assert changed == ["quantum.variational_0"]

    plain = QuantumModule(circuit, x, w, observables=outputs.Probabilities(), seed_init=0)
    optimizer = optim.Rotosolve(plain)
    values = [optimizer.step(lambda: plain(inputs[:, :2])[:, 0].mean()).item() for _ in range(4)]
    assert values == sorted(values, reverse=True)


def test_rotosolve_with_shots_does_not_check():
    model = vqe()
    noise = seeded()

    def loss():
        return model().sum() + 0.01 * torch.randn((), generator=noise)

    with pytest.raises(ValueError, match="check=False"):
        optim.Rotosolve(model, batched=False).step(loss)
    optimizer = optim.Rotosolve(model, batched=False, check=False)
    for _ in range(6):
        optimizer.step(loss)
    assert model().item() < LEAST + 0.1


# --- SciPy


@pytest.mark.parametrize("method", METHODS)
def test_minimize_with_every_method(method):
    model = vqe()
    w = torch.tensor([0.4, 0.1, 3.0, 0.2, 0.1, -0.2, 0.1, 0.3, 0.1]).double()
    with torch.no_grad():
        model.weights.copy_(w)
    few = {"options": {"maxiter": 60}} if method.startswith("COBY") and not NIGHTLY else {}
    result = optim.minimize(model, lambda model: model().sum(), method.lower(), **few)
    assert result.x.dtype == np.float64
    np.testing.assert_array_equal(model.weights.detach().numpy(), result.x)
    assert model().item() == pytest.approx(result.fun, abs=1e-12)
    if method != "dogleg":  # which wants a convex loss
        assert result.fun < LEAST + 0.3


def test_minimize_gives_scipy_exact_derivatives():
    """The same path as that of SciPy with the same function written by hand; several parameters, a chosen one."""
    from scipy import optimize

    model, twin = vqe(), vqe()

    def by_hand(vector):
        point = torch.from_numpy(vector).requires_grad_()
        value = torch.func.functional_call(twin, {"weights": point}, ()).sum()
        return value.item(), torch.autograd.grad(value, point)[0].numpy()

    expected = optimize.minimize(by_hand, twin.weights.detach().numpy(), jac=True, method="L-BFGS-B")
    result = optim.minimize(model, lambda model: model().sum())
    np.testing.assert_allclose(result.x, expected.x, atol=1e-12)
    assert result.nfev == expected.nfev
    seen = []
    optim.minimize(vqe(), lambda m: m().sum(), "trust-exact", options={"maxiter": 1}, callback=lambda x: seen.append(x))
    from qiskit_torch_module.optim.minimizing import _Vectors

    vectors = _Vectors(twin, lambda model: model().sum(), [twin.weights])

    def call(point):
        return torch.func.functional_call(twin, {"weights": point}, ()).sum()

    point = twin.weights.detach()
    hessian = torch.autograd.functional.hessian(call, point).numpy()
    np.testing.assert_allclose(vectors.hessian(point.numpy()), hessian, atol=1e-10)
    np.testing.assert_allclose(vectors.product(point.numpy(), np.arange(9.0)), hessian @ np.arange(9.0), atol=1e-10)


def test_minimize_keeps_to_bounds_and_parameters():
    model = HybridModule(*_small(), 2, 1, seed_init=0)
    inputs = torch.rand(8, 2, generator=seeded())
    before = {name: one.detach().clone() for name, one in model.named_parameters()}

    def loss(model):
        return model(inputs).square().mean()

    result = optim.minimize(
        model, loss, "COBYLA", params=[model.postprocessing.bias], bounds=[(-0.01, 0.02)], options={"maxiter": 30}
    )
    assert -0.01 <= result.x[0] <= 0.02 + 1e-9
    changed = [name for name, one in model.named_parameters() if not torch.equal(one, before[name])]
    assert changed == ["postprocessing.bias"]


def test_minimize_leaves_the_best_behind():
    model, values = vqe(), []

    def loss(model):
        if len(values) == 12:
            raise KeyboardInterrupt
        values.append(model().sum())
        return values[-1]

    with pytest.raises(KeyboardInterrupt):
        optim.minimize(model, loss, "BFGS")
    assert model().item() == pytest.approx(min(value.item() for value in values), abs=1e-12)


# --- Many starts


def _small():
    x, w = ParameterVector("x", 2), ParameterVector("w", 4)
    circuit = QuantumCircuit(2)
    for q in range(2):
        circuit.rx(x[q], q)
        circuit.ry(w[q], q)
    circuit.cx(0, 1)
    for q in range(2):
        circuit.ry(w[2 + q], q)
    return circuit, x, w


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("kind", ["quantum", "hybrid"])
def test_many_starts_train_as_each_alone(kind):
    if kind == "hybrid":
        model = HybridModule(*_small(), 3, 1, seed_init=0)
    else:
        model = QuantumModule(*_small(), seed_init=0, observables="ZZ")
    inputs = torch.rand(6, 3 if kind == "hybrid" else 2, generator=seeded())

    def loss(model):
        return (model(inputs)[:, 0] - 0.3).square().mean()

    starts = optim.many_starts(model, 4, generator=7)
    assert len(starts) == 4
    alone = []
    for index in range(4):
        alone.append(copy.deepcopy(starts.choose(index)))
    starts.choose(0)
    assert len({tuple(next(iter(one.parameters())).flatten().tolist()) for one in alone}) == 4
    optimizer = torch.optim.Adam(starts.parameters(), lr=0.1)
    for _ in range(5):
        optimizer.zero_grad()
        losses = starts.losses(loss)
        losses.sum().backward()
        optimizer.step()
    for one in alone:
        single = torch.optim.Adam(one.parameters(), lr=0.1)
        for _ in range(5):
            single.zero_grad()
            loss(one).backward()
            single.step()
    for index, one in enumerate(alone):
        chosen = starts.choose(torch.tensor(index))
        assert chosen is model
        for mine, theirs in zip(chosen.parameters(), one.parameters(), strict=True):
            torch.testing.assert_close(mine, theirs)
    torch.testing.assert_close(starts(inputs), torch.stack([one(inputs) for one in alone]))


def test_starts_follow_the_seed_and_leave_the_rest_alone():
    model = vqe()
    before, state = model.weights.detach().clone(), torch.get_rng_state()
    first, second, other = (optim.many_starts(model, 5, generator=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(model.weights, before)
    (a,), (b,), (c,) = (list(one.parameters()) for one in (first, second, other))
    assert torch.equal(a, b)
    assert torch.equal(a[0], before)
    assert not torch.equal(a[1:], c[1:])


def test_a_step_of_many_starts_is_one_native_call(monkeypatch):
    from qiskit_torch_module._simulation.native import NativeRunner

    calls, values, pull_back = [], NativeRunner.values, NativeRunner.pull_back
    monkeypatch.setattr(NativeRunner, "values", lambda *a, **k: (calls.append("values"), values(*a, **k))[1])
    monkeypatch.setattr(NativeRunner, "pull_back", lambda *a, **k: (calls.append("back"), pull_back(*a, **k))[1])
    starts = optim.many_starts(vqe(), 50, generator=0)
    starts.losses(lambda model: model().sum()).sum().backward()
    assert calls == ["values", "back"]
    calls.clear()
    model = two_frequencies()
    optim.Rotosolve(model).step(lambda: model().sum())
    assert calls == ["values"] * 4


# --- What cannot be


def with_input():
    return QuantumModule(*_small(), seed_init=0)


def no_frequencies(angle):
    w, x = ParameterVector("w", 2), ParameterVector("x", 1)
    circuit = QuantumCircuit(1)
    circuit.ry(angle(w[0], w[1], x[0]), 0)
    circuit.rx(w[1] + x[0], 0)
    return QuantumModule(circuit, x, w, "weights").double()


def nearly_equal():
    a, circuit = Parameter("a"), QuantumCircuit(1)
    circuit.ry(a, 0)
    circuit.h(0)
    circuit.ry(1.0001 * a, 0)
    return QuantumModule(circuit, None, [a])


class Own(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(1))


def shared():
    first, second = vqe(), vqe()
    second.weights = first.weights
    return torch.nn.ModuleList([first, second])


def constant(model):
    return 1.0


WRONG = {
    "SPSA without a closure": (lambda: optim.SPSA(vqe().parameters()).step(), TypeError, "closure"),
    "SPSA with a loss for a closure": (lambda: optim.SPSA(vqe().parameters()).step(1.0), TypeError, "closure"),
    "SPSA by a text": (lambda: optim.SPSA(vqe().parameters(), generator="3"), TypeError, "torch.Generator"),
    "SPSA of nothing": (lambda: optim.SPSA(torch.nn.ReLU()), ValueError, r"call requires_grad_\(\) of"),
    "SPSA within rounding": (lambda: optim.SPSA(vqe(), perturbation=1e-300), ValueError, "at least 1e-08, got 1e-300"),
    "SPSA backwards": (lambda: optim.SPSA(vqe().parameters(), lr=-1.0), ValueError, "lr"),
    "SPSA without a width": (lambda: optim.SPSA(vqe().parameters(), perturbation=0), ValueError, "perturbation"),
    "SPSA of no samples": (lambda: optim.SPSA(vqe().parameters(), samples=0), ValueError, "samples"),
    "SPSA of a complex loss": (
        lambda: optim.SPSA(vqe().parameters()).step(lambda: torch.tensor(1j)),
        TypeError,
        "real",
    ),
    "SPSA of many losses": (lambda: optim.SPSA(vqe().parameters()).step(lambda: torch.ones(3)), ValueError, "mean"),
    "SPSA of a text": (lambda: optim.SPSA(vqe().parameters()).step(lambda: "low"), TypeError, "str"),
    "QNSPSA without a closure": (lambda: optim.QNSPSA(vqe()).step(), TypeError, "closure"),
    "QNSPSA of a linear layer": (lambda: optim.QNSPSA(torch.nn.Linear(2, 2)), TypeError, "NaturalGradient"),
    "QNSPSA without its input": (lambda: optim.QNSPSA(with_input()), ValueError, "rows the metric"),
    "QNSPSA with an input too many": (lambda: optim.QNSPSA(vqe(), input=torch.ones(2)), ValueError, "none"),
    "QNSPSA of frozen sets": (
        lambda: optim.QNSPSA(vqe().requires_grad_(False)),
        ValueError,
        r"requires gradients, got none of 'weights'; call requires_grad_\(\) of those",
    ),
    "QNSPSA without sets": (
        lambda: optim.QNSPSA(QuantumModule(encoded(1, [x := Parameter("x")]), [x], None), input=torch.ones(1, 1)),
        ValueError,
        "got no set; give variational_params",
    ),
    "QNSPSA by no seed": (lambda: optim.QNSPSA(vqe(), generator=-1), ValueError, "a seed from 0"),
    "QNSPSA within rounding": (lambda: optim.QNSPSA(vqe(), perturbation=1e-9), ValueError, "at least 1e-08, got 1e-09"),
    "Rotosolve without a closure": (lambda: optim.Rotosolve(vqe()).step(), TypeError, "closure"),
    "Rotosolve of parameters": (lambda: optim.Rotosolve(vqe().parameters()), TypeError, "torch.nn.Module"),
    "Rotosolve of another's": (lambda: optim.Rotosolve(vqe(), vqe().parameters()), ValueError, "none of them"),
    "Rotosolve of a set in two modules": (lambda: optim.Rotosolve(shared()), ValueError, "'1.weights'"),
    "Rotosolve of numbers": (lambda: optim.Rotosolve(vqe(), [1.0]), TypeError, "float at 0"),
    "Rotosolve of nothing": (lambda: optim.Rotosolve(vqe(), []), ValueError, "at least one .* leave params out"),
    "Rotosolve of frozen sets": (
        lambda: optim.Rotosolve(vqe().requires_grad_(False)),
        ValueError,
        r"got none; call requires_grad_\(\) of those",
    ),
    "Rotosolve of frequencies that differ little": (
        lambda: optim.Rotosolve(nearly_equal()),
        ValueError,
        r"'a' \(variational\[0\]\): frequencies: expected some that can be told apart, got 0.0001, 1, 1.0001, 2.0001; "
        "round the factors of the parameter .* leave 'variational' out",
    ),
    "Rotosolve of a linear layer": (
        lambda: optim.Rotosolve(HybridModule(*_small(), 2, 1)),
        ValueError,
        "'preprocessing.weight'",
    ),
    "Rotosolve of products": (lambda: optim.Rotosolve(no_frequencies(lambda a, b, x: a * b)), ValueError, r"'w\[0\]'"),
    "Rotosolve of data": (lambda: optim.Rotosolve(no_frequencies(lambda a, b, x: a * x)), ValueError, r"'w\[0\]'"),
    "Rotosolve of powers": (lambda: optim.Rotosolve(no_frequencies(lambda a, b, x: a * a)), ValueError, r"'w\[0\]'"),
    "Rotosolve of a function": (
        lambda: optim.Rotosolve(no_frequencies(lambda a, b, x: (a + x).sin())),
        ValueError,
        r"'w\[0\]' \(weights\[0\]\): it is in the expression",
    ),
    "Rotosolve by gradients": (
        lambda: (model := vqe(), optim.Rotosolve(model).step(lambda: model().sum().backward())),
        RuntimeError,
        "batched=False",
    ),
    "Rotosolve of several losses": (
        lambda: (model := vqe(), optim.Rotosolve(model).step(lambda: model().repeat(2))),
        ValueError,
        "one number",
    ),
    "Rotosolve of squares": (
        lambda: (model := vqe(), optim.Rotosolve(model).step(lambda: (model().sum() - 1) ** 2)),
        ValueError,
        "higher degree",
    ),
    "minimize by an unknown method": (lambda: optim.minimize(vqe(), constant, "Adam"), ValueError, "L-BFGS-B"),
    "minimize by a function": (lambda: optim.minimize(vqe(), constant, print), TypeError, "name"),
    "minimize a number": (lambda: optim.minimize(vqe(), 1.0), TypeError, "function of the model"),
    "minimize a closure": (lambda: optim.minimize(vqe(), lambda: 1.0), TypeError, "function of the model"),
    "minimize no model": (lambda: optim.minimize(print, constant), TypeError, "torch.nn.Module"),
    "minimize a constant": (lambda: optim.minimize(vqe(), constant), ValueError, "COBYLA"),
    "minimize another's": (lambda: optim.minimize(vqe(), constant, params=[torch.ones(2)]), ValueError, "none of them"),
    "minimize with a gradient": (lambda: optim.minimize(vqe(), constant, jac=True), TypeError, "jac"),
    "minimize what is not finite": (
        lambda: optim.minimize(vqe(), lambda model: model().sum() / 0, "COBYLA"),
        ValueError,
        "finite",
    ),
    "starts of nothing": (lambda: optim.many_starts(torch.nn.ReLU(), 3), ValueError, r"call requires_grad_\(\) of"),
    "no starts": (lambda: optim.many_starts(vqe(), 0), ValueError, "k"),
    "half a start": (lambda: optim.many_starts(vqe(), 1.5), TypeError, "k"),
    "starts without a reset": (lambda: optim.many_starts(torch.nn.Sequential(Own()), 2), ValueError, r"'0' \(Own\)"),
    "a start too far": (lambda: optim.many_starts(vqe(), 2, generator=0).choose(2), ValueError, "index"),
    "losses of a number": (lambda: optim.many_starts(vqe(), 2, generator=0).losses(1.0), TypeError, "function"),
    "losses of many numbers": (
        lambda: optim.many_starts(vqe(), 2, generator=0).losses(lambda model: model().repeat(2)),
        ValueError,
        "one number",
    ),
}


def of_spsa(model, generator, kind=optim.SPSA):
    optimizer = kind(model, generator=generator)
    for _ in range(2):
        optimizer.step(lambda: model().sum())
    return torch.cat([one.detach() for one in model.parameters()])


# What each finds with random numbers of a generator.
DRAWS = {
    "SPSA": lambda generator: of_spsa(vqe(), generator),
    "QNSPSA": lambda generator: of_spsa(vqe(), generator, optim.QNSPSA),
    "many_starts": lambda generator: torch.cat([*optim.many_starts(vqe(), 3, generator).parameters()]).detach(),
    "expressibility": lambda generator: analysis.expressibility(vqe(), 20, generator=generator).value,
    "entangling_capability": lambda generator: analysis.entangling_capability(vqe(), 20, generator=generator).value,
    "gradient_variance": lambda generator: analysis.gradient_variance(vqe(), 20, generator=generator).value,
    "Shots": lambda generator: with_shots(generator)().detach(),
}


def with_shots(generator):
    model = vqe()
    return with_method(model, methods.Shots(10, generator=generator))


@pytest.mark.parametrize("name", DRAWS)
def test_random_numbers_come_from_a_seed_or_a_generator(name):
    """And without either, from the global state, which these leave as it is."""
    draw = DRAWS[name]
    torch.manual_seed(5)
    before = torch.get_rng_state()
    by_seed, again, other = (draw(seed) for seed in (3, np.int64(3), 4))
    by_generator = draw(seeded(1)), draw(seeded(1))
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(by_seed, again)
    assert not np.array_equal(by_seed, other)
    assert np.array_equal(*by_generator)
    first = draw(None)
    assert not torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(5)
    assert np.array_equal(draw(None), first)


def test_spsa_takes_a_model_as_the_others_do():
    """What is frozen stays."""
    found = []
    for choose in (lambda model: model, lambda model: model.parameters()):
        model = vqe()
        found.append(
            of_spsa(model, 0, lambda _, choose=choose, model=model, **given: optim.SPSA(choose(model), **given))
        )
    assert torch.equal(*found)


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_is_said(name):
    act, error, message = WRONG[name]
    with pytest.raises(error, match=message):
        act()


def test_a_closure_that_differentiates_is_told_to_leave_it():
    model = vqe()

    def closure():
        loss = model().sum()
        loss.backward()
        return loss

    for optimizer in (optim.SPSA(model.parameters()), optim.QNSPSA(model), optim.Rotosolve(model, batched=False)):
        with pytest.raises(RuntimeError, match="leave its backward"):
            optimizer.step(closure)


def test_an_unused_weight_stays():
    w = ParameterVector("w", 2)
    circuit = QuantumCircuit(1)
    circuit.ry(w[0], 0)
    circuit.rz(w[1], 0)
    circuit.rz(-w[1], 0)
    model = QuantumModule(circuit, None, w, "weights", seed_init=0).double()
    before = model.weights[1].item()
    optim.Rotosolve(model).step(lambda: model().sum())
    assert model().item() == pytest.approx(-1)
    assert model.weights[1].item() == pytest.approx(before, abs=2 * math.pi)
    assert list(itertools.islice(model.weights, 2))


def pickled(one):
    return pickle.loads(pickle.dumps(one))


@pytest.mark.parametrize("copied", [copy.deepcopy, pickled])
@pytest.mark.parametrize(
    "make",
    [
        lambda model: optim.SPSA(model, generator=seeded()),
        lambda model: optim.QNSPSA(model, generator=seeded()),
        lambda model: optim.Rotosolve(model),
    ],
)
def test_copies_of_a_model_and_its_optimizer_go_on_alike(make, copied):
    model = vqe()
    optimizer = make(model)
    optimizer.step(lambda: model().sum())
    twin, other = copied((model, optimizer))
    for _ in range(2):
        optimizer.step(lambda: model().sum())
        other.step(lambda: twin().sum())
    torch.testing.assert_close(twin.weights, model.weights, rtol=0, atol=0)
