"""Checkpoints of training: all that goes on, in one file that is whole or not there."""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from .._core.files import require_writable
from .._core.shown import Shown, called
from .._storage.checkpoint import read_checkpoint, write_checkpoint
from .streams import has_state, process_state, set_process_state, set_state, state_of, streams_of

KIND = "checkpoint"


class Checkpoint(Shown):
    """A file of a training run: model, optimizer and whatever else has a state, random states, and how far it is.

    ::

        checkpoint = qtm.Checkpoint("run.qtm", model, optimizer)
        done = checkpoint.resume(step=0)
        for step in range(done["step"], 1000):
            ...
            checkpoint.save(step=step + 1)

    A run that is killed and started again ends with the same weights as one that is not, bit for bit, if its data come
    from generators or from the step. Saved are the states of all that is given; the global random states of PyTorch,
    NumPy and Python; what the methods of a model draw from (`qtm.methods.SPSA`, `qtm.methods.Shots`), and the position
    in the journal of `qtm.methods.Primitive`. The file is read back before it takes the place of an older one, which
    stays whole through a kill or a full disk. Reading it runs no code, and a flipped bit is found.

    Args:
        path: The file; folders above it are made.
        model: Any module.
        optimizer: Any optimizer.
        scheduler: Any scheduler.
        others: More to be saved, by name: whatever has ``state_dict`` and ``load_state_dict``, and generators of
            random numbers of PyTorch, NumPy and Python, such as that of a ``DataLoader``.

    Raises:
        TypeError: an argument is of the wrong kind.
        OSError: the file cannot be written there.

    Example:
        >>> circuit, x, w = qtm.circuits.incremental_data_uploading(2, 1)
        >>> model = qtm.QuantumModule(circuit, x, w, seed_init=0)
        >>> optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
        >>> checkpoint = qtm.Checkpoint("run.qtm", model, optimizer)
        >>> progress = checkpoint.resume()  # {} where there is nothing to go on from
        >>> for step in range(progress.get("step", -1) + 1, 3):
        ...     optimizer.zero_grad()
        ...     model(torch.rand(8, 2)).sum().backward()
        ...     optimizer.step()
        ...     checkpoint.save(step=step)
        >>> checkpoint.resume()
        {'step': 2}
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        model: torch.nn.Module,
        optimizer: Any = None,
        scheduler: Any = None,
        **others: Any,
    ) -> None:
        if not isinstance(path, (str, os.PathLike)):
            raise TypeError(f"path: expected the name of a file, got {path!r}")
        if not isinstance(model, torch.nn.Module):
            raise TypeError(f"model: expected a module of PyTorch, got {type(model).__name__}")
        given = {"model": model, "optimizer": optimizer, "scheduler": scheduler, **others}
        self.path = Path(path).absolute()  # programs may go to other folders
        self._given = {name: one for name, one in given.items() if one is not None or name in others}
        for name, one in self._given.items():
            if isinstance(one, type) or not has_state(one):
                raise TypeError(
                    f"{name}: expected an object with state_dict() and load_state_dict(), or a generator of random "
                    f"numbers, got {one!r:.100}; what is plain data goes to save({name}=...)"
                )
        require_writable(self.path)

    def __repr__(self) -> str:
        return called(
            self, repr(str(self.path)), *(f"{name}={type(one).__name__}" for name, one in self._given.items())
        )

    def exists(self) -> bool:
        """Whether there is a file to go on with."""
        return self.path.exists()

    def save(self, **progress: Any) -> None:
        """Writes all states, as they are now.

        Args:
            progress: How far the run is, by name: numbers, texts, tensors, arrays, and lists and dictionaries of such;
                what `load` returns.

        Raises:
            TypeError: something cannot be written; the message says where. Nothing is written.
            OSError: the file cannot be written; an older one stays as it was.
        """
        try:
            write_checkpoint(self.path, KIND, {**self._states(), "progress": progress})
        except TypeError as error:  # in terms of what was given
            raise TypeError(re.sub(r"\Acontent\['(?:progress|states)'\]\['(\w+)'\]", r"\1", str(error))) from error

    def load(self) -> dict[str, Any]:
        """Puts everything into the states that were saved.

        Returns:
            What `save` was given.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the file is damaged or of another kind, or does not fit what this checkpoint is of; nothing has
                changed then.
        """
        content = progress_and_states(self.path)
        before = copy.deepcopy(self._states())  # those of modules share memory with them
        try:
            self._put(content)
        except Exception as error:
            self._put(before)
            reason = " ".join(str(error).split())
            raise ValueError(
                f"{self.path} does not fit: {reason[:500]}; go on with the model, optimizer and method that the run "
                "had, or begin anew with another file"
            ) from error
        return dict(content["progress"])

    def resume(self, **beginning: Any) -> dict[str, Any]:
        """What a run begins with, and in its place what `load` gives, where there is a file.

        Args:
            beginning: By the names that `save` is given; what a file lacks, such as one of an older script, is as here.

        Raises:
            ValueError: as for `load`.
        """
        return {**beginning, **self.load()} if self.exists() else beginning

    def _states(self) -> dict[str, Any]:
        streams = streams_of(self._given)
        return {
            "states": {name: state_of(one) for name, one in self._given.items()},
            "streams": {name: state_of(one) for name, one in streams.items()},
            "random": process_state(),
        }

    def _put(self, content: Mapping[str, Any]) -> None:
        streams = streams_of(self._given)
        for saved, own in ((content["states"], self._given), (content["streams"], streams)):
            if saved.keys() != own.keys():
                raise ValueError(f"it holds states of {_listed(saved)}, and this is a checkpoint of {_listed(own)}")
        _require_same_tensors(content["states"]["model"], self._given["model"].state_dict())
        for name, one in self._given.items():
            if isinstance(one, torch.optim.Optimizer):
                _require_same_kind(name, content["states"][name]["param_groups"], one.param_groups)
        for saved, own in ((content["states"], self._given), (content["streams"], streams)):
            for name, one in own.items():
                set_state(one, saved[name])
        set_process_state(content["random"])


def progress_and_states(path: Path) -> dict[str, Any]:
    """What a checkpoint holds.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged or of another kind.
    """
    content = read_checkpoint(path, KIND)
    parts = {"states", "streams", "random", "progress"}
    if content.keys() != parts or not all(isinstance(part, dict) for part in content.values()):
        raise ValueError(f"{path} is of another version of qiskit-torch-module; update it")
    return content


def _listed(names: Mapping[str, Any]) -> str:
    return ", ".join(sorted(names)) or "nothing"


def _require_same_kind(name: str, saved: list[dict[str, Any]], own: list[dict[str, Any]]) -> None:
    """PyTorch takes the options of another optimizer for its own. One with more of them may be of another version."""
    for theirs, ours in zip(saved, own, strict=False):
        strange, missing = theirs.keys() - ours.keys(), ours.keys() - theirs.keys()
        if strange and missing:
            raise ValueError(
                f"the {name} that was saved is of another class: it has {', '.join(sorted(strange))}, not "
                f"{', '.join(sorted(missing))}"
            )


def _require_same_tensors(saved: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """PyTorch casts what it loads without a word."""
    for name in saved.keys() & own.keys():
        old, new = saved[name], own[name]
        if isinstance(old, torch.Tensor) and type(new) in (torch.Tensor, torch.nn.Parameter) and old.dtype != new.dtype:
            raise ValueError(
                f"model: {name} was saved as {old.dtype}, and now it is {new.dtype}; call model.to({old.dtype}) first"
            )
