"""This package. Modes: "" (float32), "f64", and "jacobian": gradients of every observable through the Qiskit face."""

import torch
from workload import Spec, run

from qiskit_torch_module import FastReverseEstimatorGradient, QuantumModule


def prepare(spec: Spec):
    """Forward and step of a QuantumModule, or a Jacobian."""
    circuit, x, b, c = spec.qiskit_circuit()
    data, weights, scalings = spec.data()
    if spec.mode == "jacobian":
        return {"jacobian": lambda: jacobian(spec)}
    dtype = torch.float64 if spec.mode == "f64" else torch.float32
    torch.set_default_dtype(dtype)
    model = QuantumModule(
        circuit,
        x,
        [b, c],
        variational_params_names=["b", "c"],
        variational_params_initial=[list(weights), list(scalings)],
        observables=spec.qiskit_observables(),
    )
    inputs = torch.tensor(data, dtype=dtype)

    def forward():
        with torch.no_grad():
            return (model(inputs).numpy(),)

    def step():
        model.zero_grad()
        values = model(inputs)
        values.sum(1).mean().backward()
        return values.detach().numpy(), model.b.grad.numpy(), model.c.grad.numpy()

    return {"forward": forward, "step": step}


def jacobian(spec: Spec):
    """All gradients of all observables for one sample."""
    circuit, x, b, c = spec.qiskit_circuit()
    data, weights, scalings = spec.data()
    values = dict(zip([*x, *b, *c], [*data[0], *weights, *scalings], strict=True))
    bound = [values[one] for one in circuit.parameters]
    found = FastReverseEstimatorGradient().run(
        [circuit] * len(spec.strings), spec.qiskit_observables(), [bound] * len(spec.strings)
    )
    return (torch.tensor(found.result().gradients).numpy(),)


if __name__ == "__main__":
    run(prepare)
