"""Jobs in a database of SQLite: every change is whole, and on the disk before the next thing happens."""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from .._core.files import require_writable

# What tells these files from others of SQLite: "qtmj", and the version of the tables below.
_APPLICATION, _VERSION = 0x71746D6A, 1
_TABLES = (
    "CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    """CREATE TABLE jobs (
    number INTEGER PRIMARY KEY,
    content BLOB NOT NULL,
    occurrence INTEGER NOT NULL,
    held TEXT NOT NULL,
    job_id TEXT,
    answer BLOB,
    UNIQUE (content, occurrence))""",
)


@dataclass(frozen=True)
class Job:
    """A job that was written down.

    Attributes:
        number: They are counted from 1, in the order in which they were written down.
        job_id: By which the service knows it; None: it has not said.
        answer: What came back; None: nothing so far.
    """

    number: int
    job_id: str | None = None
    answer: bytes | None = None


class JobFile:
    """A file of jobs, which one process has at a time: from here to `close`, or to its end, whichever way it ends.

    Where a process opens a file again, the newer one gets it, and the older one is closed for good.

    Args:
        path: The file; folders above it are made.

    Attributes:
        run: Tells this file from all others.

    Raises:
        OSError: the file cannot be written.
        ValueError: it is damaged, in use, or of another program or version.
    """

    _this_process = staticmethod(os.getpid)  # for `close`, which may come when Python has taken `os` down

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = None
        self._process = os.getpid()
        self._is_lost = False
        key = os.path.realpath(path)
        older = _opened.get(key)
        if older is not None and older._process == self._process:
            older.close()
            older._is_lost = True
        require_writable(path)  # not earlier: it opens the file, and closing that would free the lock of the older one
        with self._reported():
            connection = sqlite3.connect(path, timeout=0.0, isolation_level=None, check_same_thread=False)
            self._connection = connection
            try:
                self._begin(connection)
            except BaseException:
                self.close()
                raise
        _opened[key] = self

    def _begin(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA synchronous = EXTRA")
        connection.execute("BEGIN EXCLUSIVE")  # the lock is kept
        ((application,),) = connection.execute("PRAGMA application_id")
        ((version,),) = connection.execute("PRAGMA user_version")
        ((count,),) = connection.execute("SELECT count(*) FROM sqlite_master")
        if application == version == count == 0:
            for statement in _TABLES:
                connection.execute(statement)
            connection.execute("INSERT INTO about VALUES ('run', ?)", (secrets.token_hex(16),))
            connection.execute(f"PRAGMA application_id = {_APPLICATION}")
            connection.execute(f"PRAGMA user_version = {_VERSION}")
        elif application != _APPLICATION:
            raise ValueError(f"{self.path} is a database of another program; name another file")
        elif version != _VERSION:
            raise ValueError(
                f"{self.path} is a journal of version {version}, this release reads version {_VERSION}; update "
                "qiskit-torch-module, or name another file"
            )
        connection.execute("COMMIT")
        ((problem,),) = connection.execute("PRAGMA quick_check(1)")
        if problem != "ok":
            raise sqlite3.DatabaseError(problem)
        self.run: str = self.about("run") or ""

    def _execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        if self._process != os.getpid():
            raise ValueError(
                f"{self.path} was opened by process {self._process}, of which this one is a copy; open a journal of "
                "its own in every process"
            )
        if self._is_lost:
            raise ValueError(
                f"{self.path} was opened again by this process, and belongs to the newer journal; let models that "
                "share a journal share their method"
            )
        if self._connection is None:
            raise ValueError(f"{self.path} is closed; open it again by a new journal, in a new method")
        with self._reported():
            return self._connection.execute(statement, values)

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """Errors of SQLite say what they mean for the run."""
        try:
            yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise ValueError(
                    f"{self.path} is in use by another process; wait until it ends, or name another file"
                ) from error
            raise OSError(
                f"{self.path}: {error}; what the journal holds is kept, start again when the file can be written"
            ) from error
        except sqlite3.DatabaseError as error:
            raise ValueError(
                f"{self.path} is damaged, or no journal ({error}); put back a copy of the file, or name another one"
            ) from error

    def about(self, name: str) -> str | None:
        """What the file says of itself under a name."""
        row = self._execute("SELECT value FROM about WHERE name = ?", name).fetchone()
        return None if row is None else row[0]

    def set_about(self, name: str, value: str) -> None:
        """Writes what the file says of itself, once."""
        self._execute("INSERT INTO about VALUES (?, ?)", name, value)

    def find(self, content: bytes, occurrence: int) -> Job | None:
        """The job with some content, which was sent so many times before."""
        row = self._execute(
            "SELECT number, job_id, answer FROM jobs WHERE content = ? AND occurrence = ?", content, occurrence
        ).fetchone()
        return None if row is None else Job(*row)

    def add(self, content: bytes, occurrence: int, held: str) -> Job:
        """Writes down a new job."""
        number = self._execute(
            "INSERT INTO jobs (content, occurrence, held) VALUES (?, ?, ?)", content, occurrence, held
        ).lastrowid
        assert number is not None
        return Job(number)

    def set_id(self, number: int, job_id: str | None) -> None:
        """Writes down by what id the service knows a job."""
        self._execute("UPDATE jobs SET job_id = ? WHERE number = ?", job_id, number)

    def set_answer(self, number: int, answer: bytes) -> None:
        """Writes down what came back."""
        self._execute("UPDATE jobs SET answer = ? WHERE number = ?", answer, number)

    def numbers_of(self, content: bytes) -> list[int]:
        """Numbers of all jobs with some content."""
        return [number for (number,) in self._execute("SELECT number FROM jobs WHERE content = ?", content)]

    def after(self, number: int) -> Iterator[tuple[int, str]]:
        """Numbers, and words for what they held, of the jobs after one."""
        yield from self._execute("SELECT number, held FROM jobs WHERE number > ? ORDER BY number", number)

    @property
    def last(self) -> int:
        """Number of the last job; 0: there is none."""
        ((number,),) = self._execute("SELECT coalesce(max(number), 0) FROM jobs")
        return int(number)

    def close(self) -> None:
        """Lets other processes have the file."""
        if self._connection is not None and self._process == self._this_process():
            self._connection.close()
        self._connection = None

    def __del__(self) -> None:
        self.close()  # a connection is in a cycle with itself, and would keep the file


# Which file belongs to which object of this process.
_opened: WeakValueDictionary[str, JobFile] = WeakValueDictionary()
