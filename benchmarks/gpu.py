"""The engine on a GPU: everything that can be learnt in eight minutes on one that is lent.

Its numbers beside those of the CPU engine; the ways in which PyTorch runs a module; ``compute-sanitizer``, if it is
there; times of a training step beside plain PyTorch on the same GPU, the CPU engine and TensorCircuit-NG on JAX, if
that is installed in the same Python; and the share of what the card can do. What was found so far is written after
every part. With ``--twin`` it runs in full on the CPU: kernels by their twin, tiny circuits, times without a meaning.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import gpu_checks
import record
import torch
from gpu_checks import GPU, Where
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import SparsePauliOp
from rich.console import Console
from workloads import Workload, ising

from qiskit_torch_module import QuantumModule
from qiskit_torch_module._cuda.card import CARDS, H100
from qiskit_torch_module._cuda.choice import plan_of
from qiskit_torch_module._cuda.counts import work_of
from qiskit_torch_module._simulation.cuda import circuit_of
from qiskit_torch_module.reproduce.runners.workload import Spec
from qiskit_torch_module.reproduce.store import described, machine
from qiskit_torch_module.reproduce.systems import RUNNERS

# Seconds for all, after which no further part or row begins.
BUDGET = 450.0


@dataclass(frozen=True)
class Work:
    """A training step that is timed: the reference circuit, or another with one weight for every angle and no data."""

    qubits: int
    depth: int
    batch: int
    kind: str = "reference"


# Ising: what TensorCircuit-NG reports 26.5 ms for, on an RTX 5090. Deep: 60,000 weights, as in arXiv:2603.02804.
WORKS = [
    *(Work(*sizes) for sizes in ((4, 3, 48), (10, 3, 48), (10, 3, 10_000), (16, 3, 48), (20, 3, 1), (20, 3, 48))),
    Work(20, 10, 1, "ising"),
    *(Work(*sizes) for sizes in ((24, 3, 1), (26, 3, 1))),
    Work(20, 1000, 1, "deep"),
]
QUICK_WORKS, TWIN_WORKS = WORKS[:2], [Work(2, 1, 3), Work(2, 1, 1, "ising"), Work(2, 2, 1, "deep")]
KERNELS, GRAPH, PLAIN, CPU, RIVAL = "kernels", "as a CUDA graph", "plain PyTorch", "CPU engine", "TensorCircuit-NG"
SYSTEMS = (KERNELS, GRAPH, PLAIN, CPU, RIVAL)
# Beyond this many amplitudes in a batch plain PyTorch, which keeps a state for every gate, has no memory.
_MOST_OF_PLAIN = 1 << 22
_SANITIZER_SECONDS = 60.0
_RIVAL_SECONDS = 75.0


@dataclass
class Clock:
    """What is left."""

    end: float

    @property
    def left(self) -> float:
        """Seconds."""
        return self.end - time.monotonic()


def write(folder: Path, console: Console, *, quick: bool, twin: bool = False) -> list[Path]:
    """Checks, then measures; writes JSON and tables after every part. Nothing where there is no GPU."""
    if not twin and not torch.cuda.is_available():
        console.print("no GPU here, left out; --twin runs the kernels on the CPU", highlight=False)
        return []
    where = gpu_checks.twin() if twin else replace(GPU, larger=GPU.larger[:4]) if quick else GPU
    clock = Clock(time.monotonic() + BUDGET)
    found: dict[str, Any] = {"date": time.strftime("%Y-%m-%d"), "machine": machine(), "gpu": _gpu(where)}
    found |= {"quick": quick, "twin": twin, "parity": [], "citizen": [], "sanitizer": {}, "times": []}
    name = "gpu-twin" if twin else "gpu"
    paths: list[Path] = []
    for part, rows in _parts(where, clock, quick, twin).items():
        for row in rows:
            found[part].append(row) if isinstance(found[part], list) else found[part].update(row)
            console.print(f"{clock.left:5.0f} s left, {part}: {json.dumps(row)}", highlight=False, markup=False)
            if clock.left < 0:
                found.setdefault("stopped in", part)
                break
        paths = record.write(folder, name, found, markdown(found))
    return paths


def _parts(where: Where, clock: Clock, quick: bool, twin: bool) -> dict[str, Iterator[dict[str, Any]]]:
    works = TWIN_WORKS if twin else QUICK_WORKS if quick else WORKS
    return {
        "parity": gpu_checks.parity(where),
        "citizen": gpu_checks.citizen(where),
        "times": (_times(where, work, clock) for work in works if clock.left > 0),
        "sanitizer": _sanitized(where, clock),
    }


def _gpu(where: Where) -> dict[str, Any]:
    if not where.is_gpu:
        card = where.method.device(torch.device("cpu")).card
        return {"name": "twin on the CPU", "card": asdict(card)}
    from qiskit_torch_module._cuda.device import gpu
    from qiskit_torch_module._cuda.driver import driver
    from qiskit_torch_module._cuda.nvrtc import nvrtc

    return {
        "name": torch.cuda.get_device_name(),
        "card": asdict(gpu(torch.cuda.current_device()).card),
        "driver": driver().version,
        "nvrtc": nvrtc().version,
        "cuda of torch": torch.version.cuda,
    }


def _sanitized(where: Where, clock: Clock) -> Iterator[dict[str, Any]]:
    """What ``compute-sanitizer`` says of a few small circuits: memory, races in shared memory, barriers."""
    tool = shutil.which("compute-sanitizer") or shutil.which(
        "compute-sanitizer", path=str(Path(os.environ.get("CUDA_HOME", "/usr/local/cuda"), "bin"))
    )
    for kind in ("memcheck", "racecheck", "synccheck"):
        if tool is None or not where.is_gpu:
            yield {kind: "not there"}
            continue
        if clock.left < _SANITIZER_SECONDS / 2:
            yield {kind: "no time"}
            continue
        command = [tool, "--tool", kind, "--error-exitcode", "9", sys.executable, gpu_checks.__file__]
        # PyTorch's own blocks of memory would hide what lies beyond a tensor.
        environment = os.environ | {"PYTORCH_NO_CUDA_MEMORY_CACHING": "1"}
        try:
            seconds = min(_SANITIZER_SECONDS, clock.left)
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=seconds, env=environment, check=False
            )
        except subprocess.TimeoutExpired:
            yield {kind: "not done in time"}
        else:
            said = "nothing found" if done.returncode == 0 else (done.stdout + done.stderr)[-2000:]
            yield {kind: said}


def _ran(
    command: list[str], seconds: float, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=seconds, env=environment, check=False)


def _times(where: Where, work: Work, clock: Clock) -> dict[str, Any]:
    """Milliseconds of a training step, by system; and the share of the card's limits that the kernels reach."""
    row: dict[str, Any] = {**asdict(work), "milliseconds": {}}
    steps: dict[str, Callable[[], Callable[[], None]]] = {
        KERNELS: lambda: _step(*_model(work, where.method), where.place),
        CPU: lambda: _step(*_model(work, "native"), "cpu"),
    }
    if where.is_gpu:
        steps[GRAPH] = lambda: _graph_step(*_model(work, where.method))
    if work.batch << work.qubits <= _MOST_OF_PLAIN and work.kind != "deep":
        steps[PLAIN] = lambda: _step(*_model(work, "pytorch"), where.place)
    for name, made in steps.items():
        row["milliseconds"][name] = _median(made, where, min(3.0, clock.left / 20))
    if where.is_gpu and work.kind == "reference" and clock.left > _RIVAL_SECONDS:
        row["milliseconds"][RIVAL] = _rival(work, clock)
    reached = [row["milliseconds"].get(name) for name in (KERNELS, GRAPH)]
    times = [one for one in reached if isinstance(one, float)]
    row |= _limit(work, where)
    row["share of the card"] = row["card (ms)"] / min(times) if times and where.is_gpu and row["card (ms)"] else None
    return row


def _limit(work: Work, where: Where) -> dict[str, Any]:
    """What a step computes and moves at least, and how long the card takes for it; of the twin, an H100."""
    name = torch.cuda.get_device_name() if where.is_gpu else "H100"
    card = next((card for known, card in CARDS.items() if known in name), None)
    circuit = circuit_of(_model(work, "native")[0]._program)
    assert not isinstance(circuit, str)
    plan = plan_of(circuit, work.batch, False, card or H100)
    values, gradients = work_of(plan)
    both = values + gradients
    least = 0.0 if card is None else 1e3 * (values.least_seconds(card, False) + gradients.least_seconds(card, False))
    products = 1 << plan.layout.glue_bits if plan.halves else 1
    return {"GFLOP": both.operations / 1e9, "GB": both.bytes / 1e9, "card (ms)": least, "products": products}


def _model(work: Work, method: Any) -> tuple[QuantumModule, torch.Tensor]:
    """With the inputs of a batch."""
    if work.kind == "reference":
        spec = Spec(work.qubits, work.depth, work.batch)
        circuit, x, b, c = spec.qiskit_circuit()
        data, *starts = spec.data()
        model = QuantumModule(
            circuit,
            x,
            [b, c],
            variational_params_initial=[list(start) for start in starts],
            observables=spec.qiskit_observables(),
            method=method,
        )
        return model, torch.tensor(data, dtype=torch.float32)
    circuit, terms = ising(work.qubits, work.depth) if work.kind == "ising" else _deep(work.qubits, work.depth)
    energy = SparsePauliOp.from_sparse_list(terms, work.qubits)
    model = QuantumModule(circuit, None, circuit.parameters, observables=[energy], seed_init=0, method=method)
    return model, torch.zeros(work.batch, 0)


def _deep(qubits: int, depth: int) -> Workload:
    """Three rotations on every qubit, then a ring of CNOTs, layer by layer; <Z> of the first qubit."""
    w, circuit = iter(ParameterVector("w", 3 * qubits * depth)), QuantumCircuit(qubits)
    for _ in range(depth):
        for q in range(qubits):
            circuit.rz(next(w), q)
            circuit.ry(next(w), q)
            circuit.rz(next(w), q)
        for q in range(qubits):
            circuit.cx(q, (q + 1) % qubits)
    return circuit, [("Z", [0], 1.0)]


def _step(model: QuantumModule, inputs: torch.Tensor, place: str) -> Callable[[], None]:
    model, inputs = model.to(place), inputs.to(place)

    def step() -> None:
        model.zero_grad()
        model(inputs).sum(1).mean().backward()

    return step


def _graph_step(model: QuantumModule, inputs: torch.Tensor) -> Callable[[], None]:
    replay = gpu_checks.recorded(model.to("cuda"), inputs.to("cuda"))

    def step() -> None:
        replay()

    return step


def _median(made: Callable[[], Callable[[], None]], where: Where, seconds: float) -> float | str:
    """Milliseconds of a step, waited for; or why there are none."""
    try:
        step = made()
        for _ in range(2):
            step()
        where.wait()
        times: list[float] = []
        end = time.monotonic() + seconds
        while len(times) < 3 or (time.monotonic() < end and len(times) < 500):
            begin = time.perf_counter()
            step()
            where.wait()
            times.append(1e3 * (time.perf_counter() - begin))
    except (RuntimeError, MemoryError, ValueError) as error:
        return f"{type(error).__name__}: {error}"[:200]
    return statistics.median(times)


def _rival(work: Work, clock: Clock) -> float | str:
    """As `reproduce` times it, on the GPU if JAX sees one; compilation does not count."""
    if importlib.util.find_spec("tensorcircuit") is None or importlib.util.find_spec("jax") is None:
        return "not installed"
    own = Spec(work.qubits, work.depth, work.batch, repetitions=5, least_seconds=0.5, seconds=5.0)
    command = [sys.executable, str(RUNNERS / "tensorcircuit_jax.py"), json.dumps(asdict(own))]
    try:
        done = _ran(command, min(_RIVAL_SECONDS, clock.left))
    except subprocess.TimeoutExpired:
        return f"not done in {_RIVAL_SECONDS:.0f} s"
    if done.returncode != 0:
        return (done.stderr.strip().splitlines() or ["failed"])[-1][:200]
    return statistics.median(json.loads(done.stdout.strip().splitlines()[-1])["step"]["times"])


def markdown(found: dict[str, Any]) -> str:
    """The page."""
    gpu, card = found["gpu"], found["gpu"]["card"]
    lines = [
        "# The engine on a GPU",
        "",
        f"{gpu['name']}, {card['multiprocessors']} multiprocessors; {described(found)}."
        + (" **Kernels by their twin on the CPU: times have no meaning.**" if found["twin"] else ""),
        "",
        *_checks("Beside the CPU engine", found["parity"]),
        *_checks("As PyTorch runs it", found["citizen"]),
        "## compute-sanitizer",
        "",
        *[f"- {kind}: {said.splitlines()[0] if said else said}" for kind, said in found["sanitizer"].items()],
        "",
        "## A training step",
        "",
        "Value and gradients, float32, milliseconds, the median; each step is waited for. Reference: data "
        "re-uploading; Ising: RZZ and RX, a weight for every angle; deep: three rotations on a qubit in a layer. Card: "
        "what arithmetic or memory would take at their limits"
        + (", of an H100." if found["twin"] else ".")
        + " Products: of states on halves, whose sum the kernels start from, where that is more than one.",
        "",
        "| circuit | qubits | layers | batch | "
        + " | ".join(SYSTEMS)
        + " | products | GFLOP | GB | card | share of the card |",
        "| --- " + "| ---: " * (len(SYSTEMS) + 8) + "|",
    ]
    for row in found["times"]:
        cells = [_cell(row["milliseconds"].get(name)) for name in SYSTEMS]
        share = "" if row["share of the card"] is None else f"{100 * row['share of the card']:.1f} %"
        numbers = [str(row[name]) for name in ("kind", "qubits", "depth", "batch")]
        lines.append(
            "| "
            + " | ".join(
                [
                    *numbers,
                    *cells,
                    str(row["products"]),
                    *[f"{row[n]:.3g}" for n in ("GFLOP", "GB", "card (ms)")],
                    share,
                ]
            )
            + " |"
        )
    said = [
        f"- {row['kind']}, {row['qubits']} qubits, batch {row['batch']}, {name}: {time}"
        for row in found["times"]
        for name, time in row["milliseconds"].items()
        if isinstance(time, str)
    ]
    return "\n".join([*lines, *(["", *said] if said else []), ""])


def _cell(time: float | str | None) -> str:
    return f"{time:.3g}" if isinstance(time, float) else "" if time is None else "none"


def _checks(title: str, rows: list[dict[str, Any]]) -> list[str]:
    wrong = [row for row in rows if not row["holds"]]
    worst = {
        dtype: max((row["apart"] for row in rows if row.get("dtype") == dtype), default=None)
        for dtype in ("float32", "float64")
    }
    apart = ", ".join(f"{name} {value:.1e} apart at most" for name, value in worst.items() if value is not None)
    said = [f"- **{row['what']}** {row.get('dtype', '')}: {row.get('error', row.get('apart'))}" for row in wrong]
    held = f"{len(rows) - len(wrong)} of {len(rows)} hold" + (f"; {apart}." if apart else ".")
    return [f"## {title}", "", held, "", *said, *([""] if said else [])]
