"""Data-parallel training of a hybrid network on several processes, on one machine or many.

    torchrun --nproc-per-node 2 examples/distributed.py

On several nodes add ``--nnodes``, ``--node-rank`` and ``--master-addr`` as for any PyTorch program. Each process takes
an equal share of the cores; gradients are averaged by ``DistributedDataParallel`` over gloo.
"""

from __future__ import annotations

import os
import time

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.data.distributed import DistributedSampler

from qiskit_torch_module import HybridModule
from qiskit_torch_module.circuits import incremental_data_uploading


def build(seed: int = 0) -> HybridModule:
    """A linear layer, 10 qubits with 100 encoded values, a linear layer."""
    circuit, features, weights = incremental_data_uploading(10, 10)
    return HybridModule(circuit, features, weights, input_size=16, output_size=1, seed_init=seed)


def data(size: int = 4096) -> TensorDataset:
    """Points in 16 dimensions, and a smooth function of them."""
    inputs = torch.rand(size, 16, generator=torch.Generator().manual_seed(1))
    return TensorDataset(inputs, torch.sin(3 * inputs[:, :4]).sum(dim=1, keepdim=True))


def main(epochs: int = 3, batch_size: int = 256) -> None:
    """Trains in every process of the group; rank 0 reports."""
    dist.init_process_group("gloo")
    rank, world = dist.get_rank(), dist.get_world_size()
    local = int(os.environ.get("LOCAL_WORLD_SIZE", world))
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // local))
    model = DistributedDataParallel(build())
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    samples = data()
    sampler: DistributedSampler[TensorDataset] = DistributedSampler(samples, seed=2)
    loader = DataLoader(samples, batch_size=batch_size // world, sampler=sampler)
    begin = time.perf_counter()
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        total = torch.zeros(())
        for inputs, targets in loader:
            optimizer.zero_grad()
            loss = torch.nn.functional.mse_loss(model(inputs), targets)
            loss.backward()
            optimizer.step()
            total += loss.detach()
        dist.all_reduce(total)
        if rank == 0:
            print(
                f"epoch {epoch}: loss {total.item() / (len(loader) * world):.4f}, {time.perf_counter() - begin:.2f} s"
            )
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
