"""How many instructions some kernels of the engine take, counted by valgrind: the same on a busy machine as on an idle one.

    python tests/kernel_counts.py

rewrites the table that `test_kernel_counts.py` compares with: for a change that is meant to be, with its reason in the
commit. Counts say nothing of memory; what is timed stands in benchmarks/.
"""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.circuit.library import PauliEvolutionGate, UnitaryGate
from qiskit.quantum_info import SparsePauliOp, random_unitary

from circuits_zoo import qaoa, reuploading
from qiskit_torch_module import _engine
from qiskit_torch_module._program.compile import compile_program
from qiskit_torch_module._program.output import State
from qiskit_torch_module._program.program import Program
from qiskit_torch_module._simulation import engines

TABLE = Path(__file__).parent / "data" / "kernel_counts.json"
INSTRUCTION_SET = "avx2"  # the widest that valgrind knows

# Counting begins in the second call: the first one plans.
_CHILD = """
import ctypes, importlib.machinery, importlib.util, pickle, sys
import numpy as np

jobs, engine_file, counter_file = sys.argv[1:]
loader = importlib.machinery.ExtensionFileLoader("_engine", engine_file)
_engine = importlib.util.module_from_spec(importlib.util.spec_from_loader("_engine", loader))
loader.exec_module(_engine)
counter = ctypes.CDLL(counter_file)
_engine.assume_processors(1)
counter.watch()
for name, job in pickle.load(open(jobs, "rb")).items():
    _engine.allow_layouts(getattr(_engine.Layouts, job["layout"]))
    _engine.force_halves(job["halves"], job["unjoined"])
    engine = _engine.Engine(*job["arguments"], **job["named"])
    inputs, weights, cotangent = job["batch"]
    wanted = np.ones(inputs.shape[1] + len(weights), bool)
    def call():
        if job["gradient"]:
            engine.vector_jacobian_product(inputs, weights, cotangent, wanted, 1)
        else:
            engine.values(inputs, weights, 1)
    call()
    counter.start()
    call()
    counter.stop(name.encode())
"""
_COUNTER = """
#include <valgrind/callgrind.h>
void watch(void) { CALLGRIND_START_INSTRUMENTATION; }
void start(void) { CALLGRIND_ZERO_STATS; }
void stop(const char* name) { CALLGRIND_DUMP_STATS_AT(name); }
"""


def missing() -> str | None:
    """What is not here that counting needs; None: nothing."""
    if not (shutil.which("valgrind") and Path("/usr/include/valgrind/callgrind.h").is_file()):
        return "valgrind"
    if shutil.which("cc") is None:
        return "a C compiler"
    return None if INSTRUCTION_SET in _engine.instruction_sets() else f"a build and a processor with {INSTRUCTION_SET}"


def compiler() -> str:
    """What compiled the engine, as far as it counts."""
    found = re.search(rb"(GCC|clang)[^\0]*? (\d+)\.\d+", Path(_engine.__file__).read_bytes())
    return "unknown" if found is None else b" ".join(found.groups()).decode()


def _program(circuit: QuantumCircuit, inputs: Any, weights: Any) -> Program:
    return compile_program(circuit, "individualZ", list(inputs), weights)


def _polynomials() -> Program:
    x, w = ParameterVector("x", 4), ParameterVector("w", 4)
    circuit = QuantumCircuit(2)
    for i in range(24):
        circuit.ry(w[i % 4] * x[(i + 1) % 4] + x[i % 3] ** 2 + 0.1 * i, i % 2)
        circuit.rz(x[i % 4] * x[(i + 2) % 4] * w[(i + 1) % 4], i % 2)
        circuit.cx(0, 1)
    return _program(circuit, x, [w])


def _matrices() -> Program:
    x = ParameterVector("x", 6)
    circuit = QuantumCircuit(6)
    for i in range(6):
        circuit.ry(x[i], i)
        circuit.append(UnitaryGate(random_unitary(8, seed=i)), [i, (i + 1) % 6, (i + 2) % 6])
    return _program(circuit, x, [])


def _words() -> Program:
    """Rotations about random words: layers of few runs."""
    random, x, w = np.random.default_rng(4), ParameterVector("x", 8), ParameterVector("w", 12)
    circuit = QuantumCircuit(8)
    for qubit in range(8):
        circuit.ry(x[qubit], qubit)
    for angle in w:
        qubits = random.choice(8, 3, replace=False).tolist()
        word = "".join(random.choice(list("XYZ"), 3))
        circuit.append(PauliEvolutionGate(SparsePauliOp(word), angle), qubits)
    return _program(circuit, x, [w])


def _job(
    program: Program,
    *,
    gradient: bool,
    size: int = 64,
    layout: str = "any",
    halves: bool = False,
    unjoined: bool = False,
    real: Any = "float32",
) -> dict[str, Any]:
    """What the child needs to build the engine and to call it."""
    made: dict[str, Any] = {}

    def keep(*arguments: Any, **named: Any) -> None:
        made.update(arguments=arguments, named=named)

    before, engines.Engine = engines.Engine, keep
    passes = replace(program.evolution.passes, unjoined_halves=unjoined)
    program = replace(program, evolution=replace(program.evolution, passes=passes))
    try:
        stepwise = program.evolution.is_stepwise
        (engines._stepwise_engine if stepwise else engines._layered_engine).__wrapped__(program)
    finally:
        engines.Engine = before
    random, evolution = np.random.default_rng(0), program.evolution
    width = program.output_size * (1 if program.expectation_values else 2)  # amplitudes are two numbers
    shapes = ((size, evolution.num_all_inputs), (evolution.num_all_weights,), (size, width))
    batch = [random.normal(size=shape).astype(real) for shape in shapes]
    return {**made, "batch": batch, "gradient": gradient, "layout": layout, "halves": halves, "unjoined": unjoined}


def jobs() -> Mapping[str, dict[str, Any]]:
    """Calls, each of which spends its time in another kernel."""

    def layers(qubits: int, depth: int) -> Program:
        case = reuploading(qubits, depth)
        return _program(case.circuit, case.encoding, case.variational)

    diagonal = qaoa(8, 2)
    small, large, wide = layers(6, 2), layers(10, 2), layers(17, 1)
    states = Program(layers(8, 1).evolution, State())
    return {
        "forward": _job(small, gradient=False, layout="batched"),
        "gradient": _job(small, gradient=True, layout="batched"),
        "absorb": _job(layers(6, 3), gradient=True, layout="batched", real="float64"),
        "mixed": _job(large, gradient=True, size=4, layout="mixed"),
        "spread": _job(large, gradient=True, size=1, layout="spread"),
        "streamed": _job(wide, gradient=True, size=1, real="float64"),
        "halves": _job(large, gradient=False, halves=True),
        "join": _job(large, gradient=True, halves=True),
        "unjoined": _job(layers(12, 3), gradient=True, size=4, layout="spread", halves=True, unjoined=True),
        "diagonals": _job(_program(diagonal.circuit, diagonal.encoding, diagonal.variational), gradient=True),
        "states": _job(states, gradient=True, layout="batched"),
        "stepwise": _job(_matrices(), gradient=True, size=8),
        "angles": _job(_polynomials(), gradient=True, size=64),
        "words": _job(_words(), gradient=True, layout="batched"),
    }


def counts() -> dict[str, int]:
    """Instructions of each kernel.

    Raises:
        RuntimeError: valgrind failed; the message holds what it printed.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "jobs").write_bytes(pickle.dumps(jobs()))
        (folder / "counter.c").write_text(_COUNTER)
        counter = folder / "counter.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-o", str(counter), str(folder / "counter.c")], check=True)
        output = f"--callgrind-out-file={folder}/counts"
        command = ["valgrind", "--tool=callgrind", "--instr-atstart=no", output, sys.executable, "-c", _CHILD]
        done = subprocess.run(
            [*command, str(folder / "jobs"), _engine.__file__, str(counter)],
            env={**os.environ, "QTM_INSTRUCTION_SET": INSTRUCTION_SET, "PYTHONHASHSEED": "0"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        found = {}
        for path in folder.glob("counts.*"):
            text = path.read_text()
            kernel = re.search(r"Trigger: Client Request: (\w+)", text)
            if kernel is not None:
                found[kernel[1]] = int(re.search(r"^(?:totals|summary): (\d+)", text, re.MULTILINE)[1])  # type: ignore[index]
        return found


if __name__ == "__main__":
    if (what := missing()) is not None:
        sys.exit(f"needs {what}")
    table = {"compiler": compiler(), "instruction_set": INSTRUCTION_SET, "instructions": counts()}
    TABLE.write_text(json.dumps(table, indent=2) + "\n")
    print(TABLE.read_text())
