"""How sets start: functions, starts against barren plateaus, and starting anew."""

import threading

import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector

from circuits_zoo import reuploading
from conftest import at_once
from qiskit_torch_module import QuantumModule, initializers

CASE = reuploading(3, 2)


def module(initial, **options):
    return QuantumModule(CASE.circuit, CASE.encoding, CASE.variational, variational_params_initial=initial, **options)


def test_functions_that_fill_a_vector():
    model = module([torch.nn.init.zeros_, lambda values: values.fill_(0.25)])
    assert model.variational_0.unique().tolist() == [0.0]
    assert model.variational_1.unique().tolist() == [0.25]
    assert module(torch.nn.init.trunc_normal_).variational_1.abs().max() <= 2.0
    with pytest.raises(
        ValueError, match="variational_params_initial of 'variational_0': the function cannot fill a vector"
    ):
        module(torch.nn.init.xavier_uniform_)


def test_small_angles_have_the_variance_of_the_paper():
    torch.manual_seed(0)
    values = initializers.small_angles(4, 3)(torch.empty(200_000))
    assert values.var().item() == pytest.approx(1 / (4 * 4 * 5), rel=0.02)
    with pytest.raises(ValueError, match="num_qubits: expected a whole number from 1"):
        initializers.small_angles(0, 3)


def test_identity_blocks_start_as_the_identity():
    w = ParameterVector("w", 16)
    circuit = QuantumCircuit(2)
    for block in range(2):
        first = w[8 * block : 8 * block + 8]
        circuit.ry(first[0], 0)
        circuit.ry(first[1], 1)
        circuit.cz(0, 1)
        circuit.rx(first[2], 0)
        circuit.rx(first[3], 1)
        circuit.rx(first[4], 1)
        circuit.rx(first[5], 0)
        circuit.cz(0, 1)
        circuit.ry(first[6], 1)
        circuit.ry(first[7], 0)
    model = QuantumModule(circuit, None, w, variational_params_initial=initializers.identity_blocks(8), seed_init=1)
    torch.testing.assert_close(model(), torch.ones(2), atol=1e-6, rtol=0)
    assert model.variational_0.abs().min() > 0
    with pytest.raises(ValueError, match="expected a positive even block_size, got 3"):
        initializers.identity_blocks(3)
    with pytest.raises(ValueError, match="values that block_size 6 divides, got 16; give a block_size that does"):
        QuantumModule(circuit, None, w, variational_params_initial=initializers.identity_blocks(6))


def test_starting_anew():
    model = module(["normal", "constant"], seed_init=7)
    first = [one.detach().clone() for one in model.variational_]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(torch.rand(4, 3)).sum().backward()
    optimizer.step()
    state = torch.random.get_rng_state()
    model.reset_parameters(seed=7)
    assert torch.equal(torch.random.get_rng_state(), state)
    for one, start in zip(model.variational_, first, strict=True):
        assert torch.equal(one, start)
    model.reset_parameters()
    assert not torch.equal(torch.random.get_rng_state(), state)
    assert not torch.equal(model.variational_0, first[0])
    assert torch.equal(model.variational_1, first[1])


@pytest.mark.parametrize(
    "fill", [lambda values: None, lambda values: values.fill_(torch.nan), lambda values: values[1:].fill_(1.0)]
)
def test_functions_that_leave_values_unset_are_refused(fill):
    with pytest.raises(ValueError, match=r"fills a vector of \d+ finite values in place, got \[nan"):
        module(fill)


@pytest.mark.parametrize("initial", [0.1, 1, None, {0.1, 0.2}, torch.nn.Linear])
def test_what_starts_nothing_is_refused(initial):
    with pytest.raises((TypeError, ValueError), match="variational_params_initial"):
        module(initial)


def test_threads_that_seed_at_once_do_not_take_each_others_numbers():
    wanted, found = module("uniform", seed_init=7).state_dict(), []
    start = threading.Barrier(4)

    def work():
        start.wait()
        found.extend(module("uniform", seed_init=7).state_dict() for _ in range(20))

    at_once(*[work] * 4)
    assert len(found) == 80
    assert all(torch.equal(one[name], wanted[name]) for one in found for name in wanted)


@pytest.mark.parametrize(
    ("seed", "error"), [(1.5, TypeError), (True, TypeError), ("1", TypeError), (-1, ValueError), (2**64, ValueError)]
)
def test_seeds_are_whole_numbers_from_zero_on(seed, error):
    with pytest.raises(error, match="seed_init: expected a whole number"):
        module("uniform", seed_init=seed)


@pytest.mark.parametrize("flag", [0, 1, "no", torch.tensor(True)])
def test_the_flag_of_encoding_gradients_is_true_false_or_none(flag):
    with pytest.raises(TypeError, match="encoding_gradients_flag: expected True or False"):
        module("uniform", encoding_gradients_flag=flag)
