"""Expectation values against the reference simulator and against Qiskit's Statevector."""

import numpy as np
import pytest
import torch
from qiskit.quantum_info import Statevector

import reference
from circuits_zoo import cases, random_observables, reuploading
from qiskit_torch_module import QuantumModule

FAMILIES = ["reuploading", "qaoa", "fixed_and_free"]


def module_of(case, observables, **options):
    return QuantumModule(case.circuit, case.encoding, case.variational, observables=observables, seed_init=3, **options)


def bound_rows(model, inputs):
    weights = np.concatenate([one.detach().numpy() for one in model.variational_])
    return [np.concatenate([row, weights]) for row in inputs.detach().numpy()]


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("n", range(1, 9))
@pytest.mark.parametrize("family", FAMILIES)
def test_against_reference(n, family, layout):
    if n == 1 and family == "qaoa":
        pytest.skip("needs two qubits")
    case, observables = cases(n)[family], random_observables(n, n)
    model = module_of(case, observables)
    inputs = torch.randn(3, model.input_size, generator=torch.Generator().manual_seed(n))
    expected = reference.batch_values(case.circuit, observables, case.columns, bound_rows(model, inputs))
    np.testing.assert_allclose(model(inputs).detach().numpy(), expected, atol=1e-10, rtol=0)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("n", [9, 10, 11, 12])
def test_against_statevector(n, layout):
    case, observables = reuploading(n, 2), random_observables(n, n)
    model = module_of(case, observables)
    inputs = torch.randn(1, n, generator=torch.Generator().manual_seed(n))
    [row] = bound_rows(model, inputs)
    final = Statevector(case.circuit.assign_parameters(dict(zip(case.columns, row, strict=True))))
    expected = [final.expectation_value(observable).real for observable in observables]
    np.testing.assert_allclose(model(inputs).detach().numpy()[0], expected, atol=1e-10, rtol=0)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("batch_size", [1, 7, 48, 1000])
def test_batch_sizes(instruction_set, batch_size):
    case, observables = reuploading(4, 2), random_observables(4, 1)
    model = module_of(case, observables)
    inputs = torch.randn(batch_size, 4, generator=torch.Generator().manual_seed(batch_size))
    values = model(inputs).detach().numpy()
    sampled = sorted({0, batch_size // 3, batch_size - 1})
    rows = [bound_rows(model, inputs)[i] for i in sampled]
    expected = reference.batch_values(case.circuit, observables, case.columns, rows)
    np.testing.assert_allclose(values[sampled], expected, atol=1e-10, rtol=0)
    alone = torch.cat([model(row[None]) for row in inputs[:50]]).detach().numpy()
    np.testing.assert_allclose(values[:50], alone, atol=1e-12, rtol=0)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("n", [2, 5, 9])
def test_instruction_sets_agree(instruction_set, family, n):
    case, observables = cases(n)[family], random_observables(n, n)
    model = module_of(case, observables)
    inputs = torch.randn(5, model.input_size, generator=torch.Generator().manual_seed(n))
    expected = reference.batch_values(case.circuit, observables, case.columns, bound_rows(model, inputs))
    np.testing.assert_allclose(model(inputs).detach().numpy(), expected, atol=1e-10, rtol=0)


@pytest.mark.parametrize("n", [3, 8])
def test_float32_drift_at_depth_50(instruction_set, n):
    case, observables = reuploading(n, 50), random_observables(n, n)
    single = module_of(case, observables)
    double = module_of(case, observables).double()
    inputs = torch.randn(9, n, generator=torch.Generator().manual_seed(n))
    scale = sum(abs(observables[0].coeffs))
    values = single(inputs)
    assert values.dtype == torch.float32
    np.testing.assert_allclose(
        values.detach().numpy(), double(inputs.double()).detach().numpy(), atol=1e-4 * max(1.0, scale), rtol=0
    )


@pytest.mark.usefixtures("float64")
def test_angles_far_outside_one_turn(instruction_set):
    case = reuploading(3, 1)
    observables = random_observables(3, 0)
    model = module_of(case, observables)
    inputs = torch.tensor([[1e3, -3e4, 1e8], [0.0, 1e-12, -1e-300]])
    expected = reference.batch_values(case.circuit, observables, case.columns, bound_rows(model, inputs))
    np.testing.assert_allclose(model(inputs).detach().numpy(), expected, atol=1e-7, rtol=0)
    np.testing.assert_allclose(model(inputs[1:]).detach().numpy(), expected[1:], atol=1e-10, rtol=0)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("angle", [np.pi, -np.pi, np.pi - 1e-9, 3 * np.pi, np.pi / 2, 0.0, 2 * np.pi])
def test_rotations_where_the_cosine_vanishes(instruction_set, angle):
    case, observables = reuploading(4, 3), random_observables(4, 2)
    model = module_of(case, observables, variational_params_initial=("constant", {"val": angle}))
    inputs = torch.ones(2, 4)
    expected = reference.batch_values(case.circuit, observables, case.columns, bound_rows(model, inputs))
    np.testing.assert_allclose(model(inputs).detach().numpy(), expected, atol=1e-10, rtol=0)
