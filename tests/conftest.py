import os
import sys
import threading

import pytest
import torch
from hypothesis import settings

from qiskit_torch_module import _engine
from qiskit_torch_module._program import cache, effort
from qiskit_torch_module._reading import matrices
from qiskit_torch_module._simulation import engines

# The same hundred examples each time, or thousands of new ones: HYPOTHESIS_PROFILE=nightly.
settings.register_profile("ci", max_examples=100, deadline=None, derandomize=True)
settings.register_profile("nightly", max_examples=3000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

# Generators of cases run long there.
NIGHTLY = os.environ.get("QTM_NIGHTLY") == "1"

_BEST = _engine.instruction_sets()[0]

# In every test, what reads scratch memory before it is written becomes NaN.
_engine.poison_scratch(True)


def at_once(*works):
    """Calls functions, each in a thread of its own, and waits for all of them."""
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def pytest_collection_modifyitems(config, items):
    """Mixed states, the third layout of the same loops, are for every instruction set in the nightly setting alone."""
    if NIGHTLY:
        return

    def is_left_out(item):
        values = item.callspec.params if hasattr(item, "callspec") else {}
        return values.get("layout") == "mixed" and values.get("instruction_set", _BEST) != _BEST

    left_out = [item for item in items if is_left_out(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if not is_left_out(item)]


@pytest.fixture
def float64():
    """float64 as the default dtype of PyTorch."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.fixture(params=_engine.instruction_sets())
def instruction_set(request, layout):
    """Each instruction set of this machine, forced in turn, with each layout of states."""
    _engine.force_instruction_set(request.param)
    yield request.param
    _engine.force_instruction_set("")


@pytest.fixture(params=["batched", "mixed", "spread"])
def layout(request):
    """Each layout of states in memory: a sample in every lane, a few with some lanes each, or one spread over the lanes."""
    _engine.allow_layouts(getattr(_engine.Layouts, request.param))
    yield request.param
    _engine.allow_layouts(_engine.Layouts.any)


@pytest.fixture
def force_halves():
    """Forces circuits to start from halves, or not to; by itself the engine chooses again afterwards."""
    yield _engine.force_halves
    _engine.force_halves(False)


@pytest.fixture
def step_by_step(monkeypatch):
    """Circuits run step by step, whatever they are and whatever others like them did before."""
    monkeypatch.setattr(effort, "_OF_LAYER", float("inf"))
    _engine.force_steps(True)
    _forget_programs()
    yield
    _engine.force_steps(False)
    _forget_programs()


@pytest.fixture
def all_dense(monkeypatch):
    """Matrices of any size are applied as they are."""
    monkeypatch.setattr(matrices, "LEAST_QUBITS", 1)
    monkeypatch.setattr(matrices, "MOST_APART", 0)


def _forget_programs():
    cache._programs.clear()
    cache._evolutions.clear()
    engines._layered_engine.cache_clear()


@pytest.fixture
def own_budget():
    """Sets a memory budget; it goes by the machine again afterwards."""
    yield _engine.set_memory_budget
    _engine.set_memory_budget(None)


@pytest.fixture
def prefer_storage():
    """Prefers a legal way of storing a batch, by its number; afterwards none."""
    yield _engine.prefer_storage
    _engine.prefer_storage(-1)


@pytest.fixture
def storages(prefer_storage):
    """All legal ways of storing a batch; each is preferred while a loop is at it."""

    def each():
        for number, storage in enumerate(_engine.legal_storages()):
            prefer_storage(number)
            yield storage

    return each()


@pytest.fixture(autouse=True)
def forgotten_graphs():
    """Code that the compiler of PyTorch gave up in one test is compiled again in the next."""
    yield
    if (compiler := sys.modules.get("torch._dynamo")) is not None:
        compiler.reset()
