"""FastReverseEstimatorGradient against differences of the reference simulator."""

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector
from qiskit.circuit.library import PauliEvolutionGate
from qiskit.quantum_info import SparsePauliOp, Statevector

import reference
from circuits_zoo import fixed_and_free, qaoa, random_observables, reuploading
from qiskit_torch_module import FastReverseEstimatorGradient


def expected_jacobian(circuit, observables, rows):
    """(B, M, P) by central differences, in the order of circuit.parameters."""
    parameters = list(circuit.parameters)

    def values(row):
        return reference.expectation_values(
            circuit.assign_parameters(dict(zip(parameters, row, strict=True))), observables
        )

    return np.array([reference.central_differences(values, row).T for row in rows])


@pytest.mark.parametrize(
    "case", [reuploading(3, 1), qaoa(4, 1), fixed_and_free(3, 5)], ids=["reuploading", "qaoa", "fixed_and_free"]
)
def test_against_central_differences(case):
    circuit, observables = case.circuit, random_observables(case.circuit.num_qubits, 2)
    rows = np.random.default_rng(0).uniform(-1, 1, (2, circuit.num_parameters))
    found = FastReverseEstimatorGradient().jacobian(circuit, observables, rows)
    assert found.shape == (2, len(observables), circuit.num_parameters)
    np.testing.assert_allclose(found, expected_jacobian(circuit, observables, rows), atol=1e-9)


def test_any_subset_in_any_order():
    case, observables = reuploading(3, 1), random_observables(3, 2)
    circuit, gradient = case.circuit, FastReverseEstimatorGradient(num_threads=1)
    rows = np.random.default_rng(0).uniform(-1, 1, (3, circuit.num_parameters))
    everything = gradient.jacobian(circuit, observables, rows)
    parameters = list(circuit.parameters)
    order = np.random.default_rng(1).permutation(len(parameters))[:5]
    chosen = gradient.jacobian(circuit, observables, rows, [parameters[i] for i in order])
    np.testing.assert_allclose(chosen, everything[:, :, order], atol=1e-12)
    mapping = {parameters[i]: rows[:, i] for i in reversed(range(len(parameters)))}
    np.testing.assert_allclose(gradient.jacobian(circuit, observables, mapping), everything, atol=1e-12)
    assert gradient.jacobian(circuit, observables, rows, []).shape == (3, len(observables), 0)


def test_run_gives_one_gradient_for_each_circuit():
    first, second = reuploading(2, 1).circuit, qaoa(3, 1).circuit
    gradient, rng = FastReverseEstimatorGradient(), np.random.default_rng(0)
    observables = {id(first): random_observables(2, 0)[:2], id(second): random_observables(3, 0)[:2]}
    calls = [
        (c, o, rng.normal(size=c.num_parameters)) for c in (first, second) for o in observables[id(c)] for _ in range(2)
    ]
    calls = [calls[i] for i in rng.permutation(len(calls))]
    wanted = [
        None if i % 2 else [circuit.parameters[2], circuit.parameters[0]] for i, (circuit, *_) in enumerate(calls)
    ]
    result = gradient.run(*zip(*calls, strict=True), parameters=wanted).result()
    for (circuit, observable, row), chosen, found, metadata in zip(
        calls, wanted, result.gradients, result.metadata, strict=True
    ):
        order = list(circuit.parameters) if chosen is None else chosen
        assert metadata["parameters"] == order
        np.testing.assert_allclose(found, gradient.jacobian(circuit, observable, row, order)[0, 0], atol=1e-12)


def test_unknown_parameters_are_named():
    circuit = reuploading(2, 1).circuit
    with pytest.raises(ValueError, match=r"parameters: \['other'\] are not in the circuit"):
        FastReverseEstimatorGradient().jacobian(circuit, "ZZ", np.zeros(circuit.num_parameters), [Parameter("other")])


def whole_derivative(circuit, observable, parameters, point):
    """2 <psi|O|d psi> by central differences of Qiskit's state vector, global phase included."""

    def state(at):
        return Statevector(circuit.assign_parameters(dict(zip(parameters, at, strict=True)))).data

    slopes = reference.central_differences(state, np.asarray(point))
    return 2 * slopes @ (observable.to_matrix() @ state(np.asarray(point))).conj()


@pytest.mark.filterwarnings("ignore")  # SciPy warns Qiskit of the kind of sparse matrix it exponentiates
@pytest.mark.parametrize("observable", ["ZI", "XY"])
def test_imaginary_derivatives_see_the_global_phase(observable):
    a = ParameterVector("a", 4)
    circuit = QuantumCircuit(2, global_phase=0.7 * a[0])
    circuit.rz(a[1], 0)  # acts on |0> by a phase only
    circuit.u(a[2], a[0] * a[1], 0.3, 0)
    circuit.cp(2 * a[3], 0, 1)
    circuit.append(PauliEvolutionGate(SparsePauliOp(["XZ", "II"], [0.4, 0.8]), a[0]), [0, 1])
    circuit.h(1)
    circuit.cp(a[2].sin(), 0, 1)
    circuit.p(a[3], 1)  # last: shows in no value of Z, but in the imaginary part
    point, operator = [0.3, -0.8, 1.2, 0.5], SparsePauliOp([observable, "II"], [1.0, 0.4])
    expected = whole_derivative(circuit, operator, list(a), point)
    values = [point]
    for kind, wanted in (("real", expected.real), ("imaginary", expected.imag), ("complex", expected)):
        [found] = FastReverseEstimatorGradient(kind).run([circuit], [operator], values, [list(a)]).result().gradients
        np.testing.assert_allclose(found, wanted, atol=1e-9)


def test_unknown_derivative_types_are_refused():
    with pytest.raises(ValueError, match="derivative_type: expected 'real', 'imaginary' or 'complex', got 'both'"):
        FastReverseEstimatorGradient("both")
