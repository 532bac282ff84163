"""Values and gradients of a circuit of inputs and weights, held against a dense simulator along a random direction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from circuits_zoo import random_observables
from qiskit_torch_module import QuantumModule
from reference import central_differences


class Judgement:
    """What a dense simulator says of a circuit with random observables.

    Args:
        circuit, inputs, weights: The circuit, and the order of its parameters.
        seed: Of observables, values and the direction.
        values_of: Values of a circuit and its observables for columns of parameters and rows of values.
    """

    def __init__(self, circuit: Any, inputs: Any, weights: Any, seed: int, values_of: Callable[..., Any]) -> None:
        self.circuit, self.inputs, self.weights, self.seed = circuit, list(inputs), list(weights), seed
        self.observables, rng = random_observables(circuit.num_qubits, seed), np.random.default_rng(seed)
        columns, width = [*inputs, *weights], len(self.inputs)
        self.rows, self.direction = rng.uniform(-2, 2, (2, 2, len(columns)))
        for values in (self.rows, self.direction):
            values[:, width:] = values[0, width:]  # weights are those of all samples

        def at(step: Any) -> Any:
            return values_of(circuit, self.observables, columns, self.rows + step * self.direction)

        self.values = at(0.0)
        (self.slopes,) = central_differences(at, np.zeros(1), step=0.004)

    @property
    def problem(self) -> tuple[Any, Any, Any, Any]:
        """The circuit, its inputs and weights, the observables."""
        return self.circuit, self.inputs, self.weights, self.observables

    def assert_agrees(self) -> None:
        """By a module in double precision: values, and gradients along the direction."""
        width = len(self.inputs)
        model = QuantumModule(
            self.circuit,
            self.inputs,
            [self.weights],
            observables=self.observables,
            variational_params_initial=[self.rows[0, width:]],
        )
        inputs = torch.tensor(self.rows[:, :width], requires_grad=True)
        (weights,) = model.parameters()
        found = model(inputs)
        np.testing.assert_allclose(found.detach().numpy(), self.values, atol=1e-12)
        cotangent = np.random.default_rng(self.seed).normal(size=found.shape)
        found.backward(torch.tensor(cotangent))
        along = (inputs.grad.numpy() * self.direction[:, :width]).sum() + weights.grad.numpy() @ self.direction[
            0, width:
        ]
        np.testing.assert_allclose(along, (cotangent * self.slopes).sum(), atol=1e-9)
