"""Python's garbage collector stays out of compilation, and comes back as it was."""

import gc
import threading

import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector

from qiskit_torch_module import QuantumModule
from qiskit_torch_module._core.collector import without_collections


def layers(depth):
    circuit, angles = QuantumCircuit(6), ParameterVector("t", 6 * depth)
    for index, angle in enumerate(angles):
        circuit.ry(angle, index % 6)
        circuit.cx(index % 6, (index + 1) % 6)
    return circuit, list(angles)


@pytest.fixture
def collections():
    """Generations that were collected since."""
    seen = []

    def note(phase, info):
        if phase == "start":
            seen.append(info["generation"])

    gc.collect()
    gc.callbacks.append(note)
    yield seen
    gc.callbacks.remove(note)


def test_no_collection_while_a_circuit_is_compiled(collections):
    circuit, angles = layers(depth=80)
    collections.clear()
    module = QuantumModule(circuit, None, [angles])
    assert len(collections) <= 1  # what it left, afterwards
    assert module.output_size == 6
    assert gc.isenabled()


def test_collected_without_it(collections):
    def work():
        return [[index] for index in range(10_000)]

    work()
    assert len(collections) > 1
    collections.clear()
    without_collections(work)()
    assert len(collections) <= 1


def test_back_after_an_error():
    circuit = QuantumCircuit(1, 1)
    circuit.measure(0, 0)
    circuit.h(0)
    with pytest.raises(ValueError, match="measure"):
        QuantumModule(circuit, None, None)
    assert gc.isenabled()


def test_disabled_stays_disabled():
    gc.disable()
    try:
        without_collections(list)()
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_back_when_the_last_thread_is_through():
    inside, may_leave = threading.Event(), threading.Event()

    @without_collections
    def wait():
        inside.set()
        may_leave.wait()

    thread = threading.Thread(target=wait)
    thread.start()
    inside.wait()
    without_collections(list)()
    assert not gc.isenabled()
    may_leave.set()
    thread.join()
    assert gc.isenabled()
