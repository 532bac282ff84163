"""Where launches run: a GPU, through CUDA's driver, with the memory and the streams of PyTorch."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch

from .._core.torch_internals import current_stream_of
from . import driver as numbers
from .card import Card
from .cubins import cubin
from .driver import Driver, driver
from .launches import Launch
from .nvrtc import Nvrtc, Source, nvrtc
from .sources import source

# What of the memory a call may take: PyTorch, and who else is there, need some.
_SHARE_OF_MEMORY = 0.875
_OPTIONS = ("--std=c++17",)


@dataclass(eq=False)
class Shared:
    """A tensor that many calls read, on any stream.

    Attributes:
        tensor: On the device.
        streams: On which it was read so far.
    """

    tensor: torch.Tensor
    streams: set[int] = field(default_factory=set)


class Device(ABC):
    """Where launches run. The tests have another one, which runs kernels on the CPU.

    Attributes:
        place: Where its tensors are.
        flag: One int32, set to 1 by kernels that meet a number that is not finite, or an angle without digits.
    """

    place: torch.device
    flag: torch.Tensor

    @property
    @abstractmethod
    def card(self) -> Card:
        """What kernels are cut to fit."""

    @abstractmethod
    def launcher(self, launch: Launch, address: int, defines: Mapping[str, str]) -> Callable[[int], None]:
        """A launch, ready for the stream that it is called with.

        Args:
            launch: Its arguments are those that lie at the address when it is called.
            address: In the memory of the host.
            defines: With which kernels are compiled.
        """

    @abstractmethod
    def active(self) -> AbstractContextManager[None]:
        """In which launches are called."""

    @abstractmethod
    def stream(self) -> int:
        """The current one of PyTorch."""

    @abstractmethod
    def keep(self, shared: Shared, stream: int) -> None:
        """Says that launches on a stream read what other calls read, too: it outlives them.

        Where the stream is recorded as a graph, it stays for ever: nobody knows for how long that is replayed.
        """

    @abstractmethod
    def require_not_recording(self) -> None:
        """Checks that a graph is not recorded just now: then nothing can be prepared.

        Raises:
            RuntimeError: it is.
        """

    def upload(self, numbers: npt.NDArray[np.uint8]) -> Shared:
        """Bytes, copied to the device."""
        with torch.inference_mode(False):
            return Shared(torch.from_numpy(numbers.copy()).to(self.place))


class Gpu(Device):
    """A GPU of NVIDIA.

    Args:
        place: Where its tensors are; its index is that of PyTorch.
        driver: Of CUDA.
        nvrtc: Compiles.
    """

    def __init__(self, place: torch.device, driver: Driver, nvrtc: Nvrtc) -> None:
        assert place.index is not None
        self.place, self._index, self._driver, self._nvrtc = place, place.index, driver, nvrtc
        self._modules: dict[frozenset[tuple[str, str]], int] = {}
        self._shared_bytes: dict[int, int] = {}
        self._kept: dict[int, Shared] = {}
        self._lock = threading.Lock()
        self._architecture = nvrtc.architecture_for(self.card.compute_capability)
        self.require_not_recording()
        with torch.inference_mode(False):
            self.flag = torch.zeros(1, dtype=torch.int32, device=self.place)
        torch.cuda.current_stream(self.place).synchronize()  # once: kernels on other streams may set it from now on

    @cached_property
    def card(self) -> Card:
        """What the driver says of it."""

        def said(which: int) -> int:
            return self._driver.attribute(self._index, which)

        return Card(
            multiprocessors=said(numbers.MULTIPROCESSORS),
            shared_bytes_per_block=said(numbers.SHARED_BYTES),
            registers=said(numbers.REGISTERS),
            l2_bytes=said(numbers.L2_BYTES),
            memory_bytes=int(_SHARE_OF_MEMORY * self._driver.memory_bytes(self._index)),
            compute_capability=(said(numbers.CAPABILITY_MAJOR), said(numbers.CAPABILITY_MINOR)),
        )

    def launcher(self, launch: Launch, address: int, defines: Mapping[str, str]) -> Callable[[int], None]:
        """As `Device.launcher`; compiles and loads the kernels when they are first asked for.

        Raises:
            CompilationError, DriverError: they do not compile, or do not load.
            RuntimeError: a graph is being recorded.
        """
        with self._lock, self._driver.context(self._index):
            function = self._driver.function(self._module(defines), launch.kernel)
            # What is allowed holds for all launches of a kernel, those of other plans, too.
            if launch.shared_bytes > self._shared_bytes.get(function, 0):
                self._driver.allow_shared_bytes(function, launch.shared_bytes)
                self._shared_bytes[function] = launch.shared_bytes
        sizes = launch.blocks, launch.threads, launch.shared_bytes
        return self._driver.launcher(function, *sizes, address)

    def _module(self, defines: Mapping[str, str]) -> int:
        key = frozenset(defines.items())
        if key not in self._modules:
            options = [*_OPTIONS, *(f"-D{name}={value}" for name, value in sorted(defines.items()))]
            code = cubin(self._nvrtc, Source(source(), {}), self._architecture, options)
            self._modules[key] = self._driver.load(code)
        return self._modules[key]

    def active(self) -> AbstractContextManager[None]:
        """The context of the GPU."""
        return self._driver.context(self._index)

    def stream(self) -> int:
        return current_stream_of(self._index)

    def keep(self, shared: Shared, stream: int) -> None:
        if torch.cuda.is_current_stream_capturing():
            self._kept[id(shared)] = shared
        elif stream not in shared.streams:
            shared.streams.add(stream)
            # When it is freed, PyTorch waits for what was launched there.
            shared.tensor.record_stream(torch.cuda.current_stream(self.place))

    def require_not_recording(self) -> None:
        if torch.cuda.is_current_stream_capturing():
            raise RuntimeError(
                "method 'cuda': kernels cannot be prepared while a CUDA graph is recorded; run the model once before, "
                "forward and backward, with the same batch size and dtype"
            )


_gpus: dict[int, Gpu] = {}
_making = threading.Lock()


def gpu(index: int) -> Gpu:
    """A GPU of this machine.

    Raises:
        MissingLibraryError: the driver or NVRTC is not there.
        CompilationError, DriverError: they do not serve it.
        RuntimeError: a graph is being recorded.
    """
    known = _gpus.get(index)
    if known is None:
        with _making:
            known = _gpus.get(index)
            if known is None:
                known = _gpus[index] = Gpu(torch.device("cuda", index), driver(), nvrtc())
    return known


def flags() -> list[torch.Tensor]:
    """Those of all GPUs that were used."""
    return [one.flag for one in _gpus.values()]
