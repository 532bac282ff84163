"""Calls of CUDA's driver, on a library in its place that keeps a list of them."""

import ctypes
import struct
import threading

import pytest

from cuda_fakes import FakeDriver, fake, needs_compiler
from qiskit_torch_module._cuda import driver as room
from qiskit_torch_module._cuda.driver import Driver, DriverError, driver
from qiskit_torch_module._cuda.libraries import MissingLibraryError

pytestmark = needs_compiler


@pytest.fixture
def library():
    return FakeDriver()


@pytest.fixture
def made(library):
    made = Driver(library.library)
    library.reset()
    return made


def test_what_it_serves_and_what_a_device_has(made):
    assert made.version == (12, 8)
    assert made.attribute(1, room.MULTIPROCESSORS) == 16101
    assert made.memory_bytes(1) == 101 << 32


def test_a_kernel_from_code_to_launch(library, made):
    with made.context(1):
        module = made.load(b"\x7fELF code")
        function = made.function(module, "qtm_some")
        made.allow_shared_bytes(function, 48 << 10)
        made.allow_shared_bytes(function, (48 << 10) + 1)
        library.size = 16
        library.library.fake_reset(16)
        argument = ctypes.create_string_buffer(struct.pack("<qq", 5, 6), 16)
        launched = made.launcher(function, 7, 64, 1024, ctypes.addressof(argument))
        launched(0x5)
        assert library.argument == struct.pack("<qq", 5, 6)
        argument[:8] = struct.pack("<q", 8)  # read when it is launched
        launched(0)
        assert library.argument == struct.pack("<qq", 8, 6)
    assert library.calls == [
        "cuLaunchKernel(0x48, 7 1 1, 64 1 1, 1024, 0x5, none, in 0xc65)",
        "cuLaunchKernel(0x48, 7 1 1, 64 1 1, 1024, (nil), none, in 0xc65)",
        "cuCtxPopCurrent_v2(0xc65)",
    ]


def test_loading_asks_for_what_it_needs_and_no_more(library, made):
    with made.context(0):
        function = made.function(made.load(b"code"), "qtm_x")
        made.allow_shared_bytes(function, 48 << 10)
        made.allow_shared_bytes(function, 100_000)
    assert library.calls == [
        "cuDevicePrimaryCtxRetain(100)",
        "cuCtxPushCurrent_v2(0xc64)",
        "cuModuleLoadData(code)",
        "cuModuleGetFunction(0x30, qtm_x)",
        "cuFuncGetAttribute(4, 0x45)",  # with it, modules that are loaded lazily are on the device
        "cuFuncSetAttribute(0x45, 8, 100000)",
        "cuCtxPopCurrent_v2(0xc64)",
    ]


def test_contexts_are_those_of_pytorch_and_left_as_they_were(library, made):
    with made.context(0):
        library.reset()
        with made.context(0):  # is current already
            assert library.calls == []
        with made.context(1), made.context(0):
            pass
        assert [call.split("(")[0] for call in library.calls] == [
            "cuDevicePrimaryCtxRetain",
            *["cuCtxPushCurrent_v2"] * 2,
            *["cuCtxPopCurrent_v2"] * 2,
        ]
        library.reset()
        with made.context(1):  # known by now
            pass
    assert [call.split("(")[0] for call in library.calls] == ["cuCtxPushCurrent_v2", *["cuCtxPopCurrent_v2"] * 2]


def test_a_thread_without_a_context_gets_one(library, made):
    """As that of PyTorch's autograd may be, before anything was computed in it."""
    with made.context(0):
        launched = made.launcher(0x40, 1, 32, 0, ctypes.addressof(ctypes.create_string_buffer(8)))
        library.reset()

        def work():
            with made.context(0):
                launched(0)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert [call.split("(")[0] for call in library.calls] == [
            "cuCtxPushCurrent_v2",
            "cuLaunchKernel",
            "cuCtxPopCurrent_v2",
        ]
        assert library.calls[1].endswith("in 0xc64)")


def test_an_error_within_a_context_leaves_it(library, made):
    library.fail("cuModuleLoadData")
    with pytest.raises(DriverError), made.context(0):
        made.load(b"code")
    assert library.calls[-1].startswith("cuCtxPopCurrent_v2")


CALLS = {
    "cuDevicePrimaryCtxRetain": lambda made: made.context(0).__enter__(),
    "cuCtxPushCurrent_v2": lambda made: made.context(0).__enter__(),
    "cuModuleLoadData": lambda made: made.load(b"x"),
    "cuModuleGetFunction": lambda made: made.function(1, "x"),
    "cuFuncGetAttribute": lambda made: made.function(1, "x"),
    "cuFuncSetAttribute": lambda made: made.allow_shared_bytes(1, 1 << 20),
    "cuLaunchKernel": lambda made: made.launcher(1, 1, 1, 0, ctypes.addressof(ctypes.create_string_buffer(8)))(0),
}


@pytest.mark.parametrize("name", CALLS)
def test_every_failure_has_its_name(library, made, name):
    library.fail(name)
    with pytest.raises(
        DriverError, match=rf"^CUDA: {name} failed with CUDA_ERROR_OUT_OF_MEMORY \(2\): out of memory$"
    ) as caught:
        CALLS[name](made)
    assert (caught.value.call, caught.value.number) == (name, 2)


@pytest.mark.parametrize("name", ["cuInit", "cuDriverGetVersion"])
def test_a_driver_that_does_not_start(library, name):
    library.fail(name, 803)
    with pytest.raises(DriverError, match=rf"{name} failed with unknown \(803\): unknown"):
        Driver(library.library)


def test_a_device_that_is_not_there(made):
    with pytest.raises(DriverError, match=r"cuDeviceGet failed with unknown \(101\)"):
        made.attribute(2, room.REGISTERS)


def test_a_library_that_is_too_old():
    with pytest.raises(MissingLibraryError, match="update it"):
        Driver(ctypes.CDLL(str(fake("nvrtc"))))


def test_no_driver(monkeypatch):
    driver.cache_clear()
    monkeypatch.setattr(room.sys, "platform", "win32")
    with pytest.raises(MissingLibraryError, match=r"nvcuda\.dll.*or compute on the CPU"):
        driver()
    driver.cache_clear()
