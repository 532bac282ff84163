"""What the scheduler makes of rotations: fused runs, shared layers, phases."""

from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector

from circuits_zoo import reuploading
from qiskit_torch_module._compile import compile_program
from qiskit_torch_module._schedule import X, Y, Z, levels_of


def levels(circuit, parameters=()):
    return levels_of(compile_program(circuit, "individualZ", list(parameters), []).rotations)[0]


def test_the_reference_workload_is_one_layer_per_entangling_ring():
    case = reuploading(5, 3)
    program = compile_program(case.circuit, "individualZ", case.encoding, case.variational)
    found, _ = levels_of(program.rotations)
    assert [len(level.runs) for level in found] == [5] * 4
    assert all(not level.phase for level in found)
    # RY(c x) RZ(c x) RZ(b) RY(b) between two rings: three rotations, the two RZ in one.
    assert [[axis for axis, _ in run.gates] for run in found[1].runs] == [[Y, Z, Y]] * 5


def test_swaps_and_cx_cost_nothing():
    circuit = QuantumCircuit(3)
    circuit.cx(0, 1)
    circuit.swap(1, 2)
    circuit.x(2)
    assert levels(circuit) == []


def test_diagonal_gates_share_one_phase():
    a = ParameterVector("a", 6)
    circuit = QuantumCircuit(3)
    circuit.h(range(3))
    circuit.rzz(a[0], 0, 1)
    circuit.rzz(a[1], 1, 2)
    circuit.cp(a[2], 0, 2)
    circuit.rzz(a[3], 0, 1)
    circuit.rx(a[4], 0)
    circuit.rx(a[5], 1)
    first, second = levels(circuit, a)
    # The RZ of cp(0, 2) fuse into the Hadamards; what is left is one angle for each of 01, 12, 02.
    assert sorted(first.phase) == [0b011, 0b101, 0b110]
    assert [run.gates[-1][0] for run in second.runs] == [X, X]


def test_phases_on_the_zero_state_and_cancelling_rotations_vanish():
    circuit = QuantumCircuit(2)
    circuit.rz(0.3, 0)
    circuit.cz(0, 1)
    circuit.rx(0.5, 1)
    circuit.rx(-0.5, 1)
    assert levels(circuit) == []


def test_a_phase_before_a_rotation_of_its_qubit_joins_the_run():
    circuit = QuantumCircuit(2)
    circuit.h([0, 1])
    circuit.cx(0, 1)
    circuit.rz(0.4, 1)
    circuit.ry(0.2, 1)
    found = levels(circuit)
    assert [axis for axis, _ in found[1].runs[0].gates] == [Z, Y]
    assert not any(level.phase for level in found)
