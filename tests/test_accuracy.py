"""Rounding: double precision against Qiskit, single against double, in deep circuits."""

import numpy as np
import pytest
import torch
from qiskit.quantum_info import Statevector

from circuits_zoo import fixed_and_free, random_observables, reuploading
from qiskit_torch_module import QuantumModule

DEEP = reuploading(10, 20)
GATES = {"reuploading": (DEEP, "individualZ"), "every gate": (fixed_and_free(10, 1), random_observables(10, 1)[2:])}


def deep(name, dtype):
    case, observables = GATES[name]
    model = QuantumModule(case.circuit, case.encoding, case.variational, observables=observables, seed_init=1)
    inputs = torch.rand(3, model.input_size, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    return model.to(dtype), inputs.to(dtype).requires_grad_()


def test_it_is_a_thousand_gates():
    assert sum(DEEP.circuit.count_ops().values()) > 1000


@pytest.mark.usefixtures("float64")
def test_double_precision_against_statevector(layout):
    model, inputs = deep("reuploading", torch.float64)
    row = torch.cat([inputs[0].detach(), *model.variational_]).detach().numpy()
    final = Statevector(DEEP.circuit.assign_parameters(dict(zip(DEEP.columns, row, strict=True))))
    probabilities = final.probabilities().reshape([2] * 10)
    expected = [np.diff(probabilities.sum(tuple(set(range(10)) - {9 - q})))[0] * -1 for q in range(10)]
    np.testing.assert_allclose(model(inputs)[0].detach().numpy(), expected, atol=1e-10, rtol=0)


@pytest.mark.parametrize("name", GATES)
def test_single_precision_against_double(name, layout):
    results = {}
    for dtype in (torch.float32, torch.float64):
        model, inputs = deep(name, dtype)
        values = model(inputs)
        cotangent = torch.linspace(-1, 1, values.numel(), dtype=dtype).reshape(values.shape)
        results[dtype] = [values.detach(), *torch.autograd.grad(values, [inputs, *model.variational_], cotangent)]
    for single, double in zip(results[torch.float32], results[torch.float64], strict=True):
        assert single.dtype == torch.float32
        assert (single - double).abs().max() < 1e-4 * max(1e-1, double.abs().max())
