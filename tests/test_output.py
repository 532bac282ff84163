"""Output that outlives its reader."""

import errno
import io
import sys

import pytest

from qiskit_torch_module.cli.output import Output


class Pipe(io.StringIO):
    """Takes some characters, and no more: at once, or as buffered streams do, when it is flushed."""

    def __init__(self, room, *, buffered):
        super().__init__()
        self.room, self.buffered = room, buffered

    def write(self, text):
        if not self.buffered and len(self.getvalue()) + len(text) > self.room:
            raise BrokenPipeError
        return super().write(text)

    def flush(self):
        if len(self.getvalue()) > self.room:
            raise BrokenPipeError


@pytest.mark.parametrize("buffered", [False, True])
def test_what_standard_output_does_not_take_goes_to_standard_error(monkeypatch, buffered):
    out, err = Pipe(6, buffered=buffered), io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    output = Output("stdout", "stderr")
    for text in ("first\n", "second\n", "third\n"):
        output.write(text)
        output.flush()
    assert err.getvalue() == "second\nthird\n"


@pytest.mark.parametrize("out", [None, Pipe(0, buffered=True)])
def test_without_any_reader_nothing_fails(monkeypatch, out):
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", None)
    output = Output("stdout", "stderr")
    assert output.write("text") == 4
    output.flush()
    assert not output.isatty()


def test_a_stream_that_was_closed(monkeypatch):
    out, err = io.StringIO(), io.StringIO()
    out.close()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    Output("stdout", "stderr").write("text")
    assert err.getvalue() == "text"


def test_a_full_disk_is_told_from_a_reader_that_went_away(monkeypatch):
    class Full(io.StringIO):
        def write(self, text):
            raise OSError(errno.ENOSPC, "No space left on device")

    for out, failure in ((Full(), errno.ENOSPC), (Pipe(0, buffered=False), None)):
        monkeypatch.setattr(sys, "stdout", out)
        output = Output("stdout")
        output.write("text")
        assert getattr(output.failure, "errno", None) == failure
