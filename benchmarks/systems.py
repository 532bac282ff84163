"""The systems that are measured, each in a Python of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from workload import Spec

HERE = Path(__file__).parent


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
        """Its interpreter, which may not be there."""
        folder = "Scripts" if os.name == "nt" else "bin"
        return environments / self.environment / folder / "python" if self.environment else Path(sys.executable)


PROJECT = System("qiskit-torch-module", "project")
_QML_1 = "torch numpy<2 qiskit==1.4.5 qiskit-algorithms==0.3.1 qiskit-machine-learning==0.8.4"
_QML_2 = "torch qiskit==2.6.2 qiskit-machine-learning==0.9.1"
SYSTEMS = (
    PROJECT,
    System("qiskit-torch-module, float64", "project", mode="f64"),
    System(
        "TensorCircuit-NG (JAX)", "tensorcircuit_jax", "tensorcircuit", requirements="tensorcircuit-ng==1.10.0 jax[cpu]"
    ),
    System("TensorFlow Quantum", "tfq", "tfq", requirements="tensorflow-quantum==0.7.6"),
    System("PennyLane (JAX)", "pennylane_jax", "pennylane_jax", requirements="pennylane==0.45.1 jax[cpu]"),
    System("qiskit-machine-learning, reverse", "qml", "qml1", "reverse", _QML_1, batch=1),
    System("qiskit-machine-learning, parameter shift", "qml", "qml", "shift", _QML_2, batch=1),
    System("qiskit-machine-learning, SPSA", "qml", "qml", "spsa", _QML_2, batch=1, is_exact=False),
)


def measure(system: System, spec: Spec, environments: Path, timeout: float) -> dict[str, Any]:
    """What the runner reports: times of one batch, and checksums; {"error": ...} where there is nothing to report."""
    batch = spec.batch if system.batch is None else min(system.batch, spec.batch)
    own = replace(spec, mode=system.mode or spec.mode, batch=batch)
    python = system.python(environments)
    if not python.exists():
        return {"error": "no environment"}
    command = [str(python), str(HERE / "runners" / f"{system.runner}.py"), json.dumps(asdict(own))]
    environment = {**os.environ, "PYTHONPATH": str(HERE)}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=environment, check=False)
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
        for found in report.values():
            if isinstance(found, dict) and "times" in found:
                found["times"] = [factor * one for one in found["times"]]
    return report


def disagreement(report: dict[str, Any], reference: dict[str, Any], is_exact: bool) -> str | None:
    """What two runners that did the same work disagree about, beyond single precision; None: nothing."""
    if "scaled_by" in report:
        return None  # another batch; runners that are scaled are checked by the tests of this package
    for name in ("forward", "step", "jacobian"):
        ours, theirs = reference.get(f"{name}_check"), report.get(f"{name}_check")
        if ours is None or theirs is None or (name == "step" and not is_exact):
            continue
        scale = 1 + max(abs(one) for one in ours)
        worst = max(abs(one - other) for one, other in zip(ours, theirs, strict=True))
        if worst > 2e-3 * scale:
            return f"{name}: checksums differ by {worst:.3g} where they are {scale:.3g}"
    return None
