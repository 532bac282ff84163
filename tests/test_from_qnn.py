"""Networks of qiskit-machine-learning, taken over with circuit, parameters, observables and weights."""

import warnings

import numpy as np
import pytest
import torch
from qiskit import ClassicalRegister, QuantumCircuit
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
    with pytest.raises(
        TypeError, match="qnn: expected an EstimatorQNN or SamplerQNN .* make the QuantumModule from its circuit"
    ):
        QuantumModule.from_qnn(other)


def parity(outcome):
    return bin(outcome).count("1") % 2


CLASSES = {
    "outcomes": {},
    "parity": {"interpret": parity, "output_shape": 2},
    "pairs": {"interpret": lambda outcome: (outcome & 1, outcome >> 1), "output_shape": (2, 4)},
    "an array of numbers": {"interpret": lambda outcome: np.int64(outcome // 2), "output_shape": (3,)},
}
MEASURED = {"all by itself": None, "in order": [0, 1], "the other way round": [1, 0]}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("bits", MEASURED)
@pytest.mark.parametrize("classes", CLASSES)
def test_a_sampler_network_with_the_connector_around_it(classes, bits):
    """Values and gradients of both, on whichever qubits it measures into whichever bits."""
    circuit, x, w = circuit_and_parameters()
    if MEASURED[bits] is not None:
        circuit.add_register(ClassicalRegister(2, "meas"))  # the one that 0.9 reads row by row
        circuit.measure([0, 1], MEASURED[bits])
    old = qml.SamplerQNN(circuit=circuit, input_params=list(x), weight_params=list(w), **CLASSES[classes])
    weights, rows = np.linspace(-1, 1, 11), np.random.default_rng(0).normal(size=(2, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        new = QuantumModule.from_qnn(connectors.TorchConnector(old, weights)).double()
    values = new(torch.from_numpy(rows))
    np.testing.assert_allclose(values.detach().numpy(), old.forward(rows, weights), atol=1e-6)
    assert values.shape == (2, *old.output_shape)
    slopes = old.backward(rows[:1], weights)[1][0].reshape(-1, 11)
    for number, value in enumerate(values[0].flatten()):
        (gradient,) = torch.autograd.grad(value, new.variational, retain_graph=True)
        np.testing.assert_allclose(gradient.numpy(), slopes[number], atol=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_a_sampler_network_that_measures_some():
    circuit, x, w = circuit_and_parameters()
    circuit.add_register(ClassicalRegister(1, "c"))
    circuit.measure(1, 0)
    old = qml.SamplerQNN(
        circuit=circuit,
        input_params=list(x),
        weight_params=list(w),
        interpret=lambda outcome: 1 - outcome,
        output_shape=2,
    )
    weights = np.linspace(-1, 1, 11)
    new = QuantumModule.from_qnn(old, variational_params_initial=weights)
    np.testing.assert_allclose(new([0.1, 0.2]).tolist(), old.forward([0.1, 0.2], weights)[0], atol=1e-5)
    assert QuantumModule.from_qnn(old, observables="IZ").output_size == 1


@pytest.mark.filterwarnings("ignore")
def test_a_class_out_of_range_names_the_outcome():
    circuit, x, w = circuit_and_parameters()
    old = qml.SamplerQNN(
        circuit=circuit, input_params=list(x), weight_params=list(w), interpret=lambda outcome: outcome, output_shape=3
    )
    with pytest.raises(
        ValueError, match=r"interpret: expected classes within output_shape \(3,\), got 3 for outcome 3"
    ):
        QuantumModule.from_qnn(old)
