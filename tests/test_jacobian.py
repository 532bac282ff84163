"""FastReverseEstimatorGradient against differences of the reference simulator."""

from collections import ChainMap, UserDict
from types import MappingProxyType

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


@pytest.mark.parametrize("kind", [dict, MappingProxyType, UserDict, ChainMap])
def test_columns_follow_any_mapping(kind):
    a, b = Parameter("a"), Parameter("b")
    circuit = QuantumCircuit(1)
    circuit.rx(a, 0)
    circuit.ry(b, 0)
    values = kind({b: 0.3, a: 0.5})  # <Z> = cos a cos b
    expected = [-np.sin(0.5) * np.cos(0.3), -np.cos(0.5) * np.sin(0.3)]
    gradient = FastReverseEstimatorGradient()
    np.testing.assert_allclose(gradient.jacobian(circuit, "Z", values)[0, 0], expected, atol=1e-12)
    np.testing.assert_allclose(gradient.jacobian(circuit, "Z", values, [b, a])[0, 0], expected[::-1], atol=1e-12)


@pytest.mark.parametrize("name", ["derivative_type", "_derivative_type"])
def test_a_derivative_type_that_is_set_later_counts(name):
    circuit, a = QuantumCircuit(1), Parameter("a")
    circuit.h(0)
    circuit.rz(a, 0)
    call, gradient = ([circuit], [SparsePauliOp("Y")], [[0.3]]), FastReverseEstimatorGradient()
    [real] = gradient.run(*call).result().gradients
    setattr(gradient, name, "imaginary")
    result = gradient.run(*call).result()
    [expected] = FastReverseEstimatorGradient("imaginary").run(*call).result().gradients
    assert result.metadata[0]["derivative_type"] == gradient.derivative_type == "imaginary"
    assert abs(expected[0] - real[0]) > 0.1
    np.testing.assert_array_equal(result.gradients[0], expected)
    with pytest.raises(ValueError, match="derivative_type: expected 'real', 'imaginary' or 'complex', got 'both'"):
        setattr(gradient, name, "both")


X2, TWO = ParameterVector("x", 2), QuantumCircuit(2)
TWO.rx(X2[0], 0)
TWO.ry(X2[1], 1)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([TWO], ["ZZ"], [[0.1]]), ValueError, r"parameter_values\[0\]: expected 2 values, .* got shape \(1,\)"),
        (([TWO], ["ZZ"], [[0.1] * 3]), ValueError, r"parameter_values\[0\]: expected 2 values"),
        (
            ([TWO], ["Z"], [[0.1, 0.2]]),
            ValueError,
            r"observables\[0\]: expected 2 qubits as in its circuit, got 1; pad it",
        ),
        (([TWO] * 2, ["ZZ"], [[0.1, 0.2]]), ValueError, "got 2, 1 and 1"),
        (([], [], []), ValueError, "expected at least one circuit|got 0, 0 and 1"),
        (
            ("TWO", ["ZZ"], [[0.1, 0.2]]),
            TypeError,
            "circuits: expected a QuantumCircuit or a sequence of them, got str",
        ),
        ((["TWO"], ["ZZ"], [[0.1, 0.2]]), TypeError, r"circuits\[0\]: expected a qiskit QuantumCircuit, got str"),
        (([TWO], ["ZZ"], [["a", "b"]]), TypeError, r"parameter_values\[0\]: expected real numbers"),
        (([TWO], ["ZZ"], [[1j, 0]]), TypeError, r"parameter_values\[0\]: expected real numbers"),
        (([TWO], ["ZZ"], [[0.1, 0.2]], [[Parameter("x[0]")]]), ValueError, r"parameters\[0\]: \['x\[0\]'\] are not in"),
        (([TWO], ["ZZ"], [[0.1, 0.2]], list(X2)), ValueError, "for each of 1 circuits, got 2"),
        (([TWO], ["ZZ"], [[0.1, 0.2]], X2[0]), TypeError, "parameters: expected a sequence with a list of parameters"),
    ],
)
def test_bad_calls_are_refused_by_run_itself(arguments, error, message):
    with pytest.raises(error, match=message):
        FastReverseEstimatorGradient().run(*arguments)


def test_no_parameters_are_not_all_parameters():
    result = FastReverseEstimatorGradient().run([TWO] * 2, ["ZZ"] * 2, [[0.1, 0.2]] * 2, [[], None]).result()
    assert [len(one) for one in result.gradients] == [0, 2]


def test_options_go_to_the_result():
    gradient = FastReverseEstimatorGradient()
    gradient.update_default_options(shots=10, level=1)
    assert vars(gradient.options) == {"shots": 10, "level": 1}
    result = gradient.run([TWO], ["ZZ"], [[0.1, 0.2]], shots=None).result()
    assert vars(result.options) == {"shots": None, "level": 1}
