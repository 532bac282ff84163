"""Qulacs: its backpropagation with the sum of all observables, one sample after the other, complex128."""

import numpy as np
import qulacs
from workload import Spec, angle_of, run


def prepare(spec: Spec):
    """Forward and step as loops over the batch."""
    (data, weights, scalings), n = spec.data(), spec.qubits
    circuit, angles = qulacs.ParametricQuantumCircuit(n), []
    fixed = {"h": circuit.add_H_gate, "cx": circuit.add_CNOT_gate, "cz": circuit.add_CZ_gate}
    rotation = {
        "rx": circuit.add_parametric_RX_gate,
        "ry": circuit.add_parametric_RY_gate,
        "rz": circuit.add_parametric_RZ_gate,
    }
    for name, qubits, angle in spec.gates():
        if angle is None:
            fixed[name](*qubits)
        else:
            rotation[name](qubits[0], 0.0)
            angles.append(angle)
    single, total, state = [], qulacs.Observable(n), qulacs.QuantumState(n)
    for string in spec.strings:
        word = " ".join(f"Z {q}" for q in string)
        single.append(qulacs.Observable(n))
        single[-1].add_operator(1.0, word)
        total.add_operator(1.0, word)

    def values_of(sample):
        for place, angle in enumerate(angles):  # Qulacs turns by exp(+i theta P / 2)
            circuit.set_parameter(place, -angle_of(angle, sample, weights, scalings))
        state.set_zero_state()
        circuit.update_quantum_state(state)
        return [one.get_expectation_value(state) for one in single]

    def forward():
        return (np.array([values_of(sample) for sample in data]),)

    def step():
        values, of_weights, of_scalings = [], np.zeros(len(weights)), np.zeros(len(scalings))
        for sample in data:
            values.append(values_of(sample))
            for (kind, index, column), slope in zip(angles, circuit.backprop(total), strict=True):
                if kind == "b":
                    of_weights[index] -= slope
                elif kind == "c":
                    of_scalings[index] -= slope * sample[column]
        return np.array(values), of_weights / len(data), of_scalings / len(data)

    return {"forward": forward, "step": step}


if __name__ == "__main__":
    run(prepare)
