"""PyTorch's private names: this release has them, and they do what is asked of them."""

import inspect

import pytest
import torch
import torch._dynamo.testing

from qiskit_torch_module._core import torch_internals

ASKED_IN_EVERY_STEP = [
    "num_dispatch_modes",
    "has_function_mode",
    "tracing_state",
    "transforms_active",
    "is_wrapped",
    "is_old_batch",
    "unwrap_if_dead",
    "is_deterministic",
    "will_execute",
]


@pytest.mark.parametrize("name", ASKED_IN_EVERY_STEP)
def test_this_release_has_the_private_function(name):
    assert inspect.isbuiltin(getattr(torch_internals, name)), f"{name} is what stands for it: all steps are slower"


def test_transforms_are_counted():
    counts = []

    def noted(x):
        counts.append(tuple(torch_internals.num_transforms(kind) for kind in ("Grad", "Jvp", "Vmap")))
        return x.sin().sum()

    noted(torch.ones(2))
    torch.func.grad(noted)(torch.ones(2))
    torch.func.vmap(torch.func.grad(torch.func.grad(noted)))(torch.ones(2))
    assert counts == [(0, 0, 0), (1, 0, 0), (2, 0, 1)]


@pytest.mark.parametrize("hidden", [False, True])
def test_functions_are_hidden_from_the_compiler(hidden):
    """Releases differ in how: one that knows neither way would look into all of them."""

    def function(x):
        return x + 1

    torch._dynamo.reset()
    if hidden:
        torch_internals.hide_from_compiler([function])
    counter = torch._dynamo.testing.CompileCounter()
    assert torch.equal(torch.compile(function, backend=counter)(torch.zeros(2)), torch.ones(2))
    assert counter.frame_count == (0 if hidden else 1)
