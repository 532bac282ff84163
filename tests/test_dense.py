"""Matrices and diagonals of many qubits, which are applied as they are: against a dense simulator."""

from functools import cache

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.circuit.library import DiagonalGate, HamiltonianGate, UnitaryGate
from qiskit.quantum_info import random_hermitian, random_unitary

from circuits_zoo import random_observables
from conftest import NIGHTLY
from qiskit_torch_module import QuantumModule, _matrices
from reference import batch_values, central_differences

NUM_INPUTS, NUM_WEIGHTS = 2, 3


@pytest.fixture
def all_dense(monkeypatch):
    """Matrices of any size are applied as they are."""
    monkeypatch.setattr(_matrices, "LEAST_QUBITS", 1)


def mixed_circuit(num_qubits, seed, length=14):
    """Rotations of inputs and weights, gates that relabel, and matrices on random qubits in random order."""
    rng = np.random.default_rng(seed)
    x, w = ParameterVector("x", NUM_INPUTS), ParameterVector("w", NUM_WEIGHTS)
    angles = [x[0], x[1], w[0], w[1], w[2], x[0] * w[1], 0.7, 2 * w[2] + 0.3]
    circuit = QuantumCircuit(num_qubits)
    for parameter in (*x, *w):
        circuit.ry(parameter, int(rng.integers(num_qubits)))
    for _ in range(length):
        order = [int(qubit) for qubit in rng.permutation(num_qubits)]
        angle = angles[rng.integers(len(angles))]
        size = int(rng.integers(1, num_qubits + 1))
        kind = rng.integers(8)
        if kind == 0 and num_qubits > 1:
            circuit.cx(*order[:2])
        elif kind == 1 and num_qubits > 1:
            circuit.swap(*order[:2])
        elif kind == 2:
            circuit.x(order[0])
        elif kind == 3:
            [circuit.rx, circuit.ry, circuit.rz][rng.integers(3)](angle, order[0])
        elif kind == 4 and num_qubits > 1:
            [circuit.rxx, circuit.ryy, circuit.rzz, circuit.rzx][rng.integers(4)](angle, *order[:2])
        elif kind == 5:
            hamiltonian = random_hermitian(2**size, seed=int(rng.integers(1000)))
            circuit.append(HamiltonianGate(hamiltonian, angle), order[:size])
        elif kind == 6:
            circuit.append(DiagonalGate(list(np.exp(1j * rng.uniform(-3, 3, 2**size)))), order[:size])
        else:
            circuit.append(UnitaryGate(random_unitary(2**size, seed=int(rng.integers(1000)))), order[:size])
    return circuit, x, w


@cache
def judged(num_qubits, seed):
    """A circuit with observables, rows of inputs and weights, their values, a direction and the slopes along it."""
    circuit, x, w = mixed_circuit(num_qubits, seed)
    observables, rng = random_observables(num_qubits, seed), np.random.default_rng(seed)
    rows, direction = rng.uniform(-2, 2, (2, 2, NUM_INPUTS + NUM_WEIGHTS))
    for one in (rows, direction):
        one[:, NUM_INPUTS:] = one[0, NUM_INPUTS:]  # weights are those of all samples

    def values(step):
        return batch_values(circuit, observables, [*x, *w], rows + step * direction)

    (slopes,) = central_differences(values, np.zeros(1), step=0.004)
    return circuit, list(x), list(w), observables, rows, values(0.0), direction, slopes


@pytest.mark.parametrize("seed", range(100) if NIGHTLY else range(4))
@pytest.mark.parametrize("num_qubits", [1, 2, 3, 5])
def test_values_and_gradients(num_qubits, seed, instruction_set, all_dense, float64):
    circuit, x, w, observables, rows, values, direction, slopes = judged(num_qubits, seed)
    model = QuantumModule(circuit, x, [w], observables=observables, variational_params_initial=[rows[0, NUM_INPUTS:]])
    inputs = torch.tensor(rows[:, :NUM_INPUTS], requires_grad=True)
    (weights,) = model.parameters()
    found = model(inputs)
    np.testing.assert_allclose(found.detach().numpy(), values, atol=1e-12)
    cotangent = np.random.default_rng(seed).normal(size=found.shape)
    found.backward(torch.tensor(cotangent))
    along = (inputs.grad.numpy() * direction[:, :NUM_INPUTS]).sum() + weights.grad.numpy() @ direction[0, NUM_INPUTS:]
    np.testing.assert_allclose(along, (cotangent * slopes).sum(), atol=1e-9)
