"""Fig. 4: the same work on any machine, with threads and instruction set varied; several machines in one report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from .. import _engine
from .._core.pictures import decimal, picture
from .figures import reference
from .looks import look_of
from .paper import FIG_4_MOST
from .report import by_system
from .store import Result, Settings, Task, described, factor, machine, plain
from .systems import PROJECT, PROJECT_SEQUENTIAL, QML_REVERSE, median
from .timing import Point, timed

QUBITS, QUICK_QUBITS = (4, 6, 8, 10, 12, 14, 16), (4, 8, 12)


def _counts() -> list[int]:
    """1, 2, 4, ... and all threads that PyTorch uses."""
    most = torch.get_num_threads()
    return sorted({*(1 << power for power in range(most.bit_length()) if 1 << power <= most), most})


def _name(instruction_set: str, count: int) -> str:
    return f"{instruction_set}, {count} thread{'s' * (count != 1)}"


def tasks(settings: Settings) -> list[Task]:
    """Every instruction set with all threads, the best one with fewer."""
    sets, counts = _engine.instruction_sets(), _counts()
    chosen = [(sets[0], count) for count in counts] + [(name, counts[-1]) for name in sets[1:]]
    return [
        timed(_point(instruction_set, count, qubits), None, f"{_name(sets[0], counts[-1])} @ {qubits}", settings)
        for qubits in (QUICK_QUBITS if settings.quick else QUBITS)
        for instruction_set, count in chosen
    ]


def _point(instruction_set: str, count: int, qubits: int) -> Point:
    """What is taken when nothing is said stands in Fig. 1, and is not measured again."""
    sets, counts = _engine.instruction_sets(), _counts()
    spec = reference(qubits)
    if instruction_set != sets[0]:
        spec = replace(spec, instruction_set=instruction_set)
    if count not in (1, counts[-1]):
        spec = replace(spec, threads=count)
    system = PROJECT_SEQUENTIAL if count == 1 < counts[-1] else PROJECT
    return Point(system, spec, qubits, f"{_name(instruction_set, count)} @ {qubits}")


def file_name() -> str:
    """The name of this machine's file, so that results of several machines can be in one folder."""
    about = machine()
    text = f"{about['processor']}-{about['cores']}-{about['instruction_set']}-{about['system']}"
    return "fig4-" + "-".join("".join(character if character.isalnum() else " " for character in text.lower()).split())


def _machines(folder: Path) -> list[dict[str, Any]]:
    """Results of all machines that lie in a folder (copy them there)."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("fig4-*.json"))]


def text(results: Mapping[str, Any], stem: Path) -> str:
    """A table of each machine whose results lie in the folder."""
    lines = [
        "# Threads, instruction sets, machines",
        "",
        "A training step of the reference circuit, depth 3, batch 48, single precision, medians. In brackets, where "
        "Fig. 1 has it on the same machine: how many times as fast as the reverse gradient of "
        f"qiskit-machine-learning. The paper's Fig. 4 shows that factor for version 1.0, up to about {FIG_4_MOST} on "
        "Linux, with a batch of 4 times the cores. The default setting, the best instruction set on all threads, is "
        "the measurement of Fig. 1.",
        "",
        "![Training step by qubits](fig4.svg)",
    ]
    for of_machine in _machines(stem.parent):
        slow = _yardstick(of_machine, stem.parent / "fig1.json")
        lines += ["", f"## {described(of_machine)}", "", *_table(of_machine["points"], slow)]
    return "\n".join(lines) + "\n"


def _yardstick(of_machine: Mapping[str, Any], fig1: Path) -> dict[int, float]:
    """Milliseconds of the reverse gradient by qubits, from Fig. 1 of the same machine."""
    if not fig1.exists():
        return {}
    results = json.loads(fig1.read_text(encoding="utf-8"))
    if any(
        results["machine"][name] != of_machine["machine"][name] for name in ("processor", "cores", "instruction_set")
    ):
        return {}
    slow = by_system(results).get(QML_REVERSE.label, {})
    return {value: median(point, "step") for value, point in slow.items()}


def _names(points: Mapping[str, Result]) -> list[str]:
    return list(dict.fromkeys(key.split(" @ ")[0] for key, point in points.items() if "step" in point))


def _table(points: Mapping[str, Result], slow: Mapping[int, float]) -> list[str]:
    names = _names(points)
    if not names:
        return ["Not measured yet."]
    sizes = sorted({point["value"] for point in points.values()})
    lines = ["| qubits | " + " | ".join(f"{name}, ms" for name in names) + " |", "| ---: |" + " ---: |" * len(names)]
    for n in sizes:
        cells = []
        for name in names:
            point = points.get(f"{name} @ {n}", {})
            step = median(point, "step") if "step" in point else None
            cells.append("–" if step is None else plain(step) + (f" ({factor(slow[n] / step)})" if n in slow else ""))
        lines.append(f"| {n} | " + " | ".join(cells) + " |")
    return lines


def draw(results: Mapping[str, Any], path: Path) -> None:
    """A panel for each machine whose results lie in the folder."""
    machines = _machines(path.parent)
    count = max(1, len(machines))
    with picture(path, count, 1, height=0.6 + 3.2 * count, sharex=True, squeeze=False) as (_, axes):
        for axis, of_machine in zip(axes[:, 0], machines, strict=False):
            points, about = of_machine["points"], of_machine["machine"]
            for name in _names(points):
                found = [
                    (point["value"], median(point, "step"))
                    for key, point in points.items()
                    if key.startswith(f"{name} @")
                ]
                look = {**look_of(name.partition(", ")[0]), "label": name}
                if name.endswith(" 1 thread"):
                    look |= {"linestyle": ":", "markerfacecolor": "none"}
                axis.plot(*zip(*sorted(found), strict=True), **look)
            axis.set(
                yscale="log",
                ylabel="training step, batch 48 (ms)",
                title=f"{about['processor']}, {about['cores']} cores, {about['system']}",
            )
            decimal(axis.yaxis)
            if points:
                axis.legend()
        axes[-1, 0].set_xlabel("qubits")
