"""Training through `qtm.methods.Primitive` with a journal and checkpoints: what fails, hangs or dies changes nothing."""

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import torch

from conftest import NIGHTLY
from qiskit_torch_module._reading import compat
from qiskit_torch_module.methods import Journal, Primitive

if compat.EstimatorPub is None:
    pytest.skip("the service takes PUBs", allow_module_level=True)

from killed_training import STEPS, Service, train
from test_journal import content

HERE = Path(__file__).parent


def undisturbed(folder, **options):
    folder.mkdir()
    weights = train(folder, Service(folder / "log"), **options)
    assert len(jobs(folder)) == STEPS
    return weights


def jobs(folder):
    return (folder / "log").read_text().splitlines()


@pytest.mark.parametrize(("gradient", "every"), [("parameter_shift", 0), ("spsa", 2)])
def test_a_run_whose_job_failed_goes_on(tmp_path, gradient, every):
    whole = undisturbed(tmp_path / "whole", gradient=gradient, every=every)
    for number in range(STEPS) if NIGHTLY else (1,):
        folder = tmp_path / str(number)
        folder.mkdir()
        service = Service(folder / "log", problems={number: RuntimeError("the fridge is warm")})
        with pytest.raises(
            RuntimeError, match=f"job {number + 1} of .*run.sqlite failed: RuntimeError: the fridge is .*id{number}"
        ):
            train(folder, service, gradient, every)
        assert torch.equal(train(folder, Service(folder / "log"), gradient, every), whole)
        assert jobs(folder) == [*jobs(tmp_path / "whole")[:number], "failed", *jobs(tmp_path / "whole")[number:]]


def test_a_run_goes_through_failures_that_pass_and_jobs_that_hang(tmp_path):
    whole = undisturbed(tmp_path / "whole")
    (tmp_path / "part").mkdir()
    problems = {0: ConnectionResetError(), 2: "hangs", 4: TimeoutError(), 5: TimeoutError()}
    found = train(tmp_path / "part", Service(tmp_path / "part" / "log", problems=problems), timeout=0.2)
    assert torch.equal(found, whole)
    assert jobs(tmp_path / "part").count("failed") == 4


def test_a_finished_run_sends_nothing_when_it_is_started_again(tmp_path):
    whole = undisturbed(tmp_path / "whole", every=0)
    assert torch.equal(train(tmp_path / "whole", Service(tmp_path / "whole" / "log"), every=0), whole)
    assert len(jobs(tmp_path / "whole")) == STEPS


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are copied")
def test_a_run_that_is_killed_at_any_moment_ends_like_one_that_was_not():
    """By signal 9, before and after every statement to the database, every job and every answer."""
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None  # no disk to wait for
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        command = [sys.executable, str(HERE / "killed_training.py"), folder, "1" if NIGHTLY else "13"]
        environment = {**os.environ, "PYTHONHASHSEED": "7"}
        found = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600)
    assert found.returncode == 0, found.stderr
    moments, digest, num_kills, _ = found.stdout.split()
    assert int(moments) > 40
    assert int(num_kills) > 4
    assert digest == hashlib.sha256(b"".join(content(n).digest for n in range(4))).hexdigest()  # in another process


def test_the_journal_of_a_method(tmp_path):
    service = Service(tmp_path / "log")
    journal = Journal(tmp_path / "run.sqlite")
    assert Primitive(service, journal=journal).journal is journal
    assert Primitive(service).journal is None
    assert Primitive(service, journal=str(tmp_path / "other.sqlite")).journal.path == tmp_path / "other.sqlite"
    with pytest.raises(TypeError, match="journal: expected the name of a file, got 3"):
        Primitive(service, journal=3)
