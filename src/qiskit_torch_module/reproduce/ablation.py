"""Fig. 4: the same work on any machine, with threads and instruction set varied; several machines in one report."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from .. import _engine
from .._core.pictures import decimal, picture
from ..modules.module import QuantumModule
from .looks import look_of
from .runners.workload import Spec
from .store import Result, Settings, Task, described, machine

QUBITS, QUICK_QUBITS = (4, 6, 8, 10, 12, 14, 16), (4, 8, 12)


def _counts() -> list[int]:
    """1, 2, 4, ... and all threads that PyTorch uses."""
    most = torch.get_num_threads()
    return sorted({*(1 << power for power in range(most.bit_length()) if 1 << power <= most), most})


def tasks(settings: Settings) -> list[Task]:
    """Every instruction set with all threads, the best one with fewer."""
    sets, counts = _engine.instruction_sets(), _counts()
    settings_of = [(sets[0], count) for count in counts] + [(name, counts[-1]) for name in sets[1:]]
    return [
        Task(f"{name}, {count} @ {qubits}", _measure(name, count, qubits))
        for name, count in settings_of
        for qubits in (QUICK_QUBITS if settings.quick else QUBITS)
    ]


def _measure(name: str, count: int, qubits: int) -> Callable[[Mapping[str, Result]], Result]:
    def run(done: Mapping[str, Result]) -> Result:
        before = torch.get_num_threads()
        _engine.force_instruction_set(name)
        torch.set_num_threads(count)
        try:
            forward, step = _times(Spec(qubits))
        finally:
            _engine.force_instruction_set("")
            torch.set_num_threads(before)
        return {"instruction_set": name, "threads": count, "qubits": qubits, "forward": forward, "step": step}

    return run


def _times(spec: Spec) -> tuple[float, float]:
    """Medians of forward and of a training step, in milliseconds."""
    circuit, x, b, c = spec.qiskit_circuit()
    model = QuantumModule(circuit, x, [b, c], seed_init=0)
    inputs = torch.tensor(spec.data()[0], dtype=torch.float32)

    def forward() -> None:
        with torch.no_grad():
            model(inputs)

    def step() -> None:
        model.zero_grad()
        model(inputs).sum(1).mean().backward()

    return _median(forward), _median(step)


def _median(call: Callable[[], None]) -> float:
    call()
    times: list[float] = []
    end = time.perf_counter() + 0.7
    while len(times) < 5 or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return 1e3 * sorted(times)[len(times) // 2]


def file_name() -> str:
    """The name of this machine's file, so that results of several machines can be in one folder."""
    about = machine()
    text = f"{about['processor']}-{about['cores']}-{about['instruction_set']}-{about['system']}"
    return "fig4-" + "-".join("".join(character if character.isalnum() else " " for character in text.lower()).split())


def report(results: Mapping[str, Any], stem: Path) -> list[Path]:
    """A table and a plot of all machines whose results lie in the folder (copy them there)."""
    machines = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(stem.parent.glob("fig4-*.json"))]
    lines = [
        "# Threads, instruction sets, machines",
        "",
        "Training step of the reference circuit, depth 3, batch 48, float32: milliseconds (forward alone in brackets). "
        "The paper (Fig. 4) varies the machine and parallel against sequential runs.",
        "",
        "![Training step by qubits](fig4.svg)",
    ]
    for of_machine in machines:
        lines += ["", f"## {described(of_machine)}", "", *_table(of_machine["points"])]
    table, picture = stem.parent / "fig4.md", stem.parent / "fig4.svg"
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    _plot(machines, picture)
    return [table, picture]


def _table(points: Mapping[str, Result]) -> list[str]:
    sizes = sorted({point["qubits"] for point in points.values()})
    lines = ["| instruction set, threads | " + " | ".join(f"{n} qubits" for n in sizes) + " |"]
    lines.append("| --- |" + " ---: |" * len(sizes))
    for name in dict.fromkeys(key.split(" @ ")[0] for key in points):
        row = [points.get(f"{name} @ {n}") for n in sizes]
        cells = ["" if point is None else f"{point['step']:.3g} ({point['forward']:.3g})" for point in row]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def _plot(machines: list[dict[str, Any]], path: Path) -> None:
    count = max(1, len(machines))
    with picture(path, count, 1, height=0.6 + 3.2 * count, sharex=True, squeeze=False) as (_, axes):
        for axis, of_machine in zip(axes[:, 0], machines, strict=False):
            points, about = of_machine["points"], of_machine["machine"]
            for name in dict.fromkeys(key.split(" @ ")[0] for key in points):
                curve = sorted((p["qubits"], p["step"]) for key, p in points.items() if key.startswith(f"{name} @"))
                kind, _, threads = name.partition(", ")
                look = {**look_of(kind), "label": f"{name} thread{'s' * (threads != '1')}"}
                if threads == "1":
                    look |= {"linestyle": ":", "markerfacecolor": "none"}
                axis.plot(*zip(*curve, strict=True), **look)
            axis.set(
                yscale="log",
                ylabel="training step, batch 48 (ms)",
                title=f"{about['processor']}, {about['cores']} cores, {about['system']}",
            )
            decimal(axis.yaxis)
            axis.legend()
        axes[-1, 0].set_xlabel("qubits")
