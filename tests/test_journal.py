"""Journals: what was answered is never sent again, whatever ends the process, and nothing is mixed."""

import copy
import os
import pickle
import sqlite3
import subprocess
import sys
import threading

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.quantum_info import Pauli, SparsePauliOp

from qiskit_torch_module.methods import Journal, Primitive
from qiskit_torch_module.methods import contents as room
from qiskit_torch_module.methods.contents import Contents, who_answers

ESTIMATOR = {"class": "spy", "options": {"shots": 100}}


def circuit(name="c", parameters=("a", "b")):
    made = QuantumCircuit(2, name=name, metadata={"made": name})
    a, b = map(Parameter, parameters)
    made.rx(a, 0)
    made.cx(0, 1)
    made.rz(2 * b + a, 1)
    return made


CIRCUIT = circuit()
contents = Contents()


def content(number):
    return contents([(CIRCUIT, ["ZZ", "XI"], [[0.1 * number, 0.2]], 0.01)])


class Service:
    """Answers with random numbers, as a device does, and remembers what it was sent."""

    def __init__(self, *plan):
        self.sent, self.jobs, self.plan = [], {}, list(plan)

    def __call__(self, number):
        def send():
            self.sent.append(number)
            step = self.plan.pop(0) if self.plan else None
            if isinstance(step, BaseException):
                raise step
            job = Job(f"id{len(self.sent)}", step, np.random.default_rng().normal(size=(1, 2)))
            self.jobs[job.id] = job
            return job

        return send


class Job:
    def __init__(self, id, problem, answer):
        self.id, self.problem, self.answer = id, problem, answer
        self.state = "RUNNING" if problem else "DONE"
        self.released = threading.Event()

    def job_id(self):
        return self.id

    def status(self):
        return self.state

    def cancel(self):
        self.state = "CANCELLED"
        self.released.set()

    def result(self):
        problem, self.problem = self.problem, None
        if problem == "hangs":
            self.released.wait()
            raise RuntimeError("cancelled")
        if isinstance(problem, tuple):
            self.state, problem = problem
        if problem is not None:
            raise problem
        return self.answer


def ask(journal, service, *numbers):
    return [journal.answered(content(n), ESTIMATOR, service(n), lambda result: [result]) for n in numbers]


def same(first, second):
    return len(first) == len(second) and all(np.array_equal(a, b) for [a], [b] in zip(first, second, strict=True))


# What a job holds


def test_the_content_of_a_job_is_what_changes_its_answer():
    values = [[0.1, 0.2], [0.3, 0.4]]
    one = contents([(circuit(), ["ZZ"], values, 0.1)]).digest
    sums = [SparsePauliOp(["ZZ"]), {"ZZ": 1.0}, Pauli("ZZ"), "ZZ"]
    for other in (circuit("other"), circuit(parameters=("c", "d")), circuit().copy()):
        for observable in sums:
            assert contents([(other, [observable], np.array(values), 0.1)]).digest == one
    two = SparsePauliOp(["ZZ", "XI"], [1, 2])
    assert contents([(circuit(), two, values)]) == contents([(circuit(), {"XI": 2.0, "ZZ": 1}, values, None)])
    changed = circuit()
    changed.barrier()
    changed.x(0)
    others = [
        (changed, ["ZZ"], values, 0.1),
        (circuit(), ["ZI"], values, 0.1),
        (circuit(), [["ZZ"]], values, 0.1),
        (circuit(), [{"ZZ": 1 + 1e-15}], values, 0.1),
        (circuit(), ["ZZ"], [values], 0.1),
        (circuit(), ["ZZ"], [[0.1, 0.2], [0.3, 0.4 + 1e-15]], 0.1),
        (circuit(), ["ZZ"], values, 0.2),
        (circuit(), ["ZZ"], values),
    ]
    found = {contents([pub]).digest for pub in others} | {one, contents([(circuit(), ["ZZ"], values, 0.1)] * 2).digest}
    assert len(found) == len(others) + 2
    assert content(1).words == "1 PUB (2 qubits, 2 observables, [1, 2] parameter values, precision 0.01)"


def test_the_circuits_that_are_known_are_the_latest(monkeypatch):
    monkeypatch.setattr(room, "MOST_CIRCUITS", 3)
    read, blueprint = [], room.blueprint

    def counted(circuit, parameters):
        read.append(circuit.name)
        return blueprint(circuit, parameters)

    monkeypatch.setattr(room, "blueprint", counted)
    known, circuits = Contents(), [QuantumCircuit(1, name=name) for name in "abcd"]

    def sent(names):
        return [known([(circuits["abcd".index(name)], "Z", [])]).digest for name in names]

    assert len(set(sent("abcabc"))) == 1
    assert read == [*"abc"]
    sent("da")  # "a" was the first to go
    assert read == [*"abcda"]
    sent("cda")
    assert read == [*"abcda"]
    assert len(known._digests) == 3


def test_what_has_no_content():
    with pytest.raises(TypeError, match="journal: expected observables as labels or sums of Paulis, got float"):
        contents([(CIRCUIT, [1.0], [0.1, 0.2])])
    measured = QuantumCircuit(1, 1)
    measured.measure(0, 0)
    measured.x(0)
    with pytest.raises(ValueError, match="cannot be written down, .* send it without a journal"):
        contents([(measured, "Z", [])])


def test_who_answers_knows_options_and_forgets_the_session():
    try:
        from qiskit_aer.noise import NoiseModel, depolarizing_error
        from qiskit_aer.primitives import EstimatorV2
    except ImportError as error:  # none for this version of Qiskit
        pytest.skip(str(error))

    def estimator(share, **run):
        noise = NoiseModel()
        noise.add_all_qubit_quantum_error(depolarizing_error(share, 1), ["x"])
        return EstimatorV2(options={"backend_options": {"noise_model": noise}, "run_options": run})

    assert who_answers(estimator(0.1)) == who_answers(estimator(0.1))
    assert who_answers(estimator(0.1)) != who_answers(estimator(0.2))
    assert who_answers(estimator(0.1)) != who_answers(estimator(0.1, shots=5))
    assert "object at 0x" not in str(who_answers(estimator(0.1)))


@pytest.mark.filterwarnings("ignore")
def test_options_of_a_service_pass_through_and_tell_journals_apart():
    runtime = pytest.importorskip("qiskit_ibm_runtime")
    from qiskit_ibm_runtime.fake_provider import FakeManilaV2

    def estimator(**options):
        return runtime.EstimatorV2(mode=FakeManilaV2(), options=options)

    levels = [who_answers(estimator(resilience_level=level)) for level in (0, 1, 1)]
    assert levels[0] != levels[1] == levels[2]
    assert who_answers(estimator(environment={"job_tags": ["a"]})) == who_answers(estimator())
    mitigated = estimator(resilience={"zne_mitigation": True, "zne": {"noise_factors": (1, 3)}})
    assert who_answers(mitigated) != who_answers(estimator())
    assert Primitive(mitigated).estimator.options.resilience.zne.noise_factors == (1, 3)


# Going on


def test_a_run_that_starts_again_gets_what_it_had_and_sends_the_rest(tmp_path):
    service = Service()
    first = ask(Journal(tmp_path / "new" / "run.sqlite"), service, 1, 2, 1, 1)
    assert not np.array_equal(first[0], first[2])  # sent twice: two draws
    again = ask(Journal(tmp_path / "new" / "run.sqlite"), service, 1, 2, 1, 1, 1, 3)
    assert same(again[:4], first)
    assert service.sent == [1, 2, 1, 1, 1, 3]


def test_a_job_that_failed_or_was_interrupted_is_sent_again_and_nothing_else(tmp_path):
    for end in (ValueError("bad circuit"), KeyboardInterrupt()):
        service = Service(None, end)
        journal = Journal(tmp_path / f"{type(end).__name__}.sqlite")
        expected = RuntimeError if isinstance(end, Exception) else KeyboardInterrupt
        with pytest.raises(expected) as error:
            ask(journal, service, 1, 2, 3)
        if expected is RuntimeError:
            assert str(error.value) == (
                f"job 2 of {journal.path} failed: ValueError: bad circuit; it held {content(2).words}; all answers "
                "before it are kept: start the program again, and it goes on with this job"
            )
        ask(Journal(journal.path), service, 1, 2, 3)
        assert service.sent == [1, 2, 2, 3]


class ServerError(Exception):
    status_code = 503


class MineError(Exception):
    pass


def wrapped():
    try:
        try:
            raise ServerError("too many 500 error responses")
        except ServerError:
            raise RuntimeError("Failed to run program") from None
    except RuntimeError as error:
        return error


class WebsocketError(Exception):
    pass


@pytest.mark.parametrize(
    "error", [ConnectionResetError("x"), TimeoutError("x"), wrapped(), WebsocketError("x"), MineError()]
)
def test_failures_that_pass(tmp_path, error):
    service = Service(error, error, None, None)
    journal = Journal(tmp_path / "run.sqlite", pauses=(0, 0), transient=MineError)
    ask(journal, service, 1, 2)
    assert service.sent == [1, 1, 1, 2]
    service = Service(error, error, error, None)
    with pytest.raises(RuntimeError, match=r"job 3 of .*run.sqlite failed"):
        ask(journal, service, 3)
    assert service.sent == [3, 3, 3]


def test_a_job_that_may_still_have_an_answer_is_not_sent_again(tmp_path):
    service = Service(("RUNNING", ConnectionResetError()), ("ERROR", ConnectionResetError()), None)
    ask(Journal(tmp_path / "run.sqlite", pauses=(0, 0)), service, 1, 2)
    assert service.sent == [1, 2, 2]


def test_a_job_that_hangs_is_cancelled_and_sent_again(tmp_path):
    service = Service("hangs", None, "hangs")
    journal = Journal(tmp_path / "run.sqlite", pauses=(0,), timeout=0.1)
    ask(journal, service, 1)
    assert service.sent == [1, 1]
    assert service.jobs["id1"].state == "CANCELLED"
    service.plan = ["hangs", "hangs"]
    with pytest.raises(RuntimeError, match=r"job 2 of .* no answer in 0.1 s; it held .*, its id is id4; all"):
        ask(journal, service, 2)


def test_a_job_of_a_process_that_died_is_fetched(tmp_path):
    service = Service(None, KeyboardInterrupt(), None)
    service.plan = [None, ("RUNNING", KeyboardInterrupt())]  # while its result is waited for
    with pytest.raises(KeyboardInterrupt):
        ask(Journal(tmp_path / "run.sqlite"), service, 1, 2)
    fetched = []

    def fetch(job_id):
        fetched.append(job_id)
        if len(fetched) == 1:
            raise ConnectionResetError
        return service.jobs[job_id]

    answers = ask(Journal(tmp_path / "run.sqlite", fetch=fetch, pauses=(0,)), service, 1, 2, 3)
    assert (service.sent, fetched) == ([1, 2, 3], ["id2", "id2"])
    assert np.array_equal(answers[1][0], service.jobs["id2"].answer)


LOST = {"no fetch": "without fetch= it is sent again", "not there": "not to be found", "failed": ""}


@pytest.mark.parametrize("lost", LOST)
def test_a_job_that_cannot_be_fetched_is_sent_again(tmp_path, lost, caplog):
    service = Service(("RUNNING", KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        ask(Journal(tmp_path / "run.sqlite"), service, 1)
    service.jobs["id1"].problem = ("ERROR", RuntimeError("failed on the device"))
    fetch = {"no fetch": None, "not there": {}.__getitem__, "failed": service.jobs.get}[lost]
    ask(Journal(tmp_path / "run.sqlite", fetch=fetch), service, 1)
    assert service.sent == [1, 1]
    assert LOST[lost] in caplog.text
    assert ("id1" in caplog.text) == (lost != "failed")


# Positions


def test_a_position_is_gone_back_to(tmp_path):
    service, journal = Service(), Journal(tmp_path / "run.sqlite")
    ask(journal, service, 1, 1)
    state = journal.state_dict()
    assert state == {"run": state["run"], "upto": 2, "beyond": []}
    after = ask(journal, service, 1, 2)
    journal.load_state_dict(state)
    assert same(ask(journal, service, 1, 2), after)
    other = Journal(tmp_path / "run.sqlite")
    other.load_state_dict(state)
    assert same(ask(other, service, 2, 1), after[::-1])
    assert service.sent == [1, 1, 1, 2]


def test_jobs_that_a_run_leaves_out_take_no_room(tmp_path):
    service, journal = Service(), Journal(tmp_path / "run.sqlite")
    ask(journal, service, 1, 2, 3)
    journal.load_state_dict({**journal.state_dict(), "upto": 0})
    ask(journal, service, 1, *range(4, 30))
    state = journal.state_dict()
    assert (state["upto"], state["beyond"]) == (1, [[4, 29]])
    journal.load_state_dict(state)
    assert len(service.sent) == 29
    ask(journal, service, 5)
    assert len(service.sent) == 30


def test_a_position_of_another_journal_is_refused(tmp_path):
    journals = [Journal(tmp_path / name) for name in ("a", "b", "new")]
    for journal in journals[:2]:
        ask(journal, Service(), 1)
    state = journals[0].state_dict()
    with pytest.raises(ValueError, match="b is the journal of another run than that of the checkpoint; use the one"):
        journals[1].load_state_dict(state)
    with pytest.raises(ValueError, match="a ends with job 1, but the checkpoint is of a time after job 7; put back"):
        journals[0].load_state_dict({**state, "upto": 7})
    journals[2].load_state_dict(state)  # nothing is there to be mixed up
    assert journals[2].state_dict()["upto"] == 0


# Whose journal


def test_a_journal_of_another_run_or_estimator_is_never_mixed(tmp_path, caplog):
    service = Service()
    ask(Journal(tmp_path / "run.sqlite"), service, 1, 2)
    with pytest.raises(
        ValueError,
        match=r"is the journal of another run: it goes on with job 1, which held 1 PUB .* but the same with other",
    ):
        ask(Journal(tmp_path / "run.sqlite"), service, 7)
    journal = Journal(tmp_path / "run.sqlite")
    with pytest.raises(ValueError, match=r"another estimator: options.shots was 100, now it is 5; name another file"):
        journal.answered(content(1), {"class": "spy", "options": {"shots": 5}}, service(1), list)
    ask(journal, service, 1, 3, 4)
    assert service.sent == [1, 2, 3, 4]
    assert [record.message for record in caplog.records] == [
        f"the run has left what {journal.path} holds at job 2: the program, data or seeds changed"
    ]


def test_one_process_at_a_time(tmp_path):
    journal = Journal(tmp_path / "run.sqlite")
    program = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], timeout=0); print(c.execute('select 1 from jobs'))"
    other = subprocess.run([sys.executable, "-c", program, str(journal.path)], capture_output=True, text=True)
    assert "database is locked" in other.stderr
    journal.close()
    with sqlite3.connect(journal.path, isolation_level=None) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        with pytest.raises(ValueError, match="run.sqlite is in use by another process; wait until it ends, or name"):
            ask(journal, Service(), 1)
    connection.close()
    ask(journal, Service(), 1)


def test_the_newest_journal_of_a_process_has_the_file(tmp_path):
    service, older = Service(), Journal(tmp_path / "run.sqlite")
    ask(older, service, 1)
    ask(Journal(tmp_path / "run.sqlite"), service, 1, 2)
    with pytest.raises(ValueError, match="opened again by this process, .* let models that share a journal share"):
        ask(older, service, 2)
    assert service.sent == [1, 2]


def test_copies_share_a_journal_and_pickles_open_their_own(tmp_path):
    journal = Journal(tmp_path / "run.sqlite", timeout=3)
    assert copy.deepcopy({"model": journal})["model"] is journal
    service = Service()
    ask(journal, service, 1)
    again = pickle.loads(pickle.dumps(journal))
    ask(again, service, 1, 2)
    assert service.sent == [1, 2]


def test_a_program_that_goes_to_another_folder_keeps_its_journal(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    service, journal = Service(), Journal("run.sqlite")
    ask(journal, service, 1)
    journal.close()
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    ask(journal, service, 2)
    ask(pickle.loads(pickle.dumps(journal)), service, 1, 2)
    assert service.sent == [1, 2]
    assert not any((tmp_path / "other").iterdir())


def test_a_program_ends_silently_with_a_journal_open(tmp_path):
    program = """
import sys
import qiskit_torch_module as qtm
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit_torch_module._reading import compat

circuit = QuantumCircuit(1)
circuit.rx(Parameter("a"), 0)
estimator = (compat.StatevectorEstimator or compat.Estimator)()
method = qtm.methods.Primitive(estimator, journal=sys.argv[1])
model = qtm.QuantumModule(circuit, None, circuit.parameters, observables="Z", method=method)
model().sum().backward()
"""
    ended = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "run.sqlite")], capture_output=True, text=True, check=True
    )
    assert ended.stderr == ""


# Files


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda path: path.write_bytes(b"no database" * 200),
            "run.sqlite is damaged, or no journal .file is not a database.; put",
        ),
        (
            lambda path: sqlite3.connect(path).execute("CREATE TABLE mine (x)").connection.close(),
            "is a database of another program; name",
        ),
        (lambda path: path.mkdir(), "regular file, got a folder"),
    ],
)
def test_files_of_others_are_left_alone(tmp_path, make, message):
    path = tmp_path / "run.sqlite"
    make(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises((ValueError, OSError), match=message):
        Journal(path)
    assert before is None or path.read_bytes() == before


def test_damage_is_found(tmp_path):
    path = tmp_path / "run.sqlite"
    journal = Journal(path)
    ask(journal, Service(), *range(12))
    journal.close()
    whole = path.read_bytes()
    connection = sqlite3.connect(path, isolation_level=None)
    (answer,) = connection.execute("SELECT answer FROM jobs WHERE number = 3").fetchone()
    changed = answer[:-50] + bytes([answer[-50] ^ 1]) + answer[-49:]
    connection.execute("UPDATE jobs SET answer = ? WHERE number = 3", (changed,))
    connection.close()
    with pytest.raises(
        ValueError, match=r"damaged: the answer to its job 3 cannot be read .*checksum.* put back a copy"
    ):
        ask(Journal(path), Service(), 0, 1, 2)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA user_version = 2")
    connection.close()
    with pytest.raises(ValueError, match="is a journal of version 2, this release reads version 1; update"):
        Journal(path)
    for begin in range(4096, len(whole), 4096):
        path.write_bytes(whole[:begin] + os.urandom(4096) + whole[begin + 4096 :])
        service = Service()
        with pytest.raises(ValueError, match=r"run.sqlite is (damaged|the journal of another run)"):
            ask(Journal(path), service, *range(12))
        assert not service.sent
    path.write_bytes(whole)
    ask(Journal(path), service, *range(12))
    assert not service.sent


def test_a_full_disk_loses_nothing_that_was_answered(tmp_path):
    service, journal = Service(), Journal(tmp_path / "run.sqlite")
    first = ask(journal, service, 1, 2)
    ((pages,),) = journal._file._execute("PRAGMA page_count")
    journal._file._execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(
        (OSError, RuntimeError), match="run.sqlite: database or disk is full; what the journal holds is k"
    ):
        ask(journal, service, *range(3, 100))
    num_sent = len(service.sent)
    assert same(ask(Journal(tmp_path / "run.sqlite"), service, 1, 2), first)
    assert len(service.sent) == num_sent


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OSError, match="run.sqlite"):
        Journal(tmp_path / "run.sqlite")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"path": 3}, "journal: expected the name of a file, got 3"),
        ({"fetch": "id"}, "fetch: expected a function of the id of a job, such as service.job, got 'id'"),
        ({"timeout": "1"}, "timeout: expected seconds, got '1'"),
        ({"timeout": 0}, "timeout: expected finite seconds, at least 0.001, got 0"),
        ({"pauses": 3}, "pauses: expected seconds between attempts, such as .1, 10, 100., got 3"),
        ({"pauses": (1, -1)}, "pauses: expected finite seconds, at least 0, got -1"),
        ({"transient": ("x",)}, "transient: expected classes of errors, got"),
    ],
)
def test_bad_arguments(tmp_path, arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        Journal(**{"path": tmp_path / "run.sqlite", **arguments})
