"""Gradients against central differences, the parameter-shift rule and torch.autograd.gradcheck."""

from functools import cache, lru_cache
from itertools import combinations, pairwise

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import Statevector

import reference
from circuits_zoo import cases, fixed_and_free, qaoa, random_observables, reuploading
from qiskit_torch_module import QuantumModule, compiler_passes
from qiskit_torch_module._simulation import pytorch
from qiskit_torch_module._simulation.engines import engine_of
from test_values import FAMILIES, bound_rows, module_of


def gradients(model, inputs, cotangent):
    """(inputs, weights) gradients of sum(cotangent * values); weights of all sets in one vector."""
    inputs = inputs.clone().requires_grad_()
    found = torch.autograd.grad(model(inputs), [inputs, *model.variational_], cotangent)
    return found[0].numpy(), torch.cat(found[1:]).numpy()


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("n", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("family", FAMILIES)
def test_against_central_differences_of_the_reference(n, family, layout):
    if n == 1 and family == "qaoa":
        pytest.skip("needs two qubits")
    model, inputs, cotangent, expected = differenced(n, family)
    by_inputs, by_weights = gradients(model, inputs, cotangent)
    np.testing.assert_allclose(np.concatenate([by_inputs[0], by_weights]), expected, atol=1e-10, rtol=1e-10)


@cache
def differenced(n, family):
    """A model, inputs, a cotangent and the gradients there, which take long: once for all layouts."""
    case = {"qaoa": lambda: qaoa(n, 1), "reuploading": lambda: reuploading(n, 1)}.get(
        family, lambda: fixed_and_free(n, n)
    )()
    observables = random_observables(n, n)
    model = module_of(case, observables, variational_params_initial=("uniform", {"a": -1.0, "b": 1.0}))
    generator = torch.Generator().manual_seed(n)
    inputs = torch.rand(1, model.input_size, generator=generator)
    cotangent = torch.randn(1, model.output_size, generator=generator)

    def loss(row):
        bound = case.circuit.assign_parameters(dict(zip(case.columns, row, strict=True)))
        return reference.expectation_values(bound, observables) @ cotangent[0].numpy()

    return model, inputs, cotangent, reference.central_differences(loss, bound_rows(model, inputs)[0])


@pytest.mark.usefixtures("float64")
def test_phases_that_no_table_holds(layout):
    """Every pair of 14 qubits interacts: from coset to coset signs differ in more ways than a table has variants."""
    n, pairs = 14, list(combinations(range(14), 2))
    x, w, m = ParameterVector("x", 1), ParameterVector("w", len(pairs)), ParameterVector("m", 2 * n)
    circuit = QuantumCircuit(n)
    circuit.h(range(n))
    for layer in range(2):
        for angle, pair in zip(w, pairs, strict=True):
            circuit.rzz(angle * x[0], *pair)
        for q in range(n):
            circuit.rx(m[n * layer + q], q)
    observables = random_observables(n, 3)
    with compiler_passes(symmetry_reduction=False):
        model = QuantumModule(circuit, x, [w, m], observables=observables, seed_init=0)
    assert max(engine_of(model._program).schedule_float64(2, 1, True)["products_of_phases"]) > 2
    inputs = torch.tensor([[0.7], [-1.1]])
    final = Statevector(circuit.assign_parameters(dict(zip([*x, *w, *m], bound_rows(model, inputs)[0], strict=True))))
    expected = [final.expectation_value(observable).real for observable in observables]
    np.testing.assert_allclose(model(inputs)[0].detach().numpy(), expected, atol=1e-10, rtol=0)
    cotangent = torch.randn(2, len(observables), generator=torch.Generator().manual_seed(1))
    weights = torch.cat([*model.variational_]).detach().requires_grad_()
    plain = pytorch.values(model._program, inputs.requires_grad_(), weights)
    by_inputs, by_weights = gradients(model, inputs.detach(), cotangent)
    expected_gradients = torch.autograd.grad(plain, [inputs, weights], cotangent)
    np.testing.assert_allclose(by_inputs, expected_gradients[0].numpy(), atol=1e-10, rtol=0)
    np.testing.assert_allclose(by_weights, expected_gradients[1].numpy(), atol=1e-10, rtol=0)


@lru_cache
def few_runs(count, num_diagonals):
    """Circuit of 9 qubits, `count` of which each layer turns, and as many random words of Z between two layers."""
    n, layers, rng = 9, 3, np.random.default_rng(10 * count + num_diagonals)
    w, circuit = ParameterVector("w", layers * (3 * count + num_diagonals)), QuantumCircuit(n)
    free = iter(w)
    circuit.h(range(n))
    for _ in range(layers):
        for number, q in enumerate(rng.permutation(n)[:count].tolist()):
            circuit.ry(next(free), q)
            if number % 2 == 0:
                circuit.rz(next(free), q)
                circuit.rx(next(free), q)
        for q in range(n - 1):
            circuit.cx(q, q + 1)
        for _ in range(num_diagonals):
            qubits = rng.permutation(n)[: rng.integers(1, n)].tolist()
            chain = list(pairwise(qubits))
            for pair in chain:
                circuit.cx(*pair)
            circuit.rz(next(free), qubits[-1])
            for pair in reversed(chain):
                circuit.cx(*pair)
    return circuit, [parameter for parameter in w if parameter in circuit.parameters]


@pytest.mark.usefixtures("instruction_set", "float64")
@pytest.mark.parametrize("num_diagonals", [1, 20])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_blocks_that_few_runs_share(count, num_diagonals):
    """Most bits of a block are passive; phases have few characters, and many."""
    circuit, w = few_runs(count, num_diagonals)
    observables = random_observables(circuit.num_qubits, count)[:3]
    with compiler_passes(symmetry_reduction=False):
        model = QuantumModule(circuit, None, w, observables=observables, seed_init=count)
    inputs, cotangent = torch.zeros(1, 0), torch.tensor([[1.0, -0.4, 0.7]])
    weights = model.variational_0.detach().clone().requires_grad_()
    final = Statevector(circuit.assign_parameters(dict(zip(w, weights.tolist(), strict=True))))
    expected = [final.expectation_value(observable).real for observable in observables]
    np.testing.assert_allclose(model(inputs)[0].detach().numpy(), expected, atol=1e-10, rtol=0)
    plain = pytorch.values(model._program, inputs, weights)
    [expected_gradient] = torch.autograd.grad(plain, [weights], cotangent)
    np.testing.assert_allclose(gradients(model, inputs, cotangent)[1], expected_gradient.numpy(), atol=1e-10, rtol=0)


def assert_gradients_are_shifts(model, checked):
    cotangent = torch.randn(model.output_size, generator=torch.Generator().manual_seed(0))
    [found] = torch.autograd.grad(model(), [model.variational_0], cotangent)
    point = model.variational_0.detach().clone()

    def loss(values):
        with torch.no_grad():
            model.variational_0.copy_(values)
            return float(model() @ cotangent)

    for i in checked:
        shift = torch.zeros(len(point))
        shift[i] = np.pi / 2
        expected = (loss(point + shift) - loss(point - shift)) / 2
        assert found[i].item() == pytest.approx(expected, abs=1e-10 * max(1.0, abs(expected)))


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("n", [1, 3, 7, 10, 12])
def test_against_parameter_shift(instruction_set, n):
    weights = ParameterVector("w", 3 * n)
    circuit = QuantumCircuit(n)
    for q in range(n):
        circuit.ry(weights[3 * q], q)
        circuit.rz(weights[3 * q + 1], q)
        circuit.cx(q, (q + 1) % n) if n > 1 else None
        circuit.rx(weights[3 * q + 2], q)
    model = QuantumModule(circuit, None, weights, observables=random_observables(n, n), seed_init=0)
    assert_gradients_are_shifts(model, range(3 * n) if n < 10 else range(0, 3 * n, 5))


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("layout", ["spread"], indirect=True)
@pytest.mark.parametrize("halved_start", [True, False])
@pytest.mark.parametrize("num_threads", [1, 2])
def test_states_that_no_cache_holds(instruction_set, num_threads, halved_start):
    """From 4 MiB a thread on, the bra goes past the caches."""
    circuit, weights = circuit_that_no_cache_holds()
    options = {"num_threads_forward": num_threads, "num_threads_backward": num_threads}
    with compiler_passes(halved_start=halved_start, unjoined_halves=False):
        model = QuantumModule(circuit, None, weights, seed_init=0, **options)
    schedule = engine_of(model._program).schedule_float64(1, num_threads, True)
    assert schedule["is_team"] == (num_threads > 1)
    assert schedule["measured_runs"] == circuit.num_qubits
    expected = values_that_no_cache_holds(tuple(model.variational_0.tolist()))
    np.testing.assert_allclose(model().detach().numpy(), expected, atol=1e-10, rtol=0)
    assert_gradients_are_shifts(model, range(0, len(weights), 16))


def circuit_that_no_cache_holds(n=19):
    weights, circuit = ParameterVector("w", 6 * n), QuantumCircuit(n)
    for layer in range(3):
        for q in range(n):
            circuit.ry(weights[2 * (layer * n + q)], q)
            circuit.rz(weights[2 * (layer * n + q) + 1], q)
        for q in range(n if layer < 2 else 0):
            circuit.cx(q, (q + 1) % n)
    return circuit, weights


@cache
def values_that_no_cache_holds(point):
    """<Z> of every qubit, by Qiskit: once for all ways to run the circuit."""
    circuit, weights = circuit_that_no_cache_holds()
    final = Statevector(circuit.assign_parameters(dict(zip(weights, point, strict=True))))
    n = circuit.num_qubits
    return final.probabilities() @ (1 - 2 * (np.arange(2**n)[:, None] >> np.arange(n) & 1))


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("family", FAMILIES)
def test_gradcheck(instruction_set, family):
    case, observables = cases(4)[family], random_observables(4, 4)
    model = module_of(case, observables)
    inputs = torch.randn(3, model.input_size, generator=torch.Generator().manual_seed(1)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, *_: model(x), (inputs, *model.variational_), atol=1e-6)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("batch_size", [1, 7, 48, 1000])
def test_batch_sums_and_threads(instruction_set, batch_size):
    case, observables = reuploading(5, 2), random_observables(5, 5)
    generator = torch.Generator().manual_seed(batch_size)
    inputs = torch.randn(batch_size, 5, generator=generator)
    cotangent = torch.randn(batch_size, len(observables), generator=generator)
    model = module_of(case, observables, num_threads_forward=1, num_threads_backward=1)
    by_inputs, by_weights = gradients(model, inputs, cotangent)
    parts = [gradients(model, x[None], c[None]) for x, c in zip(inputs[:20], cotangent[:20], strict=True)]
    np.testing.assert_allclose(by_inputs[:20], np.concatenate([part[0] for part in parts]), atol=1e-10)
    if batch_size <= 20:
        np.testing.assert_allclose(by_weights, sum(part[1] for part in parts), atol=1e-10)
    for threads in (2, 3, 5):
        model.set_num_threads_backward(threads)
        again = gradients(model, inputs, cotangent)
        np.testing.assert_allclose(again[0], by_inputs, atol=1e-12)
        np.testing.assert_allclose(again[1], by_weights, atol=1e-10 * max(1, batch_size / 10))


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("n", [9, 12])  # a block in parts if batched; two sweeps a layer if spread
def test_undoing_kets_equals_keeping_them(layout, n, own_budget):
    case, observables = reuploading(n, 6), random_observables(n, 2)
    model = module_of(case, observables)
    inputs, cotangent = torch.rand(5, n), torch.rand(5, len(observables))
    engine = engine_of(model._program)
    model.set_num_threads_backward(1)
    assert engine.schedule_float64(5, 1, True)["keeps_kets"]
    kept = gradients(model, inputs, cotangent)
    while (plan := engine.schedule_float64(5, 1, True))["keeps_kets"]:
        own_budget(plan["scratch_bytes"] - 1)
    undone = gradients(model, inputs, cotangent)
    np.testing.assert_allclose(undone[0], kept[0], atol=1e-11)
    np.testing.assert_allclose(undone[1], kept[1], atol=1e-11)


@pytest.mark.parametrize("n", [3, 9])
def test_float32_at_depth_50(instruction_set, n):
    case, observables = reuploading(n, 50), "individualZ"
    single, double = module_of(case, observables), module_of(case, observables).double()
    generator = torch.Generator().manual_seed(n)
    inputs, cotangent = torch.randn(4, n, generator=generator), torch.randn(4, n, generator=generator)
    found, expected = gradients(single, inputs, cotangent), gradients(double, inputs.double(), cotangent.double())
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == np.float32
        np.testing.assert_allclose(one, other, atol=1e-4 * max(1.0, abs(other).max()), rtol=0)


@pytest.mark.usefixtures("float64")
def test_frozen_sets_get_no_gradient_and_change_no_other():
    case, observables = reuploading(4, 2), random_observables(4, 4)
    model = module_of(case, observables)
    inputs = torch.rand(3, 4)
    model(inputs).sum().backward()
    everything = model.variational_1.grad.clone()
    model.zero_grad()
    model.variational_0.requires_grad_(False)
    model(inputs).sum().backward()
    assert model.variational_0.grad is None
    np.testing.assert_allclose(model.variational_1.grad.numpy(), everything.numpy(), atol=1e-12)


@pytest.mark.usefixtures("float64")
def test_rotation_with_z_only_in_the_last_phase_has_no_gradient():
    w = ParameterVector("w", 2)
    circuit = QuantumCircuit(2)
    circuit.ry(w[0], 0)
    circuit.rzz(w[1], 0, 1)
    model = QuantumModule(circuit, None, w, seed_init=0)
    model().sum().backward()
    assert model.variational_0.grad[1].item() == 0.0
    assert model.variational_0.grad[0].item() == pytest.approx(-torch.sin(model.variational_0[0]).item(), abs=1e-12)


SPECIAL_ANGLES = [0.0, np.pi, -np.pi / 2, 2 * np.pi, 1e-9, 0.7]


@lru_cache
def about_y_and_then_z(n):
    """Circuit, observables, rows of angles where sines or cosines vanish, and gradients by differences."""
    x, rng = ParameterVector("x", 5 * n), np.random.default_rng(0)
    circuit, free = QuantumCircuit(n), iter(x)
    for q in range(n):
        circuit.ry(next(free), q)
        circuit.rz(next(free), q)
    for q in range(n - 1):
        circuit.cx(q, q + 1)
    for q in range(n):
        circuit.ry(next(free), q)
        circuit.rz(next(free), q)
        circuit.rz(next(free), q)
    observables = random_observables(n, 0)[:2]
    rows = np.stack([np.zeros(5 * n), rng.choice(SPECIAL_ANGLES, 5 * n)])

    def values(row):
        bound = circuit.assign_parameters(dict(zip(x, row, strict=True)))
        return reference.expectation_values(bound, observables)

    return circuit, x, observables, rows, np.array([reference.central_differences(values, row).T for row in rows])


@pytest.mark.usefixtures("instruction_set", "float64")
def test_runs_about_y_and_then_z_at_special_angles():
    circuit, x, observables, rows, expected = about_y_and_then_z(5)
    model = QuantumModule(circuit, x, None, observables=observables)
    inputs = torch.from_numpy(rows).requires_grad_()
    values = model(inputs)
    for m in range(len(observables)):
        found = torch.autograd.grad(values[:, m].sum(), inputs, retain_graph=True)[0]
        np.testing.assert_allclose(found.numpy(), expected[:, m], atol=1e-9)
