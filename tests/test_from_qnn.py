"""Networks of qiskit-machine-learning, taken over with circuit, parameters, observables and weights."""

import warnings

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import SparsePauliOp

from qiskit_torch_module import QuantumModule

qml = pytest.importorskip("qiskit_machine_learning.neural_networks")
connectors = pytest.importorskip("qiskit_machine_learning.connectors")


def circuit_and_parameters():
    x, w = ParameterVector("x", 2), ParameterVector("w", 11)  # w[10] comes after w[9], not after w[1]
    circuit = QuantumCircuit(2)
    for layer in range(5):
        for q in range(2):
            circuit.ry(w[2 * layer + q], q)
            circuit.rx(x[q] * 0.5, q)
        circuit.cx(0, 1)
    circuit.rz(w[10], 0)
    return circuit, x, w


def network(**options):
    circuit, x, w = circuit_and_parameters()
    # The order of the weights is the network's own.
    options = {"input_params": list(x), "weight_params": list(w)[::-1], **exactly(), **options}
    return qml.EstimatorQNN(circuit=circuit, **options)


def exactly():
    """Without noise, where networks have some by themselves."""
    return {"default_precision": 0.0} if "default_precision" in qml.EstimatorQNN.__init__.__annotations__ else {}


OBSERVABLES = [None, SparsePauliOp("ZI"), [SparsePauliOp("XX"), SparsePauliOp(["ZZ", "IY"], [1.0, -2.0])]]


@pytest.mark.filterwarnings("ignore")  # of qiskit-machine-learning, about its own future
@pytest.mark.parametrize("observables", OBSERVABLES)
def test_a_network_with_the_connector_around_it(observables):
    old = connectors.TorchConnector(network(observables=observables), np.linspace(-1, 1, 11))
    new = QuantumModule.from_qnn(old)
    rows = torch.rand(4, 2)
    torch.testing.assert_close(new(rows), old(rows).to(torch.float32), rtol=0, atol=1e-5)
    fresh = QuantumModule.from_qnn(old.neural_network)
    assert not torch.equal(fresh.variational, new.variational)
    fresh.load_state_dict(old.state_dict())
    assert torch.equal(fresh.variational, old.weight)
    assert torch.equal(fresh.weight, old.weight)
    named = QuantumModule.from_qnn(old.neural_network, variational_params_names="weight")
    named.load_state_dict(old.state_dict())
    assert torch.equal(named.weight, old.weight)


BY_POSITION = not hasattr(qml.EstimatorQNN, "_reparameterize_circuit")  # before 0.8 of qiskit-machine-learning


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("in_order", [True, False])
def test_whose_order_a_network_follows(in_order):
    """What the network computes, whatever it was told; with a word where the two differ."""
    circuit = circuit_and_parameters()[0]
    order = list(circuit.parameters)  # weights before inputs
    order = order if in_order else order[::-1]
    old = connectors.TorchConnector(
        qml.EstimatorQNN(circuit=circuit, input_params=order[:2], weight_params=order[2:], **exactly()),
        np.linspace(-1, 1, 11),
    )
    rows = torch.rand(4, 2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        new = QuantumModule.from_qnn(old)
        told = QuantumModule.from_qnn(old, encoding_params=order[:2], variational_params=order[2:])  # without a word
    torch.testing.assert_close(new(rows), old(rows).to(torch.float32), rtol=0, atol=1e-5)
    found = [one for one in caught if "gives values to circuit.parameters by position" in str(one.message)]
    assert len(found) == (BY_POSITION and not in_order)
    assert all(one.filename == __file__ for one in found)
    assert torch.allclose(told(rows), new(rows)) == (in_order or not BY_POSITION)


@pytest.mark.filterwarnings("ignore")
def test_arguments_of_the_constructor_come_first():
    new = QuantumModule.from_qnn(
        network(), variational_params_names="theta", observables="XX", num_threads_forward=1, seed_init=3
    )
    assert list(new.state_dict()) == ["theta"]
    assert (new.output_size, new.num_threads_forward, new.input_size) == (1, 1, 2)


@pytest.mark.filterwarnings("ignore")
def test_a_network_without_inputs():
    circuit, x, w = circuit_and_parameters()
    circuit = circuit.assign_parameters({x: [0.1, 0.2]})
    old = connectors.TorchConnector(qml.EstimatorQNN(circuit=circuit, weight_params=list(w)))
    new = QuantumModule.from_qnn(old)
    assert new().shape == (1,)
    assert torch.equal(new.variational, old.weight)


@pytest.mark.parametrize("other", [3, torch.nn.Linear(2, 2), None])
def test_other_networks_are_refused(other):
    with pytest.raises(TypeError, match="qnn: expected an EstimatorQNN .* make the QuantumModule from its circuit"):
        QuantumModule.from_qnn(other)
