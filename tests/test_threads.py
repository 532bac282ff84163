"""Threads: fewer than asked for, later than wanted, in other processes, and at the end of one."""

import os
import sys
import threading
from dataclasses import replace

import pytest
import torch

from circuits_zoo import reuploading
from conftest import NIGHTLY, at_once
from qiskit_torch_module import QuantumModule, _engine, compiler_passes
from qiskit_torch_module._simulation import engines
from qiskit_torch_module._simulation.engines import engine_of
from test_engine import python

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux")


@pytest.fixture
def four_processors():
    """As if there were so many, so that calls are divided alike everywhere."""
    _engine.assume_processors(4)
    yield
    _engine.assume_processors(0)


@pytest.fixture
def busy_pool():
    """Another Python thread that keeps the threads of the engine busy."""
    case, stop = reuploading(10, 2), threading.Event()
    other = QuantumModule(case.circuit, case.encoding, case.variational, num_threads_forward=3, num_threads_backward=3)
    inputs = torch.rand(64, 10)

    def work():
        while not stop.is_set():
            other(inputs).sum().backward()

    thread = threading.Thread(target=work)
    thread.start()
    yield
    stop.set()
    thread.join()


def model_of(n, threads, dtype=torch.float64):
    """With a state of all qubits, which threads share where it is large."""
    case = reuploading(n, 2)
    with compiler_passes(unjoined_halves=False):
        model = QuantumModule(
            case.circuit,
            case.encoding,
            case.variational,
            seed_init=0,
            num_threads_forward=threads,
            num_threads_backward=threads,
        )
    return model.to(dtype)


def bytes_of_step(model, inputs):
    model.zero_grad()
    leaf = inputs.clone().requires_grad_()
    values = model(leaf)
    values.square().sum().backward()
    return b"".join(
        one.detach().numpy().tobytes() for one in (values, leaf.grad, *(p.grad for p in model.parameters()))
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("n", "batch"), [(8, 13), (8, 200), (10, 48), (11, 5)])
def test_sums_over_a_batch_do_not_depend_on_who_adds_them_up(n, batch, dtype, four_processors, request):
    model, inputs = model_of(n, 3, dtype), torch.rand(batch, n, dtype=dtype)
    found = {bytes_of_step(model, inputs) for _ in range(5)}
    request.getfixturevalue("busy_pool")
    found |= {bytes_of_step(model, inputs) for _ in range(10)}
    assert len(found) == 1


@pytest.fixture
def threads_of_pytorch(four_processors):
    """Calls run on as many threads of PyTorch as there were, if it has any of the kind that is asked."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    _engine.force_openmp(True)
    if not _engine.openmp_threads():
        _engine.force_openmp(False)
        torch.set_num_threads(before)
        pytest.skip("PyTorch has no threads that can be asked")
    yield
    _engine.force_openmp(False)
    torch.set_num_threads(before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("n", "batch"), [(8, 13), (10, 48)])
def test_sums_over_a_batch_do_not_depend_on_whose_threads_add_them_up(n, batch, dtype, four_processors, request):
    model, inputs = model_of(n, 3, dtype), torch.rand(batch, n, dtype=dtype)
    wanted = bytes_of_step(model, inputs)
    request.getfixturevalue("threads_of_pytorch")
    assert {bytes_of_step(model, inputs) for _ in range(5)} == {wanted}


@pytest.mark.parametrize("threads", [2, 3, 4])
def test_a_state_may_be_shared_by_threads_of_pytorch(threads, threads_of_pytorch):
    """Those that it has beyond are not asked; where it has too few, the engine's own are."""
    _engine.force_openmp(False)
    alone, team, inputs = model_of(13, 1), model_of(13, threads), torch.rand(1, 13, dtype=torch.float64)
    wanted = gradients_of(alone, inputs)
    _engine.force_openmp(True)
    for _ in range(5):
        torch.testing.assert_close(gradients_of(team, inputs), wanted, atol=1e-10, rtol=0)


def gradients_of(model, inputs):
    values = model(inputs)
    return values, *torch.autograd.grad(values.square().sum(), tuple(model.parameters()))


def test_several_threads_may_ask_those_of_pytorch_at_once(threads_of_pytorch):
    model, inputs = model_of(9, 3), torch.rand(64, 9, dtype=torch.float64)
    wanted, found = bytes_of_step(model, inputs), []

    def work():
        own = model_of(9, 3)
        found.extend(bytes_of_step(own, inputs) for _ in range(5))

    at_once(*[work] * 3)
    assert len(found) == 15
    assert set(found) == {wanted}


BESIDE_PYTORCH = """
    import os, time
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:2]))
    import torch
    from circuits_zoo import reuploading
    from qiskit_torch_module import QuantumModule, _engine, compiler_passes
    torch.set_num_threads(2)
    case = reuploading(10, 2)
    model = QuantumModule(case.circuit, case.encoding, case.variational)
    inputs, large = torch.rand(48, 10), torch.rand(48, 1024)
    end = time.monotonic() + 20
    while not _engine.borrows_threads() and time.monotonic() < end:
        model(inputs).sum().backward()
        (large * large).sum()
    print(_engine.borrows_threads())
"""


@LINUX
@pytest.mark.skipif(not NIGHTLY, reason="depends on what else the machine does")
def test_where_pytorch_keeps_the_processors_its_threads_are_asked():
    if not _engine.openmp_threads() or len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two processors, and threads of PyTorch that can be asked")
    if os.getloadavg()[0] > len(os.sched_getaffinity(0)):
        pytest.skip("others keep the processors")
    done = python(BESIDE_PYTORCH)
    assert done.stdout.strip() == "True", done.stdout + done.stderr


def test_a_shared_state_is_exact_where_pytorch_is_to_be_deterministic(four_processors, request):
    model, inputs = model_of(14, 2), torch.rand(1, 14, dtype=torch.float64)
    assert engine_of(model._program).schedule_float64(1, 2, True)["is_team"]
    torch.use_deterministic_algorithms(True)
    try:
        found = {bytes_of_step(model, inputs) for _ in range(3)}
        request.getfixturevalue("busy_pool")
        found |= {bytes_of_step(model, inputs) for _ in range(10)}
    finally:
        torch.use_deterministic_algorithms(False)
    assert len(found) == 1


# A process bound to one processor, with threads that believe in four: every meeting waits for a time slice, or nobody
# does.
CROWDED = """
    import os, time, torch
    os.sched_setaffinity(0, {next(iter(os.sched_getaffinity(0)))})
    from circuits_zoo import reuploading
    from qiskit_torch_module import QuantumModule, _engine, compiler_passes
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)

    def steps(n, batch, threads):
        _engine.assume_processors(4)
        case = reuploading(n, 12)
        model = QuantumModule(case.circuit, case.encoding, case.variational, seed_init=0,
                              num_threads_forward=threads, num_threads_backward=threads)
        inputs, times = torch.linspace(0, 1, batch * n).reshape(batch, n), []
        end = time.process_time() + 0.5
        while time.process_time() < end or len(times) < 5:
            model.zero_grad()
            begin = time.process_time()
            model(inputs).sum().backward()
            times.append(time.process_time() - begin)
            found = torch.cat([one.grad for one in model.parameters()])
            if len(times) > 1: torch.testing.assert_close(found, first, atol=1e-10, rtol=0)
            first = found
        return sum(times) / len(times), found

    for n, batch in ((12, 1), (13, 2), (10, 48)):
        (alone, wanted), (crowd, found) = (steps(n, batch, threads) for threads in (1, 4))
        torch.testing.assert_close(found, wanted, atol=1e-10, rtol=0)
        print(n, batch, crowd / alone)
"""


@LINUX
def test_many_threads_on_one_processor_are_nearly_as_fast_as_one():
    done = python(CROWDED)
    assert done.returncode == 0, done.stderr
    ratios = [float(line.split()[-1]) for line in done.stdout.splitlines()]
    assert len(ratios) == 3
    assert max(ratios) < 2.5, done.stdout


FEWER_PROCESSORS = """
    import os, torch
    from circuits_zoo import reuploading
    from qiskit_torch_module import QuantumModule
    torch.set_num_threads(1)
    case = reuploading(10, 2)
    model = QuantumModule(case.circuit, case.encoding, case.variational, num_threads_forward=4)
    os.sched_setaffinity(0, {next(iter(os.sched_getaffinity(0)))})
    before = len(os.listdir("/proc/self/task"))
    with torch.no_grad():
        model(torch.rand(64, 10))
    print(len(os.listdir("/proc/self/task")) - before)
"""


@LINUX
def test_a_process_that_is_bound_to_one_processor_starts_no_threads():
    done = python(FEWER_PROCESSORS)
    assert done.stdout.strip() == "0", done.stdout + done.stderr


# Room for anything but the stack of another thread.
NO_THREADS = """
    import os, resource, sys
    if resource.getrlimit(resource.RLIMIT_STACK)[0] != 1 << 30:
        resource.setrlimit(resource.RLIMIT_STACK, (1 << 30, resource.getrlimit(resource.RLIMIT_STACK)[1]))
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    import torch
    from circuits_zoo import reuploading
    from qiskit_torch_module import QuantumModule, _engine, compiler_passes
    _engine.assume_processors(8)
    torch.set_num_threads(1)
    case = reuploading(10, 2)
    model = QuantumModule(case.circuit, case.encoding, case.variational, seed_init=0)
    large, inputs = reuploading(13, 2), torch.rand(64, 10)
    team = QuantumModule(large.circuit, large.encoding, large.variational, seed_init=0)
    wanted = [model(inputs).detach(), team(torch.ones(1, 13)).detach()]
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (256 << 20), resource.RLIM_INFINITY))
    before = len(os.listdir("/proc/self/task"))
    for one in (model, team):
        one.set_num_threads_forward(8)
        one.set_num_threads_backward(8)
    for _ in range(3):
        torch.testing.assert_close(model(inputs).detach(), wanted[0], atol=1e-5, rtol=0)
        torch.testing.assert_close(team(torch.ones(1, 13)).detach(), wanted[1], atol=1e-5, rtol=0)
    print("done", len(os.listdir("/proc/self/task")) - before)
"""


@LINUX
def test_threads_that_cannot_be_started_are_done_without():
    done = python(NO_THREADS)
    assert done.stdout.strip() == "done 0", done.stdout + done.stderr


EXIT = """
    import sys, threading, time, torch
    from circuits_zoo import reuploading
    from qiskit_torch_module import QuantumModule
    case = reuploading(4, 1)
    model = QuantumModule(case.circuit, case.encoding, case.variational)

    def work(step):
        while True:
            step()

    def train():
        model(torch.rand(3, 4)).sum().backward()

    def evaluate():
        with torch.no_grad():
            model(torch.rand(3, 4))

    for i in range(int(sys.argv[1])):
        threading.Thread(target=work, args=(evaluate if i % 2 else train,), daemon=True).start()
    time.sleep(0.3)
    print("computed", flush=True)
"""


@pytest.mark.parametrize("count", [1, 4])
def test_a_process_ends_while_daemon_threads_compute(count):
    done = python(EXIT.replace("sys.argv[1]", str(count)))
    assert (done.returncode, done.stdout.strip()) == (0, "computed"), done.stderr


FORK = """
    import ctypes, os, signal, threading
    START
    import torch
    from circuits_zoo import reuploading
    from qiskit_torch_module import QuantumModule, _engine, compiler_passes
    _engine.assume_processors(2)

    def model_of(n):
        case = reuploading(n, 2)
        return QuantumModule(case.circuit, case.encoding, case.variational, seed_init=0, num_threads_forward=2)

    def work():
        while True:
            with torch.no_grad():
                model_of(7)(torch.rand(300, 7))

    model, inputs = model_of(9), torch.rand(64, 9)
    wanted = model(inputs).detach()
    PREPARE
    for _ in range(COUNT):
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            with torch.no_grad():
                os._exit(not torch.allclose(model(inputs), wanted, atol=1e-5))
        assert os.waitpid(child, 0)[1] == 0
    print("done", flush=True)
    os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_child_of_fork_does_not_ask_threads_of_pytorch():
    """They stayed with its parent, and would be waited for."""
    using = (
        "torch.set_num_threads(2); _engine.force_openmp(True); model(inputs); torch.rand(1 << 20).square()\n"
        "    assert torch.equal(model(inputs), wanted)"
    )
    done = python(FORK.replace("START", "").replace("PREPARE", using).replace("COUNT", "3"))
    assert done.stdout.strip() == "done", done.stdout + done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_child_of_fork_has_threads_of_its_own():
    computing = "threading.Thread(target=work, daemon=True).start()"
    done = python(FORK.replace("START", "").replace("PREPARE", computing).replace("COUNT", "10"))
    assert done.stdout.strip() == "done", done.stdout + done.stderr


@LINUX
def test_a_child_of_fork_may_have_the_number_of_its_parent():
    if os.geteuid() != 0:
        pytest.skip("needs root")
    # The first process of a namespace has number 1; so has that of the namespace in it.
    start = (
        "if ctypes.CDLL(None).unshare(0x20000000): print('none', flush=True); os._exit(0)\n"
        "    first = os.fork()\n"
        "    if first: os._exit(os.waitpid(first, 0)[1] != 0)"
    )
    prepare = "assert os.getpid() == 1 and ctypes.CDLL(None).unshare(0x20000000) == 0"
    done = python(FORK.replace("START", start).replace("PREPARE", prepare).replace("COUNT", "1"))
    if done.stdout.strip() == "none":
        pytest.skip("no namespaces here")
    assert done.stdout.strip() == "done", done.stdout + done.stderr


def test_threads_that_come_first_together_share_an_engine(monkeypatch):
    """An engine must not change between values and gradients: a tape is that of the engine that made it."""
    case = reuploading(4, 1)
    program = QuantumModule(case.circuit, case.encoding, case.variational, observables="XYZZ")._program
    program, barrier = replace(program), threading.Barrier(4)

    def make(program):
        barrier.wait()  # all of them begin before the first one ends
        return object()

    monkeypatch.setattr(engines, "_layered_engine", make)
    found = []
    at_once(*[lambda: found.append(engines.engine_of(program))] * 4)
    assert len(found) == 4
    assert len(set(map(id, found))) == 1
    assert engines.engine_of(program) is found[0]
