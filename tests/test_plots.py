"""Figures of training landscapes."""

import matplotlib
import numpy as np
import pytest
import torch
from qiskit.circuit.library import EfficientSU2

from circuits_zoo import reuploading
from qiskit_torch_module import QuantumModule, plots

matplotlib.use("Agg")
from matplotlib import pyplot


def deep(num_qubits):
    circuit = EfficientSU2(num_qubits, reps=2 * num_qubits).decompose()
    return QuantumModule(circuit, None, list(circuit.parameters), observables="Z" * num_qubits, seed_init=0)


@pytest.mark.filterwarnings("ignore")  # EfficientSU2 became a function
def test_deep_circuits_have_barren_plateaus():
    models = [deep(num_qubits) for num_qubits in (2, 4, 6)]
    before = [model.variational_0.detach().clone() for model in models]
    state = torch.random.get_rng_state()
    figure, axes = pyplot.subplots()
    variances = plots.gradient_variance(models, samples=60, axes=axes)
    assert variances[0] > 2 * variances[1] > 4 * variances[2] > 0
    np.testing.assert_array_equal(axes.lines[0].get_xdata(), [2, 4, 6])
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(model.variational_0, one) for model, one in zip(models, before, strict=True))
    pyplot.close(figure)


def test_loss_landscapes_pass_through_the_present_weights():
    case = reuploading(2, 1)
    model = QuantumModule(case.circuit, case.encoding, case.variational, seed_init=1)
    before, inputs = [one.detach().clone() for one in model.variational_], torch.rand(8, 2)
    figure, axes = pyplot.subplots()
    losses = plots.loss_landscape(model, lambda: model(inputs).square().mean(), resolution=7, axes=axes)
    assert losses.shape == (7, 7)
    assert losses[3, 3] == pytest.approx(model(inputs).square().mean().item(), abs=1e-6)
    assert losses.std() > 0.01
    assert all(torch.equal(one, start) for one, start in zip(model.variational_, before, strict=True))
    pyplot.close(figure)


def test_weights_are_put_back_whatever_happens():
    case = reuploading(2, 1)
    model = QuantumModule(case.circuit, case.encoding, case.variational, seed_init=1)
    before, calls = [one.detach().clone() for one in model.variational_], []

    def fails(*_):
        calls.append(None)
        if len(calls) % 3 == 0:
            raise KeyboardInterrupt
        return torch.zeros(())

    with pytest.raises(KeyboardInterrupt):
        plots.loss_landscape(model, fails)
    assert all(torch.equal(one, start) for one, start in zip(model.variational_, before, strict=True))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda model: plots.gradient_variance(5), "models: expected a sequence of QuantumModules, got 5"),
        (lambda model: plots.gradient_variance([model, None]), "models: expected a sequence of QuantumModules"),
        (lambda model: plots.gradient_variance(model, samples=1), "samples: expected a whole number from 2"),
        (lambda model: plots.loss_landscape(None, lambda: 0), "model: expected a torch.nn.Module, got None"),
        (lambda model: plots.loss_landscape(model, lambda: 0, resolution=2.5), "resolution: expected a whole number"),
    ],
)
def test_odd_arguments_are_named(call, message):
    case = reuploading(2, 1)
    with pytest.raises((TypeError, ValueError), match=message):
        call(QuantumModule(case.circuit, case.encoding, case.variational))
