"""Circuits as plain data: they come back the same, and what no circuit can be is refused."""

import contextlib
import json
import time

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Gate, Parameter, ParameterVector, QuantumRegister
from qiskit.circuit.library import RZGate
from qiskit.quantum_info import random_unitary

import gate_zoo
from circuits_zoo import qaoa, reuploading
from qiskit_torch_module._program.compile import compile_program
from qiskit_torch_module._reading.compat import DiagonalGate, HamiltonianGate, UnitaryGate
from qiskit_torch_module._storage.blueprint import SavedCircuit, blueprint, circuit_of
from qiskit_torch_module._storage.cannot_build import CannotBuildError
from qiskit_torch_module._storage.kinds import WIDEST

W = ParameterVector("w", 3)


def returned(circuit):
    return circuit_of(blueprint(circuit, list(circuit.parameters)), list(circuit.parameters))


def agree(circuit, again):
    parameters = list(circuit.parameters)
    programs = [compile_program(one, "individualZ", parameters, []) for one in (circuit, again)]
    return programs[0] == programs[1]


@pytest.mark.parametrize("case", [reuploading(3, 2), qaoa(4, 2)])
def test_circuits_of_known_gates_come_back_as_they_are(case):
    assert returned(case.circuit) == case.circuit


def own_names():
    gate = QuantumCircuit(1, name="rx")
    gate.ry(2 * W[0], 0)
    circuit = QuantumCircuit(2, name="any ß name")
    circuit.append(gate.to_gate(), [0])
    circuit.append(gate.to_gate(), [1])
    return circuit


def nested():
    inner = QuantumCircuit(2, name="inner", global_phase=0.25)
    inner.append(RZGate(W[0] * W[1]).control(1, ctrl_state=0), [1, 0])
    outer = QuantumCircuit(3, name="outer")
    outer.append(inner.to_gate(), [2, 0])
    outer.barrier()
    circuit = QuantumCircuit(3)
    circuit.append(outer.to_instruction(), [1, 2, 0])
    circuit.delay(5, 1)
    circuit.ry(W[2].sin(), 1)
    return circuit


def dense():
    circuit = QuantumCircuit(5)
    circuit.append(UnitaryGate(random_unitary(32, seed=1)), [1, 0, 2, 4, 3])
    circuit.append(HamiltonianGate(np.diag(np.arange(8.0)), W[0]), [2, 0, 1])
    circuit.append(DiagonalGate(list(np.exp(1j * np.arange(16)))), [3, 2, 1, 0])
    circuit.append(UnitaryGate(random_unitary(4, seed=2)).control(1), [0, 3, 4])
    return circuit


def fresh():
    circuit = QuantumCircuit(QuantumRegister(1, "a"), QuantumRegister(2, "b"))
    circuit.reset(0)
    circuit.initialize(np.array([1, 1j, 0, 1]) / np.sqrt(3), [1, 2])
    circuit.ry(W[0], 0)
    return circuit


def idle():
    circuit = QuantumCircuit(127)
    circuit.h(100)
    circuit.cx(100, 3)
    circuit.ry(W[0], 3)
    return circuit


def boxed():
    circuit = QuantumCircuit(2)
    if not hasattr(circuit, "box"):
        pytest.skip("not in this version of Qiskit")
    with circuit.box():
        circuit.ry(W[0], 0)
        circuit.cx(0, 1)
    with circuit.for_loop(range(3)) as index:
        circuit.rx(W[1] * index, 0)
    if index in circuit.parameters:
        pytest.skip("this version of Qiskit counts the variable of a loop among the parameters of the circuit")
    return circuit


@pytest.mark.parametrize("make", [own_names, nested, dense, fresh, idle, boxed])
def test_circuits_of_every_kind_come_back(make):
    circuit = make()
    again = returned(circuit)
    assert agree(circuit, again)
    assert again.name == circuit.name
    assert again.qregs == circuit.qregs
    assert again.parameters == circuit.parameters


def test_gates_are_nested_as_deep_as_they_come():
    gate = RZGate(0.5)
    for _ in range(1500):
        body = QuantumCircuit(1)
        body.h(0)
        body._append(gate, body.qubits, [])
        gate = Gate("nested", 1, [])
        gate.definition = body
    circuit = QuantumCircuit(2)
    circuit.rx(W[0], 0)
    circuit._append(gate, [circuit.qubits[1]], [])
    assert agree(circuit, returned(circuit))


@pytest.mark.filterwarnings("ignore")
def test_gates_of_the_library_keep_their_names():
    for name, cls in gate_zoo.operation_classes().items():
        if name not in gate_zoo.REFUSED | gate_zoo.IDLE:
            operation = gate_zoo.specimens(name, cls)[0]
            circuit = QuantumCircuit(max(1, operation.num_qubits))
            circuit.append(operation, range(operation.num_qubits))
            (found,) = returned(circuit).data
            same = {operation.name, f"{operation.name} of gates"}
            assert found.operation.name in same | {"unitary", "mcx", "state_preparation", "isometry"}, name


def test_gates_without_a_definition_for_parameters_are_refused():
    class Own(Gate):
        def __init__(self, angle):
            super().__init__("own", 1, [angle])

        def __array__(self, dtype=None, copy=None):
            return np.diag(np.exp(1j * np.array([0.0, float(self.params[0])])))

    circuit = QuantumCircuit(1)
    circuit.append(Own(Parameter("p")), [0])
    with pytest.raises(ValueError, match="gate 'own'"):
        blueprint(circuit, list(circuit.parameters))


# What a file may hold that somebody made to do harm.


def plan(**changed):
    body = {"name": "c", "num_qubits": 2, "phase": 0.0, "data": []}
    content = {**body, "registers": [], "metadata": None, "definitions": [], **changed}
    return {"text": json.dumps(content).encode(), "matrices": [np.eye(2, dtype=complex)]}


def gate(data, num_qubits=1):
    return {"name": "g", "num_qubits": num_qubits, "phase": 0.0, "data": data}


def chain(first, row, count):
    return [gate([first]), *(gate([[index, [0]], [index, [0]]] if row is None else row) for index in range(count))]


def powers(count, exponent):
    return [["variable", 0], exponent, *(["pow", 0 if i == 0 else i + 1, 1] for i in range(count))]


WRONG = {
    "no plan": {"text": "", "matrices": []},
    "no text": {"text": b"\xff", "matrices": []},
    "a million qubits": plan(num_qubits=10**6),
    "no number of qubits": plan(num_qubits=True),
    "a huge register": plan(registers=[["a", 10**9]]),
    "registers of other qubits": plan(registers=[["a", 1]]),
    "many definitions of many qubits": plan(definitions=[gate([], WIDEST)] * 50),
    "a field more": plan(more=1),
    "a row of nothing": plan(data=[[]]),
    "an unknown gate": plan(data=[["exec", [0]]]),
    "a gate of another size": plan(data=[["cx", [0]]]),
    "a gate without its angle": plan(data=[["rx", [0]]]),
    "an angle too much": plan(data=[["x", [0], 0.1]]),
    "a qubit beyond": plan(data=[["x", [2]]]),
    "a negative qubit": plan(data=[["x", [-1]]]),
    "one qubit twice": plan(data=[["cx", [0, 0]]]),
    "no qubits": plan(data=[["mcx", []]]),
    "a definition that is not there": plan(data=[[0, [0]]]),
    "a definition of itself": plan(definitions=[gate([[0, [0]]])]),
    "a matrix that is not there": plan(data=[["unitary", [0], 1]]),
    "a matrix of another size": plan(data=[["unitary", [0, 1], 0]]),
    "columns of another size": plan(data=[["columns", [0, 1], 0]]),
    "an infinite angle": {"text": plan()["text"].replace(b"0.0", b"1e999"), "matrices": []},
    "a parameter that is not there": plan(data=[["rx", [0], 9]]),
    "a variable that is not there": plan(data=[["rx", [0], [["variable", 9], ["sin", 0]]]]),
    "an operation without parameter": plan(data=[["rx", [0], [0.5, ["sin", 0]]]]),
    "an unknown function": plan(data=[["rx", [0], [["variable", 0], ["__class__", 0]]]]),
    "an endless expression": plan(data=[["rx", [0], [["variable", 0], *(["add", i, i] for i in range(60))]]]),
    "gates within gates": plan(definitions=chain(["rx", [0], 0], None, 60)),
    "a rotation of other qubits": plan(data=[["rotation XX", [0], 0.1]]),
    "a rotation of other letters": plan(data=[["rotation I", [0], 0.1]]),
    "a long delay": plan(data=[["delay", [0], 1, "years"]]),
    "a reset of two": plan(data=[["reset", [0, 1]]]),
}


@pytest.mark.parametrize("plain", WRONG.values(), ids=WRONG.keys())
def test_what_no_circuit_can_be_is_refused_at_once(plain):
    begin = time.perf_counter()
    with pytest.raises(ValueError, match="."):
        circuit_of(plain, [Parameter("p")])
    assert time.perf_counter() - begin < 60


@pytest.mark.parametrize("exponent", [2.0, 64.0, 1e6, 0.5])
def test_powers_of_powers_stay_small(exponent):
    """Python and symengine would compute 64^64^64... digit by digit."""
    begin = time.perf_counter()
    with contextlib.suppress(CannotBuildError):  # before Qiskit 1.0
        circuit_of(plan(data=[["rx", [0], powers(20, exponent)]]), [Parameter("p")])
    nodes = [["variable", 0], ["add", 0, 0], 64.0, *(["pow", i, 2] for i in (1, 3, 4, 5, 6))]
    with contextlib.suppress(CannotBuildError):
        circuit_of(plan(data=[["rx", [0], nodes]]), [Parameter("p")])
    assert time.perf_counter() - begin < 60


def test_what_is_not_there_says_why():
    with pytest.raises(
        RuntimeError, match="holds only what the circuit was compiled to: odd gates; values and gradients"
    ):
        SavedCircuit(None, "odd gates", (), 1).built()
    with pytest.raises(ValueError, match="of other qubits or parameters"):
        SavedCircuit(plan(), "", (), 3).built()
