"""A program written for version 1.0 of the package runs unchanged."""

import importlib

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import SparsePauliOp, Statevector

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


def small():
    """Two qubits, two inputs, and four weights in two sets."""
    x, w, v = ParameterVector("x", 2), ParameterVector("w", 2), ParameterVector("v", 2)
    circuit = QuantumCircuit(2)
    for q in range(2):
        circuit.ry(w[q], q)
        circuit.rx(v[q] * x[q], q)
    circuit.cx(0, 1)
    return circuit, x, w, v


@pytest.mark.parametrize(
    ("sets", "names", "expected"),
    [
        (lambda w, v: [*w, *v], None, ["variational"]),
        (lambda w, v: iter([*w, *v]), None, ["variational"]),
        (lambda w, v: [*w, *v], "foo", ["foo"]),
        (lambda w, v: [[*w, *v]], None, ["variational_0"]),
        (lambda w, v: [w, v], None, ["variational_0", "variational_1"]),
        (lambda w, v: [w, v], "foo", ["foo_0", "foo_1"]),
        (lambda w, v: (w, v), ["b", "c"], ["b", "c"]),
    ],
)
def test_names_of_sets(sets, names, expected):
    circuit, x, w, v = small()
    model = QuantumModule(circuit, x, sets(w, v), names)
    assert list(model.state_dict()) == expected
    assert all(getattr(model, name) is one for name, one in zip(expected, model.variational_, strict=True))


def test_names_without_order_are_refused():
    circuit, x, w, v = small()
    with pytest.raises(TypeError, match="variational_params_names: expected a sequence, got a set, which has no order"):
        QuantumModule(circuit, x, [w, v], {"a", "b"})


@pytest.mark.parametrize("name", ["variational", "variational_0", "foo"])
@pytest.mark.parametrize("key", ["variational", "variational_0"])
@pytest.mark.parametrize("nested", [False, True])
def test_the_only_set_answers_to_the_names_of_all_versions(name, key, nested):
    circuit, x, w, v = small()
    model = QuantumModule(circuit, x, [*w, *v], name)
    assert getattr(model, key) is model.variational_[0]
    whole = torch.nn.Sequential(torch.nn.Identity(), model) if nested else model
    whole.load_state_dict({f"1.{key}" if nested else key: torch.arange(4.0)})
    assert getattr(model, name).tolist() == [0, 1, 2, 3]
    with pytest.raises(RuntimeError, match="Unexpected key"):
        whole.load_state_dict({**whole.state_dict(), "other": torch.zeros(4)})


def test_names_of_several_sets_are_theirs_alone():
    circuit, x, w, v = small()
    model = QuantumModule(circuit, x, [w, v], ["b", "c"])
    with pytest.raises(AttributeError, match="variational_0"):
        model.variational_0  # noqa: B018
    with pytest.raises(RuntimeError, match="Missing key"):
        model.load_state_dict({"variational_0": torch.zeros(2), "variational_1": torch.zeros(2)})


def test_a_checkpoint_of_the_hybrid_module():
    """Version 1.0 gave <Z> of the last qubit first; what it had learnt must give the same outputs."""
    circuit, x, w, v = small()
    model = HybridModule(circuit, x, [*w, *v], 3, 2, seed_init=0)
    generator = torch.Generator().manual_seed(1)
    shapes = {
        "_preprocessing.weight": (2, 3),
        "_preprocessing.bias": (2,),
        "_quantum_module.variational": (4,),
        "_postprocessing.weight": (2, 2),
        "_postprocessing.bias": (2,),
    }
    old = {key: torch.randn(shape, generator=generator) for key, shape in shapes.items()}
    model.load_state_dict(old)
    sample = torch.randn(3, generator=generator)
    hidden = old["_preprocessing.weight"] @ sample + old["_preprocessing.bias"]
    weights = old["_quantum_module.variational"]
    bound = circuit.assign_parameters({x: hidden.tolist(), w: weights[:2].tolist(), v: weights[2:].tolist()})
    values = [Statevector(bound).expectation_value(SparsePauliOp(label)).real for label in ("ZI", "IZ")]
    expected = old["_postprocessing.weight"] @ torch.tensor(values).float() + old["_postprocessing.bias"]
    torch.testing.assert_close(model(sample), expected, rtol=0, atol=1e-5)
    model.load_state_dict(model.state_dict())


@pytest.mark.parametrize("module", ["quantum", "hybrid"])
@pytest.mark.parametrize(
    "convert",
    [
        lambda rows: torch.tensor(rows, dtype=torch.float64),
        lambda rows: np.array(rows),
        lambda rows: rows,
        lambda rows: [torch.tensor(row) for row in rows],
        lambda rows: [np.array(row) for row in rows],
        lambda rows: [tuple(row) for row in rows],
    ],
    ids=["float64", "array", "list", "tensors", "arrays", "tuples"],
)
def test_inputs_of_every_kind(module, convert):
    circuit, x, w, v = small()
    rows = [[0.1, -0.4], [0.7, 0.2], [1.0, 0.5]]
    model = QuantumModule(circuit, x, [*w, *v]) if module == "quantum" else HybridModule(circuit, x, [*w, *v], 2, 1)
    expected = model(torch.tensor(rows))
    torch.testing.assert_close(model(convert(rows)).float(), expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(model(input_tensor=torch.tensor(rows)), expected)


def test_the_network_within():
    circuit, x, w, v = small()
    model = QuantumModule(circuit, x, [w, v], seed_init=0, observables=["ZI", "XX"]).double()
    rows = torch.rand(5, 2, dtype=torch.float64, requires_grad=True)
    sets = [one.detach().numpy() for one in model.variational_]
    assert np.allclose(model.qnn.forward(rows.detach().numpy(), sets), model(rows).detach().numpy())
    inputs, gradients = model.qnn.backward(rows.detach().numpy(), np.concatenate(sets), True, [False, True])
    assert gradients[0] is None
    for index in range(2):
        of_rows, of_v = torch.autograd.grad(model(rows)[:, index].sum(), [rows, model.variational_1])
        assert np.allclose(inputs[:, index], of_rows.numpy())
        assert np.allclose(gradients[1][:, index].sum(0), of_v.numpy())
    none, flat = model.qnn.backward(rows.detach().numpy(), sets)
    assert none is None
    assert flat.shape == (5, 2, 4)
    model.qnn.set_num_threads_forward(1)
    assert model.num_threads_forward == 1
    assert (model.qnn.num_input_parameters(), model.qnn.num_trainable_parameters()) == (2, [2, 2])
    assert (model.qnn.num_observables(), model.qnn.circuit().num_qubits) == (2, 2)


OLD = {
    "quantum_module": ["QuantumModule"],
    "hybrid_module": ["HybridModule"],
    "quantum_neural_network": ["QNN"],
    "fast_primitives": ["FastEstimator"],
    "fast_gradients": ["FastReverseGradientEstimator"],
}


@pytest.mark.parametrize("module", list(OLD))
@pytest.mark.filterwarnings("ignore:.*name of version 1.0:DeprecationWarning")
def test_old_places(module):
    found = importlib.import_module(f"qiskit_torch_module.{module}")
    assert set(OLD[module]) <= set(found.__all__)


@pytest.mark.filterwarnings("ignore:.*name of version 1.0:DeprecationWarning")
def test_the_estimator_and_the_gradient_of_version_1():
    from qiskit_torch_module.fast_gradients import FastReverseGradientEstimator
    from qiskit_torch_module.fast_primitives import FastEstimator

    circuit, *_ = small()
    observables = [SparsePauliOp("ZI"), SparsePauliOp(["XX", "ZZ"], [0.5, 2.0])]
    rows = np.random.default_rng(0).normal(size=(3, 6))
    result = FastEstimator(circuit).run(observables, rows, num_threads=1).result()
    states = [Statevector(circuit.assign_parameters(row)) for row in rows]
    expected = [[state.expectation_value(one).real for one in observables] for state in states]
    assert np.allclose(result.values, expected, atol=1e-12)
    assert result.metadata == [[{}, {}]] * 3
    assert FastEstimator(circuit).run(observables[0], rows[0]).result().values.shape == (1, 1)
    noisy = FastEstimator(circuit, options={"shots": 10**6}).run(observables, rows, seed=1).result()
    assert 0 < np.abs(noisy.values - expected).max() < 0.02
    assert np.isclose(noisy.metadata[0][0]["variance"], 1 - expected[0][0] ** 2)

    chosen = list(circuit.parameters)[::-2]
    gradient = FastReverseGradientEstimator(circuit).run(observables, rows, chosen).result()
    step = 1e-6 * np.eye(6)[::-2]
    sides = [
        FastEstimator(circuit)
        .run(observables, rows + sign * step[:, None].repeat(3, 1).reshape(-1, 3, 6)[i])
        .result()
        .values
        for i in range(3)
        for sign in (1, -1)
    ]
    for i in range(3):
        assert np.allclose(gradient.gradients[:, :, i], (sides[2 * i] - sides[2 * i + 1]) / 2e-6, atol=1e-8)
    assert gradient.metadata["parameters"] == chosen
