"""TensorFlow Quantum: native batched simulation with the adjoint differentiator, complex64."""

import os

os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", TF_USE_LEGACY_KERAS="1", CUDA_VISIBLE_DEVICES="-1")
import cirq
import numpy as np
import sympy
import tensorflow as tf
import tensorflow_quantum as tfq
from tensorflow_quantum.python.differentiators import adjoint
from workload import Spec, run


def prepare(spec: Spec):
    """Forward and step as graphs; every rotation has a symbol of its own, filled from b, c and the data."""
    data, weights, scalings = spec.data()
    qubits, circuit, angles = cirq.GridQubit.rect(1, spec.qubits), cirq.Circuit(), []
    for name, on, angle in spec.gates():
        gate = {"h": cirq.H, "cx": cirq.CNOT, "cz": cirq.CZ}.get(name)
        if angle is not None:
            gate = {"rx": cirq.rx, "ry": cirq.ry, "rz": cirq.rz}[name](sympy.Symbol(f"t{len(angles)}"))
            angles.append(angle)
        circuit.append(gate(*(qubits[q] for q in on)))
    circuits = tf.repeat(tfq.convert_to_tensor([circuit]), spec.batch)
    sums = [
        cirq.PauliSum.from_pauli_strings([cirq.PauliString(*(cirq.Z(qubits[q]) for q in string))])
        for string in spec.strings
    ]
    observables = tf.repeat(tfq.convert_to_tensor([sums]), spec.batch, axis=0)
    names = tf.constant([f"t{k}" for k in range(len(angles))])
    expectation = adjoint.Adjoint().generate_differentiable_op(analytic_op=tfq.get_expectation_op())
    inputs, b, c = (tf.Variable(array, dtype=tf.float32) for array in (data, weights, scalings))
    # Every angle is a product of an entry of [b, c, 1] and one of [x, 1].
    first = {"b": 0, "c": len(weights), "x": len(weights) + len(scalings)}
    constant = data.shape[1]
    factor = np.array([first[kind] + (index if kind != "x" else 0) for kind, index, _ in angles])
    column = np.array([{"b": constant, "c": column, "x": index}[kind] for kind, index, column in angles])

    def values():
        factors = tf.gather(tf.concat([b, c, [1.0]], 0), factor)
        columns = tf.gather(tf.concat([inputs, tf.ones((spec.batch, 1))], 1), column, axis=1)
        return expectation(circuits, names, factors[None] * columns, observables)

    values_graph = tf.function(values)

    @tf.function
    def step_graph():
        with tf.GradientTape() as tape:
            outputs = values()
            loss = tf.reduce_mean(tf.reduce_sum(outputs, 1))
        return outputs, [tf.convert_to_tensor(gradient) for gradient in tape.gradient(loss, [b, c])]

    def step():
        outputs, (grad_b, grad_c) = step_graph()
        return outputs.numpy(), grad_b.numpy(), grad_c.numpy()

    return {"forward": lambda: (values_graph().numpy(),), "step": step}


if __name__ == "__main__":
    run(prepare)
