"""Before and after: what a training step of an ``EstimatorQNN`` sends, and what that of the same model here does.

Both have the same estimator and exact values. The stock gradient sends PUBs for every sample, weight and observable;
here a step is one PUB. Needs qiskit-machine-learning (0.8.1 or later) and qiskit-aer.

    python examples/one_job.py
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.primitives.containers.estimator_pub import EstimatorPub
from qiskit.quantum_info import SparsePauliOp
from qiskit_aer.primitives import EstimatorV2
from qiskit_machine_learning.connectors import TorchConnector
from qiskit_machine_learning.gradients import ParamShiftEstimatorGradient
from qiskit_machine_learning.neural_networks import EstimatorQNN

import qiskit_torch_module as qtm


class Counting(EstimatorV2):
    """Aer's, which counts calls, PUBs, and the circuits that run: one for every setting of angles."""

    def __init__(self) -> None:
        super().__init__()
        self.counts = np.zeros(3, dtype=int)

    def run(self, pubs: Any, *, precision: float | None = None) -> Any:
        """As that of Aer."""
        coerced = [EstimatorPub.coerce(pub, precision) for pub in pubs]
        self.counts += 1, len(coerced), sum(max(1, pub.parameter_values.size) for pub in coerced)
        return super().run(coerced, precision=precision)


def reuploading(num_qubits: int, depth: int) -> tuple[QuantumCircuit, ParameterVector, ParameterVector]:
    """Data re-uploading with a ring of CX; inputs x, weights w."""
    x, w = ParameterVector("x", num_qubits), ParameterVector("w", 2 * num_qubits * (depth + 1))
    circuit = QuantumCircuit(num_qubits)
    for layer in range(depth + 1):
        for q in range(num_qubits):
            circuit.ry(w[2 * (layer * num_qubits + q)], q)
            circuit.rz(w[2 * (layer * num_qubits + q) + 1], q)
        if layer < depth:
            for q in range(num_qubits):
                circuit.cx(q, (q + 1) % num_qubits)
                circuit.rx(x[q], q)
    return circuit, x, w


def main(num_qubits: int = 4, depth: int = 2, batch: int = 8) -> list[np.ndarray[Any, Any]]:
    """Prints what a step of both takes; returns jobs, PUBs and circuits."""
    circuit, x, w = reuploading(num_qubits, depth)
    observables = [SparsePauliOp("I" * (num_qubits - 1 - q) + "Z" + "I" * q) for q in range(num_qubits)]
    start = np.linspace(-1, 1, len(w))
    inputs = torch.rand(batch, num_qubits, generator=torch.Generator().manual_seed(0))

    stock, ours = Counting(), Counting()
    network = EstimatorQNN(
        circuit=circuit,
        input_params=list(x),
        weight_params=list(w),
        observables=observables,
        estimator=stock,
        gradient=ParamShiftEstimatorGradient(stock),
        default_precision=0.0,
    )
    models = {
        "EstimatorQNN": (TorchConnector(network, initial_weights=start), stock),
        "QuantumModule": (
            qtm.QuantumModule(
                *(circuit, x, w),
                variational_params_initial=start,
                observables=observables,
                method=qtm.methods.Primitive(ours, precision=0.0),
            ),
            ours,
        ),
    }
    results = []
    for name, (model, estimator) in models.items():
        begin = time.perf_counter()
        values = model(inputs)
        values.square().sum().backward()
        seconds = time.perf_counter() - begin
        jobs, pubs, circuits = estimator.counts
        print(f"{name}: {jobs} jobs, {pubs} PUBs, {circuits} circuits, {seconds:.2f} s")
        [weights] = model.parameters()
        results.append((values.detach(), weights.grad))
    for before, after in zip(*results, strict=True):
        torch.testing.assert_close(after, before, atol=1e-5, rtol=0)
    return [estimator.counts for _, estimator in models.values()]


if __name__ == "__main__":
    main()
