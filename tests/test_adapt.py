"""Slopes along pools of operators against commutators and differences, and circuits that grow by them."""

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.circuit.library import PauliEvolutionGate
from qiskit.quantum_info import SparsePauliOp, Statevector, random_hermitian

import qiskit_torch_module as qtm
from qiskit_torch_module import optim

pytestmark = pytest.mark.usefixtures("float64")

HAMILTONIAN = SparsePauliOp(
    ["ZZII", "IZZI", "IIZZ", "XIII", "IXII", "IIXI", "IIIX", "IIII"], [-1, -1, -1, *[0.7] * 4, 2]
)
POOL = [
    "YZII",
    SparsePauliOp(["XYII", "YXII", "IIYZ"], [0.5, -0.5, 2.0]),
    {"IIII": 1.0, "IYIX": -1.5},
    "ZZZZ",
    SparsePauliOp.from_operator(random_hermitian(16, seed=3)).simplify(),
]


def ansatz(measured=False):
    x, p = ParameterVector("x", 1), ParameterVector("p", 6)
    circuit = QuantumCircuit(4)
    circuit.x(1)
    for qubit in range(4):
        circuit.ry(p[qubit], qubit)
        circuit.rz(0.3 * qubit + x[0], qubit)
    circuit.cx(0, 1)
    circuit.crx(p[4] * x[0], 2, 3)
    circuit.rzz(p[5], 1, 3)
    if measured:
        circuit.measure_all()
    return circuit, list(x), [list(p[:2]), list(p[2:])]


def model_of(**options):
    return qtm.QuantumModule(*ansatz(), seed_init=2, **{"observables": [HAMILTONIAN], **options})


def state_of(model, row):
    order = [*model.encoding_parameters, *(p for one in model.variational_parameters for p in one)]
    weights = torch.cat([*model.parameters()]).tolist()
    return Statevector(model.circuit.assign_parameters(dict(zip(order, [*row.tolist(), *weights], strict=True))))


def matrix_of(operator):
    return (
        SparsePauliOp.from_list(list(operator.items()) if isinstance(operator, dict) else [(operator, 1.0)]).to_matrix()
        if isinstance(operator, (dict, str))
        else operator.to_matrix()
    )


def test_slopes_are_those_of_commutators():
    model, rows, hamiltonian = model_of(), torch.tensor([[0.4], [-1.1]]), HAMILTONIAN.to_matrix()
    slopes = optim.pool_gradients(model, POOL, rows)
    for row, found in zip(rows, slopes, strict=True):
        psi = state_of(model, row).data
        commutators = [1j * (matrix_of(one) @ hamiltonian - hamiltonian @ matrix_of(one)) for one in POOL]
        expected = [(psi.conj() @ one @ psi).real for one in commutators]
        np.testing.assert_allclose(found, expected, atol=1e-10)
    assert optim.pool_gradients(model, POOL, rows[0]).shape == (len(POOL),)
    assert optim.pool_gradients(model, POOL, rows[:0]).shape == (0, len(POOL))
    torch.testing.assert_close(
        optim.pool_gradients(model.float(), POOL, rows.float()), slopes.float(), atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("number", range(len(POOL)))
def test_slopes_are_those_of_grown_models(number):
    """The derivative by the angle of the gate that `adapt` adds, also where terms do not commute."""
    model, row = model_of(), torch.tensor([0.4])
    grown = optim.adapt(model, [POOL[number]], row)
    assert grown.chosen == 0
    torch.testing.assert_close(grown.model(row), model(row))
    (slope,) = torch.autograd.grad(grown.model(row).sum(), grown.model.adapt)
    torch.testing.assert_close(slope, grown.gradients, atol=1e-10, rtol=0)


def test_the_steepest_is_taken():
    model, row = model_of(), torch.tensor([0.4])
    model.variational_0.requires_grad_(False)
    first = optim.adapt(model, POOL, row)
    slopes = optim.pool_gradients(model, POOL, row)
    assert first.chosen == slopes.abs().argmax()
    assert first.steepest == slopes.abs().max()
    second = optim.adapt(first.model, POOL, row)
    assert [name for name, _ in second.model.named_parameters()] == ["variational_0", "variational_1", "adapt"]
    assert len(second.model.adapt) == 2
    assert not second.model.variational_0.requires_grad
    torch.testing.assert_close(second.model.variational_1, model.variational_1)
    gates = [one.operation for one in second.model.circuit.data[-2:]]
    assert all(isinstance(gate, PauliEvolutionGate) for gate in gates)
    assert len(model.variational_) == 2  # left as it was


def test_batches_count_by_their_mean():
    model, rows = model_of(), torch.tensor([[0.4], [-1.1]])
    torch.testing.assert_close(
        optim.adapt(model, POOL, rows).gradients, optim.pool_gradients(model, POOL, rows).mean(0)
    )
    with pytest.raises(ValueError, match="input: expected a sample"):
        optim.adapt(model, POOL, rows[:0])


def test_models_keep_what_they_are():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    model = (
        qtm.QuantumModule(*ansatz(measured=True), observables=HAMILTONIAN, method="pytorch", seed_init=0).float().eval()
    )
    grown = optim.adapt(model, POOL, [0.1]).model
    assert torch.equal(torch.get_rng_state(), before)
    assert (grown.method.name, grown.adapt.dtype, grown.training) == ("pytorch", torch.float32, False)
    assert grown.circuit.num_clbits == 4
    torch.testing.assert_close(grown([0.1]), model([0.1]))


def test_from_a_circuit_without_parameters():
    """A small ADAPT-VQE finds the ground state of a chain."""
    circuit = QuantumCircuit(4)
    circuit.h(range(4))
    model = qtm.QuantumModule(circuit, None, None, observables=[HAMILTONIAN])
    pool = ["YZII", "ZYII", "IYZI", "IZYI", "IIYZ", "IIZY", "YIZI", "ZIYI", "IYIZ", "IZIY", "YIIZ", "ZIIY"]
    for _ in range(8):
        grown = optim.adapt(model, pool)
        if grown.steepest < 1e-6:
            break
        model = grown.model
        optim.minimize(model, lambda model: model().sum(), method="BFGS")
    lowest = np.linalg.eigvalsh(HAMILTONIAN.to_matrix())[0]
    assert model().item() == pytest.approx(lowest, abs=2e-2)


@pytest.mark.parametrize(
    ("model", "pool", "error", "match"),
    [
        (lambda: torch.nn.Linear(1, 1), POOL, TypeError, "expected a QuantumModule, got Linear"),
        (lambda: model_of(observables=["ZIII", "IZII"]), POOL, ValueError, "model: expected one observable"),
        (lambda: model_of(observables=qtm.outputs.State()), POOL, ValueError, "model: expected one observable"),
        (lambda: model_of(observables=qtm.outputs.Trainable(["ZIII"])), POOL, ValueError, "expected one observable"),
        (model_of, [], ValueError, "pool: expected a list of operators"),
        (model_of, POOL[1], ValueError, "pool: expected a list of operators"),
        (model_of, ["X"], ValueError, r"pool\[0\]: expected \d+ qubits"),
        (model_of, ["ZZ"], ValueError, "4"),
        (model_of, [3], (TypeError, ValueError), r"pool\[0\]"),
    ],
)
@pytest.mark.parametrize("function", [optim.adapt, optim.pool_gradients])
def test_bad_arguments(function, model, pool, error, match):
    with pytest.raises(error, match=match):
        function(model(), pool, torch.tensor([0.1]))
