"""Checkpoints: what is read is what was written, or an error; and no code on reading."""

import collections
import hashlib
import io
import json
import math
import pickle
import random
import tracemalloc
import zipfile

import numpy as np
import pytest
import torch

from qiskit_torch_module._storage import container
from qiskit_torch_module._storage.checkpoint import read_checkpoint, write_checkpoint


def same(first, second):
    """Equal, and of one type all the way down; NaN equals itself."""
    if isinstance(first, torch.Tensor):
        return first.dtype == second.dtype and torch.equal(first.nan_to_num(7.5), second.nan_to_num(7.5))
    if isinstance(first, np.ndarray):
        return first.dtype == second.dtype and np.array_equal(first, second)
    if type(first) is not type(second):
        return False
    if isinstance(first, dict):
        return list(first) == list(second) and all(same(first[key], second[key]) for key in first)
    if isinstance(first, (list, tuple)):
        return len(first) == len(second) and all(map(same, first, second))
    return first == second or (first != first and second != second)


CONTENT = {
    "nothing": None,
    "truth": [True, False],
    "numbers": [0, -1, 1 << 1000, 0.1, -0.0, 5e-324, 1e308, math.inf, -math.inf, math.nan],
    "texts": ["", "ß", "\ud800", "a\nb", {"tensor": "no tag"}],
    "nested": {"tuple": ((), (1, (2.5,))), 3: {0: "integer", "0": "text"}, "": []},
    "bytes": [b"", b"\x00\xff"],
    "tensors": [
        torch.zeros(0),
        torch.zeros(3, 0, 2),
        torch.tensor(0.1),
        torch.arange(24.0).reshape(2, 3, 4).transpose(0, 2),
        torch.tensor([math.nan, math.inf, -0.0], dtype=torch.float16),
        torch.tensor([True, False]),
        torch.tensor([1 + 2j], dtype=torch.complex64).conj(),
        *(torch.arange(-3, 4).to(dtype) for dtype, _ in container._DTYPES.values()),
    ],
    "arrays": [np.arange(6.0).reshape(2, 3)[:, ::-1], np.arange(3, dtype=">i4").astype("=i4"), np.zeros((0, 2))],
}


def write(path, content, kind="kind"):
    write_checkpoint(path, kind, content)
    return path


def test_round_trip(tmp_path):
    path = write(tmp_path / "new" / "a.pt", CONTENT)
    assert same(read_checkpoint(path, "kind"), CONTENT)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.pt"]


def test_the_state_of_a_training_run(tmp_path):
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 3)
    model(torch.rand(4, 2)).sum().backward()
    optimizer.step()
    content = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "random": (torch.get_rng_state(), random.getstate()),
        "history": [1.0, math.nan],
        "parameter": model[0].weight,
    }
    read = read_checkpoint(write(tmp_path / "a", content), "kind")
    model.load_state_dict(read["model"])
    optimizer.load_state_dict(read["optimizer"])
    torch.set_rng_state(read["random"][0])
    random.setstate(read["random"][1])
    assert same(read["optimizer"]["state"][0]["exp_avg"], optimizer.state_dict()["state"][0]["exp_avg"])
    schedule.load_state_dict(
        read_checkpoint(write(tmp_path / "b", {"schedule": dict(schedule.state_dict())}), "kind")["schedule"]
    )


def test_subclasses_and_numbers_of_numpy_come_back_plain(tmp_path):
    content = {"a": collections.OrderedDict(x=np.float64(0.1)), "b": np.int64(3), "c": torch.Size([2]), "d": np.True_}
    read = read_checkpoint(write(tmp_path / "a", content), "kind")
    assert same(read, {"a": {"x": 0.1}, "b": 3, "c": (2,), "d": True})


Point = collections.namedtuple("Point", "x y")


@pytest.mark.parametrize(
    "value", [{1, 2}, object(), Point(1, 2), 1j, {1.5: 0}, {(1,): 0}, np.array(["a"]), torch.rand(2).to_sparse()]
)
def test_other_things_are_refused_by_their_place(tmp_path, value):
    with pytest.raises(TypeError, match=r"content\['here'\]\[1\]: expected "):
        write_checkpoint(tmp_path / "a", "kind", {"here": [0, value]})
    assert list(tmp_path.iterdir()) == []


def test_what_is_nested_too_deep_or_too_large_is_refused(tmp_path):
    deep = []
    for _ in range(100):
        deep = [deep]
    with pytest.raises(ValueError, match="expected at most 64 levels"):
        write_checkpoint(tmp_path / "a", "kind", {"here": deep})
    with pytest.raises(ValueError, match="at most 1024 bits"):
        write_checkpoint(tmp_path / "a", "kind", {"here": 1 << 2000})


def test_what_does_not_come_back_is_not_written(tmp_path, monkeypatch):
    path = write(tmp_path / "a", {"value": 1})
    real = container._Reader.value
    monkeypatch.setattr(container._Reader, "value", lambda self, plain, depth: real(self, plain, depth) or 7)
    with pytest.raises(OSError, match="what was read back is not what was written"):
        write_checkpoint(path, "kind", {"value": 0})
    monkeypatch.undo()
    assert read_checkpoint(path, "kind") == {"value": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


class Harmful:
    def __reduce__(self):
        return (exec, ("raise SystemExit('code was run')",))


def test_code_is_never_run(tmp_path):
    torch.save({"kind": "kind", "x": Harmful()}, tmp_path / "a.pt")
    (tmp_path / "b.pt").write_bytes(pickle.dumps(Harmful()))
    for name in ("a.pt", "b.pt"):
        with pytest.raises(ValueError, match="is damaged or no checkpoint|it names __builtin__ exec|update PyTorch"):
            read_checkpoint(tmp_path / name, "kind")


before_2_6 = tuple(map(int, torch.__version__.split(".")[:2])) < (2, 6)
safe_pytorch = pytest.mark.skipif(before_2_6, reason="PyTorch before 2.6 reads no such file without trust")


def old(path, content, kind="kind", **more):
    """A file of the older format."""
    torch.save({"kind": kind, "version": 1, **content, **more}, path)
    return path


@safe_pytorch
def test_files_of_the_older_format_are_read(tmp_path):
    state = torch.nn.Linear(2, 3).double().state_dict()
    content = {"weights": state, "history": {"loss": [1.0, 2.0]}, "flag": None, "bytes": b"abc"}
    path = old(tmp_path / "a", content)
    assert same(read_checkpoint(path, "kind"), content)
    with pytest.raises(ValueError, match="a is no model but a kind; update"):
        read_checkpoint(path, "model")
    torch.save({"other": 1}, path)
    with pytest.raises(ValueError, match="a is no model but a file of another program"):
        read_checkpoint(path, "model")


def test_files_of_the_older_format_are_not_read_where_that_may_run_code(tmp_path, monkeypatch):
    path = old(tmp_path / "a", {"value": 1})
    monkeypatch.setattr(torch, "__version__", "2.5.1+cpu")
    with pytest.raises(ValueError, match=r"CVE-2025-32434.*update PyTorch to 2\.6 or later, or say trusted=True"):
        read_checkpoint(path, "kind")
    assert read_checkpoint(path, "kind", trusted=True) == {"value": 1}


@safe_pytorch
def test_archives_that_take_more_memory_than_they_are_long_are_refused(tmp_path):
    path = old(tmp_path / "a", {"weights": torch.rand(1000)})
    bomb = tmp_path / "bomb"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry in source.infolist():
            archive.writestr(entry.filename, bytes(50_000_000) if "data.pkl" in entry.filename else source.read(entry))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="packed again, with compression"):
            read_checkpoint(bomb, "kind")
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry in source.infolist():
            archive.writestr(entry.filename, source.read(entry))
    with pytest.raises(ValueError, match="packed again, with compression"):
        read_checkpoint(bomb, "kind")


@safe_pytorch
def test_tuples_of_tuples_are_not_hashed(tmp_path):
    key = ()
    for _ in range(40):
        key = (key, key)
    path = old(tmp_path / "a", {})
    with zipfile.ZipFile(path) as source:
        others = {entry.filename: source.read(entry) for entry in source.infolist()}
    pickled = b"\x80\x02}(" + pickle.dumps(key, 2)[2:-1] + b"K\x01u."
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in others.items():
            archive.writestr(name, pickled if "data.pkl" in name else data)
    with pytest.raises(ValueError, match="tuples within tuples"):
        read_checkpoint(path, "kind")


def test_files_of_pytorch_are_told_what_reads_them(tmp_path):
    layer = torch.nn.Linear(2, 2)
    torch.save(layer.state_dict(), tmp_path / "weights.pt")
    torch.save(torch.zeros(2), tmp_path / "tensor.pt")
    torch.save(layer, tmp_path / "module.pt")
    torch.save(layer.state_dict(), tmp_path / "before_archives.pt", _use_new_zipfile_serialization=False)
    with (tmp_path / "pickle.pt").open("wb") as file:
        pickle.dump({"weight": 1.0}, file)
    for path in tmp_path.iterdir():
        with pytest.raises(ValueError, match=r"read it with torch.load and give a model its weights with load_state"):
            read_checkpoint(path, "quantum module")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is damaged or no checkpoint; expected a file saved by this package$"),
        (b"hello", "is damaged or no checkpoint; expected a file saved by this package$"),
        (b"PK\x03\x04", "is a damaged archive"),
    ],
)
def test_other_files_are_not_said_to_be_of_pytorch(tmp_path, content, message):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_checkpoint(tmp_path / "a", "quantum module")
    with zipfile.ZipFile(tmp_path / "b", "w") as archive:
        archive.writestr("a.txt", "text")
    with pytest.raises(ValueError, match="it is a zip archive, of neither this package nor PyTorch"):
        read_checkpoint(tmp_path / "b", "quantum module")


@pytest.mark.parametrize(
    ("kind", "remedy"),
    [
        ("digit classifier", "read it with 'qtm evaluate'"),
        ("quantum module", "read it with qiskit_torch_module.load"),
        ("something to come", "update qiskit-torch-module"),
    ],
)
def test_what_is_of_another_kind_says_what_reads_it(tmp_path, kind, remedy):
    with pytest.raises(ValueError, match=f"is no kind but a {kind}, written with .*; {remedy}$"):
        read_checkpoint(write(tmp_path / "a", {}, kind), "kind")


def test_another_version_and_another_kind_say_so(tmp_path, monkeypatch):
    path = write(tmp_path / "a", {}, "digit classifier")
    with pytest.raises(ValueError, match=r"a is no model but a digit classifier, written with qiskit-torch-module \d"):
        read_checkpoint(path, "model")
    for other, advice in ((3, "update qiskit-torch-module"), (999, "update"), (1, "no release")):
        monkeypatch.setattr(container, "VERSION", other)
        pieces = container.encoded("model", {})
        monkeypatch.undo()
        path.write_bytes(b"".join(pieces))
        with pytest.raises(
            ValueError, match=f"of version {other} of the format, this release reads version 2; {advice}"
        ):
            read_checkpoint(path, "model")


def test_what_is_no_file_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing is no file"):
        read_checkpoint(tmp_path / "nothing", "kind")
    with pytest.raises(IsADirectoryError):
        read_checkpoint(tmp_path, "kind")


# Damage of every kind.

SMALL = {"weights": torch.arange(4.0), "text": "some text", "loss": [0.5, math.inf], "state": {0: b"bytes"}}


def refused(data):
    try:
        container.decoded(io.BytesIO(data))
    except ValueError:
        return True
    return False


def test_every_flipped_bit_is_found(tmp_path):
    whole = write(tmp_path / "a", SMALL).read_bytes()
    for bit in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        assert refused(damaged), bit
    (tmp_path / "a").write_bytes(damaged)
    with pytest.raises(ValueError, match="a cannot be read: it is damaged, its checksum does not fit its content"):
        read_checkpoint(tmp_path / "a", "kind")


def test_every_truncation_and_every_addition_is_found(tmp_path):
    whole = write(tmp_path / "a", SMALL).read_bytes()
    for end in range(len(whole)):
        assert refused(whole[:end]), end
        assert refused(whole[end:] + whole[:end]) or end == 0
    for more in (b"\0", b"\n", whole):
        assert refused(whole + more)


def signed(data):
    """With the right checksum, as somebody who wants to do harm would write it."""
    return data + hashlib.sha256(data).digest()


def file_of(structure, blobs=b"", length=None, version=b"2"):
    text = structure if isinstance(structure, bytes) else json.dumps(structure).encode()
    length = len(text) if length is None else length
    return signed(b"qiskit-torch-module file " + version + b"\n" + length.to_bytes(8, "little") + text + blobs)


def of(content):
    return {"kind": "kind", "written_with": {}, "content": {"dict": {"x": content}}}


BOMBS = {
    "no structure": file_of(b""),
    "a structure longer than the file": file_of(of(1), length=1 << 62),
    "not JSON": file_of(b"\xff\xfe"),
    "deep": file_of(b"[" * 100_000),
    "an endless number": file_of(b'{"kind": ' + b"9" * 1_000_000),
    "a name twice": file_of(b'{"kind": "kind", "kind": "kind", "written_with": {}, "content": {"dict": {}}}'),
    "NaN": file_of(b'{"kind": "kind", "written_with": {}, "content": {"dict": {"x": NaN}}}'),
    "beyond the range": file_of(b'{"kind": "kind", "written_with": {}, "content": {"dict": {"x": 1e999}}}'),
    "content that is no dictionary": file_of({"kind": "kind", "written_with": {}, "content": [1]}),
    "a kind that is no text": file_of({"kind": 1, "written_with": {}, "content": {"dict": {}}}),
    "versions that are no texts": file_of({"kind": "kind", "written_with": {"a": 1}, "content": {"dict": {}}}),
    "a field more": file_of({"kind": "kind", "written_with": {}, "content": {"dict": {}}, "x": 1}),
    "an unknown object": file_of(of({"pickle": "x"})),
    "an object of two names": file_of(of({"dict": {}, "tuple": []})),
    "bytes beyond the file": file_of(of({"bytes": 1 << 60})),
    "bytes of a negative number": file_of(of({"bytes": -1})),
    "bytes of no number": file_of(of({"bytes": True})),
    "bytes that nothing takes": file_of(of(1), b"more"),
    "a huge tensor": file_of(of({"tensor": ["float64", [1 << 40]]})),
    "a tensor of a huge product": file_of(of({"tensor": ["float64", [1 << 47] * 60]})),
    "an empty tensor of huge extents": file_of(of({"tensor": ["float64", [0, 1 << 47, 1 << 47]]})),
    "many dimensions": file_of(of({"tensor": ["float64", [1] * 1000]}), bytes(8)),
    "an unknown dtype": file_of(of({"tensor": ["object", [1]]}), bytes(8)),
    "a negative extent": file_of(of({"tensor": ["float64", [-1, -1]]}), bytes(8)),
    "a truth value of 2": file_of(of({"tensor": ["bool", [1]]}), b"\2"),
    "a key twice": file_of(of({"items": [[1, 0], [1, 0]]})),
    "a list for a key": file_of(of({"items": [[[], 0]]})),
    "a float of another name": file_of(of({"float": "1"})),
    "version 0": file_of(of(1), version=b"0"),
    "a version of many digits": file_of(of(1), version=b"1" * 30),
}


@pytest.mark.parametrize("data", BOMBS.values(), ids=BOMBS.keys())
def test_files_that_are_made_to_do_harm_are_refused_without_memory(tmp_path, data):
    (tmp_path / "a").write_bytes(data)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="a (is|cannot be read)"):
            read_checkpoint(tmp_path / "a", "kind")
        assert tracemalloc.get_traced_memory()[1] < 8_000_000 + 40 * len(data)
    finally:
        tracemalloc.stop()


def test_a_sparse_file_of_a_terabyte_takes_no_memory(tmp_path):
    path = tmp_path / "a"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ValueError, match="is damaged or no checkpoint"):
        read_checkpoint(path, "kind")
