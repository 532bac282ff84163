"""Checkpoints: whole or not at all, and no code on loading."""

import pickle

import pytest
import torch

from qiskit_torch_module import _checkpoint
from qiskit_torch_module._checkpoint import read_checkpoint, write_checkpoint


def test_round_trip(tmp_path):
    write_checkpoint(tmp_path / "new" / "a.pt", "kind", {"weights": torch.arange(3.0), "history": [1, 2.5]})
    content = read_checkpoint(tmp_path / "new" / "a.pt", "kind")
    assert content["weights"].tolist() == [0, 1, 2]
    assert content["history"] == [1, 2.5]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.pt"]


def test_a_failure_in_the_middle_leaves_the_old_file(tmp_path, monkeypatch):
    write_checkpoint(tmp_path / "a.pt", "kind", {"value": 1})

    def fail(content, file):
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        write_checkpoint(tmp_path / "a.pt", "kind", {"value": 2})
    assert read_checkpoint(tmp_path / "a.pt", "kind")["value"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt"]


class Harmful:
    def __reduce__(self):
        return (exec, ("raise SystemExit('code was run')",))


def test_code_is_never_run(tmp_path):
    torch.save({"kind": "kind", "x": Harmful()}, tmp_path / "a.pt")
    (tmp_path / "b.pt").write_bytes(pickle.dumps(Harmful()))
    for name in ("a.pt", "b.pt"):
        with pytest.raises(ValueError, match="is damaged or no checkpoint"):
            read_checkpoint(tmp_path / name, "kind")


def test_newer_versions_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(_checkpoint, "_VERSION", 2)
    write_checkpoint(tmp_path / "a.pt", "kind", {})
    monkeypatch.setattr(_checkpoint, "_VERSION", 1)
    with pytest.raises(ValueError, match="newer version"):
        read_checkpoint(tmp_path / "a.pt", "kind")
