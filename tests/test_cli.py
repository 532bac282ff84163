"""The command line, as a user runs it."""

import errno
import importlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from rich.console import Console
from rich.file_proxy import FileProxy
from typer.testing import CliRunner

from qiskit_torch_module import QuantumModule, __version__, _engine
from qiskit_torch_module._core.extras import how_to_install
from qiskit_torch_module._storage.checkpoint import read_checkpoint, write_checkpoint
from qiskit_torch_module.applications.classifier import digit_classifier, load_classifier
from qiskit_torch_module.applications.images import load_digits
from qiskit_torch_module.applications.training import History
from qiskit_torch_module.cli import app, commands, info, result
from qiskit_torch_module.cli.output import Output
from qiskit_torch_module.cli.run_folder import RunFolder
from qiskit_torch_module.cli.screen import console_on
from qiskit_torch_module.reproduce.experiments import EXPERIMENTS
from qiskit_torch_module.reproduce.store import Settings
from qiskit_torch_module.reproduce.systems import SYSTEMS, labels_of


def qtm(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(autouse=True)
def torch_threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_only_the_engine_takes_threads_while_a_classifier_trains(tmp_path, monkeypatch):
    # PyTorch's own team would spin for every softmax and update, which beside busy processes takes most of the time.
    seen = []
    forward = QuantumModule.forward

    def watched(model, *arguments):
        seen.append((torch.get_num_threads(), model.num_threads_forward, model.num_threads_backward))
        return forward(model, *arguments)

    monkeypatch.setattr(QuantumModule, "forward", watched)
    torch.set_num_threads(2)
    processors = os.cpu_count() or 1
    for threads in (0, 1, 2):
        seen.clear()
        result = qtm("train", "digits", "--max-updates", 1, "--threads", threads, "--output", tmp_path / str(threads))
        assert result.exit_code == 0, result.output
        assert qtm("evaluate", tmp_path / str(threads), "--threads", threads).exit_code == 0
        expected = min(threads or 2, processors)
        assert set(seen) == {(1, expected, expected)}
        assert torch.get_num_threads() == 2


def test_info():
    result = qtm("info")
    assert result.exit_code == 0
    assert __version__ in result.output
    assert _engine.instruction_set() in result.output


@pytest.mark.parametrize("count", [0, 2])
def test_info_says_who_computes_on_gpus_where_there_are_some(count, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"Card {index}")
    monkeypatch.setenv("QTM_CUDA", "engine")
    output = " ".join(qtm("info").output.split())
    assert ("none that PyTorch sees" in output) == (count == 0)
    assert ("Card 0, Card 1" in output) == ("kernels of the engine" in output) == ("NVRTC" in output) == (count > 0)


def test_no_column_is_lost_on_narrow_screens(monkeypatch):
    screen = Console(file=io.StringIO(), width=40)
    monkeypatch.setattr(result, "console", screen)
    monkeypatch.setattr(info, "listing", screen)
    result.print_result(digit_classifier(seed=0), load_digits(0), History(test_accuracy=[(0, 0.0)]))
    info.info()
    lines = screen.file.getvalue().splitlines()
    assert [line.count("│") for line in lines if line.startswith("│")] == [12] * 10
    assert any(line.split()[:1] == ["qiskit-torch-module"] for line in lines)


def test_a_screen_without_columns_is_written_to(monkeypatch):
    monkeypatch.setenv("COLUMNS", "0")
    assert console_on("stdout").width > 0


def test_version():
    result = qtm("--version")
    assert result.exit_code == 0
    assert result.output == f"qiskit-torch-module {__version__}\n"


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
    for arguments in (["--seed", 1], []):
        for name in (tmp_path / "model.pt", tmp_path):
            again = qtm("evaluate", name, *arguments)
            assert f"test accuracy {accuracy}%" in again.output
    assert "digits, split with seed 1; " in again.output
    other = qtm("evaluate", tmp_path / "model.pt", "--seed", 2)
    assert other.exit_code == 2
    assert "was trained with seed 1, and with 2 it would be tested on images it was trained on" in other.output
    for arguments, asked in (
        (["--epochs", 2], "--epochs 2 asks for 58"),
        (["--epochs", 3], "--epochs 3 asks for 87"),
        (["--epochs", 9, "--max-updates", 5], "--max-updates 5 asks for 5"),
    ):
        resumed = qtm("train", "digits", "--seed", 1, "--resume", "--output", tmp_path, *arguments)
        assert resumed.exit_code == 0
        assert f"nothing left to train: 87 updates are done, and {asked}; raise it to go on\n" in resumed.output
        assert "training " not in resumed.output.split("nothing left to train")[1]
        assert f"test accuracy {accuracy}%" in resumed.output
        assert updates_in(tmp_path / "model.pt") == 87


def test_the_same_seed_gives_the_same_model(tmp_path):
    for name in ("a", "b"):
        arguments = ("--max-updates", 5, "--seed", 3, "--batch-size", 20, "--lr", 0.05, "--output", tmp_path / name)
        assert qtm("train", "digits", *arguments).exit_code == 0
    first, second = (load_classifier(tmp_path / name / "model.pt")[0] for name in ("a", "b"))
    assert torch.equal(first.weights, second.weights)


def test_a_folder_is_evaluated_gone_on_with_and_kept(tmp_path):
    arguments = ["--epochs", 2, "--output", tmp_path]
    assert qtm("train", "digits", "--max-updates", 2, *arguments).exit_code == 0
    assert qtm("evaluate", tmp_path).output == qtm("evaluate", tmp_path / "model.pt").output
    resumed = qtm("train", "digits", "--max-updates", 3, "--resume", *arguments)
    assert "going on after 2 of 3 updates\n" in resumed.output
    anew = qtm("train", "digits", "--max-updates", 1, *arguments)
    assert f"kept as {tmp_path / 'model.previous.pt'}\n" in anew.output
    assert [updates_in(tmp_path / name) for name in ("model.previous.pt", "model.pt")] == [3, 1]


@pytest.mark.skipif(torch.__version__ < "2.6", reason="such files may run code there")
def test_models_of_version_2_0_are_evaluated(tmp_path):
    model = digit_classifier(seed=0)
    old = {"kind": "digit classifier", "version": 1, "weights": model.state_dict()}
    torch.save(old, tmp_path / "model.pt")
    result = qtm("evaluate", tmp_path)
    assert result.exit_code == 0, result.output
    assert "test accuracy" in result.output


@pytest.mark.skipif(os.name == "nt", reason="signals differ")
@pytest.mark.skipif(signal.getsignal(signal.SIGINT) is signal.SIG_IGN, reason="Ctrl-C is ignored, as in the background")
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
        try:
            output, _ = process.communicate(timeout=60)
        finally:
            process.kill()
        assert process.returncode == 130, output
        found = re.search(r"interrupted after (\d+) updates", output)
        if found:
            break
    assert found, output
    updates = int(found.group(1))
    assert updates > 0
    assert f"after {updates} updates" in output
    assert load_classifier(tmp_path / "model.pt")[0].num_trainable_parameters == 220


TRAIN = [sys.executable, "-m", "qiskit_torch_module.cli", "train", "digits"]


def started(folder, *arguments, **options):
    """A process that trains and has saved."""
    command = [*TRAIN, "--output", str(folder), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    deadline = time.monotonic() + 60
    while not (folder / "model.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    return process


def updates_in(path):
    return len(read_checkpoint(path, "checkpoint")["progress"]["history"]["loss"])


@pytest.mark.skipif(os.name == "nt", reason="signals differ")
def test_a_run_that_is_killed_or_told_to_end_goes_on_and_ends_like_one_that_was_not(tmp_path):
    process = started(tmp_path, "--epochs", "10000")
    process.kill()
    process.communicate(timeout=60)
    first = updates_in(tmp_path / "model.pt")
    assert first > 0
    before = (tmp_path / "model.pt").stat().st_mtime_ns
    process = started(tmp_path, "--epochs", "10000", "--resume")
    while (tmp_path / "model.pt").stat().st_mtime_ns == before:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.1)
    for number in (signal.SIGINT, signal.SIGHUP):  # the first counts; nothing is undone by the others
        process.send_signal(number)
    output, problems = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM, problems
    assert f"going on after {first} of {10000 * (1437 // 48)} updates" in output
    assert "test accuracy" in output
    second = updates_in(tmp_path / "model.pt")
    assert second > first
    arguments = ["train", "digits", "--max-updates", second + 3, "--epochs", 10000, "--output"]
    result = qtm(*arguments, tmp_path, "--resume")
    assert result.exit_code == 0
    assert f"after {second + 3} updates" in result.output
    assert qtm(*arguments, tmp_path / "whole").exit_code == 0
    part, whole = (read_checkpoint(folder / "model.pt", "checkpoint") for folder in (tmp_path, tmp_path / "whole"))
    assert torch.equal(part["states"]["model"]["weights"], whole["states"]["model"]["weights"])
    moments = [run["states"]["optimizer"]["state"][0] for run in (part, whole)]
    assert all(torch.equal(moments[0][name], moments[1][name]) for name in ("exp_avg", "exp_avg_sq", "step"))
    for name in ("loss", "accuracy", "test_accuracy"):
        assert part["progress"]["history"][name] == whole["progress"]["history"][name]


@pytest.mark.skipif(os.name == "nt", reason="pipes differ")
def test_a_closed_output_costs_no_result(tmp_path):
    command = [*TRAIN, "--max-updates", "3", "--output", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        process.stdout.close()
        problems = process.stderr.read()
    assert process.returncode == 0
    assert "test accuracy" in problems
    assert "Traceback" not in problems
    assert updates_in(tmp_path / "model.pt") == 3


QTM = TRAIN[:3]
FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("arguments", [["--help"], ["info"]])
def test_a_full_disk_behind_the_output_is_one_line_and_no_success(arguments):
    with FULL.open("w") as full:
        done = subprocess.run([*QTM, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, timeout=120)
    assert done.returncode == 1
    assert done.stderr == "Error: standard output: No space left on device\n"


@pytest.mark.skipif(not FULL.exists(), reason="needs a device that is always full")
def test_a_result_that_does_not_fit_the_disk_is_printed_and_no_success(tmp_path):
    with FULL.open("w") as full:
        command = [*TRAIN, "--max-updates", "1", "--output", str(tmp_path)]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120)
    assert done.returncode == 1
    assert "test accuracy" in done.stderr
    assert done.stderr.splitlines()[-1] == "Error: standard output: No space left on device"


@pytest.mark.skipif(os.name == "nt", reason="pipes differ")
@pytest.mark.parametrize("arguments", [["--help"], ["info"]])
def test_what_may_be_asked_for_again_is_silent_where_nobody_reads(arguments):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([*QTM, *arguments], stdout=writer, stderr=subprocess.PIPE, text=True, timeout=120)
    os.close(writer)
    assert done.stderr == ""


def test_what_cannot_be_saved_is_printed_and_saved_elsewhere(tmp_path, monkeypatch):
    write, folders = RunFolder.write, []

    def fail_once(folder, *arguments):
        folders.append(folder.path)
        if len(folders) == 1:
            raise OSError(errno.ENOSPC, "No space left on device", str(folder.path))
        write(folder, *arguments)

    monkeypatch.setattr(RunFolder, "write", fail_once)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    result = qtm("train", "digits", "--max-updates", 2, "--output", tmp_path / "full")
    assert result.exit_code == 1
    assert "after 2 updates" in result.output
    assert f"could not save to {tmp_path / 'full'}: No space left on device; saved to" in result.output
    assert f"saved to {folders[1]} instead" in result.output
    assert updates_in(folders[1] / "model.pt") == 2


def test_a_full_disk_is_noticed_before_training(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    result = qtm("train", "digits", "--max-updates", 2, "--output", tmp_path)
    assert result.exit_code == 1
    assert re.search(r"No space left on device; a run needs \d+ KiB there, name another folder", result.output)
    assert len(result.output.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_the_model_of_the_run_before_is_kept(tmp_path):
    for seed in (0, 1):
        result = qtm("train", "digits", "--max-updates", 2, "--seed", seed, "--output", tmp_path)
    assert "model.previous.pt" in result.output
    kept = read_checkpoint(tmp_path / "model.previous.pt", "checkpoint")
    assert kept["progress"]["settings"]["seed"] == 0
    result = qtm("train", "digits", "--max-updates", 4, "--seed", 0, "--resume", "--output", tmp_path)
    assert "was trained with seed 1, now it is 0; go on with what it was" in result.output
    assert result.exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "message", "status"),
    [
        (["--data", "mnist"], "MNIST is not shipped with this package; download", 2),
        (["--data", "mnist", "--data-dir", "/nowhere"], "/nowhere is no folder", 1),
        (["--data-dir", "/nowhere"], "--data-dir goes with --data mnist", 2),
        (["--lr", "0"], "expected a positive learning rate", 2),
        (["--lr", "nan"], "at most 1000, got nan", 2),
        (["--lr", "inf"], "at most 1000, got inf", 2),
        (["--lr", "-1"], "at most 1000, got -1", 2),
        (["--lr", "1e30"], "at most 1000, got 1e+30", 2),
        (["--output", os.devnull], os.devnull, 1),
        (["--output", f"{os.devnull}/x"], f"Error: {os.devnull}/x: ", 1),  # no number of the operating system
    ],
)
def test_mistakes_are_one_line(arguments, message, status, tmp_path):
    result = qtm("train", "digits", "--output", tmp_path, *arguments)
    assert result.exit_code == status
    assert message in result.output
    assert len([line for line in result.output.strip().splitlines() if "Error" in line]) == 1
    assert result.exception is None or isinstance(result.exception, SystemExit)


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "digits", "--seed", str(2**32)],
        ["train", "digits", "--seed", "-1"],
        ["train", "digits", "--threads", str(2**31)],
        ["train", "digits", "--batch-size", "1000000000000"],
        ["train", "digits", "--epochs", "0"],
        ["train", "digits", "--max-updates", "99999999999999999999"],
        ["train", "digits", "--data", "foo"],
        ["train", "digits", "--foo"],
        ["evaluate", "model.pt", "--seed", "99999999999"],
        ["evaluate", "model.pt", "--threads", str(2**31)],
        ["train", "digits", "--output", ""],
        ["evaluate", ""],
        ["reproduce", "one", "--output", ""],
        ["reproduce", "foo"],
        ["reproduce", "fig1", "--timeout", "-1"],
        ["reproduce", "fig1", "--limit", "-1"],
        ["foo"],
    ],
)
def test_wrong_usage_is_one_line_that_names_the_help(arguments):
    result = qtm(*arguments)
    assert result.exit_code == 2
    (line,) = result.output.strip().splitlines()
    assert line.startswith("Error: ")
    assert "--help'" in line


def test_an_empty_name_is_not_the_folder_that_one_is_in(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = qtm("train", "digits", "--max-updates", 1, "--output", "")
    words = " ".join(result.output.split())
    assert "'--output': expected a name, got ''; give one, such as . for the folder you are in" in words
    assert list(tmp_path.iterdir()) == []


def test_a_system_that_there_is_not(tmp_path):
    result = qtm("reproduce", "fig1", "--quick", "--only", "pennyland", "--output", tmp_path)
    assert result.exit_code == 2
    words = " ".join(result.output.split())
    assert "--only: expected the name of a system or a part of it, got 'pennyland'; systems: " in words
    assert "; qiskit-machine-learning, SPSA; " in words
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("parts", "labels"),
    [
        ([], [system.label for system in SYSTEMS]),
        (["qiskit-machine-learning, reverse"], ["qiskit-machine-learning, reverse"]),
        (["qiskit-torch-module"], ["qiskit-torch-module"]),  # a whole name, which others begin with
        (["QULACS", "spsa"], ["Qulacs", "qiskit-machine-learning, SPSA"]),
        (["parameter shift"], ["qiskit-machine-learning, parameter shift", "Qiskit Aer, parameter shift"]),
    ],
)
def test_systems_are_chosen_by_their_names_commas_and_all(parts, labels):
    chosen = Settings(Path(), Path(), labels=labels_of(parts))
    assert [system.label for system in SYSTEMS if chosen.chooses(system.label)] == labels


@pytest.mark.parametrize("part", ["", "qulacs,lightning"])
def test_a_part_that_is_of_no_name_is_refused_beside_one_that_is(part):
    with pytest.raises(ValueError, match="--only: expected the name of a system or a part of it, got"):
        labels_of(["Qulacs", part])


def test_without_arguments_it_helps_once():
    assert qtm().output.count("Usage:") == 1


def test_evaluate_refuses_foreign_files(tmp_path):
    assert "is no file" in qtm("evaluate", tmp_path / "none.pt").output
    (tmp_path / "text.pt").write_text("hello")
    assert "is damaged or no checkpoint" in qtm("evaluate", tmp_path / "text.pt").output
    torch.save({"kind": "other"}, tmp_path / "other.pt")
    assert "is no checkpoint but" in qtm("evaluate", tmp_path / "other.pt").output


WEIGHTS = torch.rand(220)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "holds no weights"),
        ({"weights": None}, "holds no weights"),
        ({"weights": {"a": WEIGHTS}}, "holds no weights"),
        ({"weights": {"weights": WEIGHTS[:219]}}, r"expected weights of shape \(220,\)"),
        ({"weights": {"weights": WEIGHTS[None]}}, r"expected weights of shape \(220,\)"),
        ({"weights": {"weights": WEIGHTS.double()}}, "and dtype torch.float32, got .* torch.float64"),
        ({"weights": {"weights": WEIGHTS.int()}}, "got .* torch.int32"),
        ({"weights": {"weights": WEIGHTS * float("nan")}}, "expected finite weights"),
    ],
)
def test_evaluate_refuses_foreign_weights(tmp_path, content, message):
    kinds = {"digit classifier": content, "checkpoint": {"states": {"model": content.get("weights")}, "progress": {}}}
    for kind, written in kinds.items():
        write_checkpoint(tmp_path / "m.pt", kind, written)
        result = qtm("evaluate", tmp_path / "m.pt")
        assert result.exit_code == 1
        (line,) = result.output.strip().splitlines()
        assert re.search(message, line)


class Terminal(io.StringIO):
    """What a terminal is sent."""

    def isatty(self):
        return True


def test_a_bar_that_stands_in_for_the_terminal_is_written_past(monkeypatch):
    # While there is a bar, sys.stdout writes to the console, and the console to an output: that would go in circles.
    terminal = Terminal()
    output = Output("stdout")
    monkeypatch.setattr(sys, "stdout", FileProxy(Console(file=output), terminal))
    output.write("no end of line yet")
    assert terminal.getvalue() == "no end of line yet"
    output.write(", and one\n")
    output.flush()
    assert terminal.getvalue() == "no end of line yet, and one\n"
    assert output.isatty()


def test_training_in_a_terminal_starts_without_numbers(tmp_path, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("TERM", "xterm-256color")
    app(["train", "digits", "--max-updates", "3", "--output", str(tmp_path)], standalone_mode=False)
    written = terminal.getvalue()
    assert "nan" not in written
    assert re.search(r"loss \d\.\d\d\d  training accuracy \d+%", written)
    assert written.count("test accuracy") == 1
    assert updates_in(tmp_path / "model.pt") == 3


@pytest.mark.parametrize(
    ("name", "key", "words"),
    [
        ("fig1", "PennyLane (JAX) @ 10", "PennyLane (JAX), 10 qubits"),
        ("fig2", "TensorFlow Quantum @ 4", "TensorFlow Quantum, depth 4"),
        ("tab1", "qiskit-torch-module @ 32", "qiskit-torch-module, observables: 32"),
        ("tab2", "0.02 @ 3", "0.02, seed 3"),
        ("tab2", "qiskit-torch-module @ time", "qiskit-torch-module, time of an update"),
        ("tab3", "qiskit-torch-module @ act", "qiskit-torch-module, acting"),
        ("tab3", "qiskit-torch-module @ update", "qiskit-torch-module, updating"),
        ("fig3", "grid 0.003 0.1", "grid 0.003 0.1"),
        ("fig4", "avx512, 1 thread @ 8", "avx512, 1 thread, 8 qubits"),
        ("fig4", "avx2, 2 threads @ 8", "avx2, 2 threads, 8 qubits"),
    ],
)
def test_what_is_measured_is_said_in_words(name, key, words):
    assert EXPERIMENTS[name].named(key) == words


@pytest.mark.parametrize("extra", ["demo", "reproduce", "sklearn"])
def test_what_is_missing_is_installed_as_the_pages_say(extra):
    page = (Path(__file__).parents[1] / "docs" / "install.md").read_text(encoding="utf-8")
    command = re.search(r"pip install .*\]\"", how_to_install(extra)).group()
    assert command.replace(f"[{extra}]", "[demo]") in page, "expected the command of docs/install.md"
    assert f"\n| `{extra}` | " in page


def test_brackets_are_no_markup(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = qtm("reproduce", "fig3", "--quick", "--output", tmp_path)
    assert how_to_install("reproduce") in " ".join(result.output.split())
    folder = tmp_path / "[bold]x[/bold]"
    result = qtm("train", "digits", "--max-updates", 1, "--output", folder)
    assert f"saved to {folder}: " in result.output
    assert f"{folder / 'none.pt'} is no file" in qtm("evaluate", folder / "none.pt").output


@pytest.mark.parametrize("arguments", [[], ["reproduce"], ["train", "digits"]])
def test_help_has_no_types_of_flags(arguments):
    shown = qtm(*arguments, "--help").output
    assert "--help" in shown
    assert "bool" not in shown.lower()


def test_the_package_runs_as_the_command():
    command = [sys.executable, "-X", "importtime", "-m", "qiskit_torch_module", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout == f"qiskit-torch-module {__version__}\n"
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
    assert "qiskit_torch_module.cli.train" in imported
    assert not imported & {"matplotlib", "sklearn"}, "what a command needs is imported by the command: these take long"


@pytest.mark.parametrize("package", ["matplotlib", "rich", "sklearn", "typer"])
def test_without_a_package_of_the_extra_one_line_says_how_to_get_it(package, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == package else name)
    with pytest.raises(SystemExit) as ended:
        importlib.reload(commands)
    assert ended.value.code == f"qtm needs the package '{package}'; {how_to_install('demo')}"
