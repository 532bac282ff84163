"""Jobs that are sent to a service: asked again where it failed for a while, given up where it did for good."""

from __future__ import annotations

import concurrent.futures
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

_log = logging.getLogger("qiskit_torch_module")

# Failures of connections, and of those who wait, by the names that requests, urllib3, websockets and the clients of
# services give them: none of these packages need be there.
_PASSING = {
    "ChunkedEncodingError",
    "ConnectTimeout",
    "ConnectionError",
    "IncompleteRead",
    "JobTimeoutError",
    "MaxRetryError",
    "ProtocolError",
    "ReadTimeout",
    "RemoteDisconnected",
    "RetryError",
    "Timeout",
    "TimeoutError",
    "WebsocketError",
    "WebsocketTimeoutError",
}
# Of HTTP: too slow, too early, too many requests, and a server that is down.
_PASSING_STATUS = {408, 425, 429, 500, 502, 503, 504}


class Unanswered(TimeoutError):  # noqa: N818
    """A job had no answer in the time it was given."""


def is_passing(error: BaseException, others: tuple[type[BaseException], ...] = ()) -> bool:
    """Whether a failure, or one that it follows from, is of a connection or an overloaded service.

    Args:
        error: What was raised.
        others: Classes of errors that count as well.
    """
    return any(
        isinstance(one, others)
        or any(kind.__name__ in _PASSING for kind in type(one).__mro__)
        or _status_of(one) in _PASSING_STATUS
        for one in _chain(error)
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _status_of(error: BaseException) -> Any:
    return getattr(error, "status_code", None) or getattr(getattr(error, "response", None), "status_code", None)


class Sender:
    """Gets answers to jobs.

    Args:
        pauses: Seconds between attempts; after the last one a failure is final.
        timeout: Seconds to wait for an answer; then the job is cancelled, which counts as a failure that passes.
        passing: Errors that pass, besides those of connections and overloaded services.
        fetch: Finds a job by its id.
    """

    def __init__(
        self,
        pauses: tuple[float, ...],
        timeout: float | None,
        passing: tuple[type[BaseException], ...],
        fetch: Callable[[str], Any] | None,
    ) -> None:
        self._pauses, self._timeout, self._passing, self._fetch = pauses, timeout, passing, fetch

    def answer(
        self,
        send: Callable[[], Any],
        read: Callable[[Any], Any],
        sent: Callable[[str | None], None],
        job_id: str | None,
    ) -> Any:
        """What came back.

        Args:
            send: Sends the job and returns it: an object with ``result()``; better also ``job_id()``, ``status()`` and
                ``cancel()``, as those of Qiskit.
            read: Makes plain data of a result.
            sent: Told the id of each job as soon as it is known, before its result is waited for.
            job_id: Of an earlier attempt, maybe of another process.

        Raises:
            Exception: what `send`, the job or `read` raised, if it does not pass.
        """
        job, is_fetched = None, False
        pauses = iter(self._pauses)
        while True:
            try:
                if job is None:
                    job, job_id = self._fetched(job_id), None
                    is_fetched = job is not None
                if job is None:
                    job = send()
                    sent(_id_of(job))
                return read(self._result(job))
            except Exception as error:
                lost = job is not None and _has_ended(job, error)
                if not (is_fetched and lost):  # one that failed while nobody looked is sent again at once
                    pause = next(pauses, None)
                    if pause is None or not is_passing(error, self._passing):
                        raise
                    _log.warning("a job failed (%s); next attempt in %g s", error, pause)
                    time.sleep(pause)
                if lost:
                    job = None

    def _fetched(self, job_id: str | None) -> Any:
        if job_id is None:
            return None
        if self._fetch is None:
            _log.warning("job %s was sent, but not answered; without fetch= it is sent again", job_id)
            return None
        try:
            return self._fetch(job_id)
        except Exception as error:
            if is_passing(error, self._passing):
                raise
            _log.warning("job %s is not to be found (%s); it is sent again", job_id, error)
            return None

    def _result(self, job: Any) -> Any:
        if self._timeout is None:
            return job.result()
        answer: concurrent.futures.Future[Any] = concurrent.futures.Future()
        threading.Thread(target=_wait_for, args=(job, answer), daemon=True).start()
        finished, _ = concurrent.futures.wait([answer], self._timeout)
        if finished:
            return answer.result()
        raise Unanswered(f"no answer in {self._timeout:g} s")


def _wait_for(job: Any, answer: concurrent.futures.Future[Any]) -> None:
    try:
        answer.set_result(job.result())
    except BaseException as error:
        answer.set_exception(error)


def _id_of(job: Any) -> str | None:
    job_id = getattr(job, "job_id", None)
    job_id = job_id() if callable(job_id) else job_id
    return None if job_id is None else str(job_id)


def _has_ended(job: Any, error: Exception) -> bool:
    """Whether a job will never have an answer, so that it has to be sent again; one that hangs is cancelled."""
    if isinstance(error, Unanswered):
        try:
            job.cancel()
        except Exception as problem:  # the service may be gone
            _log.warning("a job that hangs could not be cancelled (%s)", problem)
        return True
    try:
        status = job.status()
    except AttributeError:  # it says nothing
        return True
    except Exception:  # the connection is gone: the job may still run
        return False
    return getattr(status, "name", status) in ("ERROR", "CANCELLED")
