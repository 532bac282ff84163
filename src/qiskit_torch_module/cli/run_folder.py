"""The folder of a training run: the model with everything needed to resume, its history, and the learning curve."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from pathlib import Path

from .._core.files import require_writable
from ..applications.training import History, Settings, Training
from ..plots import plot_learning_curve

MODEL, HISTORY, CURVE = "model.pt", "history.json", "learning_curve.png"

# Room for the files: two models while one replaces the other, the picture, and a few numbers for every update.
_LEAST_ROOM, _ROOM_FOR_UPDATE = 1 << 18, 128


class RunFolder:
    """A folder that a run may write to.

    Args:
        path: The folder; it is made if it does not exist.
        num_updates: How many updates its history will have.

    Raises:
        OSError: it cannot be written to, or has no room; raised before there is anything to lose.
    """

    def __init__(self, path: Path, num_updates: int) -> None:
        self.path = path
        room = _LEAST_ROOM + _ROOM_FOR_UPDATE * min(num_updates, 10**7)
        try:
            require_writable(self.model, room)
        except OSError as error:
            reason = f"{error.strerror}; a run needs {room >> 10} KiB there, name another folder with --output"
            raise OSError(error.errno, reason, str(path)) from error

    @property
    def model(self) -> Path:
        """The file of the model."""
        return self.path / MODEL

    def set_aside(self) -> Path:
        """Keeps the model of an earlier run under another name, which is returned."""
        return self.model.replace(self.model.with_stem(f"{self.model.stem}.previous"))

    def write(self, run: Training, settings: Settings, title: str) -> None:
        """Writes all files of the run.

        Raises:
            OSError: a file cannot be written; the earlier ones are.
        """
        run.save(self.model, settings)
        self._write_history(run.history)
        plot_learning_curve(run.history, title, self.path / CURVE)

    def _write_history(self, history: History) -> None:
        (self.path / HISTORY).write_text(json.dumps(asdict(history)))


def rescue_folder() -> Path:
    """A new folder for files that cannot be written where they should go."""
    return Path(tempfile.mkdtemp(prefix="qtm-digits-"))
