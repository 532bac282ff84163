"""`explain`: what it takes, what it refuses, and that its table says what is there."""

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector
from qiskit.quantum_info import random_unitary

from qiskit_torch_module import HybridModule, QuantumModule, explain
from qiskit_torch_module._core.sizes import said_bytes
from qiskit_torch_module._reading.compat import UnitaryGate

x, w = ParameterVector("x", 2), ParameterVector("w", 2)


def small_circuit():
    circuit = QuantumCircuit(2)
    for qubit in range(2):
        circuit.ry(w[qubit], qubit)
        circuit.rx(x[qubit], qubit)
    circuit.cx(0, 1)
    return circuit


MODEL = QuantumModule(small_circuit(), x, w, seed_init=0)

REFUSED = [
    ({"batch_size": -1}, ValueError, "batch_size: expected a whole number from 1"),
    ({"batch_size": 0}, ValueError, "batch_size: expected a whole number from 1"),
    ({"batch_size": 2**70}, ValueError, "batch_size: expected a whole number from 1"),
    ({"batch_size": 2.5}, TypeError, "batch_size: expected a whole number, at least 1, got 2.5"),
    ({"batch_size": True}, TypeError, "batch_size: expected a whole number, at least 1, got True"),
    ({"batch_size": "3"}, TypeError, "batch_size: expected a whole number, at least 1, got '3'"),
    ({"batch_size": None}, TypeError, "batch_size: expected a whole number, at least 1, got None"),
    ({"dtype": torch.float16}, ValueError, "dtype: expected torch.float32 or torch.float64, got torch.float16"),
    ({"dtype": torch.complex64}, ValueError, "dtype: expected torch.float32 or torch.float64"),
    ({"dtype": "float32"}, ValueError, "dtype: expected torch.float32 or torch.float64, got 'float32'"),
    ({"dtype": np.float64}, ValueError, "dtype: expected torch.float32 or torch.float64"),
    ({"num_threads": -3}, ValueError, "num_threads: expected a number of threads, 0 for as many as PyTorch uses"),
    ({"num_threads": 1.5}, ValueError, "num_threads: expected a number of threads"),
    ({"num_threads": True}, ValueError, "num_threads: expected a number of threads"),
    ({"num_threads": 2**70}, ValueError, "num_threads: expected a number of threads, at most 65536"),
    ({"encoding_params": x}, ValueError, "encoding_params: a module has its own"),
    ({"encoding_params": torch.ones(3, 2)}, TypeError, "encoding_params: a module has its own, got a tensor of"),
    ({"observables": "ZZ"}, ValueError, "observables: a module has its own"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), REFUSED, ids=[str(one[0]) for one in REFUSED])
def test_arguments_that_it_refuses(arguments, error, message):
    with pytest.raises(error) as caught:
        explain(MODEL, **arguments)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    "given", [5, None, "circuit", QuantumModule, [small_circuit()], torch.nn.Linear(2, 2)], ids=repr
)
def test_what_is_no_circuit_is_refused(given):
    with pytest.raises(TypeError, match="circuit: expected a QuantumCircuit, QuantumModule or HybridModule, got"):
        explain(given)


def test_parameters_are_read_as_a_module_reads_them():
    circuit = small_circuit()
    assert str(explain(circuit, (one for one in x))) == str(explain(circuit, x)) == str(explain(MODEL))
    assert explain(circuit, x[0]).num_rotations == 4
    with pytest.raises(TypeError, match="encoding_params: expected an ordered sequence of parameters, got a set"):
        explain(circuit, set(x))
    with pytest.raises(ValueError, match="parameters not in the circuit: 'y'"):
        explain(circuit, [Parameter("y")])


def test_a_hybrid_module_stands_for_its_quantum_layer():
    hybrid = HybridModule(small_circuit(), x, w, 3, 2)
    assert str(explain(hybrid)) == str(explain(hybrid.quantum))
    assert explain(hybrid.double()).precision == "float64"


@pytest.mark.parametrize(
    ("own", "given", "precision"),
    [
        (torch.float32, None, "float32"),
        (torch.float64, None, "float64"),
        (torch.float16, None, "float32"),
        (torch.bfloat16, None, "float32"),
        (torch.float64, torch.float32, "float32"),
    ],
)
@pytest.mark.parametrize("trainable", [True, False], ids=["weights", "no_weights"])
def test_it_speaks_of_the_precision_in_which_a_module_computes(own, given, precision, trainable):
    circuit = small_circuit() if trainable else small_circuit().assign_parameters(dict.fromkeys(w, 0.1))
    model = QuantumModule(circuit, x, w if trainable else None).to(own)
    assert explain(model, dtype=given).precision == precision
    assert explain(circuit, x, dtype=given).precision == "float32"


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "0.977 KiB"), (1023 << 10, "0.999 MiB"), (1 << 20, "1 MiB"), (5e9, "4.66 GiB")],
)
def test_bytes_are_said_in_three_digits(count, text):
    assert said_bytes(count) == text


def test_matrices_are_no_rotations():
    circuit = QuantumCircuit(6)
    for qubit in range(6):
        circuit.ry(0.1 + qubit, qubit)
    circuit.append(UnitaryGate(random_unitary(32, seed=1)), range(5))
    circuit.append(UnitaryGate(random_unitary(16, seed=1)), range(1, 5))
    lines = dict(line.split("  ", 1) for line in str(explain(circuit)).splitlines())
    text = lines["step by step"].strip()
    assert text == "6 rotations and 2 matrices (1 on 4 qubits, 1 on 5 qubits): 3.97 passes over the state"
    one = QuantumCircuit(5)
    one.append(UnitaryGate(random_unitary(32, seed=1)), range(5))
    assert "0 rotations and 1 matrix (1 on 5 qubits): 1 passes over the state" in str(explain(one))
