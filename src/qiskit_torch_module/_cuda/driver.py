"""The driver of CUDA, called through its library: modules, kernels, and their launches.

PyTorch works in the primary context of each device. A thread, such as the one in which PyTorch runs backward(), may
have none yet: whoever calls the driver does so within `Driver.context`. See
https://docs.nvidia.com/cuda/cuda-driver-api.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache

from .libraries import declare, opened

_Handle = ctypes.c_void_p
_Handles = ctypes.POINTER(_Handle)
_Integers = ctypes.POINTER(ctypes.c_int)
_UNSIGNED = ctypes.c_uint
_SIGNATURES: dict[str, list[type]] = {
    "cuInit": [_UNSIGNED],
    "cuDriverGetVersion": [_Integers],
    "cuDeviceGet": [_Integers, ctypes.c_int],
    "cuDeviceGetAttribute": [_Integers, ctypes.c_int, ctypes.c_int],
    "cuDeviceTotalMem_v2": [ctypes.POINTER(ctypes.c_size_t), ctypes.c_int],
    "cuDevicePrimaryCtxRetain": [_Handles, ctypes.c_int],
    "cuCtxGetCurrent": [_Handles],
    "cuCtxPushCurrent_v2": [_Handle],
    "cuCtxPopCurrent_v2": [_Handles],
    "cuModuleLoadData": [_Handles, ctypes.c_char_p],
    "cuModuleGetFunction": [_Handles, _Handle, ctypes.c_char_p],
    "cuFuncGetAttribute": [_Integers, ctypes.c_int, _Handle],
    "cuFuncSetAttribute": [_Handle, ctypes.c_int, ctypes.c_int],
    "cuLaunchKernel": [_Handle, *[_UNSIGNED] * 7, _Handle, _Handles, _Handles],
}
_NAMES = ("cuGetErrorName", "cuGetErrorString")
_SIGNATURES.update({name: [ctypes.c_int, ctypes.POINTER(ctypes.c_char_p)] for name in _NAMES})

# Attributes of devices, and of kernels, by their numbers in cuda.h.
MULTIPROCESSORS, L2_BYTES, REGISTERS, SHARED_BYTES = 16, 38, 82, 97
CAPABILITY_MAJOR, CAPABILITY_MINOR = 75, 76
_NUM_REGISTERS, _LARGEST_SHARED_BYTES = 4, 8
# What kernels may have without asking.
_USUAL_SHARED_BYTES = 48 << 10


class DriverError(RuntimeError):
    """The driver refused.

    Attributes:
        call: Which function of it.
        number: Its answer.
    """

    def __init__(self, call: str, number: int, name: str, explanation: str) -> None:
        super().__init__(f"CUDA: {call} failed with {name} ({number}): {explanation}")
        self.call, self.number = call, number


class Driver:
    """The driver.

    Args:
        library: Opened; initialised here.

    Attributes:
        version: Of CUDA that it serves, such as (12, 8).

    Raises:
        MissingLibraryError: it is too old.
        DriverError: there is no device, or the driver does not work.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        declare(library, _SIGNATURES)
        self._call("cuInit", 0)
        version = self._integer("cuDriverGetVersion")
        self.version = version // 1000, version % 1000 // 10
        self._contexts: dict[int, int] = {}

    def attribute(self, device: int, which: int) -> int:
        """An attribute of a device, which has the number that PyTorch gives it."""
        return self._integer("cuDeviceGetAttribute", which, self._integer("cuDeviceGet", device))

    def memory_bytes(self, device: int) -> int:
        """All memory of a device."""
        size = ctypes.c_size_t()
        self._call("cuDeviceTotalMem_v2", ctypes.byref(size), self._integer("cuDeviceGet", device))
        return size.value

    @contextmanager
    def context(self, device: int) -> Iterator[None]:
        """In which modules are loaded and kernels are launched: the primary one of a device, which PyTorch uses."""
        primary, current = self._primary(device), _Handle()
        self._call("cuCtxGetCurrent", ctypes.byref(current))
        if current.value == primary:
            yield
            return
        self._call("cuCtxPushCurrent_v2", primary)
        try:
            yield
        finally:
            self._call("cuCtxPopCurrent_v2", ctypes.byref(current))

    def _primary(self, device: int) -> int:
        known = self._contexts.get(device)
        if known is None:  # two threads that come here get the same
            handle = _Handle()
            self._call("cuDevicePrimaryCtxRetain", ctypes.byref(handle), self._integer("cuDeviceGet", device))
            known = self._contexts[device] = handle.value or 0
        return known

    def load(self, cubin: bytes) -> int:
        """A module, in the current context."""
        module = _Handle()
        self._call("cuModuleLoadData", ctypes.byref(module), cubin)
        return module.value or 0

    def function(self, module: int, name: str) -> int:
        """A kernel of a module, which is on the device from now on."""
        function = _Handle()
        self._call("cuModuleGetFunction", ctypes.byref(function), module, name.encode())
        handle = function.value or 0
        self._integer("cuFuncGetAttribute", _NUM_REGISTERS, handle)  # where modules are loaded lazily, loads it now
        return handle

    def allow_shared_bytes(self, function: int, size: int) -> None:
        """Lets a kernel be launched with so much shared memory."""
        if size > _USUAL_SHARED_BYTES:
            self._call("cuFuncSetAttribute", function, _LARGEST_SHARED_BYTES, size)

    def launcher(
        self, function: int, blocks: int, threads: int, shared_bytes: int, address: int
    ) -> Callable[..., None]:
        """Launches a kernel with one argument, a struct that lies at an address, on the stream that it is called with.

        The struct is copied when that is called.
        """
        launch, extra = self._library.cuLaunchKernel, _Handles()
        arguments = (_Handle * 1)(address)
        sizes = blocks, 1, 1, threads, 1, 1, shared_bytes

        def launched(stream: int) -> None:
            if answer := launch(function, *sizes, stream, arguments, extra):
                raise self._error("cuLaunchKernel", answer)

        return launched

    def _integer(self, name: str, *arguments: int) -> int:
        value = ctypes.c_int()
        self._call(name, ctypes.byref(value), *arguments)
        return value.value

    def _call(self, name: str, *arguments: object) -> None:
        if answer := getattr(self._library, name)(*arguments):
            raise self._error(name, answer)

    def _error(self, call: str, number: int) -> DriverError:
        return DriverError(call, number, *(self._text(name, number) for name in _NAMES))

    def _text(self, name: str, number: int) -> str:
        text = ctypes.c_char_p()
        getattr(self._library, name)(number, ctypes.byref(text))
        return "unknown" if text.value is None else text.value.decode(errors="replace")


@lru_cache(maxsize=1)
def driver() -> Driver:
    """The driver of this machine.

    Raises:
        MissingLibraryError: there is none.
        DriverError: it finds no device, or does not work.
    """
    names = ("nvcuda.dll",) if sys.platform == "win32" else ("libcuda.so.1",)
    return Driver(opened(iter(names), "the driver of CUDA", "install the driver of NVIDIA, or compute on the CPU")[0])
