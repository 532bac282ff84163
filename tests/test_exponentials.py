"""exact_evolution: a PauliEvolutionGate as the exponential of its whole sum."""

import numpy as np
import pytest
import scipy.linalg
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.circuit.library import PauliEvolutionGate
from qiskit.quantum_info import Operator, SparsePauliOp
from qiskit.synthesis import QDrift, SuzukiTrotter

import reference
from qiskit_torch_module import FastEstimator, FastReverseEstimatorGradient
from qiskit_torch_module._reading import compat
from qiskit_torch_module._reading.compat import UnitaryGate
from qiskit_torch_module._reading.exponentials import MAX_QUBITS, exact_evolutions, exponential

pytestmark = pytest.mark.filterwarnings("ignore")  # those of Qiskit, about how it exponentiates matrices

T, W = Parameter("t"), Parameter("w")
SUM = SparsePauliOp(["XX", "ZI", "IY", "II"], [1.0, 0.7, 0.5, 0.3])
COMMUTING = SparsePauliOp(["XX", "ZZ", "IZ"], [1.0, 0.7, 0.0]).simplify()
OBSERVABLES = [SparsePauliOp("ZZI"), SparsePauliOp("XIY"), SparsePauliOp(["IZX", "YYZ"], [0.4, 1.5])]


def exact(operator, time):
    return scipy.linalg.expm(-1j * time * operator.to_matrix())


def composite(time):
    inner = QuantumCircuit(2, name="inner")
    inner.h(1)
    inner.append(PauliEvolutionGate(SUM, 2 * time), [1, 0])
    outer = QuantumCircuit(2, name="outer")
    outer.append(inner.to_gate(), [0, 1])
    return outer.to_gate()


def composite_matrix(time):
    circuit = QuantumCircuit(2)
    circuit.h(1)
    circuit.append(UnitaryGate(exact(SUM, 2 * time)), [1, 0])
    return Operator(circuit).data


GATES = {
    "sum": (lambda t: PauliEvolutionGate(SUM, t), lambda t: exact(SUM, t)),
    "expression as time": (lambda t: PauliEvolutionGate(SUM, 0.5 * t * t), lambda t: exact(SUM, 0.5 * t * t)),
    "list of sums": (lambda t: PauliEvolutionGate([SUM, COMMUTING], t), lambda t: exact(SUM + COMMUTING, t)),
    "commuting": (lambda t: PauliEvolutionGate(COMMUTING, t), lambda t: exact(COMMUTING, t)),
    "another formula": (
        lambda t: PauliEvolutionGate(SUM, t, synthesis=SuzukiTrotter(reps=2)),
        lambda t: exact(SUM, t),
    ),
    "a random formula": (lambda t: PauliEvolutionGate(COMMUTING, t, synthesis=QDrift()), lambda t: exact(COMMUTING, t)),
    "composite": (composite, composite_matrix),
    "number as time": (lambda _: PauliEvolutionGate(SUM, 0.8), lambda _: exact(SUM, 0.8)),
}


def circuit_with(gate, qubits):
    circuit = QuantumCircuit(3, global_phase=0.2)
    circuit.h(0)
    circuit.ry(W, 1)
    circuit.cx(0, 2)
    circuit.append(gate, qubits)
    circuit.rx(W, 2)
    return circuit


def values_at(matrix, qubits, times):
    """Of <OBSERVABLES> with the matrix of each time in place of the gate, at w = 0.6."""
    found = []
    for time in times:
        circuit = circuit_with(UnitaryGate(matrix(time)), qubits).assign_parameters({W: 0.6})
        found.append(reference.expectation_values(circuit, OBSERVABLES))
    return np.array(found)


@pytest.mark.parametrize("name", GATES)
def test_values_and_gradients(name):
    gate, matrix = GATES[name]
    circuit, times = circuit_with(gate(T), [2, 0]), [0.3, -1.1]
    mapping = {W: 0.6, T: times} if T in circuit.parameters else {W: [0.6, 0.6]}
    found = FastEstimator(exact_evolution=True).expectation_values(circuit, OBSERVABLES, mapping)
    np.testing.assert_allclose(found, values_at(matrix, [2, 0], times), atol=1e-10)
    if T in circuit.parameters:
        gradient = FastReverseEstimatorGradient(exact_evolution=True).jacobian(circuit, OBSERVABLES, mapping, [T])
        for row, time in zip(gradient[:, :, 0], times, strict=True):
            [slope] = reference.central_differences(lambda at: values_at(matrix, [2, 0], at)[0], np.array([time]))
            np.testing.assert_allclose(row, slope, atol=1e-9)


@pytest.mark.parametrize("state", [0, 1])
def test_controlled(state):
    gate = PauliEvolutionGate(SUM, T).control(1, ctrl_state=state)
    circuit = circuit_with(gate, [1, 2, 0])

    def matrix(time):
        blocks = [np.eye(4), np.eye(4)]
        blocks[state] = exact(SUM, time)
        return sum(np.kron(block, np.diag(np.eye(2)[i])) for i, block in enumerate(blocks))

    found = FastEstimator(exact_evolution=True).expectation_values(circuit, OBSERVABLES, {W: 0.6, T: [0.7]})
    np.testing.assert_allclose(found, values_at(matrix, [1, 2, 0], [0.7]), atol=1e-10)


def test_many_qubits():
    operator = SparsePauliOp(["XXIIZ", "ZIXXI", "IYZIY", "IIIZX"], [0.8, -0.4, 0.6, 1.1])
    circuit = QuantumCircuit(5)
    circuit.h(range(5))
    circuit.append(PauliEvolutionGate(operator, T), [3, 1, 0, 4, 2])
    gradient = FastReverseEstimatorGradient(exact_evolution=True).jacobian(circuit, "ZZYXI", [0.4])

    def value(at):
        bound = QuantumCircuit(5)
        bound.h(range(5))
        bound.append(UnitaryGate(exact(operator, at[0])), [3, 1, 0, 4, 2])
        return reference.expectation_values(bound, [SparsePauliOp("ZZYXI")])

    found = FastEstimator(exact_evolution=True).expectation_values(circuit, "ZZYXI", [0.4])
    np.testing.assert_allclose(found[0], value([0.4]), atol=1e-10)
    np.testing.assert_allclose(gradient[0], reference.central_differences(value, np.array([0.4])), atol=1e-9)


def test_sums_that_commute_stay_products_of_rotations():
    with exact_evolutions(True):
        assert exponential(PauliEvolutionGate(COMMUTING, T), [0, 1]) is None
        assert exponential(PauliEvolutionGate(SUM, T), [0, 1]) is not None
    assert exponential(PauliEvolutionGate(SUM, T), [0, 1]) is None


def test_by_default_the_product_formula():
    circuit = circuit_with(PauliEvolutionGate(SUM, T), [0, 1])
    values = {W: 0.6, T: [0.9]}
    found = FastEstimator().expectation_values(circuit, OBSERVABLES, values)
    formula = FastEstimator().expectation_values(circuit.decompose("PauliEvolution"), OBSERVABLES, values)
    np.testing.assert_allclose(found, formula, atol=1e-12)
    exactly = FastEstimator(exact_evolution=True).expectation_values(circuit, OBSERVABLES, values)
    assert np.abs(found - exactly).max() > 0.01


def test_too_many_qubits_are_refused():
    size = MAX_QUBITS + 1
    circuit = QuantumCircuit(size)
    circuit.append(PauliEvolutionGate(SparsePauliOp(["X" * size, "Z" + "I" * (size - 1)]), 0.3), range(size))
    with pytest.raises(ValueError, match=rf"exact_evolution takes at most {MAX_QUBITS} qubits, got {size}; leave it"):
        FastEstimator(exact_evolution=True).expectation_values(circuit, "Z" * size)


@pytest.mark.skipif("to_matrix" not in vars(PauliEvolutionGate), reason="this Qiskit knows the formula only")
def test_the_estimators_of_newer_qiskit_agree_with_the_exponential():
    pub = (circuit_with(PauliEvolutionGate(SUM, T), [0, 1]), OBSERVABLES, {T: 0.9, W: 0.6})
    [stock] = compat.StatevectorEstimator().run([pub]).result()
    [found] = FastEstimator(exact_evolution=True).run([pub]).result()
    np.testing.assert_allclose(found.data.evs, stock.data.evs, atol=1e-10)
