"""The systems that are measured, each in a Python of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from .runners.workload import Spec
from .store import Settings

RUNNERS = Path(__file__).parent / "runners"


@dataclass(frozen=True)
class System:
    """One simulator in one mode.

    Attributes:
        label: In tables and plots.
        runner: File in ``runners/``.
        environment: Folder of its virtual environment; "": the Python that runs the benchmarks.
        mode: See the runner.
        requirements: What the environment needs.
        batch: Samples that are measured, where the whole batch would take too long; times are then scaled up, since
            these systems take the samples one by one.
        is_exact: Whether gradients are exact, so that checksums must agree.
    """

    label: str
    runner: str
    environment: str = ""
    mode: str = ""
    requirements: str = ""
    batch: int | None = None
    is_exact: bool = True

    def python(self, environments: Path) -> Path:
        """Its interpreter, which may not exist."""
        folder = "Scripts" if os.name == "nt" else "bin"
        return environments / self.environment / folder / "python" if self.environment else Path(sys.executable)


PROJECT = System("qiskit-torch-module", "project")
PROJECT_DOUBLE = System("qiskit-torch-module, float64", "project", mode="f64")
TENSORCIRCUIT = System(
    "TensorCircuit-NG (JAX)", "tensorcircuit_jax", "tensorcircuit", requirements="tensorcircuit-ng==1.10.0 jax[cpu]"
)
TENSORFLOW_QUANTUM = System("TensorFlow Quantum", "tfq", "tfq", requirements="tensorflow-quantum==0.7.6")
PENNYLANE = System("PennyLane (JAX)", "pennylane_jax", "pennylane_jax", requirements="pennylane==0.45.1 jax[cpu]")
_QML_1 = "torch==2.13.0 numpy<2 qiskit==1.0.2 qiskit-algorithms==0.3.0 qiskit-machine-learning==0.7.1"
_QML_2 = "torch==2.13.0 qiskit-machine-learning==0.9.1"
VERSION_1 = System(
    "qiskit-torch-module 1.0",
    "project",
    "predecessor",
    requirements="torch==2.13.0 numpy<2 qiskit==1.0.2 qiskit-algorithms==0.3.0 qiskit-torch-module==1.0.1",
)
QML_REVERSE = System("qiskit-machine-learning, reverse", "qml", "qml1", "reverse", _QML_1, batch=1)
QML_SHIFT = System("qiskit-machine-learning, parameter shift", "qml", "qml", "shift", _QML_2, batch=1)
QML_SPSA = System("qiskit-machine-learning, SPSA", "qml", "qml", "spsa", _QML_2, batch=1, is_exact=False)
SYSTEMS = (
    PROJECT,
    PROJECT_DOUBLE,
    TENSORCIRCUIT,
    TENSORFLOW_QUANTUM,
    PENNYLANE,
    VERSION_1,
    QML_REVERSE,
    QML_SHIFT,
    QML_SPSA,
)


def taking_part(systems: Sequence[System], settings: Settings) -> list[System]:
    """Those that were chosen and whose environment exists."""
    return [
        system for system in systems if settings.chooses(system.label) and system.python(settings.environments).exists()
    ]


def measure(system: System, spec: Spec, environments: Path, timeout: float) -> dict[str, Any]:
    """What the runner reports: times of one batch, and checksums; {"error": ...} where it failed."""
    batch = spec.batch if system.batch is None else min(system.batch, spec.batch)
    seconds = spec.seconds if system.batch is None else spec.seconds / 4  # these are slow: fewer repetitions
    own = replace(spec, mode=system.mode or spec.mode, batch=batch, seconds=seconds)
    command = [str(system.python(environments)), str(RUNNERS / f"{system.runner}.py"), json.dumps(asdict(own))]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        return {"error": f"not done after {timeout:.0f} s"}
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        return {"error": lines[-1] if lines else f"exit status {done.returncode}"}
    report: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return _scaled(report, spec.batch / batch)


def _scaled(report: dict[str, Any], factor: float) -> dict[str, Any]:
    if factor != 1:
        report["scaled_by"] = factor
        for entry in report.values():
            if isinstance(entry, dict) and "times" in entry:
                entry["times"] = [factor * duration for duration in entry["times"]]
    return report


def checked(system: System, spec: Spec, settings: Settings, reference: Mapping[str, Any]) -> dict[str, Any]:
    """What the runner reports, or {"error": ...} where it failed or disagrees with a report of the same work."""
    own = replace(spec, least_seconds=0.1) if settings.quick else spec
    report = measure(system, own, settings.environments, settings.timeout)
    difference = disagreement(report, reference, system.is_exact)
    return report if difference is None else {"error": difference}


def disagreement(report: Mapping[str, Any], reference: Mapping[str, Any], is_exact: bool) -> str | None:
    """What two runners that did the same work disagree about, beyond single precision; None: nothing."""
    if "scaled_by" in report:
        return None  # another batch; runners that are scaled are checked by the tests of this package
    for name in ("forward", "step", "jacobian"):
        ours, theirs = reference.get(f"{name}_check"), report.get(f"{name}_check")
        if ours is None or theirs is None or (name == "step" and not is_exact):
            continue
        scale = 1 + max(abs(checksum) for checksum in ours)
        worst = max(abs(expected - received) for expected, received in zip(ours, theirs, strict=True))
        if worst > 2e-3 * scale:
            return f"{name}: checksums differ by {worst:.3g} where they are {scale:.3g}"
    return None


def quantile(point: Mapping[str, Any], name: str, share: float) -> float:
    """Of the times of a batch, in milliseconds."""
    times = sorted(point[name]["times"])
    return float(times[min(len(times) - 1, int(share * len(times)))])


def median(point: Mapping[str, Any], name: str) -> float:
    """Of the times of a batch, in milliseconds."""
    return quantile(point, name, 0.5)
