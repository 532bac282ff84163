"""The test suite under other versions of Qiskit: `nox`, or one of the sessions listed by `nox -l`.

In CI, one release of every minor line that changed expressions, primitives or QPY runs the tests that touch Qiskit;
three of them run beside the qiskit-machine-learning and qiskit-algorithms of their time. `nox -s nightly` runs all
minor lines with all that takes long.
"""

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import nox

nox.options.default_venv_backend = "venv"
nox.options.sessions = ["compatibility", "lines"]

# PyTorch as everywhere else; Qiskit and what goes with it as each version wants.
TORCH = next(line for line in Path("constraints.txt").read_text().splitlines() if line.startswith("torch=="))
COMPANIONS = {
    "0.44.3": ["numpy<2", "qiskit-algorithms==0.2.2", "qiskit-machine-learning==0.7.0"],
    "1.0.2": ["numpy<2", "qiskit-algorithms==0.3.0", "qiskit-machine-learning==0.7.1"],
    "1.4.5": ["qiskit-algorithms==0.3.1", "qiskit-machine-learning==0.8.4"],
}
# Of other lines: those of the neighbour that they work with; the newest from Qiskit 2.0 on.
COMPANIONS_OF = {"0.45.3": "0.44.3", "0.46.3": "0.44.3", "1.1.2": "1.0.2", "1.2.4": "1.4.5", "1.3.3": "1.4.5"}

# What each line changed is why it is here.
LINES = {
    "0.44.3": "expressions of symengine; V1 primitives alone",
    "1.0.2": "V2 primitives, with data classes made for each shape",
    "1.1.2": "one data class for all results; QPY 12",
    "1.3.3": "SparseObservable; product formulas that can be read; QPY 13",
    "1.4.5": "the last with V1 primitives; reads QPY safely",
    "2.0.3": "expressions of its own, recorded for replay; no V1 primitives",
    "2.1.2": "another engine for expressions, without a replay",
    "2.2.3": "a replay with operands the other way round; exact Pauli exponentials; QPY 16",
    "2.3.0": "the same, before its mending",
    "2.3.1": "operands mended; what cancels has no replay",
    "2.4.2": "QPY 17",
}
OTHERS = ["0.45.3", "0.46.3", "1.2.4", "2.5.1"]  # as the line before them

# Where Qiskit's versions differ: what goes in from Qiskit and what comes back to it.
QISKIT_TESTS = [
    f"tests/test_{name}.py"
    for name in (
        "compile",
        "digits",
        "drop_in",
        "drop_in_sampler",
        "estimator",
        "exponentials",
        "expressions",
        "from_qnn",
        "gates",
        "golden",
        "jacobian",
        "library",
        "measurements",
        "mitigation",
        "module",
        "observables",
        "one_against_one",
        "operations",
        "parameters",
        "persistence",
        "polynomial",
        "primitive",
        "qgt",
        "random_circuits",
        "reading",
        "readme",
        "sample",
        "sampler",
        "sampler_gradient",
        "states",  # global phases, as each version's definitions have them
        "values",
        "version_1",
        "walk",
    )
]
# The shortest of them that see expressions, primitives and files.
LINE_TESTS = [
    f"tests/test_{name}.py"
    for name in ("compile", "digits", "estimator", "expressions", "golden", "parameters", "persistence", "reading")
]


# Python does not free all that it has, and is itself built without an eye on threads.
SANITIZERS = {
    "memory": {
        "flags": "address;undefined",
        "preload": ["libasan.so", "libstdc++.so"],
        "environment": {"ASAN_OPTIONS": "detect_leaks=0"},
        "tests": ["tests/test_engine.py", "tests/test_dense.py", "tests/test_unjoined.py"],
    },
    "threads": {
        "flags": "thread",
        "preload": ["libtsan.so"],
        "environment": {"TSAN_OPTIONS": "ignore_noninstrumented_modules=1 exitcode=66"},
        "tests": ["tests/test_threads.py", "tests/test_unjoined.py", "-k", "sums or shared or share_the_halves"],
    },
}


def wheel(session: nox.Session) -> Path:
    """The package, built by the first session for all."""
    folder = Path(os.environ.setdefault("QTM_WHEELS", tempfile.mkdtemp(prefix="wheel-")))
    if not list(folder.glob("*.whl")):
        session.run("python", "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), ".")
    return next(folder.glob("*.whl"))


def requirements(qiskit: str) -> list[str]:
    """A version of Qiskit, and what it needs that is not there."""
    if qiskit < "1.1":
        return [f"qiskit=={qiskit}", "numpy<2"]
    symbols = ["symengine>=0.11,<0.14"] if qiskit < "2.1" else []
    return ["--no-deps", f"qiskit=={qiskit}", *symbols]


def under(
    session: nox.Session, qiskit: str, tests: list[str], companions: Sequence[str] = (), **environment: str
) -> None:
    """Runs tests with another Qiskit, which lies in front of the one that is installed: PyTorch is installed once."""
    folder = Path(session.create_tmp()).resolve() / qiskit
    if not folder.exists():
        session.run("python", "-m", "pip", "install", "--quiet", "--target", str(folder), *requirements(qiskit))
        packages = [one for one in companions if not one.startswith("numpy")]  # which came with Qiskit
        if packages:
            packages += ["fastdtw", "sparse"]  # which the newest do without
            session.run("python", "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), *packages)
    # Old versions of Qiskit warn of their own futures.
    session.run("pytest", "-q", "-W", "default", *tests, env={"PYTHONPATH": str(folder), **environment})


@nox.session
@nox.parametrize("qiskit", list(COMPANIONS))
def compatibility(session: nox.Session, qiskit: str) -> None:
    """All tests that touch Qiskit, beside the packages of the time."""
    session.install(TORCH, f"qiskit=={qiskit}", *COMPANIONS[qiskit], f"{wheel(session)}[test]")
    session.run("pytest", "-W", "default", *(session.posargs or QISKIT_TESTS))


@nox.session
def lines(session: nox.Session) -> None:
    """What sees expressions, primitives and files, on every line that changed one of them."""
    session.install(TORCH, f"{wheel(session)}[test]")
    for qiskit in LINES:
        if qiskit not in COMPANIONS:  # with more tests in a session of their own
            session.log(f"Qiskit {qiskit}: {LINES[qiskit]}")
            under(session, qiskit, session.posargs or LINE_TESTS)


@nox.session
@nox.parametrize("watched", list(SANITIZERS))
def sanitizers(session: nox.Session, watched: str) -> None:
    """The engine's tests in a build that watches memory and undefined behaviour, or one that watches threads."""
    session.install(TORCH, f"{wheel(session)}[test]", "cmake", "ninja", "nanobind>=2.4")
    session.run("python", "-m", "pip", "uninstall", "--quiet", "--yes", "qiskit-torch-module")
    nanobind = session.run("python", "-m", "nanobind", "--cmake_dir", silent=True).strip()
    python = session.run("python", "-c", "import sys; print(sys.executable)", silent=True).strip()
    settings, build = SANITIZERS[watched], Path(session.create_tmp()).resolve() / "build"
    package = build / "src" / "qiskit_torch_module"
    shutil.copytree("src/qiskit_torch_module", package, ignore=shutil.ignore_patterns("_engine*"))
    flags = [f"-DQTM_SANITIZE={settings['flags']}", f"-Dnanobind_DIR={nanobind}", f"-DPython_EXECUTABLE={python}"]
    session.run("cmake", "-S", ".", "-B", str(build), "-G", "Ninja", *flags, silent=True)
    session.run("ninja", "-C", str(build), "_engine", silent=True)
    for module in build.glob("_engine*.so"):
        shutil.copy(module, package)
    libraries = [
        session.run("gcc", f"-print-file-name={one}", silent=True, external=True).strip() for one in settings["preload"]
    ]
    environment = {"PYTHONPATH": str(build / "src"), "LD_PRELOAD": " ".join(libraries), **settings["environment"]}
    session.run("pytest", "-q", "-p", "no:cacheprovider", *settings["tests"], env=environment)


@nox.session
def mutants(session: nox.Session) -> None:
    """Whether tests notice when limits in validators and the planner move: other ones every day, in a quarter hour."""
    session.install(TORCH, f"{wheel(session)}[test]", "cmake", "ninja", "nanobind>=2.4")
    session.run("python", "tests/mutants.py", *session.posargs)


@nox.session
def nightly(session: nox.Session) -> None:
    """All tests in their long form on the newest Qiskit; on every minor line, all that touch Qiskit.

    There, random expressions come in their long form too: the rest is long where it does not depend on the line.
    """
    session.install("-c", "constraints.txt", f"{wheel(session)}[dev]")
    long = {"QTM_NIGHTLY": "1", "HYPOTHESIS_PROFILE": "nightly"}
    session.run("pytest", env=long)
    for qiskit in [*LINES, *OTHERS]:
        companions = COMPANIONS.get(COMPANIONS_OF.get(qiskit, qiskit), [])
        under(session, qiskit, [*QISKIT_TESTS, "tests/test_primitive_gates.py"], companions)
        under(session, qiskit, ["tests/test_reading.py", "tests/test_persistence.py"], **long)
