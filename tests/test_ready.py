"""What a step does not look at twice: variables that are ready for the engine, and those that a tape has."""

import itertools

import numpy as np
import pytest
import torch
from torch.nn.utils import parametrize

from circuits_zoo import reuploading
from qiskit_torch_module import QuantumModule
from qiskit_torch_module._engine import ready_variables
from qiskit_torch_module._simulation.engines import engine_of

CASE = reuploading(2, 2)
IS_TOLD = hasattr(torch.Tensor, "__dlpack_c_exchange_api__")  # PyTorch 2.10


def module(**options):
    return QuantumModule(CASE.circuit, CASE.encoding, CASE.variational, seed_init=1, **options)


def inputs(*shape):
    return torch.rand(*(shape or (3, 2)), generator=torch.Generator().manual_seed(2))


class Marked(torch.Tensor):
    """A class of the user's own."""


def parametrized():
    model = module()
    parametrize.register_parametrization(model, model.variational_names[0], torch.nn.Softplus())
    return model


READY = {
    "a tensor": lambda: (module(), inputs()),
    "a parameter": lambda: (module(), torch.nn.Parameter(inputs())),
    "columns": lambda: (module(), inputs(2, 3).T),
    "no rows": lambda: (module(), inputs(0, 2)),
    "doubles": lambda: (module().double(), inputs().double()),
}
NOT_READY = {
    "two dtypes": lambda: (module(), inputs().double()),
    "halves": lambda: (module().half(), inputs().half()),
    "one sample": lambda: (module(), inputs(2)),
    "three axes": lambda: (module(), inputs(3, 1, 2)),
    "a list": lambda: (module(), inputs().tolist()),
    "an array": lambda: (module(), inputs().numpy()),
    "another class": lambda: (module(), inputs().as_subclass(Marked)),
    "a parametrized set": lambda: (parametrized(), inputs()),
    "no gradients of inputs": lambda: (module(encoding_gradients_flag=False), inputs()),
}


@pytest.mark.parametrize("name", READY)
def test_variables_that_are_ready_are_the_tensors_themselves(name):
    model, x = READY[name]()
    found = model._ready_variables(x)
    if not IS_TOLD:
        assert found is None
        return
    expected = [x, *model.variational_]
    assert len(found) == len(expected)
    assert all(one is other for one, other in zip(found, expected, strict=True))


@pytest.mark.parametrize("name", NOT_READY)
def test_others_are_prepared_first(name):
    model, x = NOT_READY[name]()
    assert model._ready_variables(x) is None
    given = x if torch.is_tensor(x) else torch.tensor(np.array(x))
    expected = model.double()(given.double().reshape(-1, 2).as_subclass(torch.Tensor))
    found = NOT_READY[name]()[0](x)
    torch.testing.assert_close(
        found.double().reshape(-1, 2).as_subclass(torch.Tensor),
        expected,
        atol=1e-2 if name == "halves" else 1e-5,
        rtol=0,
    )


@pytest.mark.parametrize("given", [None, [], {}, torch.empty(0), torch.rand(3, 3), torch.rand(3, 2).to("meta")])
def test_what_is_no_input_at_all_is_not_ready(given):
    model = module()
    assert ready_variables(given, model._parameters, model._names, 2) is None


def test_names_without_a_parameter_are_not_ready():
    assert ready_variables(inputs(), {}, ["missing"], 2) is None
    assert ready_variables(inputs(), {"none": None}, ["none"], 2) is None
    assert ready_variables(inputs(), {"plain": inputs(3)}, ["plain"], 2) is None


def test_a_tape_has_the_variables_that_it_was_recorded_for():
    model, x = module(), inputs(48, 2)
    engine, cotangent = engine_of(model._program), inputs(48, 2)
    sets = [one.detach().clone() for one in model.variational_]
    wants = [True] * (1 + len(sets))
    expected = engine.tensor_gradients_float32(x, 48, sets, cotangent, wants, 1, None)
    _, tape = engine.tensor_values_float32(x, 48, sets, 1, True)
    assert tape is not None
    moved = torch.zeros_like(x), [torch.zeros_like(one) for one in sets]
    found = engine.tensor_gradients_float32(moved[0], 48, moved[1], cotangent, wants, 1, tape)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize(
    ("x", "sets", "error", "message"),
    [
        (inputs(47, 2), None, ValueError, "inputs: expected 96 elements, got 94"),
        (inputs(48, 2).double(), None, TypeError, "inputs: expected torch.float32, got Tensor, dtype torch.float64"),
        ([1.0], None, (TypeError, AttributeError), "list"),
        (None, [inputs(3)], ValueError, "weights: expected .* values, got 3"),
        (None, "double", TypeError, "weights: expected torch.float32"),
        (None, [1.0], TypeError, "float"),
    ],
)
def test_gradients_from_a_tape_have_the_shapes_of_what_is_given(x, sets, error, message):
    model = module()
    engine, own = engine_of(model._program), [one.detach() for one in model.variational_]
    _, tape = engine.tensor_values_float32(inputs(48, 2), 48, own, 1, True)
    given = [one.double() for one in own] if sets == "double" else sets or own
    wants = [x is not None, *(True for _ in given)]
    with pytest.raises(error, match=message):
        engine.tensor_gradients_float32(inputs(48, 2) if x is None else x, 48, given, inputs(48, 2), wants, 1, tape)


def test_all_combinations_of_wanted_variables_take_turns():
    model, x = module(), inputs(5, 2)
    engine, cotangent = engine_of(model._program), inputs(5, 2)
    count = 1 + len(model.variational_)
    expected = engine.tensor_gradients_float32(x, 5, model.variational_, cotangent, [True] * count, 1, None)
    for wants in 2 * list(itertools.product([False, True], repeat=count)):
        found = engine.tensor_gradients_float32(x, 5, model.variational_, cotangent, list(wants), 1, None)
        assert [one is not None for one in found] == list(wants)
        for one, other, want in zip(found, expected, wants, strict=True):
            if want:
                torch.testing.assert_close(one, other)
