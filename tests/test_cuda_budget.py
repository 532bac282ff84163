"""The kernels, compiled for GPUs on a machine without one: registers, spills and shared memory."""

import re

import pytest

from circuits_zoo import cases, random_observables
from conftest import NIGHTLY
from qiskit_torch_module import QuantumModule
from qiskit_torch_module._cuda.card import CARDS
from qiskit_torch_module._cuda.circuit import Circuit
from qiskit_torch_module._cuda.launches import Layout, Plan, Pointers
from qiskit_torch_module._cuda.libraries import MissingLibraryError
from qiskit_torch_module._cuda.nvrtc import Source, nvrtc
from qiskit_torch_module._cuda.shapes import shape_of, shapes
from qiskit_torch_module._cuda.sources import KERNELS, source

ARCHITECTURES = (80, 90, 100, 120)
REGISTERS = 65536  # of a multiprocessor

# Registers of a thread, at most, of float and double; none of them spills. Warps that a multiprocessor then holds are
# what hides its waits: 10 of the way back, 18 of the way forward.
BUDGET = {
    "forward": (104, 112),
    "adjoint": (208, 180),
    "prepare": (96, 96),
    "read": (152, 144),
    "seed": (168, 144),
    "angles": (72, 104),
    "join": (88, 144),
    "split": (112, 144),
    "gather": (64, 80),
}
OTHERS = (64, 64)
ADDRESSES = Pointers(**dict.fromkeys(vars(Pointers()), 1 << 20))
SIZES = 1, 3, 8, 9, 11, 12, 13
SHARED = 49 << 10  # two blocks on every card; above 48 KiB the driver has to be asked


def compiler():
    try:
        return nvrtc()
    except MissingLibraryError as error:
        pytest.skip(str(error))


def circuit_of(n):
    case = cases(n)["reuploading"]
    model = QuantumModule(case.circuit, case.encoding, case.variational, observables=random_observables(n, 1))
    return Circuit.of(model._program)


# What differs for a compiler: numbers, and whether a warp has a tile for itself.
VARIANTS = [(is_double, shape) for is_double in (False, True) for shape in shapes(is_double)[:2]]


def test_shapes_share_their_kernels():
    for is_double in (False, True):
        defines = [Layout(circuit_of(2), shape, is_double).defines for shape in shapes(is_double)]
        assert defines[1] == defines[2] == defines[3]


# By day each architecture and each variant once.
BY_DAY = [*zip(ARCHITECTURES, VARIANTS, strict=True)]
ALL = [(architecture, variant) for architecture in ARCHITECTURES for variant in VARIANTS]


@pytest.mark.parametrize(
    ("architecture", "variant"),
    ALL if NIGHTLY else BY_DAY,
    ids=lambda one: f"sm_{one}" if isinstance(one, int) else f"{one[1].name}-{'float64' if one[0] else 'float32'}",
)
def test_registers(architecture, variant):
    is_double, shape = variant
    options = [f"-D{name}={value}" for name, value in Layout(circuit_of(2), shape, is_double).defines.items()]
    built = compiler().compile(Source(source(), {}), architecture, ["--std=c++17", "--ptxas-options=-v", *options])
    found = used(built.log)
    assert set(found) == {f"qtm_{name}" for name in KERNELS}, built.log
    for name, (registers, memory) in found.items():
        assert memory == 0, f"{name} keeps {memory} bytes of a thread in memory"
        assert registers <= BUDGET.get(name[4:], OTHERS)[is_double], f"{name} takes {registers} registers"


def used(log):
    """Of each kernel, registers of a thread, and bytes that it has in memory, those of spills included."""
    found = {}
    for part in log.split("Compiling entry function '")[1:]:
        name = part[: part.index("'")]
        memory = sum(map(int, re.findall(r"(\d+) bytes (?:stack frame|spill stores|spill loads)", part)))
        found[name] = int(re.search(r"Used (\d+) registers", part)[1]), memory
    return found


@pytest.mark.parametrize("name", CARDS)
@pytest.mark.parametrize("is_double", [False, True])
def test_shared_memory_and_threads(name, is_double):
    card = CARDS[name]
    whole = [Plan.of(circuit_of(n), 100, is_double, card, shape_of(n, is_double, card)) for n in SIZES]
    halved = [Plan.of(circuit_of(n), 100, is_double, card, None, from_halves=True) for n in (13, 18)]
    for plan in (*whole, *halved):
        launches = [*plan.values(ADDRESSES), *plan.gradients(ADDRESSES)]
        for launch in launches:
            assert launch.shared_bytes <= SHARED <= card.shared_bytes_per_block
            registers = BUDGET.get(launch.kernel[4:], OTHERS)[is_double]
            assert launch.threads * registers <= REGISTERS == card.registers
        # What follows one another costs a few microseconds each.
        if plan.layout.shape.is_resident:
            assert len(launches) == 6
