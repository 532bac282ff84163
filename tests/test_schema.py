"""What crosses to the engine has one schema: a name changed on one side does not build, or is refused."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pytest

from circuits_zoo import reuploading
from conftest import NIGHTLY
from qiskit_torch_module import QuantumModule, _engine
from qiskit_torch_module._core import schema
from qiskit_torch_module._program.arrays import AngleTable
from qiskit_torch_module._program.dense import step_arrays
from qiskit_torch_module._program.layers import layers_of
from qiskit_torch_module._program.passes import Passes
from qiskit_torch_module._simulation.engines import arrays_of

ROOT = Path(__file__).parent.parent
ENGINE = ROOT / "src" / "engine"
SCHEMA = Path(schema.__file__)
COMPILER = next((name for name in ("c++", "g++", "clang++") if shutil.which(name)), None)
IN_REPOSITORY = pytest.mark.skipif(not ENGINE.is_dir(), reason="needs the sources of the engine")
COMPILES = pytest.mark.skipif(COMPILER is None, reason="needs a C++ compiler")

ARRAYS, STEPS, SWITCHES = (
    list(get_type_hints(one)) for one in (schema.ProgramArrays, schema.StepArrays, schema.Switches)
)
NAMES = [name for name in ARRAYS if name not in SWITCHES]


@pytest.fixture(scope="module")
def program():
    case = reuploading(3, 2)
    return QuantumModule(case.circuit, case.encoding, case.variational)._program


@pytest.fixture(scope="module")
def arrays(program):
    layers, _ = layers_of(program.evolution.rotations, Passes())
    return arrays_of(layers, Passes(), program.output)


def engine(arrays, **options):
    return _engine.Engine(3, 100, 100, arrays, **options)


def scalar(kind):
    """Of an array of NumPy, as annotated."""
    return kind.__args__[1].__args__[0]


def test_what_the_compiler_hands_over_is_what_the_schema_says(program, arrays):
    engine(arrays)
    steps = step_arrays(program.evolution.steps, AngleTable())
    for found, kinds in ((arrays, schema.ProgramArrays), (steps, schema.StepArrays)):
        hints = get_type_hints(kinds)
        assert set(found) == set(hints)
        for name, value in found.items():
            if hints[name] in (bool, float):
                assert type(value) is hints[name], name
            else:
                assert value.dtype == scalar(hints[name]), name


@pytest.mark.parametrize("name", ARRAYS)
def test_the_engine_refuses_what_the_schema_lacks(name, arrays):
    without = {key: value for key, value in arrays.items() if key != name}
    with pytest.raises(ValueError, match=f"no {name}"):
        engine(without)
    with pytest.raises(ValueError, match=f"no {name}"):
        engine({**without, name + "_": arrays[name]})
    with pytest.raises(ValueError, match="entries that the schema lacks"):
        engine({**arrays, name + "_": arrays[name]})
    if name not in SWITCHES:
        with pytest.raises((TypeError, RuntimeError)):
            engine({**arrays, name: arrays[name].astype(np.complex128)})


def header(folder, text):
    copy = folder / "schema.py"
    copy.write_text(text)
    subprocess.run([sys.executable, ENGINE / "make_schema.py", copy, folder / "schema.hpp"], check=True)


def compiles(folder, source):
    done = subprocess.run(
        [COMPILER, "-std=c++20", "-fsyntax-only", f"-I{folder}", ENGINE / source], capture_output=True, text=True
    )
    return done.returncode == 0


@IN_REPOSITORY
@COMPILES
@pytest.mark.parametrize("source", ["checks.cpp", "steps.cpp"])
def test_the_engine_compiles_with_the_schema(source, tmp_path):
    header(tmp_path, SCHEMA.read_text())
    assert compiles(tmp_path, source)


# Single numbers are read by the bindings, which take more than the schema to compile.
ARRAYS_OF_STEPS = [name for name, kind in get_type_hints(schema.StepArrays).items() if kind is not float]
RENAMED = [(name, "checks.cpp") for name in NAMES] + [(name, "steps.cpp") for name in ARRAYS_OF_STEPS]
RENAMED += [("Y", "steps.cpp"), ("ROTATION", "checks.cpp"), ("MATRIX", "steps.cpp"), ("MAX_QUBITS", "checks.cpp")]


@IN_REPOSITORY
@COMPILES
@pytest.mark.parametrize(("name", "source"), RENAMED if NIGHTLY else RENAMED[::9])
def test_a_name_changed_in_the_schema_does_not_build(name, source, tmp_path):
    text = SCHEMA.read_text()
    changed = re.sub(rf"^( *){name}(?=:| =)", rf"\g<1>{name}_CHANGED", text, flags=re.MULTILINE)
    assert changed != text
    header(tmp_path, changed)
    assert not compiles(tmp_path, source)


@IN_REPOSITORY
def test_arrays_are_named_in_the_schema_and_where_they_are_used():
    """As strings only where the compiler fills them; declared nowhere but in the schema."""
    package = {path: path.read_text() for path in SCHEMA.parent.parent.rglob("*.py")}
    # Kernels on a GPU have a schema of their own, and the same names for what is the same.
    package = {path: text for path, text in package.items() if path.parent.name != "_cuda"}
    sources = {path: path.read_text() for path in (*ENGINE.rglob("*.hpp"), *ENGINE.rglob("*.cpp"))}
    for name in (*NAMES, *SWITCHES):
        writers = [path.name for path, text in package.items() if f'"{name}":' in text]
        assert len(writers) == 1, f"{name} is written by {writers}"
        for path, text in sources.items():
            may_spell = path.name == "checks.cpp" or name in SWITCHES  # errors; `explain` reports switches
            assert may_spell or f'"{name}"' not in text, f"{path.name} spells {name} as a string of its own"
            declared = re.search(rf"std::vector<[^>]+>[^;()]*\b{name}\b|\* {name};", text)
            assert declared is None, f"{path.name} declares {name}"
