"""`FastReverseSamplerGradient`: derivatives of the probability of every outcome."""

import numpy as np
import pytest
import torch
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import Gate, Parameter, ParameterVector
from qiskit.circuit.library import RealAmplitudes, RYGate, RZGate
from qiskit.quantum_info import Operator, random_unitary

import qiskit_torch_module as qtm
from qiskit_torch_module import FastReverseSamplerGradient, FastSampler
from qiskit_torch_module._reading import compat
from qiskit_torch_module._simulation import outcomes

pytestmark = pytest.mark.filterwarnings("ignore")  # of Qiskit and its companions, about their future
A = ParameterVector("a", 5)
GATES = {
    "as they are": [A[0], A[1], A[2], A[3], A[4]],
    "products": [A[0] * A[1], 2 * A[2], A[3], A[4], A[0]],
    "functions": [A[2].sin(), A[0] * A[1], A[3].exp(), A[4], A[1] * A[1]],
}


def circuit_of(angles, width=3, unitary=False):
    circuit = QuantumCircuit(QuantumRegister(width, "q"))
    circuit.ry(angles[0], 0)
    circuit.rx(angles[1], 1)
    circuit.cx(0, 1)
    if unitary:
        circuit.append(compat.UnitaryGate(random_unitary(8, seed=1)), [0, 1, 2])
    circuit.rzz(angles[2], 1, 2)
    circuit.h(2)
    circuit.ry(angles[3], 2)
    circuit.cx(1, 2)
    circuit.p(angles[4], 0)
    circuit.h(0)
    return circuit


def measured(circuit, qubits):
    """Into bits the other way round."""
    circuit = circuit.copy()
    circuit.add_register(ClassicalRegister(len(qubits), "c"))
    circuit.measure(qubits, list(range(len(qubits)))[::-1])
    return circuit


def differences(circuit, rows, parameters, step=1e-5):
    """Central ones, of Qiskit's own probabilities; shape (B, 2^k, P)."""
    order = list(circuit.parameters)
    bare = circuit.remove_final_measurements(inplace=False)
    mapping = {}
    for instruction in circuit.data:
        if instruction.operation.name == "measure":
            mapping[circuit.find_bit(instruction.clbits[0]).index] = circuit.find_bit(instruction.qubits[0]).index
    qubits = [mapping[bit] for bit in range(circuit.num_clbits)]

    def probabilities(row):
        state = Operator(bare.assign_parameters(dict(zip(order, row, strict=True)))).data[:, 0]
        found = np.zeros(1 << len(qubits))
        for index, amplitude in enumerate(state):
            found[sum((index >> qubit & 1) << bit for bit, qubit in enumerate(qubits))] += abs(amplitude) ** 2
        return found

    columns = [order.index(parameter) for parameter in parameters]
    steps = step * np.eye(len(order))[columns]
    return np.array(
        [
            np.array([(probabilities(row + one) - probabilities(row - one)) / (2 * step) for one in steps]).T
            for row in np.asarray(rows, dtype=float)
        ]
    )


@pytest.mark.parametrize("way", ["forward", "back", "whichever is shorter"])
@pytest.mark.parametrize("qubits", [[0, 1, 2], [2, 0], [1]])
@pytest.mark.parametrize("unitary", [False, True], ids=["gates", "a matrix"])
@pytest.mark.parametrize("name", GATES)
def test_against_differences(name, unitary, qubits, way, monkeypatch):
    if way != "whichever is shorter":
        monkeypatch.setattr(outcomes, "_WAY_OF_DIRECTION", 0.0 if way == "forward" else np.inf)
    circuit = measured(circuit_of(GATES[name], unitary=unitary), qubits)
    rows = np.random.default_rng(0).normal(size=(3, 5))
    for parameters in (None, [A[4], A[1]]):
        chosen = list(circuit.parameters) if parameters is None else parameters
        found = FastReverseSamplerGradient().jacobian(circuit, rows, parameters)
        np.testing.assert_allclose(found, differences(circuit, rows, chosen), atol=1e-8)
        np.testing.assert_allclose(found.sum(1), 0.0, atol=1e-12)


@pytest.mark.parametrize("way", ["forward", "back"])
def test_in_parts(way, monkeypatch):
    """Rows, directions and outcomes few at a time."""
    circuit = measured(circuit_of(GATES["functions"]), [0, 1, 2])
    rows = np.random.default_rng(0).normal(size=(7, 5))
    expected = FastReverseSamplerGradient().jacobian(circuit, rows)
    monkeypatch.setattr(outcomes, "_WAY_OF_DIRECTION", 0.0 if way == "forward" else np.inf)
    for most in (1, 40, 100):
        monkeypatch.setattr(outcomes, "_MOST_NUMBERS", most)
        np.testing.assert_allclose(FastReverseSamplerGradient().jacobian(circuit, rows), expected, atol=1e-13)


def test_gates_that_only_numbers_evaluate():
    """And parameters that no probability depends on."""

    class Odd(Gate):
        def __init__(self, angle):
            super().__init__("odd", 1, [angle])

        def to_matrix(self):
            return RYGate(float(self.params[0]) ** 2).to_matrix()

    circuit = QuantumCircuit(2, 1)
    circuit.append(Odd(A[0]), [0])
    circuit.append(RZGate(A[1]), [0])
    circuit.ry(A[2], 1)
    circuit.measure(0, 0)
    found = FastReverseSamplerGradient().jacobian(circuit, [[0.7, 0.3, 0.4]])
    slope = -np.sin(0.49) * 0.7
    np.testing.assert_allclose(found, [[[slope, 0, 0], [-slope, 0, 0]]], atol=1e-12)


def test_probabilities_as_arrays():
    circuit = measured(circuit_of(GATES["products"]), [2, 0])
    circuit.add_register(ClassicalRegister(1, "unread"))
    rows = np.random.default_rng(0).normal(size=(3, 5))
    found = FastSampler().probabilities(circuit, rows)
    assert found.shape == (3, 8)
    np.testing.assert_allclose(found.sum(1), 1.0, atol=1e-12)
    assert not found[:, 4:].any()
    columns = {A[4]: rows[:, 4], A[1]: rows[:, 1], A: rows}
    by_name = {parameter: column for parameter, column in columns.items() if parameter is not A}
    by_name.update({A[i]: rows[:, i] for i in (0, 2, 3)})
    np.testing.assert_allclose(FastSampler().probabilities(circuit, by_name), found, atol=1e-14)
    np.testing.assert_allclose(
        FastReverseSamplerGradient().jacobian(circuit, by_name), FastReverseSamplerGradient().jacobian(circuit, rows)
    )
    assert FastSampler().probabilities(circuit.assign_parameters(rows[0])).shape == (1, 8)


def test_numbers_that_do_not_fit_are_refused():
    circuit = QuantumCircuit(2, 40)
    circuit.h(0)
    circuit.measure(0, 0)
    with pytest.raises(ValueError, match="40 qubits take"):
        FastSampler().probabilities(circuit)


def gradients_of(gradient, *arguments, **options):
    return gradient.run(*arguments, **options).result().gradients


def dense(gradients, size):
    """Shape (circuits, parameters, size)."""
    return np.array([[[one.get(number, 0.0) for number in range(size)] for one in row] for row in gradients])


def test_run_is_the_jacobian_in_parts():
    """Of two circuits, equal rows, and parameters in an order of one's own."""
    one, other = measured(circuit_of(GATES["products"]), [0, 1, 2]), measured(circuit_of(GATES["functions"]), [2, 1, 0])
    rows = np.random.default_rng(0).normal(size=(3, 5))
    gradient = FastReverseSamplerGradient()
    job = gradient.run([one, other, one], [rows[0], rows[1], rows[0]], [[A[3], A[0]], None, [A[1]]])
    result = job.result()
    for position, (circuit, row, parameters) in enumerate(
        [(one, rows[0], [A[3], A[0]]), (other, rows[1], None), (one, rows[0], [A[1]])]
    ):
        expected = gradient.jacobian(circuit, row, parameters)[0].T
        np.testing.assert_allclose(dense([result.gradients[position]], 8)[0], expected, atol=1e-14)
    assert result.metadata[0] == {"parameters": [A[3], A[0]]}
    assert result.metadata[1] == {"parameters": list(other.parameters)}
    assert result.shots is None


def test_an_angle_outside_of_its_domain_is_named():
    circuit = QuantumCircuit(1)
    circuit.ry(A[0].log(), 0)
    circuit.measure_all()
    with pytest.raises(ValueError, match=r"'ry' on qubits \[0\]"):
        FastReverseSamplerGradient().jacobian(circuit, [[-1.0]])


WRONG = {
    "no parameters": (lambda c: ([c.assign_parameters([0.1] * 5)], [[]]), "expected parameters"),
    "no measurements": (lambda c: ([circuit_of(A)], [[0.1] * 5]), "expected measurements"),
    "in the middle": (lambda c: ([with_gate(c)], [[0.1] * 5]), "expected measurements at the end only"),
    "too few values": (lambda c: ([c], [[0.1] * 4]), "expected 5 values"),
    "not a number": (lambda c: ([c], [[np.nan] * 5]), "expected finite values"),
    "two circuits": (lambda c: ([c, c], [[0.1] * 5]), "as many circuits as rows"),
    "no circuits": (lambda c: ([], []), "at least one circuit"),
    "another parameter": (lambda c: ([c], [[0.1] * 5], [[Parameter("b")]]), r"parameters\[0\]: \['b'\]"),
    "two lists": (lambda c: ([c], [[0.1] * 5], [[A[0]]] * 2), "for each of 1 circuits, got 2"),
}


def with_gate(circuit):
    circuit = circuit.copy()
    circuit.h(0)
    return circuit


@pytest.mark.parametrize("name", WRONG)
def test_wrong_calls(name):
    build, message = WRONG[name]
    with pytest.raises(ValueError, match=message):
        FastReverseSamplerGradient().run(*build(measured(circuit_of(A), [0, 1, 2]))).result()


def stock_gradient():
    """The parameter-shift rule with exact probabilities: of qiskit-machine-learning 0.9, or with V1 samplers."""
    try:
        from qiskit_machine_learning.gradients import ParamShiftSamplerGradient
        from qiskit_machine_learning.primitives import QMLSampler

        return ParamShiftSamplerGradient(QMLSampler())
    except ImportError:
        gradients = pytest.importorskip("qiskit_algorithms.gradients")
        return gradients.ParamShiftSamplerGradient(compat.Sampler())


def test_against_the_stock_gradient():
    pytest.importorskip("qiskit_machine_learning")
    circuit = RealAmplitudes(3, reps=1).decompose()
    circuit.measure_all()
    rows = np.random.default_rng(4).normal(size=(2, circuit.num_parameters))
    parameters = [None, list(circuit.parameters)[3:1:-1]]
    stock, fast = (
        gradients_of(gradient, [circuit] * 2, rows, parameters)
        for gradient in (stock_gradient(), FastReverseSamplerGradient())
    )
    for one, other in zip(fast, stock, strict=True):
        np.testing.assert_allclose(dense([one], 8), dense([other], 8), atol=1e-9)


def test_options_are_passed_on():
    circuit = measured(circuit_of(A), [0])
    gradient = FastReverseSamplerGradient()
    gradient.update_default_options(one=1)
    result = gradient.run([circuit], [[0.1] * 5], two=2).result()
    assert vars(result.options) == {"one": 1, "two": 2}
    assert vars(gradient.options) == {"one": 1}


def test_arguments():
    with pytest.raises(ValueError, match="num_threads: expected a number of threads"):
        FastReverseSamplerGradient(num_threads=-1)
    with pytest.raises(TypeError, match="exact_evolution: expected True or False"):
        FastReverseSamplerGradient(exact_evolution=2)


def test_a_trained_module_agrees():
    """The same numbers from `Probabilities` of a module."""
    circuit = circuit_of(GATES["products"])
    model = qtm.QuantumModule(circuit, None, list(A), observables=qtm.outputs.Probabilities()).double()
    row = model.variational.detach().numpy()
    expected = torch.autograd.functional.jacobian(
        lambda weights: torch.func.functional_call(model, {"variational": weights}, ()), model.variational.detach()
    )
    measured_circuit = circuit.copy()
    measured_circuit.measure_all()
    found = FastReverseSamplerGradient().jacobian(measured_circuit, row)[0]
    np.testing.assert_allclose(found, expected.reshape(found.shape).numpy(), atol=1e-10)


def test_gradients_of_what_is_not_measured_are_refused():
    with pytest.raises(ValueError, match="circuit: expected measurements at its end, got none; add them"):
        FastReverseSamplerGradient().jacobian(circuit_of(GATES["as they are"]), [[0.1] * 5])
