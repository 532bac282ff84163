"""What is measured for every figure and table, with checks that all systems agree; kept point by point."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from systems import PROJECT, SYSTEMS, System, disagreement, measure
from workload import Spec


@dataclass(frozen=True)
class Figure:
    """A sweep over one size of the work.

    Attributes:
        title: What it shows.
        axis: The attribute of `Spec` that is swept.
        points, quick_points: Its values.
        spec: Everything else, for a value.
        systems: Who takes part.
        measures: What is reported: "forward" and "step", or "jacobian".
    """

    title: str
    axis: str
    points: tuple[int, ...]
    quick_points: tuple[int, ...]
    spec: Callable[[int], Spec]
    systems: tuple[System, ...]
    measures: tuple[str, ...] = ("forward", "step")


def _by_qubits(qubits: int) -> Spec:
    return Spec(qubits, batch=48 if qubits <= 16 else 4 if qubits <= 18 else 1)


FIGURES = {
    "fig1": Figure(
        "Run time by qubits (depth 3; batch 48, from 18 qubits on 4, at 20 qubits 1)",
        "qubits",
        (4, 6, 8, 10, 12, 14, 16, 18, 20),
        (4, 8, 10),
        _by_qubits,
        SYSTEMS,
    ),
    "fig2": Figure(
        "Run time by depth (10 qubits, batch 48)",
        "depth",
        (1, 2, 4, 6, 8, 10, 15, 20),
        (1, 4),
        lambda depth: Spec(10, depth),
        SYSTEMS,
    ),
    "tab1": Figure(
        "Gradients of several observables (12 qubits, depth 3, one sample)",
        "observables",
        (1, 2, 4, 8, 16, 32),
        (1, 4),
        lambda count: Spec(12, batch=1, observables=count, mode="jacobian"),
        (replace(PROJECT, mode="jacobian"), replace(SYSTEMS[5], mode="jacobian")),
        ("jacobian",),
    ),
}


def machine() -> dict[str, Any]:
    """What ran the benchmarks."""
    import torch

    from qiskit_torch_module import __version__, _engine

    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "version": __version__,
        "instruction_set": _engine.instruction_set(),
    }


def collect(
    name: str, folder: Path, environments: Path, *, quick: bool, limit: float, timeout: float, labels: tuple[str, ...]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Measures a figure; yields every new point and writes it at once, so that an interrupted run goes on.

    Args:
        name: Key of `FIGURES`.
        folder: Where results are kept.
        environments: Folder of the rivals' virtual environments.
        quick: Few points.
        limit: A system whose step took longer (s) is not asked for more.
        timeout: Longest run of a system at one point (s), compilation included.
        labels: Parts of the labels of those who take part; none: all.
    """
    figure, path = FIGURES[name], folder / f"{name}.json"
    results = json.loads(path.read_text()) if path.exists() else {"machine": machine(), "points": {}}
    done = results["points"]
    for system in figure.systems:
        if labels and not any(label in system.label for label in labels):
            continue
        for value in figure.quick_points if quick else figure.points:
            key = f"{system.label} @ {value}"
            if key not in done:
                report = measure(system, figure.spec(value), environments, timeout)
                reference = done.get(f"{PROJECT.label} @ {value}", {})
                difference = disagreement(report, reference, system.is_exact)
                if difference is not None:
                    report = {"error": difference}
                done[key] = {"system": system.label, "value": value, "batch": figure.spec(value).batch, **report}
                results["date"] = datetime.now(timezone.utc).strftime("%Y-%m-%d")
                _write(path, results)
                yield key, done[key]
            if "error" in done[key] or median(done[key], figure.measures[-1]) > 1e3 * limit:
                break


def _write(path: Path, results: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(results, indent=1))
    partial.replace(path)


def quantile(point: dict[str, Any], measure_: str, share: float) -> float:
    """Of the times of a batch, in milliseconds."""
    times = sorted(point[measure_]["times"])
    return float(times[min(len(times) - 1, int(share * len(times)))])


def median(point: dict[str, Any], measure_: str) -> float:
    """Of the times of a batch, in milliseconds."""
    return quantile(point, measure_, 0.5)


def spec_of(name: str, value: int) -> dict[str, Any]:
    """For the record."""
    return asdict(FIGURES[name].spec(value))
