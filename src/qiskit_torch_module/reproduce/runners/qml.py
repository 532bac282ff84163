"""qiskit-machine-learning: EstimatorQNN and TorchConnector.

Modes: "reverse" (Qiskit 1 only), "shift" (parameter shift), "spsa" (an estimate, so never compared), and "jacobian":
the reverse gradient on its own, of one sample.
"""

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
    """Forward and step of an EstimatorQNN, or a Jacobian."""
    circuit, x, b, c = spec.qiskit_circuit()
    data, weights, scalings = spec.data()
    if spec.mode == "jacobian":
        return {"jacobian": lambda: jacobian(spec)}
    qnn = EstimatorQNN(
        circuit=circuit,
        estimator=ExactEstimator(),
        input_params=list(x),
        weight_params=[*b, *c],
        observables=spec.qiskit_observables(),
        gradient=gradient(spec.mode),
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


def jacobian(spec: Spec):
    """All gradients of all observables for one sample."""
    circuit, x, b, c = spec.qiskit_circuit()
    data, weights, scalings = spec.data()
    values = dict(zip([*x, *b, *c], [*data[0], *weights, *scalings], strict=True))
    bound = [values[parameter] for parameter in circuit.parameters]
    job = gradients.ReverseEstimatorGradient().run(
        [circuit] * len(spec.strings), spec.qiskit_observables(), [bound] * len(spec.strings)
    )
    return (np.array(job.result().gradients),)


if __name__ == "__main__":
    run(prepare)
