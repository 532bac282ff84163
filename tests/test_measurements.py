"""Measurements at the end of a circuit: which qubit goes to which classical bit, and what no longer is the end."""

import numpy as np
import pytest
import torch
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import Clbit, Measure, Parameter, Qubit
from qiskit.circuit.library import QFT, EfficientSU2, RealAmplitudes

import qiskit_torch_module as qtm
from conftest import NIGHTLY
from qiskit_torch_module import FastEstimator, QuantumModule
from qiskit_torch_module._reading.measurements import (
    Measurements,
    Register,
    read_measurements,
    with_measurements,
    without_measurements,
    written_measurements,
)


def rotated(num_qubits, *registers):
    circuit = QuantumCircuit(QuantumRegister(num_qubits, "q"), *registers)
    for qubit in range(num_qubits):
        circuit.ry(0.3 + qubit, qubit)
    circuit.cx(0, num_qubits - 1)
    return circuit


def all_of_three():
    circuit = rotated(3)
    circuit.measure_all()
    return circuit


def reordered():
    circuit = rotated(3, ClassicalRegister(2, "a"), ClassicalRegister(3, "b"))
    circuit.measure([2, 0], [4, 0])
    circuit.barrier()
    circuit.measure(1, 2)
    return circuit


def twice():
    """One qubit into two bits; two qubits into one bit, of which the later counts."""
    circuit = rotated(3, ClassicalRegister(3, "c"))
    circuit.measure([0, 0, 1, 2], [0, 1, 2, 2])
    return circuit


def apart():
    """Measured while others go on, with a delay and a barrier behind."""
    circuit = rotated(3, ClassicalRegister(1, "c"))
    circuit.measure(1, 0)
    circuit.h(0)
    circuit.cx(0, 2)
    circuit.delay(10, 1)
    circuit.barrier()
    return circuit


def loose():
    """Bits outside of registers, and one that is in two."""
    bits = [Clbit(), Clbit(), Clbit()]
    circuit = QuantumCircuit([Qubit(), Qubit()], bits)
    circuit.add_register(
        ClassicalRegister(name="x", bits=[bits[2], bits[0]]), ClassicalRegister(name="y", bits=bits[2:])
    )
    circuit.measure([0, 1], [2, 1])
    return circuit


def unread():
    return rotated(2, ClassicalRegister(2, "c"))


CIRCUITS = {
    all_of_three: ((0, 1, 2), [("meas", (0, 1, 2))]),
    reordered: ((0, None, 1, None, 2), [("a", (0, None)), ("b", (1, None, 2))]),
    twice: ((0, 0, 2), [("c", (0, 0, 2))]),
    apart: ((1,), [("c", (1,))]),
    loose: ((None, 1, 0), [("x", (0, None)), ("y", (0,))]),
    unread: ((None, None), [("c", (None, None))]),
    lambda: rotated(2): ((), []),
}


@pytest.mark.parametrize("build", CIRCUITS)
def test_which_qubit_goes_where(build):
    bits, registers = CIRCUITS[build]
    unmeasured, measurements = without_measurements(build())
    assert "measure" not in unmeasured.count_ops()
    assert measurements.bits == bits
    assert [(one.name, measurements.sources(one)) for one in measurements.registers] == registers
    assert measurements.qubits == tuple(sorted({qubit for qubit in bits if qubit is not None}))


@pytest.mark.parametrize("build", CIRCUITS)
def test_the_circuit_that_was_given_stays_as_it_is(build):
    circuit = build()
    before = circuit.copy()
    without_measurements(circuit)
    assert circuit == before


@pytest.mark.parametrize("build", CIRCUITS)
def test_put_back_they_are_the_same(build):
    _, measurements = without_measurements(build())
    bare = QuantumCircuit(3)
    assert without_measurements(with_measurements(bare, measurements))[1] == measurements
    assert read_measurements(written_measurements(measurements), 3) == measurements


@pytest.mark.parametrize("build", CIRCUITS)
def test_a_module_does_without_them(build, tmp_path):
    """Expectation values are those of the circuit before; the circuit comes back whole, from files too."""
    circuit = build()
    model = QuantumModule(circuit, None, None)
    bare, measurements = without_measurements(circuit)
    assert model().tolist() == QuantumModule(bare, None, None)().tolist()
    assert model.circuit == circuit
    qtm.save(model, tmp_path / "model")
    loaded = qtm.load(tmp_path / "model")
    assert loaded().tolist() == model().tolist()
    assert without_measurements(loaded.circuit)[1] == measurements
    qtm.save(loaded, tmp_path / "again")
    assert qtm.load(tmp_path / "again")._final_measurements() == measurements


@pytest.mark.parametrize("interpret", [None, lambda outcome: outcome % 3])
def test_probabilities_are_those_of_the_classical_bits(interpret, tmp_path):
    """In their order; of the qubits that are named where some are."""
    circuit = rotated(3, ClassicalRegister(2, "a"), ClassicalRegister(1, "b"))
    circuit.measure([2, 0], [0, 2])
    given = qtm.outputs.Probabilities(interpret=interpret)
    model = QuantumModule(circuit, None, None, observables=given)
    named = QuantumModule(rotated(3), None, None, observables=qtm.outputs.Probabilities((2, 0), interpret))
    assert model().tolist() == named().tolist()
    qtm.save(model, tmp_path / "model")
    assert qtm.load(tmp_path / "model")().tolist() == named().tolist()
    other = qtm.outputs.Probabilities((1,))
    assert QuantumModule(circuit, None, None, observables=other)().tolist() == pytest.approx(
        QuantumModule(rotated(3), None, None, observables=other)().tolist()
    )
    table = qtm.FastSampler().probabilities(twice())[0]  # of a qubit that is measured into several bits
    classes = np.zeros(len(table) if interpret is None else 3)
    np.add.at(classes, [number if interpret is None else interpret(number) for number in range(len(table))], table)
    found = QuantumModule(twice(), None, None, observables=given).double()()
    np.testing.assert_allclose(found, classes[: len(found)], atol=1e-12)
    assert not classes[len(found) :].any()


def test_a_measured_circuit_trains():
    angle = Parameter("angle")
    circuit = QuantumCircuit(1)
    circuit.ry(angle, 0)
    circuit.measure_all()
    model = QuantumModule(circuit, None, [angle], variational_params_initial="constant")
    model().sum().backward()
    assert model.variational.grad.item() == pytest.approx(-np.sin(1.0), abs=1e-6)


@pytest.mark.filterwarnings("ignore")  # of Qiskit, about the future of such circuits
@pytest.mark.parametrize("build", [lambda: RealAmplitudes(3, reps=2), lambda: EfficientSU2(2, reps=1), lambda: QFT(3)])
def test_circuits_that_build_themselves(build):
    """Whose copies may do so once more, and then do everything twice."""
    circuit, bare = build(), build()
    weights = np.linspace(0.1, 2.0, circuit.num_parameters)
    circuit.measure_all()
    values = [
        QuantumModule(one, None, list(one.parameters), variational_params_initial=weights)() for one in (circuit, bare)
    ]
    assert values[0].tolist() == values[1].tolist()
    assert len(without_measurements(circuit)[0].parameters) == len(weights)


def in_the_middle():
    circuit = rotated(2, ClassicalRegister(2, "c"))
    circuit.measure(1, 0)
    circuit.h(1)
    circuit.measure([0, 1], [0, 1])
    return circuit


def then_controls():
    circuit = rotated(3, ClassicalRegister(3, "c"))
    circuit.measure([0, 1, 2], [0, 1, 2])
    circuit.cx(2, 0)
    return circuit


def then_reset():
    circuit = rotated(2, ClassicalRegister(2, "c"))
    circuit.measure(0, 1)
    circuit.reset(0)
    return circuit


def then_branches():
    circuit = rotated(2, ClassicalRegister(2, "c"))
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(1)
    return circuit


def branches_on_itself():
    circuit = rotated(2, ClassicalRegister(2, "c"))
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(0)
    return circuit


def inside_of_a_gate():
    circuit = rotated(2, ClassicalRegister(2, "c"))
    circuit.append(measured_pair().to_instruction(), [0, 1], [0, 1])
    return circuit


def measured_pair():
    circuit = QuantumCircuit(2, 2)
    circuit.measure([0, 1], [0, 1])
    return circuit


REFUSED = {
    in_the_middle: r"'measure' on qubits \[1\] into classical bit 0: expected measurements at the end only, "
    r"got 'h' on qubits \[1\] after it",
    then_controls: r"'measure' on qubits \[2\] into classical bit 2: .* got 'cx' on qubits \[2, 0\] after it",
    then_reset: r"'measure' on qubits \[0\] into classical bit 1: .* got 'reset' on qubits \[0\] after it",
    then_branches: r"'if_else' on qubits \[1\]: classical control is not supported",
    branches_on_itself: r"'measure' on qubits \[0\] into classical bit 0: .* got 'if_else' on qubits \[0\] after it",
    inside_of_a_gate: r"'measure' on qubits \[0\]: remove it.*circuit.decompose\(\)",
}


@pytest.mark.parametrize("build", REFUSED)
def test_what_is_not_the_end_is_refused(build):
    with pytest.raises(ValueError, match=f"^circuit: {REFUSED[build]}"):
        QuantumModule(build(), None, None)


@pytest.mark.filterwarnings("ignore")  # of Qiskit, about the future of conditions
def test_a_measurement_with_a_condition_is_refused():
    circuit = QuantumCircuit(2, 2)
    circuit.measure(0, 0)
    measure = Measure()
    if not hasattr(measure, "c_if"):
        pytest.skip("this Qiskit has no conditions of gates")
    circuit.append(measure.c_if(circuit.clbits[0], 1), [1], [1])
    with pytest.raises(ValueError, match=r"'measure' on qubits \[1\] uses classical bits"):
        QuantumModule(circuit, None, None)


def test_an_opened_instruction_is_understood():
    _, measurements = without_measurements(inside_of_a_gate().decompose())
    assert measurements.bits == (0, 1)


def test_estimators_refuse_them_as_those_of_qiskit_do():
    with pytest.raises(ValueError, match="'measure' on qubits"):
        FastEstimator().expectation_values(all_of_three(), "ZZZ")


def random_circuit(rng):
    """Gates, barriers and measurements of three qubits into two registers, in any order."""
    circuit = QuantumCircuit(QuantumRegister(3, "q"), ClassicalRegister(2, "a"), ClassicalRegister(2, "b"))
    for _ in range(rng.integers(1, 8)):
        first, second = rng.permutation(3)[:2]
        kind = rng.integers(8)
        if kind == 0:
            circuit.h(first)
        elif kind == 1:
            circuit.cx(first, second)
        elif kind == 2:
            circuit.barrier()
        else:
            circuit.measure(first, rng.integers(4))
    return circuit


def without_barriers(circuit):
    kept = circuit.copy_empty_like()
    for instruction in circuit.data:
        if instruction.operation.name != "barrier":
            kept.append(instruction)
    return kept


def test_random_circuits_as_qiskit_reads_them():
    """The same bits as its sampler; and a refusal wherever it finds measurements that are left over.

    It also finds those that only a barrier separates from what other qubits do later: barriers do nothing.
    """
    judge = pytest.importorskip("qiskit.primitives.statevector_sampler")
    rng, found = np.random.default_rng(None if NIGHTLY else 0), []
    for _ in range(20_000 if NIGHTLY else 300):
        circuit = random_circuit(rng)
        mapping = judge._final_measurement_mapping(circuit)
        left = without_barriers(circuit).remove_final_measurements(inplace=False).count_ops().get("measure", 0)
        try:
            _, measurements = without_measurements(circuit)
        except ValueError:
            assert left
            found.append("refused")
            continue
        assert not left
        found.append("read")
        for register, own in zip(circuit.cregs, measurements.registers, strict=True):
            expected = tuple(mapping.get((register, place)) for place in range(register.size))
            assert measurements.sources(own) == expected
    assert min(found.count(kind) for kind in ("read", "refused")) > 20


BAD = {
    "no dictionary": [1],
    "other fields": {"bits": []},
    "a qubit that is not there": {"bits": [3], "registers": []},
    "a truth value": {"bits": [True], "registers": []},
    "a bit that is not there": {"bits": [0], "registers": [["c", [1]]]},
    "a bit twice": {"bits": [0], "registers": [["c", [0, 0]]]},
    "no name": {"bits": [0], "registers": [[3, [0]]]},
    "a name twice": {"bits": [0], "registers": [["c", [0]], ["c", [0]]]},
    "a list within": {"bits": [0], "registers": [["c", [[0]]]]},
    "no list": {"bits": 5, "registers": []},
}


@pytest.mark.parametrize("name", BAD)
def test_damaged_ones_are_refused(name):
    with pytest.raises(ValueError, match="expected"):
        read_measurements(BAD[name], 3)


def test_they_are_values():
    one, other = (Measurements((0, None), (Register("c", (0, 1)),)) for _ in range(2))
    assert one == other
    assert hash(one) == hash(other)


def test_whole_modules_keep_them(tmp_path):
    model = QuantumModule(all_of_three(), None, None)
    torch.save(model, tmp_path / "whole")
    loaded = torch.load(tmp_path / "whole", weights_only=False)
    assert loaded._final_measurements().bits == (0, 1, 2)
    assert loaded().tolist() == model().tolist()
