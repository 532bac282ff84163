"""The geometry of states against differences of states, Qiskit's algorithms and the Hessian of the fidelity."""

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.circuit.library import HamiltonianGate, UnitaryGate
from qiskit.quantum_info import random_hermitian, random_unitary

import qiskit_torch_module as qtm
import reference
from circuits_zoo import cases, encoded, qaoa, reuploading
from qiskit_torch_module import geometry, methods

pytestmark = pytest.mark.usefixtures("float64")


def matrices():
    """With a dense gate, so that it runs step by step, and expressions of inputs and weights."""
    x, p = ParameterVector("x", 2), ParameterVector("p", 4)
    circuit = QuantumCircuit(3, global_phase=p[0] * p[1])
    circuit.rx(p[0], 0)
    circuit.ry(p[1] * x[0], 1)
    circuit.append(UnitaryGate(random_unitary(8, seed=1)), [0, 1, 2])
    circuit.p(p[3].sin() * x[1], 2)
    circuit.cry(p[3] * p[3], 1, 2)
    circuit.u(p[0], p[1], p[2], 0)
    return circuit, list(x), [list(p[:3]), list(p[3:])]


def plain(case):
    return case.circuit, case.encoding, case.variational


CIRCUITS = {name: plain(case) for name, case in cases(3).items()} | {"reuploading": plain(reuploading(3, 1))}
CIRCUITS["matrices"] = matrices()


def idle():
    """Qubits that no gate acts on, and one that is only flipped."""
    p = ParameterVector("p", 2)
    circuit = QuantumCircuit(5)
    circuit.rx(p[0], 0)
    circuit.cx(0, 1)
    circuit.x(4)
    circuit.ry(p[1], 0)
    return circuit, [], [list(p)]


def amplitudes():
    """Amplitudes that are computed from inputs and weights together, and from weights alone."""
    x, p = ParameterVector("x", 2), ParameterVector("p", 5)
    circuit = encoded(2, [x[0], p[0], x[1] * p[1], p[2]])
    other = encoded(1, [p[3], p[4]])
    whole = QuantumCircuit(3)
    whole.compose(circuit, [0, 1], inplace=True)
    whole.compose(other, [2], inplace=True)
    whole.ry(p[0], 0)
    whole.crx(p[3], 1, 2)
    return whole, list(x), [list(p)]


def exponentials():
    """Of a matrix, whose time varies."""
    x, p = ParameterVector("x", 1), ParameterVector("p", 3)
    hermitian = random_hermitian(4, seed=2).data
    circuit = QuantumCircuit(3)
    circuit.ry(p[0], 0)
    circuit.append(HamiltonianGate(hermitian, p[1] * x[0]), [2, 0])
    circuit.rx(p[2], 1)
    circuit.append(HamiltonianGate(hermitian, p[1] + p[0]), [0, 1])
    return circuit, list(x), [list(p)]


def still():
    """Weights turn the phase alone."""
    p = ParameterVector("p", 2)
    circuit = QuantumCircuit(2, global_phase=p[0] - p[1])
    circuit.h(0)
    circuit.cx(0, 1)
    return circuit, [], [list(p)]


CIRCUITS["idle"] = idle()
CIRCUITS["still"] = still()
CIRCUITS["exponentials"] = exponentials()
CIRCUITS["amplitudes"] = amplitudes()
# Two angles on every edge and qubit: each is a direction.
CIRCUITS["few"] = plain(qaoa(4, 1))


def model_of(name, **options):
    circuit, encoding, variational = CIRCUITS[name]
    return qtm.QuantumModule(circuit, encoding or None, variational, seed_init=1, **options)


def rows_of(model, count=3):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(count, model.input_size, generator=generator, dtype=torch.float64)


def states_by(model, row):
    """The state as a function of all weights: of a dense simulator, or our own where Qiskit has only numbers."""
    if model.circuit.count_ops().get("ParameterizedInitialize"):
        circuit, sets = model.circuit, [p for one in model.variational_parameters for p in one]
        states = qtm.QuantumModule(circuit, model.encoding_parameters, sets, observables=qtm.outputs.State())

        def state(at):
            with torch.no_grad():
                return torch.func.functional_call(
                    states, {"variational": torch.tensor(at)}, (torch.tensor(row),)
                ).numpy()

        return state
    order = [*model.encoding_parameters, *(p for one in model.variational_parameters for p in one)]
    circuit = model.circuit
    return lambda at: reference.state(reference.assigned(circuit, dict(zip(order, [*row, *at], strict=True))))


def by_differences(model, rows):
    """The tensor of each sample, from states of a dense simulator at weights nearby."""
    weights = torch.cat([*model.parameters()]).detach().numpy()
    found = []
    for row in rows.tolist():
        state = states_by(model, row)
        slopes, psi = reference.central_differences(state, weights, 0.04, 7), state(weights)
        along = slopes.conj() @ psi
        found.append(slopes.conj() @ slopes.T - np.outer(along, along.conj()))
    return torch.from_numpy(np.stack(found))


def of_structure(model, structure):
    """Which entries there are."""
    sizes = [len(one) for one in model.parameters()]
    if structure == "diagonal":
        return torch.eye(sum(sizes))
    return torch.block_diag(*(torch.ones(n, n) for n in ([sum(sizes)] if structure == "full" else sizes)))


@pytest.mark.parametrize("name", CIRCUITS)
def test_tensor_is_that_of_differences(name):
    model = model_of(name)
    rows = rows_of(model, 2)
    expected = by_differences(model, rows)
    for structure in ("full", "block", "diagonal"):
        entries = expected * of_structure(model, structure)
        found = geometry.quantum_geometric_tensor(model, rows, structure, "none")
        torch.testing.assert_close(found, entries, atol=1e-9, rtol=0)
        mean = geometry.quantum_geometric_tensor(model, rows, structure)
        torch.testing.assert_close(mean, entries.mean(0), atol=1e-9, rtol=0)
        fisher = geometry.fisher_information(model, rows, structure, "none")
        torch.testing.assert_close(fisher, 4 * entries.real, atol=1e-8, rtol=0)


@pytest.mark.parametrize("name", CIRCUITS)
def test_single_precision(name):
    model = model_of(name)
    rows = rows_of(model)
    expected = geometry.quantum_geometric_tensor(model, rows)
    found = geometry.quantum_geometric_tensor(model.float(), rows.float())
    assert found.dtype is torch.complex64
    torch.testing.assert_close(found, expected.to(torch.complex64), atol=1e-5, rtol=1e-5)
    assert geometry.fisher_information(model, rows.float()).dtype is torch.float32


@pytest.mark.parametrize("name", CIRCUITS)
def test_every_exact_method(name):
    found = [
        geometry.quantum_geometric_tensor(m, rows_of(m)) for m in (model_of(name), model_of(name, method="pytorch"))
    ]
    torch.testing.assert_close(*found, atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", ["reuploading", "fixed_and_free", "matrices"])
def test_derivatives_of_the_engine_are_those_of_pytorch(name, monkeypatch):
    """By shifts, along directions, and whichever is faster."""
    model = model_of(name)
    rows = rows_of(model)
    expected = geometry.quantum_geometric_tensor(model, rows, reduction="none")
    for cost in (0.0, np.inf):
        monkeypatch.setattr("qiskit_torch_module._differentiation.tangents._COST_OF_DIRECTION", cost)
        found = geometry.quantum_geometric_tensor(model, rows, reduction="none")
        torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", CIRCUITS)
def test_products_in_one_call_are_those_of_derivatives(name, monkeypatch):
    """Where no state leaves the engine, and where derivatives do."""
    model = model_of(name)
    rows = rows_of(model)
    functions = [geometry.quantum_geometric_tensor, geometry.fisher_information]
    found = []
    for least in (2**40, 0):
        monkeypatch.setattr("qiskit_torch_module._differentiation.gram._LEAST_AMPLITUDES", least)
        found.append([f(model, rows, structure, "none") for f in functions for structure in ("full", "block")])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=0)


def test_metric_is_the_hessian_of_the_fidelity():
    model = model_of("reuploading", observables=qtm.outputs.State())
    row = rows_of(model, 1)[0]
    names = [name for name, _ in model.named_parameters()]
    sizes = [len(one) for one in model.parameters()]
    weights = torch.cat([*model.parameters()]).detach()
    start = model(row).detach()

    def fidelity(at):
        sets = dict(zip(names, at.split(sizes), strict=True))
        return torch.vdot(start, torch.func.functional_call(model, sets, (row,))).abs().square()

    hessian = torch.autograd.functional.hessian(fidelity, weights)
    torch.testing.assert_close(geometry.quantum_geometric_tensor(model, row).real, -hessian / 2, atol=1e-9, rtol=0)


def test_tensor_is_that_of_qiskit_algorithms():
    gradients = pytest.importorskip("qiskit_algorithms.gradients")
    p = ParameterVector("p", 9)
    circuit = QuantumCircuit(3)
    for layer in range(3):
        for qubit in range(3):
            [circuit.rx, circuit.ry, circuit.rz][(layer + qubit) % 3](p[3 * layer + qubit], qubit)
        circuit.cx(0, 1)
        circuit.cx(1, 2)
    model = qtm.QuantumModule(circuit, None, p, seed_init=3)
    values = model.variational.detach().numpy()
    expected = gradients.ReverseQGT().run([circuit], [values]).result().qgts[0]
    torch.testing.assert_close(geometry.quantum_geometric_tensor(model), torch.from_numpy(expected), atol=1e-9, rtol=0)


def test_shapes():
    model = model_of("reuploading")
    rows, count = rows_of(model, 6), model.num_trainable_parameters
    tensor = geometry.quantum_geometric_tensor
    assert tensor(model, rows[0], reduction="none").shape == (count, count)
    assert tensor(model, rows.reshape(2, 3, -1), reduction="none").shape == (2, 3, count, count)
    assert tensor(model, rows.reshape(2, 3, -1)).shape == (count, count)
    assert tensor(model, rows[:0], reduction="none").shape == (0, count, count)
    assert not tensor(model, rows).requires_grad
    assert tensor(model, rows.tolist()).shape == (count, count)


def test_sets_may_be_chosen():
    model = model_of("reuploading")
    rows = rows_of(model)
    whole = geometry.quantum_geometric_tensor(model, rows)
    first = len(model.variational_0)
    model.variational_0.requires_grad_(False)  # changes nothing
    tensor = geometry.quantum_geometric_tensor
    torch.testing.assert_close(tensor(model, rows, sets="variational_1"), whole[first:, first:])
    order = [*range(first, len(whole)), *range(first)]
    torch.testing.assert_close(tensor(model, rows, sets=["variational_1", "variational_0"]), whole[order][:, order])
    with pytest.raises(ValueError, match="sets: expected some of \\['variational_0', 'variational_1'\\], each once"):
        tensor(model, rows, sets=["variational_2"])


def test_memory_is_bounded(monkeypatch):
    """Parts of the weights, one after the other, in less memory than all of them take."""
    case = reuploading(6, 1)
    model = qtm.QuantumModule(case.circuit, case.encoding, case.variational, seed_init=0)
    rows = rows_of(model, 2)
    expected = {s: geometry.quantum_geometric_tensor(model, rows, s, "none") for s in ("full", "block", "diagonal")}
    monkeypatch.setattr("qiskit_torch_module._differentiation.metric._LEAST_LARGE", 0)
    monkeypatch.setattr("qiskit_torch_module._differentiation.metric.memory_budget", lambda: 24 * 16 * 2**6)
    for structure, tensor in expected.items():
        found = geometry.quantum_geometric_tensor(model, rows, structure, "none")
        torch.testing.assert_close(found, tensor, atol=1e-12, rtol=0)
    monkeypatch.setattr("qiskit_torch_module._differentiation.metric.memory_budget", lambda: 16 * 2**6)
    with pytest.raises(ValueError, match="takes at least .* GiB, more than the memory budget of .* GiB; use fewer"):
        geometry.quantum_geometric_tensor(model, rows)


class Guess(methods.Method):
    """Estimates nothing."""

    name, is_exact = "guess", False

    def cost(self, program, task):
        return methods.Cost(1.0)

    def prepare(self, program):
        raise AssertionError("it is asked")


class Sums(methods.Method):
    """No states."""

    name = "sums"

    def cost(self, program, task):
        return methods.Cost(1.0) if program.expectation_values else methods.Refusal("it reads expectation values")

    def prepare(self, program):
        raise AssertionError("it is asked")


HYBRID = qtm.HybridModule(*CIRCUITS["reuploading"], 3, 1)
FIXED = qtm.QuantumModule(QuantumCircuit(1), None, None)


@pytest.mark.parametrize(
    ("model", "arguments", "error", "match"),
    [
        (lambda: HYBRID, {}, TypeError, "got a HybridModule; give model.quantum_module"),
        (lambda: torch.nn.Linear(1, 1), {}, TypeError, "expected a QuantumModule, got Linear"),
        (lambda: FIXED, {}, ValueError, "expected variational parameters, got none"),
        (lambda: model_of("idle", method=Guess()), {}, ValueError, "'guess', which estimates; .* method='auto'"),
        (lambda: model_of("idle", method=Sums()), {}, ValueError, "it reads expectation values; make the model"),
        (lambda: model_of("idle"), {"structure": "blocks"}, ValueError, "structure: expected one of 'full', 'block'"),
        (lambda: model_of("idle"), {"reduction": "sum"}, ValueError, "reduction: expected one of 'mean', 'none'"),
        (lambda: model_of("qaoa"), {}, ValueError, "input: expected shape"),
        (lambda: model_of("qaoa"), {"input": torch.zeros(0, 3)}, ValueError, "a sample to take the mean of"),
        (lambda: model_of("qaoa"), {"input": torch.full((1, 3), torch.nan)}, ValueError, "finite"),
    ],
)
@pytest.mark.parametrize("function", [geometry.quantum_geometric_tensor, geometry.fisher_information])
def test_bad_arguments(function, model, arguments, error, match):
    with pytest.raises(error, match=match):
        function(model(), **arguments)


@pytest.mark.parametrize("name", CIRCUITS)
@pytest.mark.parametrize("method", ["auto", "pytorch"])
def test_products_need_no_matrix(name, method):
    model = model_of(name, method=method)
    rows = rows_of(model)
    generator = torch.Generator().manual_seed(1)
    vectors = torch.randn(model.num_trainable_parameters, 3, generator=generator)
    for matrix, operator in [
        (geometry.quantum_geometric_tensor(model, rows), geometry.tensor_operator(model, rows)),
        (geometry.fisher_information(model, rows), geometry.fisher_operator(model, rows)),
    ]:
        assert (operator.shape, operator.dtype) == (matrix.shape, matrix.dtype)
        real = vectors.to(matrix.dtype)
        torch.testing.assert_close(operator(vectors), matrix @ real, atol=1e-9, rtol=0)
        torch.testing.assert_close(operator @ vectors[:, 0], matrix @ real[:, 0], atol=1e-9, rtol=0)
        scipy = operator.linear_operator() @ vectors.numpy()
        torch.testing.assert_close(torch.from_numpy(scipy), matrix @ real, atol=1e-9, rtol=0)
        if matrix.is_complex():
            both = torch.complex(vectors, vectors.flip(1))
            torch.testing.assert_close(operator(both), matrix @ both, atol=1e-9, rtol=0)


def test_idle_qubits_take_no_memory():
    p = ParameterVector("p", 2)
    circuit = QuantumCircuit(100)
    circuit.rx(p[0], 3)
    circuit.ry(p[1], 70)
    model = qtm.QuantumModule(circuit, None, p, observables=[{"I" * 99 + "Z": 1.0}], seed_init=0)
    torch.testing.assert_close(geometry.quantum_geometric_tensor(model), torch.eye(2, dtype=torch.complex128) / 4)


@pytest.mark.filterwarnings("ignore")  # PennyLane's own
def test_metric_is_that_of_pennylane():
    """Whole, and in blocks: those of a layer of RX."""
    qml = pytest.importorskip("pennylane")
    p = ParameterVector("p", 4)
    circuit = QuantumCircuit(2)
    circuit.rx(p[0], 0)
    circuit.rx(p[1], 1)
    circuit.cx(0, 1)
    circuit.ry(p[2], 0)
    circuit.ry(p[3], 1)
    model = qtm.QuantumModule(circuit, None, [p[:2], p[2:]], seed_init=5)

    @qml.qnode(qml.device("default.qubit", wires=3))
    def other(weights):
        qml.RX(weights[0], wires=0)
        qml.RX(weights[1], wires=1)
        qml.CNOT(wires=[0, 1])
        qml.RY(weights[2], wires=0)
        qml.RY(weights[3], wires=1)
        return qml.expval(qml.PauliZ(0))

    weights = qml.numpy.array(torch.cat([*model.parameters()]).detach().numpy(), requires_grad=True)
    for structure, approximation in [("full", None), ("block", "block-diag"), ("diagonal", "diag")]:
        expected = torch.from_numpy(np.asarray(qml.metric_tensor(other, approx=approximation)(weights)))
        found = geometry.quantum_geometric_tensor(model, structure=structure).real
        torch.testing.assert_close(found, expected, atol=1e-9, rtol=0)
