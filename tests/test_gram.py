"""Inner products of the states of a batch, from one call of the engine, against products of the states."""

import numpy as np
import pytest

import qiskit_torch_module as qtm
from circuits_zoo import reuploading
from qiskit_torch_module import _engine
from qiskit_torch_module._simulation.engines import engine_of


def engine_for(num_qubits, **options):
    """Of a circuit whose variables are inputs alone, and how many there are."""
    case = reuploading(num_qubits, 1)
    options = {"observables": qtm.outputs.State()} | options
    program = qtm.QuantumModule(case.circuit, case.encoding, case.variational, **options)._program.unshared
    return engine_of(program), program.evolution.num_all_inputs


@pytest.fixture
def restored():
    """The best instruction set, afterwards."""
    yield
    _engine.force_instruction_set("")


def products_of(states, is_real):
    found = states.conj() @ states.transpose(0, 2, 1)
    if not is_real:
        return found
    found[:, 1:, 1:] = found[:, 1:, 1:].real
    return found


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("num_qubits", [1, 2, 6])
@pytest.mark.parametrize("instruction_set", _engine.instruction_sets())
def test_products_are_those_of_the_states(instruction_set, num_qubits, dtype, restored):
    _engine.force_instruction_set(instruction_set)
    engine, width = engine_for(num_qubits)
    generator, tolerance = np.random.default_rng(num_qubits), 40 * np.finfo(dtype).eps
    for groups, count in [(1, 1), (2, 16), (1, 17), (7, 3), (3, 33), (0, 4)]:
        rows = generator.uniform(-3, 3, (groups * count, width)).astype(dtype)
        none = np.empty(0, dtype)
        numbers = engine.values(rows, none, 1).astype(np.float64).reshape(groups, count, 1 << num_qubits, 2)
        states = numbers[..., 0] + 1j * numbers[..., 1]
        for num_threads in (1, 2, -2):
            for is_real in (False, True):
                found = engine.gram(rows, none, count, num_threads, is_real)
                assert (found.shape, found.dtype) == ((groups, count, count, 2), np.dtype(dtype))
                found = found[..., 0] + 1j * found[..., 1]
                np.testing.assert_allclose(found, products_of(states, is_real), atol=tolerance, rtol=0)
                np.testing.assert_array_equal(found, found.conj().transpose(0, 2, 1))


def test_as_many_threads_as_asked_for_give_the_same_digits():
    engine, width = engine_for(9)
    rows, none = np.random.default_rng(0).uniform(-3, 3, (90, width)), np.empty(0)
    for count in (90, 9):
        first, *others = (engine.gram(rows, none, count, -2) for _ in range(4))
        for other in others:
            np.testing.assert_array_equal(other, first)


def test_panels_larger_than_the_cache():
    """Some amplitudes at a time, of many states."""
    engine, width = engine_for(11)
    rows, none = np.random.default_rng(0).uniform(-3, 3, (70, width)), np.empty(0)
    numbers = engine.values(rows, none, 1).reshape(1, 70, -1, 2)
    found = engine.gram(rows, none, 70, 2)
    expected = products_of(numbers[..., 0] + 1j * numbers[..., 1], False)
    np.testing.assert_allclose(found[..., 0] + 1j * found[..., 1], expected, atol=1e-14)


def test_bad_arguments(own_budget):
    engine, width = engine_for(3)
    rows, none = np.zeros((6, width)), np.empty(0)
    for count in (0, -1, 4):
        with pytest.raises(ValueError, match=f"count: expected a positive number that divides 6 samples, got {count}"):
            engine.gram(rows, none, count, 1)
    with pytest.raises(ValueError, match="inputs: expected finite values"):
        engine.gram(np.full((6, width), np.nan), none, 6, 1)
    with pytest.raises(ValueError, match="expected an engine that reads the state"):
        engine_for(3, observables="individualZ")[0].gram(rows, none, 6, 1)
    own_budget(4096)
    with pytest.raises((MemoryError, ValueError), match="inner products of 6 states of 3 qubits|a circuit of 3"):
        engine.gram(rows, none, 6, 1)
