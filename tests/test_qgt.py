"""`FastQGT` in the place of the classes of qiskit-algorithms."""

import warnings

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector
from qiskit.quantum_info import SparsePauliOp, Statevector

from qiskit_torch_module import FastQGT, FastReverseEstimatorGradient

algorithms = pytest.importorskip("qiskit_algorithms")
gradients = pytest.importorskip("qiskit_algorithms.gradients")

# That of version 0.2 asks Qiskit 0.46 what it deprecates.
pytestmark = pytest.mark.filterwarnings("ignore")


def plain():
    """Rotations with parameters of their own, and CX."""
    p = ParameterVector("p", 9)
    circuit = QuantumCircuit(3)
    for layer in range(3):
        for qubit in range(3):
            [circuit.rx, circuit.ry, circuit.rz][(layer + qubit) % 3](p[3 * layer + qubit], qubit)
        circuit.cx(0, 1)
        circuit.cx(1, 2)
    return circuit


def shared():
    """Parameters that occur several times, scaled and added up."""
    a, b, c = (Parameter(name) for name in "abc")
    circuit = QuantumCircuit(3)
    circuit.h(range(3))
    circuit.rx(a, 0)
    circuit.rz(2 * a + b, 1)
    circuit.cx(0, 2)
    circuit.ry(0.5 * b, 2)
    circuit.rzz(a, 0, 1)
    circuit.rx(c, 2)
    circuit.rz(c - a, 0)
    circuit.ry(c, 1)
    return circuit


CIRCUITS = {"plain": plain(), "shared": shared()}
TYPES = list(gradients.DerivativeType)


def values_for(circuit, seed=0):
    return np.random.default_rng(seed).uniform(-3, 3, circuit.num_parameters)


@pytest.mark.parametrize("name", CIRCUITS)
@pytest.mark.parametrize("derivative_type", TYPES)
@pytest.mark.parametrize("phase_fix", [True, False])
def test_same_as_reverse_qgt(name, derivative_type, phase_fix):
    circuit = CIRCUITS[name]
    arguments = [circuit] * 2, [values_for(circuit, 1), values_for(circuit, 2)]
    expected = gradients.ReverseQGT(phase_fix, derivative_type).run(*arguments).result()
    result = FastQGT(phase_fix, derivative_type).run(*arguments).result()
    assert result.derivative_type == expected.derivative_type
    for ours, theirs in zip(result.qgts, expected.qgts, strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_allclose(ours, theirs, atol=1e-9, rtol=0)


def test_parameters_in_any_order_and_number():
    circuit = CIRCUITS["shared"]
    a, b, c = circuit.parameters
    values = values_for(circuit)
    whole = FastQGT().run([circuit], [values]).result().qgts[0]
    chosen = [[c, a], [b], None]
    result = FastQGT().run([circuit] * 3, [values] * 3, chosen).result()
    for ours, columns in zip(result.qgts, [[2, 0], [1], [0, 1, 2]], strict=True):
        np.testing.assert_allclose(ours, whole[np.ix_(columns, columns)], atol=1e-14)
    assert [entry["parameters"] for entry in result.metadata] == [[c, a], [b], [a, b, c]]
    expected = gradients.ReverseQGT().run([circuit], [values], [[c, a]]).result().qgts[0]
    np.testing.assert_allclose(result.qgts[0], expected, atol=1e-9)


def test_many_rows_at_once():
    circuit = CIRCUITS["plain"]
    rows = np.stack([values_for(circuit, seed) for seed in range(4)])
    tensors = FastQGT().tensors(circuit, rows)
    assert tensors.shape == (4, 9, 9)
    expected = FastQGT().run([circuit] * 4, list(rows)).result().qgts
    np.testing.assert_allclose(tensors, expected, atol=1e-12)
    p = list(circuit.parameters)
    columns = FastQGT().tensors(circuit, {one: rows[:, index] for index, one in reversed([*enumerate(p)])}, [p[3]])
    np.testing.assert_allclose(columns[:, 0, 0], tensors[:, 3, 3], atol=1e-12)
    assert FastQGT(derivative_type="imaginary").tensors(circuit, rows).dtype == np.float64


def test_quantum_fisher_information():
    circuit = CIRCUITS["shared"]
    values = values_for(circuit)
    expected = gradients.QFI(gradients.ReverseQGT()).run([circuit], [values]).result().qfis[0]
    qgt = FastQGT()
    np.testing.assert_allclose(gradients.QFI(qgt).run([circuit], [values]).result().qfis[0], expected, atol=1e-9)
    assert qgt.derivative_type == "complex"


def evolved(imaginary, qgt, gradient, ansatz, hamiltonian):
    principle = pytest.importorskip("qiskit_algorithms.time_evolvers.variational")
    kind = principle.ImaginaryMcLachlanPrinciple if imaginary else principle.RealMcLachlanPrinciple
    start = dict(zip(ansatz.parameters, np.linspace(0.2, 0.9, ansatz.num_parameters), strict=True))
    evolver = (algorithms.VarQITE if imaginary else algorithms.VarQRTE)(
        ansatz, start, kind(qgt, gradient), num_timesteps=5
    )
    return evolver.evolve(algorithms.TimeEvolutionProblem(hamiltonian, 0.5))


@pytest.mark.parametrize("imaginary", [True, False])
def test_variational_time_evolution(imaginary):
    ansatz = CIRCUITS["plain"]
    hamiltonian = SparsePauliOp(["ZZI", "IZZ", "XII", "IXI", "IIX"], [-1.0, -1.0, 0.6, 0.6, 0.6])
    kind = gradients.DerivativeType.REAL if imaginary else gradients.DerivativeType.IMAG
    theirs = evolved(imaginary, gradients.ReverseQGT(), gradients.ReverseEstimatorGradient(kind), ansatz, hamiltonian)
    ours = evolved(imaginary, FastQGT(), FastReverseEstimatorGradient(kind), ansatz, hamiltonian)
    np.testing.assert_allclose(ours.parameter_values, theirs.parameter_values, atol=1e-9)
    states = [Statevector(result.evolved_state) for result in (ours, theirs)]
    np.testing.assert_allclose(*states, atol=1e-9)


def test_no_principle_complains_of_what_is_right():
    """The name of a type is as good as the type, and a wrong one is still changed, with a warning."""
    variational = pytest.importorskip("qiskit_algorithms.time_evolvers.variational")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        variational.ImaginaryMcLachlanPrinciple(FastQGT(), FastReverseEstimatorGradient())
        variational.RealMcLachlanPrinciple(FastQGT(), FastReverseEstimatorGradient("imaginary"))
    gradient = FastReverseEstimatorGradient("real")
    with pytest.warns(UserWarning, match="changed automatically"):
        variational.RealMcLachlanPrinciple(FastQGT(), gradient)
    assert gradient.derivative_type == gradients.DerivativeType.IMAG
    assert gradient._derivative_type != gradients.DerivativeType.REAL


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        (([CIRCUITS["shared"]], [[0.1, 0.2]]), ValueError, "expected|values"),
        (([CIRCUITS["shared"]], [[0.1, 0.2, 0.3]] * 2), ValueError, "as many circuits as rows"),
        (([CIRCUITS["shared"]], [[0.1, 0.2, 0.3]], [[Parameter("z")]]), ValueError, "are not in the circuit"),
        (([CIRCUITS["shared"]], [[0.1, 0.2, np.nan]]), ValueError, "finite"),
        (("circuit", [[0.1]]), TypeError, "circuit"),
    ],
)
def test_bad_arguments(arguments, error, match):
    with pytest.raises(error, match=match):
        FastQGT().run(*arguments).result()


def test_bad_settings():
    with pytest.raises(ValueError, match="derivative_type: expected 'real'"):
        FastQGT(derivative_type="both")
    with pytest.raises(TypeError, match="phase_fix: expected True or False"):
        FastQGT(phase_fix="yes")


def test_no_parameters():
    circuit = QuantumCircuit(1)
    circuit.h(0)
    assert FastQGT().run([circuit], [[]]).result().qgts[0].shape == (0, 0)
