"""Outputs of circuits on registers that are much wider than what is simulated."""

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import SparsePauliOp

import qiskit_torch_module as qtm
from qiskit_torch_module import QuantumModule
from qiskit_torch_module.outputs import DensityMatrix, Entropy, Fidelity, Probabilities, Purity, State, Variance

W = ParameterVector("w", 4)
PLACES = [90, 3, 41]


def circuit(places, width):
    made = QuantumCircuit(width)
    for qubit, angle in zip(places, W, strict=False):
        made.ry(angle, qubit)
    made.cx(places[0], places[2])
    made.rx(W[3], places[2])
    made.cx(places[1], places[2])
    return made


def paulis(labels, places, width):
    terms = [
        (letters, [places[qubit] for qubit in qubits], 1.0 + number) for number, (letters, qubits) in enumerate(labels)
    ]
    return SparsePauliOp.from_sparse_list(terms, num_qubits=width)


def observables(places, width):
    """Qubit 3 is idle, and read nevertheless."""
    sums = paulis([("ZX", [0, 2]), ("Y", [1]), ("YZ", [2, 3])], places, width)
    return {
        "probabilities": Probabilities([places[2], places[3], places[0]]),
        "classes": Probabilities(places, lambda outcome: outcome.bit_count() % 3, 3),
        "density matrix": DensityMatrix(places[1:]),
        "columns": [sums, Purity(places[:2]), Entropy([places[1]]), Variance(sums), Entropy(places[2:], 1.5)],
        "variance": Variance(sums),
    }


@pytest.mark.parametrize("name", observables([0, 1, 2, 3], 4))
def test_idle_qubits_take_no_memory(name, tmp_path):
    wide, narrow = [*PLACES, 100], [0, 1, 2, 3]
    model, judge = (
        QuantumModule(
            circuit(places, width), None, W, observables=observables(places, width)[name], seed_init=0
        ).double()
        for places, width in ((wide, 127), (narrow, 4))
    )
    torch.testing.assert_close(model(), judge())
    weights = torch.ones_like(model())
    gradients = [torch.autograd.grad(one(), one.variational, weights) for one in (model, judge)]
    torch.testing.assert_close(*gradients)
    qtm.save(model, tmp_path / "model")
    again = qtm.load(tmp_path / "model")
    assert torch.equal(again(), model())
    assert repr(again.observables) == repr(model.observables)
    assert again.circuit.num_qubits == 127
    by_pytorch = QuantumModule(
        circuit(wide, 127), None, W, observables=model.observables, seed_init=0, method="pytorch"
    )
    torch.testing.assert_close(by_pytorch.double()(), judge())


def test_errors_name_the_qubits_of_the_circuit():
    with pytest.raises(ValueError, match="qubits: expected qubits from 0 to 126, as the circuit has 127, got 127"):
        QuantumModule(circuit(PLACES, 127), None, W, observables=Purity([127]))


@pytest.mark.parametrize("width", [127, 3000])
@pytest.mark.parametrize("observables", [State(), Probabilities(), ["Z" * 3, Purity([0])], Fidelity(np.eye(8)[0])])
def test_what_reads_all_qubits_is_refused(width, observables):
    if isinstance(observables, list):
        observables = ["Z" * width, Purity([0])]
    message = "target: expected a state of" if isinstance(observables, Fidelity) else "states of .* take .* GiB"
    with pytest.raises(ValueError, match=message):
        QuantumModule(circuit(PLACES, width), None, W, observables=observables)
