"""Files damaged by accident or on purpose: refused, or read as something sound; never slow, large or fatal."""

import contextlib
import copy
import hashlib
import io
import json
import random
import time
import tracemalloc

import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector

import qiskit_torch_module as qtm
from conftest import NIGHTLY
from qiskit_torch_module._storage import container
from qiskit_torch_module._storage.checkpoint import read_checkpoint, write_checkpoint

NUM_FILES = 6_000 if NIGHTLY else 400
DIGEST_BYTES = 32
LENGTH_AT = len(b"qiskit-torch-module file 2\n")


def model():
    x, w = ParameterVector("x", 2), ParameterVector("w", 3)
    inner = QuantumCircuit(2, name="inner")
    inner.ry(w[0] * x[0], 0)
    inner.cx(0, 1)
    circuit = QuantumCircuit(2, global_phase=w[2])
    circuit.append(inner.to_gate(), [1, 0])
    circuit.rx(w[1].sin() + x[1] ** 2 if hasattr(x[1], "__pow__") else w[1].sin() + x[1], 0)
    circuit.rzz(w[2], 0, 1)
    return qtm.QuantumModule(circuit, x, [w[:2], w[2:]], seed_init=1, observables=["XZ", {"ZZ": 0.5, "II": 1.0}])


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("files") / "model"
    qtm.save(model(), path)
    return path.read_bytes()


def flipped(generator, data):
    for _ in range(generator.randint(1, 4)):
        data[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
    return data


def truncated(generator, data):
    return data[: generator.randrange(len(data))]


def spliced(generator, data):
    begin, end = sorted(generator.randrange(len(data) + 1) for _ in range(2))
    at = generator.randrange(len(data))
    return data[:at] + data[begin:end] + data[at + generator.choice([0, end - begin]) :]


def overwritten(generator, data):
    at = generator.randrange(len(data))
    piece = generator.choice(
        [b"\xff" * 8, b"\0" * 8, b"9" * 20, b"-1", b"1e999", b"[[[[", b'"', b"NaN", b"null", b"0.5"]
    )
    return data[:at] + piece + data[at + len(piece) :]


DAMAGES = (flipped, truncated, spliced, overwritten)


def loads_or_refuses(path, data, limit=4_000_000):
    path.write_bytes(data)
    begin = time.perf_counter()
    tracemalloc.start()
    try:
        found = qtm.load(path)
        with contextlib.suppress(RuntimeError):
            _ = found.circuit
    except (OSError, ValueError) as error:
        return str(error)
    finally:
        assert time.perf_counter() - begin < 10
        assert tracemalloc.get_traced_memory()[1] < limit + 60 * len(data)
        tracemalloc.stop()
    return None


def test_accidents_are_found(tmp_path, whole):
    generator = random.Random(1)
    for _ in range(NUM_FILES):
        data = bytes(generator.choice(DAMAGES)(generator, bytearray(whole)))
        if data != whole:
            assert loads_or_refuses(tmp_path / "model", data), data


def signed(data):
    return data + hashlib.sha256(data).digest()


def test_damage_under_a_right_checksum_is_refused_or_sound(tmp_path, whole):
    """What is read then is a model of its own, whose values can be computed."""
    generator, num_refused = random.Random(2), 0
    for _ in range(NUM_FILES):
        data = bytes(generator.choice(DAMAGES)(generator, bytearray(whole[:-DIGEST_BYTES])))
        if not data.startswith(whole[:LENGTH_AT]):
            data = whole[:LENGTH_AT] + data[LENGTH_AT:]
        num_refused += loads_or_refuses(tmp_path / "model", signed(data)) is not None
    assert num_refused > NUM_FILES / 2


def changed_somewhere(generator, plain):
    """Plain data of JSON with one part replaced, removed, or put somewhere else."""
    places = []

    def walk(node):
        items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        for key, value in items:
            places.append((node, key))
            walk(value)

    walk(plain)
    node, key = generator.choice(places)
    other, there = generator.choice(places)
    values = [
        0,
        -1,
        1 << 40,
        0.5,
        1e308,
        True,
        None,
        "",
        "x" * 100,
        [],
        {},
        [[]],
        copy.deepcopy(other[there]),
        {"tensor": ["int8", [1 << 40]]},
    ]
    if generator.random() < 0.2:
        del node[key]
    else:
        node[key] = generator.choice(values)
    return plain


def test_changes_of_the_structure_are_refused_or_sound(tmp_path, whole):
    generator = random.Random(3)
    length = int.from_bytes(whole[LENGTH_AT : LENGTH_AT + 8], "little")
    text, blobs = whole[LENGTH_AT + 8 : LENGTH_AT + 8 + length], whole[LENGTH_AT + 8 + length : -DIGEST_BYTES]
    for _ in range(NUM_FILES):
        changed = json.dumps(changed_somewhere(generator, json.loads(text))).encode()
        data = whole[:LENGTH_AT] + len(changed).to_bytes(8, "little") + changed + blobs
        loads_or_refuses(tmp_path / "model", signed(data))


def test_changes_of_what_a_model_is_made_of_are_refused_or_sound(tmp_path, whole):
    """Program and circuit stand in the file as texts of their own."""
    generator, content = random.Random(4), container.decoded(io.BytesIO(whole)).content
    for _ in range(NUM_FILES):
        changed = dict(content)
        name = generator.choice(["program", "circuit"])
        text = content["program"] if name == "program" else content["circuit"]["text"]
        text = json.dumps(changed_somewhere(generator, json.loads(text))).encode()
        changed[name] = text if name == "program" else {**content["circuit"], "text": text}
        write_checkpoint(tmp_path / "model", "quantum module", changed) if generator.random() < 0.02 else None
        loads_or_refuses(tmp_path / "model", b"".join(container.encoded("quantum module", changed)))


def test_damaged_checkpoints_of_every_kind(tmp_path):
    """Those of the older format are archives of PyTorch."""
    path, generator = tmp_path / "checkpoint", random.Random(5)
    torch.save({"kind": "kind", "version": 1, "weights": {"a": torch.rand(8)}, "history": [1.0, (2, 3)]}, path)
    old = path.read_bytes()
    for _ in range(NUM_FILES // 2):
        path.write_bytes(bytes(generator.choice(DAMAGES)(generator, bytearray(old))))
        try:
            read_checkpoint(path, "kind")
        except (OSError, ValueError):
            continue
