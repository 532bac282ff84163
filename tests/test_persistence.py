"""Whole models in files."""

import os
import pickle
import re
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector, library
from qiskit.quantum_info import SparsePauliOp

import gate_zoo
import qiskit_torch_module as qtm
import test_library
from circuits_zoo import qaoa, random_observables, reuploading
from conftest import NIGHTLY
from qiskit_torch_module._storage.checkpoint import write_checkpoint
from qiskit_torch_module.modules import persistence


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


def said_of(model):
    """What is printed of it, but for the observables, which come back as operators."""
    return re.sub("observables=.*, dtype", "dtype", str(model))


@pytest.mark.parametrize("model", list(models()), ids=["plain", "reversed", "no input", "expressions"])
def test_a_loaded_model_is_the_saved_one(model, tmp_path):
    path = tmp_path / "deep" / "model.qtm"
    model.set_variational_gradients_flag([index % 2 == 0 for index in range(len(model.variational_))])
    qtm.save(model, path)
    state = torch.get_rng_state()
    loaded = qtm.load(path)
    assert torch.equal(torch.get_rng_state(), state)
    inputs = torch.rand(4, model.input_size, dtype=next(model.parameters()).dtype)
    assert torch.equal(loaded(inputs), model(inputs))
    for key, value in model.state_dict().items():
        assert loaded.state_dict()[key].dtype == value.dtype
        assert torch.equal(loaded.state_dict()[key], value)
    assert loaded.circuit.parameters == model.circuit.parameters
    assert loaded.circuit.qregs == model.circuit.qregs
    assert loaded.encoding_parameters == model.encoding_parameters
    assert loaded.variational_parameters == model.variational_parameters
    assert [one.requires_grad for one in loaded.variational_] == [one.requires_grad for one in model.variational_]
    for name in ("num_threads_forward", "num_threads_backward", "encoding_gradients_flag", "variational_names"):
        assert getattr(loaded, name) == getattr(model, name)
    loaded(inputs).sum().backward()
    qtm.save(loaded, tmp_path / "again.qtm")
    assert (tmp_path / "again.qtm").read_bytes()[:30] == path.read_bytes()[:30]
    assert torch.equal(qtm.load(tmp_path / "again.qtm")(inputs), model(inputs))
    rebuilt = qtm.QuantumModule(
        loaded.circuit,
        loaded.encoding_parameters,
        loaded.variational_parameters,
        variational_params_initial=[one.detach() for one in loaded.variational_],
        observables=loaded.observables,
    ).to(inputs.dtype)
    torch.testing.assert_close(rebuilt(inputs), model(inputs))
    assert said_of(loaded) == said_of(model)
    assert loaded.draw() is not None


def test_every_gate_and_circuit_of_the_library_comes_back(tmp_path, float64):
    """Also those that QPY loses: they are stored as what they were compiled to."""
    for name, circuit in zoo():
        model = qtm.QuantumModule(circuit, None, list(circuit.parameters) or None, seed_init=1)
        qtm.save(model, tmp_path / "model")
        loaded = qtm.load(tmp_path / "model")
        assert torch.equal(loaded(), model()), name
        assert loaded.circuit.parameters == model.circuit.parameters, name
        again = qtm.QuantumModule(
            loaded.circuit,
            None,
            loaded.variational_parameters or None,
            variational_params_initial=[one.detach() for one in loaded.variational_] or "uniform",
        )
        torch.testing.assert_close(again(), model(), atol=1e-9, rtol=0, msg=name)


def zoo():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old classes warn of their own futures
        for name, cls in gate_zoo.operation_classes().items():
            if name not in gate_zoo.REFUSED | gate_zoo.IDLE:
                # Gates of one class differ in numbers.
                for operation in gate_zoo.specimens(name, cls)[: None if NIGHTLY else 1]:
                    circuit = QuantumCircuit(max(1, operation.num_qubits))
                    circuit.append(operation, range(operation.num_qubits))
                    circuit.ry(0.3, range(circuit.num_qubits))
                    yield name, circuit
        for name, make in test_library.CIRCUITS.items() if NIGHTLY else ():
            if callable(getattr(library, name.split()[0], None)):
                yield name, make()


X, Y = Parameter("x"), Parameter("y")


@pytest.mark.parametrize("angle", [X / (Y + 2), X - (Y - X * Y), X.sin() * Y, 1 - (X - Y), abs(X) * Y, (X * Y).exp()])
def test_angles_come_back(angle, tmp_path):
    circuit = QuantumCircuit(1, global_phase=angle)
    circuit.ry(angle, 0)
    model, inputs = qtm.QuantumModule(circuit, [X, Y], None), torch.tensor([[0.3, 0.9], [-1.2, 0.1]]).double()
    qtm.save(model, tmp_path / "model")
    loaded = qtm.load(tmp_path / "model")
    assert torch.equal(loaded(inputs), model(inputs))
    again = qtm.QuantumModule(loaded.circuit, loaded.encoding_parameters, None)
    torch.testing.assert_close(again(inputs), model(inputs))


@pytest.mark.parametrize("num_qubits", [5, 29, 60])
def test_projectors_on_qubits_that_are_idle_inside_of_gates_come_back(num_qubits, tmp_path):
    """A gate may be put on all qubits and act on few; as many strings as all projectors are would fill the memory."""
    theta, wide, circuit = Parameter("theta"), QuantumCircuit(num_qubits), QuantumCircuit(num_qubits)
    wide.rx(theta, 3)
    wide.cx(3, 1)
    circuit.append(wide.to_instruction(), range(num_qubits))
    model = qtm.QuantumModule(circuit, None, [theta], observables=[{"0" * num_qubits: 1.0}], seed_init=1)
    qtm.save(model, tmp_path / "model.qtm")
    assert torch.equal(qtm.load(tmp_path / "model.qtm")(), model())


def test_what_stays_as_it_was_given(tmp_path):
    case = reuploading(3, 1)
    for observables in ("tensoredZ", ["ZZZ", "XII"], [SparsePauliOp(["XXI", "III"], [0.5, -2.0])]):
        model = qtm.QuantumModule(
            case.circuit,
            case.encoding,
            case.variational,
            variational_params_initial=[("normal", {"std": 0.1}), torch.ones(len(case.variational[1]))],
            observables=observables,
        )
        qtm.save(model, tmp_path / "model")
        loaded = qtm.load(tmp_path / "model")
        assert loaded.observables == observables
        for one in (model, loaded):
            one.reset_parameters(seed=3)
        assert torch.equal(torch.cat(list(loaded.variational_)), torch.cat(list(model.variational_)))


def test_what_the_caller_changes_later_is_no_part_of_the_model(tmp_path):
    circuit, observables = QuantumCircuit(2), ["ZI", SparsePauliOp("IZ")]
    circuit.ry(0.3, [0, 1])
    model = qtm.QuantumModule(circuit, None, None, observables=observables)
    before = model().tolist()

    def unchanged():
        qtm.save(model, tmp_path / "model")
        assert qtm.load(tmp_path / "model")().tolist() == model().tolist() == before
        assert model.circuit.count_ops() == {"ry": 2}
        assert model.observables == ["ZI", SparsePauliOp("IZ")]

    circuit.x(0)
    observables[0] = "XX"
    observables[1].coeffs[0] = 2.0
    unchanged()
    model.circuit.h(0)
    model.circuit.measure_all()
    model.circuit.data[0].operation.params[0] = 1.0
    model.observables.append("YY")
    model.observables[1].coeffs[0] = 2.0
    unchanged()


def test_passes_and_weights_that_are_not_finite_come_back(tmp_path):
    case = reuploading(3, 1)
    with qtm.compiler_passes(fusion=False):
        model = qtm.QuantumModule(case.circuit, case.encoding, case.variational)
    with torch.no_grad():
        model.variational_[0].fill_(float("nan"))
    qtm.save(model, tmp_path / "model")
    loaded = qtm.load(tmp_path / "model")
    assert loaded._program == model._program
    assert loaded.variational_[0].isnan().all()


def test_a_circuit_that_cannot_be_written_down_is_said(tmp_path, monkeypatch):
    model = next(models())

    def fails(*arguments):
        raise ValueError("odd gate")

    monkeypatch.setattr(persistence, "blueprint", fails)
    qtm.save(model, tmp_path / "model")
    loaded, inputs = qtm.load(tmp_path / "model"), torch.rand(4, model.input_size)
    assert torch.equal(loaded(inputs), model(inputs))
    assert str(loaded) == str(model)
    with pytest.raises(
        RuntimeError, match=r"it could not be written down \(odd gate\); values and gradients are right"
    ):
        _ = loaded.circuit
    qtm.save(loaded, tmp_path / "again")
    with pytest.raises(RuntimeError, match="odd gate"):
        _ = qtm.load(tmp_path / "again").circuit


def test_a_circuit_that_would_come_back_as_another_one_is_not_written(tmp_path, monkeypatch):
    other = QuantumCircuit(1)
    other.x(0)
    monkeypatch.setattr(persistence, "circuit_of", lambda *arguments: other)
    model = qtm.QuantumModule(QuantumCircuit(1), None, None)
    qtm.save(model, tmp_path / "model")
    monkeypatch.undo()
    loaded = qtm.load(tmp_path / "model")
    assert loaded().tolist() == [1.0]
    with pytest.raises(RuntimeError, match="so that it comes back as it was"):
        _ = loaded.circuit


def _parametrized(model):
    torch.nn.utils.parametrizations.weight_norm(model, model.variational_names[0], dim=None)


def _with_buffer(model):
    model.register_buffer("more", torch.zeros(2))


def _with_child(model):
    model.child = torch.nn.Linear(1, 1)


@pytest.mark.parametrize("change", [_parametrized, _with_buffer, _with_child])
def test_what_would_not_come_back_is_not_written(change, tmp_path):
    model = next(models())
    qtm.save(model, tmp_path / "model")
    whole = (tmp_path / "model").read_bytes()
    change(model)
    with pytest.raises((TypeError, ValueError), match=r"save its state_dict\(\) with torch.save"):
        qtm.save(model, tmp_path / "model")
    assert (tmp_path / "model").read_bytes() == whole


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
    with pytest.raises(
        TypeError, match=r"path: expected the name of a file, got a QuantumModule; use save\(model, path"
    ):
        qtm.save(tmp_path / "model", next(models()))


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
