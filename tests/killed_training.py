"""Training on a service that answers with noise, killed at every moment and gone on with; test_lost_jobs.py starts it.

The service stands outside: it notes what it was sent, and what it draws depends on how often it was sent the same. So a
run that is sent something twice ends differently.
"""

import os
import pickle
import sys
import threading
import traceback
from pathlib import Path

import numpy as np
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.primitives import StatevectorEstimator

import killed_runs
import qiskit_torch_module as qtm
from killed_runs import Moments
from qiskit_torch_module._reading import compat
from qiskit_torch_module._storage.job_file import JobFile

STEPS = 4


class Service(compat.BaseEstimatorV2):
    """An estimator with the noise of finite shots.

    Args:
        log: File of the angles that it was sent, job by job.
        moment: Called before a job is sent and before its result is there.
        problems: For the number of a job, what happens to it.
    """

    def __init__(self, log, moment=lambda: None, problems=None):
        self.log, self.moment, self.problems = log, moment, problems or {}
        self.inner = StatevectorEstimator()

    def run(self, pubs, *, precision=None):
        self.moment()
        sent = self.log.read_text().splitlines() if self.log.exists() else []
        content = b"".join(np.ascontiguousarray(pub[2]).tobytes() for pub in pubs).hex()
        self._file(len(sent)).write_bytes(pickle.dumps(pubs))
        self.log.write_text("\n".join([*sent, content]))
        return Job(self, len(sent))

    def _file(self, number):
        return self.log.with_name(f"{self.log.name}-{number}")

    def fetch(self, job_id):
        """As the service of a device finds a job."""
        return Job(self, int(job_id[2:]))


class Job:
    """One that another process may fetch: what it was sent is kept beside the log."""

    def __init__(self, service, number):
        self.service, self.number = service, number
        self.problem = service.problems.pop(number, None)

    def job_id(self):
        return f"id{self.number}"

    def status(self):
        return "ERROR" if self.problem else "DONE"

    def cancel(self):
        """Nothing is drawn for a job that fails."""
        sent = self.service.log.read_text().splitlines()
        self.service.log.write_text("\n".join([*sent[: self.number], "failed", *sent[self.number + 1 :]]))

    def result(self):
        self.service.moment()
        if self.problem == "hangs":
            threading.Event().wait()
        if self.problem is not None:
            self.cancel()
            raise self.problem
        sent = self.service.log.read_text().splitlines()
        content = sent[self.number]
        pubs = pickle.loads(self.service._file(self.number).read_bytes())
        exact = self.service.inner.run([pub[:3] for pub in pubs]).result()  # without a precision
        random = np.random.default_rng([sent[: self.number].count(content), *bytes.fromhex(content)])
        data = [
            compat.estimates(
                one.data.evs + 0.1 * random.normal(size=one.data.evs.shape), np.full(one.data.evs.shape, 0.1)
            )
            for one in exact
        ]
        return [compat.PubResult(one) for one in data]


def circuit():
    x, w = ParameterVector("x", 2), ParameterVector("w", 4)
    made = QuantumCircuit(2)
    for q in range(2):
        made.rx(x[q], q)
        made.ry(w[q], q)
    made.cx(0, 1)
    for q in range(2):
        made.ry(w[2 + q], q)
    return made, x, w


def train(folder, service, gradient="parameter_shift", every=2, **options):
    """Weights after all steps, with a checkpoint after every so many of them."""
    torch.manual_seed(5)
    journal = qtm.methods.Journal(folder / "run.sqlite", pauses=(0, 0), **options)
    method = qtm.methods.Primitive(service, gradient=gradient, precision=0.1, journal=journal)
    model = qtm.QuantumModule(*circuit(), observables=["ZZ", "XI"], seed_init=1, method=method)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    data = torch.Generator().manual_seed(3)
    checkpoint = qtm.Checkpoint(folder / "run.qtm", model, optimizer, data=data)
    for step in range(checkpoint.resume(step=0)["step"], STEPS):
        optimizer.zero_grad()
        model(torch.rand(2, 2, generator=data)).square().sum().backward()
        optimizer.step()
        if every and step % every == 1:
            checkpoint.save(step=step + 1)
    journal.close()
    return model.variational.detach().clone()


def in_a_process(action):
    """What becomes of a process that does something: 0, or the signal that ended it."""
    child = os.fork()
    if child == 0:
        try:
            action()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def main(folder, stride):
    torch.set_num_threads(1)
    (folder / "first").mkdir()
    train(folder / "first", Service(folder / "first" / "log"))  # what is imported late is so now

    def run(place, moment, fetches=True):
        place.mkdir(exist_ok=True)
        service = Service(place / "log", moment)
        JobFile._execute = watched(moment)
        weights = train(place, service, fetch=service.fetch if fetches else None)
        torch.save(weights, place / "weights.pt")

    execute = JobFile._execute

    def watched(moment):
        def watch(file, *arguments):
            moment()
            result = execute(file, *arguments)
            moment()
            return result

        return watch

    count = Moments(0)

    def undisturbed():
        run(folder / "undisturbed", count)
        (folder / "count").write_text(str(count.count))

    assert in_a_process(undisturbed) == 0
    expected = torch.load(folder / "undisturbed" / "weights.pt", weights_only=True)
    sent_then = (folder / "undisturbed" / "log").read_text()
    twice = 0
    moments = range(1, int((folder / "count").read_text()) + 1, stride)
    for last in moments:
        place = folder / str(last)
        assert in_a_process(lambda place=place, last=last: run(place, Moments(last))) != 0
        assert in_a_process(lambda place=place: run(place, Moments(0))) == 0
        weights = torch.load(place / "weights.pt", weights_only=True)
        if (place / "log").read_text() == sent_then:
            assert torch.equal(weights, expected), last
        else:  # killed after a job was sent and before its id could be noted
            twice += 1
    assert twice <= 1 + len(moments) // 8, twice
    print(len(moments), twice)


if __name__ == "__main__":
    place = Path(sys.argv[1])
    for part in ("jobs", "training"):
        (place / part).mkdir()
    killed_runs.main(place / "jobs", int(sys.argv[2]))
    main(place / "training", int(sys.argv[2]))
