"""A GPU as PyTorch and the driver show it, with libraries in the place of CUDA's."""

import contextlib
import ctypes
import struct

import numpy as np
import pytest
import torch

from cuda_fakes import FakeDriver, fake, needs_compiler
from qiskit_torch_module._cuda import device as room
from qiskit_torch_module._cuda.device import Gpu, Shared
from qiskit_torch_module._cuda.driver import Driver, DriverError
from qiskit_torch_module._cuda.launches import Launch
from qiskit_torch_module._cuda.nvrtc import Nvrtc

pytestmark = needs_compiler
PLACE = torch.device("cpu", 1)  # its index is that of the second GPU


@pytest.fixture
def library(monkeypatch, tmp_path):
    monkeypatch.setenv("QTM_CACHE", str(tmp_path))
    monkeypatch.setattr(Driver, "attribute", lambda self, index, which: {75: 9, 76: 0}.get(which, 100 * which))
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda place: torch.Stream("cpu") if False else Stream())
    return FakeDriver()


class Stream:
    def synchronize(self):
        pass


class Tensor:
    """Keeps the streams that it was told of."""

    def __init__(self):
        self.recorded = []

    def record_stream(self, stream):
        self.recorded.append(stream)


@pytest.fixture
def gpu(library):
    made = Gpu(PLACE, Driver(library.library), Nvrtc(ctypes.CDLL(str(fake("nvrtc"))), "fake"))
    library.reset()
    return made


def launch(kernel="qtm_x", shared_bytes=0):
    return Launch(kernel, 3, 64, shared_bytes, bytes(8))


def names(library):
    return [call.split("(")[0] for call in library.calls]


def test_its_card(gpu):
    card = gpu.card
    assert (card.multiprocessors, card.shared_bytes_per_block, card.registers, card.l2_bytes) == (
        1600,
        9700,
        8200,
        3800,
    )
    assert card.compute_capability == (9, 0)
    assert 0.8 * (101 << 32) < card.memory_bytes < 0.9 * (101 << 32)


def test_a_launch_on_its_stream_with_what_lies_at_its_address(gpu, library):
    arguments = ctypes.create_string_buffer(struct.pack("<Q", 42), 8)
    launched = gpu.launcher(launch(), ctypes.addressof(arguments), {"QTM_REAL": "float"})
    with gpu.active():
        launched(0xAB)
    assert library.argument == struct.pack("<Q", 42)
    assert library.calls[-2] == "cuLaunchKernel(0x45, 3 1 1, 64 1 1, 0, 0xab, none, in 0xc65)"


def test_a_module_for_each_set_of_constants(gpu, library):
    for defines in ({"A": "1", "B": "2"}, {"B": "2", "A": "1"}, {"A": "2"}):
        for kernel in ("qtm_x", "qtm_xy"):
            gpu.launcher(launch(kernel), 0, defines)
    assert names(library).count("cuModuleLoadData") == 2
    assert names(library).count("cuModuleGetFunction") == 6


def test_it_compiles_for_its_architecture(gpu, monkeypatch):
    seen = []
    monkeypatch.setattr(
        room, "cubin", lambda nvrtc, source, architecture, options: seen.append((architecture, options)) or b""
    )
    gpu.launcher(launch(), 0, {"B": "2", "A": "1"})
    assert seen == [(90, ["--std=c++17", "-DA=1", "-DB=2"])]


def test_shared_memory_that_one_launch_was_allowed_stays_allowed(gpu, library):
    for size in (1000, 60_000, 50_000, 70_000, 70_000):
        gpu.launcher(launch(shared_bytes=size), 0, {})
    asked = [call for call in library.calls if call.startswith("cuFuncSetAttribute")]
    assert asked == ["cuFuncSetAttribute(0x45, 8, 60000)", "cuFuncSetAttribute(0x45, 8, 70000)"]


@pytest.mark.parametrize("call", ["cuModuleLoadData", "cuModuleGetFunction", "cuFuncSetAttribute"])
def test_what_could_not_be_loaded_is_tried_again(gpu, library, call):
    library.fail(call)
    with pytest.raises(DriverError, match=call):
        gpu.launcher(launch(shared_bytes=1 << 16), 0, {})
    library.reset()
    gpu.launcher(launch(shared_bytes=1 << 16), 0, {})
    assert call in names(library)


def test_what_is_read_on_other_streams_is_recorded_once_on_each(gpu):
    shared = Shared(Tensor())
    for stream in (1, 2, 1, 2, 3):
        gpu.keep(shared, stream)
    assert len(shared.tensor.recorded) == 3


def test_what_a_graph_reads_stays_for_ever(gpu, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    shared = Shared(Tensor())
    gpu.keep(shared, 1)
    gpu.keep(shared, 1)
    assert list(gpu._kept.values()) == [shared]
    assert shared.tensor.recorded == []
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
    gpu.keep(shared, 1)
    assert len(shared.tensor.recorded) == 1


def test_nothing_is_prepared_while_a_graph_is_recorded(gpu, monkeypatch):
    gpu.require_not_recording()
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    with pytest.raises(RuntimeError, match="while a CUDA graph is recorded; run the model once before"):
        gpu.require_not_recording()


def test_its_stream_is_the_current_one(gpu, monkeypatch):
    monkeypatch.setattr(room, "current_stream_of", lambda index: 1000 + index)
    assert gpu.stream() == 1001


@pytest.mark.parametrize("mode", [contextlib.nullcontext, torch.inference_mode])
def test_what_is_uploaded_is_a_copy_for_every_mode(gpu, mode):
    numbers = np.arange(5, dtype=np.uint8)
    numbers.flags.writeable = False
    with mode():
        shared = gpu.upload(numbers)
    assert not shared.tensor.is_inference()
    assert shared.tensor.tolist() == [0, 1, 2, 3, 4]
    assert shared.tensor.data_ptr() != numbers.ctypes.data
    assert gpu.flag.tolist() == [0]


def test_a_gpu_is_made_once(library, monkeypatch):
    made = []
    monkeypatch.setattr(room, "_gpus", {})
    monkeypatch.setattr(room, "driver", lambda: None)
    monkeypatch.setattr(room, "nvrtc", lambda: None)
    monkeypatch.setattr(room, "Gpu", lambda place, *_: made.append(place) or made[-1])
    assert room.gpu(0) is room.gpu(0)
    assert room.gpu(1) == torch.device("cuda", 1)
    assert made == [torch.device("cuda", 0), torch.device("cuda", 1)]
