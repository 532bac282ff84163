import pytest
import torch

from qiskit_torch_module import _engine


@pytest.fixture
def float64():
    """float64 as the default dtype of PyTorch."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.fixture(params=_engine.instruction_sets())
def instruction_set(request):
    """Each instruction set of this machine, forced in turn."""
    _engine.force_instruction_set(request.param)
    yield request.param
    _engine.force_instruction_set("")
