"""PennyLane's default.qubit on JAX, compiled, differentiated by backpropagation, complex64."""

import jax
import jax.numpy as jnp
import numpy as np
import pennylane as qml
from pennylane_circuit import circuit_of
from workload import Spec, run


def prepare(spec: Spec):
    """Forward and step as compiled functions."""
    data, weights, scalings = map(jnp.asarray, spec.data())

    node = qml.QNode(
        circuit_of(spec), qml.device("default.qubit", wires=spec.qubits), interface="jax", diff_method="backprop"
    )
    batched = jax.vmap(lambda x, b, c: jnp.stack(node(x, b, c)), in_axes=(0, None, None))

    def loss(b, c, x):
        values = batched(x, b, c)
        return values.sum(1).mean(), values

    values_jit = jax.jit(batched)
    step_jit = jax.jit(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True))

    def forward():
        return (np.asarray(values_jit(data, weights, scalings)),)

    def step():
        (_, values), (grad_b, grad_c) = step_jit(weights, scalings, data)
        return np.asarray(values), np.asarray(grad_b), np.asarray(grad_c)

    return {"forward": forward, "step": step}


if __name__ == "__main__":
    run(prepare)
