"""The test suite under older versions of Qiskit: `nox`, or one of them as listed by `nox -l`."""

import functools
import os
import tempfile
from pathlib import Path

import nox

nox.options.default_venv_backend = "venv"

# PyTorch as everywhere else; Qiskit and what goes with it as each version wants.
TORCH = next(line for line in Path("constraints.txt").read_text().splitlines() if line.startswith("torch=="))
COMPANIONS = {
    "0.44.3": ["numpy<2", "qiskit-algorithms==0.2.2", "qiskit-machine-learning==0.7.0"],
    "1.0.2": ["numpy<2", "qiskit-algorithms==0.3.0", "qiskit-machine-learning==0.7.1"],
    "1.4.5": ["qiskit-algorithms==0.3.1", "qiskit-machine-learning==0.8.4"],
}

# Where Qiskit's versions differ: what goes in from Qiskit and what comes back to it.
QISKIT_TESTS = [
    f"tests/test_{name}.py"
    for name in (
        "compile",
        "drop_in",
        "estimator",
        "expressions",
        "gates",
        "jacobian",
        "library",
        "module",
        "observables",
        "parameters",
        "persistence",
        "random_circuits",
        "readme",
        "values",
        "version_1",
    )
]


@functools.cache
def wheel_folder() -> Path:
    """Where the wheel lies, or will: a new folder for this run of nox, unless one was built before."""
    return Path(os.environ.get("QTM_WHEELS") or tempfile.mkdtemp(prefix="wheel-"))


def wheel(session: nox.Session) -> Path:
    """The package, built by the first session for all."""
    if not list(wheel_folder().glob("*.whl")):
        session.run("python", "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(wheel_folder()), ".")
    return next(wheel_folder().glob("*.whl"))


@nox.session
@nox.parametrize("qiskit", list(COMPANIONS))
def compatibility(session: nox.Session, qiskit: str) -> None:
    """Installs the package beside one version of Qiskit and runs all tests."""
    session.install(TORCH, f"qiskit=={qiskit}", *COMPANIONS[qiskit], f"{wheel(session)}[test]")
    # Old versions of Qiskit warn of their own futures.
    session.run("pytest", "-W", "default", *(session.posargs or QISKIT_TESTS))
