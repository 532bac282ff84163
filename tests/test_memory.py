"""The memory budget: limits of the machine, of containers and of the process."""

import os
import re
import sys

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import random_unitary

from qiskit_torch_module import QuantumModule, _engine, explain, set_memory_budget
from qiskit_torch_module._reading.compat import UnitaryGate
from test_engine import python

GIB = 2**30
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux")


def system(root, group, mounts, files):
    """Files of a Linux system below a folder."""
    process = root / "proc" / "self"
    process.mkdir(parents=True)
    (process / "cgroup").write_text(group)
    (process / "mountinfo").write_text("".join(f"30 20 0:{i} {line}\n" for i, line in enumerate(mounts)))
    for name, content in files.items():
        path = root / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return str(root)


VERSION_2 = ["/ /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate"]
VERSION_1 = [
    "/ /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory",
    "/ /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct",
]
IN_DOCKER = ["/docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory"]
TWO = "12:cpu,cpuacct:/a/b\n4:memory:/a/b\n0::/\n"

MEMORY = {
    "none": ("0::/\n", VERSION_2, {}, None),
    "own group": ("0::/a/b\n", VERSION_2, {"a/b/memory.max": "1073741824\n"}, GIB),
    "group above": ("0::/a/b\n", VERSION_2, {"a/b/memory.max": "max\n", "a/memory.max": f"{GIB}\n"}, GIB),
    "least of both": (
        "0::/a/b\n",
        VERSION_2,
        {"a/b/memory.max": f"{GIB // 2}\n", "a/memory.max": f"{GIB}\n"},
        GIB // 2,
    ),
    "no limit": ("0::/a\n", VERSION_2, {"a/memory.max": "max\n"}, None),
    "namespace": ("0::/\n", VERSION_2, {"memory.max": f"{GIB}\n"}, GIB),
    "outside of the namespace": ("0::/../other\n", VERSION_2, {"memory.max": f"{GIB}\n"}, GIB),
    "version 1": (TWO, VERSION_1, {"memory/a/b/memory.limit_in_bytes": f"{GIB}\n"}, GIB),
    "version 1, above": (TWO, VERSION_1, {"memory/a/memory.limit_in_bytes": f"{GIB}\n"}, GIB),
    "version 1, no limit": (TWO, VERSION_1, {"memory/a/memory.limit_in_bytes": "9223372036854771712\n"}, None),
    "docker": ("4:memory:/docker/abc\n", IN_DOCKER, {"memory/memory.limit_in_bytes": f"{GIB}\n"}, GIB),
    "both versions": (
        TWO,
        [*VERSION_1, "/ /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw"],
        {"memory/a/b/memory.limit_in_bytes": f"{GIB}\n", "unified/memory.max": f"{GIB // 4}\n"},
        GIB // 4,
    ),
    "damaged": ("0:\nnonsense\n0::/a\n", ["nonsense", *VERSION_2], {"a/memory.max": "much\n"}, None),
}


@pytest.mark.parametrize("name", MEMORY)
def test_memory_limits_of_control_groups(tmp_path, name):
    group, mounts, files, limit = MEMORY[name]
    found = _engine.memory_limit(system(tmp_path, group, mounts, files))
    if limit is None:
        assert found == _engine.memory_limit(str(tmp_path / "nothing"))
    else:
        assert found == limit


QUOTA = {
    "none": ("0::/\n", VERSION_2, {}, 0),
    "two": ("0::/a/b\n", VERSION_2, {"a/cpu.max": "200000 100000\n"}, 2),
    "one and a half": ("0::/a/b\n", VERSION_2, {"a/b/cpu.max": "150000 100000\n"}, 2),
    "a tenth": ("0::/a\n", VERSION_2, {"a/cpu.max": "10000 100000\n"}, 1),
    "no limit": ("0::/a\n", VERSION_2, {"a/cpu.max": "max 100000\n"}, 0),
    "version 1": (
        TWO,
        VERSION_1,
        {"cpu,cpuacct/a/cpu.cfs_quota_us": "300000\n", "cpu,cpuacct/a/cpu.cfs_period_us": "100000\n"},
        3,
    ),
    "version 1, no limit": (
        TWO,
        VERSION_1,
        {"cpu,cpuacct/a/cpu.cfs_quota_us": "-1\n", "cpu,cpuacct/a/cpu.cfs_period_us": "100000\n"},
        0,
    ),
}


@pytest.mark.parametrize("name", QUOTA)
def test_processors_of_control_groups(tmp_path, name):
    group, mounts, files, quota = QUOTA[name]
    assert _engine.processor_quota(system(tmp_path, group, mounts, files)) == quota


# The budget follows a limit that is set while the process runs, both ways, and a call is refused in time.
ADDRESS_SPACE = """
    import resource, torch
    from circuits_zoo import reuploading
    from qiskit_torch_module import QuantumModule, _engine, compiler_passes
    case = reuploading(24, 1)
    with compiler_passes(unjoined_halves=False):  # without a state of all qubits it takes next to nothing
        model = QuantumModule(case.circuit, case.encoding, case.variational, num_threads_forward=1)
    free = _engine.memory_budget()
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (160 << 20), resource.RLIM_INFINITY))
    try:
        model(torch.rand(1, 24))
        print("computed")
    except ValueError as error:
        print("but the budget is" in str(error), _engine.memory_budget() <= 80 << 20)
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    print(_engine.memory_budget() == free)
"""


@LINUX
def test_a_limit_on_the_address_space_is_a_limit():
    done = python(ADDRESS_SPACE)
    assert done.stdout.split() == ["True", "True", "True"], done.stdout + done.stderr


# The largest a process becomes in a step whose states, all at once, would be gibibytes.
STEP = """
    import torch
    from pathlib import Path
    from circuits_zoo import reuploading
    from qiskit_torch_module import QuantumModule, explain

    def status(name):
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))

    case = reuploading(12, 2)
    model = QuantumModule(case.circuit, case.encoding, case.variational)
    model(torch.rand(2, 12)).sum().backward()
    inputs = torch.rand(10_000, 12)
    Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    model(inputs).sum().backward()
    print(status("VmHWM") - before, explain(model, batch_size=len(inputs)).methods["native"].bytes)
"""


@LINUX
def test_a_large_batch_takes_what_explain_says():
    done = python(STEP)
    taken, told = map(float, done.stdout.split())
    assert told / 4 < taken < told + (16 << 20), done.stderr
    assert told < 64 << 20


@pytest.mark.parametrize("given", [8_000_000_000, 8e9, np.int64(8_000_000_000), np.float64(8e9)])
def test_whole_numbers_are_budgets(given, own_budget):
    set_memory_budget(given)
    assert _engine.memory_budget() == 8_000_000_000


@pytest.mark.parametrize("given", [0, -1, 0.5, 1e9 + 0.5, float("inf"), float("nan"), True, "8e9", 2**70, [1]])
def test_other_budgets_are_refused(given, own_budget):
    with pytest.raises(ValueError, match="set_memory_budget: expected a whole number of bytes above 0, such as 8e9"):
        set_memory_budget(given)


def advice(model, budget):
    """What helps a call that does not fit, and says `explain` of it."""
    set_memory_budget(budget)
    found = set()
    for call in (model, lambda: explain(model)):
        with pytest.raises(ValueError, match="of memory, but the budget is 4.0 KiB; ") as caught:
            call()
        found.add(str(caught.value).split("; ", 1)[1])
    set_memory_budget(None)
    (text,) = found
    return text


@pytest.mark.parametrize("dense", [False, True], ids=["layers", "matrices"])
def test_a_refusal_advises_only_what_helps(dense, own_budget):
    circuit = QuantumCircuit(12)
    circuit.ry(ParameterVector("w", 12)[0], 0)
    for qubit in range(1, 12):
        circuit.ry(0.1, qubit)
        circuit.cx(qubit - 1, qubit)
    if dense:
        circuit.append(UnitaryGate(random_unitary(32, seed=0)), range(5))
    model = QuantumModule(circuit, None, circuit.parameters)
    assert advice(model, 4096) == "raise it with set_memory_budget, or use fewer qubits"
    helpful = "raise it with set_memory_budget, use float32, which takes half of it, or use fewer qubits"
    assert advice(model.double(), 4096) == helpful


def test_a_refusal_never_names_the_same_number_twice(own_budget):
    circuit = QuantumCircuit(14)
    circuit.ry(ParameterVector("w", 1)[0], range(14))
    model = QuantumModule(circuit, None, circuit.parameters)
    for budget in (200, 1 << 10, 1 << 14, *(1 << 17) + np.arange(-50, 50) * 64):
        set_memory_budget(int(budget))
        try:
            model()
        except ValueError as error:
            needed, allowed = re.search(r"needs (.*) of memory, but the budget is (.*?);", str(error)).groups()
            assert needed != allowed


def test_without_a_budget_half_of_what_there_is(own_budget):
    set_memory_budget(1000)
    set_memory_budget(None)
    assert _engine.memory_budget() == pytest.approx(_engine.memory_limit() / 2, rel=0.05)
    if hasattr(os, "sysconf"):
        assert _engine.memory_limit() <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
