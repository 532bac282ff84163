"""Circuits that the tests share: real ansaetze and awkward ones, with the order of their parameters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import Instruction, Parameter, ParameterExpression, ParameterVector
from qiskit.quantum_info import SparsePauliOp


@dataclass
class Case:
    circuit: QuantumCircuit
    encoding: list[Parameter]
    variational: list[list[Parameter]]

    @property
    def columns(self) -> list[Parameter]:
        return [*self.encoding, *(p for one in self.variational for p in one)]


def reuploading(n: int, depth: int) -> Case:
    """The reference workload: data re-uploading with trainable input scaling and a CNOT ring."""
    x, b, c = ParameterVector("x", n), ParameterVector("b", 2 * n * (depth + 1)), ParameterVector("c", 2 * n * depth)
    circuit = QuantumCircuit(n)
    circuit.h(range(n))
    for layer in range(depth + 1):
        for q in range(n):
            circuit.rz(b[2 * (n * layer + q)], q)
            circuit.ry(b[2 * (n * layer + q) + 1], q)
        if layer == depth:
            break
        for q in range(n - 1):
            circuit.cx(q, q + 1)
        if n > 2:
            circuit.cx(n - 1, 0)
        for q in range(n):
            circuit.ry(c[2 * (n * layer + q)] * x[q], q)
            circuit.rz(c[2 * (n * layer + q) + 1] * x[q], q)
    return Case(circuit, list(x), [list(b), list(c)])


def qaoa(n: int, depth: int) -> Case:
    """RZZ on a ring with chords, weights times data; RX mixers: shared parameters, all affine forms."""
    edges = [(q, (q + 1) % n) for q in range(n if n > 2 else 1)]
    x, gamma, beta = ParameterVector("x", len(edges)), ParameterVector("g", depth), ParameterVector("m", depth)
    circuit = QuantumCircuit(n)
    circuit.h(range(n))
    for layer in range(depth):
        for edge, pair in enumerate(edges):
            circuit.rzz(gamma[layer] * x[edge], *pair)
        if n > 3:
            circuit.rzz(2.0 * gamma[layer] + 0.3, 0, 2)
            circuit.cp(-0.7 * gamma[layer], 1, 3)
        circuit.rx(2 * beta[layer], range(n))
    return Case(circuit, list(x), [list(gamma), list(beta)])


def fixed_and_free(n: int, seed: int) -> Case:
    """Every native gate in random order, with free, scaled and shifted angles."""
    rng = np.random.default_rng(seed)
    x, w = ParameterVector("x", 3), ParameterVector("w", 5)
    circuit = QuantumCircuit(n)
    free = [x[0], x[1] * w[0], w[1], 2.5 * w[2] - 0.4, x[2] + w[3], -w[4]]

    def angle():
        return free[rng.integers(len(free))] if rng.random() < 0.6 else float(rng.uniform(-4, 4))

    one = ["x", "y", "z", "h", "s", "sdg", "t", "tdg", "sx", "sxdg", "rx", "ry", "rz", "p", "u", "r", "id"]
    two = ["cx", "cz", "swap", "rzz", "cp", "crz", "cy", "ch", "dcx", "iswap", "ecr", "rxx", "ryy", "rzx", "csx"]
    num_angles = {
        "rx": 1,
        "ry": 1,
        "rz": 1,
        "p": 1,
        "u": 3,
        "r": 2,
        "rzz": 1,
        "cp": 1,
        "crz": 1,
        "rxx": 1,
        "ryy": 1,
        "rzx": 1,
    }
    for expression in free:
        circuit.ry(expression, int(rng.integers(n)))
    for _ in range(12 * n):
        names = one + two if n > 1 else one
        name = names[rng.integers(len(names))]
        qubits = [int(q) for q in rng.permutation(n)[: 2 if name in two else 1]]
        getattr(circuit, name)(*(angle() for _ in range(num_angles.get(name, 0))), *qubits)
    return Case(circuit, list(x), [list(w)])


def random_observables(n: int, seed: int) -> list[SparsePauliOp]:
    """Pauli sums that flip bits or not, with an identity share, plus Z of every qubit."""
    rng = np.random.default_rng(seed)
    labels = ["".join(rng.choice(list("IXYZ"), n)) for _ in range(2 * n + 3)]
    mixed = SparsePauliOp([*labels, "I" * n], rng.normal(size=len(labels) + 1))
    flips = SparsePauliOp(["X" * n, "Y" * n], [0.5, -1.5])
    return [mixed, flips, *(SparsePauliOp("I" * (n - 1 - q) + "Z" + "I" * q) for q in range(n))]


def cases(n: int) -> dict[str, Case]:
    """All families at one size."""
    found = {"reuploading": reuploading(n, 2), "fixed_and_free": fixed_and_free(n, n)}
    if n > 1:
        found["qaoa"] = qaoa(n, 2)
    return found


class ParameterizedInitialize(Instruction):
    """As in qiskit-machine-learning, of which it is the only class that counts here."""

    def __init__(self, amplitudes):
        super().__init__("ParameterizedInitialize", len(amplitudes).bit_length() - 1, 0, amplitudes)

    def _define(self):
        if any(isinstance(one, ParameterExpression) and one.parameters for one in self.params):
            raise ValueError("unbound parameters")
        vector = np.array([complex(one) for one in self.params])
        norm = np.linalg.norm(vector)
        self.definition = QuantumCircuit(self.num_qubits)
        self.definition.initialize(vector if np.isclose(norm, 1) else vector / norm, range(self.num_qubits))


ParameterizedInitialize.__module__ = "qiskit_machine_learning.circuit.library.raw_feature_vector"


def encoded(num_qubits, parameters, on=None):
    """Amplitudes from parameters, and gates that mix them."""
    circuit = QuantumCircuit(num_qubits)
    on = list(range(len(parameters).bit_length() - 1)) if on is None else on
    circuit.append(ParameterizedInitialize(list(parameters)), on)
    for q in range(num_qubits):
        circuit.u(0.9 - q, 0.4, -0.3 * q, q)
    for q in range(num_qubits - 1):
        circuit.crx(0.3 + q, q, q + 1)
    return circuit
