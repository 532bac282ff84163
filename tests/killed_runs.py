"""Runs of jobs that are killed at every moment and go on; killed_training.py starts them.

The service stands outside: a file of what it was sent, and answers that are drawn by the number of a job.
"""

import hashlib
import os
import signal

import numpy as np

from qiskit_torch_module._storage.job_file import JobFile
from qiskit_torch_module.methods import Journal
from test_journal import ESTIMATOR, content

JOBS = [0, 1, 0, 2, 3, 3]


class Moments:
    """Counts moments, and ends the process at one of them."""

    def __init__(self, last):
        self.count, self.last = 0, last

    def __call__(self):
        self.count += 1
        if self.count == self.last:
            os.kill(os.getpid(), signal.SIGKILL)


class Job:
    def __init__(self, draw, moment):
        self.draw, self.moment = draw, moment

    def job_id(self):
        return f"id{self.draw}"

    def status(self):
        return "DONE"

    def result(self):
        self.moment()
        return np.random.default_rng(self.draw).normal(size=3)


def run(folder, moment, fetches):
    """All answers, with the draw that each is."""
    log = folder / "sent"

    def send():
        moment()
        draws = log.read_text().split() if log.exists() else []
        log.write_text(" ".join([*draws, str(number)]))
        return Job(len(draws), moment)

    execute = JobFile._execute

    def watched(file, *arguments):
        moment()
        result = execute(file, *arguments)
        moment()
        return result

    JobFile._execute = watched
    fetch = (lambda job_id: Job(int(job_id[2:]), moment)) if fetches else None
    journal = Journal(folder / "run.sqlite", fetch=fetch)
    answers = []
    for number in JOBS:
        answers.append(journal.answered(content(number), ESTIMATOR, send, lambda result: result))
        moment()
    return np.array(answers), log.read_text().split()


def killed_at(folder, last, fetches):
    """Whether a run in a process of its own was killed before it ended."""
    child = os.fork()
    if child == 0:
        run(folder, Moments(last), fetches)
        os._exit(0)
    return os.waitpid(child, 0)[1] != 0


def main(folder, stride):
    count = Moments(0)
    undisturbed = folder / "undisturbed"
    undisturbed.mkdir()
    child = os.fork()
    if child == 0:
        answers, sent = run(undisturbed, count, True)
        np.save(folder / "answers.npy", answers)
        (folder / "count").write_text(str(count.count))
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    expected, moments = np.load(folder / "answers.npy"), int((folder / "count").read_text())
    for last in range(1, moments + 1, stride):
        for fetches in (True, False):
            place = folder / f"{last}-{fetches}"
            place.mkdir()
            assert killed_at(place, last, fetches)
            killed_at(place, last, fetches)  # and once more, further on
            child = os.fork()
            if child == 0:
                answers, sent = run(place, Moments(0), fetches)
                # What was sent, but never noted, is all that is sent twice; with `fetch`, what was noted never is.
                again = len(sent) - len(JOBS)
                first = [draw for draw, number in enumerate(sent)]
                fits = again == 0 and np.array_equal(answers, expected)
                drawn = [np.random.default_rng(draw).normal(size=3) for draw in first]
                kept = all(any(np.array_equal(answer, draw) for draw in drawn) for answer in answers)
                os._exit(0 if (fits or (0 < again <= 2 and kept)) else 1)
            assert os.waitpid(child, 0)[1] == 0, (last, fetches, (place / "sent").read_text())
    print(moments, hashlib.sha256(b"".join(content(number).digest for number in range(4))).hexdigest())
