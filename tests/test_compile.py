"""Gates and circuits: every native gate, decomposed ones, and those that are refused by name."""

import pickle

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Gate, Parameter, ParameterVector, library
from qiskit.circuit.library import CRYGate, MCXGate
from qiskit.quantum_info import SparsePauliOp, random_unitary

try:
    from qiskit.circuit.library import UnitaryGate
except ImportError:  # before Qiskit 0.45
    from qiskit.extensions import UnitaryGate

import itertools

import reference
from circuits_zoo import random_observables
from qiskit_torch_module import QuantumModule
from qiskit_torch_module._program.compile import compile_program
from qiskit_torch_module._reading.gates import GATES, native_gate
from qiskit_torch_module._simulation.choose import choose
from qiskit_torch_module._simulation.engines import engine_of
from qiskit_torch_module._simulation.method import Task


def check(circuit, columns, row, num_qubits):
    """Values of all observables for one set of parameters against the reference."""
    observables = random_observables(num_qubits, 7)
    initial = [list(row)] if columns else "uniform"
    model = QuantumModule(circuit, None, columns or None, variational_params_initial=initial, observables=observables)
    [expected] = reference.batch_values(circuit, observables, columns, [row])
    np.testing.assert_allclose(model().detach().numpy(), expected, atol=1e-10, rtol=0)


def scrambled(num_qubits):
    """A state without symmetry, with CX and X in front, so that masks and signs matter."""
    circuit = QuantumCircuit(num_qubits)
    for q in range(num_qubits):
        circuit.u(0.3 + q, 1.1 * q - 0.2, 0.7, q)
    circuit.x(0)
    for q in range(num_qubits - 1):
        circuit.cx(q, q + 1)
    circuit.sx(num_qubits - 1)
    return circuit


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("name", sorted(GATES))
def test_every_native_gate(name):
    gate = GATES[name]
    angles = ParameterVector("a", gate.num_angles)
    circuit = scrambled(3)
    qiskit_class = getattr(library, gate.class_name)
    qiskit_gate = qiskit_class(*angles) if gate.num_qubits is not None else qiskit_class(*angles, 2)
    assert native_gate(qiskit_gate) is not None
    circuit.append(qiskit_gate, [2, 0, 1][: qiskit_gate.num_qubits])
    circuit.cx(2, 1)
    circuit.append(qiskit_gate, [1, 2, 0][: qiskit_gate.num_qubits])
    check(circuit, list(angles), np.linspace(-2.0, 3.0, gate.num_angles), 3)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(
    ("build", "num_qubits"),
    [
        (lambda c: c.ccx(0, 1, 2), 3),
        (lambda c: c.cswap(2, 0, 1), 3),
        (lambda c: c.append(UnitaryGate(random_unitary(4, seed=1)), [2, 0]), 3),
        (lambda c: c.append(MCXGate(2, ctrl_state=1), [2, 1, 0]) and c.append(CRYGate(0.7, ctrl_state=0), [2, 1]), 3),
        (lambda c: c.cu(0.1, 0.2, 0.3, 0.4, 1, 0), 2),
        (lambda c: c.rccx(0, 1, 2), 3),
        (lambda c: c.barrier(), 2),
        (lambda c: c.append(scrambled(2).to_gate(label="own"), [1, 0]), 2),
        (lambda c: c.append(scrambled(2).inverse().to_instruction(), [1, 0]), 2),
    ],
    ids=["ccx", "cswap", "unitary", "open controls", "cu", "rccx", "barrier", "gate of a circuit", "inverse"],
)
def test_gates_taken_apart_by_their_definitions(build, num_qubits):
    circuit = scrambled(num_qubits)
    build(circuit)
    circuit.ry(0.4, 0)
    check(circuit, [], [], num_qubits)


@pytest.mark.usefixtures("float64")
def test_parameters_inside_nested_definitions():
    inner_angle, outer = Parameter("inner"), ParameterVector("outer", 2)
    inner = QuantumCircuit(2, name="inner")
    inner.ry(2 * inner_angle, 0)
    inner.cx(0, 1)
    inner.p(inner_angle, 1)
    circuit = scrambled(3)
    for which, qubits in ((outer[0], [0, 2]), (outer[1] * outer[0], [2, 1])):
        circuit.append(inner.assign_parameters({inner_angle: which}).to_gate(), qubits)
    check(circuit, list(outer), [0.3, -1.2], 3)


def measured():
    circuit = QuantumCircuit(2, 2)
    circuit.measure(0, 0)
    circuit.h(0)
    return circuit


def conditioned():
    circuit = QuantumCircuit(1, 1)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(0)
    return circuit


def opaque():
    circuit = QuantumCircuit(1)
    circuit.append(Gate("mystery", 1, []), [0])
    return circuit


def reset():
    circuit = QuantumCircuit(1)
    circuit.h(0)
    circuit.reset(0)
    return circuit


def turned(count, of):
    circuit = QuantumCircuit(of)
    circuit.h(range(count))
    return circuit


def nested_measurement():
    circuit = QuantumCircuit(2, 2)
    circuit.append(measured().to_instruction(), [0, 1], [0, 1])
    return circuit


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (measured, "'measure' on qubits [0] into classical bit 0: expected measurements at the end only, got 'h'"),
        (reset, "'reset' on qubits [0] resets qubits that gates have acted on"),
        (conditioned, "'if_else' on qubits [0]: classical control"),
        (opaque, "gate 'mystery' on qubits [0] is not supported"),
        (nested_measurement, "'measure' on qubits [0]: remove it"),
        (lambda: QuantumCircuit(0), "expected at least one qubit, got 0"),
        (lambda: turned(31, of=40), "expected gates on 1 to 30 qubits, got gates on 31 of 40; leave out gates that"),
    ],
)
def test_refused_by_name(build, message):
    with pytest.raises(ValueError, match="^circuit: ") as error:
        QuantumModule(build(), None, None, observables="individualZ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_no_circuit_at_all():
    with pytest.raises(TypeError, match="expected a qiskit QuantumCircuit, got str"):
        QuantumModule("circuit", None, None)


def test_programs_are_values():
    first, second = (compile_program(scrambled(3), "individualZ", [], []) for _ in range(2))
    assert first is not second
    assert first == second
    assert hash(first) == hash(second)
    assert engine_of(first) is engine_of(second)
    assert first != compile_program(scrambled(3), "tensoredZ", [], [])


def test_mutating_the_circuit_later_changes_nothing():
    circuit = QuantumCircuit(1)
    model = QuantumModule(circuit, None, None)
    circuit.x(0)
    assert model().tolist() == [1.0]
    torch.testing.assert_close(QuantumModule(circuit, None, None)(), torch.tensor([-1.0]))


def test_masks_of_any_width():
    """A circuit of 100 qubits is a program like any other, which no method holds as a state vector yet."""
    circuit, small = QuantumCircuit(100), QuantumCircuit(3)
    theta = Parameter("t")
    for made, qubits in ((circuit, (0, 50, 99)), (small, (0, 1, 2))):
        for one, other in itertools.pairwise(qubits):
            made.rx(theta, one)
            made.cx(one, other)
        made.rzz(theta, qubits[0], qubits[2])
    circuit.h(range(1, 40))
    strings = SparsePauliOp.from_sparse_list([("YXZ", [0, 50, 99], 2.0), ("Z", [99], 1.0)], 100)
    wide = compile_program(circuit, [strings], [theta], [])
    narrow = compile_program(small, [SparsePauliOp(["ZXY", "ZII"], [2.0, 1.0])], [theta], [])
    assert wide.output.terms.x.dtype == object
    assert wide.evolution.num_qubits == 42
    # Bits of the qubits in question, in the order of the simulated ones: 0, 1 to 39, 50, 99.
    places = (0, 40, 41)
    for found, expected in ((wide.output.terms.x, narrow.output.terms.x), (wide.output.terms.z, narrow.output.terms.z)):
        taken = [sum((int(mask) >> place & 1) << i for i, place in enumerate(places)) for mask in found]
        assert taken == expected.tolist()
    np.testing.assert_array_equal(wide.output.terms.coefficient, narrow.output.terms.coefficient)
    again = compile_program(circuit, [strings], [theta], [])
    assert wide == again
    assert hash(wide) == hash(again)
    assert pickle.loads(pickle.dumps(wide)) == wide
    for use in (engine_of, lambda program: choose(program, Task())):
        with pytest.raises(ValueError, match=r"^circuit: .* on 42 of 100; leave out .* take an estimator"):
            use(wide)
