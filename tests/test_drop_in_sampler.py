"""Stock classes of qiskit-machine-learning and qiskit-algorithms, with our sampler and gradient swapped in."""

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.circuit.library import RealAmplitudes, ZFeatureMap
from qiskit.quantum_info import SparsePauliOp, Statevector, state_fidelity

from circuits_zoo import reuploading
from qiskit_torch_module import FastEstimator, FastReverseSamplerGradient, FastSampler

pytestmark = pytest.mark.filterwarnings("ignore")  # they warn of their own futures

# qiskit-machine-learning 0.7 speaks V1, 0.8 both, 0.9 V2; qiskit-algorithms up to 0.3 V1, from 0.4 on V2. Samplers that
# they make for themselves are exact.


def parity(outcome):
    return bin(outcome).count("1") % 2


def optimizers():
    try:
        from qiskit_machine_learning import optimizers
    except ImportError:
        from qiskit_algorithms import optimizers
    return optimizers


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("interpret", [None, parity, lambda outcome: (outcome & 1, outcome >> 1)])
def test_sampler_qnn_and_torch_connector(interpret, sparse):
    networks = pytest.importorskip("qiskit_machine_learning.neural_networks")
    from qiskit_machine_learning.connectors import TorchConnector

    if sparse:
        pytest.importorskip("sparse")
    case = reuploading(3, 1)
    weights = np.random.default_rng(0).uniform(-1, 1, sum(map(len, case.variational)))
    inputs = torch.rand(2, 3, generator=torch.Generator().manual_seed(0))
    shape = None if interpret is None else 2 if interpret is parity else (2, 4)
    found = []
    for swapped in ({}, {"sampler": FastSampler(), "gradient": FastReverseSamplerGradient()}):
        network = networks.SamplerQNN(
            circuit=case.circuit,
            input_params=case.encoding,
            weight_params=[p for one in case.variational for p in one],
            interpret=interpret,
            output_shape=shape,
            sparse=sparse,
            input_gradients=True,
            **swapped,
        )
        forward, backward = network.forward(inputs.numpy(), weights), network.backward(inputs.numpy(), weights)
        arrays = [forward, *backward]
        found.append([array.todense() if sparse else array for array in arrays])
        if sparse or isinstance(shape, tuple):  # which the connector does not take
            continue
        model, x = TorchConnector(network, initial_weights=weights), inputs.clone().requires_grad_()
        values = model(x)
        values.square().sum().backward()
        found[-1] += [values.detach().numpy(), model.weight.grad.numpy(), x.grad.numpy()]
    for stock, fast in zip(*found, strict=True):
        np.testing.assert_allclose(fast, stock, atol=1e-6)


def test_sampler_qnn_of_a_measured_circuit():
    """Bits in an order of their own."""
    networks = pytest.importorskip("qiskit_machine_learning.neural_networks")
    features, ansatz = ZFeatureMap(2), RealAmplitudes(2, reps=1)
    circuit = QuantumCircuit(2, 2).compose(features).compose(ansatz).decompose()
    circuit.measure([0, 1], [1, 0])
    found = []
    for swapped in ({}, {"sampler": FastSampler(), "gradient": FastReverseSamplerGradient()}):
        network = networks.SamplerQNN(
            circuit=circuit,
            input_params=list(features.parameters),
            weight_params=list(ansatz.parameters),
            **swapped,
        )
        found.append([network.forward([[0.3, 0.9]], np.arange(4.0)), network.backward([[0.3, 0.9]], np.arange(4.0))[1]])
    for stock, fast in zip(*found, strict=True):
        np.testing.assert_allclose(fast, stock, atol=1e-9)


@pytest.mark.parametrize("swapped", [False, True])
def test_sampler_qnn_without_parameters(swapped):
    """Which asks for the first of rows that there are not."""
    networks = pytest.importorskip("qiskit_machine_learning.neural_networks")
    circuit = QuantumCircuit(2)
    circuit.ry(0.4, 0)
    options = {"sampler": FastSampler(), "gradient": FastReverseSamplerGradient()} if swapped else {}
    network = networks.SamplerQNN(circuit=circuit, **options)
    found = network.forward(None, None)
    assert found.shape == (1, 4)
    if swapped:
        np.testing.assert_allclose(found, [[np.cos(0.2) ** 2, np.sin(0.2) ** 2, 0, 0]], atol=1e-12)
    assert network.backward(None, None) == (None, None)


def samples():
    x = np.random.default_rng(0).uniform(-1, 1, (10, 2))
    return x, np.where(x[:, 0] > x[:, 1], 1, 0)


def test_neural_network_classifier():
    networks = pytest.importorskip("qiskit_machine_learning.neural_networks")
    from qiskit_machine_learning.algorithms.classifiers import NeuralNetworkClassifier

    features, ansatz = ZFeatureMap(2), RealAmplitudes(2, reps=1)
    (x, y), found = samples(), []
    for swapped in ({}, {"sampler": FastSampler(), "gradient": FastReverseSamplerGradient()}):
        network = networks.SamplerQNN(
            circuit=features.compose(ansatz),
            input_params=list(features.parameters),
            weight_params=list(ansatz.parameters),
            interpret=parity,
            output_shape=2,
            **swapped,
        )
        optimizer = optimizers().L_BFGS_B(maxiter=3)
        classifier = NeuralNetworkClassifier(network, optimizer=optimizer, initial_point=np.full(4, 0.3))
        classifier.fit(x, y)
        found.append((classifier.weights, classifier.score(x, y)))
    np.testing.assert_allclose(found[1][0], found[0][0], atol=1e-4)
    assert found[1][1] == found[0][1]


def test_vqc():
    classifiers = pytest.importorskip("qiskit_machine_learning.algorithms.classifiers")
    (x, y), found = samples(), []
    for swapped in ({}, {"sampler": FastSampler()}):
        vqc = classifiers.VQC(
            feature_map=ZFeatureMap(2),
            ansatz=RealAmplitudes(2, reps=1),
            optimizer=optimizers().L_BFGS_B(maxiter=2),
            initial_point=np.full(4, 0.3),
            **swapped,
        )
        vqc.fit(x, np.eye(2)[y])
        found.append((vqc.weights, vqc.score(x, np.eye(2)[y])))
    np.testing.assert_allclose(found[1][0], found[0][0], atol=1e-4)
    assert found[1][1] == found[0][1]


def fidelity_modules():
    for package in ("qiskit_machine_learning", "qiskit_algorithms"):
        try:
            yield __import__(f"{package}.state_fidelities", fromlist=["state_fidelities"])
        except ImportError:
            continue


@pytest.mark.parametrize("local", [False, True])
def test_compute_uncompute(local):
    pytest.importorskip("qiskit_algorithms")
    ansatz = RealAmplitudes(2, reps=1)
    rows = np.random.default_rng(0).normal(size=(2, 3, 4))
    expected = [
        state_fidelity(*(Statevector(ansatz.assign_parameters(row)) for row in pair)) for pair in rows.swapaxes(0, 1)
    ]
    for module in fidelity_modules():
        fidelity = module.ComputeUncompute(FastSampler(), local=local)
        found = fidelity.run([ansatz] * 3, [ansatz] * 3, *rows).result().fidelities
        if local:
            assert all(one >= other - 1e-12 for one, other in zip(found, expected, strict=True))
        else:
            np.testing.assert_allclose(found, expected, atol=1e-9)


def test_fidelity_quantum_kernel():
    kernels = pytest.importorskip("qiskit_machine_learning.kernels")
    features = ZFeatureMap(2)
    x = np.random.default_rng(0).uniform(-1, 1, (4, 2))
    states = [Statevector(features.assign_parameters(row)) for row in x]
    expected = [[state_fidelity(one, other) for other in states] for one in states]
    [first, *_] = fidelity_modules()
    kernel = kernels.FidelityQuantumKernel(feature_map=features, fidelity=first.ComputeUncompute(FastSampler()))
    np.testing.assert_allclose(kernel.evaluate(x), expected, atol=1e-6)


HAMILTONIAN = SparsePauliOp(["ZZI", "IZZ", "ZII"], [1.0, 0.5, -0.4])
LOWEST = np.linalg.eigvalsh(HAMILTONIAN.to_matrix())[0]


@pytest.mark.parametrize("kind", ["QAOA", "SamplingVQE"])
def test_sampling_minimum_eigensolvers(kind):
    algorithms = pytest.importorskip("qiskit_algorithms")
    from qiskit_algorithms.optimizers import COBYLA, L_BFGS_B

    if kind == "QAOA":
        solver = algorithms.QAOA(FastSampler(), COBYLA(maxiter=60), reps=2, initial_point=[0.8, 0.3, 0.4, 0.8])
    else:
        ansatz = RealAmplitudes(3, reps=1).decompose()
        solver = algorithms.SamplingVQE(FastSampler(), ansatz, L_BFGS_B(maxiter=30), initial_point=np.full(6, 0.6))
    result = solver.compute_minimum_eigenvalue(HAMILTONIAN)
    assert result.best_measurement["value"] == pytest.approx(LOWEST)
    assert result.eigenvalue.real < LOWEST + 1.0
    assert sum(result.eigenstate.values()) == pytest.approx(1.0, abs=1e-6)


def test_vqd():
    algorithms = pytest.importorskip("qiskit_algorithms")
    from qiskit_algorithms.optimizers import L_BFGS_B
    from qiskit_algorithms.state_fidelities import ComputeUncompute

    operator = SparsePauliOp(["ZZ", "XI", "IX"], [1.0, 0.5, 0.7])
    vqd = algorithms.VQD(
        FastEstimator(),
        ComputeUncompute(FastSampler()),
        RealAmplitudes(2, reps=2).decompose(),
        L_BFGS_B(maxiter=100),
        k=2,
        betas=[3.0, 3.0],
        initial_point=np.linspace(0.2, 1.4, 6),
    )
    found = vqd.compute_eigenvalues(operator).eigenvalues
    np.testing.assert_allclose(found, np.linalg.eigvalsh(operator.to_matrix())[:2], atol=1e-2)


def test_pvqd():
    algorithms = pytest.importorskip("qiskit_algorithms")
    from qiskit_algorithms.optimizers import L_BFGS_B
    from qiskit_algorithms.state_fidelities import ComputeUncompute

    hamiltonian = SparsePauliOp(["ZZ", "XI", "IX"], [0.4, 1.0, 1.0])
    ansatz = QuantumCircuit(2)
    for layer, angles in enumerate(np.array(ParameterVector("a", 8)).reshape(4, 2)):
        for qubit, angle in enumerate(angles):
            (ansatz.rx if layer % 2 else ansatz.rz)(angle, qubit)
        ansatz.rzz(angles[0], 0, 1)
    pvqd = algorithms.PVQD(
        ComputeUncompute(FastSampler()),
        ansatz,
        np.zeros(8),
        estimator=FastEstimator(),
        optimizer=L_BFGS_B(maxiter=15),
        num_timesteps=2,
        initial_guess=np.full(8, 0.01),
    )
    problem = algorithms.TimeEvolutionProblem(hamiltonian, 0.3, aux_operators=[SparsePauliOp("ZI")])
    result = pvqd.evolve(problem)
    energies, basis = np.linalg.eigh(hamiltonian.to_matrix())
    state = basis @ (np.exp(-0.3j * energies) * basis[0].conj())
    expected = Statevector(state).expectation_value(SparsePauliOp("ZI")).real
    assert min(result.fidelities) > 0.999
    assert float(np.real(result.observables[-1][0])) == pytest.approx(expected, abs=0.02)
