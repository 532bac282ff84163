"""What a circuit can do, against closed forms, dense matrices and the figures of papers."""

import math

import matplotlib
import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector
from qiskit.quantum_info import Operator, SparsePauliOp, Statevector, partial_trace, purity

from circuits_zoo import reuploading
from qiskit_torch_module import (
    HybridModule,
    QuantumModule,
    analysis,
    load,
    methods,
    outputs,
    save,
    with_method,
)
from qiskit_torch_module._simulation import states
from qiskit_torch_module.analysis.expressibility import _divergence, _log_haar

matplotlib.use("Agg")
from matplotlib import pyplot


def seeded():
    return torch.Generator().manual_seed(0)


def layered(num_qubits, depth, entangle=True):
    """RY and RZ on all qubits, between chains of CX: random states, if it is deep."""
    w = ParameterVector("w", 2 * num_qubits * depth)
    circuit, following = QuantumCircuit(num_qubits), iter(w)
    for _ in range(depth):
        for q in range(num_qubits):
            circuit.ry(next(following), q)
            circuit.rz(next(following), q)
        for q in range(num_qubits - 1 if entangle else 0):
            circuit.cx(q, q + 1)
    return circuit


class TestExpressibility:
    @pytest.mark.parametrize("num_qubits", [1, 2, 4, 12])
    def test_shares_of_random_states_are_theirs(self, num_qubits):
        edges = np.linspace(0, 1, 31)
        power = 2**num_qubits - 1
        exact = (1 - edges[:-1]) ** power - (1 - edges[1:]) ** power
        found = np.exp(_log_haar(num_qubits, 30))
        np.testing.assert_allclose(found, exact, atol=1e-15)
        assert found.sum() == pytest.approx(1, abs=1e-12)

    def test_value_bias_and_error_of_random_states(self):
        """Many times over: all that is left is the bias, and it varies as the standard error says."""
        rng = np.random.default_rng(0)
        found = np.array([_divergence(rng.beta(1, 3, 5000), 2, 20) for _ in range(400)])
        assert found[:, 0].mean() == pytest.approx(found[:, 2].mean(), rel=0.1)
        assert found[:, 0].std() == pytest.approx(found[:, 1].mean(), rel=0.15)

    def test_error_of_other_states(self):
        rng = np.random.default_rng(0)
        found = np.array([_divergence(rng.beta(2, 2, 1000), 2, 20) for _ in range(400)])
        assert found[:, 0].std() == pytest.approx(found[:, 1].mean(), rel=0.15)

    def test_one_state_alone_is_as_far_as_can_be(self):
        """Of one qubit, whose random states have fidelities that are all alike."""
        circuit = QuantumCircuit(1)
        circuit.rz(Parameter("w"), 0)
        found = analysis.expressibility(circuit, 100, bins=74, generator=seeded())
        assert found.value == pytest.approx(math.log(74))
        assert found.standard_error == 0.0

    def test_circle_on_the_sphere(self):
        """Fidelities (1 + cos) / 2 of angles between them: the arcsine distribution."""
        circuit = QuantumCircuit(1)
        circuit.h(0)
        circuit.rz(Parameter("w"), 0)
        found = analysis.expressibility(circuit, 20_000, bins=74, generator=seeded())
        shares = np.diff(2 / np.pi * np.arcsin(np.sqrt(np.linspace(0, 1, 75))))
        exact = float((shares * np.log(74 * shares)).sum())
        assert abs(found.value - found.bias - exact) < 4 * found.standard_error

    def test_deep_circuits_are_as_random_states(self):
        found = analysis.expressibility(layered(3, 8), 3000, generator=seeded())
        assert abs(found.value - found.bias) < 4 * found.standard_error
        assert found.fidelities.shape == (3000,)

    def test_inputs_are_parameters_or_stay(self):
        case = reuploading(2, 1)
        model = QuantumModule(case.circuit, case.encoding, case.variational)
        free = analysis.expressibility(model, 500, generator=seeded())
        fixed = analysis.expressibility(model, 500, input=[0.3, 0.4], generator=seeded())
        assert free.value != fixed.value

    def test_seeded(self):
        state = torch.random.get_rng_state()
        first, second = (analysis.expressibility(layered(2, 1), 50, generator=seeded()) for _ in range(2))
        np.testing.assert_array_equal(first.fidelities, second.fidelities)
        assert torch.equal(torch.random.get_rng_state(), state)
        torch.manual_seed(1)
        third = analysis.expressibility(layered(2, 1), 50)
        assert not np.array_equal(first.fidelities, third.fidelities)


class TestEntanglingCapability:
    def test_closed_forms(self):
        product = analysis.entangling_capability(layered(3, 1, entangle=False), 50, generator=seeded())
        assert product.value == pytest.approx(0, abs=1e-12)
        ghz = QuantumCircuit(3)
        ghz.h(0)
        ghz.cx(0, 1)
        ghz.cx(1, 2)
        ghz.rz(Parameter("w"), 2)
        found = analysis.entangling_capability(ghz, 50, generator=seeded())
        assert found.value == pytest.approx(1, abs=1e-12)
        deep = analysis.entangling_capability(layered(4, 10), 3000, generator=seeded())
        assert deep.of_random_states == 14 / 17
        assert abs(deep.value - deep.of_random_states) < 4 * deep.standard_error < 0.02

    def test_against_partial_traces(self):
        circuit = layered(3, 1)
        rows = []

        def kept(vector):  # how weights are drawn: what was drawn is kept
            torch.nn.init.uniform_(vector, 0, 6)
            rows.append(vector.tolist())

        found = analysis.entangling_capability(circuit, 5, initial=kept, generator=seeded())
        for row, measure in zip(rows, found.measures, strict=True):
            state = Statevector(circuit.assign_parameters(row))
            purities = [purity(partial_trace(state, [p for p in range(3) if p != q])).real for q in range(3)]
            assert measure == pytest.approx(2 * (1 - np.mean(purities)), abs=1e-6)  # drawn in single precision


class TestEffectiveDimension:
    @pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # PyTorch's own, in forward mode
    def test_a_weight_that_counts_everywhere(self):
        """p = cos^2(w/2) has the Fisher information 1."""
        circuit = QuantumCircuit(1)
        circuit.ry(Parameter("w"), 0)
        model = QuantumModule(circuit, None, circuit.parameters, observables=outputs.Probabilities())
        found = analysis.effective_dimension(model, 1000, samples=20, generator=seeded())
        kappa = 1000 / (2 * math.pi * math.log(1000))
        np.testing.assert_allclose(found.eigenvalues, 1)
        assert found.value == pytest.approx(math.log1p(kappa) / math.log(kappa))
        assert found.standard_error < 1e-6
        assert found.at(10**6).value == pytest.approx(1, abs=1e-4)

    def test_weights_that_do_not_count(self):
        circuit = QuantumCircuit(1)
        w = ParameterVector("w", 3)
        for angle in w:
            circuit.ry(angle, 0)
        circuit.rz(Parameter("z"), 0)
        model = QuantumModule(circuit, None, circuit.parameters, observables=outputs.Probabilities())
        found = analysis.effective_dimension(model, 10**9, samples=10, generator=seeded())
        assert found.value == pytest.approx(1, abs=0.1)
        assert found.normalized == found.value / 4

    @pytest.mark.parametrize("interpret", [None, lambda outcome: outcome.bit_count() % 2])
    @pytest.mark.filterwarnings("ignore")
    def test_against_qiskit_machine_learning(self, interpret, monkeypatch):
        networks = pytest.importorskip("qiskit_machine_learning.neural_networks")
        from qiskit_torch_module import FastReverseSamplerGradient, FastSampler

        case = reuploading(2, 1)
        weights = [p for one in case.variational for p in one]
        classes = {} if interpret is None else {"interpret": interpret, "output_shape": 2}
        model = QuantumModule(case.circuit, case.encoding, weights, observables=outputs.Probabilities(**classes))
        data = torch.randn(4, 2, generator=seeded(), dtype=torch.float64)
        rows = 2 * np.pi * np.random.default_rng(0).random((6, len(weights)))
        monkeypatch.setattr(analysis.dimension, "weights_of", lambda *_: torch.from_numpy(rows))
        found = analysis.effective_dimension(model, 5000, data, samples=6)
        network = networks.SamplerQNN(
            circuit=case.circuit,
            input_params=case.encoding,
            weight_params=weights,
            sampler=FastSampler(),
            gradient=FastReverseSamplerGradient(),
            **classes,
        )
        theirs = networks.EffectiveDimension(network, weight_samples=rows, input_samples=data.numpy())
        assert found.value == pytest.approx(theirs.get_effective_dimension(5000), abs=1e-6)


def encoded(turn, observables="individualZ", **options):
    """Two turns by inputs between gates with weights."""
    x, w = ParameterVector("x", 2), ParameterVector("w", 10)
    circuit = QuantumCircuit(2)
    for layer in range(3):
        for q in range(2):
            circuit.ry(w[2 * layer + q], q)
            circuit.rz(w[4 + q], q)
        circuit.cx(0, 1)
        if layer < 2:
            turn(circuit, layer, x, w)
    circuit.rx(1e-3 * x[0] * 0 + w[9] + w[8] + w[7] + w[6], 0)
    return QuantumModule(circuit, x, w, observables=observables, seed_init=1, **options).double()


TURNS = {
    "plain": (lambda c, k, x, w: (c.rx(x[0], 0), c.ry(x[1], 1)), 25),
    "scaled": (lambda c, k, x, w: (c.rx(3**k * x[0], 0), c.ry(x[1] + 0.5, 1)), 45),
    "halves": (lambda c, k, x, w: (c.crx(x[0], 0, 1), c.ry(x[1] / 3, 1)), 45),
    "sums": (lambda c, k, x, w: (c.rx(x[0] - 2 * x[1], 0), c.rzz(x[1], 0, 1)), 25),
    "no multiples": (lambda c, k, x, w: (c.rx(x[0], 0), c.ry(2**0.5 * x[0] + x[1], 1)), 25),
    "scaled by weights": (lambda c, k, x, w: (c.rx(w[8] * x[0], 0), c.ry(w[9].sin() * x[1], 1)), 25),
}


class TestFourier:
    @pytest.mark.parametrize("turn", TURNS)
    def test_the_series_is_the_model(self, turn):
        model = encoded(TURNS[turn][0])
        found, spectrum = analysis.fourier_coefficients(model), analysis.fourier_spectrum(model)
        assert len(spectrum) == TURNS[turn][1]
        np.testing.assert_array_equal(found.frequencies, spectrum.frequencies)
        np.testing.assert_allclose(found.frequencies, -found.frequencies[::-1], atol=1e-12)
        inputs = 10 * torch.randn(20, 2, generator=seeded(), dtype=torch.float64)
        np.testing.assert_allclose(found(inputs), model(inputs).detach(), atol=1e-12)

    @pytest.mark.parametrize(
        "observables",
        [
            outputs.Probabilities(),
            outputs.Probabilities([1]),
            outputs.Fidelity([0.6, 0, 0.8j, 0]),
            outputs.Trainable(["ZZ", "XI"], initial=[0.3, 0.7]),
            ["XX", outputs.Fidelity([1, 0, 0, 0])],
        ],
    )
    def test_of_other_outputs(self, observables):
        model = encoded(TURNS["plain"][0], observables)
        inputs = 10 * torch.randn(20, 2, generator=seeded(), dtype=torch.float64)
        found = analysis.fourier_coefficients(model)
        np.testing.assert_allclose(found(inputs), model(inputs).detach(), atol=1e-12)

    def test_a_cosine(self):
        circuit, x = QuantumCircuit(1), Parameter("x")
        circuit.rx(x, 0)
        model = QuantumModule(circuit, [x], None, observables="Z")
        found, spectrum = analysis.fourier_coefficients(model), analysis.fourier_spectrum(model)
        np.testing.assert_allclose(found.frequencies, [[-1], [0], [1]])
        np.testing.assert_allclose(found.coefficients, [[0.5], [0], [0.5]], atol=1e-15)
        np.testing.assert_array_equal(spectrum.redundancies, [1, 2, 1])

    def test_redundancies_are_binomial(self):
        circuit, x = QuantumCircuit(3), Parameter("x")
        circuit.rx(x, range(3))
        spectrum = analysis.fourier_spectrum(QuantumModule(circuit, [x], None))
        np.testing.assert_array_equal(spectrum.redundancies, [1, 6, 15, 20, 15, 6, 1])

    def test_an_input_without_effect(self):
        """A rotation that commutes with all else is still a frequency, whose coefficient is zero."""
        circuit, x = QuantumCircuit(1), Parameter("x")
        circuit.rx(1.0, 0)
        circuit.rz(x, 0)
        found = analysis.fourier_coefficients(QuantumModule(circuit, [x], None))
        np.testing.assert_allclose(found.value, [[0], [math.cos(1.0) ** 2], [0]], atol=1e-14)

    def test_random_weights(self):
        model = encoded(TURNS["plain"][0], "ZZ")
        found = analysis.fourier_coefficients(model, 30, generator=seeded())
        assert found.coefficients.shape == (30, 25, 1)
        assert found.value.shape == found.standard_error.shape == (25, 1)
        assert found([[0.0, 1.0]]).shape == (30, 1, 1)
        assert np.ptp(found.coefficients.real, axis=0).max() > 0.1
        exact = analysis.fourier_coefficients(model)
        assert not exact.standard_error.any()

    def test_of_a_file(self, tmp_path):
        model = encoded(TURNS["plain"][0], "ZZ")
        save(model, tmp_path / "model.qtm")
        found = analysis.fourier_coefficients(load(tmp_path / "model.qtm"))
        np.testing.assert_allclose(found.coefficients, analysis.fourier_coefficients(model).coefficients, atol=1e-12)


NONLINEAR = {
    "asin": lambda x: x[0].arcsin(),
    "x[0]*x[1]": lambda x: x[0] * x[1],
    "x[0]**2": lambda x: x[0] ** 2,
    "abs(x[0])": lambda x: x[0].abs(),
    "log": lambda x: x[0].log(),
}


@pytest.mark.parametrize("named", NONLINEAR)
@pytest.mark.parametrize("call", [analysis.fourier_spectrum, analysis.fourier_coefficients])
def test_encodings_without_a_spectrum_are_named(named, call):
    x = ParameterVector("x", 2)
    circuit = QuantumCircuit(2)
    circuit.rx(NONLINEAR[named](x), 0)
    circuit.ry(x[0] + x[1], 1)
    with pytest.raises(ValueError, match=r"linear in the inputs, got angle .* of gate 'rx' on qubits \[0\]") as error:
        call(QuantumModule(circuit, x, None))
    assert named in str(error.value)


def chain(num_qubits, *letters, ring=False):
    """Products of neighbouring Paulis along a chain."""
    labels = []
    for product in letters:
        for first in range(num_qubits if ring else num_qubits - len(product) + 1):
            label = ["I"] * num_qubits
            for place, letter in enumerate(product):
                label[(first + place) % num_qubits] = letter
            labels.append("".join(label))
    return labels


def closed(matrices):
    """The dimension of the Lie algebra of Hermitian matrices, by brute force."""
    basis = []

    def add(matrix):
        rows = np.array([np.concatenate([m.real.ravel(), m.imag.ravel()]) for m in [*basis, matrix]])
        if np.linalg.matrix_rank(rows, tol=1e-6) > len(basis):
            basis.append(matrix / np.linalg.norm(matrix))
            return True
        return False

    newest = [matrix for matrix in matrices if add(matrix)]
    while newest:
        made = [1j * (g @ m - m @ g) for g in matrices for m in newest]
        newest = [matrix / np.linalg.norm(matrix) for matrix in made if np.linalg.norm(matrix) > 1e-6 and add(matrix)]
    return len(basis)


class TestLieAlgebra:
    @pytest.mark.parametrize("n", [3, 4, 5, 6])
    def test_chains_of_paulis(self, n):
        """arXiv:2309.05690, theorem 3 and its table: open chains."""
        heisenberg = 4 ** (n - 1) - 1 if n % 2 else 4 * (4 ** (n - 2) - 1)
        expected = {
            ("XX",): n - 1,
            ("XY",): n * (n - 1) // 2,  # so(n)
            ("XX", "YY"): n * (n - 1),  # so(n) + so(n)
            ("ZZ", "X"): n * (2 * n - 1),  # so(2n): the transverse-field Ising model
            ("XX", "YY", "ZZ"): heisenberg,
            ("XX", "X", "Z"): 4**n - 1,
        }
        for letters, dimension in expected.items():
            found = analysis.dynamical_lie_algebra(chain(n, *letters))
            assert (found.dimension, found.is_complete) == (dimension, True), letters
        assert found.is_controllable

    @pytest.mark.parametrize("n", [3, 4, 5, 6])
    def test_sums(self, n):
        """QAOA on paths, rings and complete graphs (arXiv:2407.12587)."""
        mixer = SparsePauliOp(chain(n, "X"))
        pairs = SparsePauliOp.from_sparse_list([("ZZ", [a, b], 1.0) for a in range(n) for b in range(a)], n)
        complete = (n**3 + 6 * n**2 + (2 * n + 12 if n % 2 == 0 else -n + 18)) // 12
        for graph, dimension in (
            (SparsePauliOp(chain(n, "ZZ")), n * n),
            (SparsePauliOp(chain(n, "ZZ", ring=True)), 3 * n - 1),
            (pairs, complete),
        ):
            assert analysis.dynamical_lie_algebra([graph, mixer]).dimension == dimension

    def test_against_matrices(self):
        rng = np.random.default_rng(0)
        for _ in range(6):
            labels = ["".join(rng.choice(list("IXYZ"), 3)) for _ in range(6)]
            operators = [SparsePauliOp(labels[i : i + 3], rng.normal(size=3)) for i in (0, 3)]
            matrices = [o.to_matrix() - np.trace(o.to_matrix()) / 8 * np.eye(8) for o in operators]
            assert analysis.dynamical_lie_algebra(operators).dimension == closed(matrices)

    def test_words_and_sums_agree(self):
        words = chain(4, "ZZ", "X")
        mixed = [SparsePauliOp(words[:2], [1.0, 2.0]), *words]
        assert analysis.dynamical_lie_algebra(mixed).dimension == analysis.dynamical_lie_algebra(words).dimension

    @pytest.mark.parametrize("seed", range(6))
    def test_circuits_against_matrices(self, seed):
        """U(0)^-1 dU/dw of each parameter in turn is its generator, with all fixed gates before."""
        rng = np.random.default_rng(seed)
        w = ParameterVector("w", 4)
        circuit = QuantumCircuit(3)
        for k in range(4):
            a, b = rng.permutation(3)[:2].tolist()
            [circuit.cx, circuit.cz, circuit.swap][rng.integers(3)](a, b)
            [circuit.h, circuit.s, circuit.sx, lambda q: circuit.rx(0.7, q)][rng.integers(4)](b)
            if rng.integers(2):
                circuit.rzz(w[k], a, b)
                circuit.rz(2 * w[k], a)  # side by side, of one parameter
            else:
                [circuit.rx, circuit.ry, circuit.rz][rng.integers(3)](w[k], a)

        def matrix(k, angle):
            return Operator(circuit.assign_parameters([angle if i == k else 0.0 for i in range(4)])).data

        start, step = matrix(0, 0.0).conj().T, 1e-4
        generators = [1j * start @ (matrix(k, step) - matrix(k, -step)) / step for k in range(4)]
        assert analysis.dynamical_lie_algebra(circuit).dimension == closed(generators)

    def test_circuits_of_qaoa(self):
        gamma, beta = Parameter("g"), Parameter("b")
        circuit = QuantumCircuit(5)
        circuit.h(range(5))
        for q in range(4):
            circuit.rzz(gamma, q, q + 1)
        circuit.rx(2 * beta, range(5))
        found = analysis.dynamical_lie_algebra(circuit)
        assert (found.dimension, found.num_generators) == (25, 2)

    def test_idle_and_measured_qubits_do_not_count(self):
        """As of a circuit that was transpiled to a large device; one on more qubits than any state in memory has."""
        gamma, beta = Parameter("g"), Parameter("b")
        wide = QuantumCircuit(60, 2)
        chain = QuantumCircuit(30)
        for q in range(29):
            wide.rzz(gamma, 2 * q, 2 * q + 2) if q < 3 else None
            chain.rzz(gamma, q, q + 1)
        wide.rx(beta, [0, 2, 4, 6])
        wide.measure([0, 2], [0, 1])
        chain.rx(beta, range(30))
        found = analysis.dynamical_lie_algebra(wide)
        assert (found.dimension, found.num_qubits) == (16, 4)
        found = analysis.dynamical_lie_algebra(chain, max_dimension=5)
        assert (found.is_complete, found.num_qubits) == (False, 30)

    def test_what_acts_on_zero_alone_counts(self):
        """The algebra is that of unitaries: Z turns |0> by nothing but a phase, and a control in |0> does not act."""
        circuit = QuantumCircuit(2)
        circuit.rz(Parameter("z"), 0)
        circuit.crx(Parameter("x"), 0, 1)
        found = analysis.dynamical_lie_algebra(circuit)
        assert found.num_qubits == 2
        assert found.dimension == 2

    def test_of_modules_with_inputs(self):
        case = reuploading(2, 1)
        model = QuantumModule(case.circuit, case.encoding, case.variational)
        assert analysis.dynamical_lie_algebra(model).is_controllable

    @pytest.mark.parametrize("sums", [False, True])
    def test_what_is_cut_off_is_a_lower_bound(self, sums):
        generators = chain(3, "XX", "X", "Z")
        if sums:
            generators = [SparsePauliOp(generators[:4]), SparsePauliOp(generators[4:], range(1, 5))]
        whole = analysis.dynamical_lie_algebra(generators)
        found = analysis.dynamical_lie_algebra(generators, max_dimension=20)
        assert whole.is_complete
        assert not found.is_complete
        assert 20 < found.dimension < whole.dimension
        assert found.growth == whole.growth[: len(found.growth)]

    def test_no_more_memory_than_there_is(self, own_budget):
        generators = [SparsePauliOp(chain(3, "XX", "X", "Z")), SparsePauliOp(chain(3, "ZZ"), range(1, 3))]
        own_budget(10_000)
        found = analysis.dynamical_lie_algebra(generators)
        own_budget(None)
        assert not found.is_complete
        assert found.dimension < analysis.dynamical_lie_algebra(generators).dimension


class TestGradientVariance:
    def test_closed_form(self):
        """<Z> = cos w of a qubit by itself: the derivative has the variance 1/2, by other weights 0."""
        circuit = layered(2, 1, entangle=False)
        found = analysis.gradient_variance(circuit, 4000, generator=seeded())
        np.testing.assert_allclose(found.variances, [0.5, 0, 0, 0], atol=0.03)
        assert abs(found.value - 0.125) < 4 * found.standard_error < 0.01

    def test_standard_error(self):
        circuit = layered(2, 2)
        found = [analysis.gradient_variance(circuit, 100, generator=seeded().manual_seed(s)) for s in range(60)]
        spread = np.std([one.value for one in found])
        assert spread == pytest.approx(np.mean([one.standard_error for one in found]), rel=0.3)

    def test_starts_and_outputs_are_those_of_the_model(self):
        circuit = layered(2, 1, entangle=False)
        model = QuantumModule(circuit, None, circuit.parameters, variational_params_initial="constant")
        assert analysis.gradient_variance(model, 10).value < 1e-30
        assert analysis.gradient_variance(model, 10, initial="uniform").value > 0.0
        second = analysis.gradient_variance(model, 100, output=1, initial="uniform", generator=seeded())
        assert second.variances.argmax() == 2

    def test_trained_coefficients_stay(self):
        circuit = layered(2, 1, entangle=False)
        options = {"observables": outputs.Trainable(["IZ"], initial=[2.0]), "seed_init": 0}
        model = QuantumModule(circuit, None, circuit.parameters, **options)
        found = analysis.gradient_variance(model, 4000, generator=seeded())
        assert found.variances[0] == pytest.approx(2.0, rel=0.1)


def test_in_parts_as_in_one(monkeypatch):
    """More samples than fit into memory at once."""
    circuit = layered(3, 2)
    probabilities = QuantumModule(circuit, None, circuit.parameters, observables=outputs.Probabilities())

    def found():
        return [
            analysis.expressibility(circuit, 40, generator=seeded()).value,
            analysis.entangling_capability(circuit, 40, generator=seeded()).value,
            analysis.gradient_variance(circuit, 40, generator=seeded()).value,
            analysis.effective_dimension(probabilities, 1000, samples=10, generator=seeded()).value,
            np.abs(analysis.fourier_coefficients(encoded(TURNS["plain"][0])).coefficients).sum(),
        ]

    whole = found()
    for room in (states, analysis.dimension):
        monkeypatch.setattr(room, "MOST_AMPLITUDES", 40)
    np.testing.assert_allclose(found(), whole, rtol=1e-12)


def test_results_are_drawn():
    circuit = layered(2, 2)
    probabilities = QuantumModule(circuit, None, circuit.parameters, observables=outputs.Probabilities())
    single = QuantumModule(*(lambda x, c: (c.rx(x, 0), (c, [x], None))[1])(Parameter("x"), QuantumCircuit(1)))
    triple = ParameterVector("x", 3)
    wide = QuantumCircuit(1)
    for x in triple:
        wide.rx(x, 0)
    results = [
        analysis.expressibility(circuit, 50, generator=seeded()),
        analysis.entangling_capability(circuit, 50, generator=seeded()),
        analysis.gradient_variance(circuit, 50, generator=seeded()),
        analysis.effective_dimension(probabilities, 1000, samples=5, generator=seeded()),
        analysis.dynamical_lie_algebra(circuit),
        analysis.fourier_spectrum(single),
        analysis.fourier_spectrum(encoded(TURNS["plain"][0])),
        analysis.fourier_coefficients(single),
        analysis.fourier_coefficients(encoded(TURNS["plain"][0])),
        analysis.fourier_coefficients(encoded(TURNS["plain"][0]), 3, generator=seeded()),
        analysis.fourier_coefficients(QuantumModule(wide, triple, None)),
    ]
    for result in results:
        figure, axes = pyplot.subplots()
        assert result.plot(axes) is axes
        assert axes.has_data()
        assert axes.get_xlabel()
        pyplot.close(figure)
    assert results[0].plot() is pyplot.gca()
    pyplot.close("all")


CIRCUIT = layered(2, 1)
MODEL = QuantumModule(CIRCUIT, None, CIRCUIT.parameters)
X = ParameterVector("x", 12)
WITH_INPUTS = QuantumCircuit(1)
for _ in range(40):
    for one in X:
        WITH_INPUTS.rx(one, 0)
INPUTS = QuantumModule(WITH_INPUTS, X, None)
PROBABILITIES = QuantumModule(CIRCUIT, None, CIRCUIT.parameters, observables=outputs.Probabilities())
FIXED = QuantumCircuit(1)
FIXED.h(0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: analysis.expressibility(CIRCUIT, 0), "pairs: expected a whole number from 2"),
        (lambda: analysis.expressibility(CIRCUIT, 2.5), "pairs: expected a whole number"),
        (lambda: analysis.expressibility(CIRCUIT, bins=1), "bins: expected a whole number from 2"),
        (lambda: analysis.expressibility(FIXED), "model: expected a circuit with parameters, got one without any"),
        (lambda: analysis.expressibility("circuit"), "model: expected a QuantumModule or a QuantumCircuit, got str"),
        (lambda: analysis.expressibility(torch.nn.Linear(1, 1)), "got Linear$"),
        (
            lambda: analysis.expressibility(
                HybridModule(CIRCUIT, CIRCUIT.parameters[:2], CIRCUIT.parameters[2:], 1, 1)
            ),
            "quantum_module",
        ),
        (
            lambda: analysis.expressibility(CIRCUIT, generator=0.5),
            "generator: expected a torch.Generator, a whole number",
        ),
        (lambda: analysis.expressibility(CIRCUIT, initial="gauss"), "initial: expected one of 'constant', 'uniform'"),
        (lambda: analysis.expressibility(CIRCUIT, initial=[0.1] * 4), "initial: expected how weights are drawn"),
        (lambda: analysis.expressibility(CIRCUIT, initial=["uniform", "normal"]), "one start for all weights"),
        (lambda: analysis.expressibility(INPUTS, input=[1.0]), r"input: expected one input of shape \(12,\)"),
        (lambda: analysis.expressibility(INPUTS, input="x"), "input: expected a tensor, an array"),
        (lambda: analysis.entangling_capability(CIRCUIT, -1), "samples: expected a whole number from 2"),
        (lambda: analysis.entangling_capability(FIXED), "model: expected a circuit with parameters"),
        (lambda: analysis.gradient_variance(CIRCUIT, 1), "samples: expected a whole number from 2"),
        (lambda: analysis.gradient_variance(CIRCUIT, output=2), "output: expected a whole number from 0 to 1"),
        (lambda: analysis.gradient_variance(FIXED), "model: expected a circuit with parameters"),
        (lambda: analysis.gradient_variance(INPUTS), "model: expected weights, got inputs alone"),
        (
            lambda: analysis.gradient_variance(
                QuantumModule(CIRCUIT, None, CIRCUIT.parameters, observables=outputs.State())
            ),
            "model: expected real outputs, got State",
        ),
        (lambda: analysis.effective_dimension(MODEL, 100), "expected one with probabilities.*got .*; make it with"),
        (lambda: analysis.effective_dimension(CIRCUIT, 100), "model: expected a QuantumModule, got QuantumCircuit"),
        (lambda: analysis.effective_dimension(PROBABILITIES, 0), "num_data: expected a whole number from 2"),
        (lambda: analysis.effective_dimension(PROBABILITIES, 10), "num_data: expected at least 19, from which on"),
        (lambda: analysis.effective_dimension(PROBABILITIES, 100, gamma=2.0), "gamma: expected a number above 0"),
        (lambda: analysis.effective_dimension(PROBABILITIES, 100, samples=0), "samples: expected a whole number"),
        (lambda: analysis.effective_dimension(PROBABILITIES, 100, [[1.0]]), r"inputs: expected shape \(..., 0\)"),
        (lambda: analysis.fourier_spectrum(MODEL), "model: expected inputs, of which it is a function, got none"),
        (lambda: analysis.fourier_spectrum(CIRCUIT), "model: expected a QuantumModule, got QuantumCircuit"),
        (
            lambda: analysis.fourier_spectrum(INPUTS),
            "a grid of 81 x 81 x .* points for 12 inputs takes .* [GT]iB, more than",
        ),
        (lambda: analysis.fourier_coefficients(INPUTS), "a grid of 81 x 81 x .* points for 12 inputs takes .* [GT]iB"),
        (lambda: analysis.fourier_coefficients(MODEL), "model: expected inputs"),
        (
            lambda: analysis.fourier_coefficients(with_method(encoded(TURNS["plain"][0]), methods.Shots(10))),
            "model: expected an exact method, got 'shots', which estimates",
        ),
        (
            lambda: analysis.fourier_coefficients(encoded(TURNS["plain"][0]))(torch.rand(3, 7)),
            r"inputs: expected shape \(B, \d\), one column for each input, got \(3, 7\)",
        ),
        (lambda: analysis.dynamical_lie_algebra(["XX", "Z"]), r"generators\[1\]: expected 2 qubits"),
        (
            lambda: analysis.fourier_coefficients(QuantumModule(WITH_INPUTS, X, None, observables=outputs.State())),
            "model: expected expectation values, Probabilities or Fidelity.*got State",
        ),
        (lambda: analysis.fourier_coefficients(encoded(TURNS["plain"][0]), 0), "samples: expected a whole number"),
        (
            lambda: analysis.fourier_coefficients(encoded(TURNS["scaled by weights"][0]), 3),
            "samples: expected frequencies that do not depend on weights",
        ),
        (lambda: analysis.dynamical_lie_algebra("ZZ"), "generators: expected a QuantumModule, a QuantumCircuit or a"),
        (lambda: analysis.dynamical_lie_algebra([]), "generators: expected a QuantumModule"),
        (lambda: analysis.dynamical_lie_algebra(["II"]), "no multiple of the identity, got none"),
        (lambda: analysis.dynamical_lie_algebra(FIXED), "no multiple of the identity, got none"),
        (lambda: analysis.dynamical_lie_algebra(["Z" * 33]), "generators: expected at most 32 qubits, got 33"),
        (lambda: analysis.dynamical_lie_algebra(["ZZ"], 0), "max_dimension: expected a whole number from 1"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        call()


def test_circuits_that_hold_matrices_have_no_generators():
    circuit = QuantumCircuit(3)
    circuit.unitary(np.linalg.qr(np.random.default_rng(0).normal(size=(8, 8)))[0], range(3))
    circuit.rx(Parameter("w"), 0)
    with pytest.raises(ValueError, match="generators: expected a circuit of rotations, got one with matrices"):
        analysis.dynamical_lie_algebra(circuit)


def test_amplitude_encodings_have_no_spectrum():
    encoding = pytest.importorskip("qiskit_machine_learning.circuit.library")
    circuit = encoding.raw_feature_vector(4)
    with pytest.raises(ValueError, match="there is no Fourier spectrum"):
        analysis.fourier_spectrum(QuantumModule(circuit, circuit.parameters, None))
