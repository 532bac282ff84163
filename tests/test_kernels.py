"""Quantum kernels against other packages, closed forms and finite differences."""

import copy
import pickle

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector
from qiskit.quantum_info import Statevector, partial_trace

import qiskit_torch_module as qtm
from qiskit_torch_module._simulation.native import NativeRunner
from qiskit_torch_module.kernels import FidelityKernel, ProjectedKernel, blocks, overlaps, target_alignment

N = 3  # qubits, and columns of samples
X, W = ParameterVector("x", N), ParameterVector("w", 2 * N)
KINDS = [FidelityKernel, ProjectedKernel]

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # PyTorch's own, in forward mode
OUTER = ["rbf", "laplacian", "linear", "polynomial", "sigmoid", "cosine"]


def feature_map(num_qubits=N):
    """Inputs between weights, and products of inputs; other qubits are idle."""
    circuit = QuantumCircuit(num_qubits)
    for q in range(N):
        circuit.ry(W[q], q)
        circuit.rx(X[q], q)
    for q in range(N - 1):
        circuit.cx(q, q + 1)
    for q in range(N):
        circuit.ry(W[N + q], q)
        circuit.rz(X[q] * X[(q + 1) % N], q)
    circuit.cz(0, 1)
    circuit.rx(X[2], 0)
    return circuit


def kernel_of(kind=FidelityKernel, **options):
    return kind(feature_map(), X, W, seed_init=0, **options)


def samples(count, seed=0, dtype=torch.float64):
    return torch.rand(count, N, dtype=dtype, generator=torch.Generator().manual_seed(seed)) * 2


def states_of(kernel, x):
    """By Qiskit."""
    weights = kernel.variational_[0].detach().numpy()
    bound = [feature_map().assign_parameters({X: row, W: weights}) for row in x.numpy()]
    return [Statevector(circuit) for circuit in bound]


@pytest.fixture
def small_blocks(monkeypatch):
    """A few samples already fall into many blocks, and into panels of other sizes than these."""
    monkeypatch.setattr(blocks, "ROWS", 2)
    monkeypatch.setattr(blocks, "PANEL", 5)


# Values


@pytest.mark.parametrize("counts", [(1, 1), (6, 4), (0, 3), (3, 0)])
def test_fidelities_are_those_of_states(counts):
    kernel, x, y = kernel_of().double(), samples(counts[0]), samples(counts[1], 1)
    left, right = (np.array([state.data for state in states_of(kernel, one)]).reshape(-1, 2**N) for one in (x, y))
    found = kernel(x, y)
    assert found.shape == counts
    np.testing.assert_allclose(found.detach(), np.abs(left @ right.conj().T) ** 2, atol=1e-12)
    np.testing.assert_allclose(kernel(x).detach(), np.abs(left @ left.conj().T) ** 2, atol=1e-12)


@pytest.mark.filterwarnings("ignore")  # the library's own
@pytest.mark.parametrize("name", ["FidelityQuantumKernel", "FidelityStatevectorKernel"])
def test_as_qiskit_machine_learning(name):
    kernels = pytest.importorskip("qiskit_machine_learning.kernels")
    circuit = feature_map().assign_parameters({W: np.linspace(0.1, 2, 2 * N)})
    other, own = getattr(kernels, name)(feature_map=circuit), FidelityKernel(circuit, X)
    x, y = samples(5).numpy(), samples(3, 1).numpy()
    np.testing.assert_allclose(own.evaluate(x), other.evaluate(x), atol=1e-10)
    np.testing.assert_allclose(own.evaluate(x, y), other.evaluate(x, y), atol=1e-10)
    np.testing.assert_allclose(own.evaluate(x[0], y), other.evaluate(x[0], y), atol=1e-10)
    for attribute in ("num_features", "feature_map"):
        assert hasattr(own, attribute)


@pytest.mark.filterwarnings("ignore")
def test_as_pennylane():
    qml = pytest.importorskip("pennylane")
    x, labels = samples(6).numpy(), np.array([1, -1, -1, 1, -1, -1])

    def embed(row):
        for q in range(N):
            qml.Hadamard(q)
            qml.RZ(row[q], q)
        for q in range(N - 1):
            qml.MultiRZ(row[q] * row[q + 1], [q, q + 1])
        for q in range(N):
            qml.RY(row[q], q)

    @qml.qnode(qml.device("default.qubit", wires=N))
    def circuit(one, other):
        embed(one)
        qml.adjoint(embed)(other)
        return qml.probs(wires=range(N))

    def other(one, two):
        return circuit(one, two)[0]

    own = QuantumCircuit(N)
    own.h(range(N))
    for q in range(N):
        own.rz(X[q], q)
    for q in range(N - 1):
        own.rzz(X[q] * X[q + 1], q, q + 1)
    for q in range(N):
        own.ry(X[q], q)
    kernel = FidelityKernel(own, X).double()
    expected = qml.kernels.square_kernel_matrix(x, other, assume_normalized_kernel=True)
    np.testing.assert_allclose(kernel(x), expected, atol=1e-10)
    for balanced in (True, False):
        aligned = qml.kernels.target_alignment(x[:4], labels[:4], other, True, balanced)
        assert target_alignment(kernel, x[:4], labels[:4], balanced).item() == pytest.approx(float(aligned), abs=1e-10)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_positive_symmetric_and_one_on_the_diagonal(kind, dtype):
    kernel, x = kernel_of(kind), samples(140, dtype=dtype)
    for matrix in (kernel(x).detach(), kernel.evaluate(x, out=np.empty((140, 140), str(dtype)[6:]))):
        matrix = np.asarray(matrix)
        assert matrix.dtype == str(dtype)[6:]
        np.testing.assert_array_equal(matrix, matrix.T)
        np.testing.assert_array_equal(np.diag(matrix), 1)
        assert np.linalg.eigvalsh(matrix.astype("f8")).min() > -140 * np.finfo(matrix.dtype).eps
    across = kernel(x, x.clone()).detach()
    assert across.min() >= 0
    if kind is FidelityKernel:
        assert across.max() <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_with_and_without_a_graph_are_the_same(kind, small_blocks):
    kernel, x, y = kernel_of(kind).double(), samples(13), samples(9, 1)
    plain = kernel_of(kind).double().requires_grad_(False)
    for arguments in ((x,), (x, y), (x[:5],), (x[:5], y[:1])):
        torch.testing.assert_close(kernel(*arguments).detach(), plain(*arguments), rtol=0, atol=1e-14)
    torch.testing.assert_close(plain(x, x.clone()), plain(x), rtol=0, atol=1e-14)


@pytest.mark.parametrize("outer", OUTER)
def test_projected_is_scikit_learn_of_reduced_states(outer):
    pairwise = pytest.importorskip("sklearn.metrics.pairwise")
    kernel = kernel_of(ProjectedKernel, outer=outer, gamma=0.7, degree=2, coef0=0.3).double()
    x, y = samples(5), samples(4, 1)
    reduced = [
        np.array([[partial_trace(state, [p for p in range(N) if p != q]).data for q in range(N)] for state in states])
        for states in (states_of(kernel, x), states_of(kernel, y))
    ]
    inner = np.einsum("iqab,jqba->ij", *reduced).real
    features = [kernel.features(one).detach() for one in (x, y)]
    np.testing.assert_allclose(features[0] @ features[1].T, inner, atol=1e-12)
    options = {"rbf": ["gamma"], "laplacian": ["gamma"], "polynomial": ["gamma", "degree", "coef0"]}
    options["sigmoid"] = ["gamma", "coef0"]
    chosen = {name: {"gamma": 0.7, "degree": 2, "coef0": 0.3}[name] for name in options.get(outer, [])}
    expected = pairwise.pairwise_kernels(*features, metric=outer, **chosen)
    np.testing.assert_allclose(kernel(x, y).detach(), expected, atol=1e-12)
    np.testing.assert_allclose(kernel.diagonal(x), np.diag(kernel(x).detach()), atol=1e-12)
    if outer == "rbf":
        distances = np.linalg.norm(reduced[0][:, None] - reduced[1], axis=(3, 4)) ** 2
        np.testing.assert_allclose(kernel(x, y).detach(), np.exp(-0.7 * distances.sum(2)), atol=1e-12)


def test_outer_kernels_may_be_given():
    kernels = pytest.importorskip("sklearn.gaussian_process.kernels")
    x, y = samples(5), samples(4, 1)
    named = kernel_of(ProjectedKernel, gamma=0.5)
    given = kernel_of(ProjectedKernel, outer=lambda a, b: (-torch.cdist(a, b).square() / 2).exp())
    of_sklearn = kernel_of(ProjectedKernel, outer=kernels.RBF(1.0))
    for other in (given, of_sklearn):
        torch.testing.assert_close(other(x, y), named(x, y), check_dtype=True)
        np.testing.assert_allclose(other.evaluate(x), named.evaluate(x), atol=1e-12)
    assert given(x, y).requires_grad
    assert not of_sklearn(x, y).requires_grad


# Derivatives


def at(kernel, function=None):
    """A kernel, or a function of it, as a function of weights and samples."""

    def call(weights, *given):
        return torch.func.functional_call(kernel, {"quantum.variational": weights}, given)

    def aligned(weights, x):
        return function(lambda given: call(weights, given), x)

    return call if function is None else aligned


def variables(kernel, *counts):
    given = [kernel.quantum.variational.detach(), *(samples(count, seed) for seed, count in enumerate(counts))]
    return tuple(one.clone().requires_grad_() for one in given)


@pytest.mark.parametrize("counts", [(5,), (3, 4)])
@pytest.mark.parametrize("most_kept", [1 << 20, 0])
@pytest.mark.parametrize("at_once", [1, 1 << 20])
def test_derivatives_of_fidelities(counts, most_kept, at_once, small_blocks, monkeypatch):
    monkeypatch.setattr(overlaps, "_MOST_KEPT", most_kept)
    monkeypatch.setattr(overlaps, "_LEAST_AT_ONCE", at_once)
    kernel = kernel_of().double()
    given = variables(kernel, *counts)
    assert torch.autograd.gradcheck(at(kernel), given)
    if most_kept and at_once == 1:  # derivatives of these keep all
        assert torch.autograd.gradgradcheck(at(kernel), given, fast_mode=True)


@pytest.mark.parametrize("counts", [(5,), (3, 4)])
def test_a_graph_may_be_kept(counts, small_blocks):
    kernel, given = kernel_of().double(), [samples(count, seed) for seed, count in enumerate(counts)]
    for value in (kernel(*given).square().sum(), target_alignment(kernel, given[0], [0, 1, 1, 0, 2][: counts[0]])):
        first, second = (torch.autograd.grad(value, kernel.variational_, retain_graph=True)[0] for _ in range(2))
        assert torch.equal(first, second)


@pytest.mark.parametrize("outer", OUTER)
def test_derivatives_of_projected_kernels(outer):
    kernel = kernel_of(ProjectedKernel, outer=outer).double()
    for counts in ((3,), (1, 2)):
        assert torch.autograd.gradcheck(at(kernel), variables(kernel, *counts), fast_mode=True)
    if outer in ("rbf", "polynomial"):
        assert torch.autograd.gradgradcheck(at(kernel), variables(kernel, 2), fast_mode=True)


@pytest.mark.parametrize("kind", KINDS)
def test_derivatives_of_two_samples_that_are_the_same(kind):
    """The mixed second derivative is a metric, and not lost where distances vanish."""
    kernel, x = kernel_of(kind).double(), samples(1)
    x, y = x.clone().requires_grad_(), x.clone().requires_grad_()
    [slope] = torch.autograd.grad(kernel(x, y).sum(), x, create_graph=True)
    assert slope.abs().max() < 1e-12
    metric = torch.stack([torch.autograd.grad(one, y, retain_graph=True)[0][0] for one in slope[0]])
    step = 1e-3 * torch.tensor([[1.0, -2.0, 0.5]], dtype=torch.float64)
    change = 1 - kernel(x.detach(), x.detach() + step).item()
    assert (step @ metric @ step.mT).item() / 2 == pytest.approx(change, rel=1e-2)


@pytest.mark.parametrize("kind", KINDS)
def test_transforms_of_torch_func(kind):
    kernel = kernel_of(kind).double()
    weights, x, y = (one.detach() for one in variables(kernel, 3, 2))
    expected = torch.autograd.functional.jacobian(lambda w: at(kernel)(w, x, y), weights)
    for transform in (torch.func.jacrev, torch.func.jacfwd):
        torch.testing.assert_close(transform(at(kernel))(weights, x, y), expected)
    both = torch.stack([x, x + 0.1])
    torch.testing.assert_close(torch.vmap(kernel)(both), torch.stack([kernel(one) for one in both]))
    hessian = torch.func.hessian(lambda w: at(kernel)(w, x).square().sum())(weights)
    found = torch.autograd.functional.hessian(lambda w: at(kernel)(w, x).square().sum(), weights)
    torch.testing.assert_close(hessian, found)


@pytest.mark.parametrize("kind", KINDS)
def test_compiled(kind):
    kernel, x, y = kernel_of(kind).double(), samples(4), samples(3, 1)
    compiled = torch.compile(kernel, backend="aot_eager", fullgraph=True)
    for given in ((x,), (x, y)):
        torch.testing.assert_close(compiled(*given), kernel(*given))
        [expected] = torch.autograd.grad(kernel(*given).square().sum(), kernel.variational_)
        [found] = torch.autograd.grad(compiled(*given).square().sum(), kernel.variational_)
        torch.testing.assert_close(found, expected)


# Alignment


def alignment_by_definition(matrix, labels, balanced, centered):
    classes, counts = np.unique(labels, return_counts=True)
    number = {one: i for i, one in enumerate(classes)}
    place = np.array([number[one] for one in labels])
    target = np.where(place[:, None] == place, 1.0, -1 / (len(classes) - 1))
    if balanced:
        target /= np.outer(counts[place], counts[place])
    if centered:
        center = np.eye(len(labels)) - 1 / len(labels)
        matrix, target = center @ matrix @ center, center @ target @ center
    return (matrix * target).sum() / np.linalg.norm(matrix) / np.linalg.norm(target)


LABELS = [[0, 1, 1, 0, 1, 1, 1], ["a", "b", "b", "c", "a", "c", "c"]]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("labels", LABELS, ids=["two", "three"])
@pytest.mark.parametrize("centered", [False, True])
def test_alignment(kind, labels, centered, small_blocks):
    kernel = kernel_of(kind).double()
    weights, x = variables(kernel, len(labels))
    for balanced in (True, False):
        expected = alignment_by_definition(kernel(x).detach().numpy(), labels, balanced, centered)
        found = target_alignment(kernel, x, labels, balanced, centered)
        assert found.item() == pytest.approx(expected, abs=1e-12)
        assert target_alignment(lambda x: kernel.evaluate(x), x, labels, balanced, centered).item() == pytest.approx(
            expected
        )
    function = at(kernel, lambda given, x: target_alignment(given, x, labels, centered=centered))
    slopes = torch.autograd.grad(function(weights, x), (weights, x))
    found = torch.autograd.grad(target_alignment(kernel, x, labels, centered=centered), (*kernel.variational_, x))
    torch.testing.assert_close(found, slopes)


class Aligned(torch.nn.Module):
    """The alignment as a module, whose weights may be replaced."""

    def __init__(self, kernel, labels, centered):
        super().__init__()
        self.kernel, self.labels, self.centered = kernel, labels, centered

    def forward(self, x):
        return target_alignment(self.kernel, x, self.labels, centered=self.centered)


@pytest.mark.parametrize("centered", [False, True])
@pytest.mark.parametrize("most_kept", [1 << 20, 0])
def test_derivatives_of_alignments(centered, most_kept, small_blocks, monkeypatch):
    monkeypatch.setattr(overlaps, "_MOST_KEPT", most_kept)
    monkeypatch.setattr(overlaps, "_LEAST_AT_ONCE", 1)
    kernel = kernel_of().double()
    aligned, given = Aligned(kernel, LABELS[1], centered), variables(kernel, 7)

    def call(weights, x):
        return torch.func.functional_call(aligned, {"kernel.quantum.variational": weights}, (x,))

    assert torch.autograd.gradcheck(call, given)
    if most_kept:
        assert torch.autograd.gradgradcheck(call, given, fast_mode=True)
        weights, x = (one.detach() for one in given)
        torch.testing.assert_close(torch.func.grad(call)(weights, x), torch.func.jacfwd(call)(weights, x))


def test_an_alignment_takes_one_way_back_and_trains(monkeypatch):
    calls = []
    pull_back = NativeRunner.pull_back
    monkeypatch.setattr(NativeRunner, "pull_back", lambda *given: calls.append(1) or pull_back(*given))
    kernel, x = kernel_of(), samples(40, dtype=torch.float32)
    labels = (x.sum(1) > 3).long()
    optimizer = torch.optim.Adam(kernel.parameters(), lr=0.1)
    found = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = -target_alignment(kernel, x, labels)
        loss.backward()
        optimizer.step()
        found.append(-loss.item())
    assert len(calls) == 20
    assert found[-1] > found[0] + 0.05


# Memory


def count_calls(kernel, monkeypatch):
    batches = []
    forward = kernel.quantum.forward
    monkeypatch.setattr(kernel.quantum, "forward", lambda x: batches.append(len(x)) or forward(x))
    return batches


def test_states_are_computed_once(monkeypatch):
    kernel = kernel_of()
    batches = count_calls(kernel, monkeypatch)
    x, y = samples(300, dtype=torch.float32), samples(200, 1, torch.float32)
    for given, expected in (((x,), [300]), ((x, y), [300, 200]), ((x, x), [300])):
        batches.clear()
        kernel(*given)
        with torch.no_grad():
            kernel(*given)
        assert batches == 2 * expected


@pytest.fixture
def small_budget(monkeypatch):
    """States of 256 samples of three qubits are a quarter of it."""
    monkeypatch.setattr("qiskit_torch_module.kernels.kernel._LEAST_FEATURES", 0)
    monkeypatch.setattr("qiskit_torch_module.kernels.kernel.memory_budget", lambda: 4 * 256 * 2**N * 8)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_square", [True, False])
def test_a_file_larger_than_memory(kind, is_square, tmp_path, small_budget, monkeypatch):
    kernel, x, y = kernel_of(kind), samples(600, dtype=torch.float32), samples(300, 1, torch.float32)
    given, shape = ((x,), (600, 600)) if is_square else ((x, y), (600, 300))
    file = np.lib.format.open_memmap(tmp_path / "kernel.npy", "w+", "float32", shape)
    batches = count_calls(kernel, monkeypatch)
    found = kernel(*given, out=file)
    assert not found.requires_grad
    file.flush()
    written = np.load(tmp_path / "kernel.npy")
    np.testing.assert_array_equal(written, found)
    np.testing.assert_allclose(written, kernel(*given).detach(), atol=2e-6)
    if is_square:
        np.testing.assert_array_equal(written, written.T)
    if kind is FidelityKernel:
        assert max(batches[: -len(given)]) <= 64  # the last ones are those of the matrix in memory
    assert kernel.evaluate(*given, out=file) is file


@pytest.mark.parametrize("kind", KINDS)
def test_a_tensor_to_write_to(kind):
    kernel, x = kernel_of(kind), samples(5, dtype=torch.float32)
    out = torch.zeros(5, 10)[:, ::2]
    assert kernel(x, out=out).data_ptr() == out.data_ptr()
    torch.testing.assert_close(out, kernel(x).detach())


# Modules


def test_qubits_that_are_idle_or_measured():
    kernel, x = kernel_of(), samples(5)
    wide = FidelityKernel(feature_map(60), X, W, seed_init=0)
    torch.testing.assert_close(wide(x), kernel(x))
    assert wide.features(x).shape == (5, 2**N)
    measured = feature_map()
    measured.measure_all()
    torch.testing.assert_close(FidelityKernel(measured, X, W, seed_init=0)(x), kernel(x))


@pytest.mark.parametrize("kind", KINDS)
def test_sets_have_names_and_starts(kind):
    kernel = kind(feature_map(), X, [W[:2], W[2:]], variational_params_names=["a", "b"])
    assert [*kernel.state_dict()] == ["quantum.a", "quantum.b"]
    starts = kind(feature_map(), X, [W[:2], W[2:]], variational_params_initial=[[1.0, 2.0], "constant"])
    assert [one.tolist() for one in starts.variational_] == [[1.0, 2.0], [1.0] * 4]
    assert torch.equal(kernel_of(kind).quantum.variational, kernel_of(kind).quantum.variational)
    assert kernel.num_training_parameters == 6
    assert kernel.quantum_module is kernel.quantum


@pytest.mark.parametrize("kind", KINDS)
def test_dtypes(kind):
    kernel, x = kernel_of(kind), samples(4)
    assert kernel(x).dtype == kernel.double()(x.float()).dtype == torch.float64
    assert kernel.float()(x.float(), x[:2].float()).dtype == torch.float32
    assert kernel(x.float(), x[:2]).dtype == torch.float64
    assert kernel(x.numpy()).dtype == kernel(x.tolist()).dtype == kernel.half()(x.half()).dtype == torch.float32
    assert kernel.evaluate(x.float()).dtype == np.float64


@pytest.mark.parametrize("kind", KINDS)
def test_copies_and_files(kind, tmp_path):
    kernel, x = kernel_of(kind).double(), samples(4)
    qtm.save(kernel.quantum, tmp_path / "kernel.qtm")
    options = {"outer": "rbf"} if kind is ProjectedKernel else {}
    others = [pickle.loads(pickle.dumps(kernel)), copy.deepcopy(kernel)]
    others.append(kind.from_module(qtm.load(tmp_path / "kernel.qtm"), **options))
    fresh = kind(feature_map(), X, W).double()
    fresh.load_state_dict(kernel.state_dict())
    for other in (*others, fresh):
        assert torch.equal(other(x), kernel(x))
    constant = FidelityKernel.from_module(qtm.QuantumModule(feature_map().assign_parameters({W: [1] * 6}), X).double())
    assert constant(x.float()).dtype == torch.float64


# Other packages


@pytest.fixture
def two_classes():
    x = samples(60).numpy()
    return x, np.where(x[:, 0] * x[:, 1] > 1, "far", "near")


def test_support_vector_machines(two_classes):
    svm = pytest.importorskip("sklearn.svm")
    x, labels = two_classes
    kernel = kernel_of()
    matrix = kernel.evaluate(x)
    expected = svm.SVC(kernel="precomputed").fit(matrix, labels).decision_function(kernel.evaluate(x[:9], x))
    for given in (kernel, kernel.evaluate, kernel.as_sklearn()):
        fitted = svm.SVC(kernel=given).fit(x, labels)
        np.testing.assert_allclose(fitted.decision_function(x[:9]), expected, atol=1e-9)
        assert fitted.score(x, labels) > 0.8


def test_grid_search(two_classes):
    selection, svm = pytest.importorskip("sklearn.model_selection"), pytest.importorskip("sklearn.svm")
    kernels = [kernel_of(), kernel_of(ProjectedKernel).as_sklearn(), "rbf"]
    search = selection.GridSearchCV(svm.SVC(), {"C": [1, 10], "kernel": kernels}, cv=2).fit(*two_classes)
    assert search.best_score_ > 0.6
    assert not np.isnan(search.cv_results_["mean_test_score"]).any()


@pytest.mark.parametrize("kind", KINDS)
def test_the_rest_of_scikit_learn(kind, two_classes):
    approximation = pytest.importorskip("sklearn.kernel_approximation")
    process, ridge = pytest.importorskip("sklearn.gaussian_process"), pytest.importorskip("sklearn.kernel_ridge")
    x, labels = two_classes
    kernel = kernel_of(kind)
    given, matrix = kernel.as_sklearn(), kernel.evaluate(x)
    features = approximation.Nystroem(given, n_components=60, random_state=0).fit_transform(x)
    np.testing.assert_allclose(features @ features.T, matrix, atol=1e-6)
    few = approximation.Nystroem(given, n_components=20, random_state=0).fit_transform(x)
    assert np.abs(few @ few.T - matrix).mean() < 0.02
    target = (labels == "far") * 1.0
    noise = process.kernels.WhiteKernel(0.1, "fixed")
    fitted = process.GaussianProcessRegressor(given + noise, optimizer=None).fit(x, target)
    expected = ridge.KernelRidge(alpha=0.1, kernel=given).fit(x, target).predict(x)
    np.testing.assert_allclose(fitted.predict(x), expected, atol=1e-9)
    np.testing.assert_allclose(given.diag(x), 1)


@pytest.mark.filterwarnings("ignore")
def test_machines_and_trainers_of_qiskit_machine_learning(two_classes):
    algorithms = pytest.importorskip("qiskit_machine_learning.algorithms")
    trainers = pytest.importorskip("qiskit_machine_learning.kernels.algorithms")
    x, labels = two_classes
    kernel = kernel_of()
    assert algorithms.QSVC(quantum_kernel=kernel).fit(x, labels).score(x, labels) > 0.8
    pegasos = algorithms.PegasosQSVC(quantum_kernel=kernel, num_steps=20, seed=0).fit(x, labels)
    assert len(pegasos.predict(x[:3])) == 3
    before = kernel.quantum.variational.tolist()
    optimizer = pytest.importorskip("qiskit_machine_learning.optimizers").COBYLA(maxiter=8)
    trainer = trainers.QuantumKernelTrainer(kernel, "svc_loss", optimizer, initial_point=before)
    result = trainer.fit(x, labels)
    trained = result.quantum_kernel
    assert [float(value) for value in result.optimal_parameters.values()] == pytest.approx(
        trained.quantum.variational.tolist(), abs=1e-6
    )
    assert trained.quantum.variational.tolist() != before


def test_weights_are_assigned_by_parameter():
    kernel = FidelityKernel(feature_map(), X, [W[:2], W[2:]])
    kernel.assign_training_parameters(range(6))
    kernel.assign_training_parameters({W[3]: 0.5, W[0]: -1.0})
    assert [one.tolist() for one in kernel.variational_] == [[-1.0, 1.0], [2.0, 0.5, 4.0, 5.0]]
    FidelityKernel(feature_map().assign_parameters({W: [0] * 6}), X).assign_training_parameters([])


# Mistakes


def in_the_middle():
    circuit = QuantumCircuit(N, 1)
    circuit.h(0)
    circuit.measure(0, 0)
    return circuit.compose(feature_map())


STRANGER = Parameter("x[0]")
WRONG = {
    "no inputs": (lambda: FidelityKernel(feature_map(), None, [*X, *W]), "encoding_params: expected at least one"),
    "a stranger": (
        lambda: FidelityKernel(feature_map(), [STRANGER, *X], W),
        "parameters not in the circuit: 'x\\[0\\]'",
    ),
    "unused weights": (lambda: FidelityKernel(feature_map(), X), "in neither encoding_params nor variational_params"),
    "a method that estimates": (
        lambda: FidelityKernel(feature_map(), X, W, method=qtm.methods.Shots(10)),
        "method: expected an exact method, got 'shots', which estimates",
    ),
    "no circuit": (lambda: ProjectedKernel("XYZ", X), "feature_map: expected a qiskit QuantumCircuit, got str"),
    "measurements": (lambda: FidelityKernel(in_the_middle(), X, W), "expected measurements at the end only"),
    "an outer kernel": (lambda: kernel_of(ProjectedKernel, outer="rfb"), "outer: expected 'rbf', .* got 'rfb'"),
    "no outer kernel": (lambda: kernel_of(ProjectedKernel, outer=None), "outer: expected .* or a function, got None"),
    "gamma": (lambda: kernel_of(ProjectedKernel, gamma=0), "gamma: expected a finite number above 0, got 0"),
    "degree": (lambda: kernel_of(ProjectedKernel, degree="2"), "degree: expected a finite number above 0, got '2'"),
    "an odd outer kernel": (
        lambda: kernel_of(ProjectedKernel, outer=lambda a, b: a)(samples(3)),
        r"outer: expected a function .* that returns real numbers of shape \(3, 3\), got shape \(3, 12\)",
    ),
    "a single sample": (
        lambda: kernel_of()(samples(1)[0]),
        r"x: expected shape \(N, 3\), .* got \(3,\); give x\[None\]",
    ),
    "another width": (
        lambda: kernel_of()(samples(2), samples(2)[:, :2]),
        r"y: expected shape \(N, 3\), .* got \(2, 2\)",
    ),
    "text": (lambda: kernel_of()("ab"), "x: expected a tensor, an array or lists of real numbers, got str"),
    "complex": (lambda: kernel_of()(samples(2) * 1j), "x: expected .* real numbers, got complex ones"),
    "nan": (
        lambda: kernel_of()(samples(2) * np.nan),
        "^x: expected finite values, got nan in sample 0, column 0; clean",
    ),
    "nan of others": (
        lambda: kernel_of()(samples(2), samples(2) * np.nan),
        "^y: expected finite values, got nan in sample",
    ),
    "nan in parts": (
        lambda: kernel_of()(samples(2) * np.nan, out=np.empty((2, 2))),
        "^x: expected finite values, got nan in sample 0",
    ),
    "shape of out": (
        lambda: kernel_of()(samples(3), out=np.empty((3, 2))),
        r"out: expected shape \(3, 3\) and dtype float64, .* got \(3, 2\)",
    ),
    "dtype of out": (
        lambda: kernel_of()(samples(3), out=np.empty((3, 3), "f4")),
        r"out: expected shape \(3, 3\) and dtype float64, .* got float32",
    ),
    "dtype of a tensor": (
        lambda: kernel_of()(samples(3), out=torch.empty(3, 3, dtype=torch.int64)),
        "out: expected .* dtype float64 on cpu, .* got torch.int64 on cpu",
    ),
    "dtype of out of evaluate": (
        lambda: kernel_of().evaluate(samples(3), out=np.empty((3, 3), "i4")),
        "out: expected .* got int32",
    ),
    "kind of out": (
        lambda: kernel_of()(samples(3), out="kernel.npy"),
        "out: expected .* an array or a tensor, got str",
    ),
    "read-only": (
        lambda: kernel_of()(samples(3), out=np.frombuffer(bytes(72)).reshape(3, 3)),
        "out: expected .* an array that can be written to",
    ),
    "out with a graph": (
        lambda: kernel_of()(samples(3), out=torch.empty(3, 3, dtype=torch.float64, requires_grad=True)),
        "out: expected .* without requires_grad",
    ),
    "gradients through out": (
        lambda: kernel_of()(samples(3).requires_grad_(), out=np.empty((3, 3))),
        "out: expected samples without requires_grad",
    ),
    "one class": (
        lambda: target_alignment(kernel_of(), samples(3), ["a"] * 3),
        "labels: expected samples of at least two classes, got one, 'a'",
    ),
    "no class": (lambda: target_alignment(kernel_of(), samples(0), []), "labels: .* two classes, got none"),
    "few labels": (
        lambda: target_alignment(kernel_of(), samples(3), [0, 1]),
        "labels: expected one for each of 3 samples, got 2",
    ),
    "labels of another shape": (
        lambda: target_alignment(kernel_of(), samples(2), [[0], [1]]),
        r"labels: expected shape \(N,\), .* got \(2, 1\)",
    ),
    "labels between classes": (
        lambda: target_alignment(kernel_of(), samples(3), [0.0, 0.25, 1.0]),
        "labels: expected classes, got fractions such as 0.25; give the class of each sample",
    ),
    "complex labels": (
        lambda: target_alignment(kernel_of(), samples(3), [0, 1j, 1.0]),
        "labels: expected classes, as whole numbers or strings, got complex numbers",
    ),
    "an output that is one number": (
        lambda: kernel_of()(samples(3), out=torch.zeros(()).expand(3, 3)),
        r"out: expected shape \(3, 3\) .* memory of its own for every entry, .* `expand`",
    ),
    "an output of one row": (
        lambda: kernel_of()(samples(3), out=torch.zeros(3).expand(3, 3)),
        "memory of its own for every entry",
    ),
    "an output whose rows overlap": (
        lambda: kernel_of()(samples(3), out=torch.zeros(5).unfold(0, 3, 1)),
        "memory of its own for every entry",
    ),
    "an array of one column": (
        lambda: kernel_of().evaluate(samples(3), out=np.lib.stride_tricks.as_strided(np.zeros(9), (3, 3), (8, 0))),
        "memory of its own for every entry",
    ),
    "one entry after the other": (
        lambda: kernel_of()(samples(1)[0].numpy(), samples(1)[0].numpy()),
        r"where scikit-learn compares samples pair by pair, give kernel.as_sklearn\(\)",
    ),
    "labels that are no class": (
        lambda: target_alignment(kernel_of(), samples(2), [0.0, np.nan]),
        "labels: expected classes, got values that are not finite",
    ),
    "no kernel": (
        lambda: target_alignment(FidelityKernel, samples(2), [0, 1]),
        "kernel: expected a kernel or a function",
    ),
    "a matrix": (
        lambda: target_alignment(torch.eye(2), samples(2), [0, 1]),
        "got Tensor; give the kernel itself, or lambda samples: matrix",
    ),
    "no matrix": (
        lambda: target_alignment(lambda x: x, samples(2), [0, 1]),
        r"kernel: expected a matrix \(N, N\) .* got \(2, 3\)",
    ),
    "a constant kernel": (
        lambda: target_alignment(kernel_of(), samples(1).repeat(4, 1), [0, 1, 0, 1], centered=True),
        "kernel: expected one that tells some samples from others",
    ),
    "a switch": (lambda: target_alignment(kernel_of(), samples(2), [0, 1], "yes"), "balanced: expected True or False"),
    "few weights": (
        lambda: kernel_of().assign_training_parameters([1.0]),
        "parameter_values: expected 6 values, .* got 1",
    ),
    "odd weights": (lambda: kernel_of().assign_training_parameters([np.inf] * 6), "parameter_values: expected finite"),
    "a weight that is none": (
        lambda: kernel_of().assign_training_parameters({X[1]: 1.0}),
        "parameter_values: expected parameters among variational_params, got x\\[1\\]",
    ),
    "no module": (lambda: FidelityKernel.from_module(feature_map()), "module: expected a QuantumModule, got"),
}


@pytest.mark.parametrize("case", WRONG)
def test_mistakes_are_explained(case):
    call, message = WRONG[case]
    with pytest.raises((TypeError, ValueError), match=message):
        call()


def test_a_matrix_larger_than_memory_is_refused(own_budget):
    own_budget(1 << 26)
    message = (
        r"^x, y: the 10,000 x 5,000 numbers of a kernel matrix take 191 MiB, more than the memory budget of 64 "
        r"MiB; give a file .* out=.*'float32', \(10000, 5000\)\), or fewer samples, or raise it with set_memory_budget$"
    )
    with pytest.raises(ValueError, match=message):
        kernel_of()(torch.zeros(10_000, N), torch.zeros(5_000, N))
