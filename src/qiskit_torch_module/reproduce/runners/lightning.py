"""PennyLane's lightning.qubit with its adjoint method, one vector-Jacobian product for all observables, complex128."""

import pennylane as qml
import torch
from workload import Spec, angle_of, run

GATES = {"h": qml.Hadamard, "cx": qml.CNOT, "cz": qml.CZ, "rx": qml.RX, "ry": qml.RY, "rz": qml.RZ}


def prepare(spec: Spec):
    """Forward and step of a QNode on a batch, which PennyLane takes apart into samples."""
    data, weights, scalings = (torch.tensor(array) for array in spec.data())
    weights.requires_grad_()
    scalings.requires_grad_()
    device = qml.device("lightning.qubit", wires=spec.qubits)

    def circuit(x, b, c):
        for name, qubits, angle in spec.gates():
            if angle is None:
                GATES[name](wires=qubits)
            else:
                GATES[name](angle_of(angle, x, b, c), wires=qubits)
        return [
            qml.expval(qml.prod(*map(qml.PauliZ, string)) if len(string) > 1 else qml.PauliZ(*string))
            for string in spec.strings
        ]

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
