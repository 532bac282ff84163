"""Signals that ask a process to end."""

import os
import signal
import threading

import pytest

from qiskit_torch_module.cli.signals import ending_signals

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals differ")
NUMBERS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@pytest.fixture(autouse=True)
def handlers():
    before = {number: signal.getsignal(number) for number in NUMBERS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("first", NUMBERS)
def test_the_first_is_noted_and_others_do_nothing(first):
    before = [signal.getsignal(number) for number in NUMBERS]
    with ending_signals() as ending:
        assert not ending()
        for number in (first, *NUMBERS):
            os.kill(os.getpid(), number)
        assert ending()
        assert ending.number == first
    assert [signal.getsignal(number) for number in NUMBERS] == before


def test_what_is_ignored_stays_ignored():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with ending_signals() as ending:
        os.kill(os.getpid(), signal.SIGHUP)
        assert not ending()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_other_threads_have_no_handlers():
    found = []

    def work():
        with ending_signals() as ending:
            found.append(ending())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [False]
