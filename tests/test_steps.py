"""Circuits of few rotations a layer, which run step by step: against a dense simulator, and against their layers."""

from functools import cache

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.circuit.library import PauliEvolutionGate
from qiskit.quantum_info import SparsePauliOp, Statevector

import qiskit_torch_module as qtm
from circuits_zoo import random_observables, reuploading
from conftest import NIGHTLY
from judgement import Judgement
from qiskit_torch_module import QuantumModule, compiler_passes, explain
from reference import opened_values

NUM_INPUTS, NUM_WEIGHTS = 2, 5


def by_words(num_qubits, seed, length=12, most_letters=3):
    """By random words, whose angles are up to several turns, or a quarter or half of one; some depend on nothing."""
    rng = np.random.default_rng(seed)
    x, w = ParameterVector("x", NUM_INPUTS), ParameterVector("w", NUM_WEIGHTS)
    angles = [*x, *w, 4 * w[0], 3 * x[1] * w[1], np.pi * w[2], x[0] + np.pi, np.pi / 2, np.pi]
    circuit = QuantumCircuit(num_qubits)
    for number in range(length):
        on = sorted(int(q) for q in rng.choice(num_qubits, rng.integers(1, min(num_qubits, most_letters) + 1), False))
        label = "".join(rng.choice(list("XYZ")) for _ in on)
        angle = angles[number] if number < NUM_INPUTS + NUM_WEIGHTS else angles[rng.integers(len(angles))]
        circuit.append(PauliEvolutionGate(SparsePauliOp(label), angle), on)
    return circuit, x, w


@cache
def judged(num_qubits, seed):
    return Judgement(*by_words(num_qubits, seed), seed, opened_values)


@pytest.mark.parametrize("seed", range(60) if NIGHTLY else range(3))
@pytest.mark.parametrize("num_qubits", [1, 2, 3, 5, 7])
def test_values_and_gradients(num_qubits, seed, instruction_set, layout, step_by_step, float64):
    judged(num_qubits, seed).assert_agrees()


def with_turns(num_qubits, seed):
    """Words with gates in between that turn by quarters, about words and qubits, forward and backward, many times."""
    rng = np.random.default_rng(seed)
    circuit, _, w = by_words(num_qubits, seed, length=0)
    gates = ("h", "s", "sdg", "x", "y", "z", "sx", "sxdg", "t")
    for number in range(25):
        label, on = "".join(rng.choice(list("IXYZ"), num_qubits)), range(num_qubits)
        if number % 3 == 0:
            circuit.append(PauliEvolutionGate(SparsePauliOp(label), w[number % NUM_WEIGHTS]), on)
        elif number % 3 == 1:
            circuit.append(PauliEvolutionGate(SparsePauliOp(label), rng.integers(-9, 10) * np.pi / 4), on)
        else:
            getattr(circuit, gates[rng.integers(len(gates))])(int(rng.integers(num_qubits)))
    circuit.global_phase = 0.3
    return circuit, list(w)


@pytest.mark.parametrize("seed", range(60) if NIGHTLY else range(4))
@pytest.mark.parametrize("num_qubits", [2, 3, 5, 7])
def test_states_have_the_phases_of_all_turns(num_qubits, seed, instruction_set, layout, step_by_step, float64):
    circuit, weights = with_turns(num_qubits, seed)
    model = QuantumModule(circuit, None, weights, observables=qtm.outputs.State(), seed_init=seed)
    assert explain(model).schedule["by_steps"]
    (parameter,) = model.parameters()
    values = dict(zip(weights, parameter.tolist(), strict=True))
    expected = Statevector(circuit.decompose(["PauliEvolution"]).assign_parameters(values)).data
    np.testing.assert_allclose(model().detach().numpy(), expected, rtol=0, atol=1e-12)

    def state(at):
        return torch.view_as_real(torch.func.functional_call(model, {model.variational_names[0]: at}, ()))

    assert torch.autograd.gradcheck(state, parameter.detach().clone().requires_grad_())


def results(model, rows):
    """Values, and gradients of inputs and weights."""
    inputs = rows.clone().requires_grad_()
    values = model(inputs)
    values.sin().sum().backward()
    return [values.detach(), inputs.grad, *(one.grad for one in model.parameters())]


def by_steps_and_by_layers(circuit, x, w, observables, dtype, rows):
    """What both make of it; layers, as nothing is fused that steps could take together."""
    found = []
    for fusion in (True, False):
        with compiler_passes(fusion=fusion):
            model = QuantumModule(circuit, x, w, observables=observables, seed_init=0).to(dtype)
            assert bool(explain(model).schedule["by_steps"]) == fusion
            found.append(results(model, rows))
    return found


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_cosines_that_are_left_out_of_hundreds_of_rotations(dtype, layout, step_by_step):
    circuit, x, w = by_words(6, seed=1, length=900)
    observables = random_observables(6, 1)
    found, expected = by_steps_and_by_layers(circuit, x, w, observables, dtype, torch.rand(3, NUM_INPUTS, dtype=dtype))
    for one, other in zip(found, expected, strict=True):
        scale = other.abs().max().clamp(min=1)
        assert (one - other).abs().max() <= (1e-3 if dtype is torch.float32 else 1e-11) * scale


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("num_qubits", [10, 12])
def test_large_states_agree_with_layers(num_qubits, dtype, layout, step_by_step):
    circuit, x, w = by_words(num_qubits, seed=2, length=30)
    observables = random_observables(num_qubits, 2)
    rows = torch.rand(5, NUM_INPUTS, dtype=dtype)
    tolerance = 2e-4 if dtype is torch.float32 else 1e-11
    for one, other in zip(*by_steps_and_by_layers(circuit, x, w, observables, dtype, rows), strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_forty_words_of_z_in_a_row(dtype, layout, step_by_step):
    """Of neighbours in a vector, of vectors in a row, of rows, and of all of these."""
    rng, n = np.random.default_rng(6), 11
    x, w = ParameterVector("x", NUM_INPUTS), ParameterVector("w", NUM_WEIGHTS)
    circuit = QuantumCircuit(n)
    for _ in range(2):
        for qubit in range(n):
            circuit.ry(0.3 + 0.1 * qubit, qubit)
        for number in range(40):
            on = sorted(int(q) for q in rng.choice(n, rng.integers(1, 5), replace=False))
            angle = [*x, *w][number % (NUM_INPUTS + NUM_WEIGHTS)]
            circuit.append(PauliEvolutionGate(SparsePauliOp("Z" * len(on)), rng.normal() * angle), on)
    observables = random_observables(n, 6)
    rows = torch.rand(3, NUM_INPUTS, dtype=dtype)
    tolerance = 2e-4 if dtype is torch.float32 else 1e-11
    for one, other in zip(*by_steps_and_by_layers(circuit, x, w, observables, dtype, rows), strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("budget", [None, 60_000])
def test_backward_calls_of_one_graph_and_rows_of_a_jacobian(budget, own_budget, step_by_step, float64):
    """From one last ket on a tape, or, where there is no room for one, from a way forward of their own."""
    circuit, x, w = by_words(8, seed=3, length=20)
    model = QuantumModule(circuit, x, w, observables=random_observables(8, 3), seed_init=0)
    rows = torch.rand(4, NUM_INPUTS)
    if budget is not None:
        own_budget(budget)
        assert explain(model, batch_size=4).schedule["tape_bytes"] == 0
    (weights,) = model.parameters()
    values = model(rows)
    expected = [torch.autograd.grad(model(rows)[:, m].sum(), weights)[0] for m in range(values.shape[1])]
    again = [torch.autograd.grad(values[:, m].sum(), weights, retain_graph=True)[0] for m in range(values.shape[1])]
    rows_at_once = torch.func.jacrev(
        lambda at: torch.func.functional_call(model, {model.variational_names[0]: at}, (rows,)).sum(0)
    )(weights.detach())
    for m, one in enumerate(expected):
        torch.testing.assert_close(again[m], one, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(rows_at_once[m], one, rtol=1e-11, atol=1e-11)


def test_what_is_reached_from_zero_is_all_that_is_touched(step_by_step):
    """Each RX of another qubit doubles it: RZZ in between take their part."""
    circuit, w = QuantumCircuit(9), ParameterVector("w", 9)
    for qubit in range(9):
        circuit.rx(w[qubit], qubit)
        circuit.rzz(w[qubit], qubit, qubit - 1)
        circuit.ry(w[qubit], qubit)
    with compiler_passes(symmetry_reduction=False, unjoined_halves=False):
        found = explain(QuantumModule(circuit, None, w, observables=["Z" * 9, "Y" * 9]))
    assert found.schedule["by_steps"]
    assert len(found.controls) >= 26
    assert found.swept < 3 * (1 + 1 / 2 + 1 / 4 + 1 / 8 + 1 / 8)


def test_controls_that_nothing_has_reached(step_by_step, float64):
    """A qubit that is still in |0> leaves nothing to those that want it in |1>."""
    circuit, w = QuantumCircuit(5), ParameterVector("w", 4)
    circuit.ry(w[0], 0)
    circuit.crx(w[1], 3, 4)
    circuit.cry(w[2], 0, 1)
    circuit.crx(w[3], 1, 2)
    observables = random_observables(5, 5)
    values = np.random.default_rng(0).uniform(-2, 2, 4)
    with compiler_passes(symmetry_reduction=False):
        model = QuantumModule(circuit, None, w, observables=observables, variational_params_initial=[values])
        assert explain(model).schedule["by_steps"]
        found = model()
    np.testing.assert_allclose(
        found.detach().numpy(), opened_values(circuit, observables, list(w), values[None])[0], atol=1e-13
    )
    found.sum().backward()
    (weights,) = model.parameters()
    assert weights.grad[1] == 0
    assert (weights.grad[[0, 2, 3]] != 0).all()


def ring(num_qubits, depth):
    """RY of every qubit and a ring of CRX."""
    w, circuit = iter(ParameterVector("w", 2 * num_qubits * depth)), QuantumCircuit(num_qubits)
    for _ in range(depth):
        for qubit in range(num_qubits):
            circuit.ry(next(w), qubit)
        for qubit in range(num_qubits):
            circuit.crx(next(w), qubit, (qubit + 1) % num_qubits)
    return circuit


def test_who_runs_step_by_step():
    few = ring(12, 3)
    assert explain(few).schedule["by_steps"]
    circuit, x, _ = by_words(12, seed=0, length=60)
    assert explain(circuit, x, batch_size=48).schedule["by_steps"]
    # Until all is reached from |0...0>, words are parts of a pass.
    circuit, x, _ = by_words(14, seed=0, length=20, most_letters=2)
    assert explain(circuit, x, batch_size=48).schedule["by_steps"]
    full = reuploading(10, 3)
    assert not explain(full.circuit, full.encoding, batch_size=48).schedule["by_steps"]
