"""qiskit-machine-learning: EstimatorQNN and TorchConnector.

Modes: "reverse" (Qiskit 1 only), "shift" (parameter shift), "spsa" (an estimate, so never compared).
"""

import inspect

import numpy as np
import torch
from qiskit_machine_learning.connectors import TorchConnector
from qiskit_machine_learning.neural_networks import EstimatorQNN
from workload import Spec, run

try:
    from qiskit.primitives import Estimator as ExactEstimator
    from qiskit_algorithms import gradients
except ImportError:  # Qiskit 2
    from qiskit.primitives import StatevectorEstimator as ExactEstimator
    from qiskit_machine_learning import gradients


def gradient(mode: str):
    """The gradient class of a mode."""
    if mode == "reverse":
        return gradients.ReverseEstimatorGradient()
    if mode == "spsa":
        return gradients.SPSAEstimatorGradient(ExactEstimator(), epsilon=0.1)
    return gradients.ParamShiftEstimatorGradient(ExactEstimator())


def prepare(spec: Spec):
    """Forward and step of an EstimatorQNN."""
    # Up to 0.7 it hands over inputs, then weights, for parameters that Qiskit sorts by name.
    circuit, x, b, c = spec.qiskit_circuit("a")
    data, weights, scalings = spec.data()
    # Later versions add the noise of shots to exact values unless told otherwise.
    exact = {"default_precision": 0.0} if "default_precision" in inspect.signature(EstimatorQNN).parameters else {}
    qnn = EstimatorQNN(
        circuit=circuit,
        estimator=ExactEstimator(),
        input_params=list(x),
        weight_params=[*b, *c],
        observables=spec.qiskit_observables(),
        gradient=gradient(spec.mode),
        **exact,
    )
    model = TorchConnector(qnn, initial_weights=np.concatenate([weights, scalings]))
    inputs = torch.tensor(data, dtype=torch.float32)

    def forward():
        with torch.no_grad():
            return (model(inputs).numpy(),)

    def step():
        model.zero_grad()
        values = model(inputs)
        values.sum(1).mean().backward()
        gradient_of_weights = model.weight.grad.numpy()
        return values.detach().numpy(), gradient_of_weights[: len(b)], gradient_of_weights[len(b) :]

    return {"forward": forward, "step": step}


if __name__ == "__main__":
    run(prepare)
