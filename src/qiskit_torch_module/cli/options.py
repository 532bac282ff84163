"""Options that several commands have."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from ..applications.images import Images, load_digits, load_mnist
from .errors import WRONG_ARGUMENT, one_line_errors


class Data(str, Enum):
    """Which digits."""

    digits = "digits"
    mnist = "mnist"


def path(given: str | Path) -> Path:
    """A path that has a name: an empty one, as of a variable that was never set, would be the folder one is in.

    Raises:
        BadParameter: it is empty.
    """
    if not str(given):
        raise typer.BadParameter("expected a name, got ''; give one, such as . for the folder you are in")
    return Path(given)


A_PATH: dict[str, Any] = {"parser": path, "metavar": "PATH"}

DataOption = Annotated[Data, typer.Option(help="digits: ships with scikit-learn; mnist: IDX files in --data-dir.")]
FolderOption = Annotated[Path | None, typer.Option(**A_PATH, help="Folder with the IDX files of MNIST (.gz or not).")]
SeedOption = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed of split, initial weights and shuffling.")]
ThreadsOption = Annotated[
    int, typer.Option(min=0, max=1024, help="Threads, at most one for each processor; 0: as many as PyTorch uses.")
]


def images_of(data: Data, folder: Path | None, seed: int) -> Images:
    """The images that --data and --data-dir ask for, split by a seed.

    Raises:
        Exit: there is a folder for digits that need none, or none for MNIST.
        OSError, ValueError: the folder does not hold MNIST.
    """
    with one_line_errors(WRONG_ARGUMENT):
        if data is Data.digits and folder is not None:
            raise ValueError("--data-dir goes with --data mnist; the digits ship with scikit-learn")
        if data is Data.mnist and folder is None:
            return load_mnist(None, seed)  # which says where they are
    return load_digits(seed) if data is Data.digits else load_mnist(folder, seed)
