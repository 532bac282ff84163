"""The engine for GPUs with its kernels on the CPU: all that is around them runs as on a GPU, on tensors of the CPU."""

import contextlib
import ctypes

import torch

import cuda_twin
from qiskit_torch_module._cuda.card import RTX5090
from qiskit_torch_module._cuda.device import Device, Shared
from qiskit_torch_module._simulation.cuda import Cuda

NAN = 0xFF  # all bits of what nobody has written yet


class TwinDevice(Device):
    """Runs kernels in the memory of the CPU.

    Attributes:
        launched: Names of kernels, in the order of their launches.
        is_recording: As if a graph was being recorded.
        kept: What outlives launches, by stream.
    """

    def __init__(self, card=RTX5090):
        self.place = torch.device("cpu")
        self.flag = torch.zeros(1, dtype=torch.int32)
        self._card, self.launched, self.is_recording, self.kept = card, [], False, []

    @property
    def card(self):
        return self._card

    def launcher(self, launch, address, defines):
        library = cuda_twin.library(defines)
        assert launch.shared_bytes <= self.card.shared_bytes_per_block
        assert len(launch.arguments) == library.qtm_size_of_arguments()
        name, sizes = launch.kernel.encode(), (launch.blocks, launch.threads, ctypes.c_long(launch.shared_bytes))

        def launched(stream):
            assert stream == self.stream()
            self.launched.append(launch.kernel)
            assert library.qtm_run(name, *sizes, ctypes.c_void_p(address), 0) == 0

        return launched

    def active(self):
        return contextlib.nullcontext()

    def stream(self):
        return 7

    def keep(self, shared: Shared, stream):
        self.kept.append((stream, shared))

    def require_not_recording(self):
        if self.is_recording:
            raise RuntimeError("recording")


class TwinCuda(Cuda):
    """The method "cuda", for tensors of the CPU."""

    computes_on = "cpu"

    def __init__(self):
        self._devices = {}

    def device(self, place):
        return self._devices.setdefault(place, TwinDevice())

    def missing(self):
        return None

    def __eq__(self, other):
        return type(self) is type(other)

    __hash__ = Cuda.__hash__
