"""A program written for version 1.0 of the package runs unchanged."""

import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import SparsePauliOp

from qiskit_torch_module import HybridModule, QuantumModule


def circuit_of_version_1(num_qubits=4, depth=1):
    a, b = ParameterVector("a", num_qubits), ParameterVector("b", 2 * num_qubits * (depth + 1))
    c = ParameterVector("c", 2 * num_qubits * depth)
    circuit = QuantumCircuit(num_qubits)
    circuit.h(range(num_qubits))
    circuit.barrier()
    for layer in range(depth + 1):
        for q in range(num_qubits):
            circuit.rz(b[2 * (num_qubits * layer + q)], q)
            circuit.ry(b[2 * (num_qubits * layer + q) + 1], q)
        if layer < depth:
            for q in range(num_qubits):
                for other in range(q + 1, num_qubits):
                    circuit.cz(q, other)
            circuit.barrier()
            for q in range(num_qubits):
                circuit.ry(c[2 * (num_qubits * layer + q)] * a[q], q)
                circuit.rz(c[2 * (num_qubits * layer + q) + 1] * a[q], q)
            circuit.barrier()
    return circuit, a, (b, c)


def test_policy_gradients():
    circuit, params_encoding, (params_variational, params_scaling) = circuit_of_version_1()
    model = QuantumModule(
        circuit,
        encoding_params=params_encoding,
        variational_params=[params_variational, params_scaling],
        variational_params_names=["variational", "scaling"],
        variational_params_initial=[("normal", {"std": 0.1}), ("constant", {"val": 1.0})],
        observables="tensoredZ",
        num_threads_forward=0,
        num_threads_backward=0,
        seed_init=42,
    )
    optimizer = torch.optim.Adam(
        [{"params": model.variational, "lr": 0.01}, {"params": model.scaling, "lr": 0.1}], amsgrad=True
    )
    num_threads_forward = model.num_threads_forward
    model.set_num_threads_forward(1)
    with torch.set_grad_enabled(False):
        signs = torch.tensor([1.0, -1.0])
        policies = torch.div(torch.add(torch.mul(model(torch.rand(10, 4)).repeat(1, 2), signs), 1.0), 2.0)
        actions = torch.distributions.Categorical(policies).sample()
    assert actions.shape == (10,)
    model.set_num_threads_forward(num_threads_forward)
    before = [one.detach().clone() for one in model.variational_]
    optimizer.zero_grad()
    torch.mean(model(torch.rand(10, 4))).backward()
    optimizer.step()
    assert all((one != old).any() for one, old in zip(model.variational_, before, strict=True))
    assert model.num_trainable_parameters == 24
    assert (model.input_size, model.output_size, model.circuit.num_qubits) == (4, 1, 4)


def test_the_benchmark_with_one_flat_list_of_weights():
    circuit, encoding, (variational, scaling) = circuit_of_version_1(3, 2)
    model = QuantumModule(
        circuit,
        encoding_params=encoding,
        variational_params=variational.params + scaling.params,
        variational_params_initial=("uniform", {"a": -1.0, "b": 1.0}),
        observables=[SparsePauliOp(3 * "Z") for _ in range(2)],
        num_threads_forward=2,
        num_threads_backward=2,
    )
    torch.mean(torch.sum(model(torch.rand((48, 3))), dim=1)).backward()
    assert model.variational_0.abs().max() <= 1.0
    assert model.variational_0.grad.shape == (18 + 12,)


def test_the_hybrid_module():
    circuit, encoding, sets = circuit_of_version_1()
    model = HybridModule(circuit, encoding, list(sets), 6, 2, variational_params_names=["b", "c"], seed_init=1)
    optimizer = torch.optim.SGD(
        [
            {"params": model.pre_parameters_, "lr": 0.1},
            {"params": model.quantum_parameters_, "lr": 0.01},
            {"params": model.post_parameters_, "lr": 0.1},
        ]
    )
    model(torch.rand(5, 6)).sum().backward()
    optimizer.step()
    assert model.quantum_module.b.grad is not None
