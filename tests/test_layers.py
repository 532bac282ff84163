"""What becomes of rotations: fused runs, shared layers, phases."""

import itertools
import pickle
import random
import re
import sys
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector

import slow_layers
from circuits_zoo import reuploading
from conftest import NIGHTLY
from qiskit_torch_module import QuantumModule, explain
from qiskit_torch_module._core import timing
from qiskit_torch_module._program import evolution
from qiskit_torch_module._program.compile import compile_program
from qiskit_torch_module._program.layers import X, Y, Z, layers_of
from qiskit_torch_module._program.passes import Passes


def layers(circuit, parameters=()):
    return layers_of(compile_program(circuit, "individualZ", list(parameters), []).evolution.rotations)[0]


def test_the_reference_workload_is_one_layer_per_entangling_ring():
    case = reuploading(5, 3)
    program = compile_program(case.circuit, "individualZ", case.encoding, case.variational)
    found, _ = layers_of(program.evolution.rotations)
    assert [len(layer.runs) for layer in found] == [5] * 4
    assert all(not layer.phase for layer in found)
    # RY(c x) RZ(c x) RZ(b) RY(b) between two rings: three rotations, the two RZ in one.
    assert [[axis for axis, _ in run.gates] for run in found[1].runs] == [[Y, Z, Y]] * 5


def test_swaps_and_cx_cost_nothing():
    circuit = QuantumCircuit(3)
    circuit.cx(0, 1)
    circuit.swap(1, 2)
    circuit.x(2)
    assert layers(circuit) == ()


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
    first, second = layers(circuit, a)
    # The RZ of cp(0, 2) fuse into the Hadamards; what is left is one angle for each of 01, 12, 02.
    assert sorted(first.phase) == [0b011, 0b101, 0b110]
    assert [run.gates[-1][0] for run in second.runs] == [X, X]


def test_phases_on_the_zero_state_and_cancelling_rotations_vanish():
    circuit = QuantumCircuit(2)
    circuit.rz(0.3, 0)
    circuit.cz(0, 1)
    circuit.rx(0.5, 1)
    circuit.rx(-0.5, 1)
    assert layers(circuit) == ()


def test_a_phase_before_a_rotation_of_its_qubit_joins_the_run():
    circuit = QuantumCircuit(2)
    circuit.h([0, 1])
    circuit.cx(0, 1)
    circuit.rz(0.4, 1)
    circuit.ry(0.2, 1)
    found = layers(circuit)
    assert [axis for axis, _ in found[1].runs[0].gates] == [Z, Y]
    assert not any(layer.phase for layer in found)


WORDS = ["rx", "ry", "rz", "rzz", "rxx", "rzx", "cx", "swap", "x"]
PARAMETERS = ParameterVector("p", 3)


def random_rotations(seed):
    """Of some gates in a random mixture, many of which commute, join or cancel."""
    choice = random.Random(seed)
    num_qubits, num_gates = choice.choice([1, 2, 3, 5, 8]), choice.choice([5, 20, 60])
    weights = [choice.random() ** 2 + 0.01 for _ in WORDS]
    circuit = QuantumCircuit(num_qubits)
    for parameter in PARAMETERS:
        circuit.ry(parameter, 0)
    for _ in range(num_gates):
        name = choice.choices(WORDS, weights)[0]
        width = 1 if name in ("rx", "ry", "rz", "x") else 2
        angles = [choice.choice([0.5, -0.5, *PARAMETERS, -PARAMETERS[0]])] if name.startswith("r") else []
        if width <= num_qubits:
            getattr(circuit, name)(*angles, *choice.sample(range(num_qubits), width))
    return compile_program(circuit, "individualZ", [], [list(PARAMETERS)]).evolution.rotations


def plain(planned):
    found, phase = planned
    return [([(run.x, run.z, list(run.gates)) for run in one.runs], list(one.phase.items())) for one in found], phase


@pytest.mark.parametrize("passes", [Passes(), Passes(fusion=False), Passes(product_state=False)], ids=repr)
def test_layers_are_those_of_a_planner_that_looks_at_all_of_them(passes):
    for seed in range(20_000 if NIGHTLY else 250):
        rotations = random_rotations(seed)
        expected = plain(slow_layers.layers_of(rotations, passes))
        assert plain(layers_of(rotations, passes)) == expected, f"seed {seed}"


def waiting(repetitions):
    """A qubit waits, and gets a phase now and then, which slides back to its only gate."""
    circuit = QuantumCircuit(3)
    circuit.h(2)
    for i in range(repetitions):
        circuit.rx(0.1 + i % 7, 0)
        circuit.ry(0.2 + i % 5, 1)
        circuit.cx(0, 1)
        circuit.rz(0.01 * i, 2)
    return circuit


def far_flips(repetitions):
    """The same with rotations about X, and with one that finds the phase of its qubit far below."""
    circuit = waiting(repetitions)
    circuit.cx(2, 0)
    for i in range(repetitions):
        circuit.rx(0.1 + i % 7, 1)
        circuit.ry(0.2 + i % 5, 1)
        circuit.rz(0.3, 2)
        circuit.rx(0.1 * i, 2)
    return circuit


def growing(repetitions):
    """Sums of many parameters: in a run, in a phase and in the global phase."""
    weights = ParameterVector("w", repetitions)
    circuit = QuantumCircuit(2)
    circuit.h([0, 1])
    for weight in weights:
        circuit.rzz(weight, 0, 1)
        circuit.p(weight, 0)
    circuit.ry(0.3, [0, 1])
    return circuit


def test_what_takes_long_before_the_first_value_says_so_once(monkeypatch, caplog):
    case = reuploading(3, 1)

    def first_call():
        caplog.clear()
        QuantumModule(case.circuit, case.encoding, case.variational, observables=[np.eye(8), "ZZZ"])(torch.zeros(3))
        return [record.getMessage() for record in caplog.records if record.name == "qiskit_torch_module"]

    case.circuit.rx(0.125, 0)
    assert first_call() == []
    monkeypatch.setattr(timing, "SLOW", 0.0)
    case.circuit.rx(0.25, 0)
    compiling, preparing = first_call()
    assert re.fullmatch(
        r"compiling a circuit of 3 qubits took \d\.\d s \(2 observables read in .* s, \d+ gates read as \d+ rotations "
        r"in .* s, 2 Pauli strings of 2 observables rewritten in .* s\); "
        r"not again in this process for the same circuit, observables and parameters",
        compiling,
    )
    assert re.fullmatch(
        r"preparing the simulation of 3 qubits, before its first value, took .* s \(\d+ rotations put into \d+ layers in "
        r".*, engine made .*\); not again in this process .*",
        preparing,
    )
    assert first_call() == []


def lines_run(function, *arguments):
    """How many lines of Python a call runs."""
    count, before = itertools.count(), sys.gettrace()

    def trace(frame, event, argument):
        next(count)
        return trace

    sys.settrace(trace)
    try:
        function(*arguments)
    finally:
        sys.settrace(before)
    return next(count)


def test_layers_are_found_once_for_the_engine_its_phase_and_explain(monkeypatch):
    calls = []
    monkeypatch.setattr(evolution, "layers_of", lambda *arguments: calls.append(arguments) or layers_of(*arguments))
    case = reuploading(3, 2)
    case.circuit.rx(0.375, 0)
    model = QuantumModule(case.circuit, case.encoding, case.variational)
    explain(model)
    model(torch.zeros(3))
    found = model._program.evolution
    assert (found.layers, found.whole_phase) == (found.layers, found.whole_phase)
    assert len(calls) == 1
    assert pickle.loads(pickle.dumps(found)).layers == found.layers
    assert len(calls) == 2  # a pickle does not hold them


def test_a_layer_cannot_be_changed():
    circuit = QuantumCircuit(2)
    circuit.h([0, 1])
    layer, *_ = layers(circuit)
    for value, name in ((layer, "runs"), (layer, "phase"), (layer.runs[0], "gates")):
        with pytest.raises(FrozenInstanceError):
            setattr(value, name, ())
    assert type(layer.runs) is type(layer.runs[0].gates) is tuple


@pytest.mark.parametrize("build", [waiting, far_flips, growing])
def test_planning_takes_steps_in_proportion_to_gates(build):
    def steps(repetitions):
        circuit = build(repetitions)
        return lines_run(
            layers_of, compile_program(circuit, "individualZ", [], [list(circuit.parameters)]).evolution.rotations
        )

    assert steps(800) < 3 * steps(400)
