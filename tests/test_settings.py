"""Settings in which Paulis are measured: which terms share one, and what the bits that are found in it mean."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import Pauli, SparsePauliOp

import qiskit_torch_module as qtm
from circuits_zoo import random_observables
from qiskit_torch_module._program.program import Program
from qiskit_torch_module._simulation.columns import with_derived_columns
from qiskit_torch_module.outputs import Probabilities
from test_random_circuits import PARAMETERS, circuits


def program_of(circuit, observables):
    return qtm.QuantumModule(circuit, None, circuit.parameters, observables=observables)._program


def expectations(program, point):
    """By the probabilities of every setting."""
    values, weights = np.array([program.output.constants]), torch.from_numpy(point)
    for setting in program.settings:
        measured = Program(setting.after(program.evolution), Probabilities())
        runner = qtm.methods.Native().prepare(measured)
        columns, row = with_derived_columns(measured.evolution, torch.empty(1, 0, dtype=torch.float64), weights)
        found = runner.values(columns, (row,))[0].numpy()
        values[:, setting.observables] += found @ setting.values(np.arange(found.shape[1], dtype=np.uint32))
    return values[0]


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=40, deadline=None)
@given(circuits(max_qubits=5), st.tuples(*[st.floats(-1.5, 1.5)] * len(PARAMETERS)).map(np.array))
def test_settings_read_what_they_should(circuit, point):
    """Frames of every kind: flipped, swapped, folded qubits."""
    for qubit in range(circuit.num_qubits - 1):
        circuit.cx(qubit, qubit + 1)
    circuit.x(0)
    circuit.y(circuit.num_qubits - 1)
    observables = [*random_observables(circuit.num_qubits, 3), "Y" * circuit.num_qubits]
    program = program_of(circuit, observables)
    order = [PARAMETERS.index(parameter) for parameter in circuit.parameters]
    native = qtm.methods.Native().prepare(program)
    weights = torch.from_numpy(point[order])
    columns, row = with_derived_columns(program.evolution, torch.empty(1, 0, dtype=torch.float64), weights)
    expected = native.values(columns, (row,))[0].numpy()[0]
    np.testing.assert_allclose(expectations(program, point[order]), expected, atol=1e-10)


def entangled(num_qubits):
    w = ParameterVector("w", num_qubits)
    circuit = QuantumCircuit(num_qubits)
    for qubit in range(num_qubits):
        circuit.ry(w[qubit], qubit)
        circuit.rx(0.3, qubit)
    for qubit in range(num_qubits - 1):
        circuit.cx(qubit, qubit + 1)
    return circuit


@pytest.mark.parametrize(
    ("observables", "count"),
    [
        (["ZZZ", "IIZ", "ZIZ"], 1),
        (["XII", "IYI", "IIZ"], 1),
        (["XXI", "ZII"], 2),
        (["XXI", "YYI", "ZZI"], 3),  # they commute, but not qubit by qubit
        ([SparsePauliOp(["XXI", "IIX", "ZIZ"], [1.0, 2.0, 3.0]), "IXI"], 2),
        (["III"], 0),
        (["XYZ", "XYZ"], 1),
    ],
)
def test_terms_share_settings(observables, count):
    assert len(program_of(entangled(3), observables).settings) == count


def test_each_term_is_in_a_setting_whose_bases_it_has():
    generator = np.random.default_rng(0)
    labels = ["".join(generator.choice(list("IXYZ"), 6)) for _ in range(200)]
    program = program_of(entangled(6), SparsePauliOp(labels, np.ones(200)).simplify())
    total = sum(len(setting.support) for setting in program.settings)
    assert total == len(program.output.terms)
    for setting in program.settings:
        bases = Pauli(([bool(setting.z >> q & 1) for q in range(6)], [bool(setting.x >> q & 1) for q in range(6)]))
        rotations = setting.rotations(program.evolution)
        assert len(rotations) == sum(letter in "XY" for letter in bases.to_label())
    assert len(program.settings) < len(program.output.terms) / 2


def test_paulis_of_idle_qubits_are_known():
    circuit = QuantumCircuit(3)
    w = ParameterVector("w", 1)
    circuit.ry(w[0], 1)
    program = program_of(circuit, ["IIZ", "IZI", "XXI", "ZZZ"])
    assert program.output.constants == (1.0, 0.0, 0.0, 0.0)
    (setting,) = program.settings
    assert setting.observables.tolist() == [1, 3]
