"""What must hold on a GPU before a time counts: the CPU engine's numbers, the same bits, and PyTorch's ways of running.

Run by itself, it checks a few small circuits, once: under ``compute-sanitizer``, by `gpu`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import torch

from circuits_zoo import Case, cases, random_observables, reuploading
from qiskit_torch_module import QuantumModule, explain, methods, outputs

TOLERANCES = {torch.float32: 1e-5, torch.float64: 1e-11}
Tensors = list[torch.Tensor]


@dataclass
class Where:
    """What computes, and where: a GPU, or the twin of its kernels on the CPU.

    Attributes:
        method: For `QuantumModule`.
        place: Of tensors.
        sizes: Qubits of circuits of all kinds; then of data re-uploading alone, with a batch size each.
    """

    method: Any
    place: str
    sizes: tuple[int, ...]
    larger: tuple[tuple[int, int], ...]

    def wait(self) -> None:
        """For all that was launched."""
        if self.place == "cuda":
            torch.cuda.synchronize()

    @property
    def is_gpu(self) -> bool:
        """Or the twin."""
        return self.place == "cuda"


GPU = Where(
    "cuda",
    "cuda",
    (1, 2, 3, 5, 7, 10),
    ((8, 48), (9, 7), (10, 48), (11, 9), (12, 48), (13, 5), (14, 48), (15, 3), (16, 48), (18, 4), (20, 2), (22, 1)),
)


def twin() -> Where:
    """The kernels on the CPU, on tiny circuits; needs a C++ compiler."""
    from cuda_device import TwinCuda

    return Where(TwinCuda(), "cpu", (2,), ((3, 5), (13, 24)))


def model_of(
    case: Case, method: Any, dtype: torch.dtype, place: str, observables: Any = "individualZ"
) -> QuantumModule:
    """With weights that are the same everywhere."""
    model = QuantumModule(
        case.circuit, case.encoding, case.variational, seed_init=1, observables=observables, method=method
    )
    return model.to(dtype=dtype, device=place)


def inputs_of(case: Case, batch: int, dtype: torch.dtype) -> torch.Tensor:
    """The same everywhere."""
    generator = torch.Generator().manual_seed(batch)
    return 2 * torch.rand(batch, len(case.encoding), dtype=torch.float64, generator=generator).to(dtype)


def results(model: QuantumModule, inputs: torch.Tensor) -> Tensors:
    """Values, and gradients with respect to inputs and weights, on the CPU."""
    leaf = inputs.to(next(iter(model.parameters()), inputs).device).requires_grad_()
    values = model(leaf)
    numbers = torch.view_as_real(values) if values.is_complex() else values
    weights = torch.linspace(-1, 1, numbers.numel(), dtype=numbers.dtype, device=numbers.device).view(numbers.shape)
    leaves = [leaf, *model.parameters()]
    found = torch.autograd.grad((weights * numbers).sum(), leaves, allow_unused=True, materialize_grads=True)
    return [numbers.detach().cpu(), *(one.cpu() for one in found)]


def distance(found: Tensors, expected: Tensors) -> float:
    """The largest difference, where numbers are beyond 1 in units of the largest; NaN counts as infinite."""
    worst = 0.0
    for one, other in zip(found, expected, strict=True):
        if one.numel():
            scale = max(1.0, float(other.abs().max()))
            apart = float((one.double() - other.double()).abs().max()) / scale
            worst = max(worst, apart if apart == apart else float("inf"))
    return worst


def parity(where: Where) -> Iterator[dict[str, Any]]:
    """The GPU's numbers beside those of the CPU engine, circuit by circuit."""
    todo: list[tuple[str, Case, int, Any]] = []
    for n in where.sizes:
        kinds = cases(n) if n > 1 else {"reuploading": reuploading(1, 2)}
        todo += [(f"{kind}, {n} qubits", case, 5, random_observables(n, 3)) for kind, case in kinds.items()]
        todo.append((f"state, {n} qubits", reuploading(n, 2), 3, outputs.State()))
    todo += [
        (f"reuploading, {n} qubits, batch {size}", reuploading(n, 2), size, "individualZ") for n, size in where.larger
    ]
    for name, case, size, observables in todo:
        for dtype, tolerance in TOLERANCES.items():
            inputs = inputs_of(case, size, dtype)
            model = model_of(case, where.method, dtype, where.place, observables)
            kernels, ours = explain(model, batch_size=size).kernels, results(model, inputs)
            theirs = results(model_of(case, "native", dtype, "cpu", observables), inputs)
            apart = distance(ours, theirs)
            row = {"what": name, "dtype": str(dtype)[6:], "kernels": kernels}
            yield {**row, "apart": apart, "holds": apart < tolerance}


def citizen(where: Where) -> Iterator[dict[str, Any]]:
    """Ways in which PyTorch runs a module: each gives what the plain way gives."""
    case, dtype = reuploading(where.sizes[-1], 2), torch.float32
    model, inputs = model_of(case, where.method, dtype, where.place), inputs_of(case, 6, dtype)
    wanted = results(model, inputs)
    ways: dict[str, Callable[[], bool]] = {
        "the same bits again": lambda: all(map(torch.equal, results(model, inputs), wanted)),
        "plain PyTorch agrees": lambda: _agrees(results(model_of(case, "pytorch", dtype, where.place), inputs), wanted),
        "numbers that are not finite are found": lambda: _finds(model, inputs.to(where.place), where),
        "torch.func.vmap over weights": lambda: _maps(model, inputs.to(where.place)),
    }
    if where.is_gpu:
        ways |= {
            "another stream": lambda: _agrees(_on_a_stream(model, inputs), wanted),
            "a CUDA graph": lambda: _graph(model, inputs.to(where.place)),
            "torch.compile in one graph": lambda: _compiled(model, inputs.to(where.place)),
            "every GPU": lambda: all(_agrees(results(model.to(f"cuda:{i}"), inputs), wanted) for i in _gpus()),
        }
    for name, way in ways.items():
        yield {"what": name, **_tried(way)}


def _tried(way: Callable[[], bool]) -> dict[str, Any]:
    try:
        return {"holds": bool(way())}
    except Exception as error:  # one that fails must not keep the others from being seen
        return {"holds": False, "error": f"{type(error).__name__}: {error}"[:300]}


def _gpus() -> range:
    return range(torch.cuda.device_count())


def _agrees(found: Tensors, wanted: Tensors) -> bool:
    return distance(found, wanted) < TOLERANCES[torch.float32]


def _finds(model: QuantumModule, inputs: torch.Tensor, where: Where) -> bool:
    spoilt = inputs.clone()
    spoilt[1, 0] = float("nan")
    values = model(spoilt)
    if not where.is_gpu:
        return bool(values[1].isnan().all() and where.method.device(inputs.device).flag.item() == 1)
    try:
        methods.require_finite()
    except ValueError:
        methods.require_finite()
        return bool(values[1].isnan().all()) and not bool(values[0].isnan().any())
    return False


def _maps(model: QuantumModule, inputs: torch.Tensor) -> bool:
    sets = {name: torch.stack([0.5 * one, one]).detach() for name, one in model.named_parameters()}
    with torch.no_grad():
        both = torch.func.vmap(lambda sets: torch.func.functional_call(model, sets, (inputs,)))(sets)
        return _agrees([both[1].cpu()], [model(inputs).cpu()]) and not _agrees([both[0].cpu()], [both[1].cpu()])


def _on_a_stream(model: QuantumModule, inputs: torch.Tensor) -> Tensors:
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        return results(model, inputs)


def recorded(model: QuantumModule, inputs: torch.Tensor) -> Callable[[], torch.Tensor]:
    """A training step as a CUDA graph, which is replayed by a call; gradients are those of the parameters."""

    def step() -> torch.Tensor:
        model.zero_grad(set_to_none=False)
        values: torch.Tensor = model(inputs)
        values.sum(1).mean().backward()
        return values

    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        values = step()

    def replayed() -> torch.Tensor:
        graph.replay()
        return values

    return replayed


def _graph(model: QuantumModule, inputs: torch.Tensor) -> bool:
    replay = recorded(model, inputs)
    inputs.add_(0.25)  # what is replayed reads what is there by then
    found = [replay().detach().cpu(), *(one.grad.cpu() for one in model.parameters() if one.grad is not None)]
    model.zero_grad()
    values = model(inputs)
    values.sum(1).mean().backward()
    return _agrees(
        found, [values.detach().cpu(), *(one.grad.cpu() for one in model.parameters() if one.grad is not None)]
    )


def _compiled(model: QuantumModule, inputs: torch.Tensor) -> bool:
    compiled = torch.compile(model, fullgraph=True)
    return _agrees([compiled(inputs).detach().cpu()], [model(inputs).detach().cpu()])


if __name__ == "__main__":
    few = Where("cuda", "cuda", (3,), ((8, 4), (11, 2), (15, 1), (17, 1)))
    sys.exit(int(not all(row["holds"] for row in parity(few))))
