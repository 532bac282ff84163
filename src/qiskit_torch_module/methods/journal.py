"""A journal: all jobs that were sent and what came back, so that a run whose process died goes on where it was."""

from __future__ import annotations

import io
import json
import logging
import math
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._core.shown import Shown
from .._storage.container import decoded, encoded
from .contents import Content
from .sending import Sender

if TYPE_CHECKING:  # it needs SQLite, which takes time to import
    from .._storage.job_file import Job, JobFile

_log = logging.getLogger("qiskit_torch_module")


class Journal(Shown):
    """What was sent to an estimator, and what came back.

    A job is found by what it holds (circuits, observables, parameter values, precision) and how often the run has sent
    it before: where the same is sent twice, as two draws, there are two answers. A job is written down before it is
    sent, its id as soon as it is known, and its answer before anybody sees it; each is on the disk before the next
    thing happens. A run that is started again gets all answers that there are from the file, bit for bit, and sends
    the rest. One process at a time has a journal.

    Failures that pass (of connections, time limits, and services that say they are overloaded or down) are met by
    asking again: for the same job where it may still have an answer, with a new one where it has ended.

    Args:
        path: The file; folders above it are made.
        fetch: Finds a job of an earlier process by its id, as ``service.job`` of ``QiskitRuntimeService`` does: what
            was sent before the process died is not sent again. None: it is sent again.
        timeout: Seconds to wait for a job, which is then cancelled and sent again; None: as long as it takes.
        pauses: Seconds between attempts, after the last of which a failure is an error.
        transient: Classes of errors that pass, too.

    Attributes:
        path: The file.

    Raises:
        TypeError: an argument is of the wrong kind.
        ValueError: seconds are negative or not finite; or the file is damaged, in use, or of another program.
        OSError: the file cannot be written.

    Example:
        >>> journal = qtm.methods.Journal("run.sqlite", timeout=600)
        >>> device = qtm.methods.Primitive(
        ...     qtm.FastEstimator(), precision=0.01, journal=journal
        ... )
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        fetch: Callable[[str], Any] | None = None,
        timeout: float | None = None,
        pauses: Iterable[float] = (1.0, 5.0, 25.0, 125.0, 625.0),
        transient: tuple[type[BaseException], ...] = (),
    ) -> None:
        if not isinstance(path, (str, os.PathLike)):
            raise TypeError(f"journal: expected the name of a file, got {path!r}")
        if fetch is not None and not callable(fetch):
            raise TypeError(f"fetch: expected a function of the id of a job, such as service.job, got {fetch!r}")
        kinds = transient if isinstance(transient, tuple) else (transient,)
        if not all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in kinds):
            raise TypeError(f"transient: expected classes of errors, got {transient!r}")
        if not isinstance(pauses, Iterable):
            raise TypeError(f"pauses: expected seconds between attempts, such as (1, 10, 100), got {pauses!r}")
        self.path = Path(path).absolute()  # opened again, it is the same file, wherever the program is by then
        self._sender = Sender(
            tuple(_seconds(pause, "pauses", 0.0) for pause in pauses),
            None if timeout is None else _seconds(timeout, "timeout", 1e-3),
            kinds,
            fetch,
        )
        self._begin()
        self._file  # noqa: B018  # opened now, so that errors come before there is anything to lose

    def _begin(self) -> None:
        self._lock = threading.RLock()
        self._open_file: JobFile | None = None
        self._estimator: str | None = None
        self._go_to(0, set())

    def _go_to(self, upto: int, beyond: set[int]) -> None:
        # To which jobs this run has had the answers: all up to a number, and some beyond.
        self._upto, self._beyond = upto, beyond
        self._occurrences: dict[bytes, int] = {}
        self._has_begun, self._has_left = False, bool(beyond)

    def answered(
        self, content: Content, estimator: Mapping[str, Any], send: Callable[[], Any], read: Callable[[Any], Any]
    ) -> Any:
        """The answer to a job: from the file if it is there, else from whoever is asked.

        Args:
            content: What the job holds.
            estimator: Who is asked, as plain data.
            send: Sends it, and returns an object with ``result()``, as Qiskit's jobs.
            read: Makes plain data of the result: numbers, texts, arrays, and lists and dictionaries of such.

        Returns:
            The plain data.

        Raises:
            RuntimeError: the job failed for good; the message says which, what it held, and how to go on.
            ValueError: the file is damaged, in use, or of another estimator or run.
            OSError: it cannot be written.
        """
        with self._lock:
            self._require_estimator(json.dumps(estimator, sort_keys=True))
            occurrence = self._occurrence(content.digest)
            job = self._file.find(content.digest, occurrence)
            if job is None:
                self._require_path(content)
                job = self._file.add(content.digest, occurrence, content.words)
            answer = self._asked(job, content, send, read) if job.answer is None else job.answer
            try:
                plain = decoded(io.BytesIO(answer)).content
            except ValueError as error:
                raise ValueError(
                    f"{self.path} is damaged: the answer to its job {job.number} cannot be read ({error}); put back a "
                    "copy of the file, or name another one"
                ) from error
            self._occurrences[content.digest] = occurrence + 1
            self._pass(job.number)
            return plain

    def _asked(self, job: Job, content: Content, send: Callable[[], Any], read: Callable[[Any], Any]) -> bytes:
        last = job.job_id

        def sent(job_id: str | None) -> None:
            nonlocal last
            last = job_id
            self._file.set_id(job.number, job_id)

        try:
            plain = self._sender.answer(send, read, sent, job.job_id)
        except Exception as error:
            identity = "" if last is None else f", its id is {last}"
            raise RuntimeError(
                f"job {job.number} of {self.path} failed: {type(error).__name__}: {error}; it held {content.words}"
                f"{identity}; all answers before it are kept: start the program again, and it goes on with this job"
            ) from error
        answer = b"".join(encoded("answer", plain))
        self._file.set_answer(job.number, answer)
        return answer

    def _occurrence(self, digest: bytes) -> int:
        """How often this run has had an answer to a job."""
        if digest not in self._occurrences:
            numbers = self._file.numbers_of(digest)
            self._occurrences[digest] = sum(number <= self._upto or number in self._beyond for number in numbers)
        return self._occurrences[digest]

    def _pass(self, number: int) -> None:
        self._has_begun = True
        self._beyond.add(number)
        while self._upto + 1 in self._beyond:
            self._upto += 1
            self._beyond.remove(self._upto)

    def _require_path(self, content: Content) -> None:
        """What is new where the file has jobs that this run has not come to is another run, or one that was changed.

        Raises:
            ValueError: it is so from the first job on.
        """
        if self._has_left:
            return
        left = next((job for job in self._file.after(self._upto) if job[0] not in self._beyond), None)
        if left is None:
            return
        if not self._has_begun:
            other = "the same with other numbers or gates" if content.words == left[1] else content.words
            raise ValueError(
                f"{self.path} is the journal of another run: it goes on with job {left[0]}, which held {left[1]}, and "
                f"what is sent now is not that, but {other}; name another file, or give the program the "
                "circuit, data and seeds that it had"
            )
        _log.warning("the run has left what %s holds at job %d: the program, data or seeds changed", self.path, left[0])
        self._has_left = True

    def _require_estimator(self, written: str) -> None:
        if self._estimator is None:
            self._estimator = self._file.about("estimator")
        if self._estimator is None:
            self._file.set_about("estimator", written)
            self._estimator = written
        if written != self._estimator:
            raise ValueError(
                f"{self.path} holds answers of another estimator: "
                f"{_difference(json.loads(self._estimator), json.loads(written))}; name another file, or use the "
                "estimator that it was begun with"
            )

    def state_dict(self) -> dict[str, Any]:
        """Where the run is, in plain numbers, for a checkpoint."""
        with self._lock:
            return {"run": self._file.run, "upto": self._upto, "beyond": _ranges(sorted(self._beyond))}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes to where a run was; the answers after that are given again.

        Raises:
            ValueError: the state is of another journal, or this file has lost what came before.
        """
        with self._lock:
            last = self._file.last
            if last == 0:  # a new file: what came before is in the checkpoint, and not asked for again
                self._go_to(0, set())
                return
            upto = int(state["upto"])
            beyond = {number for first, end in state["beyond"] for number in range(int(first), int(end) + 1)}
            if state["run"] != self._file.run:
                raise ValueError(
                    f"{self.path} is the journal of another run than that of the checkpoint; use the one that belongs "
                    "to it, or name a new file"
                )
            if max(upto, *beyond, 0) > last:
                raise ValueError(
                    f"{self.path} ends with job {last}, but the checkpoint is of a time after job "
                    f"{max(upto, *beyond, 0)}; put back the newest copy, or name a new file"
                )
            self._go_to(upto, beyond)

    @property
    def _file(self) -> JobFile:
        if self._open_file is None:
            from .._storage.job_file import JobFile

            self._open_file = JobFile(self.path)
        return self._open_file

    def close(self) -> None:
        """Lets other processes have the file; the next job opens it again, and the run goes on."""
        with self._lock:
            if self._open_file is not None:
                self._open_file.close()
            self._open_file = None

    def __deepcopy__(self, memo: dict[int, Any]) -> Journal:
        return self  # copies of a model write to one journal

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "sender": self._sender}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.path, self._sender = state["path"], state["sender"]
        self._begin()  # opened by the first job: here another process may have it

    def __repr__(self) -> str:
        return f"Journal({str(self.path)!r})"


def _ranges(numbers: list[int]) -> list[list[int]]:
    """Ascending numbers, as the first and the last of each row without a gap."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ranges


def _seconds(value: Any, argument: str, least: float) -> float:
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"{argument}: expected seconds, got {value!r}")
    number = float(value)
    if not least <= number < math.inf:
        raise ValueError(f"{argument}: expected finite seconds, at least {least:g}, got {value!r}")
    return number


def _difference(then: Any, now: Any, where: str = "") -> str:
    """The first part in which two descriptions differ."""
    if isinstance(then, dict) and isinstance(now, dict):
        name = next(name for name in sorted({*then, *now}) if then.get(name) != now.get(name))
        return _difference(then.get(name), now.get(name), f"{where}.{name}" if where else name)
    return f"{where} was {str(then)[:300]}, now it is {str(now)[:300]}"
