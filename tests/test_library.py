"""Ready-made circuits of Qiskit's library, as classes and, from Qiskit 1.3 on, as functions."""

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import library
from qiskit.quantum_info import SparsePauliOp, Statevector

import reference
from circuits_zoo import random_observables
from qiskit_torch_module import FastEstimator, FastReverseEstimatorGradient

HAMILTONIAN = SparsePauliOp(["ZZI", "IZZ", "XIX", "IYY"], [1.0, -0.5, 0.3, 0.8])

CIRCUITS = {
    "EfficientSU2": lambda: library.EfficientSU2(3, reps=1, entanglement="full"),
    "RealAmplitudes": lambda: library.RealAmplitudes(3, reps=2, entanglement="circular"),
    "TwoLocal": lambda: library.TwoLocal(3, ["rx", "h", "rz"], ["crx", "ryy"], reps=1),
    "TwoLocal with cz": lambda: library.TwoLocal(3, "ry", "cz", reps=2, skip_final_rotation_layer=True),
    "NLocal": lambda: library.NLocal(
        3, library.RYGate(0.3).control(1).definition, library.CCXGate(), entanglement="full", reps=1
    ),
    "ExcitationPreserving": lambda: library.ExcitationPreserving(3, mode="fsim", reps=1),
    "PauliTwoDesign": lambda: library.PauliTwoDesign(3, reps=2, seed=1),
    "ZFeatureMap": lambda: library.ZFeatureMap(3),
    "ZZFeatureMap": lambda: library.ZZFeatureMap(3, reps=2, entanglement="linear"),
    "PauliFeatureMap": lambda: library.PauliFeatureMap(3, reps=1, paulis=["Z", "YY", "ZXZ"]),
    "QAOAAnsatz": lambda: library.QAOAAnsatz(HAMILTONIAN, reps=2),
    "EvolvedOperatorAnsatz": lambda: library.EvolvedOperatorAnsatz([HAMILTONIAN, SparsePauliOp("XXX")], reps=2),
    "QFT": lambda: library.QFT(3),
    "QFT inverse": lambda: library.QFT(3, inverse=True, approximation_degree=1),
    "GroverOperator": lambda: library.GroverOperator(library.QFT(3)),
    "PhaseEstimation": lambda: library.PhaseEstimation(2, library.RZGate(0.3).definition),
    "QuantumVolume": lambda: library.QuantumVolume(3, 2, seed=3),
    "IQP": lambda: library.IQP([[6, 5, 3], [5, 4, 5], [3, 5, 1]]),
    "FourierChecking": lambda: library.FourierChecking([1, -1, -1, -1], [1, 1, -1, -1]),
    "HiddenLinearFunction": lambda: library.HiddenLinearFunction([[1, 1, 0], [1, 0, 1], [0, 1, 1]]),
    "GraphState": lambda: library.GraphState([[0, 1, 0], [1, 0, 1], [0, 1, 0]]),
    "GR": lambda: library.GR(3, 0.4, 0.3),
    "UnitaryOverlap": lambda: library.UnitaryOverlap(
        library.RealAmplitudes(3, reps=1), library.RealAmplitudes(3, reps=1, parameter_prefix="φ")
    ),
    "CDKMRippleCarryAdder": lambda: library.CDKMRippleCarryAdder(1),
    "WeightedAdder": lambda: library.WeightedAdder(2, [1, 2]),
    "IntegerComparator": lambda: library.IntegerComparator(2, 2),
    "LinearPauliRotations": lambda: library.LinearPauliRotations(2, 0.5, 0.3),
    "Diagonal": lambda: library.Diagonal([1, -1, 1j, -1j]),
    "XOR": lambda: library.XOR(3, 5),
    "MCMT": lambda: library.MCMT("cz", 2, 1),
    "efficient_su2": lambda: library.efficient_su2(3, reps=1, entanglement="pairwise"),
    "real_amplitudes": lambda: library.real_amplitudes(3, reps=2),
    "n_local": lambda: library.n_local(3, ["rx", "u"], "cry", reps=1),
    "excitation_preserving": lambda: library.excitation_preserving(3, reps=1),
    "pauli_two_design": lambda: library.pauli_two_design(3, reps=1, seed=2),
    "z_feature_map": lambda: library.z_feature_map(3),
    "zz_feature_map": lambda: library.zz_feature_map(3),
    "pauli_feature_map": lambda: library.pauli_feature_map(3, reps=1, paulis=["X", "YZ"]),
    "qaoa_ansatz": lambda: library.qaoa_ansatz(HAMILTONIAN, reps=1),
    "evolved_operator_ansatz": lambda: library.evolved_operator_ansatz([HAMILTONIAN], reps=2),
    "hamiltonian_variational_ansatz": lambda: library.hamiltonian_variational_ansatz(HAMILTONIAN, reps=1),
    "grover_operator": lambda: library.grover_operator(library.QFT(3)),
    "quantum_volume": lambda: library.quantum_volume(3, 2, seed=1),
    "iqp": lambda: library.iqp([[6, 5, 3], [5, 4, 5], [3, 5, 1]]),
    "unitary_overlap": lambda: library.unitary_overlap(
        library.RealAmplitudes(2, reps=1), library.RealAmplitudes(2, reps=1, parameter_prefix="φ")
    ),
}


@pytest.mark.filterwarnings("ignore")  # classes that became functions say so
@pytest.mark.parametrize("name", CIRCUITS)
def test_circuit(name):
    if not callable(getattr(library, name.split()[0], None)):
        pytest.skip("not in this version of Qiskit")
    ready_made = CIRCUITS[name]()
    circuit = QuantumCircuit(ready_made.num_qubits)
    for q in range(circuit.num_qubits):
        circuit.u(0.4 + q, 0.3, -0.2 * q, q)
    circuit.append(ready_made.to_instruction(), range(circuit.num_qubits))
    circuit.ry(0.7, range(circuit.num_qubits))
    observables = random_observables(circuit.num_qubits, 4)[:3]
    parameters = list(circuit.parameters)
    point = np.random.default_rng(5).uniform(-1, 1, len(parameters))

    def judge(at):
        psi = Statevector(circuit.assign_parameters(dict(zip(parameters, at, strict=True))).decompose(reps=3))
        return np.array([psi.expectation_value(one).real for one in observables])

    found = FastEstimator().expectation_values(circuit, observables, [point])
    np.testing.assert_allclose(found[0], judge(point), atol=1e-10)
    chosen = parameters[:: max(1, len(parameters) // 3)]
    if chosen:
        jacobian = FastReverseEstimatorGradient().jacobian(circuit, observables, [point], chosen)
        at = [parameters.index(parameter) for parameter in chosen]

        def along(part):
            moved = point.copy()
            moved[at] = part
            return judge(moved)

        slopes = reference.central_differences(along, point[at], step=0.01, order=5)
        np.testing.assert_allclose(jacobian[0].T, slopes, atol=1e-7)
