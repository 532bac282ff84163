"""Launches that are repeated: only addresses are written anew."""

import ctypes
import functools
import struct

import pytest

from conftest import at_once
from qiskit_torch_module._cuda.launches import Launch, Pointers
from qiskit_torch_module._cuda.replay import Replay

SIZE = struct.calcsize("<QQiiQ")


class Recorder:
    """A device that keeps what is launched."""

    def __init__(self):
        self.launched = []

    def launcher(self, launch, address, defines):
        assert defines == {"A": "1"}
        assert address % 16 == 0

        def launched(stream):
            arguments = ctypes.string_at(address, len(launch.arguments))
            self.launched.append((stream, launch.kernel, launch.blocks, arguments))

        return launched


def made(pointers):
    """Two launches: of sums, of addresses that are absent, and of numbers that look like addresses."""
    first = struct.pack("<QQiiQ", pointers.inputs + 24, pointers.weights, 3, 1 << 17, pointers.cotangent)
    second = struct.pack("<QQi", pointers.values, pointers.inputs, 5)
    return [Launch("qtm_one", 7, 32, 0, first), Launch("qtm_two", 8, 64, 1 << 16, second)]


def expected(pointers, stream=0):
    return [(stream, one.kernel, one.blocks, one.arguments) for one in made(pointers)]


PRESENT = ("weights", "inputs", "values")


@pytest.mark.parametrize(
    "addresses", [(0x7F0000001000, 0x7F0000002000, 0x10), (1 << 47, 0, 1 << 60), (0, 0, 0), (5, 5, 5)]
)
def test_every_address_comes_to_its_place(addresses):
    device = Recorder()
    replay = Replay(device, {"A": "1"}, made, PRESENT)
    assert len(replay) == 2
    assert device.launched == []
    replay(addresses, 9)
    assert device.launched == expected(Pointers(**dict(zip(PRESENT, addresses, strict=True))), 9)


def test_calls_do_not_disturb_one_another():
    device = Recorder()
    replay = Replay(device, {"A": "1"}, made, PRESENT)

    def work(base):
        for i in range(200):
            replay((base + i, base + 2 * i, base + 3 * i), base)

    at_once(*[functools.partial(work, 1000 * number) for number in range(1, 5)])
    wanted = [
        launch
        for base in range(1000, 5000, 1000)
        for i in range(200)
        for launch in expected(Pointers(weights=base + i, inputs=base + 2 * i, values=base + 3 * i), base)
    ]
    assert sorted(device.launched) == sorted(wanted)


def test_no_launches():
    Replay(Recorder(), {}, lambda pointers: [], PRESENT)((1, 2, 3), 0)


def one(arguments, blocks=1):
    return [Launch("qtm_one", blocks, 32, 0, arguments)]


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda pointers: one(struct.pack("<Q", 2 * pointers.inputs)), "no sum of an address and a constant"),
        (
            lambda pointers: one(struct.pack("<Q", pointers.inputs + pointers.weights)),
            "no sum of an address and a constant",
        ),
        (lambda pointers: one(struct.pack("<iQi", 1, pointers.inputs, 1)), "no sum"),  # not aligned
        (lambda pointers: one(bytes(8 * (1 + pointers.inputs % 7))), "number or size"),
        (lambda pointers: one(b"12345678", blocks=pointers.inputs), "more than words"),
        (lambda pointers: one(b"12345678") * (1 + pointers.inputs % 7), "number or size"),
    ],
)
def test_launches_that_depend_on_addresses_in_another_way_are_refused(made, message):
    with pytest.raises(RuntimeError, match=message):
        Replay(Recorder(), {"A": "1"}, made, PRESENT)
