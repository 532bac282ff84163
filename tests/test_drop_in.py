"""Stock classes of qiskit-machine-learning and qiskit-algorithms, with our estimator and gradient swapped in."""

import numpy as np
import pytest
import torch
from qiskit.circuit.library import RealAmplitudes
from qiskit.quantum_info import SparsePauliOp

from circuits_zoo import reuploading
from qiskit_torch_module import FastEstimator, FastReverseEstimatorGradient, _compat

if _compat.EstimatorResult is None:
    pytest.skip("this Qiskit has no V1 primitives", allow_module_level=True)

pytestmark = pytest.mark.filterwarnings("ignore")  # they warn of their own futures


def test_estimator_qnn_and_torch_connector():
    pytest.importorskip("qiskit_algorithms")
    networks = pytest.importorskip("qiskit_machine_learning.neural_networks")
    from qiskit.primitives import Estimator
    from qiskit_algorithms.gradients import ReverseEstimatorGradient
    from qiskit_machine_learning.connectors import TorchConnector

    case = reuploading(3, 1)
    observables = [SparsePauliOp("I" * (2 - q) + "Z" + "I" * q) for q in range(3)]
    weights = np.random.default_rng(0).uniform(-1, 1, sum(map(len, case.variational)))
    inputs = torch.rand(4, 3, generator=torch.Generator().manual_seed(0))
    found = []
    for estimator, gradient in (
        (Estimator(), ReverseEstimatorGradient()),
        (FastEstimator(), FastReverseEstimatorGradient()),
    ):
        network = networks.EstimatorQNN(
            circuit=case.circuit,
            input_params=case.encoding,
            weight_params=[p for one in case.variational for p in one],
            observables=observables,
            estimator=estimator,
            gradient=gradient,
            input_gradients=True,
        )
        model, x = TorchConnector(network, initial_weights=weights), inputs.clone().requires_grad_()
        values = model(x)
        values.square().sum().backward()
        found.append([values.detach(), model.weight.grad, x.grad])
    for stock, fast in zip(*found, strict=True):
        torch.testing.assert_close(fast, stock, atol=1e-6, rtol=0)


def test_vqe():
    algorithms = pytest.importorskip("qiskit_algorithms")
    from qiskit_algorithms.optimizers import L_BFGS_B

    hamiltonian = SparsePauliOp(["ZZI", "IZZ", "XII", "IXI", "IIX"], [-1, -1, -0.7, -0.7, -0.7])
    vqe = algorithms.VQE(
        FastEstimator(),
        RealAmplitudes(3, reps=2),
        L_BFGS_B(maxiter=100),
        gradient=FastReverseEstimatorGradient(),
        initial_point=np.full(9, 0.1),
    )
    lowest = np.linalg.eigvalsh(hamiltonian.to_matrix())[0]
    assert vqe.compute_minimum_eigenvalue(hamiltonian).eigenvalue == pytest.approx(lowest, abs=1e-3)


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
