"""This package, and version 1.0 of it. Modes: "" (float32) and "f64"."""

import torch
from workload import Spec, run

from qiskit_torch_module import QuantumModule


def prepare(spec: Spec):
    """Forward and step of a QuantumModule."""
    circuit, x, b, c = spec.qiskit_circuit()
    data, weights, scalings = spec.data()
    if spec.threads != 0:
        torch.set_num_threads(spec.threads)
    dtype = torch.float64 if spec.mode == "f64" else torch.float32
    torch.set_default_dtype(dtype)
    sets = {name: (own, start) for name, own, start in (("b", b, weights), ("c", c, scalings)) if len(own) > 0}
    model = QuantumModule(
        circuit,
        x,
        [own for own, _ in sets.values()],
        variational_params_names=list(sets),
        variational_params_initial=[list(start) for _, start in sets.values()],
        observables=spec.qiskit_observables(),
        num_threads_forward=spec.threads,
        num_threads_backward=spec.threads,
    )
    inputs = torch.tensor(data, dtype=dtype)

    def forward():
        with torch.no_grad():
            return (model(inputs).numpy(),)

    def step():
        model.zero_grad()
        values = model(inputs)
        values.sum(1).mean().backward()
        return values.detach().numpy(), *(weights.grad.numpy() for weights in model.variational_)

    return {"forward": forward, "step": step}


if __name__ == "__main__":
    run(prepare)
