"""The native module: instruction sets, threads, fork, memory."""

import os
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from circuits_zoo import reuploading
from qiskit_torch_module import QuantumModule, _engine
from qiskit_torch_module._simulation.engines import engine_of


def python(code, **environment):
    """Runs a script in a fresh interpreter, with this folder on its path."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path]), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("name", _engine.instruction_sets())
def test_the_environment_forces_an_instruction_set(name):
    done = python("from qiskit_torch_module import _engine; print(_engine.instruction_set())", QTM_INSTRUCTION_SET=name)
    assert done.stdout.strip() == name


def test_an_unknown_instruction_set_is_named():
    done = python("from qiskit_torch_module import _engine; _engine.instruction_set()", QTM_INSTRUCTION_SET="mmx")
    assert "instruction set 'mmx' is not available here; expected one of: " in done.stderr
    with pytest.raises(ValueError, match="instruction set 'sse9' is not available"):
        _engine.force_instruction_set("sse9")


def test_the_best_instruction_set_is_the_default():
    assert _engine.instruction_set() == _engine.instruction_sets()[0]
    assert _engine.instruction_sets()[-1] in ("baseline", "neon")


FORK = """
    import os, sys, torch
    from circuits_zoo import reuploading
    from qiskit_torch_module import QuantumModule

    case = reuploading(10, 2)
    model = QuantumModule(case.circuit, case.encoding, case.variational, seed_init=0,
                          num_threads_forward=2, num_threads_backward=2)
    inputs = torch.rand(48, 10, generator=torch.Generator().manual_seed(0))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step():
        optimizer.zero_grad()
        loss = model(inputs).sum(1).mean()
        loss.backward()
        optimizer.step()
        return loss.item()

    for _ in range(3):
        step()
    child = os.fork()
    losses = [step() for _ in range(5)]
    if child == 0:
        print("child", losses, flush=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    print("parent", losses, flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.skipif(torch.cuda.is_available(), reason="with CUDA, PyTorch takes no backward pass in a forked child")
def test_fork_in_the_middle_of_training():
    done = python(FORK)
    assert done.returncode == 0, done.stderr
    lines = dict(line.split(" ", 1) for line in done.stdout.strip().splitlines())
    assert lines["child"] == lines["parent"]


def test_several_python_threads_at_once():
    cases = [reuploading(n, 2) for n in (6, 8, 9, 10)]
    models = [QuantumModule(c.circuit, c.encoding, c.variational, seed_init=1, num_threads_forward=2) for c in cases]
    inputs = [torch.rand(32, model.input_size) for model in models]
    expected = [model(x).detach() for model, x in zip(models, inputs, strict=True)]

    def work(i):
        return [models[i % 4](inputs[i % 4]).detach() for _ in range(20)]

    with ThreadPoolExecutor(4) as pool:
        for i, results in enumerate(pool.map(work, range(8))):
            for found in results:
                torch.testing.assert_close(found, expected[i % 4], atol=1e-6, rtol=0)


def test_a_circuit_that_cannot_fit_says_what_it_needs(own_budget):
    case = reuploading(14, 1)
    model = QuantumModule(case.circuit, case.encoding, case.variational, seed_init=0)
    own_budget(50_000)
    with pytest.raises(
        ValueError, match=r"14 qubits needs [\d.]+ [KM]iB of memory, but the budget is [\d.]+ [KM]iB; raise it"
    ):
        model(torch.rand(1, 14))
    own_budget(None)
    assert torch.isfinite(model(torch.rand(1, 14))).all()


def test_prediction_of_memory_grows_with_precision_and_gradients():
    case = reuploading(10, 2)
    engine = engine_of(QuantumModule(case.circuit, case.encoding, case.variational)._program)
    forward, backward = (engine.schedule_float32(48, 2, gradient)["scratch_bytes"] for gradient in (False, True))
    assert 2**10 * 8 < forward < backward < engine.schedule_float64(48, 2, True)["scratch_bytes"] * 1.01


def test_arrays_that_contradict_each_other_are_refused_not_read():
    case = reuploading(3, 1)
    program = QuantumModule(case.circuit, case.encoding, case.variational)._program
    from qiskit_torch_module._program.layers import layers_of
    from qiskit_torch_module._simulation.engines import arrays_of

    layers, _ = layers_of(program.evolution.rotations)
    arrays = arrays_of(layers, program.evolution.passes, program.output)
    _engine.Engine(3, program.evolution.num_inputs, program.evolution.num_weights, arrays)
    for name, array in arrays.items():
        if isinstance(array, bool):
            continue
        for broken in (np.append(array, array[-1:]), array[:-1], np.full_like(array, 10**6)):
            if np.array_equal(broken, array):
                continue  # empty: what only another output has
            if name.endswith(("constant", "coefficient")) and len(broken) == len(array):
                continue  # any number will do there
            if name == "observable_constant" and len(broken) > len(array):
                continue  # one more observable, without terms
            with pytest.raises(ValueError, match="inconsistent program"):
                _engine.Engine(3, program.evolution.num_inputs, program.evolution.num_weights, {**arrays, name: broken})


@pytest.mark.parametrize(
    ("inputs", "weights", "error"),
    [
        (np.zeros((2, 2)), np.zeros(18), "inputs: expected shape"),
        (np.zeros((2, 3)), np.zeros(17), "weights: expected 18 values, got 17"),
    ],
)
def test_wrong_shapes_are_named(inputs, weights, error):
    case = reuploading(3, 1)
    engine = engine_of(QuantumModule(case.circuit, case.encoding, case.variational)._program)
    with pytest.raises(ValueError, match=error):
        engine.values(inputs, weights, 1)
