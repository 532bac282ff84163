"""Stock classes of qiskit-machine-learning and qiskit-algorithms, with our estimator and gradient swapped in."""

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.circuit.library import EfficientSU2, RealAmplitudes, ZFeatureMap
from qiskit.quantum_info import SparsePauliOp

from circuits_zoo import qaoa, reuploading
from qiskit_torch_module import FastEstimator, FastReverseEstimatorGradient
from qiskit_torch_module._reading import compat

pytestmark = pytest.mark.filterwarnings("ignore")  # they warn of their own futures

# qiskit-machine-learning 0.7 speaks V1, from 0.8 on V2; qiskit-algorithms up to 0.3 V1, from 0.4 on V2.


def stock_primitives():
    """The estimator and gradient that a user of qiskit-machine-learning has, and further arguments of the network."""
    try:
        from qiskit_machine_learning.gradients import ParamShiftEstimatorGradient

        estimator = compat.StatevectorEstimator()
        return estimator, ParamShiftEstimatorGradient(estimator), {"default_precision": 0.0}
    except ImportError:
        from qiskit.primitives import Estimator
        from qiskit_algorithms.gradients import ReverseEstimatorGradient

        return Estimator(), ReverseEstimatorGradient(), {}


def z_of_every_qubit(num_qubits):
    return [SparsePauliOp("I" * (num_qubits - 1 - q) + "Z" + "I" * q) for q in range(num_qubits)]


def test_estimator_qnn_and_torch_connector():
    networks = pytest.importorskip("qiskit_machine_learning.neural_networks")
    from qiskit_machine_learning.connectors import TorchConnector

    case = reuploading(3, 1)
    weights = np.random.default_rng(0).uniform(-1, 1, sum(map(len, case.variational)))
    inputs = torch.rand(4, 3, generator=torch.Generator().manual_seed(0))
    estimator, gradient, options = stock_primitives()
    found = []
    for pair, further in (((estimator, gradient), options), ((FastEstimator(), FastReverseEstimatorGradient()), {})):
        network = networks.EstimatorQNN(
            circuit=case.circuit,
            input_params=case.encoding,
            weight_params=[p for one in case.variational for p in one],
            observables=z_of_every_qubit(3),
            estimator=pair[0],
            gradient=pair[1],
            input_gradients=True,
            **further,
        )
        model, x = TorchConnector(network, initial_weights=weights), inputs.clone().requires_grad_()
        values = model(x)
        values.square().sum().backward()
        found.append([values.detach(), model.weight.grad, x.grad])
    for stock, fast in zip(*found, strict=True):
        torch.testing.assert_close(fast, stock, atol=1e-6, rtol=0)


def test_neural_network_classifier():
    networks = pytest.importorskip("qiskit_machine_learning.neural_networks")
    from qiskit_machine_learning.algorithms.classifiers import NeuralNetworkClassifier

    try:
        from qiskit_machine_learning.optimizers import L_BFGS_B
    except ImportError:
        from qiskit_algorithms.optimizers import L_BFGS_B
    estimator, gradient, options = stock_primitives()
    features, ansatz = ZFeatureMap(2), RealAmplitudes(2, reps=1)
    circuit = features.compose(ansatz)
    x = np.random.default_rng(0).uniform(-1, 1, (12, 2))
    y = np.where(x[:, 0] > x[:, 1], 1, -1)
    scores = []
    for pair, further in (((estimator, gradient), options), ((FastEstimator(), FastReverseEstimatorGradient()), {})):
        network = networks.EstimatorQNN(
            circuit=circuit,
            input_params=list(features.parameters),
            weight_params=list(ansatz.parameters),
            estimator=pair[0],
            gradient=pair[1],
            **further,
        )
        classifier = NeuralNetworkClassifier(network, optimizer=L_BFGS_B(maxiter=5), initial_point=np.full(4, 0.3))
        classifier.fit(x, y)
        scores.append((classifier.weights, classifier.score(x, y)))
    np.testing.assert_allclose(scores[1][0], scores[0][0], atol=1e-4)
    assert scores[1][1] == scores[0][1]


def test_vqe():
    algorithms = pytest.importorskip("qiskit_algorithms")
    from qiskit_algorithms.optimizers import L_BFGS_B

    hamiltonian = SparsePauliOp(["ZZI", "IZZ", "XII", "IXI", "IIX"], [-1, -1, -0.7, -0.7, -0.7])
    vqe = algorithms.VQE(
        FastEstimator(),
        RealAmplitudes(3, reps=2).decompose(),
        L_BFGS_B(maxiter=100),
        gradient=FastReverseEstimatorGradient(),
        initial_point=np.full(9, 0.1),
    )
    lowest = np.linalg.eigvalsh(hamiltonian.to_matrix())[0]
    assert vqe.compute_minimum_eigenvalue(hamiltonian).eigenvalue == pytest.approx(lowest, abs=1e-3)


@pytest.mark.parametrize("kind", ["REAL", "IMAG", "COMPLEX"])
def test_derivative_types_of_the_stock_gradient(kind):
    gradients = pytest.importorskip("qiskit_algorithms.gradients")
    for circuit in (reuploading(3, 1).circuit, qaoa(3, 1).circuit):
        row = np.random.default_rng(1).normal(size=circuit.num_parameters)
        call = [circuit], [SparsePauliOp(["ZXY", "III"], [1.0, 0.7])], [row]
        derivative_type = gradients.DerivativeType[kind]
        stock = gradients.ReverseEstimatorGradient(derivative_type).run(*call).result()
        fast = FastReverseEstimatorGradient(derivative_type).run(*call).result()
        np.testing.assert_allclose(fast.gradients[0], stock.gradients[0], atol=1e-9)


def test_parameters_come_out_in_the_order_they_were_asked_for():
    gradients = pytest.importorskip("qiskit_algorithms.gradients")
    circuit, observable = reuploading(3, 1).circuit, SparsePauliOp("ZXY")
    row = np.random.default_rng(1).normal(size=circuit.num_parameters)
    order = [circuit.parameters[i] for i in (7, 2, 11)]
    stock, fast = (
        cls().run([circuit], [observable], [row], parameters=[order]).result()
        for cls in (gradients.ReverseEstimatorGradient, FastReverseEstimatorGradient)
    )
    np.testing.assert_allclose(fast.gradients[0], stock.gradients[0], atol=1e-9)
    assert fast.metadata[0]["parameters"] == stock.metadata[0]["parameters"] == order


@pytest.mark.parametrize("arguments", [{}, {"exact": True}, {"exact": True, "seed": 3}])
def test_the_plain_swap_is_exact(arguments):
    """EstimatorQNN asks for a standard deviation of 0.0156 from qiskit-machine-learning 0.8 on."""
    networks = pytest.importorskip("qiskit_machine_learning.neural_networks")
    x, w = Parameter("x"), Parameter("w")
    circuit = QuantumCircuit(1)
    circuit.ry(w, 0)
    circuit.rx(x, 0)
    network = networks.EstimatorQNN(
        circuit=circuit,
        input_params=[x],
        weight_params=[w],
        observables=SparsePauliOp("Z"),
        estimator=FastEstimator(**arguments),
        gradient=FastReverseEstimatorGradient(),
    )
    for _ in range(3):
        assert network.forward([0.7], [0.4])[0, 0] == pytest.approx(np.cos(0.4) * np.cos(0.7), abs=1e-12)
    _, weights = network.backward([0.7], [0.4])
    assert weights[0, 0, 0] == pytest.approx(-np.sin(0.4) * np.cos(0.7), abs=1e-12)


@pytest.mark.parametrize(("kind", "expected"), [("REAL", -0.701729880563), ("IMAG", -0.127796939807)])
def test_variational_time_evolution(kind, expected):
    """Both take the estimator of the gradient, and the real one the type of its derivative."""
    algorithms = pytest.importorskip("qiskit_algorithms")
    from qiskit_algorithms.gradients import DerivativeType, ReverseQGT
    from qiskit_algorithms.time_evolvers import variational

    hamiltonian = SparsePauliOp(["XX", "ZI", "IZ"], [0.7, -0.4, 0.9])
    ansatz = EfficientSU2(2, reps=1).decompose()
    start = dict(zip(ansatz.parameters, np.linspace(0.2, 1.6, ansatz.num_parameters), strict=True))
    imaginary = kind == "REAL"
    principle = variational.ImaginaryMcLachlanPrinciple if imaginary else variational.RealMcLachlanPrinciple
    evolver = algorithms.VarQITE if imaginary else algorithms.VarQRTE
    measured = hamiltonian if imaginary else SparsePauliOp("ZI")
    gradient = FastReverseEstimatorGradient(DerivativeType[kind])
    problem = algorithms.TimeEvolutionProblem(hamiltonian, 0.5, aux_operators=[measured])
    evolution = evolver(ansatz, start, principle(ReverseQGT(), gradient), FastEstimator(), num_timesteps=20)
    assert evolution.evolve(problem).observables[-1][0][0] == pytest.approx(expected, abs=1e-10)
