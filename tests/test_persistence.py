"""Whole models in files."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector
from qiskit.quantum_info import SparsePauliOp

import qiskit_torch_module as qtm
from circuits_zoo import qaoa, random_observables, reuploading
from qiskit_torch_module._checkpoint import write_checkpoint


def with_expressions():
    x, theta = ParameterVector("x", 12), Parameter("θ")
    circuit = QuantumCircuit(3, name="expressions")
    for index, parameter in enumerate(x):
        circuit.ry(parameter * theta if index % 2 else parameter.sin(), index % 3)
    circuit.append(QuantumCircuit(3).to_gate(), range(3))
    circuit.crx(theta, 0, 2)
    return qtm.QuantumModule(circuit, list(x)[::-1], [theta], observables=random_observables(3, 1), seed_init=1)


def models():
    case = reuploading(3, 1)
    yield qtm.QuantumModule(case.circuit, case.encoding, case.variational, ["weights", "scaling"], seed_init=1)
    yield qtm.QuantumModule(
        case.circuit,
        case.encoding[::-1],
        case.variational[::-1],
        observables=["ZZZ", SparsePauliOp(["XXI", "III"], [0.5, -2.0])],
        num_threads_forward=1,
        encoding_gradients_flag=False,
    ).double()
    case = qaoa(3, 1)
    yield qtm.QuantumModule(
        case.circuit, None, [*case.encoding, *case.columns[len(case.encoding) :]], observables="XYZ"
    )
    yield with_expressions()


@pytest.mark.parametrize("model", list(models()), ids=["plain", "reversed", "no input", "expressions"])
def test_a_loaded_model_is_the_saved_one(model, tmp_path):
    path = tmp_path / "deep" / "model.qtm"
    qtm.save(model, path)
    loaded = qtm.load(path)
    inputs = torch.rand(4, model.input_size, dtype=next(model.parameters()).dtype)
    torch.testing.assert_close(loaded(inputs), model(inputs), atol=1e-7, rtol=0)
    assert loaded.state_dict().keys() == model.state_dict().keys()
    assert loaded.circuit.parameters == model.circuit.parameters
    for name in ("num_threads_forward", "num_threads_backward", "encoding_gradients_flag", "variational_names"):
        assert getattr(loaded, name) == getattr(model, name)
    loaded(inputs).sum().backward()


def test_a_later_change_of_the_circuit_is_not_saved(tmp_path):
    circuit = QuantumCircuit(1)
    model = qtm.QuantumModule(circuit, None, None)
    circuit.x(0)
    qtm.save(model, tmp_path / "model")
    assert qtm.load(tmp_path / "model")().tolist() == model().tolist() == [1.0]


def test_a_failed_save_leaves_the_old_file_whole(tmp_path, monkeypatch):
    first, second = list(models())[:2]
    qtm.save(first, tmp_path / "model")

    def fails(*arguments, **options):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match="disk full"):
        qtm.save(second, tmp_path / "model")
    monkeypatch.undo()
    assert qtm.load(tmp_path / "model").variational_names == ["weights", "scaling"]
    assert [file.name for file in tmp_path.iterdir()] == ["model"]


class _Malicious:
    def __reduce__(self):
        return (print, ("code was run",))


def test_damaged_and_foreign_files_are_refused(tmp_path, capsys):
    path = tmp_path / "model"
    qtm.save(next(models()), path)
    whole = path.read_bytes()
    with pytest.raises(FileNotFoundError):
        qtm.load(tmp_path / "nothing")
    for damaged in (b"", whole[: len(whole) // 2], b"not a model", whole[::-1]):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="damaged"):
            qtm.load(path)
    write_checkpoint(path, "digit classifier", {"weights": torch.rand(3)})
    with pytest.raises(ValueError, match="no quantum module but a digit classifier"):
        qtm.load(path)
    write_checkpoint(path, "quantum module", {"circuit": b"QISKIT"})
    with pytest.raises(ValueError, match="damaged"):
        qtm.load(path)
    path.write_bytes(pickle.dumps(_Malicious()))
    with pytest.raises(ValueError, match="damaged"):
        qtm.load(path)
    assert "code was run" not in capsys.readouterr().out


def test_only_quantum_modules_are_saved(tmp_path):
    with pytest.raises(TypeError, match=r"expected a QuantumModule, got Linear; save its state_dict"):
        qtm.save(torch.nn.Linear(1, 1), tmp_path / "model")


def test_whole_modules_and_spawned_workers(tmp_path):
    model = next(models())
    torch.save(model, tmp_path / "module.pt")
    again = torch.load(tmp_path / "module.pt", weights_only=False)
    inputs = torch.rand(4, 3)
    torch.testing.assert_close(again(inputs), model(inputs), atol=0, rtol=0)
    qtm.save(model, tmp_path / "model.qtm")
    np.save(tmp_path / "inputs.npy", inputs.numpy())
    script = (
        "import numpy, qiskit_torch_module as qtm, sys\n"
        "print(qtm.load(sys.argv[1])(numpy.load(sys.argv[2])).sum().item())"
    )
    arguments = [str(tmp_path / "model.qtm"), str(tmp_path / "inputs.npy")]
    printed = subprocess.run(  # a process of its own, as spawn makes them
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True
    ).stdout
    assert float(printed) == pytest.approx(model(inputs).sum().item(), abs=1e-6)


def _evaluate(model, inputs, queue):
    queue.put(model(inputs).sum().item())


def test_models_travel_to_spawned_processes():
    model, inputs = next(models()), torch.rand(4, 3)
    context = torch.multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_evaluate, args=(model, inputs, queue))
    process.start()
    found = queue.get(timeout=120)
    process.join()
    assert found == pytest.approx(model(inputs).sum().item(), abs=1e-6)
