"""The walk over circuits: order, qubits, and how many operations there may be."""

import random

import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Gate

from conftest import NIGHTLY
from qiskit_torch_module._program.cache import cached_program
from qiskit_torch_module._program.compile import compile_program
from qiskit_torch_module._reading import walk
from qiskit_torch_module._reading.operations import Circuits, TooManyError


class Recorder(walk.Walk):
    """Notes all it meets; passes by the circuits of some names."""

    def __init__(self, passed_by=()):
        self.met, self.passed_by = [], passed_by

    def enter(self, circuit, on):
        self.met.append(("enter", circuit.name, tuple(on)))
        return None if circuit.name in self.passed_by else on

    def leave(self, circuit):
        self.met.append(("leave", circuit.name))

    def gate(self, gate, instruction, qubits):
        self.met.append((instruction.name, tuple(qubits)))

    def idle(self, operation, qubits):
        self.met.append((operation.name, tuple(qubits)))

    def operation(self, found, operation, qubits):
        if isinstance(found, Circuits):
            return found.circuits
        self.met.append((operation.name, tuple(qubits)))
        return None


def random_circuit(choice, depth, name="all"):
    """A circuit of gates, barriers, resets and circuits, each named by its place, to some depth; what a walk meets."""
    size = choice.randint(1, 4)
    circuit = QuantumCircuit(size, name=name)
    inside = []
    for index in range(choice.randint(0, 5)):
        qubits = choice.sample(range(size), choice.randint(1, size))
        # An instruction holds no loops: Qiskit refuses it.
        kind = choice.choice(["h", "reset", "barrier", "circuit", "loop" if name == "all" else "circuit"])
        if kind == "barrier":
            circuit.barrier()
            inside.append((kind, tuple(range(size))))
        elif kind in ("h", "reset"):
            getattr(circuit, kind)(qubits[0])
            inside.append((kind, (qubits[0],)))
        elif depth > 0:
            inner, met = random_circuit(choice, depth - 1, f"{name}.{index}")
            on = choice.sample(range(size), inner.num_qubits) if inner.num_qubits <= size else None
            if on is None:
                continue
            if kind == "circuit":
                circuit.append(inner.to_instruction(), on)
            else:
                circuit.for_loop(range(2), None, inner, on, [])
            inside += [(met, on)] * (1 if kind == "circuit" else 2)
    return circuit, [("enter", name), *inside, ("leave", name)]


def flattened(met, on):
    """What was met, on the qubits of the whole circuit."""
    for what, where in met:
        if isinstance(what, list):
            yield from flattened(what, [on[qubit] for qubit in where])
        elif what == "enter":
            yield what, where, tuple(on)
        else:
            yield (what, where) if what == "leave" else (what, tuple(on[qubit] for qubit in where))


def test_operations_are_met_in_order_and_on_the_qubits_of_the_whole_circuit():
    for seed in range(3000 if NIGHTLY else 100):
        circuit, met = random_circuit(random.Random(seed), 3)
        recorder = Recorder()
        recorder.over(circuit)
        expected = list(flattened(met, range(circuit.num_qubits)))
        assert [one for one in recorder.met if one[0] not in ("enter", "leave")] == [
            one for one in expected if one[0] not in ("enter", "leave")
        ], f"seed {seed}"
        assert [one[2] for one in recorder.met if one[0] == "enter"] == [
            one[2] for one in expected if one[0] == "enter"
        ], f"seed {seed}"


def nested():
    inner = QuantumCircuit(2, name="inner")
    inner.cx(1, 0)
    outer = QuantumCircuit(3, name="outer")
    outer.h(2)
    outer.append(inner.to_instruction(), [2, 0])
    outer.append(inner.to_instruction(), [0, 1])
    outer.x(1)
    return outer


def test_circuits_may_be_passed_by():
    recorder = Recorder(["inner"])
    recorder.over(nested())
    assert recorder.met == [
        ("enter", "outer", (0, 1, 2)),
        ("h", (2,)),
        ("enter", "inner", (2, 0)),
        ("enter", "inner", (0, 1)),
        ("x", (1,)),
        ("leave", "outer"),
    ]
    assert recorder.num_operations == 1 + 4
    recorder = Recorder(["outer"])
    recorder.over(nested())
    assert recorder.met == [("enter", "outer", (0, 1, 2))]


@pytest.mark.parametrize(("most", "is_refused"), [(8, True), (9, False)])
def test_all_operations_count_and_the_circuits_around_them(monkeypatch, most, is_refused):
    """Where circuits are read once and where every repetition is."""
    monkeypatch.setattr(walk, "MAX_OPERATIONS", most)
    for read in (Recorder().over, *_readers()):
        if is_refused:
            with pytest.raises(TooManyError):
                read(nested())
        else:
            read(nested())


def test_a_gate_that_is_made_of_itself_has_too_many_operations(monkeypatch):
    class Endless(Gate):
        def __init__(self):
            super().__init__("endless", 1, [])
            self.definition = QuantumCircuit(1)
            self.definition.append(self, [0])

    monkeypatch.setattr(walk, "MAX_OPERATIONS", 1000)
    circuit = QuantumCircuit(1)
    circuit.append(Endless(), [0])
    for read in _readers():
        with pytest.raises(TooManyError, match="expected at most"):
            read(circuit)


def _readers():
    return [
        lambda circuit: cached_program(circuit, "individualZ", [], []),
        lambda circuit: compile_program(circuit, "individualZ", [], []),
    ]
