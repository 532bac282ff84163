"""Gradients by the estimators of Qiskit against the adjoint one: every gate, random circuits with expressions."""

import pytest
import torch
from hypothesis import given, settings
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector

import gate_zoo
import qiskit_torch_module as qtm
from conftest import NIGHTLY
from test_estimated import gradients_of, observables_of
from test_primitive import TIGHT, aer, on_device, primitive
from test_random_circuits import PARAMETERS, circuits


def require_equal(circuit, inputs, weights, observables, method):
    program = qtm.QuantumModule(circuit, inputs, weights, observables=observables)._program
    if any(step.angle.degree for step in program.evolution.diagonals):
        with pytest.raises(ValueError, match=r"a diagonal of many energies .*; decompose\(\) it"):
            gradients_of(circuit, inputs, weights, observables, method)
        return
    found = gradients_of(circuit, inputs, weights, observables, method, batch=1)
    expected = gradients_of(circuit, inputs, weights, observables, "native", batch=1)
    torch.testing.assert_close(found, expected, **TIGHT)
    assert method.spent.jobs == 1


def in_circuit(operation):
    """Between rotations whose angles are weights: a shared one before, one after each qubit."""
    circuit, w = QuantumCircuit(max(operation.num_qubits, 1)), ParameterVector("w", 2)
    if operation.name != "initialize":  # which resets
        for qubit in range(circuit.num_qubits):
            circuit.ry(w[0] * (1 + 0.3 * qubit), qubit)
    circuit.append(operation, range(operation.num_qubits))
    circuit.rx(0.3 + w[1], range(circuit.num_qubits))
    inputs = [gate_zoo.T] if gate_zoo.T in circuit.parameters else None
    return circuit, inputs, [parameter for parameter in w if parameter in circuit.parameters]


GATES = sorted(set(gate_zoo.operation_classes()) - gate_zoo.REFUSED - gate_zoo.IDLE)


METHODS = {"statevector": primitive, "aer": lambda: primitive(aer()), "device": on_device}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", GATES)
def test_every_gate(name):
    """By day on a device, of which Qiskit's estimator gives exact values; by night by the others, too."""
    for operation in gate_zoo.specimens(name, gate_zoo.operation_classes()[name]):
        circuit, inputs, weights = in_circuit(operation)
        for make in METHODS.values():
            if NIGHTLY or make is on_device:
                require_equal(circuit, inputs, weights, observables_of(circuit.num_qubits)[:1], make())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("make", METHODS.values(), ids=METHODS)
def test_random_circuits(make):
    @settings(max_examples=200 if NIGHTLY else 4, deadline=None)
    @given(circuits(max_qubits=4))
    def run(circuit):
        require_equal(circuit, PARAMETERS[:2], PARAMETERS[2:], observables_of(circuit.num_qubits), make())

    run()
