"""Digits from scikit-learn and IDX files."""

import gzip

import numpy as np
import pytest
import torch

from qiskit_torch_module.applications.images import load_digits, load_mnist, read_idx


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + np.asarray(array.shape, ">u4").tobytes() + array.tobytes()


def write_mnist(folder, prefix, count, suffix=""):
    rng = np.random.default_rng(count)
    images = rng.integers(0, 256, (count, 28, 28)).astype(np.uint8)
    labels = (np.arange(count) % 10).astype(np.uint8)
    write = gzip.compress if suffix else bytes
    (folder / f"{prefix}-images-idx3-ubyte{suffix}").write_bytes(write(idx(images)))
    (folder / f"{prefix}-labels-idx1-ubyte{suffix}").write_bytes(write(idx(labels)))


def test_digits_are_split_by_class_and_seed():
    images = load_digits(0)
    assert images.train_pixels.shape == (1437, 100)
    assert images.test_pixels.shape == (360, 100)
    assert 0 <= images.train_pixels.min() < images.train_pixels.max() <= 1
    assert torch.bincount(images.test_labels).min() >= 34
    assert torch.equal(load_digits(0).test_pixels, images.test_pixels)
    assert not torch.equal(load_digits(1).test_pixels, images.test_pixels)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_files(tmp_path, suffix):
    write_mnist(tmp_path, "train", 30, suffix)
    write_mnist(tmp_path, "t10k", 20, suffix)
    images = load_mnist(tmp_path, 0)
    assert images.train_pixels.shape == (30, 100)
    assert images.test_labels.tolist() == list(range(10)) * 2


def test_the_test_files_alone_are_split(tmp_path):
    write_mnist(tmp_path, "t10k", 50)
    images = load_mnist(tmp_path, 0)
    assert (len(images.train_labels), len(images.test_labels)) == (40, 10)


def damaged(folder):
    write_mnist(folder, "t10k", 50, ".gz")
    path = folder / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:100])


def truncated(folder):
    write_mnist(folder, "t10k", 50)
    path = folder / "t10k-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-1])


def mismatched(folder):
    write_mnist(folder, "t10k", 50)
    (folder / "t10k-labels-idx1-ubyte").write_bytes(idx(np.zeros(49, np.uint8)))


def foreign(folder):
    write_mnist(folder, "t10k", 50)
    (folder / "t10k-labels-idx1-ubyte").write_bytes(b"not an IDX file at all")


def empty(folder):
    write_mnist(folder, "t10k", 0)


def without_pixels(folder):
    write_mnist(folder, "t10k", 50)
    (folder / "t10k-images-idx3-ubyte").write_bytes(idx(np.zeros((50, 0, 0), np.uint8)))


def enormous(folder):
    write_mnist(folder, "t10k", 50)
    (folder / "t10k-images-idx3-ubyte").write_bytes(bytes([0, 0, 8, 3]) + b"\xff" * 12)


def product_of_2_64(folder):
    write_mnist(folder, "t10k", 50)
    extents = np.array([2**31, 2**31, 4], ">u4").tobytes()
    (folder / "t10k-images-idx3-ubyte").write_bytes(bytes([0, 0, 8, 3]) + extents)


def bomb(folder):
    write_mnist(folder, "t10k", 50, ".gz")
    data = idx(np.zeros((50, 28, 28), np.uint8)) + bytes(1 << 26)
    (folder / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(data))


def few(folder):
    write_mnist(folder, "t10k", 12)


def one_of_each(folder):
    write_mnist(folder, "t10k", 10)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (empty, r"expected images, got an array of shape \(0, 28, 28\)"),
        (without_pixels, r"expected images, got an array of shape \(50, 0, 0\)"),
        (enormous, "is 79228162458924105385300197375 bytes, more than"),
        (product_of_2_64, "is 18446744073709551616 bytes, more than"),
        (bomb, "expected 39200 bytes of data .*, got more than 39200"),
        (few, "expected at least 2 images of each class"),
        (one_of_each, "expected at least 2 images of each class"),
        (damaged, "is damaged .*download it again"),
        (truncated, r"expected 39200 bytes of data for shape \(50, 28, 28\), got 39199; download it again"),
        (mismatched, "holds 50 images but .* 49 labels"),
        (foreign, "is no IDX file of unsigned bytes with 1 dimensions"),
    ],
)
def test_spoilt_files_are_named(tmp_path, spoil, message):
    spoil(tmp_path)
    with pytest.raises(ValueError, match=message) as error:
        load_mnist(tmp_path, 0)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("folder", [None, "missing", "empty"])
def test_without_files_it_says_where_to_get_them(tmp_path, folder):
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="download train-images-idx3-ubyte.gz.*--data-dir"):
        load_mnist(None if folder is None else tmp_path / folder, 0)


def test_a_folder_that_cannot_be_read(tmp_path, monkeypatch):
    write_mnist(tmp_path, "t10k", 20)
    monkeypatch.setattr("os.access", lambda *_: False)  # root may read everything
    with pytest.raises(PermissionError, match="cannot be read; change its permissions"):
        load_mnist(tmp_path, 0)


def test_labels_out_of_range(tmp_path):
    (tmp_path / "labels").write_bytes(idx(np.array([3, 1], np.uint8)))
    assert read_idx(tmp_path / "labels", 1).tolist() == [3, 1]
    write_mnist(tmp_path, "t10k", 50)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(np.full(50, 11, np.uint8)))
    with pytest.raises(ValueError, match="expected labels 0 to 9, got 11"):
        load_mnist(tmp_path, 0)
