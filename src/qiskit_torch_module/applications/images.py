"""Images of handwritten digits, split into training and test, as rows of pixels between 0 and 1."""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

SIDE = 10  # pixels, as in Meyer et al., arXiv:2404.06314
NUM_CLASSES = 10
TEST_SHARE = 0.2
MAX_BYTES = 1 << 28  # five times MNIST

_WHERE = (
    "MNIST is not shipped with this package; download train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, "
    "t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz, e.g. from https://ossci-datasets.s3.amazonaws.com/mnist/ "
    "and name their folder with --data-dir"
)


@dataclass(frozen=True)
class Images:
    """Pixels of shape (images, SIDE * SIDE) as float32, labels of shape (images,) as int64."""

    name: str
    train_pixels: torch.Tensor
    train_labels: torch.Tensor
    test_pixels: torch.Tensor
    test_labels: torch.Tensor


def load_digits(seed: int) -> Images:
    """The 1797 digits of 8x8 pixels that ship with scikit-learn; a fifth of each class is the test set."""
    from sklearn.datasets import load_digits as load

    pixels, labels = load(return_X_y=True)
    return _split("digits", _rows(pixels.reshape(-1, 8, 8) / 16.0), torch.as_tensor(labels), seed)


def load_mnist(folder: Path | None, seed: int) -> Images:
    """MNIST from IDX files, compressed or not. A folder with the test files alone is split.

    Raises:
        FileNotFoundError: no folder was given, or the files are not in it; the message says where to get them.
        PermissionError: the folder cannot be read.
        ValueError: a file is not the IDX file that its name says.
    """
    if folder is None:
        raise FileNotFoundError(_WHERE)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is no folder; {_WHERE}")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise PermissionError(f"{folder} cannot be read; change its permissions, or copy the files elsewhere")
    test = _read_pair(folder, "t10k")
    if _find(folder, "train-images-idx3-ubyte") is None and test is not None:
        return _split("mnist (test files only)", *test, seed)
    train = _read_pair(folder, "train")
    if train is None or test is None:
        raise FileNotFoundError(f"no IDX files in {folder}; {_WHERE}")
    return Images("mnist", *train, *test)


def _read_pair(folder: Path, prefix: str) -> tuple[torch.Tensor, torch.Tensor] | None:
    images, labels = _find(folder, f"{prefix}-images-idx3-ubyte"), _find(folder, f"{prefix}-labels-idx1-ubyte")
    if images is None or labels is None:
        return None
    pixels, classes = read_idx(images, 3), read_idx(labels, 1)
    if len(pixels) != len(classes):
        raise ValueError(f"{images} holds {len(pixels)} images but {labels} {len(classes)} labels; download both again")
    if pixels.size == 0:
        raise ValueError(f"{images}: expected images, got an array of shape {pixels.shape}; download it again")
    if classes.max() >= NUM_CLASSES:
        raise ValueError(f"{labels}: expected labels 0 to {NUM_CLASSES - 1}, got {classes.max()}")
    return _rows(pixels / 255.0), torch.as_tensor(classes.astype(np.int64))


def _find(folder: Path, stem: str) -> Path | None:
    # torchvision and some mirrors write "idx3-ubyte" with a dot in front.
    names = (stem, f"{stem}.gz", stem.replace("-idx", ".idx"), stem.replace("-idx", ".idx") + ".gz")
    return next((folder / name for name in names if (folder / name).is_file()), None)


def read_idx(path: Path, num_dimensions: int) -> npt.NDArray[np.uint8]:
    """An IDX file of unsigned bytes (LeCun, Cortes and Burges) as an array; no more is read than its header says.

    Raises:
        ValueError: the file is damaged, or no IDX file of that many dimensions.
    """
    length = 4 + 4 * num_dimensions
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            header = file.read(length)
            if len(header) < length or header[:4] != bytes([0, 0, 8, num_dimensions]):
                raise ValueError(
                    f"{path} is no IDX file of unsigned bytes with {num_dimensions} dimensions; download it again"
                )
            shape = struct.unpack(f">{num_dimensions}I", header[4:])
            expected = math.prod(shape)
            if expected > MAX_BYTES:
                raise ValueError(f"{path}: shape {shape} is {expected} bytes, more than {MAX_BYTES}; download it again")
            data = file.read(expected + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is damaged ({error}); download it again") from error
    if len(data) != expected:
        got = len(data) if len(data) < expected else f"more than {expected}"
        raise ValueError(f"{path}: expected {expected} bytes of data for shape {shape}, got {got}; download it again")
    return np.frombuffer(data, np.uint8).reshape(shape)


def _rows(images: npt.NDArray[Any]) -> torch.Tensor:
    """Images (count, height, width) resized to SIDE x SIDE, as rows."""
    pixels = torch.as_tensor(images, dtype=torch.float32).unsqueeze(1)
    resized = torch.nn.functional.interpolate(pixels, size=(SIDE, SIDE), mode="bilinear", antialias=True)
    return resized.clamp(0, 1).reshape(len(images), SIDE * SIDE)


def _split(name: str, pixels: torch.Tensor, labels: torch.Tensor, seed: int) -> Images:
    """A fifth of each class is the test set.

    Raises:
        ValueError: there are too few images for that.
    """
    from sklearn.model_selection import train_test_split

    counts = torch.bincount(labels)
    present = int((counts > 0).sum())
    if counts[counts > 0].min() < 2 or TEST_SHARE * len(labels) < present:
        raise ValueError(
            f"{name}: expected at least 2 images of each class, and {round(1 / TEST_SHARE)} times as many as there are "
            f"classes ({present}), to split them into training and test set; got {counts.tolist()} of each class"
        )
    train, test = train_test_split(
        np.arange(len(labels)), test_size=TEST_SHARE, random_state=seed, stratify=labels.numpy()
    )
    return Images(name, pixels[train], labels[train], pixels[test], labels[test])
