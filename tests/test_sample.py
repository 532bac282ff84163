"""`QuantumModule.sample`: bits that measurements find."""

import copy

import numpy as np
import pytest
import torch
from qiskit import ClassicalRegister, QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import Statevector

import qiskit_torch_module as qtm
from qiskit_torch_module import QuantumModule
from qiskit_torch_module._reading import compat
from qiskit_torch_module._simulation import draws, states
from qiskit_torch_module.modules import sampling

needs_bits = pytest.mark.skipif(compat.SamplerPub is None, reason="this Qiskit has no BitArray")
X, W = ParameterVector("x", 2), ParameterVector("w", 3)


def circuit_of():
    circuit = QuantumCircuit(3)
    for qubit, weight in enumerate(W):
        circuit.ry(weight, qubit)
    circuit.rx(X[0], 0)
    circuit.rx(X[0] * X[1], 1)
    circuit.cx(0, 1)
    circuit.cx(1, 2)
    return circuit


def model_of(circuit, **options):
    return QuantumModule(circuit, list(X), list(W), seed_init=0, **options)


def measured():
    circuit = circuit_of()
    circuit.add_register(ClassicalRegister(2, "a"), ClassicalRegister(1, "b"))
    circuit.measure([2, 0], [2, 0])
    return circuit


def probabilities(model, row):
    values = dict(zip([*X, *W], [*row, *model.variational.tolist()], strict=True))
    return Statevector(circuit_of().assign_parameters(values)).probabilities()


INPUT = torch.tensor([[0.3, 0.9], [1.5, -0.4]])
GENERATOR = lambda: torch.Generator().manual_seed(7)  # noqa: E731


def test_bits_follow_the_probabilities():
    """Chi-square of every row, qubit q in column q."""
    model, shots = model_of(circuit_of()), 200_000
    bits = model.sample(INPUT, shots, GENERATOR(), as_tensor=True)
    assert (bits.shape, bits.dtype) == ((2, shots, 3), torch.uint8)
    for row, drawn in zip(INPUT.tolist(), bits.long(), strict=True):
        counts = torch.bincount(drawn @ torch.tensor([1, 2, 4]), minlength=8).numpy()
        expected = shots * probabilities(model, row)
        assert ((counts - expected) ** 2 / expected).sum() < 7 + 5 * np.sqrt(14)


@needs_bits
def test_the_array_holds_the_bits_of_the_tensor():
    model = model_of(circuit_of())
    array = model.sample(INPUT, 100, GENERATOR())
    assert isinstance(array, compat.BitArray)
    assert (array.shape, array.num_shots, array.num_bits) == ((2,), 100, 3)
    bits = model.sample(INPUT, 100, GENERATOR(), as_tensor=True)
    assert array.array.tolist() == (bits.long() @ torch.tensor([[1], [2], [4]])).tolist()


def test_measured_bits():
    """In the order of the classical bits; those that nothing is measured into stay 0."""
    bits = model_of(measured()).sample(INPUT, 500, GENERATOR(), as_tensor=True)
    whole = model_of(circuit_of()).sample(INPUT, 200_000, GENERATOR(), as_tensor=True).double().mean(1)
    assert bits.shape == (2, 500, 3)
    assert not bits[..., 1].any()
    means = model_of(measured()).sample(INPUT, 200_000, GENERATOR(), as_tensor=True).double().mean(1)
    torch.testing.assert_close(means[:, 0], whole[:, 0], atol=0.01, rtol=0)
    torch.testing.assert_close(means[:, 2], whole[:, 2], atol=0.01, rtol=0)


def test_classical_bits_that_nothing_is_measured_into_are_no_measurement():
    circuit = circuit_of()
    circuit.add_register(ClassicalRegister(1, "c"))
    assert model_of(circuit).sample(INPUT, 5, as_tensor=True).shape == (2, 5, 3)


def test_seeds():
    model = model_of(circuit_of())

    def draw(generator=None):
        return model.sample(INPUT, 60, generator, as_tensor=True)

    assert torch.equal(draw(GENERATOR()), draw(GENERATOR()))
    assert torch.equal(draw(5), draw(torch.Generator().manual_seed(5)))
    torch.manual_seed(3)
    first, second = draw(), draw()
    torch.manual_seed(3)
    assert torch.equal(draw(), first)
    assert not torch.equal(first, second)
    going_on = GENERATOR()
    assert not torch.equal(draw(going_on), draw(going_on))
    rows = model.sample(INPUT[:1].repeat(2, 1), 60, GENERATOR(), as_tensor=True)
    assert not torch.equal(*rows)
    before = torch.random.get_rng_state()
    draw(GENERATOR())
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("shape", [(2,), (1, 2), (3, 4, 2), (0, 2)])
def test_shapes(shape):
    assert model_of(circuit_of()).sample(torch.rand(shape), 6, as_tensor=True).shape == (*shape[:-1], 6, 3)


@needs_bits
def test_shapes_of_arrays():
    assert model_of(circuit_of()).sample(np.zeros((3, 4, 2)), 6).shape == (3, 4)
    assert model_of(circuit_of()).sample([0.1, 0.2], 6).shape == ()


def test_a_module_without_inputs_and_weights():
    circuit = QuantumCircuit(9)
    circuit.x(8)
    circuit.h(1)
    bits = QuantumModule(circuit, None, None).sample(shots=1000, as_tensor=True)
    assert bits[:, 8].all()
    assert not bits[:, [0, 2, 3, 4, 5, 6, 7]].any()
    assert 0 < bits[:, 1].sum() < 1000


def test_in_parts(monkeypatch):
    """Few rows, and few shots, at a time."""
    model, rows = model_of(circuit_of()), torch.rand(5, 2)
    expected = model.sample(rows, 90, GENERATOR(), as_tensor=True)
    monkeypatch.setattr(states, "MOST_AMPLITUDES", 16)
    assert torch.equal(model.sample(rows, 90, GENERATOR(), as_tensor=True), expected)
    with pytest.raises(ValueError, match="got nan in sample 3, column 1"):
        model.sample(rows.index_put((torch.tensor(3), torch.tensor(1)), torch.tensor(np.nan)), 90, as_tensor=True)
    monkeypatch.setattr(sampling, "CHUNK", 16)
    monkeypatch.setattr(draws, "CHUNK", 16)
    assert model.sample(rows, 90, GENERATOR(), as_tensor=True).shape == (5, 90, 3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("method", ["auto", "pytorch"])
@pytest.mark.parametrize("observables", ["ZZZ", qtm.outputs.State(), qtm.outputs.Probabilities()])
def test_whatever_the_module_reads(dtype, method, observables):
    """The same shots from the same weights."""
    model = model_of(circuit_of(), observables=observables, method=method).to(dtype)
    bits = model.sample(INPUT.to(dtype), 2000, GENERATOR(), as_tensor=True)
    expected = model_of(circuit_of()).sample(INPUT, 2000, GENERATOR(), as_tensor=True)
    assert (bits != expected).double().mean() < 1e-3


def test_weights_of_now_copies_and_files(tmp_path):
    """What was compiled for the first shots serves later weights; copies and loaded modules sample, too."""
    circuit = QuantumCircuit(2)
    circuit.ry(W[0], 1)
    circuit.measure_all()
    model = QuantumModule(circuit, None, [W[0]], variational_params_initial=[np.pi])
    qtm.save(model, tmp_path / "model")
    for one in (model, copy.deepcopy(model), qtm.load(tmp_path / "model")):
        assert one.sample(shots=50, as_tensor=True).tolist() == [[0, 1]] * 50
        with torch.no_grad():
            one.variational.zero_()
        assert not one.sample(shots=50, as_tensor=True).any()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((INPUT, 0), ValueError, "shots: expected a whole number from 1"),
        ((INPUT, -1), ValueError, "shots: expected a whole number from 1"),
        ((INPUT, 1.5), TypeError, "shots: expected a whole number"),
        ((INPUT, True), TypeError, "shots: expected a whole number"),
        ((INPUT, 5, "3"), TypeError, "generator: expected a torch.Generator, a whole number as seed or None, got '3'"),
        ((INPUT, 5, -1), ValueError, "generator: expected a seed from 0"),
        ((INPUT, 5, None, 1), TypeError, "as_tensor: expected True or False"),
        ((torch.rand(2, 3), 5, None, True), ValueError, r"input: expected shape \(\.\.\., 2\)"),
        ((None, 5, None, True), ValueError, r"input: expected shape \(\.\.\., 2\), got None"),
        ((torch.full((2, 2), np.nan), 5, None, True), ValueError, "finite"),
    ],
)
def test_wrong_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        model_of(circuit_of()).sample(*arguments)


def test_arrays_need_qiskit_1():
    if compat.SamplerPub is None:
        with pytest.raises(TypeError, match="as_tensor: Qiskit has a BitArray from version 1.0 on"):
            model_of(circuit_of()).sample(INPUT, 5)


def test_one_shot_of_one_qubit():
    circuit = QuantumCircuit(1)
    circuit.x(0)
    assert torch.equal(QuantumModule(circuit).sample(shots=1, as_tensor=True), torch.ones(1, 1, dtype=torch.uint8))
