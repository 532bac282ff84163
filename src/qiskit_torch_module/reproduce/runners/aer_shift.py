"""Qiskit Aer, which has no gradients of its own: its EstimatorV2, exact, and the parameter-shift rule in one job."""

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit_aer.primitives import EstimatorV2
from workload import Spec, angle_of, run


def prepare(spec: Spec):
    """Forward and step as one PUB each, with an angle of its own for every rotation."""
    data, weights, scalings = spec.data()
    angles = [angle for _, _, angle in spec.gates() if angle is not None]
    parameters, circuit = ParameterVector("a", len(angles)), QuantumCircuit(spec.qubits)
    free = iter(parameters)
    for name, qubits, angle in spec.gates():
        getattr(circuit, name)(*(() if angle is None else (next(free),)), *qubits)
    operators = [[one] for one in spec.qiskit_observables()]
    estimator = EstimatorV2(options={"default_precision": 0.0})

    def values_at(bindings):
        return estimator.run([(circuit, operators, bindings)]).result()[0].data.evs.T

    bindings = np.array([[angle_of(angle, sample, weights, scalings) for angle in angles] for sample in data])
    shifts = np.pi / 2 * np.concatenate([np.zeros((1, len(angles))), np.eye(len(angles)), -np.eye(len(angles))])

    def forward():
        return (values_at(bindings),)

    def step():
        found = values_at((bindings[:, None] + shifts).reshape(-1, len(angles)))
        found = found.reshape(len(data), len(shifts), -1)
        slopes = (found[:, 1 : 1 + len(angles)] - found[:, 1 + len(angles) :]).sum(2) / 2
        of_weights, of_scalings = np.zeros(len(weights)), np.zeros(len(scalings))
        for place, (kind, index, column) in enumerate(angles):
            if kind == "b":
                of_weights[index] += slopes[:, place].mean()
            elif kind == "c":
                of_scalings[index] += (slopes[:, place] * data[:, column]).mean()
        return found[:, 0], of_weights, of_scalings

    return {"forward": forward, "step": step}


if __name__ == "__main__":
    run(prepare)
