"""The circuit of a spec, for PennyLane's runners."""

import pennylane as qml
from workload import Spec, angle_of

GATES = {"h": qml.Hadamard, "cx": qml.CNOT, "cz": qml.CZ, "rx": qml.RX, "ry": qml.RY, "rz": qml.RZ}


def circuit_of(spec: Spec):
    """A function of data, weights and scalings that a QNode evaluates: the expectation value of every observable."""

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

    return circuit
