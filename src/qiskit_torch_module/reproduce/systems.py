"""The systems that are measured, each in a Python of its own."""

from __future__ import annotations

import functools
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
        interpreter: What makes the environment, where the requirements want a certain Python.
        batch: Samples that are measured, where the whole batch would take too long; times are then scaled up, since
            these systems take the samples one by one.
        is_exact: Whether gradients are exact, so that checksums must agree.
        short: At the head of a column.
        why: What it is and why it is among the rivals, for the page about them.
        threads: At most so many; 0: as it chooses.
    """

    label: str
    runner: str
    environment: str = ""
    mode: str = ""
    requirements: str = ""
    interpreter: str = "python"
    batch: int | None = None
    is_exact: bool = True
    short: str = ""
    why: str = ""
    threads: int = 0

    def python(self, environments: Path) -> Path:
        """Its interpreter, which may not exist."""
        folder = "Scripts" if os.name == "nt" else "bin"
        return environments / self.environment / folder / "python" if self.environment else Path(sys.executable)


PROJECT = System("qiskit-torch-module", "project", short="this package")
PROJECT_DOUBLE = System("qiskit-torch-module, float64", "project", mode="f64", short="this package, float64")
PROJECT_SEQUENTIAL = System("qiskit-torch-module, one thread", "project", short="one thread", threads=1)
TENSORCIRCUIT = System(
    "TensorCircuit-NG (JAX)",
    "tensorcircuit_jax",
    "tensorcircuit",
    requirements="tensorcircuit-ng==1.10.0 jax[cpu]",
    short="Tensor\u00adCircuit-NG",
    why="Compiled by JAX for a whole batch, single precision",
)
TENSORFLOW_QUANTUM = System(
    "TensorFlow Quantum",
    "tfq",
    "tfq",
    requirements="tensorflow-quantum==0.7.6",
    short="TensorFlow Quantum",
    why="A native simulator (qsim) with batches and the adjoint method, single precision: nearest in its means",
)
PENNYLANE = System(
    "PennyLane (JAX)",
    "pennylane_jax",
    "pennylane_jax",
    requirements="pennylane==0.45.1 jax[cpu]",
    short="PennyLane, JAX",
    why="What PennyLane's users take for speed on small circuits: `default.qubit`, compiled, backpropagation",
)
LIGHTNING = System(
    "PennyLane Lightning",
    "lightning",
    "pennylane",
    requirements="torch==2.13.0 pennylane==0.45.1 pennylane-lightning==0.45.0",
    batch=4,
    short="PennyLane Lightning",
    why="PennyLane's native simulator with its adjoint method and PyTorch; it takes samples one by one",
)
QULACS = System(
    "Qulacs",
    "qulacs_backprop",
    "qulacs",
    requirements="qulacs==0.6.14 numpy",
    batch=4,
    short="Qulacs",
    why="A native simulator that is known to be fast, with its own backpropagation; samples one by one",
)
_QML_1 = "torch==2.13.0 numpy<2 qiskit==1.0.2 qiskit-algorithms==0.3.0 qiskit-machine-learning==0.7.1"
_QML_2 = "torch==2.13.0 qiskit-machine-learning==0.9.1"
VERSION_1 = System(
    "qiskit-torch-module 1.0",
    "project",
    "predecessor",
    requirements="torch==2.13.0 numpy<2 qiskit==1.0.2 qiskit-algorithms==0.3.0 qiskit-torch-module==1.0.1",
    interpreter="python3.12",  # qiskit-torch-module 1.0.1 refuses older ones
    batch=4,
    short="version 1.0",
    why="The subject of the paper: the reverse gradient, samples spread over processes",
)
QML_REVERSE = System(
    "qiskit-machine-learning, reverse",
    "qml",
    "qml1",
    "reverse",
    _QML_1,
    batch=1,
    short="qiskit-ml, reverse",
    why="The paper's yardstick: the fastest exact gradient that Qiskit brings",
)
QML_SHIFT = System(
    "qiskit-machine-learning, parameter shift",
    "qml",
    "qml",
    "shift",
    _QML_2,
    batch=1,
    short="qiskit-ml, parameter shift",
    why="What `EstimatorQNN` does unless told otherwise",
)
QML_SPSA = System(
    "qiskit-machine-learning, SPSA",
    "qml",
    "qml",
    "spsa",
    _QML_2,
    batch=1,
    is_exact=False,
    short="qiskit-ml, SPSA",
    why="Two circuits for a gradient whatever the number of weights, and no more than an estimate",
)
AER = System(
    "Qiskit Aer, parameter shift",
    "aer_shift",
    "aer",
    requirements="qiskit==2.6.2 qiskit-aer==0.18.2",
    batch=1,
    short="Aer, parameter shift",
    why="Qiskit's native simulator; it has no gradients, so that the parameter-shift rule goes to its estimator",
)
# Other simulators with gradients, by precision; what Qiskit's users have.
SINGLE, DOUBLE = (TENSORCIRCUIT, TENSORFLOW_QUANTUM, PENNYLANE), (LIGHTNING, QULACS)
GRADIENTS = (*SINGLE, *DOUBLE)
QISKIT = (VERSION_1, QML_REVERSE, QML_SHIFT, QML_SPSA, AER)
SYSTEMS = (PROJECT, PROJECT_DOUBLE, *GRADIENTS, *QISKIT)


def labels_of(parts: Sequence[str]) -> tuple[str, ...]:
    """Labels of the systems that a user names: by whole labels, or by parts of them, large letters or small.

    Raises:
        ValueError: a name is of no system.
    """
    found: list[str] = []
    labels = [system.label for system in SYSTEMS]
    for part in parts:
        own = [label for label in labels if label == part] or [
            label for label in labels if part and part.lower() in label.lower()
        ]
        if not own:
            raise ValueError(
                f"--only: expected the name of a system or a part of it, got {part!r}; systems: {'; '.join(labels)}; "
                "for several, give --only several times"
            )
        found += own
    return tuple(found)


def taking_part(systems: Sequence[System], settings: Settings) -> list[System]:
    """Those that were chosen and whose environment exists."""
    return [
        system for system in systems if settings.chooses(system.label) and system.python(settings.environments).exists()
    ]


def measure(system: System, spec: Spec, environments: Path, timeout: float) -> dict[str, Any]:
    """What the runner reports: times of one batch, and checksums; {"error": ...} where it failed."""
    own = spec_of(system, spec)
    command = [str(system.python(environments)), str(RUNNERS / f"{system.runner}.py"), json.dumps(asdict(own))]
    environment = dict(os.environ)
    if system.environment:
        environment.pop("PYTHONPATH", None)  # with this package on it, version 1.0 would not be measured, but this one
    if own.instruction_set:
        environment["QTM_INSTRUCTION_SET"] = own.instruction_set
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False, env=environment)
    except subprocess.TimeoutExpired:
        return {"error": f"not done after {timeout:.0f} s"}
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        return {"error": lines[-1] if lines else f"exit status {done.returncode}"}
    report: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        report["from_cache"] = True  # the first call says nothing of compilation
    return _scaled(report, spec.batch / own.batch)


def spec_of(system: System, spec: Spec) -> Spec:
    """The work as a system gets it: those that are slow get fewer samples and repetitions."""
    own = replace(spec, mode=system.mode or spec.mode, threads=system.threads or spec.threads)
    if system.batch is None:
        return own
    return replace(own, batch=min(system.batch, spec.batch), seconds=spec.seconds / 4, first_counts=True)


def _scaled(report: dict[str, Any], factor: float) -> dict[str, Any]:
    if factor != 1:
        report["scaled_by"] = factor
        for entry in report.values():
            if isinstance(entry, dict) and "times" in entry:
                entry["times"] = [factor * duration for duration in entry["times"]]
    return report


def checked(system: System, spec: Spec, settings: Settings, reference: Mapping[str, Any]) -> dict[str, Any]:
    """What the runner reports, or {"error": ...} where it failed or disagrees with a report of the same work."""
    limited = replace(spec, least_seconds=min(spec.least_seconds, settings.seconds), seconds=settings.longest)
    own = replace(limited, least_seconds=0.1) if settings.quick else limited
    report = measure(system, own, settings.environments, settings.timeout)
    if "scaled_by" in report:  # of fewer samples, which this package computes once more
        few = replace(spec_of(system, own), mode="", threads=0, repetitions=1, least_seconds=0.0, seconds=0.0)
        reference = _computed(few)
    difference = disagreement(report, reference, system.is_exact)
    return report if difference is None else {"error": difference}


@functools.lru_cache
def _computed(spec: Spec) -> dict[str, Any]:
    """What this package finds."""
    return measure(PROJECT, spec, Path(), 300.0)


def disagreement(report: Mapping[str, Any], reference: Mapping[str, Any], is_exact: bool) -> str | None:
    """What two runners that did the same work disagree about, beyond single precision; None: nothing."""
    for name in ("forward", "step"):
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


def backward(point: Mapping[str, Any], share: float = 0.5) -> float:
    """A step less a forward pass, in milliseconds; where they are nearly equal, a tenth of the step."""
    step = quantile(point, "step", share)
    return max(0.1 * step, step - median(point, "forward"))
