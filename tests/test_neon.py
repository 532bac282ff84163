"""The engine built for AArch64 and run under an emulator: the same results as here."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pytest

from circuits_zoo import fixed_and_free, qaoa, random_observables, reuploading
from conftest import NIGHTLY
from qiskit_torch_module import QuantumModule
from qiskit_torch_module._core.schema import ProgramArrays, Switches
from qiskit_torch_module._program.halves import halves_of
from qiskit_torch_module._program.layers import layers_of
from qiskit_torch_module._program.passes import current_passes
from qiskit_torch_module._simulation.columns import with_derived_columns
from qiskit_torch_module._simulation.engines import arrays_of, engine_of, halved_arrays

COMPILER, EMULATOR = "aarch64-linux-gnu-g++", "qemu-aarch64"
ENGINE = Path(__file__).parent.parent / "src" / "engine"

pytestmark = pytest.mark.skipif(
    not (shutil.which(COMPILER) and shutil.which(EMULATOR) and ENGINE.is_dir()),
    reason=f"needs {COMPILER} and {EMULATOR} (Debian: g++-aarch64-linux-gnu, qemu-user)",
)

ARRAYS = [name for name in get_type_hints(ProgramArrays) if name not in get_type_hints(Switches)]


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """The engine as a program of its own, for AArch64."""
    folder = tmp_path_factory.mktemp("neon")
    path = folder / "evaluate_file"
    schema = ENGINE.parent / "qiskit_torch_module" / "_core" / "schema.py"
    subprocess.run([sys.executable, ENGINE / "make_schema.py", schema, folder / "schema.hpp"], check=True)
    sources = [one for one in ENGINE.glob("*.cpp") if one.name != "gil.cpp"]
    sources += [
        *(ENGINE / "isa" / f"{name}.cpp" for name in ("baseline", "baseline_jets", "baseline_gram")),
        Path(__file__).parent / "cross" / "evaluate_file.cpp",
    ]
    optimized = "-O1" if NIGHTLY else "-O0"  # three times the time for the same vectors
    flags = ["-std=c++20", optimized, "-fno-math-errno", "-ffp-contract=fast", "-static", "-pthread", "-DQTM_BASELINE"]
    subprocess.run([COMPILER, *flags, f"-I{folder}", *map(str, sources), "-o", str(path)], check=True)
    return path


def written(name, values):
    values = np.ravel(values)
    return f"{name} {len(values)} " + " ".join(repr(one) for one in values.tolist())


def written_program(num_qubits, columns, weights, arrays):
    sizes = written("sizes", [num_qubits, columns.shape[1], len(weights)])
    return [sizes, *(written(name, arrays[name]) for name in ARRAYS)]


@pytest.mark.parametrize(
    ("case", "halved"),
    [(reuploading(6, 2), False), (fixed_and_free(6, 2), False), (qaoa(6, 2), False), (reuploading(8, 2), True)],
    ids=["reuploading", "all", "qaoa", "halves"],
)
def test_neon_agrees(program, case, halved, tmp_path):
    n = case.circuit.num_qubits
    model = QuantumModule(
        case.circuit, case.encoding, case.variational, observables=random_observables(n, 3), seed_init=1
    )
    compiled = model._program
    layers, _ = layers_of(compiled.evolution.rotations, current_passes())
    random = np.random.default_rng(0)
    columns, weights = with_derived_columns(compiled.evolution, *_tensors(random, 5, compiled))
    cotangent = random.normal(size=(5, compiled.output_size))
    if halved:
        halves = halved_arrays(halves_of(layers, n, compiled.evolution.num_inputs), current_passes(), compiled.output)
        programs = [halves["low"], halves["high"], (n, halves["rest"])]
    else:
        observed = compiled.output
        programs = [(n, arrays_of(layers, current_passes(), observed))]
    lines = [written("glue", [halves["glue"]] if halved else [])]
    for num_qubits, arrays in programs:
        lines += written_program(num_qubits, columns, weights, arrays)
    lines += [written("inputs", columns), written("weights", weights), written("cotangent", cotangent)]
    file = tmp_path / "program.txt"
    file.write_text("\n".join(lines))
    done = subprocess.run([EMULATOR, str(program), str(file)], capture_output=True, text=True, check=True)
    name, *results = done.stdout.splitlines()
    assert name == "neon"
    values = engine_of(compiled).values(columns.numpy(), weights.numpy(), 1)
    wanted = np.ones(columns.shape[1] + len(weights), bool)
    gradients = engine_of(compiled).vector_jacobian_product(columns.numpy(), weights.numpy(), cotangent, wanted, 1)
    expected = np.concatenate([np.ravel(one) for one in (values, *gradients)])
    single, double, spread_single, spread_double = (np.array(line.split(), float) for line in results)
    for found in (double, spread_double):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11)
    for found in (single, spread_single):
        np.testing.assert_allclose(found, expected, rtol=0, atol=2e-4)


def _tensors(random, size, compiled):
    import torch

    return torch.from_numpy(random.normal(size=(size, compiled.evolution.num_inputs))), torch.from_numpy(
        random.normal(size=compiled.evolution.num_weights)
    )
