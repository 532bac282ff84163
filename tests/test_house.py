"""The folders of the package are floors: imports run down, never back up."""

import ast
import importlib
import inspect
import re
from pathlib import Path

import pytest

import qiskit_torch_module

SOURCE = Path(qiskit_torch_module.__file__).parent
FLOORS = [
    "_core",
    "_reading",
    "_program",
    "outputs",
    "_storage",
    "_cuda",
    "_simulation",
    "methods",
    "_differentiation",
    "primitives",
    "modules",
    "geometry",
    "optim",
    "analysis",
    "kernels",
    "applications",
    "sklearn",
    "reproduce",
    "cli",
]
GROUND = {"_engine", "_version"}  # imported from everywhere
# Rooms that users import by name stand at the top, on the floor of a folder.
PUBLIC = {
    "initializers": "modules",
    "circuits": "applications",
    "plots": "applications",
}
ROOMS = sorted(path for path in SOURCE.rglob("*.py") if "runners" not in path.parts)


def floor(parts):
    """What else is at the top of the package are doors: above all folders."""
    if parts[0] in GROUND:
        return -1
    folder = PUBLIC.get(parts[0], parts[0])
    return FLOORS.index(folder) if folder in FLOORS else len(FLOORS)


def imported(path):
    """What a room imports of the package, at its top or in its functions, as parts of names."""
    package = path.relative_to(SOURCE).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - (node.level - 1)] + tuple(
                (node.module or "").split(".") if node.module else ()
            )
            yield from [base] if base else [(name.name,) for name in node.names]


@pytest.mark.parametrize("path", ROOMS, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_imports_run_down(path):
    here = floor(path.relative_to(SOURCE).with_suffix("").parts)
    for parts in imported(path):
        assert floor(parts) <= here, f"{path.name} stands on a floor below {'.'.join(parts)}, which it imports"


def test_no_folder_is_forgotten():
    folders = {path.parent.name for path in SOURCE.glob("*/__init__.py")}
    assert folders == set(FLOORS)


# What is done in one place only: the call, and the rooms that may have it.
ONE_PLACE = {
    r"\bplain_gate\(": {"_reading/gates.py", "_reading/walk.py"},
    r"\breading\(": {"_reading/operations.py", "_reading/walk.py"},
    # Whoever asks for what a circuit holds, and not for what it does: which variables its loops have, whether it holds
    # an operation at all, how often, which bits its last measurements write; and who copies it, or looks at what Qiskit
    # has made of it.
    r"\bfor \w+ in [\w.()]*\.data\b": {
        "_reading/controls.py",
        "_reading/definitions.py",
        "_reading/measurements.py",
        "_reading/parameters.py",
        "_reading/walk.py",
        "_storage/operations.py",
        "methods/device.py",
        "modules/explain.py",
    },
    r"\blayers_of\(": {"_program/layers.py", "_program/evolution.py"},
    r"\bElimination\(": {"_program/gf2.py"},
    r"bit_count\(\) (& 1|% 2)": {"_program/gf2.py"},
    r"\bRates\(": {"_simulation/costs.py"},
    # PyTorch's private names; the second room knows what stands in pickles.
    r"torch\._(?!_)|_dynamo|[fF]unctorch|super\(torch\.": {"_core/torch_internals.py", "_storage/old_files.py"},
}


@pytest.mark.parametrize("call", ONE_PLACE)
def test_one_thing_is_done_in_one_place(call):
    rooms = {path.relative_to(SOURCE).as_posix() for path in ROOMS if re.search(call, path.read_text(encoding="utf-8"))}
    assert rooms == ONE_PLACE[call]


def test_few_names_at_the_top():
    names = [name for name in qiskit_torch_module.__all__ if not inspect.ismodule(getattr(qiskit_torch_module, name))]
    assert len(names) <= 15


OLD_PATHS = {
    "estimator": ["FastEstimator"],
    "explain": ["Explanation", "explain"],
    "gradient": ["EstimatorGradientResult", "FastReverseEstimatorGradient"],
    "hybrid": ["HybridModule"],
    "module": ["QuantumModule"],
    "persistence": ["load", "save"],
    "quantum_neural_network": ["QNN"],
}


@pytest.mark.parametrize("path", OLD_PATHS)
def test_doors_of_versions_before_stay_open(path):
    room = importlib.import_module(f"qiskit_torch_module.{path}")
    for name in OLD_PATHS[path]:
        assert getattr(room, name).__name__ == name
        assert getattr(qiskit_torch_module, name, getattr(room, name)) is getattr(room, name)


def test_explain_is_a_function_whatever_was_imported():
    importlib.import_module("qiskit_torch_module.explain")
    assert callable(qiskit_torch_module.explain)


def test_what_the_package_lists_is_what_users_import():
    listed = {name for name in dir(qiskit_torch_module) if not name.startswith("_")}
    assert set(qiskit_torch_module.__all__) - {"__version__"} <= listed
    assert not listed & {"Any", "importlib", "modules"}
