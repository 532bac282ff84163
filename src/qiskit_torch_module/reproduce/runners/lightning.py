"""PennyLane's lightning.qubit with its adjoint method, one vector-Jacobian product for all observables, complex128."""

import pennylane as qml
import torch
from pennylane_circuit import circuit_of
from workload import Spec, run


def prepare(spec: Spec):
    """Forward and step of a QNode on a batch, which PennyLane takes apart into samples."""
    data, weights, scalings = (torch.tensor(array) for array in spec.data())
    weights.requires_grad_()
    scalings.requires_grad_()
    device = qml.device("lightning.qubit", wires=spec.qubits)

    circuit = circuit_of(spec)
    trained = qml.QNode(circuit, device, interface="torch", diff_method="adjoint", device_vjp=True)
    plain = qml.QNode(circuit, device, interface="torch", diff_method=None)
    columns = data.T  # so that an input of all samples is one entry

    def values(node, b, c):
        found = node(columns, b, c)
        return torch.stack(list(found), dim=-1).reshape(spec.batch, len(spec.strings))

    def forward():
        with torch.no_grad():
            return (values(plain, weights.detach(), scalings.detach()).numpy(),)

    def step():
        weights.grad = scalings.grad = None
        found = values(trained, weights, scalings)
        found.sum(1).mean().backward()
        gradients = [one.grad for one in (weights, scalings) if one.grad is not None]
        return found.detach().numpy(), *(one.numpy() for one in gradients)

    return {"forward": forward, "step": step}


if __name__ == "__main__":
    run(prepare)
