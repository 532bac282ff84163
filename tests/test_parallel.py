"""Several processes and threads: DistributedDataParallel, DataLoader workers, modules in Python threads."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset

from circuits_zoo import reuploading
from qiskit_torch_module import HybridModule, QuantumModule, _engine

CASE = reuploading(4, 2)
EXAMPLES = Path(__file__).parent.parent / "examples"


def network():
    return HybridModule(CASE.circuit, CASE.encoding, CASE.variational, 6, 2, seed_init=4)


def batch():
    return torch.rand(8, 6, generator=torch.Generator().manual_seed(1))


def _rank(rank, world, folder):
    meeting = (folder / "meeting").as_uri()  # a file: no port that another process could take
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=world)
    torch.set_num_threads(1)
    model = DistributedDataParallel(network())
    model(batch()[rank::world]).square().mean().backward()
    if rank == 0:
        torch.save([one.grad for one in model.module.parameters()], folder / "gradients")
    dist.barrier()  # neither leaves while the other still adds up gradients
    dist.destroy_process_group()


def test_two_processes_have_the_gradients_of_one(tmp_path):
    torch.multiprocessing.spawn(_rank, args=(2, tmp_path), nprocs=2)
    model = network()
    model(batch()).square().mean().backward()
    for one, found in zip(model.parameters(), torch.load(tmp_path / "gradients"), strict=True):
        torch.testing.assert_close(found, one.grad, atol=1e-6, rtol=1e-5)


@pytest.mark.skipif(sys.platform == "win32", reason="torchrun there has no gloo over libuv")
def test_the_distributed_example_learns():
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run([*launcher, str(EXAMPLES / "distributed.py")], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    losses = [float(line.split("loss ")[1].split(",")[0]) for line in done.stdout.splitlines() if "loss" in line]
    assert len(losses) == 3
    assert losses[-1] < 0.5 * losses[0]


class _Points(Dataset):
    """Samples that a quantum layer makes in the worker."""

    def __init__(self):
        self.layer = QuantumModule(CASE.circuit, CASE.encoding, CASE.variational, seed_init=1)

    def __len__(self):
        return 12

    def __getitem__(self, index):
        with torch.no_grad():
            inputs = torch.full((4,), index / 12)
            return inputs, self.layer(inputs)


@pytest.mark.filterwarnings("ignore")  # Python 3.12 on warns of fork beside threads
@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_layers_inside_and_outside_of_data_loader_workers(start):
    if start not in torch.multiprocessing.get_all_start_methods():
        pytest.skip("not on this system")
    points = _Points()
    points.layer(torch.rand(64, 4)).sum().backward()  # the pool of the parent is alive when workers fork
    for inputs, targets in DataLoader(points, batch_size=3, num_workers=2, multiprocessing_context=start):
        torch.testing.assert_close(points.layer(inputs).detach(), targets)


class _Steps(Dataset):
    """Training steps in the worker, on as many threads as the parent had; and how many it may borrow of PyTorch's."""

    def __init__(self):
        options = {"num_threads_forward": 2, "num_threads_backward": 2}
        self.layer = QuantumModule(CASE.circuit, CASE.encoding, CASE.variational, seed_init=1, **options).double()

    def __len__(self):
        return 4

    def __getitem__(self, index):
        inputs = torch.full((64, 4), index / 4, dtype=torch.float64)
        values = self.layer(inputs)
        slopes = torch.autograd.grad(values.square().sum(), self.layer.variational_)
        return torch.cat([values.detach().ravel(), *slopes]), _engine.openmp_threads()


def _borrow(worker):
    """What the parent did, where the process began anew; one that was forked does not ask, whatever was forced."""
    if _engine.openmp_threads():
        torch.set_num_threads(2)
        _engine.force_openmp(True)


@pytest.mark.skipif(torch.cuda.is_available(), reason="with CUDA, PyTorch takes no backward pass in a forked child")
@pytest.mark.filterwarnings("ignore")  # Python 3.12 on warns of fork beside threads
@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_data_loader_workers_of_a_parent_that_computes_on_threads_of_pytorch(start):
    """They stay behind where a process is forked, and would be waited for; a spawned one has its own."""
    if start not in torch.multiprocessing.get_all_start_methods():
        pytest.skip("not on this system")
    steps, before = _Steps(), torch.get_num_threads()
    wanted = torch.stack([found for found, _ in map(steps.__getitem__, range(len(steps)))])
    _engine.assume_processors(4)
    torch.set_num_threads(2)
    _engine.force_openmp(True)
    try:
        if not _engine.openmp_threads():
            pytest.skip("PyTorch has no threads that can be asked")
        (torch.rand(1 << 20) * 2).sum()  # they are there, and wait awake
        for repetition in range(2):  # before the workers, and after they ended
            torch.testing.assert_close(torch.stack([steps[i][0] for i in range(4)]), wanted)
            if repetition == 0:
                loader = DataLoader(
                    steps, num_workers=2, multiprocessing_context=start, timeout=100, worker_init_fn=_borrow
                )
                for expected, (found, threads) in zip(wanted, loader, strict=True):
                    torch.testing.assert_close(found[0], expected)
                    assert threads.item() == (0 if start == "fork" else 2)
    finally:
        _engine.force_openmp(False)
        _engine.assume_processors(0)
        torch.set_num_threads(before)


def test_several_modules_in_several_threads_at_once():
    models = [QuantumModule(CASE.circuit, CASE.encoding, CASE.variational, seed_init=seed) for seed in range(4)]
    inputs = torch.rand(50, 4)

    def gradient(model):
        found = []
        for _ in range(10):
            model.zero_grad()
            model(inputs).square().sum().backward()
            found.append([one.grad.clone() for one in model.variational_])
        return found

    expected = [gradient(model)[0] for model in models]
    with ThreadPoolExecutor(4) as pool:
        for found, wanted in zip(pool.map(gradient, models), expected, strict=True):
            for repetition in found:
                for one, other in zip(repetition, wanted, strict=True):
                    torch.testing.assert_close(one, other)
