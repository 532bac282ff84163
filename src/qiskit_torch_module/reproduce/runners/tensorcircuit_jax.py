"""TensorCircuit-NG on JAX, compiled, complex64."""

import jax
import jax.numpy as jnp
import numpy as np
import tensorcircuit as tc
from workload import Spec, angle_of, run


def prepare(spec: Spec):
    """Forward and step as compiled functions."""
    tc.set_backend("jax")
    tc.set_dtype("complex64")
    data, weights, scalings = map(jnp.asarray, spec.data())

    def values_of(x, b, c):
        circuit = tc.Circuit(spec.qubits)
        for name, qubits, angle in spec.gates():
            if angle is None:
                getattr(circuit, name)(*qubits)
            else:
                getattr(circuit, name)(qubits[0], theta=angle_of(angle, x, b, c))
        return jnp.stack([jnp.real(circuit.expectation_ps(z=list(string), reuse=True)) for string in spec.strings])

    batched = jax.vmap(values_of, in_axes=(0, None, None))

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
