"""The command line, as a user runs it."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
import torch
from typer.testing import CliRunner

from qiskit_torch_module import __version__, _engine
from qiskit_torch_module._classifier import digit_classifier, load_classifier
from qiskit_torch_module.cli import app


def qtm(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(autouse=True)
def torch_threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_info():
    result = qtm("info")
    assert result.exit_code == 0
    assert __version__ in result.output
    assert _engine.instruction_set() in result.output


def test_the_classifier_is_that_of_the_paper():
    model = digit_classifier(seed=0)
    assert (model.circuit.num_qubits, model.input_size, model.output_size) == (10, 100, 10)
    assert model.num_trainable_parameters == 220


def test_training_learns_and_saves(tmp_path):
    result = qtm("train", "digits", "--epochs", 3, "--threads", 2, "--seed", 1, "--output", tmp_path)
    assert result.exit_code == 0, result.output
    accuracy = float(re.search(r"test accuracy ([\d.]+)%", result.output).group(1))
    assert accuracy > 60
    assert "confusion matrix" in result.output
    history = json.loads((tmp_path / "history.json").read_text())
    assert len(history["loss"]) == 3 * (1437 // 48)
    assert history["loss"][-1] < history["loss"][0]
    assert (tmp_path / "learning_curve.png").read_bytes().startswith(b"\x89PNG")
    again = qtm("evaluate", tmp_path / "model.pt", "--seed", 1)
    assert f"test accuracy {accuracy}%" in again.output


def test_the_same_seed_gives_the_same_model(tmp_path):
    for name in ("a", "b"):
        arguments = ("--max-updates", 5, "--seed", 3, "--batch-size", 20, "--lr", 0.05, "--output", tmp_path / name)
        assert qtm("train", "digits", *arguments).exit_code == 0
    first, second = (load_classifier(tmp_path / name / "model.pt") for name in ("a", "b"))
    assert torch.equal(first.weights, second.weights)


@pytest.mark.skipif(os.name == "nt", reason="signals differ")
def test_ctrl_c_keeps_what_was_learnt(tmp_path):
    command = [sys.executable, "-m", "qiskit_torch_module.cli", "train", "digits", "--epochs", "10000"]
    found = None
    for seconds in (2, 5, 20, 60):  # until the first update, which takes long where the machine is busy
        process = subprocess.Popen(
            [*command, "--output", str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert "images for training" in process.stdout.readline()
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 130, output
        found = re.search(r"interrupted after (\d+) updates", output)
        if found:
            break
    assert found, output
    updates = int(found.group(1))
    assert updates > 0
    assert f"after {updates} updates" in output
    assert load_classifier(tmp_path / "model.pt").num_trainable_parameters == 220


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "mnist"], "MNIST is not shipped with this package; download"),
        (["--data", "mnist", "--data-dir", "/nowhere"], "/nowhere is no folder"),
        (["--data-dir", "/nowhere"], "--data-dir goes with --data mnist"),
        (["--lr", "0"], "expected a positive learning rate"),
    ],
)
def test_mistakes_are_one_line(arguments, message):
    result = qtm("train", "digits", *arguments)
    assert result.exit_code == 1
    assert message in result.output
    assert len(result.output.strip().splitlines()) == 1


def test_evaluate_refuses_foreign_files(tmp_path):
    assert "is no file" in qtm("evaluate", tmp_path / "none.pt").output
    (tmp_path / "text.pt").write_text("hello")
    assert "is damaged or no checkpoint" in qtm("evaluate", tmp_path / "text.pt").output
    torch.save({"kind": "other"}, tmp_path / "other.pt")
    assert "is no digit classifier" in qtm("evaluate", tmp_path / "other.pt").output
