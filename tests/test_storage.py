"""Every legal way of storing a batch gives the same values and gradients."""

from functools import lru_cache

import numpy as np
import pytest
import torch

from circuits_zoo import random_observables, reuploading
from qiskit_torch_module import QuantumModule, _engine
from qiskit_torch_module._simulation.engines import engine_of

pytestmark = pytest.mark.usefixtures("float64")

STORAGES = _engine.legal_storages()
BATCH_SIZE = {False: 70, True: 1}  # of samples; a team has one


@lru_cache
def engine_for(is_team):
    """Of a circuit whose first layers are the same for all samples; large enough for a team, if need be."""
    num_qubits = 13 if is_team else 9
    case = reuploading(num_qubits, 3)
    observables = random_observables(num_qubits, 3)
    model = QuantumModule(case.circuit, case.encoding, case.variational, observables=observables)
    return engine_of(model._program), model.input_size, sum(map(len, model.variational_)), model.output_size


def everything(is_team):
    """Values, gradients by a tape (twice), without one, and of two cotangents at once."""
    made, num_inputs, num_weights, num_values = engine_for(is_team)
    size, generator = BATCH_SIZE[is_team], torch.Generator().manual_seed(1)

    def numbers(*shape):
        return torch.rand(*shape, generator=generator).numpy()

    inputs, weights, cotangents = numbers(size, num_inputs), numbers(num_weights), numbers(2, size, num_values)
    wanted = np.ones(num_inputs + num_weights, dtype=bool)
    threads = -2 if is_team else 1
    values, tape = made.record(inputs, weights, threads)
    found = [made.values(inputs, weights, threads), values]
    for given in (tape, tape, None):
        found += made.vector_jacobian_product(inputs, weights, cotangents[0], wanted, threads, False, given)
    found += made.vector_jacobian_products(inputs, weights, cotangents, wanted, threads)
    return found


def test_there_are_no_more_than_that():
    assert len(STORAGES) == len(set(STORAGES)) == 30


@pytest.mark.parametrize("number", range(len(STORAGES)), ids=lambda i: "-".join(map(str, STORAGES[i])))
def test_values_and_gradients_do_not_depend_on_it(number, prefer_storage):
    mode, taped, shares_prefix, is_team, saves_ket = STORAGES[number]
    expected = everything(is_team)
    prefer_storage(number)
    if mode != "values" and taped == "nothing" and not saves_ket:
        plan = engine_for(is_team)[0].schedule_float64(BATCH_SIZE[is_team], 2 if is_team else 1, True)
        assert plan["keeps_kets"] == (mode == "gradient_keeping_kets")
        assert (plan["shares_prefix"], plan["is_team"]) == (shares_prefix, is_team)
    found = everything(is_team)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-10)


def test_numbers_of_no_storage_are_refused():
    for number in (-2, len(STORAGES)):
        with pytest.raises(ValueError, match="storage"):
            _engine.prefer_storage(number)
