"""Every operation of the installed Qiskit's library: supported and right, or refused by name."""

import runpy
from pathlib import Path

import numpy as np
import pytest
import qiskit
import torch
from qiskit import QuantumCircuit
from qiskit.circuit.library import PauliEvolutionGate, RYGate, XGate
from qiskit.quantum_info import Clifford, SparsePauliOp, Statevector, random_clifford

import reference
from circuits_zoo import random_observables
from gate_zoo import BROKEN, IDLE, REFUSED, T, operation_classes, specimens
from qiskit_torch_module import FastEstimator, FastReverseEstimatorGradient, QuantumModule
from qiskit_torch_module._reading import compat
from qiskit_torch_module.outputs import State

CLASSES = operation_classes()


def prepared(num_qubits):
    """A state without symmetry."""
    circuit = QuantumCircuit(num_qubits)
    for q in range(num_qubits):
        circuit.u(0.3 + q, 1.1 * q - 0.2, 0.7, q)
    for q in range(num_qubits - 1):
        circuit.cx(q, q + 1)
    return circuit


def closed(circuit):
    """Turns every qubit, so that phases show in any observable."""
    for q in range(circuit.num_qubits):
        circuit.u(0.9 - q, 0.4, -0.3 * q, q)
    return circuit


def final(circuit, time):
    """By Qiskit; product formulas as their own definition says, since their matrix is the exact exponential."""
    bound = circuit.assign_parameters({T: time}) if T in circuit.parameters else circuit
    while any(isinstance(one.operation, PauliEvolutionGate) for one in bound.data):
        bound = bound.decompose(gates_to_decompose=PauliEvolutionGate)
    return Statevector(bound)


def judged(circuit, observables, time):
    psi = final(circuit, time)
    return np.array([psi.expectation_value(one).real for one in observables])


def check(circuit, time=0.37):
    """The state with its global phase, values, and the derivative with respect to T."""
    observables = random_observables(circuit.num_qubits, 3)[:3]
    expected = judged(circuit, observables, time)
    row = [[time]] if T in circuit.parameters else None
    model = QuantumModule(circuit, [T] if row else None, None, observables=State()).double()
    found = model(torch.tensor(row, dtype=torch.float64)) if row else model()
    np.testing.assert_allclose(found.reshape(-1).detach(), final(circuit, time).data, atol=1e-9)
    np.testing.assert_allclose(FastEstimator().expectation_values(circuit, observables, row), [expected], atol=1e-9)
    if T in circuit.parameters:
        jacobian = FastReverseEstimatorGradient().jacobian(circuit, observables, row)
        slope = reference.central_differences(lambda at: judged(circuit, observables, at[0]), np.array([time]))
        np.testing.assert_allclose(jacobian[0, :, 0], slope[0], atol=1e-7)


@pytest.mark.filterwarnings("ignore")  # old classes warn of their own futures
@pytest.mark.parametrize("name", sorted(set(CLASSES) - REFUSED - IDLE))
def test_every_operation_of_the_library(name):
    if (qiskit.__version__.rpartition(".")[0], name) in BROKEN:
        pytest.skip("this version of Qiskit cannot simulate it")
    for operation in specimens(name, CLASSES[name]):
        circuit = QuantumCircuit(max(1, operation.num_qubits))
        if not isinstance(operation, compat.Initialize):
            circuit = prepared(circuit.num_qubits)
        circuit.append(operation, range(operation.num_qubits))
        check(closed(circuit))


# Measurements are no operation of a circuit where they are the last (test_measurements).
@pytest.mark.parametrize("name", sorted((REFUSED - {"Measure"}) & set(CLASSES)))
def test_what_is_no_unitary_is_refused_by_name(name):
    arguments = {"PauliProductMeasurement": [SparsePauliOp("XZ").paulis[0]], "WeightedSumGate": [2, [1, 2]]}
    operation = CLASSES[name](*arguments.get(name, []))
    circuit = QuantumCircuit(max(2, operation.num_qubits), 2)
    circuit.h(range(2))
    circuit.append(operation, range(operation.num_qubits), range(operation.num_clbits))
    with pytest.raises(ValueError, match=f"circuit: (gate )?'{operation.name}' on qubits"):
        QuantumModule(circuit, None, None)


@pytest.mark.filterwarnings("ignore")  # Gate.control changes its default
def test_powers_inverses_and_controls():
    inner = QuantumCircuit(2, name="inner", global_phase=0.4 * T)
    inner.ry(T, 0)
    inner.crx(2 * T, 0, 1)
    gate = inner.to_gate()
    circuit = prepared(4)
    circuit.append(gate.inverse(), [0, 1])
    circuit.append(gate.repeat(2), [2, 1])
    circuit.append(gate.control(2, ctrl_state=1), [3, 0, 1, 2])
    circuit.append(XGate().power(0.3).control(1), [0, 3])
    circuit.compose(inner.inverse(), [1, 3], inplace=True)
    check(closed(circuit))


@pytest.mark.filterwarnings("ignore")  # Gate.control changes its default
def test_annotated_operations():
    annotated = pytest.importorskip("qiskit.circuit.annotated_operation")
    AnnotatedOperation, ControlModifier = annotated.AnnotatedOperation, annotated.ControlModifier  # noqa: N806
    InverseModifier, PowerModifier = annotated.InverseModifier, annotated.PowerModifier  # noqa: N806
    if getattr(annotated.AnnotatedOperation(RYGate(T), InverseModifier()), "params", None) != [T]:
        pytest.skip("annotated operations of this version of Qiskit hide their parameters")
    circuit = prepared(4)
    modifiers = [InverseModifier(), PowerModifier(3), ControlModifier(2, 1)]
    circuit.append(AnnotatedOperation(RYGate(0.7), modifiers), [0, 3, 1])
    circuit.append(AnnotatedOperation(random_clifford(2, seed=4), [ControlModifier(1), InverseModifier()]), [3, 0, 2])
    circuit.append(AnnotatedOperation(AnnotatedOperation(RYGate(T), InverseModifier()), ControlModifier(1)), [1, 2])
    plain = prepared(4)
    plain.append(RYGate(0.7).inverse().power(3).control(2, ctrl_state=1), [0, 3, 1])
    plain.append(random_clifford(2, seed=4).to_circuit().to_gate().control(1).inverse(), [3, 0, 2])
    plain.append(RYGate(-T).control(1), [1, 2])
    observables = random_observables(4, 3)[:3]
    found, expected = (
        FastEstimator().expectation_values(closed(one), observables, [[0.8]]) for one in (circuit, plain)
    )
    np.testing.assert_allclose(found, expected, atol=1e-10)
    np.testing.assert_allclose(expected[0], judged(plain, observables, 0.8), atol=1e-10)


def test_cliffords_as_operations():
    circuit = prepared(3)
    circuit.append(Clifford(random_clifford(3, seed=2)), [2, 0, 1])
    check(closed(circuit))


def test_initialize_acts_at_the_start_of_its_qubits_only():
    circuit = QuantumCircuit(3)
    circuit.h(2)
    circuit.initialize([0.6, 0.8j, 0, 0], [0, 1])
    circuit.ry(T, 2)
    check(closed(circuit))
    circuit.initialize([1, 0], [2])
    with pytest.raises(ValueError, match=r"circuit: 'initialize' on qubits \[2\] resets qubits"):
        QuantumModule(circuit, None, [T])


def test_the_name_of_a_gate_is_not_trusted():
    impostor = QuantumCircuit(1, name="rx")
    impostor.ry(T, 0)
    circuit = prepared(2)
    circuit.append(impostor.to_gate(), [1])
    check(circuit)


def test_the_page_of_gates_is_up_to_date():
    docs = Path(__file__).parent.parent / "docs"
    page = runpy.run_path(str(docs / "make_gates.py"))["page"]()
    native, others = page.split("## By definition")
    written_native, written_others = (docs / "gates.md").read_text().split("## By definition")
    assert written_native == native, "run: python docs/make_gates.py"
    if f"Qiskit {qiskit.__version__}" in written_others:
        assert written_others == others, "run: python docs/make_gates.py"
